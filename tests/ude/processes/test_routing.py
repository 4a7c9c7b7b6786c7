import numpy as np
import pytest

from hybridwater.ude import model
from hybridwater.ude.processes import routing


def channel(process, **options):
    @model
    def ude(m):
        process(m, inflow=m.forcing("runoff", "mm d-1"), **options)

    return ude


def moments(ude, compiled):
    """Mass, mean and variance of the response to one mm at time zero."""
    f = compiled(ude, "q")
    parameters = [ude.parameter(n).default for n in ude.program.parameters]
    n, h = len(ude.states), 0.002
    matrix = np.array([f(row, [0.0], parameters)[:n] for row in np.eye(n)]).T
    step = np.eye(n) + h * matrix @ (np.eye(n) + h / 2 * matrix @ (np.eye(n) + h / 3 * matrix))
    state, q = np.eye(n)[0], []
    for _ in range(int(60 / h)):
        q.append(f(state, [0.0], parameters)[n])
        state = step @ state
    t, q = h * np.arange(len(q)), np.array(q)
    mass = np.trapezoid(q, t)
    mean = np.trapezoid(q * t, t)
    return mass, mean, np.trapezoid(q * (t - mean) ** 2, t)


@pytest.mark.parametrize("stores", [1, 2, 3, 5])
def test_moments_of_a_nash_cascade(compiled, stores):
    mass, mean, variance = moments(channel(routing.nash_cascade, stores=stores), compiled)
    assert mass == pytest.approx(1, rel=2e-3)
    assert mean == pytest.approx(1.5, rel=2e-3)
    assert variance == pytest.approx(1.5**2 / stores, rel=5e-3)


def test_the_triangle_has_its_mean_and_variance(compiled):
    mass, mean, variance = moments(channel(routing.triangular_cascade), compiled)
    assert mass == pytest.approx(1, rel=2e-3)
    assert mean == pytest.approx(2.5 / 2, rel=2e-3)
    assert variance == pytest.approx(2.5**2 / 24, rel=5e-3)


def test_a_linear_store_is_a_cascade_of_one():
    assert channel(routing.linear_store) == channel(routing.nash_cascade, stores=1)


def test_names():
    ude = channel(routing.nash_cascade, stores=3, outflow="discharge", prefix="main")
    assert [s.name for s in ude.states] == ["main_route1", "main_route2", "main_route3"]
    assert set(ude.order) == {"main_route1_out", "main_route2_out", "main_discharge"}
    assert ude.boundary == {"runoff": ("in", 1.0), "main_discharge": ("out", 1.0)}


def test_a_cascade_has_stores():
    with pytest.raises(ValueError, match="at least one store, not 0"):
        channel(routing.nash_cascade, stores=0)
