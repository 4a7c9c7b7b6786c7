"""Several runs in one coupled model: each is balanced for itself, and keeps to itself."""

import numpy as np
import pytest

from hybridwater.components.declared import DeclaredComponent
from hybridwater.components.gr4j import Gr4j
from hybridwater.components.template import Template
from hybridwater.coupling import CoupledModel
from hybridwater.errors import ComponentError, CouplingError, LedgerError

AREA = [2e6, 1e6, 5e5]
EXCHANGE = {"source": "hill.runoff_flux", "target": "lake.recharge_flux", "remap": [1, 0, -1]}


class Leak(Template):
    """Loses half of what comes out, where a lot comes out."""

    def boundary_fluxes(self):
        fluxes = super().boundary_fluxes()
        half = np.where(self._p["rate"] > 0.1, 0.5, 1.0)
        return {name: f * half if name == "runoff_flux" else f for name, f in fluxes.items()}


def stacked(parts):
    for part in parts:
        part.initialize()
    return type(parts[0]).stacked(parts)


def hill(rate, kind=Template, **options):
    return kind(area=AREA, rate=rate, inputs={"recharge_flux": 3.0}, **options)


def lake(initial):
    return Template(area=[1e6, 2e6], initial=initial)


def built(rates, **options):
    hills, lakes = [hill(r) for r in rates], [lake(10 * r) for r in rates]
    parts = {"hill": stacked(hills), "lake": stacked(lakes)}
    return CoupledModel(parts, [EXCHANGE], outputs={"lake": "runoff_flux"}, **options)


def test_runs_that_step_together_are_those_that_run_alone():
    rates = [0.02, 0.3, 0.07]
    together = built(rates, copies=3)
    together.run("300 d")  # more steps than the ledger balances at once
    flows = together.output("lake")["runoff_flux"].values.reshape(300, 3, 2)
    for k, rate in enumerate(rates):
        alone = built([rate])
        alone.run("300 d")
        np.testing.assert_array_equal(flows[:, k], alone.output("lake")["runoff_flux"].values)
        ours, theirs = together.ledger().isel(copy=k), alone.ledger()
        for name in ("storage", "boundary_flux", "unmapped", "delivered", "total_external"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-13)
        assert abs(ours["residual"]).max() < 1e-6  # kg, of some 1e8


def test_water_that_is_missing_in_one_run_is_told_of_that_run():
    parts = {"hill": stacked([hill(0.05, Leak), hill(0.5, Leak)])}
    with pytest.raises(LedgerError, match="coupling step of run 1 that ends at 86400 s"):
        CoupledModel(parts, copies=2).run("2 d")
    parts = {"hill": stacked([hill(0.05, Leak), hill(0.5, Leak)])}
    model = CoupledModel(parts, copies=2, ledger={"on_error": "record"})
    model.run("2 d")
    missing = [float(abs(model.ledger().isel(copy=k)["residual"]).max()) for k in (0, 1)]
    assert missing[0] < 1e-6 < 1e6 < missing[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"directory": "run"}, "a directory"),
        ({"iteration": {"tolerance": 1e-6}}, "cycles that are iterated"),
        ({"stand_ins": {"hill": lake(1.0)}}, "stand-ins"),
        ({"configurations": {"hill": "hill.toml"}}, "configuration files"),
        ({"demands": [{}]}, "demands"),
    ],
)
def test_what_is_only_for_one_run_is_refused(options, told):
    with pytest.raises(CouplingError, match=f"Runs of a batch cannot have {told}"):
        built([0.1, 0.2], copies=2, **options)


def test_a_batch_has_no_checkpoint():
    with pytest.raises(CouplingError, match="cannot have checkpoints"):
        built([0.1, 0.2], copies=2).checkpoint("here.npz")


def test_cells_that_are_not_those_of_all_runs_are_refused():
    with pytest.raises(CouplingError, match="has 3 values, which are not those of 2 runs"):
        CoupledModel({"hill": hill(0.1)}, copies=2)


def test_parts_of_a_stack_share_cells_and_dates():
    with pytest.raises(ComponentError, match="differ in 'area'"):
        stacked([hill(0.1), Template(area=[1e6] * 3)])
    with pytest.raises(ComponentError, match="differ in 'start'"):
        stacked([hill(0.1), hill(0.1, start="2001-01-01")])
    with pytest.raises(ComponentError, match="'Gr4j' cannot hold several runs"):
        super(DeclaredComponent, Gr4j).stacked([Gr4j()])  # what one of third parties does
    with pytest.raises(ComponentError, match="'gr4j' cannot hold several runs"):
        DeclaredComponent._stack(Gr4j(), [])
