"""PRMS in parts, coupled, against pywatershed's own coupled run."""

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("pywatershed")
sys.path.insert(0, str(Path(__file__).parents[1] / "components"))

from prms_runs import own_model, own_step, weather

from hybridwater.components import get_component
from hybridwater.coupling import CoupledModel, Exchange

DAYS = 40
DISCHARGE = "water_volume_transport_in_river_channel"
UNITS = {
    "lwe_precipitation_rate": "inch d-1",
    "minimum_air_temperature": "degF",
    "maximum_air_temperature": "degF",
}


def records():
    time = np.datetime64("1979-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    return xr.Dataset(
        {
            name: (("time", "hru"), values[:DAYS], {"units": UNITS[name]})
            for name, values in weather().items()
        },
        {"time": time},
    )


@pytest.mark.slow
def test_equals_pywatershed_at_every_segment_and_day():
    parts = {
        n: get_component(f"prms-{n}")(compile=False) for n in ("land", "groundwater", "channel")
    }
    model = CoupledModel(
        {"weather": get_component("forcing")(data=records()), **parts},
        [
            *(Exchange(f"weather.{name}", "land") for name in UNITS),
            Exchange("land.groundwater_recharge_flux", "groundwater"),
            Exchange("land.surface_runoff_flux", "channel"),
            Exchange("land.subsurface_runoff_flux", "channel"),
            Exchange("groundwater.groundwater_discharge_flux", "channel"),
        ],
        outputs={"channel": [DISCHARGE]},
    )
    model.run(f"{DAYS} d")
    ours = model.output("channel")[DISCHARGE]
    assert ours.attrs["units"] == "m3 s-1"
    assert str(ours["time"].values[0])[:10] == "1979-01-01"
    theirs = own_model()
    for day in range(DAYS):
        own_step(theirs)
        expected = theirs.processes["PRMSChannel"].seg_outflow * 0.3048**3
        assert ours[day].values == pytest.approx(expected, rel=1e-10)
    ledger = model.ledger()
    handled = abs(ledger["boundary_flux"]).sum("flux") + abs(ledger["storage"]).sum("component")
    assert (abs(ledger["residual"]) <= 1e-12 * handled).all()
    assert float(ledger["total_unobserved"]) > 0  # the rain
