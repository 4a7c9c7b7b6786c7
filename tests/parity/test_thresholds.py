"""Located thresholds, engine against engine."""

from __future__ import annotations

import numpy as np
import pytest

from hybridwater.engines import Options, get_engine
from hybridwater.ude import UDE, models

pytestmark = pytest.mark.julia

TIGHT = {"rtol": 1e-8, "atol": 1e-8, "thresholds": "located"}


def gradients(engine, ude, arrays, **options):
    solver = get_engine(engine).compile(ude, Options(**options))
    solution, pullback = solver.solve_with_pullback(*arrays, forcing_gradient=True)
    assert not solution.failures
    rng = np.random.default_rng(0)
    bars = [rng.normal(size=a.shape) / a.shape[1] for a in (solution.fluxes, solution.states)]
    return solution, pullback(*bars)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_gradients_of_exp_hydro_agree_for_every_parameter(make_inputs, method):
    """Melt is min(snow, ...): with steps that pass the kink they differ by per cents."""
    ude = models.exp_hydro()
    arrays = make_inputs(ude, batch=1, days=1461)
    expected = gradients("embedded", ude, arrays, method="tsit5", fluxes=("q",), **TIGHT)
    found = gradients("julia", ude, arrays, method=method, fluxes=("q",), **TIGHT)
    q = expected[0].fluxes
    np.testing.assert_allclose(found[0].fluxes, q, rtol=0, atol=1e-6 * q.max())
    for name in ("parameters", "initial_state"):
        np.testing.assert_allclose(
            getattr(found[1], name), getattr(expected[1], name), rtol=1e-5, err_msg=name
        )
    scale = np.abs(expected[1].forcing).max()
    np.testing.assert_allclose(found[1].forcing, expected[1].forcing, rtol=0, atol=1e-5 * scale)


#: The tolerance of explicit methods. EXP-Hydro has a smooth threshold, 0.2 mm wide, of a store of a
#: metre: at 1e-8 the store is off by up to 2e-5 mm there, and slopes by 1e-5. Rodas5P has a tenth.
TEN_YEARS = {"exp_hydro": 1e-10, "exp_hydro_hybrid": 1e-8, "neural_ode": 1e-8}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tolerance"), TEN_YEARS.items())
def test_ten_years_of_a_squared_error(make_inputs, name, tolerance):
    """Gradients as a fit needs them, for each parameter and weight by itself."""
    ude = getattr(models, name)()
    parameters, weights, *rest = make_inputs(ude, batch=1, days=3652)
    default = np.array([[ude.parameter(n).default for n in ude.program.parameters]])
    plain = get_engine("julia").compile(ude, Options(substeps=8, fluxes=("q",)))
    observed = plain.solve(default, 0.9 * weights, *rest).fluxes

    def found(engine, **options):
        solver = get_engine(engine).compile(ude, Options(fluxes=("q",), **TIGHT | options))
        solution, pullback = solver.solve_with_pullback(parameters, weights, *rest)
        assert not solution.failures
        return solution.fluxes, pullback(2 * (solution.fluxes - observed) / observed.size)

    explicit = {"method": "tsit5", "rtol": tolerance, "atol": tolerance}
    q, expected = found("embedded", **explicit)
    ways = [explicit, {"method": "rodas5p"}]
    if name == "exp_hydro":  # dual numbers find the threshold by their error control
        ways.append({"method": "tsit5", "thresholds": "passed", "gradient": "forward"})
    for way in ways:
        fluxes, gradient = found("julia", **way)
        np.testing.assert_allclose(fluxes, q, rtol=0, atol=1e-6 * q.max())
        for key in ("parameters", "weights", "initial_state"):
            wanted = getattr(expected, key)
            np.testing.assert_allclose(getattr(gradient, key), wanted, rtol=1e-5, err_msg=key)
            assert np.all(wanted != 0)


