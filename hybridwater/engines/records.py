"""From datasets to the flat arrays of the engines, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.data.checks import check_records
from hybridwater.engines.base import Options, Solution
from hybridwater.errors import DataError, DeclarationError, nearest
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Parameter

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class Records:
    """Forcing as flat arrays.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (batch, time, n_forcings), in the units of the model; the batch is the basins, or
        members times basins, one member after the other.
    time : pandas.DatetimeIndex
        Start of each record.
    basins : tuple of str
        Names of the basins.
    step : float
        Length of a record in the time unit of the model.
    members : tuple of int, optional
        Numbers of the members, if there are any.
    """

    values: np.ndarray
    time: pd.DatetimeIndex
    basins: tuple[str, ...]
    step: float
    members: tuple[int, ...] | None = None

    def entry(self, batch: int) -> str:
        """Say which member and basin in words."""
        row, column = divmod(batch, len(self.basins))
        member = "" if self.members is None else f"member {self.members[row]}, "
        return f"{member}basin '{self.basins[column]}'"

    def describe(self, batch: int, record: int) -> str:
        """Say which member, basin and record in words."""
        return f"{self.entry(batch)}, record {self.time[record]:%Y-%m-%d %H:%M}"


def read_records(ude: UDE, dataset: xr.Dataset, *, members: bool = False) -> Records:
    """Check forcing and bring it to the layout and units of a model.

    Parameters
    ----------
    ude : UDE
        The model that will be solved.
    dataset : xarray.Dataset
        Variables named as the model's forcings, with units, dimensions (time), (basin, time) or
        (member, basin, time).
    members : bool
        Whether there may be members.

    Returns
    -------
    Records

    Raises
    ------
    DataError, UnitError
        See :func:`hybridwater.data.check_records`.
    """
    checked = check_records(dataset, {f.name: f.unit for f in ude.forcings})
    if "basin" in checked.dims:
        basins = tuple(map(str, checked["basin"].values))
    else:
        basins = (str(checked["basin"].item()) if "basin" in checked.coords else "basin",)
    time = checked.indexes["time"]
    numbers = tuple(map(int, checked["member"].values)) if "member" in checked.dims else None
    if numbers is not None and not members:
        raise DataError(
            "The forcing has a member dimension, but this takes one forcing.",
            fix="Select a member: data.sel(member=0); hybridwater.simulate takes them all",
        )
    shape = (1 if numbers is None else len(numbers), len(basins), len(time))
    columns = [_filled(checked[f.name], shape) for f in ude.forcings]
    values = np.stack(columns, axis=-1) if columns else np.zeros((*shape, 0))
    values = values.reshape(shape[0] * shape[1], *values.shape[2:])
    seconds = (time[1] - time[0]).total_seconds()
    step = float(units.convert(seconds, "s", ude.time_unit, what="record length"))
    return Records(np.ascontiguousarray(values, dtype=float), time, basins, step, numbers)


def _filled(data: xr.DataArray, shape: tuple[int, int, int]) -> np.ndarray:
    """Repeat values over the members and basins that they do not have, (member, basin, time)."""
    axes = [slice(None) if d in data.dims else np.newaxis for d in ("member", "basin", "time")]
    return np.broadcast_to(data.values[tuple(axes)], shape)


def parameter_values(
    ude: UDE,
    given: Mapping[str, Any] | xr.Dataset | None,
    basins: tuple[str, ...],
    members: int | None = None,
) -> dict[str, np.ndarray]:
    """Complete parameter values with defaults and check them.

    Parameters
    ----------
    ude : UDE
        The model.
    given : mapping or xarray.Dataset, optional
        Name to number, array (basin,), or data array over ``member`` and ``basin`` or one of them.
    basins : tuple of str
        Names of the basins.
    members : int, optional
        Number of members, if there are any: the batch is then each of them in all basins.

    Returns
    -------
    dict of str to numpy.ndarray
        All parameters of the model, each of shape (batch,).

    Raises
    ------
    DeclarationError
        If a name is not a parameter or a value is not finite or out of its bounds.
    """
    known = {p.name: p for p in ude.parameters}
    batch = len(basins) * (members or 1)
    values = {n: np.full(batch, p.default) for n, p in known.items()}
    entries = {} if given is None else {str(k): v for k, v in given.items()}
    for name, value in entries.items():
        if name not in known:
            raise DeclarationError(
                f"The model '{ude.name}' has no parameter '{name}' ({nearest(name, known)})."
            )
        array = _per_basin(value, known[name], basins, members)
        low, high = known[name].bounds
        bad = ~((array >= low) & (array <= high))
        if bad.any():
            first = int(np.argmax(bad))
            raise DeclarationError(
                f"The parameter '{name}' is {array[first]:g}, outside ({low:g}, {high:g}).",
                f"basin '{basins[first % len(basins)]}'",
                "Correct the value, or declare wider bounds",
            )
        values[name] = array
    return values


def _per_basin(
    value: Any, parameter: Parameter, basins: tuple[str, ...], members: int | None
) -> np.ndarray:
    """Bring a number, array or data array to shape (batch,), converted if it has units."""
    shape = (len(basins),) if members is None else (members, len(basins))
    try:
        if hasattr(value, "dims"):
            if "basin" in value.dims:
                value = value.sel(basin=list(basins))
            if "units" in value.attrs:
                value = units.to_units(value, parameter.unit)
            if "member" in value.dims:
                value = value.transpose("member", ...)
                if "basin" not in value.dims:
                    value = value.expand_dims(basin=1, axis=-1)
        return np.broadcast_to(np.asarray(value, dtype=float), shape).reshape(-1).copy()
    except (KeyError, TypeError, ValueError) as error:
        raise DeclarationError(
            f"The parameter '{parameter.name}' is not one number per basin ({error}).",
            f"{len(basins)} basins, {', '.join(basins[:5])}",
            "Give a number, one number per basin in their order, or a data array over 'basin'",
        ) from error


def program_values(ude: UDE, parameters: Mapping[str, np.ndarray], batch: int) -> np.ndarray:
    """Return the parameters of a model's equations, shape (batch, n_parameters)."""
    names = ude.program.parameters
    return np.stack([parameters[n] for n in names], axis=1) if names else np.zeros((batch, 0))


