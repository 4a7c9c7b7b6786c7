"""Located thresholds: a bucket that fills and spills, in closed form; snow that is used up."""

import numpy as np
import pytest

from hybridwater.engines import Options
from hybridwater.errors import DeclarationError
from hybridwater.ude import UDE, models

METHODS = ["rk4", "rosenbrock2", "tsit5"]
TIGHT = {"substeps": 8, "rtol": 1e-10, "atol": 1e-10, "thresholds": "located"}


@pytest.fixture(scope="module")
def bucket():
    """A leaking bucket that cannot hold more than its capacity."""
    return UDE.from_dict(
        {
            "name": "bucket",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {
                "k": {"unit": "d-1", "bounds": [0, 2], "default": 0.05},
                "full": {"unit": "mm", "bounds": [1, 500], "default": 100},
            },
            "fluxes": {
                "q": {"unit": "mm d-1", "equation": "k * S"},
                "spill": {
                    "unit": "mm d-1",
                    "equation": "where(S > full, max(prcp - k * full, 0), 0)",
                },
            },
            "states": {"S": {"unit": "mm", "initial": 95, "equation": "prcp - q - spill"}},
        }
    )


def filling(p, k, full, start, days):
    """Time until full, water spilled in all, and its derivatives by k, full and start."""
    rate = p - k * full  # at which the bucket fills in the end, and then spills
    time = np.log((p - k * start) / rate) / k
    decay = np.exp(-k * time)
    by_k = -p / k**2 * (1 - decay) - time * (start - p / k) * decay
    gradient = (-full * (days - time) + by_k, -k * (days - time) - 1, decay)
    return time, rate * (days - time), gradient


def solved(compiled, ude, arrays, flux, **options):
    solver = compiled(ude, **{**TIGHT, **options})
    solution, pullback = solver.solve_with_pullback(*arrays, forcing_gradient=True)
    bar = np.zeros_like(solution.fluxes)
    bar[..., solution.flux_names.index(flux)] = 1.0
    return solution, pullback(bar)


@pytest.mark.parametrize("method", METHODS)
def test_a_bucket_that_fills_and_spills(bucket, compiled, method):
    p, k, full, start, days = 12.0, 0.05, 100.0, 80.0, 6
    forcing, initial = np.full((1, days, 1), p), np.array([[start]])
    arrays = (np.array([[k, full]]), np.zeros(0), forcing, initial)
    solution, gradients = solved(compiled, bucket, arrays, "spill", method=method)
    time, spilled, by = filling(p, k, full, start, days)
    assert 2.0 < time < 4.0
    rough = {"rosenbrock2": 1e-4}.get(method, 1e-7)
    np.testing.assert_allclose(solution.flux("spill").sum(), spilled, rtol=rough)
    found = (*gradients.parameters[0], gradients.initial_state[0, 0])
    np.testing.assert_allclose(found, by, rtol=10 * rough)
    # from then on it is full, to rounding, and nothing but its size says how full
    np.testing.assert_allclose(solution.states[0, 4:, 0], full, rtol=1e-13)
    balance = forcing.sum() - solution.fluxes.sum() - (solution.final_state[0, 0] - start)
    assert abs(balance) < 1e-10


def test_passing_the_threshold_gives_wrong_gradients(bucket, compiled):
    """What the option is for: steps that pass it never see the capacity."""
    p, k, full, start, days = 12.0, 0.05, 100.0, 80.0, 6
    arrays = (np.array([[k, full]]), np.zeros(0), np.full((1, days, 1), p), np.array([[start]]))
    _, gradients = solved(compiled, bucket, arrays, "spill", method="rk4", thresholds="passed")
    expected = filling(p, k, full, start, days)[2]
    assert abs(gradients.parameters[0, 1] / expected[1] - 1) > 0.5


def test_it_empties_and_fills_again_entry_by_entry(bucket, compiled):
    prcp = np.outer([1, 0.9], [12.0, 12, 12, 0, 0, 12, 12, 12])[:, :, None]
    initial = np.array([[95.0], [99.0]])
    arrays = (np.array([[0.05, 100.0], [0.02, 103.0]]), np.zeros(0), prcp, initial)
    solution, gradients = solved(compiled, bucket, arrays, "spill", method="rk4")
    assert not solution.failures
    assert (solution.flux("spill") > 0).sum(1).min() >= 3
    assert np.all(solution.states[:, :, 0] <= arrays[0][:, 1:] * (1 + 1e-12))
    rng, solver = np.random.default_rng(0), compiled(bucket, method="rk4", **TIGHT)
    places = {0: gradients.parameters, 2: gradients.forcing, 3: gradients.initial_state}
    for k, found in places.items():
        direction = rng.normal(size=found.shape) * np.abs(arrays[k])
        up, down = ([*arrays] for _ in range(2))
        up[k], down[k] = arrays[k] + 1e-6 * direction, arrays[k] - 1e-6 * direction
        high, low = (solver.solve(*a).flux("spill").sum() for a in (up, down))
        np.testing.assert_allclose((found * direction).sum(), (high - low) / 2e-6, rtol=1e-6)


