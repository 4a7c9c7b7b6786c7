"""Running a model on a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import hybridwater
from hybridwater.engines.base import Options, Solution
from hybridwater.engines.records import (
    Records,
    initial_states,
    parameter_values,
    program_values,
    read_records,
    to_dataset,
)
from hybridwater.engines.registry import get_engine
from hybridwater.engines.steady import steady_state
from hybridwater.errors import DataError, DeclarationError, WeightsError, nearest
from hybridwater.ude.model import UDE
from hybridwater.ude.program import initial_weights

if TYPE_CHECKING:
    import xarray as xr


def read_options(given: Mapping[str, Any]) -> Options:
    """Make solver options from keywords.

    Raises
    ------
    DeclarationError
        If an option is unknown or has a value that it may not have.
    """
    known = [f.name for f in dataclasses.fields(Options)]
    for name in given:
        if name not in known:
            raise DeclarationError(f"There is no solver option '{name}' ({nearest(name, known)}).")
    fluxes = given.get("fluxes")
    return Options(**{**given, "fluxes": None if fluxes is None else tuple(fluxes)})


def simulate(
    ude: UDE,
    forcing: xr.Dataset,
    parameters: Mapping[str, Any] | xr.Dataset | None = None,
    weights: np.ndarray | None = None,
    *,
    initial_state: np.ndarray | Literal["steady"] | None = None,
    engine: str | None = None,
    seed: int = 0,
    **options: Any,
) -> xr.Dataset:
    """Simulate a model over all records of a forcing dataset.

    Parameters
    ----------
    ude : UDE
        The model.
    forcing : xarray.Dataset
        Variables named as the model's forcings, with units; dims (time), (basin, time) or (member,
        basin, time). The batch is the basins, or each member in all basins, member by member.
    parameters : mapping or xarray.Dataset, optional
        Name to number or data array over ``basin``, ``member`` or both; defaults where left out.
    weights : numpy.ndarray, optional
        Shape (n_weights,) or (batch, n_weights); untrained ones drawn with ``seed`` if left out.
    initial_state : numpy.ndarray or "steady", optional
        Shape (batch, n_states); the declared initial values if left out. ``"steady"``: the
        equilibrium under the mean of the forcing, see `hybridwater.engines.steady_state`.
    engine : str, optional
        Name of the engine; the one in the settings if left out.
    seed : int
        Seed of untrained weights.
    **options
        Fields of :class:`hybridwater.engines.Options`: ``method``, ``output``, ... All fluxes are
        returned unless ``fluxes`` says otherwise, and the forcings that cross the boundary.

    Returns
    -------
    xarray.Dataset
        States and fluxes, dims (basin, time) or (member, basin, time).

    Raises
    ------
    DataError, UnitError
        If the forcing or the initial state cannot be used as they are.
    DeclarationError
        If a parameter is unknown or out of its bounds, or an option is unknown.
    WeightsError
        If the weights are not those of this model.
    SolveFailed
        If the solver could not reach the end.
    """
    result, solution, records = solve_records(
        ude, forcing, parameters, weights, initial_state, engine, seed, options
    )
    solution.raise_if_failed(ude.program.value_names, records.describe)
    return result


def solve_records(
    ude: UDE,
    forcing: xr.Dataset,
    parameters: Mapping[str, Any] | xr.Dataset | None,
    weights: np.ndarray | None,
    initial_state: np.ndarray | Literal["steady"] | None,
    engine: str | None,
    seed: int,
    options: Mapping[str, Any],
) -> tuple[xr.Dataset, Solution, Records]:
    """Do as `simulate`, but return what failed in place of raising it.

    Returns
    -------
    xarray.Dataset
        As of `simulate`; NaN from where an entry failed.
    Solution
        With the failures.
    Records
        The batch, for words.
    """
    if options.get("fluxes") is None:
        forced = [f.name for f in ude.forcings if f.name in ude.boundary]
        options = {**options, "fluxes": (*ude.order, *forced)}
    solved = read_options(options)
    records = read_records(ude, forcing, members=True)
    batch = len(records.values)
    count = None if records.members is None else len(records.members)
    values = parameter_values(ude, parameters, records.basins, count)
    flat = program_values(ude, values, batch)
    weights = initial_weights(ude.program, seed) if weights is None else np.asarray(weights, float)
    if weights.shape not in {(ude.program.n_weights,), (batch, ude.program.n_weights)}:
        raise WeightsError(
            f"The weights have the shape {weights.shape}, but the model '{ude.name}' has "
            f"{ude.program.n_weights} weights.",
            fix="Use the weights of this model, or fit it again",
        )
    chosen = get_engine(engine, solved)
    solver = chosen.compile(ude, solved)
    begin = initial_states(ude, values, batch)
    if isinstance(initial_state, str):
        if initial_state != "steady":
            raise DataError(
                f"The initial state '{initial_state}' is not known.",
                "initial_state",
                "Give an array, 'steady', or nothing for the declared initial values",
            )
        begin = steady_state(solver, flat, weights, records, begin)
    elif initial_state is not None:
        begin = np.asarray(initial_state, float)
    if begin.shape != (batch, ude.program.n_states):
        raise DataError(
            f"The initial state has the shape {begin.shape}, not {(batch, ude.program.n_states)}.",
            "initial_state",
            f"Give one row per batch entry, in the order {', '.join(s.name for s in ude.states)}"
            + (", the cells of a column side by side" if ude.columns else ""),
        )
    solution = solver.solve(flat, weights, records.values, begin, records.step)
    attributes = {
        "model": ude.name,
        "model_fingerprint": ude.fingerprint,
        "engine": chosen.name,
        "method": solved.method,
        "source": f"hybridwater {hybridwater.__version__}",
    }
    if solution.statistics:
        counts = [f"{values.sum()} {name}" for name, values in solution.statistics.items()]
        attributes["solver_statistics"] = ", ".join(counts)
    return to_dataset(ude, solved, solution, records, attributes), solution, records
