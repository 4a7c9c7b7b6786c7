"""Expressions of any form: what comes from Julia is sifted, fitted and written as equations."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest

from hybridwater import _julia, units
from hybridwater.discovery import search_term
from hybridwater.discovery.formulas import OPERATORS, Formula
from hybridwater.discovery.symbolic import Breeding
from hybridwater.errors import DataError, MissingDependency, UnitError

TOKEN = {o.name: -k for k, o in enumerate(OPERATORS, 1)}
#: Inputs 1 and 2 are soil and pet.
PROGRAMS = [
    (2, 1, 0, TOKEN["*"], 0, TOKEN["smaller"], TOKEN["*"]),  # pet * min(c soil, c)
    (0, 2, TOKEN["*"]),  # c pet
    (0,),
    (0, 1, TOKEN["*"]),  # c soil
    (1, 2, TOKEN["+"]),  # not consistent
]
EMPTY = {"positive": True, "zero_when_empty": "soil"}


def law(soil, pet, **_):
    return pet * np.minimum(soil / 400, 1)


@pytest.fixture
def bred(monkeypatch):
    """Give programs in the place of Julia; what it was asked is in the list."""
    asked = []

    def call(function, *arguments):
        if function == "load_package":
            return True
        asked.append(arguments)
        tokens = np.array([t for p in PROGRAMS for t in p])
        count = sum(p.count(0) for p in PROGRAMS)
        return tokens, np.array([len(p) for p in PROGRAMS]), np.ones(count)

    monkeypatch.setattr(_julia, "call", call)
    return asked


def test_programs_become_a_front(learned, make_term, bred):
    model = learned("et", "soil", "pet", **EMPTY)
    front = search_term(model, "et", make_term(law), method="symbolic")
    assert front.chosen == len(front) - 1
    best = front.proposals[front.chosen]
    assert best.explained > 0.99
    assert best.operations <= 11
    by_unit = {str(units.parse(p.unit)): p.default for p in best.equation.parameters}
    slope, cap = by_unit["1 / millimeter"], by_unit["dimensionless"]
    assert slope == pytest.approx(1 / 400, rel=0.02)
    assert cap == pytest.approx(1, rel=0.02)
    assert "soil" in best.form
    again = model.replace("et", front.recommended)
    assert not again.networks


def test_what_breaks_the_physics_is_left_out(learned, make_term, bred):
    model = learned("et", "soil", "pet", bounds=(0, 0.1))
    front = search_term(model, "et", make_term(law), method="symbolic")
    assert len(front) == 0
    assert "No equation respects the physics" in str(front)
    assert "4 candidates broke the physics" in str(front)


def test_what_does_not_vanish_with_its_store_gets_the_gate(learned, make_term, bred):
    model = learned("et", "soil", "pet", **EMPTY)
    front = search_term(model, "et", make_term(law), method="symbolic")
    for proposal in front.proposals:
        vanishes = "soil" in proposal.form
        assert ("et_empty" in str(proposal.equation)) != vanishes


def test_julia_is_given_numbers_near_one_and_powers_of_units(learned, make_term, bred):
    model = learned("et", "soil", "pet", **EMPTY)
    search_term(model, "et", make_term(law), method="symbolic", max_operations=7, seed=3)
    x, y, weights, powers, power, unary, binary, _, size, seed = bred[0]
    assert x.shape == (len(y), 2)
    assert np.all(np.abs(np.log(np.sqrt(np.mean(x**2, axis=0)))) < np.log(10))
    assert weights.mean() == pytest.approx(1)
    assert powers.tolist() == [[0.0, 1.0], [-1.0, 1.0]]  # of day and millimetre
    assert power.tolist() == [-1.0, 1.0]
    assert (*unary, *binary) == tuple(o.name for o in OPERATORS)
    assert (size, seed) == (15, 3)


def test_inputs_that_do_not_vary_are_not_sent(learned, make_term, bred, monkeypatch):
    monkeypatch.setattr(f"{__name__}.PROGRAMS", [(0, 1, TOKEN["*"]), (0,)])
    term = make_term(lambda soil, pet, **_: 0.01 * pet, soil=np.full(720, 30.0))
    front = search_term(learned("et", "soil", "pet"), "et", term, method="symbolic")
    assert bred[0][0].shape[1] == 1
    assert "pet" in front.proposals[front.chosen].form


def test_what_the_model_would_refuse_is_no_candidate(learned, make_term, bred, monkeypatch):
    """Nothing is lost by one program that cannot be written."""
    write = Formula.write

    def refuse(self, **how):
        if len(self.constants) == 2:
            raise UnitError("It has another unit.")
        return write(self, **how)

    monkeypatch.setattr(Formula, "write", refuse)
    front = search_term(learned("et", "soil", "pet"), "et", make_term(law), method="symbolic")
    assert len(front) > 0
    assert all(len(p.equation.parameters) < 2 for p in front.proposals)


def test_without_julia_it_is_said(learned, make_term, monkeypatch):
    monkeypatch.setattr(_julia, "call", lambda *_: False)
    with pytest.raises(MissingDependency, match="no package SymbolicRegression") as caught:
        search_term(learned("et", "soil", "pet"), "et", make_term(law), method="symbolic")
    assert "hybridwater julia install --discovery" in str(caught.value)


def test_an_unknown_method_is_refused(learned, make_term):
    with pytest.raises(DataError, match="no method 'symbolc' \\(did you mean 'symbolic'"):
        search_term(learned("et", "soil", "pet"), "et", make_term(law), method="symbolc")


searching = pytest.mark.julia("SymbolicRegression")


@pytest.fixture
def little(monkeypatch):
    """Search with little effort."""
    effort = partial(Breeding, populations=8, members=25, iterations=6)
    monkeypatch.setattr("hybridwater.discovery.discovering.Breeding", effort)


@searching
@pytest.mark.slow
def test_a_law_is_found_again(learned, make_term, little):
    model = learned("et", "soil", "pet", **EMPTY)
    term = make_term(lambda soil, pet, **_: pet * soil / (soil + 200))
    front = search_term(model, "et", term, method="symbolic")
    best = front.proposals[front.chosen]
    assert best.explained > 0.99
    assert best.operations <= 11
    for proposal in front.proposals:
        assert not model.replace("et", proposal.equation).networks  # checks units
    again = search_term(model, "et", term, method="symbolic")
    assert str(again) == str(front)


@searching
@pytest.mark.slow
def test_noise_is_no_law_of_any_form(learned, make_term, little):
    noise = np.random.default_rng(0).gamma(2.0, 1.0, 720)
    term = make_term(lambda **_: noise, noise=0)
    front = search_term(learned("et", "soil", "pet"), "et", term, method="symbolic")
    assert front.recommended is None


@searching
@pytest.mark.slow
def test_a_search_can_be_stopped(learned, make_term, little, monkeypatch):
    endless = partial(Breeding, iterations=100_000)
    monkeypatch.setattr("hybridwater.discovery.discovering.Breeding", endless)
    threading.Timer(5, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        search_term(learned("et", "soil", "pet"), "et", make_term(law), method="symbolic")
    assert time.perf_counter() - begun < 60
    assert _julia.call("load_package", *_julia.SYMBOLIC_REGRESSION)
