"""The ranges of forcing and states that a fit has seen."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.ude.program import Implicit, Perceptron, Root, used

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.ude.model import UDE

#: How far a value may leave the range, as a fraction of it, before it counts as outside.
MARGIN = 0.1

_NOTE = "outside_training_range"


class OutsideTrainingRange(UserWarning):
    """Forcing or states that networks see left the range that these were trained on."""


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest value of each variable over the training period.

    Parameters
    ----------
    limits : dict of str to (float, float)
        Variable (forcing or state) to its range over all basins.
    units : dict of str to str
        Unit of each variable.
    """

    limits: dict[str, tuple[float, float]]
    units: dict[str, str]

    @classmethod
    def of(cls, values: dict[str, np.ndarray], units: dict[str, str]) -> Ranges:
        """Take the ranges of arrays."""
        limits = {n: (float(np.nanmin(v)), float(np.nanmax(v))) for n, v in values.items()}
        return cls(limits, {n: units[n] for n in limits})

    def outside(self, data: xr.Dataset, names: Collection[str]) -> dict[str, float]:
        """Return the share of records outside the ranges, for the variables that leave them.

        Parameters
        ----------
        data : xarray.Dataset
            Forcing and states with units.
        names : collection of str
            Variables to look at.
        """
        from hybridwater.units import to_units

        found = {}
        for name in [n for n in self.limits if n in names]:
            low, high = self.limits[name]
            values = to_units(data[name], self.units[name]).values
            margin = MARGIN * (high - low)
            share = float(np.mean((values < low - margin) | (values > high + margin)))
            if share > 0:
                found[name] = share
        return found

    def note_outside(self, ude: UDE, forcing: xr.Dataset, simulation: xr.Dataset) -> None:
        """Note in the attributes of a simulation what left the ranges that its networks know."""
        met = forcing.assign(simulation[[s.name for s in ude.states]])
        outside = self.outside(met, seen_by_networks(ude))
        if outside:
            listed = [f"{n} ({share:.1%} of records)" for n, share in outside.items()]
            simulation.attrs[_NOTE] = ", ".join(listed)


def warn_outside(simulation: xr.Dataset) -> None:
    """Warn the caller of the caller of what :meth:`Ranges.note_outside` noted."""
    if _NOTE in simulation.attrs:
        warnings.warn(
            f"Outside the range of training: {simulation.attrs[_NOTE]}. The networks extrapolate "
            "there.",
            OutsideTrainingRange,
            stacklevel=3,
        )


def seen_by_networks(ude: UDE) -> frozenset[str]:
    """Find the forcings and states that reach an input of a network, directly or through fluxes.

    Only these can make a network extrapolate. There are none in a model without networks, or
    whose networks see nothing but parameters.
    """
    needed: set[str] = set()
    for step in reversed(ude.program.steps):
        if isinstance(step, Implicit):
            needed |= set(step.root.residuals) if needed.intersection(step.names) else set()
        elif isinstance(step, Perceptron) or (not isinstance(step, Root) and step.name in needed):
            needed |= {str(s) for e in used(step) for s in e.free_symbols}
    return frozenset(needed.intersection(ude.program.states + ude.program.forcings))
