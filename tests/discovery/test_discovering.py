"""Laws that are known are found again; noise is not a law; bad input is told in words."""

from __future__ import annotations

import dataclasses
import html
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy
import xarray as xr

import hybridwater as hw
from hybridwater.discovery import discovering, search_term
from hybridwater.errors import DataError, DeclarationError

EMPTY = {"positive": True, "zero_when_empty": "soil"}


def constant(front, name):
    return next(p for p in front.recommended.parameters if p.name == name)


def form(front):
    assert front.chosen is not None, str(front)
    return front.proposals[front.chosen].form


def test_evapotranspiration_in_proportion_to_saturation(learned, make_term):
    term = make_term(lambda soil, pet, **_: pet * np.minimum(soil / 400, 1))
    front = search_term(learned("et", "soil", "pet", **EMPTY), "et", term)
    assert form(front) == "capped(soil) proportional(pet)"
    scale = constant(front, "et_scale_soil")
    assert scale.unit == "mm"
    assert scale.default == pytest.approx(400, rel=0.02)
    assert scale.bounds[0] < 400 < scale.bounds[1]


def test_exponential_baseflow(learned, make_term):
    term = make_term(lambda soil, **_: 20 * np.exp(-0.012 * (500 - soil)))
    model = learned("q_base", "soil", positive="exp", zero_when_empty="soil")
    front = search_term(model, "q_base", term)
    assert form(front) == "exponential growth(soil)"
    assert constant(front, "q_base_folding_soil").default == pytest.approx(1 / 0.012, rel=0.02)
    again = model.replace("q_base", front.recommended)
    assert not again.networks
    empty = {s.name: 0.0 for s in again.states}
    expression = next(f for f in again.fluxes if f.name == "q_base").expression
    known = {t.name: t.default for t in again.parameters}
    known |= {t.name: t.value for t in again.constants} | empty
    assert expression.subs({s: known[str(s)] for s in expression.free_symbols}) == 0


def test_exponential_may_move_along_a_store_and_a_cap_is_seen(learned, make_term):
    """A store's level is not observed: in another fit the same law may stand 1000 mm higher."""
    model = learned("q_base", "soil", positive="exp")
    plain = search_term(model, "q_base", make_term(lambda soil, **_: np.exp((soil - 400) / 60)))
    assert form(plain) == "exponential growth(soil)"
    where = constant(plain, "q_base_position_soil")
    assert where.description == "position of an exponential in the equation of q_base"
    fixed = {c.name: c.value for c in plain.recommended.constants}
    level = where.default - 60 * np.log(fixed["q_base_factor"])
    assert level == pytest.approx(400, abs=2)
    assert where.bounds[1] > where.default + 1000
    term = make_term(lambda soil, **_: 8 * np.exp(np.minimum(soil - 380, 0) / 60), noise=0.0)
    capped = search_term(model, "q_base", term, tolerance=1e-3)
    assert form(capped) == "capped exponential growth(soil)"
    where = constant(capped, "q_base_threshold_soil")
    assert where.default == pytest.approx(380, rel=0.02)


def test_exponential_decay_of_a_temperature(learned, make_term):
    term = make_term(lambda tmean, **_: 3 * np.exp((5 - tmean) / 6))
    front = search_term(learned("melt", "tmean", positive="exp"), "melt", term)
    assert form(front) == "exponential decay(tmean)"
    fixed = {c.name: c.value for c in front.recommended.constants}
    where = constant(front, "melt_position_tmean").default
    at_five = fixed["melt_factor"] * np.exp((where - 5) / 6)
    assert at_five == pytest.approx(3, rel=0.03)


def test_only_thresholds_of_stores_may_lie_far_away(learned, make_term):
    """The level of a store is not observed; a forcing is."""
    law = {
        "soil": lambda soil, **_: np.maximum(soil - 200, 0),
        "pet": lambda pet, **_: np.maximum(pet - 1.5, 0),
    }
    for name, high, number in (("soil", 600, 200), ("pet", 4, 1.5)):
        front = search_term(learned("et", name), "et", make_term(law[name]))
        assert form(front) == f"excess over a threshold({name})"
        known = constant(front, f"et_threshold_{name}")
        assert known.default == pytest.approx(number, rel=0.05)
        assert (known.bounds[1] > 10 * high) == (name == "soil")
        assert known.bounds[1] > high


