"""Exchanges as they are declared: what goes from where to where, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from hybridwater.components.base import Variable
from hybridwater.errors import CouplingError, nearest

TimeRule = Literal["mean", "instantaneous"]


@dataclass(frozen=True, eq=False)
class Learned:
    """What a learned exchange is made of.

    Parameters
    ----------
    weights : path-like or str
        A file of weights (``.safetensors``), or the name of weights that come with the package.
    baseline : str, Remap or array_like
        The remap that is corrected, and that takes over outside the range of the training; as
        ``remap`` of :class:`Exchange`.
    reads : sequence of str, optional
        Outputs of the two components that it reads at each step, ``"component.variable"``, in the
        order of the training; those that the weights know by default.
    features : mapping, optional
        ``"source"`` and ``"target"`` to features of their cells that do not change: a NetCDF file
        with variables of shape (cell,), or arrays by name.
    network : mapping, optional
        Choices of :class:`hybridwater.mgn.Architecture`, such as ``width`` and ``memory``, for
        weights that are yet to be trained.
    unobserved : float, optional
        Standard deviation of the prior of a flux from outside into each target cell, as a share of
        the mean that arrives; 0 for none. What the weights know by default.
    elevation : str, optional
        Which of the features is the elevation [m] of cells, at the ends that have it: edges then
        know how steep the ground is.
    most : float, optional
        Most water that may arrive at a target cell, in the unit of the target. The correction adds
        nothing where the baseline brings more.

    Raises
    ------
    CouplingError
        If a field is not as above.
    """

    weights: Any
    baseline: Any = "conservative"
    reads: Sequence[str] | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    unobserved: float | None = None
    elevation: str | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if self.most is not None and not self.most > 0.0:
            raise CouplingError(
                f"most = {self.most!r} is not a positive number.",
                "learned",
                "Write the most that may arrive at a cell, in the unit of the target",
            )
        if self.unobserved is not None and not 0.0 <= self.unobserved < float("inf"):
            raise CouplingError(
                f"unobserved = {self.unobserved!r} is not a number from 0.",
                "learned",
                "Write a share of the mean that arrives, such as unobserved = 0.2",
            )
        if isinstance(self.reads, str) or any("." not in name for name in self.reads or ()):
            raise CouplingError(
                f"reads = {self.reads!r} is not a list of 'component.variable'.",
                "learned",
                "Write reads = ['land.soil_water']",
            )
        if not isinstance(self.features, Mapping) or not isinstance(self.network, Mapping):
            raise CouplingError("features and network must be tables.", "learned")
        for end in self.features:
            if end not in ("source", "target"):
                raise CouplingError(
                    f"There is no end '{end}' ({nearest(end, ['source', 'target'])}).",
                    "features of a learned exchange",
                )


@dataclass(frozen=True, eq=False)
class Exchange:
    """One declared edge: a variable of one component becomes a variable of another.

    Parameters
    ----------
    source : str
        ``"component.variable"``; the name of the variable or its CF standard name.
    target : str
        ``"component.variable"``, or ``"component"`` where the variable has the same name.
    remap : str, Remap or array_like
        ``"identity"`` (same cells in the same order), ``"conservative"`` or ``"second order"`` (by
        overlap of the two meshes), a file of `hybridwater.meshes.write_remap` (a name that ends in
        ``.nc``), a :class:`~hybridwater.meshes.Remap`, the index of the target cell of each source
        cell (-1: none), or a matrix of shape (n_target, n_source) with the share of each source
        cell that goes to each target cell. ``"learned"`` corrects one of these by what ``learned``
        says.
    source_mask, target_mask : array_like of bool, optional
        True where a cell takes part, for remaps by overlap.
    time : {"mean", "instantaneous"}, optional
        What the target gets for a step of its own: the mean over that step, which keeps the
        integral of a flux, or the value at the end of the step. Rates are means by default, states
        instantaneous; water is always a mean.
    lag : bool or str, optional
        How much later the target gets what the source gave: ``True`` for as long as it takes the
        steps of the two to go round, a duration as in ``"1 d"``, ``False`` for never. By default an
        exchange is lagged if it closes a cycle that is not iterated.
    initial : float
        What a lagged or iterated exchange gives before its source has given anything; in units of
        the target.
    additive : bool
        Whether the target's variable is the sum of all exchanges that write it; each of them must
        say so.
    share : float
        Share of the source's water that this exchange takes, above 0 and at most 1.
    minimum : float, optional
        Least value that the target accepts, in its units. What is below stays in transit, and is
        taken off what comes later.
    water : bool, optional
        Whether it is booked; decided by the units if left out, see
        `hybridwater.coupling.quantities.is_water`.
    fill : float, optional
        What target cells get that no source covers, for variables that are not water.
    learned : Learned or mapping, optional
        Of ``remap = "learned"``; with another remap it is not used.

    Raises
    ------
    CouplingError
        If a field is not as above.
    """

    source: str
    target: str
    remap: Any = "identity"
    source_mask: Any = None
    target_mask: Any = None
    time: TimeRule | None = None
    lag: bool | str | None = None
    initial: float | None = None
    additive: bool = False
    share: float = 1.0
    minimum: float | None = None
    water: bool | None = None
    fill: float | None = None
    learned: Learned | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        where = f"exchange '{self.label}'"
        if "." not in self.source or self.source.startswith("."):
            raise CouplingError(
                f"The source '{self.source}' does not name a component and a variable.",
                where,
                "Write 'component.variable', for example 'land.surface_runoff_flux'",
            )
        if self.time not in (None, "mean", "instantaneous"):
            raise CouplingError(
                f"There is no time rule '{self.time}' "
                f"({nearest(str(self.time), ['mean', 'instantaneous'])}).",
                where,
            )
        if not 0.0 < self.share <= 1.0:
            raise CouplingError(f"The share {self.share} is not above 0 and at most 1.", where)
        if self.learned is not None:
            object.__setattr__(self, "learned", declared(Learned, self.learned))
        elif isinstance(self.remap, str) and self.remap == "learned":
            raise CouplingError(
                "The remap is learned, but no weights are named.",
                where,
                "Add learned = { weights = '...' }",
            )

    @property
    def label(self) -> str:
        """What the exchange is called in messages and in the ledger."""
        return f"{self.source} -> {self.target}"


Declared = TypeVar("Declared")


def declared(kind: type[Declared], entry: Any) -> Declared:
    """Return a declaration as it is, or make it from a table of a case file.

    Raises
    ------
    CouplingError
        If the table has a key that is not known, or lacks one.
    """
    if isinstance(entry, kind):
        return entry
    what = kind.__name__.lower()
    if not isinstance(entry, Mapping):
        raise CouplingError(f"{entry!r} is not an {what}.", fix=f"Give a table or an {what}")
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    known = [f.name for f in fields]
    for key in entry:
        if key not in known:
            raise CouplingError(
                f"There is no key '{key}' ({nearest(key, known)}).", f"{what} {dict(entry)}"
            )
    for f in fields:
        optional = {f.default, f.default_factory} != {dataclasses.MISSING}
        if not optional and f.name not in entry:
            raise CouplingError(f"The key '{f.name}' is missing.", f"{what} {dict(entry)}")
    return kind(**entry)


class Declares(Protocol):
    """What has a declaration table: a component, or what stands for one in a case file."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its variables."""
        ...


