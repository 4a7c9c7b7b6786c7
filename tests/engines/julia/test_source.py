"""The Julia source that models become; that it means the same is tested engine against engine."""

from __future__ import annotations

import re

import pytest
import sympy

from hybridwater.engines.julia.source import JuliaPrinter, write_source
from hybridwater.errors import DeclarationError
from hybridwater.ude import models
from hybridwater.ude.functions import FUNCTIONS, sigmoid, smooth_step, softplus, symbol
from hybridwater.ude.model import UDE

x, y = symbol("x"), symbol("y")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (x + 2 * y, "(x[1] + (2.0 * y[1]))"),
        (x / y, "(x[1] * (1.0 / y[1]))"),
        (x**3, "(x[1] ^ 3)"),
        (sympy.sqrt(x), "root(x[1])"),
        (x ** sympy.Rational(-1, 2), "(1.0 / root(x[1]))"),
        (x**y, "power(x[1], y[1])"),
        (x**1.5, "power(x[1], 1.5)"),
        (sympy.log(x), "logarithm(x[1])"),
        (sympy.Min(x, y, evaluate=False), "min(x[1], y[1])"),
        (sympy.Abs(x), "abs(x[1])"),
        (sympy.Heaviside(x), "heaviside(x[1])"),
        (smooth_step(x, y), "smooth_step(x[1], y[1])"),
        (softplus(sigmoid(x)), "softplus(sigmoid(x[1]))"),
        (sympy.pi * x, "(3.141592653589793 * x[1])"),
        (
            sympy.Piecewise((x, x > 1), (y, x <= 0), (0, True)),
            "ifelse((x[1] > 1.0), x[1], ifelse((x[1] <= 0.0), y[1], 0.0))",
        ),
    ],
)
def test_expressions(expression, text):
    assert JuliaPrinter({x: "x[1]", y: "y[1]"}).doprint(expression) == text


@pytest.mark.parametrize(
    "expression", [sympy.gamma(x), sympy.Function("run")(x), sympy.Integral(x)]
)
def test_what_is_not_known_is_refused(expression):
    with pytest.raises(DeclarationError, match="no counterpart in Julia"):
        JuliaPrinter({x: "x[1]"}).doprint(expression)


@pytest.mark.parametrize(
    "make", [models.exp_hydro_hybrid, models.regional_hybrid, models.hbv, models.neural_ode]
)
def test_no_name_of_a_model_reaches_the_source(make):
    ude = make()
    source = write_source(ude.program, ude.order)
    words = set(re.findall(r"[A-Za-z_]\w*!?", source.rates + source.pullback + source.jacobian))
    ours = {"begin", "end", "nothing", "inbounds", "ifelse"}
    ours |= {"evaluate!", "input_gradient!", "backpropagate!"}
    ours |= {"u", "x", "p", "w", "c", "y", "us", "xs", "ps", "ws", "ys", "J", "T", "dx", "e"}
    ours |= {"logarithm", "root", "power", "sine", "cosine", "heaviside", "sign", *FUNCTIONS}
    assert {w for w in words if not re.fullmatch(r"v\d+", w)} <= ours


def test_text_that_tries_to_run_code_stays_out():
    declared = {
        "name": 'evil"; run(`id`); "',
        "forcings": {"prcp": {"unit": "mm d-1"}},
        "parameters": {"k": {"unit": "d-1", "bounds": [0, 2], "default": 0.5}},
        "fluxes": {"q": {"unit": "mm d-1", "equation": "k * S", "description": "$(exit())"}},
        "states": {"S": {"unit": "mm", "equation": "prcp - q"}},
    }
    source = write_source(UDE.from_dict(declared).program, ("q",))
    assert "run" not in source.rates
    assert "exit" not in source.rates
    for text in ("k * S; exit()", "run(`id`)", "@eval exit()", "Main.exit()"):
        declared["fluxes"]["q"]["equation"] = text
        with pytest.raises(DeclarationError):
            UDE.from_dict(declared)


def test_the_pattern_lists_what_is_not_always_zero():
    source = write_source(models.exp_hydro().program, ("q",))
    assert sorted(source.pattern) == [(0, 0), (1, 0), (1, 1), (2, 1)]