def test_an_exponential_may_stand_far_beyond_what_was_visited(learned, make_term):
    """A fixed, round amplitude puts a weak growth where no temperature has been."""
    term = make_term(lambda tmean, **_: 1.45 * np.exp(tmean / 400), noise=0.0)
    model = learned("melt", "tmean", positive="exp")
    front = search_term(model, "melt", term)
    grown = [p for p in front.proposals if p.form == "exponential growth(tmean)"]
    assert len(grown) == 1
    for proposal in (*front.proposals, *front.rivals):
        for known in proposal.equation.parameters:
            assert known.bounds[0] < known.default < known.bounds[1]
        assert not model.replace("melt", proposal.equation).networks


def test_base_and_quick_flow_share_a_factor(learned, make_term):
    """Both flows and the gate of the store fit into eleven operations."""
    term = make_term(lambda soil, pet, **_: 0.5 * np.exp((soil - 500) / 120) * (pet + 1.5))
    model = learned("et", "soil", "pet", **EMPTY)
    front = search_term(model, "et", term)
    assert form(front) == "exponential growth(soil) linear(pet)"
    assert constant(front, "et_scale_pet").default == pytest.approx(1.5, rel=0.05)
    assert front.proposals[front.chosen].operations <= 11
    gate = str(front.recommended.expression)
    assert "Min(1, soil/et_empty)" in gate


def test_a_storm_that_multiplies_the_flow_begins_at_zero(learned, make_term):
    """Two exponentials and the gate of the store fit into eleven operations."""
    term = make_term(lambda soil, pet, **_: 0.2 * np.exp((soil - 500) / 120) * np.exp(pet / 1.5))
    model = learned("et", "soil", "pet", **EMPTY)
    front = search_term(model, "et", term)
    assert form(front) == "exponential growth(soil) exponential growth(pet)"
    assert constant(front, "et_folding_pet").default == pytest.approx(1.5, rel=0.05)
    assert front.proposals[front.chosen].operations <= 11
    assert "exp(pet/et_folding_pet)" in str(front.recommended.expression)
    assert not model.replace("et", front.recommended).networks


def test_degree_day_melt_and_units_of_temperature(learned, make_term):
    term = make_term(lambda tmean, **_: 2.5 * np.maximum(tmean - 1.5, 0), noise=0.05)
    front = search_term(learned("melt", "tmean", "soil", positive=True), "melt", term)
    assert form(front) == "excess over a threshold(tmean)"
    assert constant(front, "melt_threshold_tmean").unit == "degC"
    assert constant(front, "melt_threshold_tmean").default == pytest.approx(1.5, abs=0.1)
    factor = constant(front, "melt_factor")
    assert hw.units.parse(factor.unit) == hw.units.parse("mm d-1 K-1")
    assert factor.default == pytest.approx(2.5, rel=0.02)


def test_sum_of_two_products(learned, make_term):
    term = make_term(lambda soil, pet, **_: 0.3 * pet + 1e-5 * soil**2, noise=0.01)
    front = search_term(learned("et", "soil", "pet"), "et", term)
    assert set(form(front).split(" + ")) == {"proportional(pet)", "square(soil)"}


def test_every_equation_goes_back_into_the_model(learned, make_term):
    term = make_term(lambda soil, pet, **_: pet * soil / (soil + 150) + 0.2)
    model = learned("et", "soil", "pet")
    front = search_term(model, "et", term)
    assert len(front) > 3
    for proposal in front.proposals:
        again = model.replace("et", proposal.equation)  # checks units
        assert not again.networks


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_law(learned, make_term, seed):
    noise = np.random.default_rng(seed).gamma(2.0, 1.0, 720)
    term = make_term(lambda **_: noise, noise=0)
    front = search_term(learned("et", "soil", "pet"), "et", term, seed=seed)
    assert front.recommended is None
    assert "No equation is recommended" in str(front)


def test_physics_is_kept(learned, make_term, visited):
    term = make_term(lambda soil, pet, **_: pet * (1 - soil / 450), noise=0)
    model = learned("et", "soil", "pet", positive=True, monotone={"pet": 1})
    front = search_term(model, "et", term)
    for proposal in front.proposals:
        assert proposal.values.min() >= -1e-5
    free = search_term(learned("et", "soil", "pet"), "et", term)
    assert min(p.values.min() for p in free.proposals) < -0.1


