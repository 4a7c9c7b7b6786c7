"""The Engine contract: what every engine takes and gives, in flat arrays.

Axes are ``(batch, time, variable)``, float64, C-contiguous; the batch is any mixture of basins,
cells, members, windows or restarts. An engine decides nothing about losses or optimisers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from hybridwater.errors import DeclarationError, SolveFailed, nearest
from hybridwater.ude.model import UDE

#: Record-wise methods with a fixed number of substeps per record.
FIXED_STEP = ("euler", "heun", "rk4", "rosenbrock1", "rosenbrock2")
#: Methods of each engine. Those that are not record-wise choose their own steps in each record.
METHODS = {
    "embedded": (
        *FIXED_STEP,
        *("heun_adaptive", "bosh3", "tsit5", "dopri5", "kvaerno3", "kvaerno5"),
    ),
    "julia": (
        *("euler", "heun", "rk4"),
        *("tsit5", "rosenbrock23", "rodas5p", "trbdf2", "kencarp4", "fbdf", "auto"),
    ),
}
#: Implicit methods, for stiff models; of each engine first those to try where another gave up.
STIFF = {
    "embedded": ("kvaerno5", "rosenbrock2", "kvaerno3", "rosenbrock1"),
    "julia": ("rodas5p", "fbdf", "rosenbrock23", "trbdf2", "kencarp4", "auto"),
}
INTERPOLATIONS = ("constant", "linear", "pchip")
#: Thresholds that may be crossed one after the other in a substep or record of an adaptive method.
MAX_CROSSINGS = 3
#: Ways to the gradient; those behind "discrete" are of the Julia engine's adaptive methods.
GRADIENTS = ("auto", "discrete", "forward", "gauss", "interpolating", "zygote", "reversediff")


@dataclass(frozen=True)
class Options:
    """How to solve.

    Parameters
    ----------
    method : str
        Record-wise: ``euler``, ``heun``, ``rk4`` (explicit), ``rosenbrock1`` (linearly implicit
        Euler), ``rosenbrock2`` (Verwer et al. 1999, L-stable, second order). Adaptive and explicit:
        ``bosh3``, ``tsit5``, ``dopri5``, ``heun_adaptive``; adaptive and implicit: ``kvaerno3``,
        ``kvaerno5`` (embedded engine), ``rosenbrock23``, ``rodas5p``, ``trbdf2``, ``kencarp4``,
        ``fbdf`` (Julia). ``auto`` (Julia): ``tsit5``, and ``rodas5p`` while the model is stiff.
        :data:`METHODS` says which engine has which.
    substeps : int
        Steps per forcing record of a record-wise method.
    rtol, atol : float
        Tolerances of an adaptive method.
    max_steps : int
        Steps that an adaptive method may take per forcing record.
    interpolation : {"constant", "linear", "pchip"}
        Forcing inside a record: its own value all through (a mean over the record), or a curve
        through the values, each taken to hold at the start of its record.
    output : {"mean", "instantaneous"}
        Fluxes as means over each record, or as values at its start. States are those at the end
        of each record, or at its start if instantaneous.
    fluxes : tuple of str, optional
        Fluxes (networks and forcings included) to return; all fluxes and networks if ``None``.
    thresholds : {"passed", "located"}
        Whether a step may pass a threshold (of ``min``, ``max``, ``abs`` or ``where``) that a state
        crosses, or ends on it: snow exhausted, a reservoir full. The latter costs more; states,
        and gradients above all, no longer depend on where steps happen to end.
    precision : {"float64", "float32"}
        Arithmetic of the embedded engine; results are always float64 arrays.
    gradient : str
        How gradients are found. ``discrete``: the exact derivative of the steps that were taken;
        what ``auto`` takes wherever the method has it. The others differentiate the exact solution
        by solving each record again (Julia, adaptive methods): ``forward`` with dual numbers, what
        ``auto`` takes for methods without a discrete adjoint if there are at most 24 parameters,
        weights and states; ``gauss`` and ``interpolating`` by adjoint equations of
        SciMLSensitivity, with ``gauss`` what ``auto`` takes for more; ``zygote`` and
        ``reversediff`` as ``gauss``, but with these packages to differentiate the equations.
    """

    method: str = "rk4"
    substeps: int = 2
    rtol: float = 1e-6
    atol: float = 1e-6
    max_steps: int = 1000
    interpolation: Literal["constant", "linear", "pchip"] = "constant"
    output: Literal["mean", "instantaneous"] = "mean"
    fluxes: tuple[str, ...] | None = None
    thresholds: Literal["passed", "located"] = "passed"
    precision: Literal["float64", "float32"] = "float64"
    gradient: Literal[
        "auto", "discrete", "forward", "gauss", "interpolating", "zygote", "reversediff"
    ] = "auto"

    def __post_init__(self) -> None:
        choices = {
            "method": tuple(dict.fromkeys(itertools.chain(*METHODS.values()))),
            "interpolation": INTERPOLATIONS,
            "output": ("mean", "instantaneous"),
            "thresholds": ("passed", "located"),
            "precision": ("float64", "float32"),
            "gradient": GRADIENTS,
        }
        for key, known in choices.items():
            value = getattr(self, key)
            if value not in known:
                raise DeclarationError(
                    f"The solver option {key}={value!r} is not known "
                    f"({nearest(str(value), known)})."
                )
        for key in ("substeps", "max_steps"):
            if not isinstance(getattr(self, key), int) or getattr(self, key) < 1:
                raise DeclarationError(f"The solver option {key} must be a positive whole number.")
        for key in ("rtol", "atol"):
            if not 0 < getattr(self, key) < 1:
                raise DeclarationError(f"The solver option {key} must lie between 0 and 1.")

    def resolve_fluxes(self, ude: UDE) -> tuple[str, ...]:
        """Return the names of the fluxes to return, checked against the model."""
        if self.fluxes is None:
            return ude.order
        known = (*ude.order, *(f.name for f in ude.forcings))
        for name in self.fluxes:
            if name not in known:
                raise DeclarationError(
                    f"The model '{ude.name}' has no flux '{name}' ({nearest(name, known)})."
                )
        return tuple(self.fluxes)

    @property
    def unsolved(self) -> str:
        """What a solver says of an entry that it could not bring to its end."""
        if self.method in FIXED_STEP:
            why = f"with {self.substeps} substep(s) gave a value that is not finite"
            piece = "substep"
        else:
            why = (
                f"did not reach the end of a forcing record within {self.max_steps} steps, or met "
                "a value that is not finite"
            )
            piece = "record"
        if self.thresholds == "located":
            why += f", or crossed thresholds more than {MAX_CROSSINGS} times in a {piece}"
        return f"The method '{self.method}' {why}."


def shortcoming(engine: str, options: Options) -> str:
    """Say what an engine lacks to solve with these options; empty if nothing."""
    if options.method not in METHODS[engine]:
        return f"the {engine} engine has no method '{options.method}'"
    if engine == "julia" and options.precision != "float64":
        return f"the julia engine does not compute in {options.precision}"
    if options.gradient not in ("auto", "discrete"):
        if engine == "embedded":
            return f"the embedded engine has no gradient '{options.gradient}'"
        if options.method in FIXED_STEP:
            return f"the gradient '{options.gradient}' is one of adaptive methods"
    return ""


def check_options(engine: str, options: Options) -> None:
    """Raise :class:`DeclarationError` if an engine cannot solve with these options."""
    lacks = shortcoming(engine, options)
    if lacks:
        able = [name for name in METHODS if not shortcoming(name, options)]
        other = f", or engine='{able[0]}'" if able else ""
        raise DeclarationError(
            f"{lacks[0].upper()}{lacks[1:]}.",
            fix=f"Use float64, one of {', '.join(METHODS[engine])}, and no gradient='...'{other}",
        )


def advice(engine: str, options: Options) -> str:
    """Say what to try where an engine did not reach the end with these options."""
    method, stiff = options.method, STIFF[engine]
    others = [f"'{name}'" for name in stiff[:3] if name != method][:2]
    more = "substeps" if method in FIXED_STEP else "max_steps"
    return (
        f"Try {'another' if method in stiff else 'a'} stiff solver (method={' or '.join(others)}), "
        f"more {more}, or look for parameters and forcing outside their plausible range"
    )


def locates(ude: UDE, options: Options) -> bool:
    """Say whether a solver finds where thresholds are crossed, or where events happen.

    Raises
    ------
    DeclarationError
        If the model has columns, in which it cannot.
    """
    located = options.thresholds == "located" or bool(ude.events)
    if located and ude.columns:
        raise DeclarationError(
            "Thresholds are not located in the cells of a column.",
            f"model '{ude.name}'",
            "Solve with thresholds='passed'",
        )
    return located


@dataclass(frozen=True)
class Failure:
    """Why one batch entry could not be solved to its end.

    Parameters
    ----------
    batch, record : int
        Which batch entry; the first forcing record without a finite state.
    state : numpy.ndarray
        State at the start of that record, shape (n_states,).
    reason : str
        One sentence.
    advice : str
        What to try.
    """

    batch: int
    record: int
    state: np.ndarray
    reason: str
    advice: str


@dataclass(frozen=True)
class Solution:
    """States and fluxes of a solve.

    Parameters
    ----------
    states : numpy.ndarray
        Shape (batch, time, n_states); see ``Options.output`` for when in a record.
    fluxes : numpy.ndarray
        Shape (batch, time, n_fluxes), in the order of ``flux_names``; those on columns have as many
        values as there are cells or faces, side by side.
    final_state : numpy.ndarray
        Shape (batch, n_states), at the end of the last record.
    failures : tuple of Failure
        Empty when everything was solved. A failed entry holds NaN from its failed record on.
    flux_sizes : tuple of int
        How many values each flux has; empty if each is one number.
    statistics : mapping of str to numpy.ndarray
        What an adaptive method did for each batch entry: ``steps``, ``rejected`` ones, and
        ``evaluations``, ``jacobians``, ``factorizations``; empty where they are not counted.
    """

    states: np.ndarray
    fluxes: np.ndarray
    final_state: np.ndarray
    flux_names: tuple[str, ...]
    failures: tuple[Failure, ...] = ()
    flux_sizes: tuple[int, ...] = ()
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)

    def flux(self, name: str) -> np.ndarray:
        """Return one flux, shape (batch, time), or (batch, time, values) on a column."""
        k = self.flux_names.index(name)
        sizes = self.flux_sizes or (1,) * len(self.flux_names)
        values = self.fluxes[:, :, sum(sizes[:k]) : sum(sizes[: k + 1])]
        return values if sizes[k] > 1 else values[:, :, 0]

    def raise_if_failed(
        self, state_names: Sequence[str], describe: Callable[[int, int], str]
    ) -> None:
        """Raise :class:`SolveFailed` for the first failure.

        Parameters
        ----------
        state_names : sequence of str
            Name of each state value; the cells of a column share theirs.
        describe : callable
            Turns (batch, record) into words such as a basin and a date.
        """
        if not self.failures:
            return
        failure = self.failures[0]
        state = _in_words(state_names, failure.state)
        others = len(self.failures) - 1
        raise SolveFailed(
            failure.reason + (f" ({others} other entries failed too.)" if others else ""),
            f"{describe(failure.batch, failure.record)}, state before it: {state}",
            failure.advice,
        )


def _in_words(names: Sequence[str], state: np.ndarray) -> str:
    """Say what each state is, of a column the lowest and the highest value."""
    values: dict[str, list[float]] = {}
    for name, value in zip(names, state, strict=True):
        values.setdefault(name, []).append(value)
    return ", ".join(
        f"{name} = {min(v):.6g}" + (f" to {max(v):.6g}" if len(v) > 1 else "")
        for name, v in values.items()
    )


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a scalar with respect to the inputs of a solve.

    Shapes are those of the inputs; ``forcing`` is ``None`` unless it was asked for.
    """

    parameters: np.ndarray
    weights: np.ndarray
    initial_state: np.ndarray
    forcing: np.ndarray | None = field(default=None)


