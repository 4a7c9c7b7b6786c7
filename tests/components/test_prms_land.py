import numpy as np
import pytest

pytest.importorskip("pywatershed", reason="PRMS comes with pywatershed")

import prms_runs as prms

from hybridwater.components import check, get_component
from hybridwater.errors import ComponentError


def test_every_hru_keeps_its_water():
    (land,) = prms.start("land")
    for day in range(60):
        before = sum(land.storage().values())
        prms.step_land(land, day)
        gap = sum(land.storage().values()) - before - sum(land.boundary_fluxes().values())
        moved = sum(abs(f) for f in land.boundary_fluxes().values())
        assert (np.abs(gap) <= 1e-12 * (moved + before)).all()
    assert land.get_value_ptr("surface_snow_amount").max() > 25.0


def test_masses_are_those_of_pywatershed():
    (land,) = prms.start("land")
    own = prms.own_model()
    for day in range(3):
        prms.step_land(land, day)
        prms.own_step(own)
    process, area = own.processes["PRMSRunoff"], land._area
    kilograms = process.sroff_vol * 0.3048**3 * 1000
    np.testing.assert_allclose(
        land.get_value_ptr("surface_runoff_flux") * area, kilograms, rtol=1e-12
    )
    assert area.sum() == pytest.approx(29.7e9, rel=0.2)  # m2


def test_passes_the_checker():
    assert {f.state for f in check(get_component("prms-land")(compile=False))} == {"ok"}


def test_the_last_day_is_the_last():
    land = get_component("prms-land")(compile=False, end="1979-01-02")
    land.initialize()
    prms.step_land(land, 0)
    with pytest.raises(ComponentError, match="no step beyond the end"):
        prms.step_land(land, 1)


def test_hrus_lie_in_the_delaware_basin():
    (land,) = prms.start("land")
    x, y = (getattr(land, f"get_grid_{axis}")(0, np.empty(land.get_grid_size(0))) for axis in "xy")
    assert ((x > -77) & (x < -74)).all()
    assert ((y > 38) & (y < 43)).all()
