"""A case file of proposed exchanges, to be edited."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hybridwater.components import Component, get_component
from hybridwater.components.registry import importable
from hybridwater.coupling.proposals import Candidate, Proposal, propose
from hybridwater.errors import CaseError, ComponentError
from hybridwater.files import write_bytes

_NAME = re.compile(r"[A-Za-z0-9_-]+")

_HEAD = """\
# Proposed by 'hybridwater couple' from names, units and cells. Look at every exchange: two
# variables can measure the same thing and still not belong together. What needs a decision is a
# comment.

[run]
name = "coupled"
end = "30 d"
# start = 2000-01-01
"""


def write_proposal(kinds: Sequence[str], path: str | Path | None = None) -> str:
    """Propose the exchanges between components, as the text of a case file.

    Parameters
    ----------
    kinds : sequence of str
        Names of components, or ``"module:Class"``, each perhaps after a name of its own and a
        ``=``. Modules in the folder of the file, or else in this folder, count.
    path : path-like, optional
        File to write; none if left out.

    Returns
    -------
    str
        The text.

    Raises
    ------
    CaseError
        If there are fewer than two components, a name is not plain, or the file is there already.
    ComponentError, MissingDependency
        If there is no such component, or it cannot be made without arguments.
    """
    if path is not None and Path(path).exists():
        raise CaseError("There is a file already.", str(path), "Name another one with --out")
    named = _named(kinds)
    with importable(Path.cwd() if path is None else Path(path).absolute().parent):
        made = {name: get_component(kind) for name, kind in named.items()}
    components = {}
    for name, kind in named.items():
        try:
            components[name] = made[name]()
            components[name].initialize("")
        except (TypeError, ComponentError) as error:
            why = error.what if isinstance(error, ComponentError) else error
            raise ComponentError(
                f"The component '{kind}' cannot be made without arguments ({why}).",
                f"component '{name}'",
                "Write its table into the case file, and its exchanges by hand",
            ) from error
    text = "\n".join(_text(named, components, propose(components)))
    if path is not None:
        write_bytes(path, text.encode())
    return text


def _named(kinds: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for entry in kinds:
        name, equals, kind = entry.partition("=")
        if not equals:
            kind = entry
            plain = re.sub(r"[^a-z0-9_-]+", "-", entry.rpartition(":")[2].casefold())
            same = sum(k.partition("-#")[0] == plain for k in named)
            name = plain if not same else f"{plain}-{same + 1}"
        if not _NAME.fullmatch(name) or name in named:
            raise CaseError(
                f"'{name}' is no name for a component here.",
                f"'{entry}'",
                "Give each a name of its own, of letters, digits, '-' and '_': hill=gr4j",
            )
        named[name] = kind
    if len(named) < 2:
        raise CaseError(
            "Exchanges need two components or more.",
            fix="Name them: hybridwater couple prms-land prms-groundwater",
        )
    return named


def _text(
    named: Mapping[str, str], components: Mapping[str, Component], proposals: Sequence[Proposal]
) -> Iterator[str]:
    yield _HEAD
    for name, kind in named.items():
        yield f"[components.{name}]"
        yield f"kind = {json.dumps(kind)}"
        yield ""
    for proposal in proposals:
        if proposal.certain:
            yield from _exchange(proposal.candidates[0], "")
            for other in proposal.candidates[1:]:
                yield f"# or {other.source}: {'; '.join(other.reasons)}"
            yield ""
    open_ones = [p for p in proposals if not p.certain and p.candidates]
    if open_ones:
        yield "# --- To be decided\n"
    for proposal in open_ones:
        for candidate in proposal.candidates:
            yield from _exchange(candidate, "# ")
        yield ""
    missing = [p.target for p in proposals if not p.candidates]
    if missing:
        yield "# --- Without a source: add [forcing.NAME] and an exchange, or another component"
    for target in missing:
        variable = target.variable
        rest = f"; {variable.default:g} if nobody sets it" if variable.default is not None else ""
        yield f"# {target} [{variable.units}]: {variable.description}{rest}"
    yield ""
    yield "[output]"
    yield 'directory = "run"'
    states = {
        name: [v.name for v in c.variables if v.is_output and v.kind == "state"][:2]
        for name, c in components.items()
    }
    listed = ", ".join(f"{name} = {json.dumps(found)}" for name, found in states.items() if found)
    if listed:
        yield f"variables = {{ {listed} }}"
    yield ""


def _exchange(candidate: Candidate, mark: str) -> Iterator[str]:
    yield f"# {'; '.join(candidate.reasons)}"
    yield f"{mark}[[exchange]]"
    yield f"{mark}source = {json.dumps(str(candidate.source))}"
    yield f"{mark}target = {json.dumps(str(candidate.target))}"
    if candidate.remap is None:
        yield f"{mark}remap = [0]          # index of the target cell of each source cell, -1: none"
    elif candidate.remap != "identity":
        yield f"{mark}remap = {json.dumps(candidate.remap)}"