Pullback = Callable[[np.ndarray, np.ndarray | None], Gradients]
#: From the cotangent of rates to those of parameters, weights and forcing.
Pull = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


class Solver(Protocol):
    """A model compiled by an engine."""

    ude: UDE
    options: Options
    flux_names: tuple[str, ...]

    def solve(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        initial_state: np.ndarray,
        step: float = 1.0,
    ) -> Solution:
        """Solve.

        Parameters
        ----------
        parameters : numpy.ndarray
            Shape (batch, n_parameters), in the order of ``ude.program.parameters``, physical units.
        weights : numpy.ndarray
            Shape (n_weights,), shared by the batch, or (batch, n_weights).
        forcing : numpy.ndarray
            Shape (batch, time, n_forcings), in the units of the declaration.
        initial_state : numpy.ndarray
            Shape (batch, n_states).
        step : float
            Length of a record in the time unit of the model.

        Raises
        ------
        DeclarationError
            If an array has another shape; so in all methods.
        """
        ...

    def solve_with_pullback(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        initial_state: np.ndarray,
        step: float = 1.0,
        *,
        forcing_gradient: bool = False,
    ) -> tuple[Solution, Pullback]:
        """Solve, and return a function from cotangents to gradients.

        The pullback takes cotangents of ``fluxes`` (batch, time, n_fluxes) and of ``states``
        (batch, time, n_states) or ``None``, and returns :class:`Gradients`.
        """
        ...

    def linearize(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        states: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, Pull]:
        """Evaluate the derivatives of the states and their slopes, without solving.

        Parameters
        ----------
        parameters, weights : numpy.ndarray
            As in :meth:`solve`.
        forcing, states : numpy.ndarray
            Shapes (batch, n_forcings) and (batch, n_states).

        Returns
        -------
        rates : numpy.ndarray
            Shape (batch, n_states).
        slopes : numpy.ndarray
            Those of rates (rows) with respect to states, shape (batch, n_states, n_states).
        pullback : callable
            From the cotangent of ``rates`` to those of ``parameters``, ``weights`` and
            ``forcing``.
        """
        ...

    def evaluate(
        self,
        parameters: np.ndarray,
        weights: np.ndarray,
        forcing: np.ndarray,
        states: np.ndarray,
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
        """Evaluate the fluxes at given states, without solving.

        Parameters
        ----------
        parameters, weights, forcing : numpy.ndarray
            As in :meth:`solve`.
        states : numpy.ndarray
            Shape (batch, time, n_states).

        Returns
        -------
        fluxes : numpy.ndarray
            Shape (batch, time, n_fluxes).
        pullback : callable
            From the cotangent of ``fluxes`` to those of ``parameters`` and ``weights``.
        """
        ...


class Engine(Protocol):
    """Compiles models."""

    name: str
    methods: tuple[str, ...]

    def compile(self, ude: UDE, options: Options) -> Solver:
        """Compile a model; compiled models are kept for the life of the process."""
        ...
