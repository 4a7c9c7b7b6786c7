"""Components of a coupled case, ``[components.NAME]``, and the word that swaps a surrogate in."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.tables import Table
from hybridwater.components import Component, get_component
from hybridwater.components.base import Variable
from hybridwater.components.registry import importable
from hybridwater.coupling import StandIn
from hybridwater.errors import CaseError, HybridwaterError, nearest

#: Keys of every component; all others are keywords of its constructor.
KEYS: dict[str, Check] = {
    "kind": checks.text,
    "use": checks.choice("analytic", "surrogate"),
    "surrogate": checks.table,
    "stand_in": checks.flag,
    "configuration": checks.text,
    "timeout": checks.number,
}


@dataclass(frozen=True)
class Model:
    """A class and the keywords that make a component of it.

    Parameters
    ----------
    kind : str
        Name of a component, or ``"module:Class"``.
    made : type
        Its class.
    options : mapping
        Keywords of its constructor, those of meshes as names.
    folder : str
        Where its module may be.
    """

    kind: str
    made: type[Component]
    options: Mapping[str, Any]
    folder: str

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that are known before it is made; none if only the object knows them."""
        known = self.made.variables
        return known if isinstance(known, tuple) else ()

    @property
    def meshes(self) -> dict[str, str]:
        """Keyword to the name of a mesh."""
        return {k: v for k, v in self.options.items() if _is_mesh(k) and isinstance(v, str)}

    def takes(self, keyword: str) -> bool:
        """Whether the constructor has a keyword."""
        return keyword in inspect.signature(self.made).parameters

    def make(
        self, start: str | None, meshes: Mapping[str, Any], timeout: float | None
    ) -> Component:
        """Make the component, in a process of its own if its calls have a time limit."""
        options = {**self.options, **{k: meshes[v] for k, v in self.meshes.items()}}
        if start is not None and self.takes("start"):
            options.setdefault("start", start)
        if timeout is None:
            return self.made(**options)
        from hybridwater.components.isolation import IsolatedComponent

        return IsolatedComponent(  # type: ignore[abstract]
            self.kind, timeout=timeout, options=options, folders=[self.folder]
        )


