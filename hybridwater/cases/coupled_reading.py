"""Reading the case file of a coupled run: components, what they exchange, and what is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.component_tables import read_component
from hybridwater.cases.coupled import CoupledCase, IndexFile
from hybridwater.cases.forcing_tables import ForcingTable, read_forcing
from hybridwater.cases.mesh_tables import read_mesh
from hybridwater.cases.tables import Table, read_tables, require_tables
from hybridwater.cases.training_table import read_training
from hybridwater.coupling import Demand, Exchange, Iteration, Learned, Output, Policy
from hybridwater.coupling.cadence import Cadence
from hybridwater.coupling.clock import seconds
from hybridwater.coupling.exchange import Declares, declared, find_end
from hybridwater.errors import CaseError, CouplingError, HybridwaterError, nearest

TABLES = (
    *("run", "components", "meshes", "forcing", "exchange", "demand", "output", "restart"),
    *("ensemble", "train"),
)

RUN: dict[str, Check] = {
    "name": checks.text,
    "start": checks.day,
    "end": checks.day,
    "window": checks.text,
    "ledger": checks.table,
    "iteration": checks.table,
}

OUTPUT: dict[str, Check] = {
    "directory": checks.text,
    "every": checks.text,
    "format": checks.choice("netcdf", "zarr"),
    "variables": checks.table_of(
        checks.either(checks.names, checks.table),
        "a table of components to lists of variables, such as { land = ['runoff'] }, or to tables "
        "with variables, every and methods",
    ),
    "report": checks.flag,
}

RESTART: dict[str, Check] = {"every": checks.text}

_INDEX: dict[str, Check] = {"file": checks.text, "variable": checks.text}


def load_coupled(path: str | Path) -> CoupledCase:
    """Read the case file of a coupled run.

    Parameters
    ----------
    path : str or pathlib.Path
        TOML with the tables ``[run]``, ``[components.NAME]`` and, where wanted, ``[meshes.NAME]``,
        ``[forcing.NAME]``, ``[[exchange]]``, ``[output]`` and ``[restart]``. Paths in it are
        relative to the file.

    Returns
    -------
    CoupledCase

    Raises
    ------
    CaseError
        If the file cannot be read; a table or key is missing or unknown; a value has another type
        than it should; components and exchanges do not fit together; or a file that it names does
        not exist.
    MissingDependency
        If a component needs a package that is not installed.
    """
    path = Path(path).expanduser().absolute()
    tables = read_tables(path)
    if "components" not in tables and "model" in tables:
        command = "emulate" if "component" in tables else "fit"
        raise CaseError(
            f"This is a case to {command}, not of a coupled run.",
            str(path),
            f"Write: hybridwater {command} {path.name}",
        )
    require_tables(tables, path, TABLES, ("run", "components"), arrays=("exchange", "demand"))
    meshes = {t.name.partition(".")[2]: read_mesh(t) for t in _each("meshes", tables, path)}
    forcing = {
        t.name.partition(".")[2]: _forcing(t, meshes) for t in _each("forcing", tables, path)
    }
    components = {
        t.name.partition(".")[2]: read_component(t, meshes)
        for t in _each("components", tables, path)
    }
    for name in forcing:
        if name in components:
            raise CaseError(
                f"'{name}' is the name of a forcing and of a component.",
                f"{path}, [forcing.{name}]",
                "Rename one of them",
            )
    ports: dict[str, Declares] = {**forcing, **components}
    exchanges = tuple(
        _exchange(Table(str(path), f"exchange, number {i}", content), ports)
        for i, content in enumerate(tables.get("exchange", []), start=1)
    )
    demands = tuple(
        _demand(Table(str(path), f"demand, number {i}", content), ports)
        for i, content in enumerate(tables.get("demand", []), start=1)
    )
    run = Table(str(path), "run", tables["run"])
    said = run.check(RUN)
    run.require("end")
    output = Table(str(path), "output", tables.get("output", {}))
    written = output.check(OUTPUT)
    outputs = _outputs(written, output, ports)
    restart = Table(str(path), "restart", tables.get("restart", {}))
    every = restart.check(RESTART).get("every")
    for value, table, key in ((said.get("window"), run, "window"), (every, restart, "every")):
        if value is not None:
            _duration(value, table, key)
    return CoupledCase(
        path=path,
        name=said.get("name", path.stem),
        meshes=meshes,
        forcing=forcing,
        components=components,
        exchanges=exchanges,
        demands=demands,
        start=said.get("start"),
        end=said["end"],
        window=said.get("window"),
        ledger=_declared(Policy, said.get("ledger", {}), run, "ledger"),
        iteration=_declared(Iteration, said["iteration"], run, "iteration")
        if "iteration" in said
        else None,
        outputs=outputs,
        output_format=written.get("format", "netcdf"),
        directory=path.parent / Path(written.get("directory", f"{path.stem}-run")).expanduser(),
        report=written.get("report", True),
        checkpoint_every=every,
        training=read_training(Table(str(path), "train", tables["train"]))
        if "train" in tables
        else None,
    )


def _each(kind: str, tables: Mapping[str, Any], path: Path) -> list[Table]:
    """Return the tables below a name."""
    found = []
    for name, content in tables.get(kind, {}).items():
        if not isinstance(content, dict):
            raise CaseError(
                f"'{name}' is not a table.", f"{path}, [{kind}]", f"Write [{kind}.{name}]"
            )
        if "." in name or "/" in name:
            raise CaseError(
                f"The name '{name}' has a '.' or a '/'.",
                f"{path}, [{kind}]",
                "Use letters, digits, '-' and '_'",
            )
        found.append(Table(str(path), f"{kind}.{name}", content))
    if kind == "components" and not found:
        raise CaseError("There is no component.", str(path), "Add [components.NAME] with a kind")
    return found


def _forcing(table: Table, meshes: Mapping[str, Any]) -> ForcingTable:
    found = read_forcing(table)
    if found.mesh is not None and found.mesh not in meshes:
        raise CaseError(
            f"There is no mesh '{found.mesh}' ({nearest(found.mesh, meshes)}).",
            table.where("mesh"),
            f"Add [meshes.{found.mesh}]",
        )
    return found


def _exchange(table: Table, ports: Mapping[str, Declares]) -> Exchange:
    content = _with_files(table, "remap")
    if "learned" in content:
        content["learned"] = _learned(table, content["learned"])
    try:
        exchange = declared(Exchange, content)
        default = exchange.source.partition(".")[2]
        _check_end(ports, exchange.source, "", "out")
        _check_end(ports, exchange.target, default, "in")
        if isinstance(exchange.learned, Learned):
            for text in exchange.learned.reads or ():
                _check_end(ports, text, "", "out")
    except HybridwaterError as error:
        raise table.within(error) from error
    except TypeError as error:
        raise CaseError(f"A value has the wrong type: {error}.", table.where()) from error
    return exchange


def _demand(table: Table, ports: Mapping[str, Declares]) -> Demand:
    try:
        demand = declared(Demand, _with_files(table, "cells"))
        _check_end(ports, demand.demand, "", "out")
        _check_end(ports, demand.available, "", "out")
        _check_end(ports, demand.realised, "", "in")
        _check_end(ports, demand.supply, "", "in")
    except HybridwaterError as error:
        raise table.within(error) from error
    except TypeError as error:
        raise CaseError(f"A value has the wrong type: {error}.", table.where()) from error
    return demand


def _with_files(table: Table, key: str) -> dict[str, Any]:
    """Return the content, with what is a file in the place of its name."""
    content = dict(table.content)
    value = content.get(key)
    if isinstance(value, dict):
        inner = Table(table.file, f"{table.name}, {key}", value)
        values = inner.check(_INDEX)
        inner.require("file")
        file = inner.existing("file", values["file"])
        inner.require("variable")
        content[key] = IndexFile(file, values["variable"])
    elif isinstance(value, str) and value.endswith(".nc"):
        content[key] = str(table.existing(key, value))
    return content


def _learned(table: Table, value: Any) -> dict[str, Any]:
    """Return what is learned, with paths; weights may be yet to be trained."""
    if not isinstance(value, dict):
        raise CaseError("'learned' must be a table.", table.where(), "Write [exchange.learned]")
    inner = Table(table.file, f"{table.name}, learned", value)
    content = _with_files(inner, "baseline")
    weights = inner.require("weights")
    if isinstance(weights, str):
        content["weights"] = inner.weights(weights)
    features = content.get("features", {})
    if isinstance(features, dict):
        content["features"] = {
            end: inner.existing("features", path) if isinstance(path, str) else path
            for end, path in features.items()
        }
    return content


def _check_end(ports: Mapping[str, Declares], text: str, default: str, intent: str) -> None:
    """Refuse a component or variable that there is not; some are only known once it is made."""
    name = text.partition(".")[0]
    if name not in ports or ports[name].variables:
        find_end(ports, text, default, intent, "")


def _outputs(
    written: Mapping[str, Any], table: Table, ports: Mapping[str, Declares]
) -> dict[str, Output]:
    """Return what is kept of each component; ``every`` of the whole table is the default."""
    every, found = written.get("every"), {}
    for name, entry in written.get("variables", {}).items():
        content = entry if isinstance(entry, dict) else {"variables": list(entry)}
        inner = Table(table.file, f"{table.name}.variables.{name}", {"every": every} | content)
        try:
            found[name] = declared(Output, inner.content)
            for variable in found[name].variables:
                _check_end(ports, f"{name}.{variable}", "", "any")
            if found[name].every is not None:
                Cadence(found[name].every, dt.datetime.min, "every")
        except CouplingError as error:
            raise CaseError(error.what, table.where("variables"), error.fix) from error
    return found


def _declared(kind: type, content: Mapping[str, Any], table: Table, key: str) -> Any:
    try:
        return declared(kind, content)
    except HybridwaterError as error:
        raise CaseError(error.what, table.where(key), error.fix) from error
    except TypeError as error:
        raise CaseError(f"A value has the wrong type: {error}.", table.where(key)) from error


def _duration(text: str, table: Table, key: str) -> None:
    try:
        seconds(text)
    except CouplingError as error:
        raise CaseError(error.what, table.where(key), error.fix) from error
