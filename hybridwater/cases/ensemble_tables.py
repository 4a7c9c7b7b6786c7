"""The table ``[ensemble]`` of a case file: what is uncertain, how members are drawn and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridwater.cases import checks
from hybridwater.cases.checks import Check
from hybridwater.cases.tables import Table
from hybridwater.ensembles.coupler_weights import CouplerWeights
from hybridwater.ensembles.design import Design
from hybridwater.ensembles.posterior import ParameterPosterior
from hybridwater.ensembles.sources import Fits, Forcing, InitialState, Parameters, Residual, Source
from hybridwater.errors import CaseError, HybridwaterError, nearest
from hybridwater.ude import UDE

ENSEMBLE: dict[str, Check] = {
    "members": checks.whole,
    "design": checks.text,
    "seed": checks.whole,
    "attribution": checks.flag,
    "outputs": checks.names,
    "period": checks.period,
    "warmup": checks.whole,
    "batch": checks.whole,
    "workers": checks.either(checks.whole, checks.text),
    "failed": checks.choice("stop", "leave_out"),
    "retries": checks.whole,
    "file": checks.text,
    "report": checks.flag,
    "observed": checks.table,
    "sources": checks.table,
}

OBSERVED: dict[str, Check] = {
    "output": checks.text,
    "file": checks.text,
    "variable": checks.text,
    "index": checks.text,
}

_NUMBERS: dict[str, Check] = {"values": checks.table, "factors": checks.table}
_OWN: dict[str, Check] = {"kind": checks.text, "use": checks.flag}

#: Kind of a source to its keys.
SOURCES: dict[str, dict[str, Check]] = {
    "forcing": {
        "variable": checks.text,
        "factor": checks.table,
        "offset": checks.table,
        "units": checks.text,
        "time": checks.text,
        "length": checks.text,
    },
    "parameters": {**_NUMBERS, "within_bounds": checks.names},
    "initial_state": _NUMBERS,
    "fits": {"runs": checks.names},
    "posterior": {"file": checks.text},
    "coupler_weights": {"of": checks.text, "files": checks.names, "spread": checks.number},
    "residual": {"output": checks.text, "posterior": checks.text, "inject": checks.text},
}


@dataclass(frozen=True)
class EnsembleTable:
    """What the table says, checked.

    Parameters
    ----------
    table : Table
        Where it is, for errors.
    design : Design
        How members are drawn.
    sources : mapping of str to Source
        What is uncertain.
    off : tuple of str
        Sources with ``use = false``.
    outputs : tuple of str
        What is kept; decided by the case if empty.
    period : tuple of str or None
        First and last day of the forcing.
    warmup : int
        First records that are left out of scores.
    batch : int or None
        Members that run at once; decided by the simulator if None.
    observed : mapping of str to Any
        Observations of a coupled case: ``output``, ``file`` (a path), ``variable`` and ``index``.
    options : mapping of str to Any
        Arguments of :meth:`hybridwater.ensembles.Ensemble.run`.
    file : str
        Name of the file in the run directory.
    report : bool
        Whether to write a report.
    """

    table: Table
    design: Design
    sources: Mapping[str, Source]
    off: tuple[str, ...]
    outputs: tuple[str, ...]
    period: tuple[str, str] | None
    warmup: int = 0
    batch: int | None = None
    observed: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    file: str = "ensemble.nc"
    report: bool = True


def read_ensemble_table(table: Table, ude: UDE | None) -> EnsembleTable:
    """Read the table.

    Parameters
    ----------
    table : Table
        The table.
    ude : UDE or None
        The model of a fit; None in a coupled case.

    Raises
    ------
    CaseError
        If a key is unknown or missing, a value is not as it should be, or there is no such file.
    """
    values = table.check(ENSEMBLE)
    if values.get("batch", 1) < 1:
        raise CaseError(
            f"A batch of {values['batch']} members was asked for.",
            table.where("batch"),
            "Ask for 1 or more",
        )
    table.require("sources")
    said = {k: values[v] for k, v in _DESIGN.items() if v in values}
    try:
        design = Design(**said)
    except HybridwaterError as error:
        raise table.within(error) from error
    sources, off = {}, []
    for name, content in values["sources"].items():
        one = Table(table.file, f"{table.name}.sources.{name}", content)
        if not isinstance(content, dict):
            raise CaseError(f"'{name}' must be a table.", table.where("sources"))
        sources[name] = _source(one, ude)
        if not content.get("use", True):
            off.append(name)
    observed = {}
    if "observed" in values:
        inner = Table(table.file, f"{table.name}.observed", values["observed"])
        observed = inner.check(OBSERVED)
        for key in OBSERVED:
            inner.require(key)
        observed["file"] = inner.existing("file", observed["file"])
    return EnsembleTable(
        table,
        design,
        sources,
        tuple(off),
        values.get("outputs", ()),
        values.get("period"),
        values.get("warmup", 0),
        values.get("batch"),
        observed,
        {k: values[k] for k in ("workers", "failed", "retries") if k in values},
        values.get("file", "ensemble.nc"),
        values.get("report", True),
    )


_DESIGN = {"members": "members", "kind": "design", "seed": "seed", "attribution": "attribution"}


def _source(table: Table, ude: UDE | None) -> Source:
    kind = table.require("kind")
    if kind not in SOURCES:
        raise CaseError(
            f"There is no kind of source {kind!r} ({nearest(str(kind), SOURCES)}).",
            table.where("kind"),
        )
    values = table.check({**_OWN, **SOURCES[kind]})
    own = {k: v for k, v in values.items() if k not in _OWN}
    try:
        return _MAKE[kind](table, own, ude)
    except CaseError:
        raise
    except HybridwaterError as error:
        raise table.within(error) from error


def _forcing(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    table.require("variable")
    return Forcing(**own)


def _parameters(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    bounded = own.pop("within_bounds", None)
    if bounded is not None:
        if ude is None:
            raise CaseError(
                "Bounds of parameters are those of one model, and this is a coupled case.",
                table.where("within_bounds"),
                "Write values = { 'component.keyword' = { uniform = [0.1, 0.5] } }",
            )
        known = Parameters.within_bounds(ude, bounded or None).values
        own["values"] = {**known, **own.get("values", {})}
    return Parameters(**own)


def _initial_state(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    return InitialState(**own)


def _fits(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    from hybridwater.training import Surrogate

    table.require("runs")
    return Fits([Surrogate.load(table.existing("runs", run)) for run in own["runs"]])


def _posterior(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    return ParameterPosterior.load(table.existing("file", checks.text(table.require("file"))))


def _residual(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    table.require("output")
    path: Path = table.existing("posterior", checks.text(table.require("posterior")))
    return Residual(own["output"], str(path), own.get("inject"))


def _coupler_weights(table: Table, own: dict[str, Any], ude: UDE | None) -> Source:
    table.require("of")
    files = own.get("files", ())
    # others are names of weights that come with the package
    own["files"] = [
        str(table.existing("files", f)) if f.endswith(".safetensors") else f for f in files
    ]
    return CouplerWeights(**own)


_MAKE: dict[str, Callable[[Table, dict[str, Any], UDE | None], Source]] = {
    "forcing": _forcing,
    "parameters": _parameters,
    "initial_state": _initial_state,
    "fits": _fits,
    "posterior": _posterior,
    "coupler_weights": _coupler_weights,
    "residual": _residual,
}
