"""What a surrogate gives, differentiated: the same as its steps, with the right gradients."""

import numpy as np
import pytest
import torch

import hybridwater as hw
from hybridwater.components.surrogate import SurrogateComponent
from hybridwater.errors import ComponentError, ComponentFailed, UnitError

AREA = np.array([1e6, 2.5e6, 4e4])
EXACT = {"method": "tsit5", "rtol": 1e-11, "atol": 1e-11}
ENGINES = ["embedded", pytest.param("julia", marks=pytest.mark.julia)]


@hw.model(time_unit="h")
def lake(m):
    """A store that empties the faster the fuller it is, and loses a share; in hours and m3."""
    inflow = m.forcing("inflow", "m3 h-1")
    demand = m.forcing("demand", "h-1")
    k = m.parameter("k", "h-1", (1e-4, 1), 0.02, log=True)
    full = m.parameter("full", "m3", (1, 1e7), 1e4)
    store = m.state("store", "m3", initial=2e3)
    loss = m.flux("loss", demand * store, "m3 h-1")
    q = m.flux("q", k * store * store / full, "m3 h-1")
    m.derivative(store, inflow - q - loss)


def started(engine="embedded", demand=0.01, **options):
    made = SurrogateComponent(
        model=lake,
        area=AREA,
        engine=engine,
        options=EXACT | options,
        inputs={} if demand is None else {"demand": demand},
    )
    made.initialize()
    return made


def water(days=7, seed=0):
    """Return inflow in kg m-2 d-1, shape (day, cell)."""
    return np.random.default_rng(seed).exponential(3.0, (days, AREA.size))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("method", "rel"), [("tsit5", 1e-8), ("rk4", 1e-12)])
def test_it_gives_what_the_component_gives_step_by_step(engine, method, rel):
    mine, inflow = started(engine, method=method), water()
    demand = np.random.default_rng(1).uniform(0, 0.05, inflow.shape)
    flow = mine.flow("inflow", "q", "kg m-2 d-1", {"demand": demand})
    given, states = flow(torch.from_numpy(inflow))
    for day, (taken, need) in enumerate(zip(inflow, demand, strict=True)):
        mine.set_value("inflow", taken * AREA / 1000 / 24)
        mine.set_value("demand", need)
        mine.update()
        stepped = mine.get_value_ptr("q") * 24 * 1000 / AREA
        np.testing.assert_allclose(given[day], stepped, rtol=rel)
        np.testing.assert_allclose(states[day, :, 0], mine.get_value_ptr("store"), rtol=rel)
    later, _ = flow(torch.from_numpy(inflow[3:]), states[2], first=3)
    np.testing.assert_allclose(later, given[3:], rtol=rel)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_are_those_of_finite_differences(engine):
    flow = started(engine).flow("inflow", "q")
    inflow = torch.from_numpy(water(3)).requires_grad_()
    state = flow.initial.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: flow(x)[0], inflow, rtol=1e-5, atol=1e-8)

    def whole(begin):
        return flow(inflow.detach(), begin)[0]

    assert torch.autograd.gradcheck(whole, state, rtol=1e-5, atol=1e-8)


def test_it_is_of_the_component_as_it_was():
    mine = started()
    flow, before = mine.flow("inflow", "q"), started().flow("inflow", "q")
    mine.set_value("inflow", np.full(3, 1e4))
    mine.update()
    inflow = torch.from_numpy(water())
    assert torch.equal(flow(inflow)[0], before(inflow)[0])
    assert flow.digest() == before.digest()
    others = (mine.flow("inflow", "q"), started(demand=0.02).flow("inflow", "q"))
    assert len({f.digest() for f in (before, *others)}) == 3


def test_what_does_not_fit_is_refused():
    mine, inflow = started(), torch.from_numpy(water())
    for ports, message in (
        (("inflo", "q"), r"'inflo' is no input of the model \(did you mean 'inflow'"),
        (("q", "q"), "'q' is no input"),
        (("inflow", "store"), "'store' is no output that is a rate"),
        (("inflow", "solver_error_flux"), "is no output that is a rate"),
    ):
        with pytest.raises(ComponentError, match=rf"{message}.*surrogate-lake"):
            mine.flow(*ports)
    with pytest.raises(UnitError):
        mine.flow("inflow", "q", "K")
    with pytest.raises(ComponentError, match="'inflow' is no other input"):
        mine.flow("inflow", "q", inputs={"inflow": water()})
    with pytest.raises(ComponentError, match=r"'demand' .* shape \(3,\)"):
        mine.flow("inflow", "q", inputs={"demand": np.ones(3)})
    with pytest.raises(ComponentError, match="'demand' was never set"):
        started(demand=None).flow("inflow", "q")
    with pytest.raises(ComponentError, match="Initialize it"):
        SurrogateComponent(model=lake, area=AREA).flow("inflow", "q")
    with pytest.raises(ComponentError, match=r"shape \(7, 2\), not \(step, 3\)"):
        mine.flow("inflow", "q")(inflow[:, :2])
    short = mine.flow("inflow", "q", inputs={"demand": water(5)})
    with pytest.raises(ComponentError, match="has 5 steps, and step 7 is needed"):
        short(inflow)
    with pytest.raises(ComponentError, match="has 5 steps, and step 11 is needed"):
        short(inflow, first=4)  # the one step that is left is not held


def test_a_cell_that_cannot_be_solved_is_named():
    flow = started(max_steps=2).flow("inflow", "q")
    with pytest.raises(ComponentFailed, match="surrogate-lake', cell 0"):
        flow(torch.from_numpy(water()))
