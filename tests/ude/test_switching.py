import itertools

import numpy as np
import pytest
import sympy

from hybridwater.ude import UDE, models
from hybridwater.ude.functions import symbol
from hybridwater.ude.program import Assign
from hybridwater.ude.switching import switched

KINKS = (sympy.Min, sympy.Max, sympy.Abs)


def bucket(equation):
    return UDE.from_dict(
        {
            "name": "bucket",
            "forcings": {"prcp": {"unit": "mm d-1"}},
            "parameters": {"k": {"unit": "d-1", "bounds": [0, 2], "default": 0.5}},
            "constants": {"a": {"unit": "mm", "value": 10}, "b": {"unit": "mm", "value": 20}},
            "fluxes": {"q": {"unit": "mm d-1", "equation": equation}},
            "states": {"S": {"unit": "mm", "equation": "prcp - q"}},
        }
    )


def test_exp_hydro_has_one_threshold():
    found = switched(models.exp_hydro().program, forcing_varies=False)
    assert found.thresholds == ("threshold__0",)
    assert found.program.forcings[-1] == "switch__0"
    steps = {s.name: s.expression for s in found.program.steps}
    assert steps["melt"].has(sympy.Piecewise)
    assert not any(e.has(*KINKS) for e in steps.values())


def value(program, name, given):
    known = {symbol(n): sympy.Float(v) for n, v in given.items()}
    for step in program.steps:
        assert isinstance(step, Assign)
        known[symbol(step.name)] = step.expression.subs(known)
    return float(known[symbol(name)])


@pytest.mark.parametrize(
    "equation",
    [
        "k * max(S - a, 0)",
        "min(k * S, prcp, k * a)",
        "k * abs(S - b)",
        "where(S >= b, k * (S - a), where(S < a, 0, k * a))",
        "k * max(min(S, b) - a, 0)",  # one threshold needs another
        "where(S * k <= prcp, k * S, prcp) + where(prcp > k * b, k * b, 0)",
    ],
)
def test_switches_that_go_by_their_thresholds_change_nothing(equation):
    program = bucket(equation).program
    found = switched(program, forcing_varies=True)
    switches = found.program.forcings[1:]
    assert len(switches) == len(found.thresholds) > 0
    for s, prcp in itertools.product((5.0, 12.0, 17.0, 30.0, 60.0), (0.5, 3.0, 12.0)):
        given = {"S": s, "prcp": prcp, "k": 0.5}
        on = dict.fromkeys(switches, 0.0)
        for _ in range(found.depth):
            levels = [value(found.program, t, given | on) for t in found.thresholds]
            on = {n: float(v > 0) for n, v in zip(switches, levels, strict=True)}
        expected = value(program, "q", given)
        np.testing.assert_allclose(value(found.program, "q", given | on), expected)


def test_held_switches_leave_a_smooth_branch():
    found = switched(bucket("k * max(S - a, 0)").program, forcing_varies=False)
    slope = {"S": 5.0, "prcp": 1.0, "k": 0.5}
    sides = [value(found.program, "q", slope | {"switch__0": on}) for on in (0.0, 1.0)]
    assert sorted(sides) == [-2.5, 0.0]  # beyond its threshold, too


def test_what_only_forcing_decides_is_left_alone_while_it_is_constant():
    equation = "k * max(S - a, 0) * where(prcp > k * b, 1, 2)"
    program = bucket(equation).program
    assert len(switched(program, forcing_varies=False).thresholds) == 1
    assert len(switched(program, forcing_varies=True).thresholds) == 2


def test_a_threshold_that_comes_twice_is_one():
    program = bucket("k * max(S - a, 0) + k * max(S - a, 0)**2 / b").program
    assert len(switched(program, forcing_varies=False).thresholds) == 1


def test_a_smooth_model_has_none():
    found = switched(bucket("k * S").program, forcing_varies=True)
    assert found.thresholds == ()
    assert found.depth == 0
