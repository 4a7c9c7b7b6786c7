"""Training the exchange from land to rivers of a case on discharge: gages, a reference, both."""

import dataclasses
import functools
import importlib.util
import signal

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

import hybridwater as hw
from hybridwater import cases, scores
from hybridwater.cases import runoff_training
from hybridwater.cases.coupler import train_coupler
from hybridwater.cases.delaware import DISCHARGE
from hybridwater.cli import app
from hybridwater.components import delaware_exchange
from hybridwater.components.component_file import Description, write_description
from hybridwater.components.delaware_exchange import (
    GIVEN,
    SIGNALS,
    delaware_place,
    untrained_coupler,
)
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.coupling import Exchange
from hybridwater.errors import CaseError, DataError, SettingsError
from hybridwater.mgn import observations
from hybridwater.mgn.released import verify_weights

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pywatershed") is None,
    reason="pywatershed, which carries the data, is not installed",
)

DAYS = 40
GAGES = {"upper": 30, "middle": 150, "lower": 300, "side": 70}
CASE = """
[run]
start = 1979-01-01
end = 1979-02-10

[components.land]
kind = "forcing"
data = "land.nc"

[components.runoff]
kind = "learned-runoff"
weights = "runoff.safetensors"

EXCHANGES
[output]
variables = { runoff = ["runoff_flux"] }

[train.observations]
discharge = "gages.nc"
period = ["1979-01-05", "1979-01-30"]
test = ["1979-01-31", "1979-02-09"]
held_out = ["side"]
iterations = 12
silent = 10
window = 15
warm = 5
network = { width = 4 }
"""


def exchange(name):
    """Return the table of what goes from the land to the exchange."""
    water = "" if name in GIVEN else "water = false\n"
    return f'[[exchange]]\nsource = "land.{name}"\ntarget = "runoff"\n{water}\n'


HELD = 'held_out = ["side"]'
CASE = CASE.replace("EXCHANGES\n", "".join(exchange(name) for name in SIGNALS))


@pytest.fixture(scope="module", autouse=True)
def place():
    """Make the Delaware once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(delaware_exchange, "delaware_place", functools.cache(delaware_place))
        yield


def half_late(values):
    """Return what leaves the land if half of the quick runoff comes a day late."""
    late = torch.from_numpy(sum(values[name] for name in GIVEN))
    quick = torch.from_numpy(values["surface_runoff_flux"])
    late[1:] += 0.5 * (quick[:-1] - quick[1:])
    return late


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with what land gives, and discharge of a truth: half comes a day late."""
    folder = tmp_path_factory.mktemp("world")
    place = delaware_place()
    random = np.random.default_rng(0)
    rain = random.exponential(6.0, (DAYS, 1)) * (np.arange(DAYS)[:, None] % 3 == 0)
    cells = len(place.graph["land"].measure)
    values = {name: np.full((DAYS, cells), 5.0) for name in SIGNALS}
    values["surface_runoff_flux"] = rain * random.uniform(0.5, 1.0, cells)
    values["precipitation_flux"] = np.repeat(2.0 * rain, cells, axis=1)
    units = SIGNALS | {"lost": "d-1"}
    values["lost"] = random.uniform(0.0, 0.1, (DAYS, cells))
    days = pd.date_range("1979-01-01", periods=DAYS)
    land = xr.Dataset(
        {n: (("time", "cell"), v, {"units": units[n]}) for n, v in values.items()}, {"time": days}
    )
    land.to_netcdf(folder / "land.nc")
    arriving = untrained_coupler(place).arriving(half_late(values))
    flow = place.routing.route(arriving).discharge.numpy()
    truth = xr.Dataset(
        {f"channel.{DISCHARGE}": (("time", "segment"), flow, {"units": "m3 s-1"})}, {"time": days}
    )
    truth.to_netcdf(folder / "truth.nc")
    segments = list(GAGES.values())
    gages = xr.Dataset(
        {
            "discharge": (("gage", "time"), 1e3 * flow[:, segments].T, {"units": "L s-1"}),
            "gage_segment": ("gage", segments),
        },
        {"gage": list(GAGES), "time": days},
    )
    gages["discharge"][0, 12] = np.nan
    gages.to_netcdf(folder / "gages.nc")
    gages.assign(gage_segment=("gage", [*segments[:3], 456])).to_netcdf(folder / "far.nc")
    gages.assign_coords(gage=["upper", "middle", "lower", "upper"]).to_netcdf(folder / "twice.nc")
    return folder


