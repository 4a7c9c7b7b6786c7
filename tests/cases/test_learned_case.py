"""An exchange that is learned, by one word in the case file."""

from contextlib import closing

import numpy as np
import pytest
import torch
import xarray as xr
from learned_case import AIR, CASE, HEIGHT, LAND, write
from typer.testing import CliRunner

from hybridwater import cases
from hybridwater.cli import app
from hybridwater.errors import (
    CaseError,
    CouplingError,
    HybridwaterError,
    WeightsError,
)
from hybridwater.meshes import conservative_remap
from hybridwater.mgn import LearnedRemap
from hybridwater.mgn.perturbing import perturb_weights
from hybridwater.mgn.storage import read_weights


@pytest.fixture
def weights(tmp_path):
    """Write random weights and the features that they read, and return the path of the weights."""
    torch.manual_seed(0)
    remap = LearnedRemap.of(
        conservative_remap(AIR, LAND),
        AIR,
        LAND,
        target_static={"height": HEIGHT},
        states={"target": {"reservoir_amount": "kg m-2"}},
        memory=2,
        width=4,
        hidden=1,
    )
    with torch.no_grad():
        for values in remap.correction.parameters():
            values.add_(torch.randn_like(values))
    xr.Dataset({"height": ("cell", HEIGHT)}).to_netcdf(tmp_path / "land.nc")
    return remap.save(tmp_path / "rain.safetensors")


def test_one_word_makes_an_exchange_learned(weights, tmp_path):
    case = write(tmp_path)
    shown = CliRunner().invoke(app, ["run", str(case)])
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.output.split())
    assert "air.runoff_flux -> land.recharge_flux: as its baseline in 0 of 8 steps." in said
    assert "Learned exchanges" in (tmp_path / "run/report.html").read_text()
    learned = xr.load_dataset(tmp_path / "run/land.nc", engine="netcdf4")["reservoir_amount"]
    ledger = xr.load_dataset(tmp_path / "run/ledger.nc", engine="netcdf4")
    stored = ledger["storage"].sum("component")
    assert (abs(ledger["residual"]) <= 1e-12 * stored).all()
    plain = write(tmp_path, CASE.replace('remap = "learned"', 'remap = "conservative"'))
    model = cases.load_coupled(plain).run(directory=tmp_path / "plain")
    baseline = model.output("land")["reservoir_amount"].values
    model.close()
    assert np.abs(learned.values - baseline).max() > 1e-3 * baseline.max()


