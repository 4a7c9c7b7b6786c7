"""Bring what is compared to one unit, the same sites and the same times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridwater import units
from hybridwater.errors import DataError

if TYPE_CHECKING:
    import xarray as xr


def paired(simulated: xr.DataArray, observed: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Bring two series to one unit and to the times that both have."""
    import xarray as xr

    for name, data in (("simulated", simulated), ("observed", observed)):
        if "time" not in data.dims:
            raise DataError(
                f"The {name} series has no 'time' dimension, only {data.dims}.",
                where=str(data.name or name),
                fix="Give it with a 'time' dimension and coordinate",
            )
    unit = units.require(simulated)
    if units.parse(units.require(observed)) != units.parse(unit):
        observed = units.to_units(observed, unit)
    try:
        simulated, observed = xr.align(
            simulated, observed, join="exact", exclude=["time"], copy=False
        )
    except ValueError as error:
        raise DataError(
            "Simulation and observations have different coordinates besides time.",
            where=f"dimensions {simulated.dims} and {observed.dims}",
            fix="Select the same basins, in the same order, from both",
        ) from error
    simulated, observed = xr.align(simulated, observed, join="inner", copy=False)
    if simulated.sizes["time"] == 0:
        raise DataError(
            "Simulation and observations have no time in common.",
            where="time",
            fix="Compare series that overlap, with the same time labels",
        )
    return simulated, observed


def with_members(
    ensemble: xr.DataArray, observed: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Bring an ensemble and observations together; missing where any member or the truth is.

    Members that failed, and so are missing throughout, are left out.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Shape (member, ..., time), with at least two members.
    observed : xarray.DataArray
        Shape (..., time).

    Returns
    -------
    tuple of xarray.DataArray
        Both float64, the ensemble with ``member`` as its last dimension.

    Raises
    ------
    DataError
        If there are not two members with values, or as :func:`hybridwater.scores.nse`.
    UnitError
        If units are missing or incompatible.
    """
    if "member" not in ensemble.dims or ensemble.sizes["member"] < 2:
        raise DataError(
            "An ensemble has at least two members along the dimension 'member'.",
            where=f"dimensions {dict(ensemble.sizes)}",
            fix="Score a single simulation with nse, kge and the like",
        )
    ensemble, observed = paired(ensemble, observed)
    if "member" in observed.dims:
        raise DataError(
            "Observations have the dimension 'member', which only the ensemble may have.",
            where=str(observed.name or "observed"),
            fix="Give the observations alone",
        )
    ensemble = there(ensemble.astype(float).transpose(..., "time", "member"))
    if ensemble.sizes["member"] < 2:
        raise DataError(
            "Fewer than two members of the ensemble have any value where there are observations.",
            where=str(ensemble.name or "ensemble"),
            fix="See the variable 'failure' of the ensemble for why members failed",
        )
    observed = observed.astype(float).transpose(*(d for d in ensemble.dims if d != "member"))
    valid = ensemble.notnull().all("member") & observed.notnull()
    return ensemble.where(valid), observed.where(valid)


def there(ensemble: xr.DataArray) -> xr.DataArray:
    """Return the members that are not missing throughout."""
    others = [d for d in ensemble.dims if d != "member"]
    return ensemble.isel(member=ensemble.notnull().any(others).values)
