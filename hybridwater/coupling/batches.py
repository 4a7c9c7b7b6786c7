"""Batches: coupled runs that step together, so that they share what a step costs in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridwater.components.base import Component
from hybridwater.coupling.exchange import Exchange
from hybridwater.coupling.learned import is_learned
from hybridwater.errors import CouplingError


def refuse_no_batch(exchanges: Sequence[Exchange], others: Mapping[str, Any]) -> None:
    """Refuse what runs of a batch cannot have.

    Parameters
    ----------
    exchanges : sequence of Exchange
        Of the coupled model.
    others : mapping of str to Any
        Further parts that one run of its own may have, by what they are called.

    Raises
    ------
    CouplingError
        If there is a learned exchange, or one of the further parts.
    """
    found = [f"the learned exchange '{e.label}'" for e in exchanges if is_learned(e)]
    found += [what for what, given in others.items() if given]
    if found:
        raise CouplingError(
            f"Runs of a batch cannot have {', '.join(found)}.",
            fix="Run members one by one: leave out batch",
        )


def refuse_uneven(components: Mapping[str, Component], copies: int) -> None:
    """Refuse components that do not hold the cells of as many runs.

    Raises
    ------
    CouplingError
        If the values of a variable cannot be divided among the runs.
    """
    for name, component in components.items():
        for variable in component.variables:
            size = component.get_var_nbytes(variable.name)
            size //= component.get_var_itemsize(variable.name)
            if size % copies:
                raise CouplingError(
                    f"'{variable.name}' has {size} values, which are not those of {copies} runs.",
                    f"component '{name}'",
                    "Make it with 'stacked' of the components of the runs",
                )
