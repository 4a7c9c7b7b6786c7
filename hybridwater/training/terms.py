"""Sampling a learned term, and its conceptual counterpart, at the inputs that it meets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater import units
from hybridwater.engines import Options, get_engine, read_records
from hybridwater.engines.records import initial_states, program_values
from hybridwater.engines.steady import first_states
from hybridwater.ude.dimensions import unit_of
from hybridwater.ude.model import UDE
from hybridwater.ude.terms import Flux
from hybridwater.ude.text import print_expression

if TYPE_CHECKING:
    import xarray as xr


def sample_term(
    ude: UDE,
    name: str,
    forcing: xr.Dataset,
    parameters: dict[str, np.ndarray],
    weights: np.ndarray,
    options: Options,
    samples: int,
    skeleton: dict[str, np.ndarray] | None,
    begin: str = "initial",
) -> xr.Dataset:
    """Sample a term; see :meth:`hybridwater.training.Surrogate.term`.

    The conceptual equation is evaluated at the same states and forcing and with the same
    parameters, so that the two differ in nothing but the term. Only parameters that nothing else
    in the model uses, which the joint stage therefore does not train, are the skeleton's.
    """
    import xarray as xr

    network = ude.network(name)
    declared = ude.units
    inputs = {}
    for k, row in enumerate(network.inputs):
        unit = unit_of(row.expression, declared, f"an input of network '{name}'") or "1"
        inputs[f"input_{k}_of_{name}"] = Flux(f"input_{k}_of_{name}", unit, row.expression)
    counterpart = f"conceptual_{name}"
    extra = list(inputs.values())
    if network.conceptual is not None:
        extra.append(Flux(counterpart, network.unit, network.conceptual))
    watched = dataclasses.replace(ude, fluxes=(*ude.fluxes, *extra))
    records = read_records(ude, forcing)
    instant = dataclasses.replace(
        options, output="instantaneous", fluxes=(name, *(flux.name for flux in extra))
    )
    solver = get_engine(options=instant).compile(watched, instant)
    flat = program_values(watched, parameters, len(records.basins))
    first = initial_states(ude, parameters, len(records.basins))
    first = first_states(begin, solver, flat, weights, records, first)
    solution = solver.solve(flat, weights, records.values, first, records.step)
    solution.raise_if_failed(ude.program.value_names, records.describe)
    count = len(records.time)
    kept = np.unique(np.linspace(0, count - 1, min(samples, count)).astype(int))
    cells = ude.places[name].size if name in ude.places else 1

    def sampled(flux: str) -> np.ndarray:
        """Return a flux at the kept records, in every cell that the term is evaluated in."""
        values = solution.flux(flux)[0, kept].reshape(len(kept), -1)
        return np.broadcast_to(values, (len(kept), cells)).ravel()

    times = np.repeat(records.time[kept], cells)
    coordinates: dict[str, Any] = {"time": ("sample", times)}
    for row, flux in zip(network.inputs, inputs.values(), strict=True):
        text = print_expression(row.expression)  # a temperature by itself is no difference
        unit = declared.get(text) or flux.unit
        coordinates[text] = ("sample", sampled(flux.name), {"units": units.spell(unit)})
    attrs = {"units": units.spell(network.unit), "long_name": network.description or name}
    result = xr.Dataset(
        {"learned": ("sample", sampled(name), attrs)},
        coordinates,
        {"term": name, "basin": records.basins[0], **attrs},
    )
    if network.conceptual is not None:
        untrained = [n for n in watched.program.parameters if n not in ude.used_parameters]
        borrowed = {n: skeleton[n] for n in untrained} if skeleton else {}
        curve, _ = solver.evaluate(
            program_values(watched, parameters | borrowed, len(records.basins)),
            weights,
            records.values[:1, kept],
            solution.states[:1, kept],
        )
        whose = "with the parameters of the fit"
        if borrowed:
            whose += f" ({', '.join(borrowed)}: of the calibrated skeleton)"
        last = watched.program.sizes((counterpart,))[0]
        found = np.broadcast_to(curve[0, :, -last:], (len(kept), cells)).ravel()
        result["conceptual"] = ("sample", found, attrs | {"comment": whose})
    return result
