import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reservoirs import Reservoir

from hybridwater.components.base import Variable
from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.grids import cells
from hybridwater.coupling import CoupledModel
from hybridwater.coupling.demand import allocate
from hybridwater.errors import CouplingError


class Lake(Reservoir):
    """A reservoir from which people take water, at most a limit of its own."""

    name = "lake"
    variables = (
        *Reservoir.variables,
        Variable("abstraction", "m3 s-1", "in", "rate", "water that people take", default=0.0),
    )

    def __init__(self, *, limit=np.inf, **options):
        super().__init__(**options)
        self.limit = limit

    def _advance(self):
        asked = self._values["abstraction"] * 86400e3 * self._step
        self._taken = np.minimum(asked, self.limit)
        self._content -= self._taken / self._p["area"]
        assert (self._content >= -1e-9).all()
        super()._advance()

    def boundary_fluxes(self):
        fluxes = super().boundary_fluxes()
        return {**fluxes, "abstraction": -self._taken} if fluxes else {}


class Farm(DeclaredComponent):
    """Wants some water per area, and keeps what it gets."""

    name = "farm"
    variables = (
        Variable("irrigation_demand", "mm d-1", "out", "state", "wanted"),
        Variable("irrigation_flux", "kg m-2 d-1", "in", "rate", "had"),
    )

    def __init__(self, wants, area, step=1.0):
        super().__init__(step=step)
        self.wants, self.area = float(wants), np.asarray(area, float)

    def _make_grids(self):
        return {0: cells(self.area.size)}

    def _cell_areas(self, grid):
        return self.area

    def _reset(self):
        self.kept = np.zeros(self.area.size)
        self._values["irrigation_demand"][:] = self.wants

    def _state_arrays(self):
        return {"kept": self.kept}

    def _advance(self):
        self.kept += self._values["irrigation_flux"] * self._step

    def storage(self):
        return {"field": self.kept * self.area}

    def boundary_fluxes(self):
        if not self._steps:
            return {}
        return {"irrigation_flux": self._values["irrigation_flux"] * self.area * self._step}


def demand(name="farm", **options):
    return {
        "demand": f"{name}.irrigation_demand",
        "realised": f"{name}.irrigation_flux",
        "supply": "lake.abstraction",
        "available": "lake.reservoir_amount",
        "cells": [0, 0],
        **options,
    }


def run(wants, days=40, limit=np.inf, steps=(1.0, 1.0), **options):
    lake = Lake(
        area=1e6, initial=20.0, rate=0.01, step=steps[0], limit=limit, inputs={"recharge_flux": 1.0}
    )
    farms = {n: Farm(w, [1e6, 2e6], steps[1]) for n, w in wants.items()}
    declared = [
        demand(n, **{k: v[n] if isinstance(v, dict) else v for k, v in options.items()})
        for n in wants
    ]
    model = CoupledModel({"lake": lake, **farms}, demands=declared)
    model.run(f"{days} d")
    ledger = model.ledger()
    assert abs(ledger["residual"]).max() < 1e-12 * ledger["storage"].sum("component").max()
    return lake, farms, ledger


def test_what_is_wanted_is_had_while_there_is_enough():
    _, farms, _ = run({"farm": 0.1})
    assert farms["farm"].kept == pytest.approx(4.0)


def test_never_more_than_there_is():
    lake, _, ledger = run({"farm": 50.0})
    assert lake._content.min() >= -1e-9
    assert float(ledger["total_delivered"][0]) == pytest.approx(20e6 + 39e6, rel=0.05)


def test_shared_in_proportion():
    _, farms, _ = run({"one": 10.0, "two": 30.0})
    assert farms["two"].kept == pytest.approx(3 * farms["one"].kept)


def test_one_after_the_other():
    _, farms, _ = run(
        {"last": 30.0, "first": 0.2}, rule="priority", priority={"last": 2, "first": 1}
    )
    assert farms["first"].kept == pytest.approx(0.2 * 40)
    assert 0 < farms["last"].kept.max() < 30 * 40


def test_a_supply_that_gives_less_is_believed():
    _, farms, ledger = run({"one": 1.0, "two": 3.0}, limit=4e5)
    assert farms["two"].kept == pytest.approx(3 * farms["one"].kept)
    assert float(ledger["total_delivered"].sum()) == pytest.approx(40 * 4e5)


@pytest.mark.parametrize("steps", [(0.3, 1.0), (1.0, 0.3), (0.7, 0.4)])
def test_steps_that_do_not_fit(steps):
    _, farms, ledger = run({"farm": 3.0}, steps=steps)
    assert farms["farm"].kept.max() > 0
    given_, had = float(ledger["total_given"][0]), float(ledger["total_delivered"][0])
    assert given_ - had == pytest.approx(float(ledger["in_transit"][-1, 0]), abs=1e-12 * given_)


def amounts(n):
    return arrays(float, n, elements=st.floats(0, 1e9).map(lambda x: x if x > 1e-200 else 0.0))


@given(amounts(4), st.lists(st.tuples(amounts(4), st.integers(0, 2)), min_size=1, max_size=4))
def test_allocation_gives_no_more_than_is_wanted_or_there(available, wanted):
    demands, ranks = [d for d, _ in wanted], [r for _, r in wanted]
    for priorities in (None, ranks):
        granted = allocate(available, demands, priorities)
        for got, want in zip(granted, demands, strict=True):
            assert (got >= 0).all()
            assert (got <= want * (1 + 1e-12)).all()
        total = np.sum(granted, axis=0)
        assert (total <= available * (1 + 1e-12)).all()
        enough = np.minimum(available, np.sum(demands, axis=0))
        assert total == pytest.approx(enough, rel=1e-9)


def test_bad_demands_are_refused():
    for bad, words in (
        ({"rule": "fair"}, "no rule 'fair'"),
        ({"usable": 0}, "usable share"),
        ({"realised": "lake.recharge_flux"}, "same component"),
        ({"cells": [0, 1]}, "whole numbers from -1 to 0"),
        ({"cells": "identity"}, "2 cells and the supply 1"),
        ({"available": "lake.reservoir"}, "did you mean 'reservoir_amount'"),
    ):
        with pytest.raises(CouplingError, match=words):
            run({"farm": 1.0}, **bad)
    with pytest.raises(CouplingError, match="different rules"):
        run({"one": 1.0, "two": 1.0}, rule={"one": "priority", "two": "proportional"})


@pytest.mark.parametrize(
    "change",
    [
        {"available": "lake.runoff_flux"},
        {"cells": [0, -1]},
        {"rule": "priority"},
        {"priority": 1},
        {"usable": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_another_demand_is_refused(tmp_path, change):
    def make(**options):
        parts = {"lake": Lake(inputs={"recharge_flux": 1.0}), "farm": Farm(1.0, [1e6, 2e6])}
        return CoupledModel(parts, demands=[demand(**options)])

    model = make()
    model.run("2 d")
    path = model.checkpoint(tmp_path / "c.npz")
    make().resume(path)
    with pytest.raises(CouplingError, match="another case: its exchanges has"):
        make(**change).resume(path)