def test_snow_that_is_used_up(compiled):
    """Melt at a constant rate until nothing is left: all of it melts, however fast."""
    ude = UDE.from_dict(
        {
            "name": "snow",
            "forcings": {"heat": {"unit": "mm d-1"}},
            "parameters": {"c": {"unit": "1", "bounds": [0, 5], "default": 1}},
            "constants": {"none": {"unit": "mm", "value": 0}},
            "fluxes": {"melt": {"unit": "mm d-1", "equation": "where(snow > none, c * heat, 0)"}},
            "states": {"snow": {"unit": "mm", "initial": 10, "equation": "-melt"}},
        }
    )
    arrays = (np.array([[1.3]]), np.zeros(0), np.full((1, 5, 1), 3.0), np.array([[10.0]]))
    for method in METHODS:
        solution, gradients = solved(compiled, ude, arrays, "melt", method=method)
        np.testing.assert_allclose(solution.flux("melt").sum(), 10.0, rtol=1e-12)
        np.testing.assert_allclose(solution.final_state, 0.0, atol=1e-12)
        np.testing.assert_allclose(gradients.parameters, 0.0, atol=1e-10)
        np.testing.assert_allclose(gradients.initial_state, 1.0, rtol=1e-10)


def test_a_threshold_that_is_crossed_endlessly_is_a_failure_in_words(compiled):
    """Both branches lead back to it: no solution passes it or stays on either side."""
    ude = UDE.from_dict(
        {
            "name": "sliding",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "constants": {"level": {"unit": "mm", "value": 10}},
            "parameters": {"k": {"unit": "1", "bounds": [0, 9], "default": 2}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": "where(S > level, k * prcp, 0)"}},
            "states": {"S": {"unit": "mm", "initial": 8, "equation": "prcp - q"}},
        }
    )
    arrays = (np.array([[2.0]]), np.zeros(0), np.full((1, 5, 1), 1.0), np.array([[7.5]]))
    (failure,) = compiled(ude, method="rk4", thresholds="located").solve(*arrays).failures
    assert failure.record == 2
    assert "crossed thresholds more than 3 times in a substep" in failure.reason


def test_gradients_of_exp_hydro_do_not_depend_on_the_steps(compiled):
    """Melt has a kink, min(snow, ...): passed by steps, gradients depend on where these end."""
    ude = models.exp_hydro()
    parameters = np.array([[ude.parameter(n).default for n in ude.program.parameters]])
    day = np.arange(48)
    cold = day % 8 < 3
    forcing = np.stack([9.0 * cold, np.where(cold, -4.0, 5.0 + 0.1 * day), 9.0 + 0 * day], axis=-1)
    arrays = (parameters, np.zeros(0), forcing[None], np.array([[0.0, 900.0]]))

    def gradient(thresholds, substeps):
        options = {"method": "rk4", "thresholds": thresholds, "substeps": substeps}
        found = solved(compiled, ude, arrays, "q", **options)[1]
        return found.parameters[0, [ude.program.parameters.index(n) for n in ("df", "tmax")]]

    for thresholds, low, high in (("located", 0.0, 1e-6), ("passed", 1e-3, 1.0)):
        one, two = gradient(thresholds, 20), gradient(thresholds, 33)
        difference = np.abs(one / two - 1).max()
        assert low <= difference < high, (thresholds, difference)


def test_a_smooth_model_is_solved_as_ever(compiled, make):
    arrays = (np.array([[0.5]]), np.zeros(0), np.ones((1, 4, 1)), np.array([[3.0]]))
    ways = ("passed", "located")
    results = [compiled(make.reservoir(), thresholds=t).solve(*arrays) for t in ways]
    np.testing.assert_array_equal(results[0].states, results[1].states)


def test_the_option_is_checked():
    with pytest.raises(DeclarationError, match="thresholds='found' is not known"):
        Options(thresholds="found")  # type: ignore[arg-type]
