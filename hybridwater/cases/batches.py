"""Coupled cases that differ in draws, as one coupled model in which they step together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybridwater.components import Component
from hybridwater.coupling import CoupledModel
from hybridwater.coupling.learned import is_learned
from hybridwater.errors import EnsembleError

if TYPE_CHECKING:
    from hybridwater.cases.component_tables import ComponentTable
    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.cases.forcing_tables import ForcingTable


def refuse_no_batch(case: CoupledCase) -> None:
    """Refuse a case of which several runs cannot step together.

    Raises
    ------
    EnsembleError
        With all that stands in the way.
    """
    parts = case.components.items()
    found = {
        "components that cannot hold several runs": [
            f"'{n}' ({c.model.kind})" for n, c in parts if c.timeout or not c.model.made.can_stack
        ],
        "stand-ins": [f"'{n}'" for n, c in parts if c.stand_in or c.surrogate_from],
        "configuration files": [f"'{n}'" for n, c in parts if c.configuration],
        "learned exchanges": [f"'{e.label}'" for e in case.exchanges if is_learned(e)],
        "demands": [f"'{d.demand}'" for d in case.demands],
        "cycles that are iterated": ["[run] iteration"] if case.iteration else [],
    }
    said = [f"{what}: {', '.join(names)}" for what, names in found.items() if names]
    if said:
        raise EnsembleError(
            f"Members of this case cannot step together, as it has {'; '.join(said)}.",
            f"{case.path}, batch",
            "Leave out batch, or put surrogates in the place of such components",
        )


#: Components that are made, by the identities of their tables.
Parts = dict[int, "tuple[ForcingTable | ComponentTable, Component]"]


def build_batch(cases: Sequence[CoupledCase], known: Parts | None = None) -> CoupledModel:
    """Make one coupled model of cases that differ in parameters and records.

    What is the same in all cases is made once.

    Parameters
    ----------
    cases : sequence of CoupledCase
        With the same exchanges; one is built as it is.
    known : dict, optional
        What other batches have made; what all cases share is added.

    Raises
    ------
    HybridwaterError
        If a case cannot be built, or components cannot hold several runs.
    """
    first = cases[0]
    if len(cases) == 1:
        return first.build()
    meshes, kept, stacked = first.meshes_made(), {} if known is None else known, {}
    for name in first.parts:
        tables = [case.parts[name] for case in cases]
        if all(table is tables[0] for table in tables):
            table = tables[0]
            if id(table) not in kept:
                kept[id(table)] = table, _initialized(table, first.start, meshes)
            parts = [kept[id(table)][1]] * len(cases)
        else:
            parts = [_initialized(table, first.start, meshes) for table in tables]
        stacked[name] = type(parts[0]).stacked(parts)
    return CoupledModel(
        stacked,
        first.exchanges_read(),
        window=first.window,
        ledger=first.ledger,
        outputs=first.outputs,
        copies=len(cases),
    )


def _initialized(
    table: ForcingTable | ComponentTable, start: str | None, meshes: dict[str, object]
) -> Component:
    component = table.make(start, meshes)
    component.initialize("")
    return component