def test_a_monotone_effect_is_kept(learned, make_term):
    term = make_term(lambda pet, **_: 4 * pet - pet**2 + 1, noise=0)
    order = np.argsort(term["pet"].values)

    def steps(**physics):
        front = search_term(learned("et", "pet", **physics), "et", term)
        return [np.diff(p.values[order]).min() for p in (*front.proposals, *front.rivals)]

    assert min(steps()) < -0.001
    kept = steps(monotone={"pet": 1})
    assert len(kept) > 1
    assert min(kept) > -1e-5


def test_bounds_are_kept(learned, make_term):
    term = make_term(lambda soil, pet, **_: np.minimum(pet * soil / 300, 2), noise=0)

    def highest(**physics):
        front = search_term(learned("et", "soil", "pet", **physics), "et", term)
        return [p.values.max() for p in (*front.proposals, *front.rivals)]

    assert max(highest()) > 2.1
    kept = highest(bounds=(0, 2.1))
    assert len(kept) > 3
    assert max(kept) < 2.1 + 1e-5


def test_what_cannot_be_searched_is_told(learned, make_term):
    model = learned("et", "soil", "pet")
    with pytest.raises(DataError, match="never exercised"):
        search_term(model, "et", make_term(lambda soil, **_: 0 * soil))
    with pytest.raises(DataError, match=r"does not vary: it is 2 mm d-1"):
        search_term(model, "et", make_term(lambda soil, **_: 2 + 0 * soil, noise=0))
    flat = make_term(lambda soil, **_: soil, soil=np.full(720, 30.0), pet=np.full(720, 1.0))
    with pytest.raises(DataError, match="No input of the term varies: soil, pet"):
        search_term(model, "et", flat)
    short = make_term(lambda soil, **_: soil).isel(sample=slice(10))
    with pytest.raises(DataError, match="10 samples"):
        search_term(model, "et", short)
    with pytest.raises(DeclarationError, match="did you mean 'et'"):
        search_term(model, "ett", short)


def test_input_that_does_not_vary_is_left_out(learned, make_term):
    term = make_term(lambda soil, pet, **_: 1 - np.exp(-soil / 100), pet=np.full(720, 1.0))
    front = search_term(learned("et", "soil", "pet"), "et", term)
    assert form(front) == "one minus decay(soil)"
    assert "Left out, because constant: pet" in str(front)


def test_fits_that_disagree_forgive_errors(learned, make_term):
    def wiggle(soil, pet, **_):
        return pet * np.minimum(soil / 400, 1) + 0.1 * np.sin(soil / 20)

    term = make_term(wiggle, noise=0)
    spread = xr.full_like(term["learned"], 0.1)
    front = search_term(learned("et", "soil", "pet"), "et", term.assign(spread=spread))
    assert form(front) == "capped(soil) proportional(pet)"
    assert front.noise > 0.003


def test_equations_have_few_operations(learned, make_term):
    def law(soil, pet, tmean, **_):
        return pet * np.minimum(soil / 400, 1) + 0.1 * np.maximum(tmean - 2, 0)

    term = make_term(law)
    model = learned("et", "soil", "pet", "tmean")
    front = search_term(model, "et", term)
    assert front.proposals[front.chosen].operations <= 11
    assert front.proposals[front.chosen].explained > 0.98
    for most in (1, 3, 5):
        front = search_term(model, "et", term, max_operations=most)
        assert max(p.operations for p in front.proposals) <= most
        assert [p.operations for p in front.proposals] == [
            sympy.count_ops(p.equation.expression) for p in front.proposals
        ]


def test_the_gate_counts_as_operations(learned, make_term):
    term = make_term(lambda pet, **_: 0.5 * pet)
    gated = learned("et", "soil", "pet", **EMPTY)
    with_gate = search_term(gated, "et", term).recommended
    assert "et_empty" in str(with_gate)
    most = sympy.count_ops(with_gate.expression) - 1
    front = search_term(gated, "et", term, max_operations=most)
    assert max(p.operations for p in front.proposals) <= most
    with pytest.raises(DataError, match="No equation has 0 operations"):
        search_term(gated, "et", term, max_operations=0)


def test_an_input_that_moves_only_once_does_not_vary(learned, make_term):
    """Two days of 720 are no sample of a response, even if they are far away."""
    soil, pet = np.full(720, 30.0), np.full(720, 1.0)
    soil[[100, 101]] = 300.0
    term = make_term(lambda soil, pet, **_: 0.01 * soil + 0 * pet, noise=0, soil=soil, pet=pet)
    with pytest.raises(DataError, match="No input of the term varies: soil, pet"):
        search_term(learned("et", "soil", "pet"), "et", term)


