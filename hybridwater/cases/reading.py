"""Reading a case file: everything that can be refused before data are read is refused here."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridwater.cases import schema
from hybridwater.cases.case import Case
from hybridwater.cases.schema import Table
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
    tables = read_tables(path, schema.TABLES, ("model", "data", "fit"))
    data = Table(str(path), "data", tables["data"])
    source, arguments = _data(data, path.parent)
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
        data_arguments=arguments,
        fit_arguments=fit,
        solver=solver,
        directory=path.parent / Path(output.get("directory", f"{path.stem}-run")).expanduser(),
        report=output.get("report", True),
        basin=output.get("basin"),
    )


def read_tables(
    path: Path, known: Sequence[str], needed: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Read the tables of a file.

    Raises
    ------
    CaseError
        If it cannot be read, has a table that is not known, or lacks one that is needed.
    """
    try:
        with path.open("rb") as stream:
            tables = tomllib.load(stream)
    except OSError as error:
        raise CaseError(
            f"The case file cannot be read ({error.strerror or error}).",
            str(path),
            "Check the path; 'hybridwater init DIR' writes a case file to begin with",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaseError(f"The case file is not TOML: {error}.", str(path)) from error
    for name, content in tables.items():
        if name not in known:
            raise CaseError(f"The table '{name}' is not known ({nearest(name, known)}).", str(path))
        if not isinstance(content, dict):
            raise CaseError(f"'{name}' must be a table.", str(path), f"Write [{name}]")
    for name in needed:
        if name not in tables:
            raise CaseError(f"The table [{name}] is missing.", str(path), f"Add [{name}]")
    return tables


def _data(table: Table, folder: Path) -> tuple[str, dict[str, Any]]:
    source = table.require("source")
    if source not in schema.DATA:
        raise CaseError(
            f"There is no source of data {source!r} ({nearest(str(source), schema.DATA)}).",
            table.where("source"),
        )
    rest = {key: value for key, value in table.content.items() if key != "source"}
    values = Table(table.file, table.name, rest).check(schema.DATA[source])
    if "path" in schema.DATA[source]:
        table.require("path")
        values["path"] = folder / Path(values["path"]).expanduser()
        if not values["path"].exists():
            raise CaseError(
                f"There is no file or folder '{values['path']}'.",
                table.where("path"),
                "Correct the path; it is relative to the case file",
            )
    if source == "csv":
        table.require("units")
    return source, values


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
            raise _in_case(error, one) from error
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
        raise _in_case(error, table) from error


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
        raise _in_case(error, table) from error


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


def _in_case(error: HybridwaterError, table: Table) -> CaseError:
    """Say in which file and table something was refused."""
    where = table.where() + (f", {error.where}" if error.where else "")
    return CaseError(error.what, where, error.fix)