@dataclass(frozen=True)
class ComponentTable:
    """One component of a case file.

    Parameters
    ----------
    table : Table
        Where it is, for errors.
    analytic : Model
        What ``kind`` names.
    surrogate : Model or None
        What can take its place.
    use : {"analytic", "surrogate"}
        Which of the two runs.
    stand_in : bool
        Whether the surrogate goes on if the analytic one fails.
    configuration : str
        Configuration file, empty for none.
    timeout : float or None
        Seconds that a call of the analytic one may take.
    surrogate_from : str or None
        Date from which on the surrogate is in its place.
    """

    table: Table
    analytic: Model
    surrogate: Model | None
    use: str
    stand_in: bool
    configuration: str
    timeout: float | None
    surrogate_from: str | None

    @property
    def name(self) -> str:
        """Name in the case."""
        return self.table.name.partition(".")[2]

    @property
    def model(self) -> Model:
        """What runs."""
        return self.surrogate if self.use == "surrogate" and self.surrogate else self.analytic

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its ports, as far as they are known before it is made: a surrogate has the same."""
        return self.analytic.variables

    def make(self, start: str | None, meshes: Mapping[str, Any]) -> Component:
        """Make what runs.

        Raises
        ------
        CaseError
            If the component refuses its keywords.
        """
        isolated = None if self.model is self.surrogate else self.timeout
        return self._made(self.model, start, meshes, isolated)

    def make_stand_in(self, start: str | None, meshes: Mapping[str, Any]) -> StandIn | None:
        """Make the surrogate if it may step in during the run; errors as in `make`."""
        if self.surrogate is None or not (self.stand_in or self.surrogate_from):
            return None
        made = self._made(self.surrogate, start, meshes, None)
        return StandIn(made, at=self.surrogate_from, on_failure=self.stand_in)

    def _made(
        self, model: Model, start: str | None, meshes: Mapping[str, Any], timeout: float | None
    ) -> Component:
        try:
            return model.make(start, meshes, timeout)
        except HybridwaterError as error:
            raise self.table.within(error) from error
        except (TypeError, ValueError) as error:
            raise CaseError(
                f"'{model.kind}' cannot be made so: {error}.", self.table.where()
            ) from error


def read_component(table: Table, meshes: Collection[str]) -> ComponentTable:
    """Read a table of a component.

    Parameters
    ----------
    table : Table
        The table.
    meshes : collection of str
        Names of the meshes of the case.

    Raises
    ------
    CaseError
        If there is no such component, it has no such keyword, or a file or mesh is not there.
    MissingDependency
        If the component needs a package that is not installed.
    """
    own = {key: value for key, value in table.content.items() if key in KEYS}
    values = Table(table.file, table.name, own).check(KEYS)
    table.require("kind")
    options = {key: value for key, value in table.content.items() if key not in KEYS}
    analytic = _model(values["kind"], Table(table.file, table.name, options), meshes)
    surrogate, at = None, None
    if "surrogate" in values:
        inner = Table(table.file, f"{table.name}.surrogate", values["surrogate"])
        said = {key: value for key, value in inner.content.items() if key == "from"}
        at = Table(inner.file, inner.name, said).check({"from": checks.day}).get("from")
        own = {key: value for key, value in inner.content.items() if key != "from"}
        inner = Table(inner.file, inner.name, own)
        surrogate = _model("surrogate", inner, meshes, {"replaces": values["kind"]})
        if at is not None and values.get("use") == "surrogate":
            raise CaseError(
                "The surrogate cannot be used from the start and from a later date.",
                inner.where("from"),
                "Leave out 'from', or say use = 'analytic'",
            )
    wanted = values.get("use", "analytic"), values.get("stand_in", False)
    if surrogate is None and wanted != ("analytic", False):
        key = "use" if wanted[0] == "surrogate" else "stand_in"
        raise CaseError(
            "There is no surrogate of this component.",
            table.where(key),
            f"Add [{table.name}.surrogate] with model = 'its run directory'; 'hybridwater emulate' "
            "makes one",
        )
    configuration = values.get("configuration", "")
    if configuration:
        configuration = str(table.existing("configuration", configuration))
    return ComponentTable(
        table, analytic, surrogate, *wanted, configuration, values.get("timeout"), at
    )


def _model(
    kind: str, table: Table, meshes: Collection[str], more: Mapping[str, Any] | None = None
) -> Model:
    folder = str(Path(table.file).parent)
    try:
        with importable(folder):
            made = get_component(kind)
    except HybridwaterError as error:
        raise type(error)(error.what, error.where or table.where("kind"), error.fix) from error
    known = inspect.signature(made).parameters
    free = any(p.kind is p.VAR_KEYWORD for p in known.values())
    options = dict(more or {})
    for key, value in table.content.items():
        if key not in known and not free:
            raise CaseError(
                f"The component '{kind}' has no keyword '{key}' ({nearest(key, [*known, *KEYS])}).",
                table.where(key),
            )
        if _is_mesh(key) and value not in meshes:
            raise CaseError(
                f"There is no mesh {value!r} ({nearest(str(value), meshes)}).",
                table.where(key),
                f"Add [meshes.{value}]",
            )
        is_path = key in known and "Path" in str(known[key].annotation)
        if is_path and isinstance(value, str):
            value = table.weights(value) if key == "weights" else table.existing(key, value)
        options[key] = _array(value)
    return Model(kind, made, options, folder)


def _is_mesh(keyword: str) -> bool:
    return keyword == "mesh" or keyword.endswith("_mesh")


def _array(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _array(entry) for key, entry in value.items()}
    numbers = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    return np.array(value, float) if numbers else value
