"""River networks: reaches that flow into one another, and everything that follows from that."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.errors import MeshError, nearest
from hybridwater.meshes.columns import LONLAT
from hybridwater.meshes.river_checks import check_network

if TYPE_CHECKING:
    import xarray as xr
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False, repr=False)
class RiverNetwork:
    """Reaches, each of which flows into one other or out of the network.

    Parameters
    ----------
    to : array_like of int
        Shape (n_reaches,), index of the next reach; -1 at an outlet.
    lengths : array_like
        Shape (n_reaches,), in m, not negative.
    names : sequence of str
        One per reach, or empty: reaches are then named by their index.
    areas : array_like, optional
        Shape (n_reaches,), in m2: the land that drains directly into each reach. NaN if unknown.
    points : array_like, optional
        Shape (n_reaches, 2), where each reach is, in the coordinates of ``crs``; NaN if unknown.
    name : str
        Name of the network.
    crs : str
        ``"OGC:CRS84"``, longitude and latitude [degrees], or any other: coordinates in the plane
        [m], as those of a planar :class:`Mesh`.

    Raises
    ------
    MeshError
        If a target is unknown, reaches flow in a circle, or a length or area is negative.

    Examples
    --------
    >>> river = RiverNetwork([2, 2, -1], [500.0, 800.0, 900.0])
    >>> river.accumulate([1.0, 2.0, 3.0])
    array([1., 2., 6.])
    >>> river.strahler
    array([1, 1, 2])
    """

    to: np.ndarray
    lengths: np.ndarray
    names: tuple[str, ...] = ()
    areas: np.ndarray = field(default_factory=lambda: np.zeros(0))
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    name: str = "rivers"
    crs: str = LONLAT

    def __post_init__(self) -> None:
        to = np.array(self.to)
        if to.ndim != 1 or to.dtype.kind not in "iu" or not len(to):
            raise MeshError(
                f"'to' has the type {to.dtype} and the shape {to.shape}.",
                where=f"river network '{self.name}'",
                fix="Give the index of the next reach, a whole number, for each of at least one",
            )
        empty = np.full(len(to), np.nan)
        areas = np.array(self.areas, dtype=float)
        points = np.array(self.points, dtype=float)
        arrays = {
            "to": to.astype(np.int64),
            "lengths": np.array(self.lengths, dtype=float),
            "areas": areas if areas.size else empty,
            "points": points if points.size else np.stack([empty, empty], axis=1),
        }
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        for name, value in arrays.items():
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        check_network(self)

    @classmethod
    def from_pointers(
        cls,
        identifiers: Sequence[object] | np.ndarray,
        to: Sequence[object] | np.ndarray,
        lengths: np.ndarray,
        *,
        outlet: Sequence[object] = (0, -1),
        areas: np.ndarray | None = None,
        points: np.ndarray | None = None,
        name: str = "rivers",
        crs: str = LONLAT,
    ) -> RiverNetwork:
        """Make a network of reaches that name their targets.

        Parameters
        ----------
        identifiers : sequence
            Shape (n_reaches,), unique numbers or texts.
        to : sequence
            Shape (n_reaches,), identifier of the next reach.
        lengths, areas, points, name, crs
            As in the class.
        outlet : sequence
            Values of ``to`` that mean that a reach leaves the network.

        Returns
        -------
        RiverNetwork

        Raises
        ------
        MeshError
            As the class, and if identifiers are not unique.
        """
        names = np.asarray(identifiers)
        target = np.asarray(to)
        values, first, counts = np.unique(names, return_index=True, return_counts=True)
        if (counts > 1).any():
            raise MeshError(
                f"The reach '{values[np.argmax(counts > 1)]}' is there more than once.",
                where=f"river network '{name}'",
                fix="Give every reach an identifier of its own",
            )
        place = np.minimum(np.searchsorted(values, target), len(values) - 1)
        known = values[place] == target
        leaves = np.isin(target, np.asarray(outlet, dtype=target.dtype)) & ~known
        unknown = ~known & ~leaves
        if unknown.any():
            reach = int(np.argmax(unknown))
            hint = nearest(str(target[reach]), [str(n) for n in names[:5000]])
            hint = f" ({hint})" if hint.startswith("did") else ""
            raise MeshError(
                f"A reach flows into '{target[reach]}', which is not there{hint}; "
                f"{int(unknown.sum())} such reaches.",
                where=f"river network '{name}', reach '{names[reach]}'",
                fix="Add the reach, or list the value in outlet=... if it leaves the network",
            )
        return cls(
            np.where(known, first[place], -1),
            lengths,
            tuple(map(str, names)),
            np.zeros(0) if areas is None else areas,
            np.zeros((0, 2)) if points is None else points,
            name,
            crs,
        )

    @classmethod
    def from_dataset(
        cls,
        data: xr.Dataset,
        *,
        to: str = "downstream",
        length: str = "length",
        name: str = "rivers",
    ) -> RiverNetwork:
        """Make a network from a dataset of indices, such as ``read_delaware().structure``.

        Parameters
        ----------
        data : xarray.Dataset
            Variables ``to`` (-1 at outlets) and ``length``, with units, over one dimension, whose
            coordinate, if there is one, has the names of the reaches.
        to, length : str
            Names of these variables.
        name : str
            Name of the network.

        Returns
        -------
        RiverNetwork

        Raises
        ------
        MeshError, UnitError
            If a variable is missing, or the class refuses the network, or units are not lengths.
        """
        for needed in (to, length):
            if needed not in data:
                raise MeshError(
                    f"The variable '{needed}' is missing: "
                    f"{nearest(needed, map(str, data.data_vars))}",
                    where=f"river network '{name}'",
                    fix="Name the variables with to=... and length=...",
                )
        (dimension,) = data[to].dims
        names = data[dimension].values.astype(str) if dimension in data.coords else ()
        metres = units.to_units(data[length], "m").values
        return cls(data[to].values, metres, tuple(names), name=name)

    @property
    def size(self) -> int:
        """Number of reaches."""
        return len(self.to)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return (
            f"<RiverNetwork '{self.name}': {self.size} reaches, {len(self.outlets)} outlets, "
            f"{self.lengths.sum() / 1e3:.6g} km>"
        )

    def reach_name(self, index: int) -> str:
        """Return the name of a reach, or its index in words."""
        return self.names[index] if self.names else str(index)

    @functools.cached_property
    def outlets(self) -> np.ndarray:
        """Reaches that leave the network."""
        return np.flatnonzero(self.to < 0)

    @functools.cached_property
    def headwaters(self) -> np.ndarray:
        """Reaches that nothing flows into."""
        return np.flatnonzero(np.bincount(self.to[self.to >= 0], minlength=self.size) == 0)

    @functools.cached_property
    def levels(self) -> tuple[np.ndarray, ...]:
        """Reaches in groups: each flows into a later group, so that a group is done at once."""
        waiting = np.bincount(self.to[self.to >= 0], minlength=self.size)
        ready = np.flatnonzero(waiting == 0)
        groups = []
        while len(ready):
            groups.append(ready)
            following = self.to[ready]
            following = following[following >= 0]
            np.subtract.at(waiting, following, 1)
            following = np.unique(following)
            ready = following[waiting[following] == 0]
        return tuple(groups)

    @functools.cached_property
    def order(self) -> np.ndarray:
        """Reaches from the headwaters down: each comes before the one that it flows into."""
        return np.concatenate(self.levels)

    @functools.cached_property
    def strahler(self) -> np.ndarray:
        """Strahler order of each reach (Strahler 1957, doi:10.1029/TR038i006p00913).

        One at headwaters; one more than the highest tributary where two of that order meet.
        """
        order = np.ones(self.size, dtype=np.int64)
        highest = np.zeros(self.size, dtype=np.int64)
        twice = np.zeros(self.size, dtype=np.int64)  # how many tributaries have the highest order
        for group in self.levels:
            fed = highest[group] > 0
            order[group[fed]] = highest[group[fed]] + (twice[group[fed]] > 1)
            sends = group[self.to[group] >= 0]
            target, mine = self.to[sends], order[sends]
            before = highest[target]
            np.maximum.at(highest, target, mine)
            twice[target[before < highest[target]]] = 0
            np.add.at(twice, target, (mine == highest[target]).astype(np.int64))
        return order

    @functools.cached_property
    def basins(self) -> np.ndarray:
        """The outlet that each reach drains to, shape (n_reaches,)."""
        outlet = np.arange(self.size)
        for group in reversed(self.levels):
            inner = group[self.to[group] >= 0]
            outlet[inner] = outlet[self.to[inner]]
        return outlet

    @functools.cached_property
    def distance(self) -> np.ndarray:
        """Length of the way from the start of each reach to the outlet, m, shape (n_reaches,)."""
        way = self.lengths.copy()
        for group in reversed(self.levels):
            inner = group[self.to[group] >= 0]
            way[inner] += way[self.to[inner]]
        return way

    @functools.cached_property
    def connectivity(self) -> csr_array:
        """Shape (n_reaches, n_reaches), one at (i, j) where reach j flows into reach i."""
        from scipy.sparse import csr_array

        inner = np.flatnonzero(self.to >= 0)
        entries = (np.ones(len(inner)), (self.to[inner], inner))
        return csr_array(entries, shape=(self.size, self.size))

    def accumulate(self, values: np.ndarray) -> np.ndarray:
        """Add up along the rivers: each reach gets its own value and all those above it.

        Parameters
        ----------
        values : array_like
            Shape (..., n_reaches).

        Returns
        -------
        numpy.ndarray
            Same shape; (I - connectivity)^-1 times the values.

        Raises
        ------
        MeshError
            If the last dimension is not the reaches.
        """
        total = np.array(values, dtype=float)
        if total.shape[-1:] != (self.size,):
            raise MeshError(
                f"The values have the shape {total.shape}, but there are {self.size} reaches.",
                where=f"river network '{self.name}'",
                fix="Give one value per reach in the last dimension",
            )
        flat = np.moveaxis(total, -1, 0)
        for group in self.levels:
            inner = group[self.to[group] >= 0]
            np.add.at(flat, self.to[inner], flat[inner])
        return total

    @functools.cached_property
    def upstream_areas(self) -> np.ndarray:
        """Area that drains through each reach, m2, shape (n_reaches,); NaN where unknown."""
        return self.accumulate(self.areas)

    def upstream_matrix(self) -> csr_array:
        """Return which reaches lie above which, themselves included, as a sparse matrix.

        Shape (n_reaches, n_reaches), one at (i, j) where the water of reach j passes reach i. It
        has as many entries as all ways to the outlets have reaches: use :meth:`accumulate`
        where the sums alone are wanted.
        """
        from scipy.sparse import csr_array

        passes = [np.arange(self.size)]
        water = [np.arange(self.size)]
        reach, origin = np.arange(self.size), np.arange(self.size)
        while len(reach):
            reach = self.to[reach]
            origin, reach = origin[reach >= 0], reach[reach >= 0]
            passes.append(reach)
            water.append(origin)
        rows, columns = np.concatenate(passes), np.concatenate(water)
        return csr_array((np.ones(len(rows)), (rows, columns)), shape=(self.size, self.size))

    def select(self, reaches: np.ndarray) -> RiverNetwork:
        """Return part of the network; reaches that flow into a reach left out become outlets.

        Parameters
        ----------
        reaches : array_like
            Indices, or True for the reaches to keep.
        """
        keep = np.arange(self.size)[np.asarray(reaches)]
        place = np.full(self.size + 1, -1)
        place[keep] = np.arange(len(keep))
        names = tuple(self.names[i] for i in keep) if self.names else ()
        return RiverNetwork(
            place[self.to[keep]],
            self.lengths[keep],
            names,
            self.areas[keep],
            self.points[keep],
            self.name,
            self.crs,
        )
