import numpy as np
import pytest
import torch

from hybridwater.components import check, get_component
from hybridwater.components.learned_dynamics import LearnedDynamics
from hybridwater.coupling import CoupledModel, Exchange
from hybridwater.errors import ComponentError, DataError
from hybridwater.meshes import RiverNetwork, raster_mesh
from hybridwater.mgn import Episode, FluxDynamics, IncrementDynamics, make_graph

LAND = raster_mesh(np.arange(5) * 100.0, np.arange(4) * 100.0, name="land")
RIVER = RiverNetwork([1, 2, 3, -1], [500.0] * 4, name="river")
DEPTH = np.linspace(0.0, 2.0, 12)


def dynamics(cells=LAND, kind=FluxDynamics, *, units=("m", "m"), step=86400.0, **choices):
    """Return dynamics with random weights, of levels that even out under recharge."""
    torch.manual_seed(0)
    size, random = cells.size, np.random.default_rng(0)
    first = np.linspace(0.0, 2.0, size) + 1.0
    states = first.mean() + np.exp(-0.1 * np.arange(6))[:, None] * (first - first.mean())
    rain = 0.01 * random.random((5, size))
    states[1:] += rain.cumsum(axis=0)
    graph = make_graph({"ground": cells}, least=4)
    names = ("depth", "recharge")
    episode = Episode(
        graph, states[..., None], forcing=rain[..., None], names=names, units=units, step=step
    )
    if kind is FluxDynamics:
        choices = {"source": "recharge", **choices}
    made = kind.of([episode], width=8, **choices)
    made.train()
    made(
        graph, *(torch.as_tensor(x) for x in (states[0, :, None], rain[0, :, None])), episode.static
    )
    return made.eval()


def component(**options):
    """Return a component with such dynamics."""
    given = {"weights": dynamics(), "mesh": LAND, "initial": {"depth": DEPTH}, **options}
    return LearnedDynamics(**given)


def test_passes_the_checker():
    assert get_component("learned-dynamics") is LearnedDynamics
    for made in (
        component(),
        component(weights=dynamics(kind=IncrementDynamics)),
        component(
            weights=dynamics(RIVER, form="free", units=("m2", "m2")),
            mesh=RIVER,
            initial={"depth": 3.0},
        ),
    ):
        assert {f.state for f in check(made)} <= {"ok", "skipped"}


def test_it_is_a_rollout_and_its_ledger_closes(tmp_path):
    made = dynamics()
    path = made.save(tmp_path / "ground.safetensors")
    air = get_component("hybridwater.components.template:Template")(
        area=LAND.areas,
        initial=np.linspace(0.0, 900.0, 12),
        mesh=LAND,
        inputs={"recharge_flux": 0.0},
    )
    run = CoupledModel(
        {"air": air, "ground": component(weights=path, storativity=0.3)},
        [Exchange("air.runoff_flux", "ground.recharge")],
        outputs={"ground": ["depth", "recharge"]},
    )
    run.run("8 d", progress=False)
    ledger = run.ledger()
    assert float((abs(ledger["total_residual"]) / ledger["total_inflow"].sum()).max()) < 1e-12
    found = run.output("ground")
    depth = np.vstack([DEPTH, found["depth"].values])[..., None]
    given = found["recharge"].values[..., None] * 86400.0 / 300.0  # 0.3 of a cell is water
    assert (given.sum(axis=(1, 2)) > 0.0).all()
    known = {"names": made.names, "units": made.units, "step": made.step}
    graph = make_graph({"ground": LAND})
    said = made.rollout(Episode(graph, depth, forcing=given, **known))
    np.testing.assert_allclose(said, depth, rtol=1e-12)


def test_a_well_takes_no_more_than_there_is():
    made = component(inputs={"recharge": -0.02})  # 1.7 m in a day
    made.initialize()
    before = sum(made.storage()["depth"])
    made.update()
    fluxes = made.boundary_fluxes()
    after = sum(made.storage()["depth"])
    assert after - before == pytest.approx(sum(sum(x) for x in fluxes.values()))
    assert fluxes["unmet_flux"][0] == pytest.approx(0.02 * 86400 * 1e4)  # nothing was there
    assert made.get_value_ptr("depth").min() >= 0.0


def test_what_does_not_fit_is_refused():
    for options, message in (
        ({"weights": dynamics(units=("m", ""))}, "no step or not all units"),
        ({"mesh": None}, "need cells"),
        ({"weights": dynamics(step=None)}, "no step or not all units"),
        ({"weights": dynamics(units=("K", "K"))}, "'depth' in 'K' is no water"),
        ({"initial": {"dept": 1.0}}, "did you mean 'depth'"),
        ({"initial": {"depth": [1.0, 2.0]}}, "12"),
        ({"static": {"recharge": 1.0}, "initial": {"depth": 1.0}}, "source"),
    ):
        with pytest.raises(ComponentError, match=message):
            component(**options)
    with pytest.raises(DataError, match="leaves its bounds"):
        component(initial={"depth": -1.0})
