"""Outputs of a coupled run: chosen variables after each step of their component, as they come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.coupling.clock import Participant
from hybridwater.coupling.records import Field, Layout, Records


class Outputs(Records):
    """Records of one component.

    Parameters
    ----------
    participant : Participant
        The component.
    variables : sequence of Variable
        Outputs of it.
    origin, path
        As in `Records`.
    """

    def __init__(
        self,
        participant: Participant,
        variables: Sequence[Variable],
        origin: dt.datetime | None,
        path: Path | None,
    ) -> None:
        self.participant, self.variables = participant, list(variables)
        grids = {(v.grid, v.location) for v in variables}
        fields = [
            Field(
                v.name,
                "cell" if len(grids) == 1 else f"{v.location}_{v.grid}",
                participant.blank(v).size,
                v.dtype,
                _attributes(v),
            )
            for v in variables
        ]
        title = f"outputs of the component '{participant.name}' in a coupled run"
        super().__init__(Layout(fields, origin, title, "step"), path)

    def record(self) -> None:
        """Take up the values after a step."""
        p = self.participant
        self.append(p.time - p.length, p.time, np.concatenate([p.read(v) for v in self.variables]))


def _attributes(variable: Variable) -> dict[str, str]:
    found = {
        "units": variable.units,
        "long_name": variable.description,
        "cell_methods": "time: mean" if variable.kind == "rate" else "time: point",
    }
    if variable.standard_name:
        found["standard_name"] = variable.standard_name
    return found
