"""What a form computes is what it writes."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from hybridwater.discovery.forms import FORMS, Visited
from hybridwater.ude.functions import sigmoid, softplus

X = np.linspace(1.0, 80.0, 60)
VISITED = Visited.of(X, temperature=False)


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.name)
def test_values_are_those_of_the_expression(form):
    x = sympy.Symbol("x", real=True)
    for which in (0, -1):
        constants = [float(VISITED.grid(kind)[which]) for kind in form.constants]
        expression = form.expression(x, VISITED.reference, *map(sympy.Float, constants))
        expression = expression.replace(sigmoid, lambda a: 1 / (1 + sympy.exp(-a)))
        expression = expression.replace(softplus, lambda a: sympy.log(1 + sympy.exp(a)))
        expected = [float(expression.subs(x, v)) for v in X]
        np.testing.assert_allclose(
            form.values(X, VISITED.reference, *constants), expected, rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("form", [f for f in FORMS if f.from_zero], ids=lambda f: f.name)
def test_forms_that_begin_at_zero_do(form):
    constants = [float(VISITED.grid(kind)[0]) for kind in form.constants]
    assert form.values(np.zeros(1), VISITED.reference, *constants)[0] == pytest.approx(0, abs=2e-3)


def test_exponentials_begin_at_a_zero_that_is_visited():
    growth = next(f for f in FORMS if f.exponential)
    power = next(f for f in FORMS if f.name == "power")
    assert VISITED.origin(growth) == 0
    assert VISITED.origin(power) == VISITED.reference > 0
    full = Visited.of(X + 1000, temperature=False)
    assert full.origin(growth) == full.reference > 0
    warm = Visited.of(X, temperature=True)
    assert warm.origin(growth) == warm.reference


def test_a_temperature_has_no_zero():
    warm = Visited.of(X, temperature=True)
    assert not warm.has_zero
    assert not any(warm.allows(f) for f in FORMS if f.from_zero)


def test_searches_begin_within_their_limits():
    for kind in ("scale", "folding", "threshold", "width", "exponent"):
        low, high = VISITED.limits(kind)
        assert ((VISITED.grid(kind) >= low) & (VISITED.grid(kind) <= high)).all()