def find_end(
    components: Mapping[str, Declares], text: str, default: str, intent: str, where: str
) -> tuple[str, Variable]:
    """Find the component and the variable that ``"component.variable"`` names.

    Parameters
    ----------
    components : mapping
        Components by name.
    text : str
        ``"component.variable"`` or ``"component"``.
    default : str
        Variable if none is named.
    intent : {"in", "out", "any"}
        Whether an input or an output is looked for.
    where : str
        The exchange, for errors.

    Raises
    ------
    CouplingError
        If there is no such component or variable, or the standard name fits several.
    """
    name, _, variable = text.partition(".")
    if name not in components:
        raise CouplingError(f"There is no component '{name}' ({nearest(name, components)}).", where)
    wanted = variable or default
    fits = [
        v
        for v in components[name].variables
        if intent == "any" or (v.is_input if intent == "in" else v.is_output)
    ]
    exact = [v for v in fits if v.name == wanted] or [v for v in fits if v.standard_name == wanted]
    side = {"in": "inputs", "out": "outputs"}.get(intent, "variables")
    if len(exact) == 1:
        return name, exact[0]
    if exact:
        raise CouplingError(
            f"Several {side} of '{name}' have the standard name '{wanted}'.",
            where,
            f"Name one of {', '.join(v.name for v in exact)}",
        )
    raise CouplingError(
        f"The component '{name}' has no '{wanted}' among its {side} "
        f"({nearest(wanted, [v.name for v in fits])}).",
        where,
    )
