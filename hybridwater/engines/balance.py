"""The water balance of a simulation, per flux."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.errors import DataError, DeclarationError, nearest
from hybridwater.ude.model import UDE

if TYPE_CHECKING:
    import xarray as xr


def water_balance(ude: UDE, simulation: xr.Dataset) -> xr.Dataset:
    """Accumulate every flux across the model's boundary, the storage change and what is left.

    Parameters
    ----------
    ude : UDE
        The model that was simulated.
    simulation : xarray.Dataset
        Interval means as :func:`hybridwater.simulate` returns them, dims (basin, time).

    Returns
    -------
    xarray.Dataset
        Since the end of the first record, in the unit of the storages: one variable per boundary
        flux (``attrs["role"]`` is ``"in"`` or ``"out"``), ``storage_change`` and ``residual``:
        inflow minus outflow minus storage change.

    Raises
    ------
    DeclarationError
        If the model has no storages, or its balance has terms that are not named fluxes.
    DataError
        If a boundary flux is not in the simulation, or is not a mean over each record.
    """
    import xarray as xr

    if not ude.boundary:
        raise DeclarationError(
            "The fluxes across the boundary cannot be told from the equations.",
            f"model '{ude.name}'",
            "Name every flux that enters or leaves a store with m.flux(...)",
        )
    unit = next(s.unit for s in ude.states if s.name == ude.storages[0])
    time = simulation.indexes["time"]
    if len(time) < 2:
        raise DataError("A balance needs two records or more.", fix="Simulate a longer period")
    seconds = (time[1] - time[0]).total_seconds()
    step = float(units.convert(seconds, "s", ude.time_unit))
    columns = {d for c in ude.columns for d in (c.cells.dimension, c.faces.dimension)}
    result = xr.Dataset(coords=simulation.drop_dims(columns).coords)
    first = simulation[ude.storages[0]]
    left = xr.zeros_like(first.isel({d: 0 for d in first.dims if d in columns}, drop=True))
    for name, (role, coefficient) in ude.boundary.items():
        if name not in simulation:
            raise DataError(
                f"The simulation has no flux '{name}' ({nearest(name, map(str, simulation))}).",
                fix="Simulate with all fluxes",
            )
        flux = simulation[name]
        if flux.attrs.get("cell_methods") != "time: mean":
            raise DataError(
                f"The flux '{name}' is not a mean over each record.",
                fix="Simulate with output='mean'",
            )
        amount = (coefficient * step) * flux
        amount[{"time": 0}] = 0.0
        total = amount.cumsum("time").assign_coords(time=simulation["time"])
        left = left + (total if role == "in" else -total)
        result[name] = total.assign_attrs(
            units=unit, role=role, long_name=flux.attrs.get("long_name", name)
        )
    parts = [simulation[name] for name in ude.storages]
    stored = sum(p.sum([d for d in p.dims if d in columns], skipna=False) for p in parts)
    assert isinstance(stored, xr.DataArray)
    change = stored - stored.isel(time=0)
    result["storage_change"] = change.assign_attrs(
        units=unit, role="storage", long_name="storage change"
    )
    result["residual"] = (left - change).assign_attrs(
        units=unit, role="residual", long_name="balance residual"
    )
    return result


def balance_error(balance: xr.Dataset) -> float:
    """Return the largest residual relative to the water that passed or was stored."""
    moved = sum(
        np.abs(v) for v in balance.data_vars.values() if v.attrs["role"] in ("in", "out", "storage")
    )
    scale = float(np.max(moved))  # type: ignore[arg-type]
    return float(np.abs(balance["residual"]).max()) / scale if scale else 0.0
