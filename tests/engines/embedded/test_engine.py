import numpy as np
import pytest

from hybridwater.errors import DeclarationError, SolveFailed
from hybridwater.ude import UDE
from hybridwater.ude.program import initial_weights

METHODS = ["rk4", "rosenbrock2", "tsit5"]
TOLERANCES = {"rtol": 1e-6, "atol": 1e-6}


def entry(inputs, i):
    parameters, weights, forcing, initial = inputs
    return parameters[i : i + 1], weights, forcing[i : i + 1], initial[i : i + 1]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_its_entries_one_by_one(hybrid, compiled, method):
    solver = compiled(hybrid.ude, method=method, **TOLERANCES)
    together, pullback = solver.solve_with_pullback(*hybrid.inputs)
    fluxes_bar = np.cos(np.arange(together.fluxes.size)).reshape(together.fluxes.shape)
    gradients = pullback(fluxes_bar)
    weights_bar = 0.0
    for i in range(hybrid.batch):
        alone, pullback = solver.solve_with_pullback(*entry(hybrid.inputs, i))
        np.testing.assert_allclose(alone.states[0], together.states[i], rtol=1e-11)
        np.testing.assert_allclose(alone.fluxes[0], together.fluxes[i], rtol=1e-10, atol=1e-13)
        own = pullback(fluxes_bar[i : i + 1])
        np.testing.assert_allclose(own.parameters[0], gradients.parameters[i], rtol=1e-9)
        np.testing.assert_allclose(own.initial_state[0], gradients.initial_state[i], rtol=1e-9)
        weights_bar = weights_bar + own.weights
    scale = np.abs(gradients.weights).max()
    np.testing.assert_allclose(weights_bar, gradients.weights, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("method", METHODS)
def test_weights_per_entry(hybrid, compiled, method):
    solver = compiled(hybrid.ude, method=method, **TOLERANCES)
    parameters, weights, forcing, initial = hybrid.inputs
    each = np.stack([weights, weights])
    a, pull_a = solver.solve_with_pullback(parameters, weights, forcing, initial)
    b, pull_b = solver.solve_with_pullback(parameters, each, forcing, initial)
    np.testing.assert_allclose(a.states, b.states, rtol=1e-11)
    np.testing.assert_allclose(a.fluxes, b.fluxes, rtol=1e-10, atol=1e-13)
    bar = np.sin(np.arange(a.fluxes.size)).reshape(a.fluxes.shape)
    shared, own = pull_a(bar), pull_b(bar)
    assert own.weights.shape == each.shape
    scale = np.abs(shared.weights).max()
    np.testing.assert_allclose(own.weights.sum(0), shared.weights, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(own.parameters, shared.parameters, rtol=1e-9)


def test_different_weights_reach_only_their_entry(hybrid, compiled):
    solver = compiled(hybrid.ude, method="rk4")
    parameters, weights, forcing, initial = hybrid.inputs
    reference = solver.solve(*hybrid.inputs)
    other = solver.solve(parameters, np.stack([weights, 1.1 * weights]), forcing, initial)
    np.testing.assert_allclose(other.states[0], reference.states[0], rtol=1e-11)
    assert np.abs(other.states[1] - reference.states[1]).max() > 1e-3


def test_entries_that_lie_side_by_side_in_memory_stay_so(hybrid, compiled):
    solver = compiled(hybrid.ude, method="rk4")
    parameters, weights, forcing, initial = hybrid.inputs
    turned = np.ascontiguousarray(np.moveaxis(forcing, 0, -1))
    one = solver.solve(parameters, weights, forcing, initial)
    other = solver.solve(parameters, weights, np.moveaxis(turned, -1, 0), initial)
    for name in ("states", "fluxes", "final_state"):
        mine, own = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(mine, own)
        assert mine.flags.c_contiguous
        assert np.moveaxis(own, 0, -1).flags.c_contiguous


def test_instantaneous_output_is_the_value_at_the_start_of_a_record(make, compiled):
    rain = np.array([[3.0, 0.0, 7.0, 2.0]])[..., None]
    inputs = (np.array([[0.3]]), np.zeros(0), rain, np.array([[10.0]]))
    now = compiled(make.reservoir(), method="rk4", output="instantaneous").solve(*inputs)
    mean = compiled(make.reservoir(), method="rk4").solve(*inputs)
    np.testing.assert_array_equal(now.states[0, 0], [10.0])
    np.testing.assert_allclose(now.states[:, 1:], mean.states[:, :-1], rtol=1e-15)
    np.testing.assert_allclose(now.final_state, mean.final_state, rtol=1e-15)
    np.testing.assert_allclose(now.flux("q"), 0.3 * now.states[..., 0], rtol=1e-15)
    change = np.diff(mean.states[0, :, 0])
    np.testing.assert_allclose(mean.flux("q")[0, 1:], rain[0, 1:, 0] - change, rtol=1e-12)


def test_the_fluxes_that_were_asked_for(hybrid, compiled):
    everything = compiled(hybrid.ude, method="rk4").solve(*hybrid.inputs)
    some = compiled(hybrid.ude, method="rk4", fluxes=("q", "prcp")).solve(*hybrid.inputs)
    assert everything.flux_names == hybrid.ude.order
    assert some.flux_names == ("q", "prcp")
    np.testing.assert_allclose(some.flux("q"), everything.flux("q"), rtol=1e-12)
    np.testing.assert_allclose(some.flux("prcp"), hybrid.inputs[2][:, :, 0], rtol=1e-12)


def test_no_fluxes_at_all(make, compiled):
    solver = compiled(make.cascade(), method="rk4", fluxes=())
    inputs = (np.full((2, 2), 0.4), np.zeros(0), np.ones((2, 5, 1)), np.ones((2, 2)))
    solution, pullback = solver.solve_with_pullback(*inputs)
    assert solution.fluxes.shape == (2, 5, 0)
    gradients = pullback(solution.fluxes, np.ones_like(solution.states))
    assert (gradients.parameters < 0).all()


def test_a_record_of_another_length(make, compiled):
    """Two records of half a day are one day."""
    solver = compiled(make.cascade(), method="rk4", substeps=8)
    p, w, s = np.array([[0.4, 0.2]]), np.zeros(0), np.array([[9.0, 3.0]])
    day = solver.solve(p, w, np.full((1, 1, 1), 6.0), s)
    halves = solver.solve(p, w, np.full((1, 2, 1), 6.0), s, 0.5)
    np.testing.assert_allclose(halves.final_state, day.final_state, rtol=1e-7)
    np.testing.assert_allclose(halves.fluxes.mean(1), day.fluxes[:, 0], rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_float32(hybrid, compiled, method):
    loose = {"rtol": 1e-4, "atol": 1e-4}
    double = compiled(hybrid.ude, method=method, **loose)
    single = compiled(hybrid.ude, method=method, precision="float32", **loose)
    expected, pull_double = double.solve_with_pullback(*hybrid.inputs)
    found, pull_single = single.solve_with_pullback(*hybrid.inputs)
    assert found.states.dtype == np.float64
    assert np.abs(found.states - expected.states).max() > 1e-9
    np.testing.assert_allclose(found.states, expected.states, rtol=1e-3, atol=1e-2)
    a, b = (p(np.ones_like(expected.fluxes)) for p in (pull_single, pull_double))
    assert a.weights.dtype == np.float64
    np.testing.assert_allclose(a.weights, b.weights, atol=2e-2 * np.abs(b.weights).max())


def explosion():
    """Inputs of which entry 1 is infinite at t = 1 / (r S0) = 2.5."""
    rain = np.zeros((3, 5, 1))
    return np.array([[0.0], [1.0], [0.01]]), np.zeros(0), rain, np.array([[0.4], [0.4], [0.4]])


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("rk4", "'rk4' with 50 substep(s) gave a value that is not finite"),
        ("tsit5", "'tsit5' did not reach the end of a forcing record within 200 steps"),
        ("kvaerno3", "'kvaerno3' did not reach the end"),
    ],
)
def test_a_failure_is_a_value(make, compiled, method, reason):
    solver = compiled(make.explosive(), method=method, substeps=50, max_steps=200)
    solution, _ = solver.solve_with_pullback(*explosion())
    (failure,) = solution.failures
    assert failure.batch == 1
    assert failure.record == 2
    np.testing.assert_allclose(failure.state, [0.4 / (1 - 0.4 * 2)], rtol=1e-3)
    assert reason in failure.reason
    assert np.isfinite(solution.states[[0, 2]]).all()
    assert np.isfinite(solution.states[1, :2]).all()
    assert np.isnan(solution.states[1, 2:]).all()
    assert np.isnan(solution.fluxes[1, 2:]).all()
    np.testing.assert_allclose(solution.states[2, -1, 0], 0.4 / (1 - 0.01 * 0.4 * 5), rtol=1e-5)
    with pytest.raises(SolveFailed, match=r"record 2 of entry 1, state before it: S = (2|1\.9999)"):
        solution.raise_if_failed(("S",), lambda batch, record: f"record {record} of entry {batch}")


@pytest.mark.parametrize("method", ["rk4", "tsit5"])
def test_a_failed_entry_has_no_part_in_gradients(make, compiled, method):
    solver = compiled(make.explosive(), method=method, substeps=50, max_steps=200)
    inputs = explosion()
    solution, pullback = solver.solve_with_pullback(*inputs)
    bars = np.ones_like(solution.fluxes), np.ones_like(solution.states)
    found = pullback(*bars)
    good = tuple(a[[0, 2, 2]] if a.ndim > 1 else a for a in inputs)
    expected = solver.solve_with_pullback(*good)[1](*bars)
    np.testing.assert_allclose(found.parameters[[0, 2]], expected.parameters[:2], rtol=1e-9)
    np.testing.assert_array_equal(found.parameters[1], 0.0)
    np.testing.assert_array_equal(found.initial_state[1], 0.0)


def test_a_slope_without_end_stays_with_the_entry_that_failed(compiled):
    """An empty store under drought: the root's slope is infinite, and zero times it no number."""
    ude = UDE.from_dict(
        {
            "name": "sponge",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k": {"unit": "mm d-1", "bounds": [0, 9], "default": 1}},
            "constants": {"one": {"unit": "mm", "value": 1}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": "k * sqrt(S / one)"}},
            "networks": {
                "seep": {"unit": "mm d-1", "inputs": {"S": [0, 60]}, "hidden": [2], "scale": 1}
            },
            "states": {"S": {"unit": "mm", "equation": "prcp - q - seep"}},
        }
    )
    weights = initial_weights(ude.program, 0)
    forcing = np.stack([np.full((6, 1), -9.0), np.full((6, 1), 9.0)])
    arrays = (np.ones((2, 1)), weights, forcing, np.array([[0.0], [20.0]]))
    solver = compiled(ude, method="rk4")
    for entries in ([0, 1], [0]):
        solution, pullback = solver.solve_with_pullback(
            *(a[entries] if a.ndim > 1 else a for a in arrays), forcing_gradient=True
        )
        assert [f.batch for f in solution.failures] == [0]
        found = pullback(np.ones_like(solution.fluxes), np.ones_like(solution.states))
        for name in ("parameters", "initial_state", "forcing"):
            assert not getattr(found, name)[0].any()
        if len(entries) == 1:
            assert not found.weights.any()
            continue
        alone, back = solver.solve_with_pullback(*(a[1:] if a.ndim > 1 else a for a in arrays))
        expected = back(np.ones_like(alone.fluxes), np.ones_like(alone.states))
        np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-9)
        np.testing.assert_allclose(found.parameters[1], expected.parameters[0], rtol=1e-9)


def test_gradients_of_unstable_steps_are_told(make, compiled):
    """Fifty times longer than the store takes: the state, too, is finite and of no use."""
    solver = compiled(make.reservoir(), method="rk4", substeps=2)
    arrays = (np.array([[100.0]]), np.zeros(0), np.ones((1, 3, 1)), np.ones((1, 1)))
    solution, pullback = solver.solve_with_pullback(*arrays)
    assert not solution.failures
    with pytest.warns(RuntimeWarning, match="steps of 'rk4' are unstable"):
        pullback(np.ones_like(solution.fluxes))


def test_unknown_fluxes_are_refused(hybrid, compiled):
    with pytest.raises(DeclarationError, match="did you mean 'melt'"):
        compiled(hybrid.ude, fluxes=("melts",))