@pytest.fixture
def write(world, tmp_path):
    """Return what writes the case, with some text in the place of other."""
    for path in world.glob("*.nc"):
        (tmp_path / path.name).symlink_to(path)

    def written(*changes):
        text = CASE
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "case.toml"
        path.write_text(text)
        return path

    return written


def test_a_case_learns_from_gages_and_runs_with_what_it_learned(write, tmp_path):
    path = write()
    shown = CliRunner().invoke(app, ["train-coupler", str(path)])
    assert shown.exit_code == 0, shown.output
    skill = pd.read_csv(tmp_path / "case-training/skill.csv")
    assert list(skill["days"]) == ["learned from"] * 2 + ["test"] * 2
    assert list(skill["count"]) == [3, 1, 3, 1]
    assert (skill["NSE with"] > skill["NSE without"]).all()
    assert "held out" in shown.output
    card = verify_weights(tmp_path / "runoff.safetensors").card
    assert card["data"]["held_out"] == ["side"]
    shown = CliRunner().invoke(app, ["weights", "verify", str(tmp_path / "runoff.safetensors")])
    assert shown.exit_code == 0, shown.output
    shown = CliRunner().invoke(app, ["run", str(path)])
    assert shown.exit_code == 0, shown.output
    flow = xr.load_dataset(tmp_path / "case-run/runoff.nc", engine="netcdf4")["runoff_flux"]
    given = xr.load_dataset(tmp_path / "land.nc")
    other = sum(given[name] for name in GIVEN).values != flow.values
    # one cell, a lake, is out of the range of what the others are
    assert other[given["surface_runoff_flux"].values > 0.0].mean() == pytest.approx(764 / 765)


REFERENCE = "[train.observations]", '[train]\nreference = "truth.nc"\n\n[train.observations]'


def test_a_case_learns_from_gages_and_a_reference(write):
    both = write(REFERENCE, ('"gages.nc"', '"gages.nc"\nsegments = [200]'))
    trained = train_coupler(cases.load_coupled(both))
    assert list(trained.skill["count"]) == [4, 1, 4, 1]
    alone = write(REFERENCE, ('discharge = "gages.nc"', "segments = [30, 150]"), (HELD, ""))
    with pytest.raises(SettingsError, match="a run in this directory already"):
        train_coupler(cases.load_coupled(alone))
    alone.write_text(alone.read_text().replace("[train]", '[train]\ndirectory = "alone"'))
    trained = train_coupler(cases.load_coupled(alone))
    assert list(trained.skill["count"]) == [2, 2]
    assert (trained.skill["NSE with"] > trained.skill["NSE without"]).all()


