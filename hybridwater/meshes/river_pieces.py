"""Rivers cut anew: long reaches divided, short ones joined, between confluences that stay."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from hybridwater.errors import MeshError
from hybridwater.meshes.columns import LONLAT
from hybridwater.meshes.gradient import Reconstruction
from hybridwater.meshes.remap import Remap
from hybridwater.meshes.rivers import RiverNetwork
from hybridwater.meshes.sizing import Sizing

_SHORTEST = 1.0
"""Reaches below a metre are no lengths; hierarchies and graphs take them for a metre, too."""

_ROUNDING = 1e-6
"""What lies between two cuts this close [m] is rounding on a line of many reaches."""

_WHOLE = 1e-9
"""A number of pieces that exceeds a whole one by this much is that whole one."""


@dataclass(frozen=True, eq=False)
class RiverPieces:
    """A river network as pieces of the reaches of another one.

    Runs of reaches between confluences lie one after another on one line, on which a piece
    is an interval. Runs begin and end where they did in the base, whatever the pieces are.

    Attributes
    ----------
    base : RiverNetwork
        The reaches that pieces are cut of; all lengths are at least one metre.
    cuts : numpy.ndarray
        Shape (n_pieces + 1,), in m: ends of pieces on the line of runs.
    """

    base: RiverNetwork
    cuts: np.ndarray

    @classmethod
    def of(cls, network: RiverNetwork) -> RiverPieces:
        """Make pieces that are the reaches themselves, in the order of the line.

        Raises
        ------
        MeshError
            If a reach is shorter than a metre.
        """
        short = network.lengths < _SHORTEST
        if short.any():
            reach = int(np.argmax(short))
            raise MeshError(
                f"A reach is {network.lengths[reach]:g} m long; {int(short.sum())} such reaches.",
                f"river network '{network.name}', reach '{network.reach_name(reach)}'",
                "Only reaches of a metre or more can be cut: join shorter ones with their "
                "neighbours",
            )
        return cls(network, _Line(network).cuts)

    @functools.cached_property
    def line(self) -> _Line:
        """Where the reaches of the base lie."""
        return _Line(self.base)

    @functools.cached_property
    def _reaches(self) -> Remap:
        """The remap from reaches of the base to pieces."""
        return self._from(self.line.cuts, self.line.order, self.base)

    @functools.cached_property
    def network(self) -> RiverNetwork:
        """The pieces as a network; areas and points are those of the base, shared by length."""
        run = self.line.run_of(self.cuts)
        first = np.searchsorted(run, np.arange(len(self.line.next)))
        to = np.arange(1, len(run) + 1)
        last = np.append(run[1:] != run[:-1], True)
        below = self.line.next[run[last]]
        to[last] = np.where(below < 0, -1, first[below])
        return RiverNetwork(
            to,
            np.diff(self.cuts),
            areas=self._reaches.shares @ self.base.areas,
            points=self._points(),
            name=self.base.name,
            crs=self.base.crs,
        )

    def _points(self) -> np.ndarray:
        """Interpolate between the points of reaches, taken for their middles, within runs."""
        middle = 0.5 * (self.cuts[1:] + self.cuts[:-1])
        line = self.line
        known = 0.5 * (line.cuts[1:] + line.cuts[:-1])
        near = self._reaches.shares.argmax(axis=1).ravel()
        found = self.base.points[near].copy()
        after = np.searchsorted(known, middle).clip(1, max(len(known) - 1, 1))
        if len(known) > 1:
            same = line.run_of(line.cuts)
            inner = (same[after - 1] == same[after]) & (known[after - 1] <= middle)
            inner &= middle <= known[after]
            share = (middle - known[after - 1]) / (known[after] - known[after - 1])
            one, two = (self.base.points[line.order[after - k]] for k in (1, 0))
            way = two - one
            if self.base.crs == LONLAT:
                way = (way + 180.0) % 360.0 - 180.0  # the short way round
            found[inner] = (one + share[:, None] * way)[inner]
        return found

    def resized(self, values: np.ndarray, sizing: Sizing) -> RiverPieces:
        """Cut the same rivers anew, as finely as differences of states along them ask for.

        A piece is as long as the change of the sizing over the steepest difference to a
        neighbour. Lengths grow along the river no faster than ``growth`` allows. In each run
        between confluences pieces have equal shares of what is needed there.

        Parameters
        ----------
        values : array_like
            Shape (n_pieces, n_states), or (n_pieces,): per metre, or means of pieces.
        sizing : Sizing
            What sizes may be. No piece is longer than the largest size; one is shorter than the
            smallest only where a run leaves no other choice.

        Returns
        -------
        RiverPieces
            Of the same base, with at most ``sizing.cells`` pieces.

        Raises
        ------
        MeshError
            If the runs are more than there may be pieces.
        DataError
            If states do not fit or are not finite.
        """
        where = f"river network '{self.base.name}'"
        table = sizing.columns(values, len(self.cuts) - 1, where)
        steep = self._steepness(table)

        def wanted(factor: float) -> np.ndarray:
            with np.errstate(divide="ignore"):
                size = (factor / steep).clip(sizing.smallest, sizing.largest)
            return self._graded(size, sizing.growth)

        most = np.inf if sizing.cells is None else float(sizing.cells)
        factor = sizing.coarsening(lambda f: float(self._numbers(wanted(f))[1].sum()), most)
        if not np.isfinite(factor):
            raise MeshError(
                f"{sizing.cells} pieces are too few for {len(self.line.next)} runs between "
                f"confluences and a largest size of {sizing.largest:g} m.",
                where,
                "Give more cells or a larger largest size",
            )
        needed, numbers = self._numbers(wanted(factor))
        return RiverPieces(self.base, self._divided(needed, numbers))

    def _steepness(self, table: np.ndarray) -> np.ndarray:
        """Return the largest gradient to a neighbour in changes per m, shape (n_pieces,)."""
        upper, lower, distance = self._steps
        slope = np.sqrt(((table[upper] - table[lower]) ** 2).sum(axis=1)) / distance
        steep = np.zeros(len(table))
        np.maximum.at(steep, upper, slope)
        np.maximum.at(steep, lower, slope)
        return steep

    @functools.cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pieces, those that they flow into, and the way between their middles [m]."""
        to, lengths = self.network.to, self.network.lengths
        upper = np.flatnonzero(to >= 0)
        return upper, to[upper], 0.5 * (lengths[upper] + lengths[to[upper]])

    def _graded(self, size: np.ndarray, growth: float) -> np.ndarray:
        """Return the largest sizes that grow by at most ``growth - 1`` per metre of way."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        if growth == 1.0:
            return np.full_like(size, size.min())
        upper, lower, distance = self._steps
        count, slope = len(size), growth - 1.0
        # a further node, from which each piece is as far as its own size takes to grow
        ends = (np.r_[upper, lower, np.full(count, count)], np.r_[lower, upper, np.arange(count)])
        way = np.r_[distance, distance, size / slope]
        graph = csr_array((way, ends), shape=(count + 1, count + 1))
        return slope * dijkstra(graph, indices=count)[:count]

    def _numbers(self, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pieces needed up to each cut, and how many each run is divided into."""
        needed = np.append(0.0, np.cumsum(np.diff(self.cuts) / size))
        ends = needed[np.searchsorted(self.cuts, self.line.ends)]
        return needed, np.maximum(np.ceil(np.diff(ends) - _WHOLE), 1.0).astype(int)

    def _divided(self, needed: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return cuts at equal shares of what is needed in each run."""
        ends = self.line.ends
        levels = needed[np.searchsorted(self.cuts, ends)]
        run = np.repeat(np.arange(len(numbers)), numbers)
        place = np.arange(len(run)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
        level = levels[run] + np.diff(levels)[run] * place / numbers[run]
        cuts = np.interp(level, needed, self.cuts)
        cuts[place == 0] = ends[:-1]
        return np.append(cuts, ends[-1])

    def remap_to(self, other: RiverPieces, *, order: int = 1) -> Remap:
        """Make the conservative remap to other pieces of the same base.

        Parameters
        ----------
        other : RiverPieces
            Of the same base.
        order : int
            1: constant in each piece; 2: linear along the river, limited as in
            :func:`~hybridwater.meshes.conservative_remap`.

        Returns
        -------
        Remap
            In which lengths [m] stand for areas.

        Raises
        ------
        MeshError
            If the other pieces are not of the same base, or the order is another.
        """
        if other.base is not self.base:
            raise MeshError(
                "The pieces are not of the same reaches.",
                f"river networks '{self.base.name}' and '{other.base.name}'",
                "Cut both from one RiverPieces.of(network)",
            )
        if order not in (1, 2):
            raise MeshError(f"There is no remap of order {order!r}.", fix="Choose 1 or 2")
        pieces = np.arange(len(self.cuts) - 1)
        return other._from(self.cuts, pieces, self.network, self if order == 2 else None)

    def _from(
        self,
        cuts: np.ndarray,
        order: np.ndarray,
        source: RiverNetwork,
        linear: RiverPieces | None = None,
    ) -> Remap:
        """Make the remap from intervals, which are what ``order`` says of a network."""
        from scipy.sparse import csr_array

        every = np.union1d(cuts, self.cuts)
        real = np.diff(every) > _ROUNDING
        length, middle = np.diff(every)[real], 0.5 * (every[1:] + every[:-1])[real]
        out = np.searchsorted(cuts, middle) - 1
        into = np.searchsorted(self.cuts, middle) - 1
        share = length / np.bincount(out, length)[out]
        shape = (len(self.cuts) - 1, source.size)
        shares = csr_array((share, (into, order[out])), shape=shape)
        reconstruction = None
        if linear is not None:
            # sorted along the line, intervals are in the order of the entries of the shares
            centre = np.bincount(out, length * middle) / np.bincount(out, length)
            gradient, near = linear._slopes
            offsets = (middle - centre[out])[:, None]
            reconstruction = Reconstruction((gradient,), near, out, offsets)
        return Remap(
            shares,
            source.lengths,
            np.diff(self.cuts),
            np.ones(shape[0]),
            reconstruction=reconstruction,
            source=source.name,
            target=self.base.name,
            method=f"pieces of reaches, {'first' if linear is None else 'bounded second'} order",
        )

    @functools.cached_property
    def _slopes(self) -> tuple:
        """Gradients downstream (least squares over neighbours), and neighbours with itself."""
        from scipy.sparse import csr_array, diags_array, eye_array

        upper, lower, distance = self._steps
        count = len(self.cuts) - 1
        here, there = np.r_[upper, lower], np.r_[lower, upper]
        way = np.r_[distance, -distance]
        # weights 1 / way^2 make the sum of way / way^2 over the number of neighbours
        number = np.maximum(np.bincount(here, minlength=count), 1)
        entries = 1.0 / (way * number[here])
        gradient = csr_array((entries, (here, there)), shape=(count, count))
        gradient = gradient - diags_array(np.asarray(gradient.sum(axis=1)).ravel())
        near = csr_array((np.ones(len(here)), (here, there)), shape=(count, count))
        near = csr_array(near + eye_array(count))
        near.sort_indices()
        return csr_array(gradient), near


class _Line:
    """The runs of reaches between confluences, one after another."""

    def __init__(self, network: RiverNetwork) -> None:
        to, fed = network.to, np.bincount(network.to[network.to >= 0], minlength=network.size)
        run, rank, count = np.full(network.size, -1), np.zeros(network.size, dtype=int), 0
        above = np.full(network.size, -1)
        above[to[to >= 0]] = np.flatnonzero(to >= 0)
        for group in network.levels:
            heads = group[fed[group] != 1]
            run[heads] = count + np.arange(len(heads))
            count += len(heads)
            inner = group[fed[group] == 1]
            run[inner], rank[inner] = run[above[inner]], rank[above[inner]] + 1
        self.order = np.lexsort((rank, run))
        """Reaches along the line."""
        self.cuts = np.append(0.0, np.cumsum(network.lengths[self.order]))
        """Shape (n_reaches + 1,), in m."""
        last = np.append(np.flatnonzero(np.diff(run[self.order])), network.size - 1)
        self.ends = np.append(0.0, self.cuts[last + 1])
        """Shape (n_runs + 1,), in m."""
        below = to[self.order[last]]
        self.next = np.where(below < 0, -1, run[below])
        """Shape (n_runs,): the run that each flows into."""

    def run_of(self, cuts: np.ndarray) -> np.ndarray:
        """Return the run of each interval."""
        return np.searchsorted(self.ends, 0.5 * (cuts[1:] + cuts[:-1])) - 1
