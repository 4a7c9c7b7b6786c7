"""What the ledger is made of: sums that keep their digits, and a dataset for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.coupling.records import Field

if TYPE_CHECKING:
    import xarray as xr

MEANINGS = {
    "storage": ("component", "water in store at the end of the coupling step"),
    "storage_change": ("component", "change of the water in store"),
    "inflow": ("component", "water that came in across the boundary"),
    "outflow": ("component", "water that went out across the boundary"),
    "component_residual": ("component", "storage change less what crossed the boundary"),
    "boundary_flux": ("flux", "water that crossed the boundary, positive inwards"),
    "given": ("exchange", "water taken from the source"),
    "unmapped": ("exchange", "water of source cells that no target cell gets from this exchange"),
    "added": ("exchange", "water that nobody observed, which a learned exchange adds; or takes"),
    "in_transit": ("exchange", "water that left the source and has not reached the target"),
    "delivered": ("exchange", "water given to the target"),
    "clipping": ("exchange", "water held back because the target accepts no less"),
    "exchange_residual": (
        "exchange",
        "given and added, less unmapped, delivered and the change of what is in transit",
    ),
    "external": ("", "water that crossed the boundary of the whole, positive inwards"),
    "unobserved": (
        "",
        "water of exchanges with components that keep no books, and what learned exchanges add, "
        "positive inwards",
    ),
    "residual": ("", "change of all stores and of all transit, less external and unobserved"),
}

# Ratios of what two parties booked, and what makes them.
_CAUSES = {
    -1.0: "a sign is wrong",
    86400.0: "one of them counts per day and the other per second",
    3600.0: "one of them counts per hour and the other per second",
    24.0: "one of them counts per day and the other per hour",
    1000.0: "one of them counts in m3, m or kg and the other in kg, mm or g",
    25.4: "one of them counts in inches",
}


def guess(moved: float, booked: float) -> str:
    """Say in words what may have gone wrong where two parties booked different amounts."""
    if not moved or not booked:
        return ""
    ratio = moved / booked
    for known, cause in _CAUSES.items():
        for candidate in (known, 1.0 / known):
            if abs(ratio / candidate - 1.0) < 1e-6:
                return f" (a ratio of {ratio:.6g}: {cause})"
    return f" (a ratio of {ratio:.6g}: look at units and areas)"


def after(first: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Put a row before rows, shapes (..., size) and (..., number, size)."""
    return np.concatenate([first[..., None, :], rows], axis=-2)


class Totals:
    """Running sums that keep what rounding would lose.

    What each addition loses is found exactly and added up beside the sum. Source: Knuth (1997), The
    Art of Computer Programming, volume 2, section 4.2.2, theorem B.

    Parameters
    ----------
    *shape : int
        How many sums, or what shape they have.
    """

    def __init__(self, *shape: int) -> None:
        self.sum, self.rest = np.zeros(shape), np.zeros(shape)

    def add(self, rows: np.ndarray) -> None:
        """Add numbers to each sum, one after the other; shape (..., number, size)."""
        sums = np.add.accumulate(after(self.sum, rows), axis=-2)
        before, now = sums[..., :-1, :], sums[..., 1:, :]
        added = now - before
        lost = (before - (now - added)) + (rows - added)
        self.rest = np.add.accumulate(after(self.rest, lost), axis=-2)[..., -1, :].copy()
        self.sum = now[..., -1, :].copy()

    @property
    def values(self) -> np.ndarray:
        """The sums."""
        return self.sum + self.rest


def fields(columns: Sequence[tuple[str, str]]) -> list[Field]:
    """Return the fields of the records of a ledger.

    Parameters
    ----------
    columns : sequence of (str, str)
        What each number of a row is, and of which component, exchange or flux; those of one kind
        follow one another.
    """
    counts: dict[str, int] = {}
    for what, _ in columns:
        counts[what] = counts.get(what, 0) + 1
    return [
        Field(
            what, MEANINGS[what][0], n, attributes={"units": "kg", "long_name": MEANINGS[what][1]}
        )
        for what, n in counts.items()
    ]


def to_dataset(
    records: xr.Dataset,
    columns: Sequence[tuple[str, str]],
    summed: np.ndarray,
    of: tuple[str, ...] = (),
) -> xr.Dataset:
    """Add names and totals to the records of a ledger.

    Parameters
    ----------
    records : xarray.Dataset
        Rows.
    columns : sequence of (str, str)
        As in `fields`.
    summed : numpy.ndarray
        Sums over the whole run, shape (..., column).
    of : tuple of str
        Names of the dimensions before the columns.

    Returns
    -------
    xarray.Dataset
        Dimensions ``time``, ``component``, ``exchange`` and ``flux``; all in kg. ``total_...`` are
        sums since the start of the run, also of what was run before a checkpoint.
    """
    added, names = {}, {}
    shape = tuple(records.sizes[d] for d in (*of, "time"))
    for what, (dimension, meaning) in MEANINGS.items():
        use = [i for i, (name, _) in enumerate(columns) if name == what]
        if what not in records:  # no component keeps books, or there are no exchanges
            attributes = {"units": "kg", "long_name": meaning}
            added[what] = ((*of, "time", dimension), np.zeros((*shape, 0)), attributes)
        if what not in ("storage", "in_transit"):
            attributes = {"units": "kg", "long_name": f"{meaning}, since the start of the run"}
            total = summed[..., use] if dimension else summed[..., use[0]]
            dimensions = (*of, dimension) if dimension else of
            added[f"total_{what}"] = (dimensions, total, attributes)
        if dimension:
            names[dimension] = np.array([columns[i][1] for i in use], dtype=str)
    return records.assign(added).assign_coords(names)
