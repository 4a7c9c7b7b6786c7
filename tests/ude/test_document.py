import copy
import json
import tomllib

import pytest
import tomlkit

from hybridwater.errors import DeclarationError
from hybridwater.ude import UDE, exp, maximum, minimum, model, models, smooth_step, where

LIBRARY = [
    models.linear_reservoir,
    models.exp_hydro,
    models.exp_hydro_hybrid,
    models.hbv,
    models.gr4j,
    models.neural_ode,
]


@model
def bucket(m):
    """One bucket."""
    P = m.forcing("prcp", "mm d-1")
    E = m.forcing("pet", "mm d-1", "what the air demands")
    T = m.forcing("tmean", "degC")
    s0 = m.parameter("s0", "mm", (0, 500), 100)
    S = m.state("soil", "mm", initial=s0)
    k = m.parameter("k", "d-1", bounds=(1e-3, 1), default=0.05, log=True, citation="somebody")
    t0 = m.parameter("t0", "degC", bounds=(-3, 3), default=0)
    w = m.constant("width", 0.2, "K")
    cap = m.constant("cap", 300, "mm", citation="somebody else")
    et = m.network(
        "et",
        {S: (0, 500), E: (0, 8), exp(-S / cap): (0, 1)},
        "mm d-1",
        positive=True,
        zero_when_empty=S,
        monotone={S: 1},
        conceptual=E * minimum(1, S / cap),
    )
    rain = m.flux("rain", P * smooth_step(T - t0, w), "mm d-1")
    q = m.flux("q", k * maximum(S - cap, 0) + where(cap < S, 0.5 * k * S, 0), "mm d-1")
    m.derivative(S, rain - et - q)


TEXT = """
name = "bucket"
description = "One bucket."

[forcings]
prcp = { unit = "mm d-1" }
pet = { unit = "mm d-1", description = "what the air demands" }
tmean = { unit = "degC" }

[states.soil]
unit = "mm"
initial = "s0"
equation = "rain - et - q"

[parameters]
s0 = { unit = "mm", bounds = [0, 500], default = 100 }
k = { unit = "d-1", bounds = [1e-3, 1], default = 0.05, log = true, citation = "somebody" }
t0 = { unit = "degC", bounds = [-3, 3], default = 0 }

[constants]
width = { unit = "K", value = 0.2 }
cap = { unit = "mm", value = 300, citation = "somebody else" }

[fluxes.rain]
unit = "mm d-1"
equation = "prcp * smooth_step(tmean - t0, width)"

[fluxes.q]
unit = "mm d-1"
equation = "k * max(soil - cap, 0) + where(soil > cap, 0.5 * k * soil, 0)"

[networks.et]
unit = "mm d-1"
positive = true
zero_when_empty = "soil"
conceptual = "pet * min(soil / cap, 1)"
[networks.et.inputs]
soil = [0, 500]
pet = [0, 8]
"exp(-soil / cap)" = [0, 1]
[networks.et.monotone]
soil = 1
"""


def test_both_spellings_are_one_model():
    text = UDE.from_dict(tomllib.loads(TEXT))
    assert text == bucket
    assert text.fingerprint == bucket.fingerprint
    assert str(text) == str(bucket)


@pytest.mark.parametrize("make", LIBRARY)
def test_round_trip_through_json(make):
    ude = make()
    assert UDE.from_dict(json.loads(json.dumps(ude.to_dict()))) == ude


@pytest.mark.parametrize("make", [*LIBRARY, lambda: bucket])
def test_round_trip_through_toml(make):
    ude = make()
    text = tomlkit.dumps(ude.to_dict())
    assert UDE.from_dict(tomllib.loads(text)) == ude
    assert UDE.from_dict(tomlkit.parse(text)) == ude


def test_the_data_are_not_changed_by_reading():
    data = bucket.to_dict()
    before = copy.deepcopy(data)
    UDE.from_dict(data)
    assert data == before


def change(path, value):
    data = tomllib.loads(TEXT)
    *parents, last = path.split(".")
    table = data
    for key in parents:
        table = table[key]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("fluxs", {}, "The key 'fluxs' is not known (did you mean 'fluxes'?). Where: the model."),
        ("fluxes.q.equaton", "1", "did you mean 'equation'?"),
        ("parameters.k.bound", [0, 1], "did you mean 'bounds'?"),
        ("networks.et.hiden", [3], "did you mean 'hidden'?"),
        ("name", None, "The key 'name' is missing. Where: the model."),
        ("name", 3, "3 is not text."),
        ("description", 3, "3 is not text."),
        ("time_unit", 1, "1 is not text."),
        ("states.soil.unit", None, "The key 'unit' is missing. Where: 'soil' of model 'bucket'."),
        ("states.soil.unit", 1, "1 is not text. Where: 'soil' of model 'bucket'."),
        ("states.soil.equation", None, "The key 'equation' is missing."),
        ("states.soil.equation", 3, "The equation is empty, not text"),
        ("states.soil.initial", True, "True is not a number. Where: state 'soil'."),
        ("states.soil.initial", [1], "[1] is not a number."),
        ("parameters.k.bounds", None, "The key 'bounds' is missing. Where: parameter 'k'."),
        ("parameters.k.bounds", [0], "[0] is not a range. Where: parameter 'k'. To mend it: Write"),
        ("parameters.k.bounds", ["a", 1], "'a' is not a number."),
        ("parameters.k.default", "x", "'x' is not a number."),
        ("parameters.k.log", "no", "'no' is not true or false."),
        ("constants.cap.value", None, "The key 'value' is missing."),
        ("constants", [], "This should be a table, not list. Where: 'constants' of model"),
        ("constants.cap", 3, "This should be a table, not int. Where: constants.cap of model"),
        ("networks.et.inputs", [1], "This should be a table, not list. Where: the inputs of"),
        ("networks.et.inputs.soil", 3, "3 is not a range."),
        ("networks.et.monotone", 1, "This should be a table, not int."),
        ("networks.et.hidden", 16, "16 are not widths of hidden layers."),
        ("networks.et.empty_scale", "x", "'x' is not a number."),
        ("networks.et.zero_when_empty", ["soil"], "['soil'] is not text."),
        ("networks.et.activation", [], "[] is not text."),
        ("networks.et.positive", [], "positive=[] is not known."),
        ("fluxes.q.equation", "__import__('os').getpid()", "something that is not arithmetic"),
        ("networks.et.conceptual", "open('x')", "The function 'open' may not be used"),
    ],
)
def test_bad_data(path, value, message):
    with pytest.raises(DeclarationError) as caught:
        UDE.from_dict(change(path, value))
    assert message in str(caught.value)


def test_a_model_is_a_table():
    with pytest.raises(DeclarationError) as caught:
        UDE.from_dict([])
    assert str(caught.value) == "This should be a table, not list. Where: the model."


def test_a_name_that_is_none():
    data = change("fluxes.a b", {"unit": "mm d-1", "equation": "q"})
    with pytest.raises(DeclarationError, match="'a b' is not a name for a quantity"):
        UDE.from_dict(data)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DeclarationError, match=r"did you mean 'rain'\?"):
        UDE.from_dict(change("states.soil.equation", "rian - et - q"))
