"""Learned exchanges: links whose remap reads the states of both ends and remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.coupling.clock import Participant
from hybridwater.coupling.exchange import Exchange, Learned, find_end
from hybridwater.coupling.ledger import Ledger
from hybridwater.coupling.link import Link, cells_of
from hybridwater.coupling.quantities import linear_conversion, measure
from hybridwater.coupling.route import Cells, Route, make_remap, same_cells
from hybridwater.coupling.sums import weighted
from hybridwater.errors import CouplingError, HybridwaterError, nearest
from hybridwater.files import open_netcdf

if TYPE_CHECKING:
    from hybridwater.meshes import Remap
    from hybridwater.mgn import LearnedRemap

Reader = Callable[[], np.ndarray]
End = tuple[Participant, Cells]


def is_learned(exchange: Exchange) -> bool:
    """Say whether the remap of an exchange is learned: by name, or one that can begin."""
    remap = exchange.remap
    return remap == "learned" if isinstance(remap, str) else hasattr(remap, "begin")


class LearnedLink(Link):
    """An exchange whose remap is learned.

    Each time that the source gives, the remap is handed the states that it reads, as they are at
    that time at both ends, and its memory goes on.

    Attributes
    ----------
    remap : LearnedRemap
        With a memory of its own.

    Raises
    ------
    CouplingError, WeightsError
        If states, features, meshes or weights do not fit.
    """

    remap: LearnedRemap

    def _make_route(self, here: Cells, there: Cells, where: str) -> Route:
        own = self.exchange.learned
        baseline = own.baseline if isinstance(own, Learned) else None
        if isinstance(baseline, str) and baseline == "identity":
            here, there = same_cells(here, there)
        ends = {"source": (self.source, here), "target": (self.target, there)}
        learned = self.exchange.remap
        if isinstance(learned, str):
            slope, _ = linear_conversion(self.given, self.taken, where)
            value = slope * self.exchange.share  # of the target, of an amount that is moved
            if there.measure.per_area and there.areas is not None:
                value = value / there.areas
            learned = make_learned(self.exchange, ends, where, value)
        self.remap = learned.begin()
        self._readers: dict[str, list[Reader]] = {
            end: [_reader(*ends[end], name, unit, where) for name, unit in names.items()]
            for end, names in learned.states.items()
        }
        if learned.correction.unobserved and not self.water:
            raise CouplingError(
                "An unobserved flux would change sums of what is not booked.",
                where,
                "Use weights without it",
            )
        return self._route_by(self.remap, (None, None), here, there, where)

    def _connect(self, tolerance: float) -> None:
        self._look(0.0)
        super()._connect(tolerance)
        self.remap.moment.calls = self.remap.moment.fallbacks = 0

    def _look(self, length: float) -> None:
        """Hand over the states as they are now, and how long [s] the step was."""
        moment = self.remap.moment
        moment.span = length / self.remap.step
        moment.states = {
            end: np.stack([read() for read in readers], axis=-1)
            for end, readers in self._readers.items()
            if readers
        }

    def give(self, ledger: Ledger) -> None:
        """Take up what the source gave in its last step, and remember."""
        self._look(self.source.length)
        super().give(ledger)
        moment = self.remap.moment
        if moment.unobserved is not None:
            came = weighted(moment.unobserved * self.route.scale, self.kg_taken)
            ledger.come(self.label, came * self.source.length)
        moment.memory = moment.ahead

    def kept(self) -> tuple:
        """Return what `restore` takes."""
        moment = self.remap.moment
        return super().kept(), moment.memory, moment.calls, moment.fallbacks

    def restore(self, kept: tuple) -> None:
        """Go back to what `kept` returned."""
        first, moment = kept[0], self.remap.moment
        super().restore(first)
        moment.memory, moment.calls, moment.fallbacks = kept[1:]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that it holds, for a checkpoint."""
        moment = self.remap.moment
        memory = {f"memory/{end}": values.numpy() for end, values in moment.memory.items()}
        counts = np.array([moment.calls, moment.fallbacks])
        return {**super().arrays(), **memory, "learned": counts}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take all that it holds from a checkpoint."""
        import torch

        super().set_arrays(arrays)
        moment = self.remap.moment
        moment.memory = {
            name.partition("/")[2]: torch.from_numpy(values.copy())
            for name, values in arrays.items()
            if name.startswith("memory/")
        }
        if "learned" in arrays:
            moment.calls, moment.fallbacks = (int(n) for n in arrays["learned"])


def make_learned(
    exchange: Exchange,
    ends: Mapping[str, End],
    where: str,
    value: float | np.ndarray,
    *,
    step: float | None = None,
) -> LearnedRemap:
    """Make the remap that an exchange names.

    Parameters
    ----------
    exchange : Exchange
        With ``learned``.
    ends : mapping of str to (Participant, Cells)
        Of ``"source"`` and ``"target"``.
    where : str
        The exchange, for errors.
    value : float or numpy.ndarray
        Value of the target variable where one unit of what is moved arrives, shape (n_target,).
    step : float, optional
        Length of a step [s] for weights that are yet to be trained; none are read then.

    Raises
    ------
    CouplingError, DataError, MeshError, SettingsError, WeightsError
        If something does not fit.
    """
    from hybridwater.mgn import LearnedRemap
    from hybridwater.mgn.configuration import CHOICES
    from hybridwater.mgn.released import find_weights

    own = exchange.learned
    assert isinstance(own, Learned)
    for choice in own.network:
        if choice not in CHOICES:
            raise CouplingError(
                f"There is no choice '{choice}' of a network ({nearest(choice, CHOICES)}).",
                where,
                f"Choose {', '.join(CHOICES)}",
            )
    for end, (participant, cells) in ends.items():
        if cells.mesh is None:
            raise CouplingError(
                f"The {end} '{participant.name}' has no mesh, so a network has no graph.",
                where,
                "Give the component a mesh, or choose another remap",
            )
    here, there = ends["source"][1], ends["target"][1]
    masks = exchange.source_mask, exchange.target_mask
    baseline = make_remap(own.baseline, here, there, masks, where) or _identity(here, there)
    states = _states(own, ends, where)
    choices: dict[str, Any] = {"weights": find_weights(own.weights)}
    if step is not None:
        choices = {"states": states, "step": step, **own.network}
        choices["unobserved"] = own.unobserved or 0.0
    most = None
    if own.most is not None:
        if there.measure.form == "other":
            raise CouplingError(
                "most bounds water that arrives, and this is none.", where, "Leave out most"
            )
        most = own.most / value / _measures(there)
    features = {end: _features(own.features.get(end, {}), c.count) for end, (_, c) in ends.items()}
    try:
        made = LearnedRemap.of(
            baseline,
            here.mesh,
            there.mesh,
            source_static=features["source"],
            target_static=features["target"],
            elevations=_elevations(own.elevation, features, where),
            most=most,
            **choices,
        )
    except HybridwaterError as error:
        place = "; ".join(filter(None, (where, error.where)))
        raise type(error)(error.what, place, error.fix) from error
    spread = made.correction.unobserved
    if own.unobserved not in (None, spread):
        raise CouplingError(
            f"The weights have an unobserved flux of {spread:g}, the exchange names "
            f"{own.unobserved:g}.",
            where,
            "Leave out unobserved, or train weights with it",
        )
    for end, names in made.states.items():
        if own.reads is not None and tuple(names) != tuple(states[end]):
            raise CouplingError(
                f"The weights read {', '.join(names) or 'nothing'} of the {end}, the exchange "
                f"names {', '.join(states[end]) or 'nothing'}.",
                where,
                "Leave out reads, or give the weights of this exchange",
            )
    return made


def _elevations(
    name: str | None, features: Mapping[str, Mapping[str, np.ndarray]], where: str
) -> dict[str, np.ndarray] | None:
    """Return the elevation of the ends that have one."""
    if name is None:
        return None
    found = {end: table[name] for end, table in features.items() if name in table}
    if not found:
        known = sorted({feature for table in features.values() for feature in table})
        raise CouplingError(
            f"There is no feature '{name}' ({nearest(name, known)}).",
            f"{where}, elevation",
            "Name one of the features of the source or of the target",
        )
    return found


def _states(own: Learned, ends: Mapping[str, End], where: str) -> dict[str, dict[str, str]]:
    """Return names and units of what is read of each end."""
    components = {participant.name: participant.component for participant, _ in ends.values()}
    found: dict[str, dict[str, str]] = {end: {} for end in ends}
    for text in own.reads or ():
        name, variable = find_end(components, text, "", "out", where)
        end = next(end for end, (participant, _) in ends.items() if participant.name == name)
        found[end][variable.name] = variable.units
    return found


def _reader(participant: Participant, cells: Cells, name: str, unit: str, where: str) -> Reader:
    """Return what reads a state in the unit of the training, per measure of its cells."""
    _, variable = find_end(
        {participant.name: participant.component}, f"{participant.name}.{name}", "", "out", where
    )
    if cells_of(participant, variable).count != cells.count:
        raise CouplingError(
            f"'{name}' of '{participant.name}' lies on other cells than what is exchanged.",
            where,
            "Read variables of the same grid",
        )
    factor, offset = scaling(cells, variable.units, unit)
    return lambda: participant.read(variable) * factor + offset


def scaling(cells: Cells, unit: str, trained: str) -> tuple[float | np.ndarray, float]:
    """Return factor and offset from a state to what is read of it.

    Parameters
    ----------
    cells : Cells
        Where it lies.
    unit : str
        Its unit.
    trained : str
        The unit of the training; per measure of its cell where it counts what is in one.
    """
    slope, offset, _ = units.linear(unit, trained)
    if measure(unit).per_cell:
        return slope / _measures(cells), offset
    return slope, offset


def _measures(cells: Cells) -> np.ndarray:
    """Return areas [m2], or lengths of reaches [m]."""
    return cells.mesh.lengths if cells.areas is None else cells.areas


def _identity(source: Cells, target: Cells) -> Remap:
    from scipy.sparse import eye_array

    from hybridwater.meshes import Remap

    source, target = same_cells(source, target)
    size = source.count
    return Remap(eye_array(size, format="csr"), _measures(source), _measures(target), np.ones(size))


def _features(entry: Any, count: int) -> dict[str, np.ndarray]:
    """Return features of cells by name, from a file or as they are."""
    if isinstance(entry, Mapping):
        return {str(name): np.asarray(values, dtype=float) for name, values in entry.items()}
    data = open_netcdf(entry, CouplingError)
    return {
        str(name): values.values.astype(float)
        for name, values in data.data_vars.items()
        if values.shape == (count,) and values.dtype.kind in "iufb"
    }
