"""Engine against engine: the same model, the same flat arrays, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater.ude import models

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


@pytest.mark.parametrize("method", ["rk4", "tsit5"])
def test_a_failed_entry_is_a_value(compiled, explosive, method):
    arrays = (np.ones((2, 1)), np.zeros(0), np.zeros((2, 20, 1)), np.array([[0.01], [0.3]]))
    records = []
    for engine in ENGINES:
        solver = compiled(engine, explosive, method=method)
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


def test_fluxes_without_solving(ude, compiled, make_inputs):
    parameters, weights, forcing, _ = make_inputs(ude, days=7)
    states = np.random.default_rng(3).uniform(5, 50, (2, 7, len(ude.states)))
    results = []
    for engine in ENGINES:
        fluxes, pullback = compiled(engine, ude).evaluate(parameters, weights, forcing, states)
        results.append((fluxes, *pullback(np.ones_like(fluxes))))
    for found, expected in zip(results[1], results[0], strict=True):
        close(found, expected, 1e-10)


def test_what_julia_refuses(compiled):
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
