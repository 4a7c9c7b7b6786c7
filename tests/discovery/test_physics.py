"""An equation that is fitted again is asked once more for the physics of its term."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import hybridwater as hw
from hybridwater.discovery import search_term
from hybridwater.training import Stage

SETTING = {
    "observed": {"q": "qobs"},
    "train": ("2000-01", "2000-10"),
    "warmup": 30,
    "substeps": 1,
    "schedule": [Stage("joint", 1, 0.01)],
    "show_progress": False,
}


@pytest.fixture(scope="module")
def learned_outflow(bucket):
    return bucket.learn(
        "q",
        {"soil": (0, 600)},
        hidden=(4,),
        positive=True,
        monotone={"soil": 1},
        zero_when_empty="soil",
    )


@pytest.fixture(scope="module")
def front(learned_outflow, make_term):
    term = make_term(lambda soil, **_: 0.002 * np.maximum(soil - 100, 0)).drop_vars(
        ["pet", "tmean"]
    )
    return search_term(learned_outflow, "q", term)


@pytest.fixture(scope="module")
def compare(weather, front):
    def run(models, **keywords):
        return hw.compare(models, weather, test=("2000-11", "2001-01"), **SETTING, **keywords)

    return run


def test_equations_of_the_front_keep_it(learned_outflow, front, compare):
    longest = {"longest": learned_outflow.replace("q", front[len(front) - 1])}
    found = compare(longest, fronts={"q": front})
    assert not found.failures
    assert front.broken(found.fits["longest"]) == ""


def test_what_breaks_it_is_left_out_in_words(learned_outflow, front, compare):
    models = {
        "turns": learned_outflow.replace("q", "k * soil * max(2 * c - soil, 0) / c"),
        "sinks": learned_outflow.replace("q", "k * (soil - c)"),
        "keeps": learned_outflow.replace("q", "k * soil"),
        "other": learned_outflow.replace("q", "k * soil - 0.01 * pet"),
    }
    found = compare(models, fronts={"q": front})
    assert found.failures["turns"] == "The fitted equation of q is not monotone."
    assert found.failures["sinks"] == "The fitted equation of q is negative."
    assert list(found.failures) == ["turns", "sinks"]
    assert found.table.loc["turns"].isna().all()
    assert found.preferred == "keeps"
    assert front.broken(found.fits["turns"]) == "not monotone"


def test_the_gate_of_an_empty_store_is_not_asked(bucket, make_term, compare):
    """Less evaporates from a fuller store, say; down to where it is empty."""
    model = bucket.learn(
        "et", {"soil": (0, 600)}, hidden=(4,), monotone={"soil": -1}, zero_when_empty="soil"
    )
    term = make_term(lambda soil, **_: 3 * np.exp(-soil / 300)).drop_vars(["pet", "tmean"])
    front = search_term(model, "et", term)
    gated = next(e for e in front if "et_empty" in str(e))
    found = compare({"gated": model.replace("et", gated)}, fronts={"et": front})
    assert not found.failures


def test_a_basin_is_named(learned_outflow, front, weather):
    fit = hw.fit(
        learned_outflow.replace("q", "k * (soil + c - s0)"),
        weather.expand_dims(basin=["a", "b"]),
        **SETTING,
    )
    assert front.broken(fit) == ""
    drier = fit.parameters | {"c": np.array([80.0, 30.0])}
    assert front.broken(dataclasses.replace(fit, parameters=drier)) == "negative in basin b"


def test_fluxes_that_a_term_is_made_of_are_written_out(front, compare):
    @hw.model
    def parts(m: hw.Declaration) -> None:
        P, pet = m.forcing("prcp", "mm d-1"), m.forcing("pet", "mm d-1")
        k = m.parameter("k", "d-1", bounds=(1e-3, 0.5), default=0.05, log=True)
        c = m.parameter("c", "mm", bounds=(20, 300), default=60)
        S = m.state("soil", "mm", initial=c)
        slow, drawn = m.flux("slow", k * S, "mm d-1"), m.flux("drawn", k * c, "mm d-1")
        q = m.flux("q", slow - drawn, "mm d-1")
        m.derivative(S, P - pet * S / (S + c) - q)

    found = compare([parts], fronts={"q": front})
    assert found.failures == {"parts": "The fitted equation of q is negative."}
