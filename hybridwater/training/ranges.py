"""The ranges of forcing and states that a fit has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

#: How far a value may leave the range, as a fraction of it, before it counts as outside.
MARGIN = 0.1


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

    def outside(self, data: xr.Dataset) -> dict[str, float]:
        """Return the share of records outside the ranges, for the variables that leave them."""
        from hybridwater.units import to_units

        found = {}
        for name, (low, high) in self.limits.items():
            values = to_units(data[name], self.units[name]).values
            margin = MARGIN * (high - low)
            share = float(np.mean((values < low - margin) | (values > high + margin)))
            if share > 0:
                found[name] = share
        return found
