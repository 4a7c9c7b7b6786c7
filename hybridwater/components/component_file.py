"""What a run directory says about the component that its model replaces: ``component.json``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybridwater.components.base import Variable
from hybridwater.errors import WeightsError
from hybridwater.files import write_files

FILE = "component.json"


@dataclass(frozen=True, eq=False)
class Description:
    """Ports and cells of a surrogate.

    Parameters
    ----------
    replaces : str
        Name of the component that it replaces, empty for none.
    variables : tuple of Variable
        Ports of that component.
    ports : mapping of str to str or float
        Port to term of the model.
    area : numpy.ndarray, optional
        Area of each cell [m2], shape (cell,).
    step : float
        Time step [d].
    initial : mapping of str to numpy.ndarray
        Initial value of each state, in the units of the model, each of shape (cell,).
    """

    replaces: str = ""
    variables: tuple[Variable, ...] = ()
    ports: Mapping[str, str | float] = field(default_factory=dict)
    area: np.ndarray | None = None
    step: float = 1.0
    initial: Mapping[str, np.ndarray] = field(default_factory=dict)


def write_description(directory: str | Path, description: Description) -> Path:
    """Write ``component.json`` into a run directory, and return its path."""
    area = description.area
    document = {
        "replaces": description.replaces,
        "variables": [dataclasses.asdict(v) for v in description.variables],
        "ports": dict(description.ports),
        "area": None if area is None else area.tolist(),
        "step": description.step,
        "initial": {name: np.asarray(v).tolist() for name, v in description.initial.items()},
    }
    path = Path(directory) / FILE
    write_files({path: json.dumps(document, indent=1).encode()}, error=WeightsError)
    return path


def read_description(directory: str | Path) -> Description:
    """Read ``component.json`` of a run directory; an empty description if there is none.

    Raises
    ------
    WeightsError
        If the file is damaged.
    """
    path = Path(directory) / FILE
    if not path.is_file():
        return Description()
    try:
        document = json.loads(path.read_text())
        area = document["area"]
        return Description(
            replaces=document["replaces"],
            variables=tuple(Variable(**v) for v in document["variables"]),
            ports=document["ports"],
            area=None if area is None else np.array(area, float),
            step=float(document["step"]),
            initial={n: np.array(v, float) for n, v in document["initial"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"The ports of the surrogate cannot be read ({type(error).__name__}: {error}).",
            str(path),
            "Emulate again, or copy the whole run directory again",
        ) from error
