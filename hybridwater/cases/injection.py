"""Errors of a coupled run put into it as water, so that the ledger has them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from hybridwater.cases.forcing_tables import ForcingTable
from hybridwater.cases.tables import Table
from hybridwater.coupling import Exchange
from hybridwater.coupling.exchange import find_end
from hybridwater.errors import EnsembleError

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.coupling import CoupledModel


def with_injection(
    case: CoupledCase,
    model: CoupledModel,
    name: str,
    target: str,
    error: xr.DataArray,
    cells: np.ndarray | None,
) -> CoupledCase:
    """Return a case in which an error goes into an input of a component, as a forcing of its own.

    The forcing keeps no books, so the ledger has its water as *unobserved*.

    Parameters
    ----------
    case : CoupledCase
        The case.
    model : CoupledModel
        A model of it, or of a batch of it, for the grid of the component.
    name : str
        Name of the forcing.
    target : str
        ``"component.variable"``.
    error : xarray.DataArray
        Shape (site, time), with units: what goes in, or is taken where it is negative.
    cells : numpy.ndarray or None
        Index of the cell of each site; None for all cells in order.

    Raises
    ------
    EnsembleError
        If the input has other cells than the error, or the case has something of that name.
    CouplingError
        If there is no such input.
    """
    import xarray as xr

    if name in case.forcing or name in case.components:
        raise EnsembleError(
            f"'{name}' is the name of a source and of a part of the case.", fix="Rename one"
        )
    component = target.partition(".")[0]
    _, variable = find_end({component: model.component(component)}, target, "", "in", name)
    size = model.component(component).get_grid_size(variable.grid) // model.copies
    index = np.arange(error.shape[0]) if cells is None else np.asarray(cells)
    if len(index) != error.shape[0] or index.max(initial=0) >= size:
        raise EnsembleError(
            f"'{target}' has {size} cells, and the error is that of {len(index)} cells up to "
            f"number {index.max(initial=0)}.",
            fix="Inject into an input on the cells of the output",
        )
    values = np.zeros((error.sizes["time"], size))
    np.add.at(values.T, index, error.transpose(..., "time").values)
    units = {"units": str(error.attrs["units"])}
    records = xr.Dataset({"error": (("time", "cell"), values, units)}, {"time": error["time"]})
    table = Table(str(case.path), f"ensemble.sources.{name}", {"source": "residual"})
    others = [e for e in case.exchanges if _target_of(e) == target]
    shared = tuple(
        dataclasses.replace(e, additive=True) if e in others else e for e in case.exchanges
    )
    injected = Exchange(f"{name}.error", target, water=True, additive=bool(others))
    return dataclasses.replace(
        case,
        forcing={**case.forcing, name: ForcingTable(table, None, None, None, records)},
        exchanges=(*shared, injected),
    )


def _target_of(exchange: Exchange) -> str:
    component, _, variable = exchange.target.partition(".")
    return f"{component}.{variable or exchange.source.partition('.')[2]}"
