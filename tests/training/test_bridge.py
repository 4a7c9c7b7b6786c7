import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from hybridwater.engines import Options, Solver, get_engine
from hybridwater.training import bridge
from hybridwater.ude.program import initial_weights

RECORDS = 12


@pytest.fixture(scope="module")
def solver(hybrid) -> Solver:
    return get_engine("embedded").compile(hybrid, Options(substeps=1, fluxes=("q", "et")))


@pytest.fixture
def inputs(hybrid, make_weather) -> dict[str, Tensor]:
    """Batch of two, each with weights of its own."""
    weather = make_weather(2, RECORDS)
    forcing = np.stack([weather["prcp"], np.broadcast_to(weather["pet"], (2, RECORDS))], axis=-1)
    weights = np.stack([initial_weights(hybrid.program, s) for s in (0, 1)])
    arrays = {
        "parameters": np.full((2, len(hybrid.program.parameters)), 0.1),
        "weights": weights,
        "forcing": forcing,
        "initial_state": np.array([[30.0], [60.0]]),
    }
    return {k: torch.tensor(v) for k, v in arrays.items()}


def differentiable(solver: Solver, inputs: dict[str, Tensor], name: str) -> Callable:
    def f(value: Tensor) -> tuple[Tensor, Tensor]:
        return bridge.solve(solver, **{**inputs, name: value})[:2]

    return f


@pytest.mark.parametrize("name", ["parameters", "weights", "forcing", "initial_state"])
def test_gradients_agree_with_finite_differences(solver, inputs, name):
    f = differentiable(solver, inputs, name)
    value = inputs[name].clone().requires_grad_()
    assert torch.autograd.gradcheck(f, value, eps=1e-6, atol=1e-6, rtol=1e-6)


def test_shared_weights_have_the_summed_gradient(solver, inputs):
    shared = inputs["weights"][0].clone().requires_grad_()
    own = inputs["weights"][:1].repeat(2, 1).requires_grad_()
    for weights in (shared, own):
        bridge.solve(solver, **{**inputs, "weights": weights})[0].sum().backward()
    torch.testing.assert_close(shared.grad, own.grad.sum(0))


def test_evaluate_gradients_agree_with_finite_differences(solver, inputs):
    states = torch.linspace(1, 50, 2 * RECORDS, dtype=torch.float64).reshape(2, RECORDS, 1)
    forcing = inputs["forcing"]
    for name in ("parameters", "weights"):
        value = inputs[name].clone().requires_grad_()

        def f(v: Tensor, name: str = name) -> Tensor:
            given = {**inputs, name: v}
            return bridge.evaluate(solver, given["parameters"], given["weights"], forcing, states)

        assert torch.autograd.gradcheck(f, value, eps=1e-6, atol=1e-6, rtol=1e-6)


def test_results_may_be_written_to(solver, inputs):
    fluxes, states, _ = bridge.solve(solver, **inputs)
    before = fluxes.clone()
    fluxes += 1
    states += 1
    again, _, _ = bridge.solve(solver, **inputs)
    torch.testing.assert_close(again, before)


@dataclasses.dataclass
class Watched:
    """Counts what is asked of a solver."""

    solver: Solver
    calls: list[str] = dataclasses.field(default_factory=list)

    def solve(self, *args):
        self.calls.append("solve")
        return self.solver.solve(*args)

    def solve_with_pullback(self, *args, forcing_gradient):
        self.calls.append(f"pullback, forcing {forcing_gradient}")
        return self.solver.solve_with_pullback(*args, forcing_gradient=forcing_gradient)


def test_nothing_is_differentiated_that_is_not_asked_for(solver, inputs):
    watched = Watched(solver)
    bridge.solve(watched, **inputs)
    inputs["weights"].requires_grad_()
    with torch.no_grad():
        bridge.solve(watched, **inputs)
    bridge.solve(watched, **inputs)
    inputs["forcing"].requires_grad_()
    bridge.solve(watched, **inputs)
    assert watched.calls == [
        "solve",
        "solve",
        "pullback, forcing False",
        "pullback, forcing True",
    ]


def test_failures_are_values(solver, inputs):
    inputs["initial_state"][0] = torch.nan
    fluxes, _, solution = bridge.solve(solver, **inputs)
    assert [f.batch for f in solution.failures] == [0]
    assert torch.isfinite(fluxes[1]).all()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_of_an_equilibrium_agree_with_finite_differences(hybrid, solver, which):
    batch = 2
    inputs = [
        torch.full((batch, len(hybrid.program.parameters)), 0.1, dtype=torch.float64),
        torch.tensor(np.stack([initial_weights(hybrid.program, s) for s in (0, 1)])),
        torch.tensor([[5.0, 1.0], [8.0, 2.0]], dtype=torch.float64),
    ]
    guess = torch.full((batch, 1), 30.0, dtype=torch.float64)

    def f(value: Tensor) -> Tensor:
        given = [value if k == which else a for k, a in enumerate(inputs)]
        return bridge.equilibrium(solver, *given, guess)

    value = inputs[which].clone().requires_grad_()
    assert torch.autograd.gradcheck(f, value, eps=1e-6, atol=1e-5, rtol=1e-6)
