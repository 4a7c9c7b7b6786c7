"""What an ensemble runs: the contract, and a UDE or a fit with all members of a batch at once."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from hybridwater.engines import read_records
from hybridwater.engines.records import initial_states, parameter_values
from hybridwater.engines.simulation import read_options, solve_records
from hybridwater.ensembles.coupler_weights import CouplerWeights
from hybridwater.ensembles.design import Member
from hybridwater.ensembles.posterior import ParameterPosterior
from hybridwater.ensembles.sources import (
    Fits,
    Forcing,
    InitialState,
    Numbers,
    Parameters,
    Residual,
    Source,
    check_names,
)
from hybridwater.errors import EnsembleError, nearest
from hybridwater.ude.program import initial_weights

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.training import Surrogate
    from hybridwater.ude import UDE

_VALUES = 4_000_000  # numbers of a batch, so that memory does not grow with members


class Batch(NamedTuple):
    """What members of a batch gave.

    Parameters
    ----------
    data : xarray.Dataset or None
        With the dimension ``member``; NaN for members that failed. None if all did.
    failures : dict of int to str
        Number of a member to why it failed.
    """

    data: xr.Dataset | None
    failures: dict[int, str]


class Simulator(Protocol):
    """What an ensemble runs. It is pickled where members run in other processes.

    What a member gives may depend on nothing but its draws and its batch.
    """

    #: How many members it takes at once.
    batch: int

    def bind(self, sources: Mapping[str, Source]) -> Simulator:
        """Return it with sources of uncertainty; refuse what it does not know what to do with."""
        ...

    def simulate(self, members: Sequence[Member]) -> Batch:
        """Run some members; raise an error where none of them can be told apart."""
        ...

    def fingerprint(self) -> str:
        """Return what tells it from others."""
        ...


class ModelSimulator:
    """A UDE, or a fit, over one forcing: members are the batch of the engine.

    Parameters
    ----------
    model : UDE or Surrogate
        What is run.
    forcing : xarray.Dataset
        As :func:`hybridwater.simulate` takes it, without members.
    outputs : sequence of str
        States and fluxes to keep.
    parameters, weights : optional
        Of a bare UDE, as :func:`hybridwater.simulate` takes them.
    engine : str, optional
        Name of the engine.
    batch : int, optional
        Members at once; as many as 32 MB of numbers hold, and at most 250, if left out.
    **options
        Solver options, other than those of the fit.

    Raises
    ------
    EnsembleError
        If there is no such output.
    DataError, UnitError, DeclarationError
        If the forcing cannot be used.
    """

    def __init__(
        self,
        model: UDE | Surrogate,
        forcing: xr.Dataset,
        *,
        outputs: Sequence[str],
        parameters: Mapping[str, Any] | None = None,
        weights: np.ndarray | None = None,
        engine: str | None = None,
        batch: int | None = None,
        **options: Any,
    ) -> None:
        from hybridwater.training import Surrogate

        if isinstance(model, Surrogate):
            forcing = model.with_basins(forcing)
            self.ude, own, self.weights = model.model_for(forcing)
            parameters = {**own, **(parameters or {})}
            options = {**dataclasses.asdict(model.options), **options}
            self._begin = model.begin
        else:
            self.ude, self._begin = model, "initial"
            self.weights = initial_weights(model.program, 0) if weights is None else weights
        known = (*(s.name for s in self.ude.states), *self.ude.order)
        for name in outputs:
            if name not in known:
                raise EnsembleError(f"The model has no output '{name}' ({nearest(name, known)}).")
        if not outputs:
            raise EnsembleError("No output is kept.", fix=f"Choose of {', '.join(known)}")
        self.outputs = tuple(outputs)
        records = read_records(self.ude, forcing)
        self._names = [f.name for f in self.ude.forcings]
        self._forcing, self._basins = forcing, records.basins
        self._parameters = parameter_values(self.ude, parameters, records.basins)
        self._engine = engine
        fluxes = tuple(n for n in self.outputs if n in self.ude.order)
        self._options = {**options, "fluxes": fluxes}
        read_options(self._options)
        width = self.ude.program.n_states + len(fluxes) + len(self._names)
        fitting = _VALUES // max(records.values.shape[0] * records.values.shape[1] * width, 1)
        self.batch = max(1, min(fitting, 250)) if batch is None else batch
        self._sources: dict[str, Source] = {}

    def bind(self, sources: Mapping[str, Source]) -> ModelSimulator:
        """Return a copy with sources of uncertainty.

        Raises
        ------
        EnsembleError
            If one names what the model does not have.
        """
        check_each(sources, self._check)
        bound = copy.copy(self)
        bound._sources = dict(sources)
        return bound

    def _check(self, source: Source) -> None:
        if isinstance(source, Parameters | ParameterPosterior):
            check_names(source.names, list(self.ude.used_parameters), "parameter")
            if isinstance(source, ParameterPosterior) and (source.basin,) != self._basins:
                raise EnsembleError(
                    f"The posterior is that of basin '{source.basin}', and what runs is "
                    f"{', '.join(self._basins)}.",
                    fix="Run that basin alone; every other has a posterior of its own",
                )
        elif isinstance(source, InitialState):
            if self._begin == "steady":
                raise EnsembleError(
                    "The fit begins in equilibrium, which an uncertain initial state would not be.",
                    fix="Leave the source out, or fit with begin='initial'",
                )
            check_names(source.names, [s.name for s in self.ude.states], "state")
        elif isinstance(source, Forcing):
            if source.variable not in self._names:
                raise EnsembleError(
                    f"The model has no forcing '{source.variable}' "
                    f"({nearest(source.variable, self._names)})."
                )
        elif isinstance(source, Residual):
            if source.output not in self.outputs:
                hint = nearest(source.output, self.outputs)
                raise EnsembleError(f"'{source.output}' is not kept ({hint}).")
            if source.inject is not None:
                raise EnsembleError(
                    "A single model has no input to inject an error into.",
                    fix="Leave 'inject' out: the error is added afterwards",
                )
        elif isinstance(source, CouplerWeights):
            raise EnsembleError(
                "Weights of an exchange are a source of a coupled case, not of a single model.",
                fix="Leave the source out; of a model, vary Fits",
            )
        elif isinstance(source, Fits):
            if source.fits[0].ude.fingerprint != self.ude.fingerprint:
                raise EnsembleError("The fits are of another model than the one that is run.")
            if source.fits[0].begin != self._begin:
                raise EnsembleError(
                    "The fits begin otherwise than what is run.", fix="Run one of the fits"
                )

    def fingerprint(self) -> str:
        """Return what tells this simulator from others."""
        digest = hashlib.blake2b(digest_size=12)
        said = (self.ude.fingerprint, self.outputs, self._options, self._basins, self.batch)
        said += (self._begin,)
        digest.update(repr(said).encode())
        arrays = [*self._parameters.values(), self.weights]
        arrays += [self._forcing[n].values for n in self._names]
        for array in (*arrays, self._forcing["time"].values):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def simulate(self, members: Sequence[Member]) -> Batch:
        """Run some members at once.

        Raises
        ------
        DeclarationError, DataError
            If a draw leaves the bounds of a parameter, or makes forcing that cannot be.
        """
        import xarray as xr

        parameters, weights = self._models(members)
        for name, source in self._sources.items():
            if isinstance(source, Parameters | ParameterPosterior):
                _put(parameters, source, name, members)
        data, solution, records = solve_records(
            self.ude,
            self._forced(members),
            xr.Dataset(
                {n: (("member", "basin"), v) for n, v in parameters.items()},
                {"basin": list(self._basins)},
            ),
            weights,
            "steady" if self._begin == "steady" else self._states(members, parameters),
            self._engine,
            0,
            self._options,
        )
        result = data[list(self.outputs)].assign_coords(member=[m.number for m in members])
        failures = {}
        for failure in solution.failures:
            row = failure.batch // len(self._basins)
            where = records.describe(failure.batch, failure.record)
            failures.setdefault(members[row].number, f"{failure.reason} Where: {where}.")
        if failures:
            with xr.set_options(keep_attrs=True):
                result = result.where(~result["member"].isin(list(failures)))
        with_residuals(result, self._sources, members, failures)
        return Batch(result, failures)

    def _models(self, members: Sequence[Member]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return parameters (member, basin) and weights, shared or (batch, n_weights)."""
        shape = (len(members), len(self._basins))
        found = [(n, s) for n, s in self._sources.items() if isinstance(s, Fits)]
        if not found:
            own = {n: np.broadcast_to(v, shape).copy() for n, v in self._parameters.items()}
            per_basin = self.weights.ndim == 2
            return own, np.tile(self.weights, (shape[0], 1)) if per_basin else self.weights
        name, source = found[0]
        fits = [source.drawn(m.draws[name]).model_for(self._forcing) for m in members]
        own = {n: np.stack([f[1][n] for f in fits]) for n in self._parameters}
        width = fits[0][2].shape[-1]
        return own, np.concatenate([np.broadcast_to(f[2], (shape[1], width)) for f in fits])

    def _forced(self, members: Sequence[Member]) -> xr.Dataset:
        """Return the forcing with the dimension ``member``."""
        import xarray as xr

        every = []
        for member in members:
            records = self._forcing
            for name, source in self._sources.items():
                if isinstance(source, Forcing):
                    changed = source.apply(records, member.draws[name])
                    records = records.assign({source.variable: changed})
            every.append(records[self._names])
        numbers = [m.number for m in members]
        if all(e[n].variable is every[0][n].variable for e in every for n in self._names):
            return every[0].expand_dims(member=numbers)
        return xr.concat(every, "member", data_vars="all").assign_coords(member=numbers)

    def _states(self, members: Sequence[Member], parameters: dict[str, np.ndarray]) -> np.ndarray:
        flat = {n: v.reshape(-1) for n, v in parameters.items()}
        states = initial_states(self.ude, flat, len(members) * len(self._basins)).copy()
        states = states.reshape(len(members), len(self._basins), -1)
        program = self.ude.program
        slices = dict(zip(program.states, program.slices(program.states), strict=True))
        for name, source in self._sources.items():
            if isinstance(source, InitialState):
                _put({n: states[..., slices[n]] for n in source.names}, source, name, members)
        return states.reshape(-1, states.shape[-1])


