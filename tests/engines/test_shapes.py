"""Arrays that do not fit a model are refused by every engine, before anything is compiled."""

import numpy as np
import pytest

from hybridwater.engines import Options, get_engine
from hybridwater.errors import DeclarationError

ENGINES = ["embedded", pytest.param("julia", marks=pytest.mark.julia)]
GOOD = {
    "parameters": (2, 1),
    "weights": (31,),
    "forcing": (2, 5, 2),
    "initial_state": (2, 2),
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return get_engine(request.param)


@pytest.fixture
def solver(engine, smooth_problem):
    return engine.compile(smooth_problem.ude, Options(method="rk4"))


def arrays(**shapes):
    return [np.full(shape, 0.5) for shape in shapes.values()]


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("parameters", (2, 0), "(2, 1)"),
        ("parameters", (1,), "(batch, 1)"),
        ("parameters", (2, 2), "(2, 1)"),
        ("weights", (30,), "(31,) or (2, 31)"),
        ("weights", (1, 31), "(31,) or (2, 31)"),
        ("forcing", (2, 5, 3), "(2, 5, 2)"),
        ("forcing", (2, 5, 1), "(2, 5, 2)"),
        ("forcing", (1, 5, 2), "(2, 5, 2)"),
        ("forcing", (5, 2), "(2, time, 2)"),
        ("initial_state", (2, 1), "(2, 2)"),
        ("initial_state", (3, 2), "(2, 2)"),
    ],
)
def test_wrong_shapes_are_refused(solver, name, shape, expected):
    given = arrays(**(GOOD | {name: shape}))
    for solve in (solver.solve, solver.solve_with_pullback):
        with pytest.raises(DeclarationError) as caught:
            solve(*given)
        assert f"'{name}' has the shape {shape}, not" in str(caught.value)
        assert expected in str(caught.value)


def test_the_order_of_the_values_is_named(solver):
    with pytest.raises(DeclarationError, match=r"model 'smooth'.*last axis: prcp, heat"):
        solver.solve(*arrays(**(GOOD | {"forcing": (2, 5, 3)})))


def test_without_a_record_there_is_nothing_to_solve(solver):
    with pytest.raises(DeclarationError, match="forcing has no records"):
        solver.solve(*arrays(**(GOOD | {"forcing": (2, 0, 2)})))


@pytest.mark.parametrize(
    ("states", "forcing"), [((2, 5, 1), (2, 5, 2)), ((2, 4, 2), (2, 5, 2)), ((2, 2), (2, 5, 2))]
)
def test_states_and_forcing_of_evaluations(solver, states, forcing):
    p, w, x, s = arrays(**(GOOD | {"forcing": forcing, "initial_state": states}))
    with pytest.raises(DeclarationError, match="'states' has the shape"):
        solver.evaluate(p, w, x, s)


def test_states_and_forcing_of_linearizations(solver):
    p, w, x, s = arrays(**(GOOD | {"forcing": (2, 3)}))
    with pytest.raises(DeclarationError, match="'forcing' has the shape"):
        solver.linearize(p, w, x, s)
    with pytest.raises(DeclarationError, match="'states' has the shape"):
        solver.linearize(p, w, x[:, :2], s[:, :1])


def test_cotangents(solver):
    p, w, x, s = arrays(**GOOD)
    solution, pullback = solver.solve_with_pullback(p, w, x, s)
    for bars in (
        (solution.fluxes[:, :, :1], None),
        (solution.fluxes[:, :4], None),
        (solution.fluxes, solution.states[:1]),
    ):
        with pytest.raises(DeclarationError, match="es_bar' has the shape"):
            pullback(*bars)
    fluxes, pullback = solver.evaluate(p, w, x, solution.states)
    with pytest.raises(DeclarationError, match="'fluxes_bar' has the shape"):
        pullback(fluxes[:, :, 0])
    rates, _, pullback = solver.linearize(p, w, x[:, 0], s)
    with pytest.raises(DeclarationError, match="'rates_bar' has the shape"):
        pullback(rates[:1])


def test_columns(engine, layered):
    """A state of a column has a value in each cell."""
    solver = engine.compile(layered, Options(method="rk4"))
    n, p = layered.program.n_states, len(layered.program.parameters)
    given = (np.ones((1, p)), np.zeros(layered.program.n_weights), np.ones((1, 3, 1)))
    assert solver.solve(*given, np.ones((1, n))).states.shape == (1, 3, n)
    with pytest.raises(DeclarationError, match=r"\(1, 2\), not \(1, 7\).*last axis: W, pond"):
        solver.solve(*given, np.ones((1, 2)))
