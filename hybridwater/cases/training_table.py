"""How the learned exchanges of a coupled case are trained: ``[train]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    "observations": checks.table,
    **_STUDY,
}

_SCHOOLING: dict[str, Check] = {
    **dict.fromkeys(("iterations", "silent", "window", "warm", "refresh"), checks.whole),
    **dict.fromkeys(("rate", "place_rate", "decay", "prior", "smooth", "small"), checks.number),
    "loss": checks.weights,
}
OBSERVATIONS: dict[str, Check] = {
    "component": checks.text,
    "discharge": checks.text,
    "segments": checks.wholes,
    "period": checks.period,
    "test": checks.period,
    "held_out": checks.either(checks.names, checks.whole),
    "least_days": checks.whole,
    "seed": checks.whole,
    "unobserved": checks.number,
    "network": checks.table,
    **_SCHOOLING,
}

DELAWARE = "delaware"
"""Word for the gages of the Delaware case, in the place of a file."""


@dataclass(frozen=True)
class Observations:
    """What ``[train.observations]`` says: discharge that an exchange to rivers learns from.

    Parameters
    ----------
    table : Table
        Where it is, for errors.
    period : tuple of str
        First and last day that count.
    discharge : pathlib.Path or str or None
        A NetCDF file with ``discharge`` and ``gage_segment``, or `DELAWARE`; None where only the
        reference counts.
    segments : tuple of int
        Segments whose discharge in the reference run counts as that of a gage does.
    component : str or None
        The ``learned-runoff`` that is trained; the only one if left out.
    test : tuple of str or None
        First and last day of a test.
    held_out : tuple of str or int
        Gages that nothing is learned from: names, or how many are drawn.
    least_days : int
        Observed days that a gage must have in the run.
    seed : int
        Of weights, windows and gages that are drawn.
    unobserved : float or None
        As of :class:`hybridwater.mgn.RunoffCoupler`.
    network : mapping
        Choices of :class:`hybridwater.mgn.Architecture`.
    schooling : mapping
        Of :class:`hybridwater.mgn.Schooling`.
    """

    table: Table
    period: tuple[str, str]
    discharge: Path | str | None = None
    segments: tuple[int, ...] = ()
    component: str | None = None
    test: tuple[str, str] | None = None
    held_out: tuple[str, ...] | int = 0
    least_days: int = 1
    seed: int = 0
    unobserved: float | None = 0.5
    network: Mapping[str, Any] = field(default_factory=dict)
    schooling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What ``[train]`` says.

    Parameters
    ----------
    reference : pathlib.Path or None
        Run directory of a coupled run, or a NetCDF file with variables ``component.variable``.
    directory : pathlib.Path
        Where the training keeps what it needs to go on.
    held_out : float
        Share of the times, the last ones, that nothing is learned from.
    choices : mapping
        Of :class:`hybridwater.mgn.Study`.
    observations : Observations or None
        What an exchange from land to rivers learns from.
    """

    reference: Path | None
    directory: Path
    held_out: float
    choices: Mapping[str, Any]
    observations: Observations | None = None


def read_training(table: Table) -> Training:
    """Read the table.

    Raises
    ------
    CaseError
        If a key is unknown, missing or of another type, or there is nothing to learn from.
    """
    values = table.check(KEYS)
    observations, reference = None, None
    if "observations" in values:
        inner = Table(table.file, f"{table.name}.observations", values["observations"])
        observations = _read_observations(inner, "reference" in values)
    else:
        table.require("reference")
    if "reference" in values:
        reference = table.existing("reference", values["reference"])
        if not reference.is_dir() and reference.suffix != ".nc":
            raise CaseError(
                f"'{reference}' is neither a run directory nor a NetCDF file.",
                table.where("reference"),
                "Name the directory of a coupled run, or a file that ends in .nc",
            )
    default = f"{Path(table.file).stem}-training"
    return Training(
        reference,
        table.beside(values.get("directory", default)),
        values.get("held_out", 0.25),
        {key: values[key] for key in _STUDY if key in values},
        observations,
    )


def _read_observations(table: Table, reference: bool) -> Observations:
    values = table.check(OBSERVATIONS)
    table.require("period")
    discharge = values.get("discharge")
    if discharge not in (None, DELAWARE):
        discharge = table.existing("discharge", discharge)
    if discharge is None and not values.get("segments"):
        raise CaseError(
            "There is nothing to learn from.",
            table.where(),
            f'Add discharge = "{DELAWARE}" or a file, or segments of a reference run',
        )
    if values.get("segments") and not reference:
        raise CaseError(
            "Segments are those of a reference run, and there is none.",
            table.where("segments"),
            "Add reference = '...' in [train]",
        )
    own = ("segments", "component", "test", "held_out", "least_days", "seed", "network")
    schooling = {key: values[key] for key in _SCHOOLING if key in values}
    if "loss" in schooling:
        schooling["loss"] = tuple(schooling["loss"].items())
    return Observations(
        table,
        values["period"],
        discharge,
        unobserved=values.get("unobserved", 0.5) or None,
        schooling=schooling,
        **{key: values[key] for key in own if key in values},
    )