@pytest.mark.parametrize("method", ["rk4", "tsit5", "rodas5p"])
def test_a_bucket_that_fills_and_spills(method):
    """All that depends on the capacity is known: the spill, and water left when it is full."""
    ude = UDE.from_dict(
        {
            "name": "bucket",
            "forcings": {"prcp": {"unit": "mm d-1"}, "pet": {"unit": "mm d-1"}},
            "parameters": {"full": {"unit": "mm", "bounds": [1, 500], "default": 100}},
            "constants": {"none": {"unit": "mm d-1", "value": 0}},
            "fluxes": {
                "net": {"unit": "mm d-1", "equation": "prcp - pet"},
                "spill": {"unit": "mm d-1", "equation": "where(S > full, max(net, none), 0)"},
            },
            "states": {"S": {"unit": "mm", "initial": 95, "equation": "net - spill"}},
        }
    )
    prcp, pet = [3.0, 3, 3, 0, 0, 4, 4, 4], [1.0, 1, 1, 2, 2, 1, 1, 1]
    forcing = np.stack([prcp, pet], axis=-1)[None]
    arrays = (np.array([[100.0]]), np.zeros(0), forcing, np.array([[95.0]]))
    options = Options(method=method, substeps=1, thresholds="located", fluxes=("spill",))
    solution, pullback = get_engine("julia").compile(ude, options).solve_with_pullback(*arrays)
    np.testing.assert_allclose(solution.states[0, :, 0], [97, 99, 100, 98, 96, 99, 100, 100])
    np.testing.assert_allclose(solution.fluxes[0, :, 0], [0, 0, 1, 0, 0, 0, 2, 3], atol=1e-9)
    of_spill = pullback(np.ones_like(solution.fluxes))
    of_states = pullback(np.zeros_like(solution.fluxes), np.ones_like(solution.states))
    np.testing.assert_allclose([of_spill.parameters[0, 0], of_states.parameters[0, 0]], [-1, 6])
    found = [of_spill.initial_state[0, 0], of_states.initial_state[0, 0]]
    np.testing.assert_allclose(found, [1, 2])


@pytest.mark.parametrize("method", ["rk4", "tsit5", "rodas5p"])
def test_events(method):
    """A siphon that fills a reservoir: what comes out later depends on when it ran."""
    ude = UDE.from_dict(
        {
            "name": "siphon",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {
                "crest": {"unit": "mm", "bounds": [10, 100], "default": 20},
                "intake": {"unit": "mm", "bounds": [0, 10], "default": 4},
                "k": {"unit": "d-1", "bounds": [0.01, 1], "default": 0.1},
            },
            "states": {
                "S": {"unit": "mm", "initial": 3, "equation": "prcp - q"},
                "R": {"unit": "mm", "initial": 0, "equation": "q - out"},
            },
            "fluxes": {"out": {"unit": "mm d-1", "equation": "k * R"}},
            "events": {"q": {"unit": "mm d-1", "when": "S - crest", "amount": "S - intake"}},
        }
    )
    forcing = np.full((1, 8, 1), 6.3) + 0.2 * np.arange(8)[None, :, None]
    arrays = (np.array([[20.0, 4.0, 0.1]]), np.zeros(0), forcing, np.array([[3.0, 0.0]]))
    expected = gradients("embedded", ude, arrays, method="rk4", substeps=8, interpolation="linear")
    options = {"method": method, "substeps": 8, "rtol": 1e-9, "atol": 1e-9}
    found = gradients("julia", ude, arrays, interpolation="linear", **options)
    np.testing.assert_allclose(found[0].fluxes, expected[0].fluxes, atol=1e-6)
    for name in ("parameters", "initial_state", "forcing"):
        np.testing.assert_allclose(
            getattr(found[1], name), getattr(expected[1], name), rtol=1e-5, atol=1e-6
        )


def test_record_wise_methods_give_the_same_numbers(make_inputs):
    ude = models.hbv()  # ten thresholds
    arrays = make_inputs(ude)
    options = {"method": "rk4", "substeps": 8, "thresholds": "located"}
    expected = gradients("embedded", ude, arrays, **options)
    found = gradients("julia", ude, arrays, **options)
    np.testing.assert_allclose(found[0].states, expected[0].states, rtol=1e-9, atol=1e-9)
    scale = np.abs(expected[1].parameters).max()
    # Julia differentiates crossings of the solution, the embedded engine those of the steps
    difference = np.abs(found[1].parameters - expected[1].parameters).max()
    assert difference < 1e-5 * scale
