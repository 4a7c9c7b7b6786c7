"""The contract of a component: BMI 2.0, and the four things that it lacks.

A component is a model that owns cells and time: it is initialized, stepped and asked for values
through the CSDMS Basic Model Interface, unmodified (Hutton, Piper and Tucker, 2020,
doi:10.21105/joss.02317). Coupling needs more: a state that can be taken and put back, the water in
store, the water that crossed the boundary, and a mesh.
"""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from bmipy import Bmi

from hybridwater.errors import ComponentError

Intent = Literal["in", "out", "inout"]
Kind = Literal["rate", "state"]
Location = Literal["node", "edge", "face", "none"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of a component: a line of its declaration table.

    Parameters
    ----------
    name : str
        Unique in the component; the CF standard name where there is one and it is not ambiguous.
    units : str
        UDUNITS, for example ``"kg m-2 d-1"``.
    intent : {"in", "out", "inout"}
        Whether the component reads it, sets it, or both.
    kind : {"rate", "state"}
        A rate is the mean over a step: over the next one if it goes in, over the last one if it
        comes out. A state holds at the current time.
    description : str
        What it is, in one line.
    location : {"node", "edge", "face", "none"}
        Part of the grid that it lies on.
    grid : int
        Identifier of the grid.
    dtype : str
        NumPy type.
    standard_name : str, optional
        CF standard name, if it has one; several variables may share it.
    typical : float
        A plausible value, which the checker feeds to an input that nobody sets.
    default : float, optional
        Value of an input until someone sets it; without, a step is refused until then.
    """

    name: str
    units: str
    intent: Intent
    kind: Kind
    description: str
    location: Location = "node"
    grid: int = 0
    dtype: str = "float64"
    standard_name: str | None = None
    typical: float = 0.0
    default: float | None = None

    @property
    def is_input(self) -> bool:
        """Whether the component reads it."""
        return self.intent != "out"

    @property
    def is_output(self) -> bool:
        """Whether the component sets it."""
        return self.intent != "in"


@dataclass(frozen=True, slots=True)
class State:
    """All that a component needs to go on from where it was.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        Copies, not views; any shapes.
    metadata : mapping of str to str, int or float
        ``component`` and ``configuration`` say whose state it is.
    """

    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, str | int | float] = field(default_factory=dict)


class Component(Bmi):
    """A BMI 2.0 model with state, storage, boundary fluxes and mesh.

    Cells lie along the first axis of every array. Sizes, units and meaning of the values are those
    of the declaration table, ``variables``.
    """

    variables: tuple[Variable, ...] = ()

    #: Whether `get_state` and `set_state` work: without, coupling can only be explicit.
    has_state: bool = True
    #: Whether `storage` and `boundary_fluxes` work: without, the ledger books only its edges.
    has_storage: bool = True
    #: Whether `stacked` works.
    can_stack: bool = False
    #: Whether `update` itself refuses outputs that are not finite, so that nobody else has to look.
    checks_outputs: bool = False
    #: Name of the engine that solves it, once it is initialized; None for one that needs none.
    engine: str | None = None

    @property
    def origin(self) -> dt.datetime | None:
        """Date of time zero, or None for a component that knows no calendar."""
        return None

    @abstractmethod
    def get_state(self) -> State:
        """Return a copy of the state.

        Raises
        ------
        ComponentError
            If the component cannot be stopped and put back; see `has_state`.
        """

    @abstractmethod
    def set_state(self, state: State) -> None:
        """Go back, or over, to a state; the time goes with it.

        Raises
        ------
        ComponentError
            If it is the state of another component or another configuration.
        """

    @abstractmethod
    def storage(self) -> dict[str, np.ndarray]:
        """Return the water in each store [kg], of shape (cell,), or () in total."""

    @abstractmethod
    def boundary_fluxes(self) -> dict[str, np.ndarray]:
        """Return the water that crossed the boundary in the last step [kg], positive inwards.

        The keys are names of declared rates; shapes are (cell,), or () in total. Their sum is the
        change of the sum of `storage`. Empty before the first step.
        """

    @classmethod
    def stacked(cls, parts: Sequence[Self]) -> Self:
        """Make one component of several, the cells of one after those of the other.

        Its mesh is that of one part, so it is of use where parts are runs of the same cells, which
        step together.

        Parameters
        ----------
        parts : sequence of Component
            Initialized; they are not changed.

        Returns
        -------
        Component
            Not initialized.

        Raises
        ------
        ComponentError
            If the component cannot do so, see `can_stack`, or parts differ in more than parameters,
            inputs and records.
        """
        raise ComponentError(f"The component '{cls.__name__}' cannot hold several runs.")

    @property
    def fallbacks(self) -> tuple[int, int] | None:
        """How often a learned exchange fell back in a cell, and cells times steps; None without."""
        return None

    def mesh(self, grid: int) -> Any | None:
        """Return the mesh of a grid, its cells in the order of the values, or None."""
        return None

    def variable(self, name: str) -> Variable:
        """Return the declaration of a variable.

        Raises
        ------
        ComponentError
            If there is none of that name.
        """
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise unknown_variable(self.get_component_name(), name, [v.name for v in self.variables])


def unknown_variable(component: str, name: str, known: list[str]) -> ComponentError:
    """Make the error of a variable that a component does not have."""
    from hybridwater.errors import nearest

    return ComponentError(
        f"The component '{component}' has no variable '{name}' ({nearest(name, known)})."
    )