def initial_states(ude: UDE, parameters: Mapping[str, np.ndarray], batch: int) -> np.ndarray:
    """Return initial states, shape (batch, n_states), from numbers and initial parameters."""
    program = ude.program
    parts = []
    for state, size in zip(ude.states, program.sizes(program.states), strict=True):
        value = parameters[state.initial] if isinstance(state.initial, str) else state.initial
        rows = np.reshape(value, (-1, 1)) if isinstance(state.initial, str) else value
        parts.append(np.broadcast_to(rows, (batch, size)))
    return np.concatenate(parts, axis=1)


def to_dataset(
    ude: UDE,
    options: Options,
    solution: Solution,
    records: Records,
    attributes: Mapping[str, str],
) -> xr.Dataset:
    """Bring a solution to a dataset with dims (member, basin, time), CF names and units.

    The dimension ``member`` is there if the forcing has it.
    What lives on a column has a further dimension: its cells, ``{column}``, or its faces,
    ``{column}_face``, both with their depths as coordinates.
    """
    import xarray as xr

    mean = options.output == "mean"
    terms = (*ude.states, *ude.fluxes, *ude.networks, *ude.unknowns, *ude.events)
    names = {term.name: term for term in terms}
    forcings = {f.name: f for f in ude.forcings}
    program = ude.program
    variables = {}
    for name, where in zip(program.states, program.slices(program.states), strict=True):
        variables[name] = (solution.states[:, :, where], "time: point")
    of_flux = program.slices(solution.flux_names)
    for name, where in zip(solution.flux_names, of_flux, strict=True):
        variables[name] = (solution.fluxes[:, :, where], "time: mean" if mean else "time: point")
    members = {} if records.members is None else {"member": list(records.members)}
    result = xr.Dataset(
        coords=members | {"basin": list(records.basins), "time": records.time, **_depths(ude)},
        attrs=dict(attributes),
    )
    first = (*members, "basin", "time")
    shape = tuple(result.sizes[d] for d in first)
    for name, (values, method) in variables.items():
        term = names.get(name) or forcings[name]
        place = program.places.get(name)
        result[name] = (
            first if place is None else (*first, place.dimension),
            values.reshape(shape if place is None else (*shape, values.shape[-1])),
            {
                "units": units.spell(term.unit),
                "long_name": term.description or name,
                "cell_methods": method,
            },
        )
    at = "end" if mean else "start"
    for state in ude.states:
        result[state.name].attrs["comment"] = f"value at the {at} of the record"
    return result


def _depths(ude: UDE) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """Return the coordinates of columns."""
    found = {}
    for column in ude.columns:
        attributes = {"units": units.spell(column.unit), "axis": "Z", "positive": "down"}
        cells, faces = column.cells.dimension, column.faces.dimension
        depth = column.geometry[str(column.depth)][1]
        middle = attributes | {"long_name": column.description or "depth of the middle of the cell"}
        edge = attributes | {"long_name": "depth of the face between two cells"}
        found |= {cells: (cells, depth, middle), faces: (faces, column.face_depths, edge)}
    return found
