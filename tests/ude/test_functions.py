import pytest
import sympy

from hybridwater.ude import functions as fn

X, W = fn.symbol("x"), fn.symbol("w")


def plain(expression):
    """The same in SymPy's own functions."""
    expression = expression.replace(fn.smooth_step, lambda x, w: (sympy.tanh(x / w) + 1) / 2)
    expression = expression.replace(fn.sigmoid, lambda x: 1 / (1 + sympy.exp(-x)))
    return expression.replace(fn.softplus, lambda x: sympy.log(1 + sympy.exp(x)))


@pytest.mark.parametrize(
    "expression",
    [fn.smooth_step(X, W), fn.smooth_step(X**2, 3 * W), fn.sigmoid(2 * X), fn.softplus(X * W)],
)
@pytest.mark.parametrize("variable", [X, W])
def test_derivatives(expression, variable):
    point = {X: sympy.Rational(7, 10), W: sympy.Rational(13, 10)}
    found = plain(expression.diff(variable)).subs(point)
    expected = plain(expression).diff(variable).subs(point)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (fn.smooth_step(0, 1), 0.5),
        (fn.smooth_step(2, 4), 0.7310585786300049),
        (fn.sigmoid(0), 0.5),
        (fn.softplus(0), 0.6931471805599453),
    ],
)
def test_numbers(expression, value):
    assert float(expression) == pytest.approx(value)


def test_smooth_step_is_the_one_of_exp_hydro():
    step = plain(fn.smooth_step(X, sympy.Rational(1, 5)))
    assert sympy.simplify(step - (sympy.tanh(5 * X) + 1) / 2) == 0


def test_where():
    chosen = fn.where(X > 1, 10, 20)
    assert chosen.subs(X, 2) == 10
    assert chosen.subs(X, 0) == 20


def test_minimum_and_maximum():
    assert fn.minimum(X, 3).subs(X, 5) == 3
    assert fn.maximum(X, 3).subs(X, 5) == 5
