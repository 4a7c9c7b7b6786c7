"""A model with the parameters and weights of every cell, from a declaration, a fit or its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.engines import Options
from hybridwater.engines.records import parameter_values
from hybridwater.errors import ComponentError, WeightsError
from hybridwater.files import open_netcdf
from hybridwater.ude.model import UDE
from hybridwater.ude.program import initial_weights

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.training import Surrogate


@dataclass(frozen=True, eq=False)
class CellModel:
    """What a surrogate computes with.

    Parameters
    ----------
    ude : UDE
        The model.
    parameters : dict of str to numpy.ndarray
        Each of shape (cell,), in the units of the model.
    weights : numpy.ndarray
        Shape (n_weights,), shared, or (cell, n_weights).
    options : Options
        How it was fitted.
    limits : dict of str to (float, float)
        Range of each forcing and state in training, in the units of the model; empty for a bare
        model.
    """

    ude: UDE
    parameters: dict[str, np.ndarray]
    weights: np.ndarray
    options: Options = field(default_factory=Options)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def cell_model(
    model: UDE | Surrogate | str | Path,
    cells: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    weights: Any = None,
    attributes: xr.Dataset | str | Path | None = None,
) -> CellModel:
    """Give every cell its parameters and weights; see `SurrogateComponent`.

    A fit to one basin serves all cells; one to several basins, as many cells in their order.

    Raises
    ------
    ComponentError
        If a fit has not one basin per cell, or what was given does not belong to the model.
    DeclarationError, WeightsError
        If parameters or weights are not those of the model.
    """
    if isinstance(model, UDE):
        if attributes is not None:
            raise ComponentError(
                "Attributes were given, but the model is not fitted.",
                f"model '{model.name}'",
                "Give a regional fit, or parameters=...",
            )
        fit, ude, found = None, model, {}
    else:
        fit = _loaded(model)
        ude, found = fit.ude, _parameters(fit, cells, attributes)
    values = parameter_values(ude, found | dict(parameters or {}), tuple(map(str, range(cells))))
    return CellModel(
        ude,
        values,
        _weights(ude, fit, weights, cells),
        Options() if fit is None else fit.options,
        {} if fit is None else fit.ranges.limits,
    )


def stacked(models: Sequence[CellModel], cells: int) -> CellModel:
    """Return one model over the cells of several, which differ in parameters and weights only.

    Parameters
    ----------
    models : sequence of CellModel
        At least one.
    cells : int
        Cells of each.
    """
    first = models[0]
    weights = first.weights
    if weights.ndim == 2 or any(not np.array_equal(m.weights, weights) for m in models):
        shape = (cells, weights.shape[-1])
        weights = np.concatenate([np.broadcast_to(m.weights, shape) for m in models])
    parameters = {n: np.concatenate([m.parameters[n] for m in models]) for n in first.parameters}
    return dataclasses.replace(first, parameters=parameters, weights=weights)


def _loaded(model: Surrogate | str | Path) -> Surrogate:
    from hybridwater.training import Surrogate

    if isinstance(model, str | Path):
        return Surrogate.load(model)
    if not isinstance(model, Surrogate):
        raise ComponentError(
            f"{model!r} is not a model.", fix="Give a UDE, a fit or the run directory of one"
        )
    return model


def _parameters(
    fit: Surrogate, cells: int, attributes: xr.Dataset | str | Path | None
) -> dict[str, np.ndarray]:
    if attributes is not None:
        if fit.network is None:
            raise ComponentError(
                "The fit does not know parameters from attributes.",
                f"model '{fit.ude.name}'",
                "Fit it with attributes=..., or leave them out here",
            )
        return _on(
            cells,
            fit.network.predict(fit.ude, open_netcdf(attributes, ComponentError)),
            "attributes",
        )
    return _on(cells, fit.parameters, "basins")


def _on(cells: int, values: Mapping[str, np.ndarray], what: str) -> dict[str, np.ndarray]:
    for name, array in values.items():
        if len(array) not in {1, cells}:
            raise ComponentError(
                f"There are {cells} cells, but '{name}' has {len(array)} {what}.",
                fix="Give one area per basin of the fit, or attributes of every cell",
            )
    return {name: np.broadcast_to(a, (cells,)).copy() for name, a in values.items()}


def _weights(ude: UDE, fit: Surrogate | None, given: Any, cells: int) -> np.ndarray:
    n = ude.program.n_weights
    if given is not None:
        weights = np.asarray(given, float)
    elif fit is not None:
        weights = fit.weights
    elif n:
        raise WeightsError(
            f"The model '{ude.name}' has networks, but no weights were given.",
            fix="Give weights=..., or fit it and give the fit",
        )
    else:
        weights = initial_weights(ude.program, 0)
    if weights.shape == (1, n):
        weights = weights[0]
    if weights.shape not in {(n,), (cells, n)}:
        raise WeightsError(
            f"The weights have the shape {weights.shape}, but the model '{ude.name}' has {n} "
            f"weights and there are {cells} cells.",
            fix="Use the weights of this model, one row for all or one per cell",
        )
    return weights.copy()
