import importlib.resources
import importlib.util

import numpy as np
import pytest
import xarray as xr

from hybridwater import cases, demo
from hybridwater.cases.coupled_report import write_coupled_report
from hybridwater.cases.delaware import delaware_case, gage_discharge, gage_section, gage_skill
from hybridwater.data import read_delaware
from hybridwater.errors import CaseError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pywatershed") is None,
    reason="pywatershed, which carries the data, is not installed",
)


def test_the_case_is_the_template(tmp_path):
    path = cases.write_template(tmp_path, "delaware")
    assert path.name == "delaware.toml"
    ours, theirs = cases.load_coupled(path), delaware_case()
    assert [e.label for e in ours.exchanges] == [e.label for e in theirs.exchanges]
    assert list(ours.components) == ["land", "groundwater", "channel"]
    with pytest.raises(CaseError, match=r"a delaware\.toml already"):
        cases.write_template(tmp_path, "delaware")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the cases without numba, which takes long to compile, by whether one is learned."""
    folder = cases.write_template(tmp_path_factory.mktemp("basin"), "delaware").parent
    found = {}
    for learned, file in ((False, "delaware.toml"), (True, "delaware-learned.toml")):
        text = (folder / file).read_text()
        for name in ("land", "groundwater", "channel"):
            text = text.replace(f'kind = "prms-{name}"', f'kind = "prms-{name}"\ncompile = false')
        (folder / file).write_text(text.replace("# compile = false", "#"))
        found[learned] = cases.load_coupled(folder / file)
    return found


@pytest.fixture(scope="module")
def quick(both):
    return both[False]


@pytest.fixture(scope="module")
def model(quick):
    """Return the first week."""
    return quick.run(until="1979-01-08")


def test_discharge_stands_beside_what_was_observed(model):
    discharge = gage_discharge(model)
    assert dict(discharge.sizes) == {"gage": 101, "time": 7}
    assert discharge["simulated"].attrs["units"] == "m3 s-1"
    assert np.isfinite(discharge["simulated"].values).all()
    whole = discharge.sel(gage="01463500")["simulated"]  # the river at Trenton
    assert (whole.values[-1] > discharge["simulated"].isel(time=-1).values).sum() >= 95


def test_the_water_closes(model):
    ledger = model.ledger()
    assert float(abs(ledger["total_residual"]) / ledger["total_inflow"].sum()) < 1e-14
    assert ledger["total_unmapped"].values == pytest.approx(0)


def test_the_section_has_a_map_and_hydrographs(model):
    discharge = gage_discharge(model)
    section = gage_section(discharge)
    assert len(section.figures) == 3
    median = gage_skill(discharge)["NSE"].median()
    assert f"Median NSE {median:.3f}" in section.text


def test_the_demo_tells_skill_and_closure(both, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "hybridwater.cases.delaware.delaware_case", lambda learned=False: both[learned]
    )
    made = demo.run_coupled(
        tmp_path / "coupled", until="1979-01-04", since="1979-01-02", show_progress=False
    )
    assert [section.title for section in made.sections] == [
        "Discharge",
        "Learned exchange",
        "Components and exchanges",
        "Water",
        "Time",
    ]
    assert made.closure < 1e-12
    text = made.summary()
    assert "3 days" in text
    assert f"median NSE {made.skill['NSE'].median():.3f} at 101 gages" in text
    # runoff that is held back for a day or two: the first days differ
    assert not np.allclose(made.learned["NSE"], made.baseline["NSE"], equal_nan=True)
    one, other = made.learned["NSE"].median(), made.baseline["NSE"].median()
    assert f"{one:.3f} (without: {other:.3f})" in text
    assert f"median NSE {one:.3f}" in made.sections[1].text


def test_fallbacks_of_the_learned_exchange_are_in_the_report(both, tmp_path):
    model = both[True].run(directory=tmp_path, until="1979-01-03")
    (count, calls) = model.fallbacks["runoff, cell by cell"]
    assert 0 < count < calls == 2 * 765  # it learned nothing from the first days of 1979
    page = write_coupled_report(both[True], model, tmp_path).read_text()
    assert "runoff, cell by cell" in page
    assert f"{calls}" in page


def test_the_demo_scores_an_ensemble_of_the_coupled_run(both, tmp_path):
    folder = importlib.resources.files("hybridwater.demo")
    text = (folder / "delaware-ensemble.toml").read_text()
    for name in ("land", "groundwater", "channel"):
        text = text.replace(f'kind = "prms-{name}"', f'kind = "prms-{name}"\ncompile = false')
    text = text.replace("end = 1981-01-01", "end = 1979-01-13")
    (tmp_path / "short.toml").write_text(text.replace("warmup = 365", "warmup = 2"))
    gages = read_delaware().observed.sel(gage=["01440000", "01440400", "01449360"])
    error = np.random.default_rng(0).normal(0.1, 0.3, gages["discharge"].shape)
    simulated = gages["discharge"] * np.exp(error)
    discharge = gages[["latitude", "longitude"]].assign(
        segment=gages["gage_segment"],
        observed=gages["discharge"],
        simulated=simulated.assign_attrs(gages["discharge"].attrs),
    )
    made = demo.run_forecast(
        tmp_path / "out", discharge, case=tmp_path / "short.toml", members=2, show_progress=False
    )
    assert [section.title for section in made.sections] == [
        "What is uncertain",
        "Forecast of channel.water_volume_transport_in_river_channel",
        "Skill of the ensemble",
    ]
    assert made.closure < 1e-12
    assert made.skill.sizes == {"gage": 3}
    text = made.summary()
    assert "2 members" in text
    assert f"CRPS skill {float(made.skill.median()):.3f}" in text
    with xr.open_dataset(tmp_path / "out" / "ensemble.nc") as found:
        flow = found["channel.water_volume_transport_in_river_channel"]
        assert flow.sizes == {"member": 2, "gage": 3, "time": 12}
        assert (flow.isel(member=0) != flow.isel(member=1)).all("time").all()
    # what it wrote is enough to run it again
    again = cases.load_ensemble(tmp_path / "out" / "delaware-ensemble.toml", off=["rain", "error"])
    assert list(again.ensemble.active) == ["groundwater"]