def test_a_training_goes_on(write, tmp_path, monkeypatch):
    step = observations._School._step

    def pressed(school):
        if len(school.losses) == 2:
            signal.raise_signal(signal.SIGINT)
        step(school)

    with monkeypatch.context() as patched:
        patched.setattr(observations._School, "_step", pressed)
        shown = CliRunner().invoke(app, ["train-coupler", str(write())])
    assert shown.exit_code == 130
    assert "--resume" in shown.output
    assert not (tmp_path / "runoff.safetensors").exists()
    assert not train_coupler(cases.load_coupled(tmp_path / "case.toml"), resume=True).interrupted
    assert (tmp_path / "runoff.safetensors").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('period = ["1979-01-05", "1979-01-30"]\n', "", "'period' is missing"),
        ('"gages.nc"', '"gauges.nc"', "no file or folder"),
        ('discharge = "gages.nc"\n', "", "nothing to learn from"),
        ('discharge = "gages.nc"', "segments = [3]", "there is none"),
        ("silent =", "silence =", "did you mean 'silent'"),
        ('held_out = ["side"]', "held_out = 0.2", "a list of names.*or a whole number"),
    ],
)
def test_a_table_that_is_not_one_is_refused(write, old, new, message):
    with pytest.raises(CaseError, match=rf"{message}.*\[train\.observations\]"):
        cases.load_coupled(write((old, new)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('weights = "runoff.safetensors"', "", "come with the package"),
        ('weights = "runoff.safetensors"', 'weights = "delaware-runoff"', "come with the package"),
        ('"gages.nc"', '"gages.nc"\ncomponent = "run"', "did you mean 'runoff'"),
        ("width = 4", "widht = 4", "did you mean 'width'"),
        ("width = 4", "memory = 4", "no choice 'memory'"),
        ("width = 4", "width = 0", "width=0 is not a positive"),
        ("window = 15", "window = 0", "window=0 is less than 1"),
        ("window = 15", "window = 31", "The window has 31 days, the record 30"),
        ('"1979-01-30"]', '"the end"]', "no dates"),
        ('"1979-01-05", "1979-01-30"', '"1980-01-05", "1980-01-30"', "No day of the run"),
        ('"1979-01-31"', '"1979-01-30"', "test are learned from"),
        ('"gages.nc"', '"far.nc"', "The segment 456 of 'side' is none of the 456"),
        ('"gages.nc"', '"twice.nc"', "A gage is there twice"),
        ('["side"]', '["slide"]', "no gage 'slide' .*did you mean 'side'"),
        ('["side"]', "4", "4 of 4 gages cannot"),
        ('["side"]', '["side", "upper", "middle", "lower"]', "All gages are held out"),
        ('["side"]', '["side"]\nleast_days = 41', "No gage was observed on 41 days"),
        ('"gages.nc"', '"land.nc"', "no 'discharge' over gage and time"),
    ],
)
def test_what_cannot_be_learned_is_refused(write, world, monkeypatch, old, new, message):
    land = xr.load_dataset(world / "land.nc")
    monkeypatch.setattr(runoff_training, "_run", lambda runoff, progress: (land, None))
    case = cases.load_coupled(write((old, new)))
    with pytest.raises((CaseError, DataError, SettingsError), match=message):
        train_coupler(case)


def test_land_that_depends_on_the_exchange_is_refused(write):
    case = cases.load_coupled(write())
    back = Exchange("runoff.runoff_flux", "land.surface_runoff_flux")
    with pytest.raises(CaseError, match="'land' gives to 'runoff' depends on what 'runoff' does"):
        train_coupler(dataclasses.replace(case, exchanges=(*case.exchanges, back)))


@hw.model
def slope(m):
    """A linear store, which also loses water."""
    taken = m.forcing("taken", "mm d-1")
    lost = m.forcing("lost", "d-1")
    k = m.parameter("k", "d-1", (1e-2, 1), 0.5)
    store = m.state("store", "mm", initial=3)
    left = m.flux("left", k * store, "mm d-1")
    leak = m.flux("leak", lost * store, "mm d-1")
    m.derivative(store, taken - left - leak)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return the run directory of a surrogate on the cells of the land."""
    days = pd.date_range("2001-01-01", periods=60)
    taken = np.random.default_rng(0).gamma(0.4, 10.0, (1, 60))
    data = {"taken": taken, "seen": 0.3 * taken + 1.0, "lost": np.full((1, 60), 0.05)}
    units = {"taken": "mm d-1", "seen": "mm d-1", "lost": "d-1"}
    folder = tmp_path_factory.mktemp("run") / "slope"
    hw.fit(
        slope,
        xr.Dataset(
            {n: (("basin", "time"), v, {"units": units[n]}) for n, v in data.items()},
            {"basin": ["a"], "time": days},
        ),
        observed={"left": "seen"},
        train=("2001-01-01", "2001-02-28"),
        warmup=0,
        schedule=[hw.Stage("joint", 2)],
        directory=folder,
        engine="embedded",
        method="rk4",
    )
    area = delaware_place().graph["land"].measure.numpy()
    write_description(folder, Description(area=area))
    return folder


BEHIND = """
[components.slope]
kind = "surrogate"
model = "slope"
engine = "embedded"

