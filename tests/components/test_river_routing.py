"""Routing through any river network."""

import numpy as np
import pytest

from hybridwater.components import check, get_component
from hybridwater.components.river_routing import RiverRouting, cascades
from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentError
from hybridwater.meshes import RiverNetwork, column_mesh

LATERAL = "lateral_water_volume_transport"
DISCHARGE = "water_volume_transport_in_river_channel"
RIVER = RiverNetwork([2, 2, 3, -1], [18e3, 40e3, 25e3, 60e3])


def made(**options):
    component = RiverRouting(**{"mesh": RIVER, "velocity": 1.0, **options})
    component.initialize()
    return component


def route(component, lateral):
    """Return the discharge of each day, shape (day, reach)."""
    found = []
    for day in lateral:
        component.set_value(LATERAL, day)
        component.update()
        found.append(component.get_value_ptr(DISCHARGE).copy())
    return np.array(found)


@pytest.mark.parametrize("x", [0.0, 0.1, 0.2, 0.25, 0.33, 0.4, 0.45])
def test_reservoirs_have_the_travel_time_and_the_spread_of_muskingum(x):
    counts, shares = cascades(np.array([x, 0.0, x]))
    assert counts[1] == 1
    assert (shares >= 0.0).all()
    of_last = shares[counts[0] + 1 :]
    assert of_last.sum() == pytest.approx(1.0)
    assert (of_last**2).sum() == pytest.approx(1.0 - 2.0 * x)


@pytest.mark.parametrize("parts", [24, 96])
@pytest.mark.parametrize("hours", [0.1, 3.0, 15.0, 30.0])
def test_a_flood_has_the_moments_of_its_reaches(hours, parts):
    river = made(
        mesh=RiverNetwork([1, 2, -1], np.full(3, 1.0)),
        velocity=None,
        travel_time=hours,
        weighting=0.2,
        parts=parts,
    )
    lateral = np.zeros((80, 3))
    lateral[0, 0] = 10.0
    flow = route(river, lateral)
    assert flow[:, -1].sum() == pytest.approx(10.0, rel=1e-6)
    assert (flow >= 0.0).all()
    day = np.arange(80)
    mean = (day * flow[:, -1]).sum() / 10.0
    assert 24.0 * mean == pytest.approx(3.0 * hours, rel=1e-6)
    variance = 24.0**2 * ((day - mean) ** 2 * flow[:, -1]).sum() / 10.0
    if hours > 10.0:  # inflow lasts a day, and flow is grouped by days (Sheppard's correction)
        own = 3.0 * hours * (0.6 * hours + 24.0 / parts)
        assert variance == pytest.approx(own + 2 * 24.0**2 / 12.0, rel=2e-3)


def test_travel_times_are_those_of_a_chain_of_finer_reaches():
    coarse = made(mesh=RiverNetwork([-1], [100e3]), weighting=0.45, velocity=1.5)
    to = [*range(1, 10), -1]
    fine = made(mesh=RiverNetwork(to, np.full(10, 10e3)), weighting=0.0, velocity=1.5)
    lateral = np.zeros((10, 10))
    lateral[0, 0] = 1.0
    ends = route(fine, lateral)[:, -1], route(coarse, lateral[:, :1])[:, -1]
    np.testing.assert_allclose(*ends, atol=1e-12)


def test_a_steady_river_stays_as_it_began():
    lateral = np.array([2.0, 1.0, 0.5, 0.0])
    steady = RIVER.accumulate(lateral)
    river = made(initial=steady)
    np.testing.assert_allclose(route(river, [lateral] * 5), [steady] * 5, rtol=1e-12)
    held = RIVER.lengths / 1.0 * steady * 1000.0  # travel time times flow
    np.testing.assert_allclose(river.storage()["channel"], held, rtol=1e-12)


def test_land_drains_into_a_river_and_no_water_is_missing():
    areas = [50e6, 80e6, 30e6]
    land = get_component("gr4j")(
        area=areas,
        mesh=column_mesh(areas, [[0, 45], [0.1, 45], [0.2, 45]]),
        inputs={"precipitation_flux": 8.0, "water_potential_evaporation_flux": 1.0},
    )
    model = CoupledModel(
        {"land": land, "river": RiverRouting(mesh=RIVER, velocity=1.0)},
        [{"source": "land.runoff_flux", "target": f"river.{LATERAL}", "remap": [0, 1, 2]}],
        outputs={"river": [DISCHARGE]},
    )
    model.run("300 d")
    flow = model.output("river")[DISCHARGE].values
    runoff = land.get_value_ptr("runoff_flux") * areas / 86400e3
    assert flow[-1, 3] == pytest.approx(runoff.sum(), rel=1e-3)
    ledger = model.ledger()
    assert float(ledger["total_delivered"][0]) > 0.0
    assert abs(float(ledger["total_residual"])) < 1e-12 * float(ledger["total_inflow"].sum())


def test_passes_the_checker():
    river = made(inputs={LATERAL: 1.0})
    assert {f.state for f in check(river)} == {"ok"}


def test_runs_that_are_routed_together_are_those_alone():
    parts = [made(initial=k) for k in (0.0, 2.0)]
    both = RiverRouting.stacked(parts)
    both.initialize()
    assert both.get_grid_size(0) == 8
    lateral = np.random.default_rng(0).exponential(size=(5, 2, 4))
    together = route(both, lateral.reshape(5, 8)).reshape(5, 2, 4)
    alone = np.stack([route(p, lateral[:, k]) for k, p in enumerate(parts)], axis=1)
    np.testing.assert_array_equal(together, alone)
    with pytest.raises(ComponentError, match="differ in 'constants'"):
        RiverRouting.stacked([parts[0], made(velocity=2.0)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mesh": None}, "no river network"),
        ({"mesh": column_mesh([1.0], [[0, 0]])}, "no river network"),
        ({"velocity": None}, "not known, or given twice"),
        ({"travel_time": 5.0}, "not known, or given twice"),
        ({"velocity": [1.0, 2.0]}, r"'velocity' has the shape \(2,\), but 'lengths' has 4"),
        ({"velocity": 0.0}, r"'velocity' is 0, which is outside \[1e-06, inf\]"),
        ({"velocity": -1.0}, r"'velocity' is -1, which is outside \[1e-06, inf\]"),
        ({"weighting": 0.5}, r"'weighting' is 0\.5, which is outside \[0, 0\.45\]"),
        ({"parts": 0}, "0 sub-steps"),
        ({"mesh": RiverNetwork([-1], [1e3]), "velocity": [1.0, 2.0]}, "2 values for one reach"),
    ],
)
def test_refusals(options, said):
    with pytest.raises(ComponentError, match=said):
        made(**options)
