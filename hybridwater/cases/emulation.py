"""Reading what `hybridwater emulate` is to do, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridwater.cases import schema
from hybridwater.cases.reading import read_fit, read_model, read_solver
from hybridwater.cases.tables import Table, read_tables, require_tables
from hybridwater.errors import CaseError
from hybridwater.ude import UDE

if TYPE_CHECKING:
    from hybridwater.components.emulation import Emulation

#: Tables of the file, and those that may be left out.
TABLES = ("component", "model", "ports", "fit", "solver", "output")
_OPTIONAL = ("solver", "output")


@dataclass(frozen=True)
class EmulationCase:
    """What the file says, checked.

    Parameters
    ----------
    component, config : str
        Name of the component, and what its ``initialize`` gets.
    inputs : pathlib.Path
        NetCDF file with its inputs.
    attributes : pathlib.Path or None
        NetCDF file with static attributes.
    ude : UDE
        The model.
    ports : mapping of str to str or float
        Port to term.
    arguments : mapping
        Further arguments of `hybridwater.emulate`.
    directory : pathlib.Path
        Run directory.
    """

    component: str
    config: str
    inputs: Path
    attributes: Path | None
    ude: UDE
    ports: Mapping[str, str | float]
    arguments: Mapping[str, Any]
    directory: Path

    def emulate(self, *, resume: bool = False) -> Emulation:
        """Run, train and compare; see `hybridwater.emulate`.

        Parameters
        ----------
        resume : bool
            Whether to go on with a fit that was interrupted.
        """
        import hybridwater as hw
        from hybridwater.components import get_component

        attributes = None if self.attributes is None else hw.data.read_netcdf(self.attributes)
        return hw.emulate(
            get_component(self.component)(),
            self.ude,
            hw.data.read_netcdf(self.inputs),
            ports=self.ports,
            attributes=attributes,
            config_file=self.config,
            directory=self.directory,
            resume=resume,
            **self.arguments,
        )


def load_emulation(path: str | Path) -> EmulationCase:
    """Read the file that says what to emulate.

    Parameters
    ----------
    path : str or pathlib.Path
        TOML with the tables ``[component]``, ``[model]``, ``[ports]``, ``[fit]`` and, where wanted,
        ``[solver]`` and ``[output]``. Paths in it are relative to the file.

    Raises
    ------
    CaseError
        If it cannot be read, or says something that is not known.
    """
    path = Path(path).expanduser().absolute()
    needed = [t for t in TABLES if t not in _OPTIONAL]
    content = read_tables(path)
    require_tables(content, path, TABLES, needed)
    tables = {name: Table(str(path), name, entries) for name, entries in content.items()}
    component = tables["component"].check(schema.COMPONENT)
    for key in ("name", "inputs"):
        tables["component"].require(key)
    fit = read_fit(tables["fit"], needed=("train",))
    if "observed" in fit:
        raise CaseError(
            "What is observed are the outputs of the component.",
            tables["fit"].where("observed"),
            "Leave it out; [ports] says which term is which output",
        )
    names = tables["ports"].content
    output = tables["output"].check(schema.OUTPUT) if "output" in tables else {}
    solver = read_solver(tables["solver"]) if "solver" in tables else {}
    return EmulationCase(
        component=component["name"],
        config=str(_file(tables["component"], "config") or ""),
        inputs=_file(tables["component"], "inputs") or path,
        attributes=_file(tables["component"], "attributes"),
        ude=read_model(tables["model"]),
        ports=tables["ports"].check(dict.fromkeys(names, schema.PORT)),
        arguments={k: v for k, v in fit.items() if k != "attributes"} | solver,
        directory=path.parent / Path(output.get("directory", f"{path.stem}-run")).expanduser(),
    )


def _file(table: Table, key: str) -> Path | None:
    """Return the file that a key names, or None if it is not there."""
    return table.existing(key, table.content[key]) if key in table.content else None