[components.channel]
kind = "prms-channel"
inputs = { subsurface_runoff_flux = 0.0, groundwater_discharge_flux = 0.0 }

[[exchange]]
source = "runoff.runoff_flux"
target = "slope.taken"

[[exchange]]
source = "land.lost"
target = "slope.lost"

[[exchange]]
source = "slope.left"
target = "channel.surface_runoff_flux"

[output]"""
OUTPUT = "variables = { runoff", f'variables = {{ channel = ["{DISCHARGE}"], runoff'


def test_a_case_learns_through_a_surrogate_behind_the_exchange(write, fitted, tmp_path):
    """What the training simulates is what the coupled run then gives."""
    (tmp_path / "slope").symlink_to(fitted)
    path = write(("\n[output]", BEHIND), OUTPUT)
    land = xr.load_dataset(tmp_path / "land.nc")
    component = SurrogateComponent(model=fitted, engine="embedded")
    component.initialize()
    through = component.flow("taken", "left", inputs={"lost": land["lost"].values})
    place = delaware_place()
    left, _ = through(half_late({name: land[name].values for name in GIVEN}))
    flow = place.routing.route(untrained_coupler(place).arriving(left)).discharge.numpy()
    gages = xr.load_dataset(tmp_path / "gages.nc")
    gages["discharge"][:] = 1e3 * flow[:, list(GAGES.values())].T
    (tmp_path / "gages.nc").unlink()
    gages.to_netcdf(tmp_path / "gages.nc")

    skill = train_coupler(cases.load_coupled(path)).skill
    assert (skill["NSE with"] > skill["NSE without"]).all()
    shown = CliRunner().invoke(app, ["run", str(path)])
    assert shown.exit_code == 0, shown.output
    run = xr.load_dataset(tmp_path / "case-run/channel.nc", engine="netcdf4")[DISCHARGE]
    found = scores.nse(
        run[30:].isel({run.dims[1]: [GAGES["side"]]}).rename({run.dims[1]: "gage"}),
        (gages["discharge"].T[30:, 3:] / 1e3).assign_attrs(units="m3 s-1").reset_coords(drop=True),
    )
    last = skill.iloc[-1]
    assert (last["days"], last["gages"]) == ("test", "held out")
    assert float(found.median()) == pytest.approx(last["NSE with"], rel=1e-7)


@pytest.mark.parametrize(
    "changes",
    [
        [("channel.surface_runoff_flux", "again.taken")],
        [
            ("slope.taken", 'slope.taken"\nshare = 0.5 #'),
            ("slope.left", 'runoff.runoff_flux"\nshare = 0.5 #'),
        ],
    ],
    ids=["two of them", "past it"],
)
def test_a_surrogate_that_gradients_cannot_go_through_is_refused(write, fitted, tmp_path, changes):
    (tmp_path / "slope").symlink_to(fitted)
    again = '[components.again]\nkind = "surrogate"\nmodel = "slope"\ninputs = { lost = 0.0 }\n\n'
    more = BEHIND.replace("[components.channel]", again + "[components.channel]")
    for old, new in changes:
        assert old in more
        more = more.replace(f'"{old}"', f'"{new}"')
    case = cases.load_coupled(write(("\n[output]", more)))
    with pytest.raises(CaseError, match="'slope' stands between 'runoff' and the channel"):
        train_coupler(case)


def test_a_component_that_gradients_cannot_go_through_is_refused(write):
    more = """
[components.ground]
kind = "prms-groundwater"

[[exchange]]
source = "runoff.runoff_flux"
target = "ground.groundwater_recharge_flux"

[output]"""
    case = cases.load_coupled(write(("\n[output]", more)))
    with pytest.raises(CaseError, match=r"'ground' takes .* 'prms-groundwater'.*components.ground"):
        train_coupler(case)
