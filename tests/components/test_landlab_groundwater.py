import numpy as np
import pytest

pytest.importorskip("landlab", reason="the package landlab is not installed")

from hybridwater.components import check
from hybridwater.components.landlab_groundwater import LandlabGroundwater
from hybridwater.errors import ComponentError

SLOPE = np.linspace(0, 3, 8)[:, None] * np.ones((1, 10))


def hillslope(recharge):
    component = LandlabGroundwater(
        elevation=2 + SLOPE, base=SLOPE, water_table=0.8 + SLOPE, inputs={
            "groundwater_recharge_flux": recharge
        },
    )  # fmt: skip
    component.initialize()
    return component


def test_a_steady_aquifer_is_dupuits_parabola():
    # One row between two walls, drained at one end: K h dh/dx = N x, hence the solution below.
    n, dx, conductivity, rate = 12, 25.0, 1e-3, 20.0
    component = LandlabGroundwater(
        shape=(1, n),
        spacing=(dx, dx),
        elevation=100.0,
        water_table=10.0,
        conductivity=conductivity,
        open_edges=("right",),
        step=10.0,
        inputs={"groundwater_recharge_flux": rate},
    )
    component.initialize()
    component.update_until(200.0)
    recharge = rate / 1000 / 86400
    x = (np.arange(n) + 0.5) * dx
    drain = (n + 0.5) * dx  # the ring's node
    exact = np.sqrt(100.0 + recharge / conductivity * (drain**2 - x**2))
    np.testing.assert_allclose(component.get_value_ptr("water_table_elevation"), exact, rtol=5e-3)
    fluxes = {name: f.sum() for name, f in component.boundary_fluxes().items()}
    assert fluxes["lateral_groundwater_flux"] == pytest.approx(
        -fluxes["groundwater_recharge_flux"], rel=1e-4
    )


def test_seepage_is_landlabs_own_diagnostic_up_to_its_error():
    component = hillslope(recharge=8.0)
    component.update_until(120.0)
    own = component._model._qsavg[component._core] * 1000 * 86400
    seepage = component.get_value_ptr("seepage_flux")
    assert seepage.sum() > 50.0
    np.testing.assert_allclose(seepage.sum(), own.sum(), rtol=1e-3)
    drained = component._model.calc_gw_flux_out() * 1000 * 86400
    lateral = component.boundary_fluxes()["lateral_groundwater_flux"].sum()
    assert lateral == pytest.approx(-drained, rel=1e-3)


def test_nothing_is_made_up_while_cells_stay_wet():
    component = hillslope(recharge=8.0)
    for _ in range(20):
        component.update()
        made_up = component.boundary_fluxes()["drying_error_flux"].sum()
        assert made_up < 1e-6  # kg, of 1.6e6 kg of recharge


def test_passes_the_checker():
    assert {f.state for f in check(LandlabGroundwater())} == {"ok"}


def test_bad_input_is_refused():
    with pytest.raises(ComponentError, match="base < water_table <= elevation"):
        LandlabGroundwater(water_table=11.0)
    with pytest.raises(ComponentError, match="porosity 0 cannot be"):
        LandlabGroundwater(porosity=0.0)
    component = hillslope(recharge=-1.0)
    with pytest.raises(ComponentError, match="no uptake"):
        component.update()
