"""Samples of a learned term: where it has been, what it is there, how sure its fits are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridwater import units
from hybridwater.engines import get_engine
from hybridwater.errors import DataError, DeclarationError
from hybridwater.training import Surrogate
from hybridwater.ude.functions import symbol
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Forcing, Network, State
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    import xarray as xr

#: A state so large that the gate of an empty store is open.
_FULL = 1e30
_FINEST = 16  # samples in a record


def sample_term(
    fits: Surrogate | Sequence[Surrogate],
    name: str,
    data: xr.Dataset,
    *,
    basin: str | None = None,
    samples: int = 1000,
) -> xr.Dataset:
    """Sample a learned term over the inputs that it has met in training.

    Samples are spread evenly over time, so that a state counts by the time that is spent in it;
    where there are fewer records than samples wanted, they also fall inside records.
    What the term is comes from the first fit. The others (of the same model to the same data, from
    other seeds) say how far it can be trusted: they are evaluated at the same inputs.

    Parameters
    ----------
    fits : Surrogate or sequence of Surrogate
        The fit in question, then others of an equal model.
    name : str
        A network of the model.
    data : xarray.Dataset
        Forcing; only the training and validation periods are used.
    basin : str, optional
        Which basin; the first if left out.
    samples : int
        About how many.

    Returns
    -------
    xarray.Dataset
        Dim ``sample``: a coordinate per input and ``time``; ``learned``; ``spread``, the root mean
        square distance of the other fits from the first (zero if there are none), all with units.

    Raises
    ------
    DataError, DeclarationError
        If there is no such network, no record of the training period, or the fits are of
        different models.
    """
    members = [fits] if isinstance(fits, Surrogate) else list(fits)
    if not members:
        raise DataError("There is no fit to sample.", fix="Give one or more surrogates")
    first = members[0]
    for other in members[1:]:
        if other.ude.fingerprint != first.ude.fingerprint:
            raise DeclarationError(
                "The fits are of different models.",
                f"'{first.ude.name}' and '{other.ude.name}'",
                "Give fits of one model that differ in their seeds only",
            )
    network = first.ude.network(name)
    data = first.with_basins(data)
    inside = _trained(first, data["time"].values)
    if inside.sum() < 2:
        raise DataError(
            "The data have no records of the training period.",
            f"training {' to '.join(first.periods['train'])}",
            "Give the data that the model was fitted to",
        )
    data = _refined(data, min(_FINEST, samples // int(inside.sum())))
    wanted = max(2, round(samples * inside.size / inside.sum()))
    term = first.term(name, data, basin=basin, samples=wanted)
    term = term.isel(sample=np.flatnonzero(_trained(first, term["time"].values)))
    place = str(term.attrs["basin"])
    texts = [print_expression(i.expression) for i in network.inputs]
    x = np.stack([term[t].values for t in texts], axis=1)
    input_units = tuple(term[t].attrs["units"] for t in texts)
    others = [_at(m, network, place, x, input_units) for m in members]
    squares = [(o - others[0]) ** 2 for o in others[1:]]
    spread = np.sqrt(np.mean(squares, axis=0)) if squares else np.zeros(len(x))
    attrs = {"units": units.spell(network.unit), "long_name": f"spread of {len(members)} fits"}
    return term.assign(spread=("sample", spread, attrs)).assign_attrs(fits=len(members))


def _refined(data: xr.Dataset, parts: int) -> xr.Dataset:
    """Divide each record into equal parts with its forcing, where there are fewer than wanted."""
    time = data["time"].values
    length = int((time[1] - time[0]) / np.timedelta64(1, "ns"))
    while parts > 1 and length % parts:  # the parts must be equal to the nanosecond
        parts -= 1
    if parts < 2:
        return data
    steps = (time[1] - time[0]) * np.arange(parts) // parts
    return data.reindex(time=(time[:, None] + steps).ravel(), method="ffill")


def _trained(fit: Surrogate, time: np.ndarray) -> np.ndarray:
    periods = [p for n, p in fit.periods.items() if n != "test"]
    bounds = [(np.datetime64(start), np.datetime64(stop)) for start, stop in periods]
    return np.any([(time >= start) & (time <= stop) for start, stop in bounds], axis=0)


def _at(
    fit: Surrogate, network: Network, basin: str, x: np.ndarray, input_units: tuple[str, ...]
) -> np.ndarray:
    """Evaluate the network of a fit at inputs, shape (sample, input), with nothing around it."""
    names = [f"input{k}" for k in range(x.shape[1])]
    rows = [
        dataclasses.replace(i, expression=symbol(n))
        for n, i in zip(names, network.inputs, strict=True)
    ]
    gate = network.zero_when_empty
    state = State(gate or "nothing", _unit(fit.ude, gate))
    alone = UDE(
        name=f"{network.name} alone",
        states=(state,),
        forcings=tuple(Forcing(n, u) for n, u in zip(names, input_units, strict=True)),
        parameters=(),
        constants=(),
        fluxes=(),
        networks=(dataclasses.replace(network, inputs=tuple(rows), conceptual=None),),
        derivatives={state.name: symbol(names[0]) * 0},
        time_unit=fit.ude.time_unit,
    )
    stored = np.full((1, len(x), 1), _FULL)
    for k, row in enumerate(network.inputs):
        if str(row.expression) == gate:
            stored[0, :, 0] = x[:, k]
    layout = next(n for n in fit.ude.program.networks if n.name == network.name)
    part = slice(layout.offset, layout.offset + network.n_weights)
    weights = fit.weights if fit.weights.ndim == 1 else fit.weights[fit.basins.index(basin)]
    options = dataclasses.replace(fit.options, fluxes=(network.name,))
    solver = get_engine(options=options).compile(alone, options)
    values, _ = solver.evaluate(np.zeros((1, 0)), weights[part], x[None], stored)
    return values[0, :, 0]


def _unit(ude: UDE, name: str | None) -> str:
    return "1" if name is None else ude.units[name]
