"""Twelve cells of land on a small river, with a made truth that an exchange can learn."""

import numpy as np
import torch

import hybridwater as hw
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.meshes import RiverNetwork, basin_map, column_mesh
from hybridwater.mgn import MuskingumRouting, RunoffCoupler, RunoffRecord, make_graph

GIVEN = {"surface_runoff_flux": True, "groundwater_discharge_flux": False}
SIGNALS = {"precipitation_flux": "kg m-2 d-1", "mass_content_of_water_in_soil": "kg m-2"}
STATIC = {"land": {"slope": np.linspace(0.0, 1.0, 12)}}


def place():
    """Return the graph, the shares and the routing."""
    river = RiverNetwork([2, 2, 3, -1], [4e3] * 4)
    points = np.stack([np.arange(12) % 4, 4000 + np.arange(12) // 4], axis=1) / 100
    land = column_mesh(np.linspace(1e6, 2e6, 12), points)
    remap = basin_map(land, river, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, -1])
    graph = make_graph({"land": land, "river": river}, links={("land", "river"): remap}, least=4)
    return graph, remap.shares, MuskingumRouting(river, [3.0, 5.0, 9.0, 30.0], [0.2] * 4)


def coupler(seed=0, **choices):
    """Return an exchange that is not trained."""
    torch.manual_seed(seed)
    graph, shares, _ = place()
    options = {"given": GIVEN, "signals": SIGNALS, "static": STATIC, "width": 8, **choices}
    return RunoffCoupler.of(graph, shares, **options)


def water(days=60, seed=0):
    """Return what land gives and what it is like."""
    random = np.random.default_rng(seed)
    rain = random.exponential(6.0, (days, 12)) * (random.random((days, 1)) < 0.3)
    given = np.stack([0.4 * rain, np.full_like(rain, 0.8)], axis=-1)
    soil = 50.0 + np.cumsum(rain - rain.mean(), axis=0).clip(-40, 40)
    return torch.from_numpy(given), torch.from_numpy(np.stack([rain, soil], axis=-1))


def record(days=60, held=0.6):
    """Return a record in which a part of the quick runoff came a day late."""
    given, signals = water(days)
    truth = given.clone()
    truth[..., 0] *= 1.0 - held
    truth[1:, :, 0] += held * given[:-1, :, 0]
    made = coupler()
    flow = place()[2].at([2, 3])(made.arriving(truth.sum(-1)))
    observed = flow.clone()
    observed[5, 0] = torch.nan
    return RunoffRecord(given, signals, observed)


@hw.model
def aquifer(m):
    """A store behind an exchange, which empties faster where it is fuller."""
    recharge = m.forcing("recharge", "mm d-1")
    k = m.parameter("k", "d-1", (1e-3, 1), 0.2)
    full = m.parameter("full", "mm", (1, 100), 20)
    store = m.state("store", "mm", initial=4)
    q = m.flux("q", k * store + k * store * store / full, "mm d-1")
    m.derivative(store, recharge - q)


def behind(engine="embedded", k=0.2):
    """Return the flow of a surrogate on the twelve cells of the land."""
    made = SurrogateComponent(
        model=aquifer,
        area=np.linspace(1e6, 2e6, 12),
        parameters={"k": k},
        options={"method": "rk4"},
        engine=engine,
    )
    made.initialize()
    return made.flow("recharge", "q")
