"""How the learned exchanges of a coupled case are trained: ``[train]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.tables import Table
from hybridwater.errors import CaseError

_STUDY: dict[str, Check] = {
    "iterations": checks.whole,
    "batch": checks.whole,
    "rate": checks.number,
    "window": checks.whole,
    "warmup": checks.whole,
    "noise": checks.number,
    "seed": checks.whole,
}
KEYS: dict[str, Check] = {
    "reference": checks.text,
    "directory": checks.text,
    "held_out": checks.fraction,
    **_STUDY,
}


@dataclass(frozen=True)
class Training:
    """What ``[train]`` says.

    Parameters
    ----------
    reference : pathlib.Path
        Run directory of a coupled run, or a NetCDF file with variables ``component.variable``.
    directory : pathlib.Path
        Where the training keeps what it needs to go on.
    held_out : float
        Share of the times, the last ones, that nothing is learned from.
    choices : mapping
        Of :class:`hybridwater.mgn.Study`.
    """

    reference: Path
    directory: Path
    held_out: float
    choices: Mapping[str, Any]


def read_training(table: Table) -> Training:
    """Read the table.

    Raises
    ------
    CaseError
        If a key is unknown, missing or of another type, or there is no reference.
    """
    values = table.check(KEYS)
    table.require("reference")
    reference = table.existing("reference", values["reference"])
    if not reference.is_dir() and reference.suffix != ".nc":
        raise CaseError(
            f"'{reference}' is neither a run directory nor a NetCDF file.",
            table.where("reference"),
            "Name the directory of a coupled run, or a file that ends in .nc",
        )
    path = Path(table.file)
    folder = Path(values.get("directory", f"{path.stem}-training")).expanduser()
    return Training(
        reference,
        path.parent / folder,
        values.get("held_out", 0.25),
        {key: values[key] for key in _STUDY if key in values},
    )
