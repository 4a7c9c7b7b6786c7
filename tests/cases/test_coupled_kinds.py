"""Case files with a river network, and with demands beside a cycle that is iterated."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hybridwater import cases

RIVERS = """
[run]
end = "6 d"

[meshes.rivers]
kind = "rivers"
path = "RouteLink.nc"

[components.land]
kind = "hybridwater.components.template:Template"
area = [1e6, 2e6]
inputs = { recharge_flux = 3.0 }

[components.reaches]
kind = "reservoirs:Litres"
area = [1e4, 1e4, 3e4]
mesh = "rivers"

[[exchange]]
source = "land.runoff_flux"
target = "reaches.inflow"
remap = [1, 0]

[output]
directory = "run"
report = false
"""

SHARED = """
[run]
end = "20 d"
iteration = { tolerance = 1e-10 }

[components.surface]
kind = "pairs:Surface"

[components.aquifer]
kind = "pairs:Aquifer"

[components.lake]
kind = "test_demand:Lake"
initial = 20.0
inputs = { recharge_flux = 1.0 }

[components.farm]
kind = "test_demand:Farm"
wants = 0.1
area = [1e6, 2e6]

[[exchange]]
source = "surface.leakage_flux"
target = "aquifer"

[[exchange]]
source = "aquifer.groundwater_head"
target = "surface"

[[exchange]]
source = "aquifer.baseflow_flux"
target = "lake.recharge_flux"

[[demand]]
demand = "farm.irrigation_demand"
realised = "farm.irrigation_flux"
supply = "lake.abstraction"
available = "lake.reservoir_amount"
cells = [0, 0]

[output]
directory = "run"
report = false
"""


@pytest.fixture(autouse=True)
def beside(tmp_path, monkeypatch):
    """Put the components of the tests of coupling beside the case files."""
    helpers = Path(__file__).parents[1] / "coupling"
    for name in ("pairs", "reservoirs", "test_demand"):
        shutil.copy(helpers / f"{name}.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def ran(folder, text):
    (folder / "case.toml").write_text(text)
    model = cases.load_coupled(folder / "case.toml").run(progress=False)
    ledger = model.ledger()
    stored = ledger["storage"].sum("component")
    assert (abs(ledger["residual"]) <= 1e-12 * stored).all()
    return model, ledger


def test_reaches_of_a_file_are_the_cells_of_a_component(tmp_path):
    reaches = {"link": [7, 8, 9], "to": [9, 9, 0], "Length": [500.0, 800.0, 900.0]}
    reaches |= {"lon": [-98.0, -98.1, -98.2], "lat": [30.0, 30.1, 30.2]}
    data = xr.Dataset({name: ("feature", values) for name, values in reaches.items()})
    data.to_netcdf(tmp_path / "RouteLink.nc")
    model, ledger = ran(tmp_path, RIVERS)
    network = model.component("reaches").mesh(0)
    assert network.name == "rivers"
    assert list(network.to) == [2, 2, -1]
    given, fluxes = float(ledger["total_delivered"].sum()), ledger["boundary_flux"]
    assert given > 0.0
    np.testing.assert_allclose(fluxes.sel(flux="reaches.inflow").sum(), given, rtol=1e-12)
    model.close()


def test_demands_and_a_cycle_that_is_iterated(tmp_path):
    from pairs import Aquifer, Surface, monolithic

    model, _ = ran(tmp_path, SHARED)
    surface, aquifer = Surface(), Aquifer()
    aquifer.initialize()
    amounts, heads = monolithic(surface, aquifer, 20)
    found = model.component("surface").get_value_ptr("surface_amount")
    np.testing.assert_allclose(found, amounts, rtol=1e-8)
    found = model.component("aquifer").get_value_ptr("groundwater_head")
    np.testing.assert_allclose(found, heads, rtol=1e-8)
    (passes,) = model.iterations.values()
    assert len(passes) == 20
    assert max(passes) > 1
    assert model.component("farm").kept == pytest.approx([2.0, 2.0])  # all that was wanted
    model.close()
