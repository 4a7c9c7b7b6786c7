"""Catchments that drain into a river, from a case file."""

import pytest
from coupled_case import write_case

from hybridwater import cases
from hybridwater.errors import CaseError

CASE = """
[run]
start = 2001-01-01
end = "50 d"

[forcing.weather]
source = "csv"
path = "hill.csv"
units = { rain = "mm d-1" }
mesh = "catchments"

[meshes.catchments]
kind = "columns"
areas = [30e6, 20e6, 50e6]
lon = [0.0, 0.1, 0.1]
lat = [45.0, 45.0, 45.1]

[meshes.stream]
kind = "reaches"
to = [2, 2, -1]
lengths = [8e3, 5e3, 12e3]

[components.land]
kind = "hybridwater.components.template:Template"
area = [30e6, 20e6, 50e6]
mesh = "catchments"

[components.river]
kind = "river-routing"
mesh = "stream"
velocity = 1.2

[[exchange]]
source = "weather.rain"
target = "land.recharge_flux"
water = true

[[exchange]]
source = "land.runoff_flux"
target = "river.lateral_water_volume_transport"
remap = [0, 1, 2]

[output]
directory = "run"
report = false

[output.variables]
river = ["water_volume_transport_in_river_channel", "outlet_water_volume_transport"]
"""


def test_catchments_drain_into_a_river(tmp_path):
    model = cases.load_coupled(write_case(tmp_path, CASE)).run()
    flow = model.output("river")["water_volume_transport_in_river_channel"]
    ledger = model.ledger()
    model.close()
    assert flow.sizes["cell"] == 3
    given, left = ledger["total_delivered"][1], ledger["total_outflow"].sel(component="river")
    assert float(given) > 0.0
    assert float(left) == pytest.approx(float(flow[:, 2].sum()) * 86400e3)
    whole = float(ledger["total_inflow"].sum())
    assert abs(float(ledger["total_residual"])) < 1e-12 * whole


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("to = [2, 2, -1]", "to = [2, 2, 7]", "meshes.stream"),
        ("to = [2, 2, -1]", "to = [2, 2, 1]", "circle"),
        ("lengths = [8e3, 5e3, 12e3]", "", "lengths"),
        ("to = [2, 2, -1]", "to = [0.5]", "whole numbers"),
    ],
)
def test_networks_that_cannot_be(tmp_path, old, new, said):
    with pytest.raises(CaseError, match=said):
        cases.load_coupled(write_case(tmp_path, CASE.replace(old, new, 1))).build()
