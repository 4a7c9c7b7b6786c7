import numpy as np
import pytest

pytest.importorskip("landlab", reason="the package landlab is not installed")

from hybridwater.components import check
from hybridwater.components.landlab_overland import LandlabOverland
from hybridwater.errors import ComponentError

SLOPE = 1 + np.linspace(0, 0.35, 8)[:, None] * np.ones((1, 10))


def test_a_closed_basin_fills_with_what_rains():
    component = LandlabOverland(open_edges=(), inputs={"rainfall_flux": 240.0})
    component.initialize()
    film = component.get_value_ptr("surface_water_amount").copy()
    component.update_until(2.0)
    amount = component.get_value_ptr("surface_water_amount")
    np.testing.assert_allclose(amount, film + 20.0, rtol=1e-9)


def test_water_runs_downhill_and_out_and_stays_positive():
    component = LandlabOverland(elevation=SLOPE, inputs={"rainfall_flux": 240.0})
    component.initialize()
    component.update_until(2.0)
    assert component.boundary_fluxes()["lateral_surface_water_flux"].sum() < 0
    wet = component.storage()["surface"].sum()
    component.set_value("rainfall_flux", np.zeros(80))
    component.update_until(5.0)
    left = component.storage()["surface"]
    assert (left > 0).all()
    assert left.sum() < 0.2 * wet
    made_up = abs(component.boundary_fluxes()["film_error_flux"]).sum()
    assert made_up < 0.05 * left.sum()


def test_the_depths_are_landlabs_own():
    from landlab import RasterModelGrid
    from landlab.components import OverlandFlow
    from threadpoolctl import threadpool_limits

    component = LandlabOverland(elevation=SLOPE, depth=0.05, inputs={"rainfall_flux": 100.0})
    component.initialize()
    component.update_until(0.5)
    grid = RasterModelGrid((10, 12), xy_spacing=20.0)
    grid.set_closed_boundaries_at_grid_edges(True, True, True, False)
    grid.add_field("topographic__elevation", np.pad(SLOPE, 1, mode="edge").ravel(), at="node")
    grid.add_full("surface_water__depth", 0.05, at="node")
    model = OverlandFlow(grid, steep_slopes=True)
    rain = np.zeros(120)
    rain[grid.core_nodes] = 100.0 / 1000 / 86400
    model.rainfall_intensity = rain
    with threadpool_limits(1, user_api="openmp"):
        for _ in range(2):
            model.overland_flow(dt=900.0)
    ours = component.get_value_ptr("surface_water_amount") / 1000
    np.testing.assert_allclose(ours, grid.at_node["surface_water__depth"][grid.core_nodes], 1e-12)


def test_passes_the_checker():
    assert {f.state for f in check(LandlabOverland(elevation=SLOPE))} == {"ok"}


def test_bad_input_is_refused():
    with pytest.raises(ComponentError, match="must not be negative"):
        LandlabOverland(depth=-0.1)
    component = LandlabOverland(inputs={"rainfall_flux": -1.0})
    component.initialize()
    with pytest.raises(ComponentError, match="rainfall is -1"):
        component.update()
