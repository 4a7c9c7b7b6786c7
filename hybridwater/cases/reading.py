"""Reading the case file of a fit: what can be refused before data are read is refused here."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridwater.cases import schema
from hybridwater.cases.case import Case
from hybridwater.cases.sources import read_source
from hybridwater.cases.tables import Table, read_tables, require_tables
from hybridwater.errors import CaseError, HybridwaterError, nearest
from hybridwater.ude import UDE, models


def load(path: str | Path) -> Case:
    """Read a case file.

    Parameters
    ----------
    path : str or pathlib.Path
        TOML with the tables ``[model]``, ``[data]``, ``[fit]`` and, where wanted, ``[solver]`` and
        ``[output]``. Paths in it are relative to the file.

    Returns
    -------
    Case

    Raises
    ------
    CaseError
        If the file cannot be read; a table or key is missing or unknown; a value has another type
        than it should; the model is not well formed; or a file that it names does not exist.
    """
    path = Path(path).expanduser().absolute()
    tables = read_tables(path)
    if "components" in tables:
        raise CaseError(
            "This is the case of a coupled run, not of a fit.",
            str(path),
            f"Run it: hybridwater run {path.name}",
        )
    require_tables(tables, path, schema.TABLES, ("model", "data", "fit"))
    source = read_source(Table(str(path), "data", tables["data"]))
    fit_table = Table(str(path), "fit", tables["fit"])
    fit = read_fit(fit_table, needed=("observed", "train"))
    solver = read_solver(Table(str(path), "solver", tables.get("solver", {})))
    output = Table(str(path), "output", tables.get("output", {})).check(schema.OUTPUT)
    ude = read_model(Table(str(path), "model", tables["model"]))
    _observed(ude, fit_table, fit["observed"])
    return Case(
        path=path,
        ude=ude,
        source=source,
        fit_arguments=fit,
        solver=solver,
        directory=path.parent / Path(output.get("directory", f"{path.stem}-run")).expanduser(),
        report=output.get("report", True),
        basin=output.get("basin"),
    )


def read_fit(table: Table, needed: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a fit; see `load`."""
    for key in needed:
        table.require(key)
    rest = {key: value for key, value in table.content.items() if key != "schedule"}
    values = Table(table.file, table.name, rest).check(schema.FIT | {"schedule": list})
    if "schedule" in table.content:
        values["schedule"] = _schedule(table)
    return values


def _schedule(table: Table) -> tuple[Any, ...]:
    from hybridwater.training import Stage

    stages = table.content["schedule"]
    if not isinstance(stages, list) or not stages or not all(isinstance(s, dict) for s in stages):
        raise CaseError(
            "The schedule must be an array of tables.",
            table.where("schedule"),
            "Write [[fit.schedule]] before the keys of each stage",
        )
    made = []
    for number, content in enumerate(stages, start=1):
        one = Table(table.file, f"fit.schedule, stage {number}", content)
        values = one.check(schema.STAGE)
        for key in ("kind", "epochs"):
            one.require(key)
        try:
            made.append(Stage(**values))
        except HybridwaterError as error:
            raise one.within(error) from error
    return tuple(made)


def read_solver(table: Table) -> dict[str, Any]:
    """Return engine and solver options; see `load`."""
    values = table.check(schema.SOLVER)
    _options({k: v for k, v in values.items() if k != "engine"}, table)
    return values


def _options(values: dict[str, Any], table: Table) -> None:
    from hybridwater.engines import Options

    try:
        Options(**values)
    except HybridwaterError as error:
        raise table.within(error) from error


def read_model(table: Table) -> UDE:
    """Return the model, of the library or of equations; see `load`."""
    try:
        if "library" not in table.content:
            return UDE.from_dict(table.content)
        name = table.content["library"]
        if name not in models.__all__:
            raise CaseError(f"There is no model {name!r} ({nearest(str(name), models.__all__)}).")
        make = getattr(models, name)
        arguments = {key: value for key, value in table.content.items() if key != "library"}
        known = inspect.signature(make).parameters
        for key in arguments:
            if key not in known:
                raise CaseError(f"The model '{name}' takes no '{key}' ({nearest(key, known)}).")
        try:
            return make(**{k: _hashable(v) for k, v in arguments.items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise CaseError(f"The model '{name}' cannot be made so: {error}.") from error
    except HybridwaterError as error:
        raise table.within(error) from error


def _hashable(value: Any) -> Any:
    return tuple(_hashable(entry) for entry in value) if isinstance(value, list) else value


def _observed(ude: UDE, table: Table, observed: dict[str, str]) -> None:
    known = (*ude.order, *(s.name for s in ude.states))
    for flux in observed:
        if flux not in known:
            raise CaseError(
                f"The model '{ude.name}' has no flux or state '{flux}' ({nearest(flux, known)}).",
                table.where("observed"),
            )
