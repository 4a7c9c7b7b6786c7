import math
from collections.abc import Callable

import pytest
import sympy

from hybridwater.ude import UDE
from hybridwater.ude.functions import symbol


@pytest.fixture(scope="session")
def compiled() -> Callable[..., Callable[..., list[float]]]:
    """Compile a UDE without networks to f(states, forcings, parameters) -> derivatives + fluxes."""

    def compile_(ude: UDE, *wanted: str) -> Callable[..., list[float]]:
        program = ude.program
        values: dict[sympy.Basic, sympy.Expr] = {}
        for step in program.steps:
            values[symbol(step.name)] = step.expression.xreplace(values)
        results = [d.xreplace(values) for d in program.derivatives]
        results += [values[symbol(name)] for name in wanted]
        functions = {
            "smooth_step": lambda x, width: 0.5 * (math.tanh(x / width) + 1),
            "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
            "softplus": lambda x: math.log1p(math.exp(x)),
        }
        groups = (program.states, program.forcings, program.parameters)
        arguments = [[symbol(n) for n in group] for group in groups]
        return sympy.lambdify(arguments, results, modules=[functions, "math"], cse=True)

    return compile_


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., float]:
    """Evaluate a flux of a UDE at its parameter defaults and the given values."""

    def evaluate_(ude: UDE, name: str, **values: float) -> float:
        known = {symbol(c.name): c.value for c in ude.constants}
        known |= {symbol(p.name): p.default for p in ude.parameters}
        known |= {symbol(k): v for k, v in values.items()}
        fluxes = {f.name: f.expression for f in ude.fluxes}
        for step in ude.order:
            expression = fluxes[step]
            if all(s in known for s in expression.free_symbols) and symbol(step) not in known:
                known[symbol(step)] = _number(expression.subs(known))
        return float(known[symbol(name)])

    return evaluate_


def _number(expression: sympy.Expr) -> float:
    from hybridwater.ude.functions import sigmoid, smooth_step, softplus

    plain = expression.replace(smooth_step, lambda x, w: (sympy.tanh(x / w) + 1) / 2)
    plain = plain.replace(sigmoid, lambda x: 1 / (1 + sympy.exp(-x)))
    plain = plain.replace(softplus, lambda x: sympy.log(1 + sympy.exp(x)))
    return float(plain.evalf())
