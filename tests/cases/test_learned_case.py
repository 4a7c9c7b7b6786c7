"""An exchange that is learned, by one word in the case file."""

import numpy as np
import pytest
import torch
import xarray as xr
from learned_case import AIR, CASE, HEIGHT, LAND, write
from typer.testing import CliRunner

from hybridwater import cases
from hybridwater.cli import app
from hybridwater.errors import CaseError, CouplingError, WeightsError
from hybridwater.meshes import conservative_remap
from hybridwater.mgn import LearnedRemap


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


def test_weights_that_are_not_there_yet_are_asked_for(tmp_path):
    xr.Dataset({"height": ("cell", HEIGHT)}).to_netcdf(tmp_path / "land.nc")
    case = cases.load_coupled(write(tmp_path))
    with pytest.raises(WeightsError, match="There is no such file"):
        case.build()
