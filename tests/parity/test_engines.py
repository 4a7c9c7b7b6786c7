"""Engine against engine: the same model, the same flat arrays, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater.errors import SolveFailed
from hybridwater.ude import UDE, models

pytestmark = pytest.mark.julia

ENGINES = ("embedded", "julia")
CASES = [
    {"method": "rk4", "substeps": 2},
    {"method": "heun", "substeps": 3, "interpolation": "linear"},
    {"method": "euler", "substeps": 4, "interpolation": "pchip", "output": "instantaneous"},
]


def both(compiled, ude, arrays, step=1.0, **options):
    solutions = [
        compiled(e, ude, fluxes=ude.order, **options).solve(*arrays, step) for e in ENGINES
    ]
    assert not any(s.failures for s in solutions)
    return solutions


def gradients(solver, arrays, seed=0, step=1.0, **how):
    solution, pullback = solver.solve_with_pullback(*arrays, step, **how)
    rng = np.random.default_rng(seed)
    bars = [rng.normal(size=a.shape) for a in (solution.fluxes, solution.states)]
    return pullback(bars[0] / solution.fluxes.shape[1], bars[1] / solution.states.shape[1])


def close(found, expected, relative):
    """Compare, relative to the largest magnitude of each array."""
    scale = np.abs(expected).max() if np.size(expected) else 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * max(scale, 1e-300))


@pytest.mark.parametrize("options", CASES, ids=lambda o: o["method"])
def test_record_wise_methods_give_the_same_numbers(ude, compiled, make_inputs, options):
    embedded, julia = both(compiled, ude, make_inputs(ude), **options)
    close(julia.states, embedded.states, 1e-11)
    close(julia.fluxes, embedded.fluxes, 1e-11)
    close(julia.final_state, embedded.final_state, 1e-11)


@pytest.mark.parametrize("options", CASES, ids=lambda o: o["method"])
def test_record_wise_methods_have_the_same_gradients(ude, compiled, make_inputs, options):
    arrays = make_inputs(ude)
    embedded, julia = (
        gradients(compiled(e, ude, **options), arrays, forcing_gradient=True) for e in ENGINES
    )
    for name in ("parameters", "weights", "initial_state", "forcing"):
        close(getattr(julia, name), getattr(embedded, name), 1e-9)
    assert np.all(julia.parameters != 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exp_hydro", "exp_hydro_hybrid", "neural_ode"])
@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_ten_years_at_a_tight_tolerance(compiled, make_inputs, name, method):
    ude = getattr(models, name)()
    arrays = make_inputs(ude, batch=1, days=3652)
    tight = {"rtol": 1e-8, "atol": 1e-8, "fluxes": ("q",)}
    embedded = compiled("embedded", ude, method="tsit5", **tight)
    julia = compiled("julia", ude, method=method, **tight)
    expected, found = embedded.solve(*arrays), julia.solve(*arrays)
    close(found.fluxes, expected.fluxes, 1e-6)
    close(found.states, expected.states, 1e-6)
    expected, found = gradients(embedded, arrays), gradients(julia, arrays)
    close(found.weights, expected.weights, 1e-5)
    # Melt has a kink, see the next test.
    close(found.parameters, expected.parameters, 5e-3)
    close(found.initial_state, expected.initial_state, 5e-3)
    assert np.all(found.parameters != 0)


@pytest.mark.slow
def test_gradients_across_a_kink_converge(compiled, make_inputs):
    """A step that passes the kink of melt, min(snow, ...), sees a part of it only.

    That leaves an error in a discrete adjoint which is as long as the step, whatever the order of
    the method. Derivatives under the error control, and steps of a tight tolerance, are right.
    """
    ude = models.exp_hydro()
    arrays = make_inputs(ude, batch=1, days=730)

    def found(engine, tolerance, **options):
        tight = {"rtol": tolerance, "atol": tolerance, "max_steps": 100_000, "fluxes": ("q",)}
        return gradients(compiled(engine, ude, **tight, **options), arrays).parameters

    exact = found("julia", 1e-12, method="tsit5", gradient="forward")
    for engine, tolerance, options in [
        ("julia", 1e-8, {"method": "tsit5", "gradient": "forward"}),
        ("julia", 1e-12, {"method": "tsit5"}),
        ("julia", 1e-12, {"method": "rodas5p"}),
        ("embedded", 1e-12, {"method": "tsit5"}),
    ]:
        np.testing.assert_allclose(found(engine, tolerance, **options), exact, rtol=1e-5)


TIGHT = {"rtol": 1e-10, "atol": 1e-10, "fluxes": ("q",)}
adjoints = pytest.mark.julia("SciMLSensitivity")
WAYS = [
    ("tsit5", "forward"),
    pytest.param("tsit5", "gauss", marks=adjoints),
    ("rodas5p", "discrete"),
    ("auto", "discrete"),
    pytest.param("fbdf", "gauss", marks=adjoints),
    pytest.param("tsit5", "zygote", marks=adjoints),
    pytest.param("rodas5p", "reversediff", marks=adjoints),
]


@pytest.fixture(scope="module")
def embedded_gradients(compiled, make_inputs):
    """Return the gradients by the embedded engine, and what they were asked of."""
    ude = models.exp_hydro_hybrid()
    arrays = make_inputs(ude, batch=1, days=30)
    return gradients(compiled("embedded", ude, method="tsit5", **TIGHT), arrays), ude, arrays


@pytest.mark.slow
@pytest.mark.parametrize(("method", "way"), WAYS)
def test_ways_to_the_gradient_agree(compiled, embedded_gradients, method, way):
    """The steps differentiated, forward mode, and adjoint equations of SciMLSensitivity."""
    expected, ude, arrays = embedded_gradients
    found = gradients(compiled("julia", ude, method=method, gradient=way, **TIGHT), arrays)
    for name in ("parameters", "weights", "initial_state"):
        close(getattr(found, name), getattr(expected, name), 1e-6)


def test_the_way_is_chosen_by_method_and_size(compiled):
    small, large = models.linear_reservoir(), models.exp_hydro_hybrid()
    chosen = {
        (ude.name, method): compiled("julia", ude, method=method)._gradient()
        for ude, method in [(small, "rodas5p"), (small, "fbdf"), (large, "tsit5"), (large, "auto")]
    }
    assert [*chosen.values()] == ["discrete", "forward", "discrete", "discrete"]


@pytest.mark.parametrize("method", ["rosenbrock23", "trbdf2", "kencarp4", "fbdf", "auto"])
def test_stiff_methods_agree_with_an_explicit_one(compiled, make_inputs, method):
    ude = models.exp_hydro_hybrid()
    arrays = make_inputs(ude)
    tight = {"rtol": 1e-9, "atol": 1e-9}
    expected = compiled("embedded", ude, method="dopri5", **tight).solve(*arrays)
    found = compiled("julia", ude, method=method, **tight).solve(*arrays)
    close(found.fluxes, expected.fluxes, 1e-5)


def test_another_length_of_records(compiled, make_inputs):
    ude = models.exp_hydro_hybrid()
    arrays = make_inputs(ude)
    for method in ("rk4", "tsit5"):
        embedded, julia = both(compiled, ude, arrays, 1 / 24, method=method, rtol=1e-9, atol=1e-9)
        close(julia.fluxes, embedded.fluxes, 1e-7)


def test_weights_of_each_entry(compiled, make_inputs):
    ude = models.exp_hydro_hybrid()
    parameters, weights, forcing, initial = make_inputs(ude)
    own = np.stack([weights, 0.9 * weights])
    arrays = (parameters, own, forcing, initial)
    embedded, julia = (gradients(compiled(e, ude, substeps=1), arrays) for e in ENGINES)
    assert julia.weights.shape == own.shape
    close(julia.weights, embedded.weights, 1e-9)


@pytest.mark.parametrize("method", ["rk4", "tsit5", "rodas5p"])
def test_a_failed_entry_is_a_value(compiled, explosive, method):
    arrays = (np.ones((2, 1)), np.zeros(0), np.zeros((2, 20, 1)), np.array([[0.01], [0.3]]))
    records = []
    for engine in ENGINES:
        theirs = "kvaerno5" if method == "rodas5p" and engine == "embedded" else method
        solver = compiled(engine, explosive, method=theirs)
        solution, pullback = solver.solve_with_pullback(*arrays)
        (failure,) = solution.failures
        assert failure.batch == 1
        records.append(failure.record)
        assert np.isnan(solution.states[1, failure.record :]).all()
        assert np.isfinite(solution.states[1, : failure.record]).all()
        assert np.isfinite(solution.states[0]).all()
        gradients = pullback(np.ones_like(solution.fluxes))
        assert gradients.parameters[0].all()
        assert not gradients.parameters[1].any()
    assert records[0] == records[1]


def valley(power):
    """A store below a level towards which it is filled: a power of a negative base."""
    return UDE.from_dict(
        {
            "name": "valley",
            "forcings": {"pet": {"unit": "mm d-1"}},
            "parameters": {
                "k": {"unit": "mm d-1", "bounds": [0, 1], "default": 0.01},
                "a": {"unit": "mm", "bounds": [0, 100], "default": 50},
                "b": {"unit": "1", "bounds": [1, 4], "default": 2},
            },
            "constants": {"one": {"unit": "mm", "value": 1}, "two": {"unit": "1", "value": 2.0}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": f"b * k * ((S - a) / one) ** {power}"}},
            "states": {"S": {"unit": "mm", "equation": "q - pet"}},
        }
    )


WAYS_OF_POWERS = [
    {"method": "rk4"},
    {"method": "rk4", "interpolation": "linear"},
    {"method": "tsit5"},
    {"method": "tsit5", "gradient": "forward"},
    {"method": "rodas5p", "interpolation": "linear"},
    {"method": "fbdf", "gradient": "forward"},
]


@pytest.mark.parametrize("options", WAYS_OF_POWERS, ids=lambda o: "-".join(o.values()))
def test_powers_of_a_negative_base(compiled, options):
    """Where the exponent is a whole number, whichever way it is written."""
    pet = np.random.default_rng(5).gamma(0.5, 4.0, (2, 20, 1))
    parameters = np.array([[0.01, 50.0, 2.0], [0.02, 60.0, 3.0]])
    arrays = (parameters, np.zeros(0), pet, np.array([[30.0], [59.0]]))
    fixed = options["method"] == "rk4"
    tight, close_to = ({}, 1e-11) if fixed else ({"rtol": 1e-10, "atol": 1e-10}, 1e-6)
    curve = options.get("interpolation", "constant")
    exact = {"method": "rk4", "substeps": 2 if fixed else 100, "interpolation": curve}
    for power in ("2.0", "two"):
        solver = compiled("embedded", valley(power), **exact)
        expected, wanted = solver.solve(*arrays), gradients(solver, arrays)
        assert (expected.states[:, :, 0] < parameters[:, 1:2]).all()
        for written in (power, "b"):
            solver = compiled("julia", valley(written), **tight, **options)
            if written == "b" and options.get("gradient") == "forward":
                with pytest.raises(SolveFailed, match="again for its gradient"):
                    gradients(solver, arrays)
                continue
            solution, found = solver.solve(*arrays), gradients(solver, arrays)
            entries = slice(None) if written == power else slice(1)  # b is 2 in the first
            close(solution.states[entries], expected.states[entries], close_to)
            close(solution.fluxes[entries], expected.fluxes[entries], close_to)
            close(found.initial_state[entries], wanted.initial_state[entries], close_to)
            close(found.parameters[entries, :2], wanted.parameters[entries, :2], close_to)
            # a negative base has no slope along an exponent
            assert np.isnan(found.parameters[0, 2]) == (written == "b")


def test_fluxes_without_solving(ude, compiled, make_inputs):
    parameters, weights, forcing, _ = make_inputs(ude, days=7)
    states = np.random.default_rng(3).uniform(5, 50, (2, 7, len(ude.states)))
    results = []
    for engine in ENGINES:
        fluxes, pullback = compiled(engine, ude).evaluate(parameters, weights, forcing, states)
        results.append((fluxes, *pullback(np.ones_like(fluxes))))
    for found, expected in zip(results[1], results[0], strict=True):
        close(found, expected, 1e-10)


def test_a_record_that_cannot_be_solved_again(compiled):
    """The second solve is another method's, under an error control that sees derivatives too."""
    ude = models.linear_reservoir()
    arrays = (np.array([[1.0, 1.0]]), np.zeros(0), np.ones((1, 1, 2)), np.ones((1, 1)))
    steps = {"method": "fbdf", "rtol": 1e-3, "atol": 1e-3}
    taken = compiled("julia", ude, **steps).solve(*arrays).statistics
    solver = compiled("julia", ude, **steps, max_steps=int(taken["steps"][0] + 1))
    solution, pullback = solver.solve_with_pullback(*arrays)
    assert not solution.failures
    with pytest.raises(SolveFailed, match=r"again for its gradient \(MaxIters\)") as caught:
        pullback(np.ones_like(solution.fluxes))
    assert "MaxIters" in caught.value.backtrace