def _put(
    arrays: dict[str, np.ndarray],
    source: Numbers | ParameterPosterior,
    name: str,
    members: Sequence[Member],
) -> None:
    """Write the numbers of a source into arrays, of which the first axis is the member."""
    for row, member in enumerate(members):
        for what, (number, factor) in source.drawn(member.draws[name]).items():
            arrays[what][row] = arrays[what][row] * number if factor else number


def check_each(sources: Mapping[str, Source], check: Callable[[Source], None]) -> None:
    """Check all sources; an error says of which it speaks."""
    for name, source in sources.items():
        try:
            check(source)
        except EnsembleError as error:
            raise EnsembleError(error.what, f"source '{name}'", error.fix) from error


def with_residuals(
    data: xr.Dataset,
    sources: Mapping[str, Source],
    members: Sequence[Member],
    failures: Mapping[int, str],
) -> None:
    """Add what may be observed, for every residual source, to the data of members."""
    import xarray as xr

    for name, source in sources.items():
        if not isinstance(source, Residual) or source.inject is not None:
            continue
        simulated = data[source.output]
        observable = simulated.copy(data=np.full(simulated.shape, np.nan))
        for row, member in enumerate(members):
            if member.number not in failures:
                one = simulated.isel(member=row, drop=True)
                drawn = source.apply(one, member.draws[name])
                observable[row] = xr.DataArray(drawn).transpose(*one.dims).values
        meaning = str(simulated.attrs.get("long_name", source.output))
        observable.attrs["long_name"] = f"{meaning}, as it may be observed"
        data[f"{source.output}_observable"] = observable