def test_a_case_goes_on_with_what_it_remembers(weights, tmp_path):
    case = cases.load_coupled(write(tmp_path))
    case.run(directory=tmp_path / "whole").close()
    case.run(directory=tmp_path / "parts", until="3 d").close()
    case.run(directory=tmp_path / "parts", restart=tmp_path / "parts/checkpoint.npz").close()
    for name in ("land.nc", "ledger.nc"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('weights = "rain.safetensors"\n', "", "'weights' is missing"),
        ("[exchange.learned]", "[exchange.leaned]", "did you mean 'learned'"),
        ("reads = [", "reeds = [", "did you mean 'reads'"),
        ('"land.nc" }\n', '"sea.nc" }\n', "There is no file or folder"),
        ("{ target =", "{ aim =", "There is no end 'aim'"),
        ("reads = [", "most = 0\nreads = [", "most = 0 is not a positive number"),
        ("reads = [", "unobserved = -0.1\nreads = [", "is not a number from 0"),
        ('["land.reservoir_amount"]', '"land"', "is not a list of 'component.variable'"),
        ('["land.reservoir_amount"]', '["lend.reservoir_amount"]', "did you mean 'land'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(weights, tmp_path, old, new, said):
    with pytest.raises(CaseError, match=said):
        cases.load_coupled(write(tmp_path, CASE.replace(old, new)))


def test_a_case_names_an_unobserved_flux(weights, tmp_path):
    named = CASE.replace("reads = [", "unobserved = 0.2\nreads = [")
    with pytest.raises(CouplingError, match=r"flux of 0, the exchange names 0\.2"):
        cases.load_coupled(write(tmp_path, named)).build()


def test_a_case_bounds_what_arrives(weights, tmp_path):
    def arriving(name, text):
        text = text.replace('land = ["reservoir_amount"]', 'land = ["recharge_flux"]')
        with closing(cases.load_coupled(write(tmp_path, text)).run(directory=tmp_path / name)) as m:
            return m.output("land")["recharge_flux"].values

    free = arriving("free", CASE)
    baseline = arriving("plain", CASE.replace('remap = "learned"', 'remap = "conservative"'))
    most = float(np.median(free[free > baseline]))
    bounded = arriving("bounded", CASE.replace("reads = [", f"most = {most}\nreads = ["))
    assert (free > most).any()
    assert (bounded <= np.maximum(most, baseline) * (1 + 1e-12)).all()
    assert np.abs(bounded - baseline).max() > 1e-2 * baseline.max()


def test_weights_that_are_not_there_yet_are_asked_for(tmp_path):
    xr.Dataset({"height": ("cell", HEIGHT)}).to_netcdf(tmp_path / "land.nc")
    case = cases.load_coupled(write(tmp_path))
    with pytest.raises(WeightsError, match="There is no such file"):
        case.build()


EXCHANGE = "air.runoff_flux -> land.recharge_flux"
ENSEMBLE = f"""
[ensemble]
members = 2
report = false

[ensemble.sources.start]
kind = "initial_state"
factors = {{ "land.content" = {{ lognormal = 0.1 }} }}

[ensemble.sources.exchange]
kind = "coupler_weights"
of = "{EXCHANGE}"
spread = 0.3
"""


def members(folder, text, name):
    with cases.load_ensemble(write(folder, text)).ensemble.run(folder / f"{name}.nc") as found:
        return found["land.reservoir_amount"].values, found["ledger_residual"].values


def test_weights_of_an_exchange_are_a_source_that_can_be_switched_off(weights, tmp_path):
    both, missing = members(tmp_path, CASE + ENSEMBLE, "both")
    assert (missing <= 1e-12).all()  # water is conserved at any weights
    off, _ = members(tmp_path, CASE + ENSEMBLE + "use = false\n", "off")
    start = ENSEMBLE[: ENSEMBLE.index("[ensemble.sources.exchange]")]
    without, _ = members(tmp_path, CASE + start, "without")
    np.testing.assert_array_equal(off, without)
    end = (slice(None), slice(None), -1)
    assert np.abs(both[end] - off[end]).max() > 1e-3 * off.max()
    again, _ = members(tmp_path, CASE + ENSEMBLE, "again")
    np.testing.assert_array_equal(both, again)
    other, _ = members(tmp_path, CASE + ENSEMBLE.replace("= 2\n", "= 2\nseed = 1\n"), "other")
    assert not np.array_equal(both, other)


def test_weights_that_do_nothing_are_no_source(weights, tmp_path):
    text = CASE.replace('remap = "learned"', 'remap = "conservative"')
    with pytest.raises(CaseError, match="does not use its weights"):
        members(tmp_path, text + ENSEMBLE, "none")


def test_members_take_the_weights_of_files(weights, tmp_path):
    other = perturb_weights(weights, tmp_path / "b.safetensors", 0.5, np.random.default_rng(0))
    text = ENSEMBLE.replace("spread = 0.3", 'files = ["rain.safetensors", "b.safetensors"]')
    text = text.replace('kind = "initial_state"', 'use = false\nkind = "initial_state"')
    found, _ = members(tmp_path, CASE + text, "files")
    expected = []
    for name in (weights.name, other.name):
        path = write(tmp_path, CASE.replace("rain.safetensors", name))
        model = cases.load_coupled(path).run(directory=tmp_path / f"run of {name}")
        expected.append(model.output("land")["reservoir_amount"].values)
        model.close()
    assert not np.array_equal(*expected)
    took = [[np.array_equal(one, run) for run in expected] for one in found]
    assert sorted(took) == [[False, True], [True, False]]  # a Latin hypercube


def test_only_last_layers_are_drawn(weights, tmp_path):
    other = perturb_weights(weights, tmp_path / "b.safetensors", 0.5, np.random.default_rng(0))
    (about, before), (said, after) = read_weights(weights), read_weights(other)
    assert about == said
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("decoders." in name and ".tail." in name for name in changed)
    with pytest.raises(WeightsError, match="cannot be read"):
        perturb_weights(tmp_path / "land.nc", other, 0.5, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (EXCHANGE, "air.runof -> land.recharge_flux", "no learned exchange"),
        ("spread = 0.3", "", "or have a spread"),
        ("spread = 0.3", "spread = -1", "or have a spread"),
        ("spread = 0.3", 'files = ["c.safetensors"]', "There is no file"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, tmp_path, old, new, said):
    with pytest.raises(HybridwaterError, match=said):
        cases.load_ensemble(write(tmp_path, CASE + ENSEMBLE.replace(old, new)))