def test_samples_that_are_not_numbers_are_refused(learned, make_term):
    term = make_term(lambda soil, **_: 0.01 * soil)
    term["learned"][3] = np.nan
    with pytest.raises(DataError, match="not all finite"):
        search_term(learned("et", "soil", "pet"), "et", term)


def test_a_front_shows_itself(learned, make_term):
    term = make_term(lambda soil, pet, **_: pet * np.minimum(soil / 400, 1))
    front = search_term(learned("et", "soil", "pet", **EMPTY), "et", term)
    table = front.table()
    assert table["recommended"].sum() == 1
    assert (np.diff(table[~table["rival"]]["complexity"]) > 0).all()
    page = front._repr_html_()
    assert r"\min" in page
    assert "font-weight:bold" in page
    assert "et_scale_soil = " in str(front)
    assert r"\mathrm{et\_scale\_soil}" in front.recommended._repr_latex_()


def test_the_sign_of_a_constant_belongs_to_the_form(learned, make_term):
    term = make_term(lambda soil, pet, **_: 0.3 * pet - 0.002 * soil, noise=0)
    front = search_term(learned("et", "soil", "pet"), "et", term)
    assert front.proposals[front.chosen].operations == 3
    assert str(front.recommended).count("-") == 1
    for known in front.recommended.parameters:
        assert 0 < known.bounds[0] < known.default < known.bounds[1]
        assert known.log


def test_a_constant_is_not_on_the_shortlist(learned, make_term):
    term = make_term(lambda soil, **_: np.minimum(soil / 400, 1))
    front = search_term(learned("et", "soil"), "et", term)
    generous = dataclasses.replace(
        front, proposals=tuple(dataclasses.replace(p, explained=0.9) for p in front.proposals)
    )
    assert front.proposals[0].form == "constant"
    assert 0 not in generous.shortlist(3)
    assert front.chosen in generous.shortlist(1)


def test_what_the_term_cannot_tell_apart_is_on_the_shortlist(learned, make_term):
    term = make_term(lambda soil, **_: np.exp((soil - 400) / 60), noise=0.0)
    front = search_term(learned("q_base", "soil", positive="exp"), "q_base", term)
    numbers = front.shortlist(8)
    forms = [front.proposal(k).form for k in numbers]
    assert "exponential growth(soil)" in forms
    assert "capped exponential growth(soil)" in forms  # a cap above all that was visited
    largest = max(front.proposal(k).complexity for k in numbers)
    others = set(range(len(front) + len(front.rivals))) - set(numbers)
    assert all(
        front.proposal(k).complexity >= largest or front.proposal(k).explained < 0.5 for k in others
    )
    first = front.rivals[0]
    assert front.proposal(len(front)) is first
    assert [p.equation for p in front.proposals] == list(front)
    assert front[-1] is front.proposals[-1].equation
    with pytest.raises(IndexError):
        front[len(front)]
    lines = str(front).splitlines()
    begin = next(k for k, line in enumerate(lines) if line.startswith("Rivals"))
    assert lines[begin + 1].split()[0] == str(len(front))
    assert lines[begin + 1].endswith(str(first.equation))
    rows = front.table().query("rival")
    assert rows["equation"].tolist() == [str(p.equation) for p in front.rivals]
    assert rows.index[0] == len(front)
    assert first._repr_latex_().strip("$") in html.unescape(front._repr_html_())
    assert "array(" not in repr(first)


def test_poor_equations_do_not_crowd_out_the_rivals_of_the_law(monkeypatch):
    """Simple ones that explain little come first, and a list of rivals has an end."""
    monkeypatch.setattr(discovering, "complexity", lambda equation: equation[0])
    monkeypatch.setattr(discovering, "operations", lambda equation: equation[0])
    written: Any = SimpleNamespace(write=lambda candidate, **_: candidate)
    target: Any = SimpleNamespace(error=lambda candidate, _: candidate[1])
    problem: Any = SimpleNamespace(visited=(), max_operations=11)
    poor: list[Any] = [(2, 0.9 + 0.0005 * k) for k in range(15)]
    good: list[Any] = [(6, 0.01), (8, 0.012), (12, 0.011)]
    front, rivals = discovering._nondominated(written, [*poor, *good], target, problem, 0.01)
    assert front == [(2, poor[0]), (6, good[0])]
    assert rivals == [(8, good[1])]
