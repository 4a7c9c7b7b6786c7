import jax
import numpy as np
import pytest
import sympy

from hybridwater.engines.embedded.equations import equations, evaluate, unpack_weights
from hybridwater.ude import UDE
from hybridwater.ude.functions import FUNCTIONS, sigmoid, smooth_step, softplus, where
from hybridwater.ude.staggered import Staggered

X, Y = sympy.symbols("x y", real=True)
XS = np.array([-3.0, -0.5, 0.0, 0.7, 4.0])
YS = np.array([2.0, 0.3, 1.0, 0.7, 5.0])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (X + 2 * Y - 1, lambda x, y: x + 2 * y - 1),
        (X / Y, lambda x, y: x / y),
        (X**2 * Y**-3, lambda x, y: x**2 / y**3),
        (sympy.sqrt(Y), lambda x, y: np.sqrt(y)),
        (Y**X, lambda x, y: y**x),
        (Y ** sympy.Rational(5, 3), lambda x, y: y ** (5 / 3)),
        (sympy.exp(X) * sympy.log(Y), lambda x, y: np.exp(x) * np.log(y)),
        (sympy.tanh(X) + sympy.sin(X), lambda x, y: np.tanh(x) + np.sin(x)),
        (sympy.cos(Y), lambda x, y: np.cos(y)),
        (sympy.Abs(X), lambda x, y: np.abs(x)),
        (sympy.Min(X, Y, 0.5), lambda x, y: np.minimum(np.minimum(x, y), 0.5)),
        (sympy.Max(X, Y), np.maximum),
        (
            where(X > Y, X, where(X <= 0, Y, 2)),
            lambda x, y: np.where(x > y, x, np.where(x <= 0, y, 2)),
        ),
        (
            where(X < 0, 1, where(Y >= 1, 3, 4)),
            lambda x, y: np.where(x < 0, 1, np.where(y >= 1, 3, 4)),
        ),
        (smooth_step(X, 0.2), lambda x, y: (np.tanh(x / 0.2) + 1) / 2),
        (sigmoid(X), lambda x, y: 1 / (1 + np.exp(-x))),
        (softplus(X), lambda x, y: np.log1p(np.exp(x))),
        (sympy.pi * X, lambda x, y: np.pi * x),
    ],
    ids=lambda value: str(value) if isinstance(value, sympy.Basic) else "",
)
def test_every_function(expression, expected):
    with jax.enable_x64(True):
        found = evaluate(expression, {X: jax.numpy.asarray(XS), Y: jax.numpy.asarray(YS)})
    np.testing.assert_allclose(np.broadcast_to(found, XS.shape), expected(XS, YS), 1e-14, 1e-15)


POINTWISE = sorted(set(FUNCTIONS) - {f.__name__ for f in Staggered.__subclasses__()})


@pytest.mark.parametrize("name", POINTWISE)
def test_no_function_of_equation_text_is_unknown(name):
    function, counts = FUNCTIONS[name]
    if name == "where":
        arguments = (X > 0, X, Y)
    else:
        arguments = (Y, X, X + 1, X * Y, Y + 2, X - 3)[: counts[0]]
    with jax.enable_x64(True):
        values = {X: jax.numpy.asarray(XS), Y: jax.numpy.asarray(YS)}
        assert np.isfinite(evaluate(function(*arguments), values)).all()


SOIL = np.concatenate([[-5.0, 0.0], np.geomspace(1e-3, 500, 60)])


def term(seed, **physics):
    """Value of a network with random weights at SOIL (first axis) for five values of pet."""
    program = UDE.from_dict(
        {
            "name": "gated",
            "forcings": {"pet": {"unit": "mm d-1"}},
            "states": {"soil": {"unit": "mm", "equation": "-et"}},
            "networks": {
                "et": {
                    "unit": "mm d-1",
                    "inputs": {"soil": [0, 200], "pet": [2, 6]},
                    "hidden": [6, 5],
                    "scale": 4,
                }
                | physics
            },
        }
    ).program
    weights = np.random.default_rng(seed).normal(0.0, 1.5, program.n_weights)
    soil, pet = np.meshgrid(SOIL, np.linspace(0, 9, 5), indexing="ij")
    with jax.enable_x64(True):
        layers = unpack_weights(program.networks, jax.numpy.asarray(weights))
        _, (et,) = equations(program, ("et",))([soil], [pet], [], layers)
    return np.asarray(et)


@pytest.mark.parametrize("seed", range(5))
def test_physics_hold_at_any_weights(seed):
    """Along the first axis the store fills, along the second the demand rises."""
    assert (term(seed, positive=True) > 0).all()
    assert (term(seed, positive="exp") > 0).all()
    bounded = term(seed, bounds=[1, 3])
    assert bounded.min() >= 1
    assert bounded.max() <= 3
    assert (np.diff(term(seed, monotone={"soil": 1}), axis=0) >= 0).all()
    assert (np.diff(term(seed, monotone={"soil": -1, "pet": 1}), axis=0) <= 0).all()
    assert (np.diff(term(seed, monotone={"soil": -1, "pet": 1}), axis=1) >= 0).all()
    softly = term(seed, monotone={"soil": 1}, activation="softplus", positive=True)
    assert (np.diff(softly, axis=0) >= 0).all()
    gated = term(seed, positive=True, zero_when_empty="soil")
    assert (gated[SOIL <= 0] == 0).all()
    assert (gated[SOIL > 0] > 0).all()
    assert np.abs(term(seed, zero_when_empty="soil")[SOIL <= 0]).max() == 0


@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu"])
def test_a_perceptron_is_what_it_says(activation):
    functions = {
        "tanh": np.tanh,
        "softplus": lambda z: np.log1p(np.exp(z)),
        "silu": lambda z: z / (1 + np.exp(-z)),
    }
    w = np.random.default_rng(0).normal(0.0, 1.5, 6 * 3 + 5 * 7 + 6)
    x = np.stack(np.meshgrid(SOIL / 100 - 1, (np.linspace(0, 9, 5) - 2) / 2 - 1, indexing="ij"))
    x = x.reshape(2, -1)
    for n_in, n_out, act in ((2, 6, True), (6, 5, True), (5, 1, False)):
        x = w[: n_in * n_out].reshape(n_out, n_in) @ x + w[n_in * n_out :][:n_out, None]
        w = w[n_in * n_out + n_out :]
        x = functions[activation](x) if act else x
    np.testing.assert_allclose(term(0, activation=activation), 4 * x.reshape(-1, 5), rtol=1e-11)