def test_what_julia_refuses(compiled, layered):
    from hybridwater.errors import DeclarationError

    ude = models.linear_reservoir()
    with pytest.raises(DeclarationError, match="no method 'kvaerno5'"):
        compiled("julia", ude, method="kvaerno5")
    with pytest.raises(DeclarationError, match="does not compute in float32"):
        compiled("julia", ude, precision="float32")
    with pytest.raises(DeclarationError, match="The gradient 'gauss' is one of adaptive methods"):
        compiled("julia", ude, method="rk4", gradient="gauss")
    solver = compiled("julia", ude, method="fbdf", gradient="discrete")
    arrays = (np.ones((1, 2)), np.zeros(0), np.ones((1, 3, 2)), np.ones((1, 1)))
    with pytest.raises(DeclarationError, match="'fbdf' has no discrete adjoint"):
        solver.solve_with_pullback(*arrays)
    with pytest.raises(DeclarationError, match="not located in the cells of a column"):
        compiled("julia", layered, method="rodas5p", thresholds="located")
    solver = compiled("julia", layered, method="tsit5", gradient="forward")
    arrays = (np.ones((1, 2)), np.zeros(layered.program.n_weights), np.ones((1, 3, 1)))
    with pytest.raises(DeclarationError, match=r"none of columns.*Leave gradient='forward'"):
        solver.solve_with_pullback(*arrays, np.ones((1, 7)))
    located = {"thresholds": "located", "gradient": "forward"}
    arrays = (np.ones((1, 2)), np.zeros(0), np.ones((1, 3, 2)), np.ones((1, 1)))
    with pytest.raises(DeclarationError, match="'forward' is none across thresholds"):
        compiled("julia", ude, method="tsit5", **located).solve_with_pullback(*arrays)
    with pytest.raises(DeclarationError, match=r"'fbdf' has no gradient across.*Train with one of"):
        compiled("julia", ude, method="fbdf", **located).solve_with_pullback(*arrays)
