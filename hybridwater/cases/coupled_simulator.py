"""A coupled case as what an ensemble runs: a run of each member, or of some that step together."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridwater.cases.batches import Parts, build_batch, refuse_no_batch
from hybridwater.cases.component_tables import ComponentTable
from hybridwater.cases.coupled_reading import load_coupled
from hybridwater.cases.injection import with_injection
from hybridwater.cases.tables import read_tables
from hybridwater.components.base import State
from hybridwater.coupling.exchange import Learned
from hybridwater.coupling.learned import is_learned
from hybridwater.coupling.outputs import Output
from hybridwater.ensembles.coupler_weights import CouplerWeights
from hybridwater.ensembles.design import Member
from hybridwater.ensembles.fingerprints import of_path
from hybridwater.ensembles.posterior import ParameterPosterior
from hybridwater.ensembles.simulators import Batch, check_each, with_residuals
from hybridwater.ensembles.sources import (
    Fits,
    Forcing,
    InitialState,
    Numbers,
    Parameters,
    Residual,
    Source,
)
from hybridwater.errors import EnsembleError, nearest
from hybridwater.report.ledger import relative_residual

if TYPE_CHECKING:
    import xarray as xr

    from hybridwater.cases.coupled import CoupledCase
    from hybridwater.coupling import CoupledModel

#: Share of the water of a coupling step that was missing, at most, in a member.
LEDGER = "ledger_residual"
_STATE = "state/"  # before the names of a component's own arrays in its state


class CoupledSimulator:
    """A coupled case; names of what is uncertain are those of its case file.

    Forcing is ``"weather.prcp"``; a parameter is a keyword of a component, ``"lake.rate"`` (or of a
    table that a keyword takes, ``"lake.parameters.k"``); an initial state is an array of the state
    of a component, ``"lake.content"``. Outputs are those of ``[output.variables]``, as
    ``"lake.runoff_flux"``. Other processes read the case file again, so it must be where it was.

    Parameters
    ----------
    path : path-like
        The case file.
    sites : mapping of str to xarray.DataArray, optional
        Output to the indices of the cells that are kept, with a named dimension and coordinate.
    batch : int
        How many members step together in one coupled run, and share what a step costs in Python;
        their cells follow one another. Components must be able to, see
        :meth:`hybridwater.components.Component.stacked`: records and surrogates are.

    Raises
    ------
    CaseError
        If the case cannot be read.
    EnsembleError
        If it writes no outputs, sites are of an output that there is not, or members cannot step
        together.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        sites: Mapping[str, xr.DataArray] | None = None,
        batch: int = 1,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        self.batch = batch
        self._case: CoupledCase | None = load_coupled(self.path)
        if batch < 1:
            raise EnsembleError(f"A batch of {batch} members is none.", fix="Ask for 1 or more")
        if batch > 1:
            refuse_no_batch(self.case)
        self._sites = dict(sites or {})
        self._sources: dict[str, Source] = {}
        self._records: dict[str, xr.Dataset] = {}
        self._parts: Parts = {}
        self.outputs = [f"{c}.{v}" for c, kept in self.case.outputs.items() for v in kept.variables]
        if not self.outputs:
            raise EnsembleError(
                "The case writes no outputs, so members would leave nothing.",
                str(self.path),
                "Name some in [output.variables]",
            )
        for name in self._sites:
            if name not in self.outputs:
                raise EnsembleError(
                    f"'{name}' is not among the outputs ({nearest(name, self.outputs)}).",
                    f"{self.path}, [output.variables]",
                )

    @property
    def case(self) -> CoupledCase:
        """The case, read again where this is a copy in another process."""
        if self._case is None:
            self._case = load_coupled(self.path)
        return self._case

    def __getstate__(self) -> dict[str, Any]:
        # classes of components may come from files beside the case, which reading it finds
        return {**self.__dict__, "_case": None, "_records": {}, "_parts": {}}

    def bind(self, sources: Mapping[str, Source]) -> CoupledSimulator:
        """Return a copy with sources of uncertainty.

        Raises
        ------
        EnsembleError
            If one names what the case does not have.
        """
        check_each(sources, self._check)
        bound = copy.copy(self)
        bound._sources, bound._records, bound._parts = dict(sources), {}, {}
        return bound

    def _check(self, source: Source) -> None:
        if isinstance(source, Fits | ParameterPosterior):
            raise EnsembleError(
                "Fits and posteriors are a source of a single model, not of a coupled case.",
                fix="Run an ensemble of the model, or give Parameters",
            )
        if isinstance(source, Forcing):
            name, variable = self._split(source.variable, self.case.forcing, "forcing")
            known = self.case.forcing[name].names
            if known is not None and variable not in known:
                raise EnsembleError(
                    f"The forcing '{name}' has no '{variable}' ({nearest(variable, known)})."
                )
        elif isinstance(source, Numbers):
            for text in source.names:
                name, rest = self._split(text, self.case.components, "component")
                keyword = rest.partition(".")[0]
                model = self.case.components[name].model
                if isinstance(source, Parameters) and not model.takes(keyword):
                    raise EnsembleError(
                        f"The component '{name}' ({model.kind}) has no keyword '{keyword}'."
                    )
                if isinstance(source, Parameters) and keyword == "area" and self.batch > 1:
                    raise EnsembleError(
                        f"The areas of '{name}' are the same in all members of a batch.",
                        fix="Run members one by one: leave out batch",
                    )
        elif isinstance(source, CouplerWeights):
            self._weights_of(source)
        else:
            if source.output not in self.outputs:
                hint = nearest(source.output, self.outputs)
                raise EnsembleError(f"'{source.output}' is not among the outputs ({hint}).")
            if source.inject is not None:
                self._split(source.inject, self.case.components, "component")

    def _weights_of(self, source: CouplerWeights) -> str | Path:
        """Return the weights that a learned exchange has without draws."""
        learned = {
            e.label: e.learned for e in self.case.exchanges if isinstance(e.learned, Learned)
        }
        idle = [e.label for e in self.case.exchanges if not is_learned(e)]
        if source.of in learned and source.of in idle:
            raise EnsembleError(
                f"The exchange '{source.of}' does not use its weights: its remap is not learned.",
                str(self.path),
                'Write remap = "learned", or leave the source out',
            )
        if source.of in learned:
            return learned[source.of].weights
        takers = {n: c for n, c in self.case.components.items() if c.model.takes("weights")}
        if source.of not in takers:
            raise EnsembleError(
                f"There is no learned exchange '{source.of}' "
                f"({nearest(source.of, [*learned, *takers])}).",
                fix="Name the component that takes weights, or the exchange: 'a.b -> c.d'",
            )
        model = takers[source.of].model
        if source.spread is not None and "weights" not in model.options:
            raise EnsembleError(
                f"'{source.of}' does not say what its weights are, so there is nothing to vary.",
                f"[components.{source.of}]",
                "Write weights = '...' into the case file",
            )
        return model.options.get("weights", "")

    def _split(self, text: str, known: Mapping[str, Any], what: str) -> tuple[str, str]:
        name, _, rest = text.partition(".")
        if name not in known or not rest:
            raise EnsembleError(
                f"'{text}' names no {what} of the case ({nearest(name, known)}).",
                fix=f"Write the name of the {what}, a dot, and what of it",
            )
        return name, rest

    def fingerprint(self) -> str:
        """Return what tells this simulator from others: the case, but for its ensemble, and files.

        Files are those that the case names: forcing, parameters, weights, indices of cells.
        """
        tables = read_tables(self.path)
        tables.pop("ensemble", None)
        digest = hashlib.blake2b(repr(tables).encode(), digest_size=12)
        read = [content for name, content in tables.items() if name not in ("output", "train")]
        written = {self.case.directory, *self.case.directory.parents}
        for path in sorted({self.path.parent / Path(text).expanduser() for text in _texts(read)}):
            if os.path.exists(path) and path not in written:  # false where it can be no path
                digest.update(of_path(path).encode())
        for name, cells in self._sites.items():
            digest.update(name.encode() + np.ascontiguousarray(cells.values).tobytes())
        return digest.hexdigest()

    def simulate(self, members: Sequence[Member]) -> Batch:
        """Run the members of a batch, each of which is as if it ran alone.

        Raises
        ------
        HybridwaterError
            If draws cannot be, or a component fails.
        """
        with tempfile.TemporaryDirectory() as folder:  # of weights that are drawn
            cases = [self._with_draws(member, Path(folder)) for member in members]
            return self._simulated(members, cases)

    def _simulated(self, members: Sequence[Member], cases: list[CoupledCase]) -> Batch:
        model = self._ran(cases, members)
        for name, source in self._sources.items():
            if isinstance(source, Residual) and source.inject is not None:
                every = self._outputs_of(model, members)[source.output].transpose(..., "time")
                sites = self._sites.get(source.output)
                cells = None if sites is None else sites.values
                for k, member in enumerate(members):
                    simulated = every.isel(member=k, drop=True)
                    drawn = source.apply(simulated, member.draws[name])
                    error = (drawn - simulated).assign_attrs(simulated.attrs)
                    cases[k] = with_injection(cases[k], model, name, source.inject, error, cells)
                model.close()
                model = self._ran(cases, members)
        data = self._outputs_of(model, members)
        missing = relative_residual(model.ledger()).reshape(len(members), -1)
        worst = missing.max(axis=1, initial=0.0)
        told = {"units": "1", "long_name": "missing water of a coupling step, largest share"}
        data[LEDGER] = ("member", worst, told)
        model.close()
        with_residuals(data, self._sources, members, {})
        return Batch(data, {})

    def _ran(self, cases: Sequence[CoupledCase], members: Sequence[Member]) -> CoupledModel:
        model = build_batch(cases, self._parts)
        self._put_states(model, members)
        model.run(cases[0].end_of(model), progress=False)
        return model

    def _with_draws(self, member: Member, folder: Path) -> CoupledCase:
        forcing, components = dict(self.case.forcing), dict(self.case.components)
        exchanges = list(self.case.exchanges)
        changed: dict[str, xr.Dataset] = {}
        for source_name, source in self._sources.items():
            draw = member.draws[source_name]
            if isinstance(source, Forcing):
                name, variable = source.variable.split(".", 1)
                table = forcing[name]
                if name not in self._records:
                    self._records[name] = _used(table.read(), self.case.end)
                records = changed.get(name, self._records[name])
                variable = (table.names or {}).get(variable, variable)
                error = source.apply(records, draw, variable)
                changed[name] = records.assign({variable: error.variable})
            elif isinstance(source, Parameters):
                for text, (number, factor) in source.drawn(draw).items():
                    name, keyword = text.split(".", 1)
                    components[name] = _with_keyword(components[name], keyword, number, factor)
            elif isinstance(source, CouplerWeights):
                path = source.drawn(draw, self._weights_of(source), folder)
                if source.of in components:
                    components[source.of] = _with_keyword(components[source.of], "weights", path)
                exchanges = [
                    dataclasses.replace(e, learned=dataclasses.replace(e.learned, weights=path))
                    if e.label == source.of and isinstance(e.learned, Learned)
                    else e
                    for e in exchanges
                ]
        for name, records in changed.items():
            forcing[name] = dataclasses.replace(forcing[name], records=records)
        return dataclasses.replace(
            self.case,
            forcing=forcing,
            components=components,
            exchanges=tuple(exchanges),
            outputs={name: self._at_sites(name, kept) for name, kept in self.case.outputs.items()},
        )

    def _at_sites(self, component: str, kept: Output) -> Output:
        """Return an output that keeps no other cells than those of the sites."""
        named = {v: self._sites.get(f"{component}.{v}") for v in kept.variables}
        sites = {v: cells.values for v, cells in named.items() if cells is not None}
        return dataclasses.replace(kept, sites={**kept.sites, **sites})

    def _put_states(self, model: CoupledModel, members: Sequence[Member]) -> None:
        for source_name, source in self._sources.items():
            if not isinstance(source, InitialState):
                continue
            drawn = [source.drawn(member.draws[source_name]) for member in members]
            for text in drawn[0]:
                name, what = text.split(".", 1)
                state = model.component(name).get_state()
                known = {key.removeprefix(_STATE): key for key in state.arrays}
                if what not in known:
                    raise EnsembleError(
                        f"The state of '{name}' has no '{what}' ({nearest(what, known)}).",
                        f"source '{source_name}'",
                    )
                new = state.arrays[known[what]].copy()
                if new.size % len(members):
                    raise EnsembleError(
                        f"'{what}' of '{name}' is one number for all members of a batch.",
                        f"source '{source_name}'",
                        "Run members one by one: leave out batch",
                    )
                for row, one in zip(new.reshape(len(members), -1), drawn, strict=True):
                    number, factor = one[text]
                    row[:] = row * number if factor else number
                model.put_state(name, State({**state.arrays, known[what]: new}, state.metadata))

    def _outputs_of(self, model: CoupledModel, members: Sequence[Member]) -> xr.Dataset:
        """Return all outputs by ``component.variable``, sites only where there are some."""
        import xarray as xr

        numbers = [member.number for member in members]
        found: dict[str, xr.DataArray] = {}
        for component, kept in self.case.outputs.items():
            data = model.output(component)
            for variable in kept.variables:
                name = f"{component}.{variable}"
                cells = str(data[variable].dims[1])
                one = _of_members(data[variable], numbers)
                if name in self._sites:
                    sites = self._sites[name]
                    one = one.rename({cells: str(sites.dims[0])}).assign_coords(sites.coords)
                    one = one.transpose("member", ..., "time")
                else:
                    one = one.rename({cells: f"{component}_{cells}"})
                first = next(iter(found.values()), one)
                if not first["time"].equals(one["time"]):
                    one = one.rename(time=f"{component}_time")
                found[name] = one.drop_vars("time_bounds", errors="ignore")
        return xr.Dataset(found)


def _used(records: xr.Dataset, end: str) -> xr.Dataset:
    """Return the records before the end of a run if that is a date; two tell their interval.

    Those of one time lie side by side, as they are read, time after time.
    """
    with contextlib.suppress(ValueError):  # a duration
        used = int((records["time"].values < np.datetime64(end)).sum())
        records = records.isel(time=slice(max(used, 2)))
    made = {n: v.copy(data=np.ascontiguousarray(v.values)) for n, v in records.data_vars.items()}
    return records.assign(made)


def _of_members(data: xr.DataArray, numbers: Sequence[int]) -> xr.DataArray:
    """Return values (time, cell), cells of members one after the other, as (member, time, cell)."""
    import xarray as xr

    rows = data.values.reshape(len(data), len(numbers), -1)
    times = {name: c for name, c in data.coords.items() if c.dims == ("time",)}
    made = xr.DataArray(
        rows.transpose(1, 0, 2), {"member": numbers, **times}, ("member", *data.dims), data.name
    )
    return made.assign_attrs(data.attrs)


def _texts(content: Any) -> Iterator[str]:
    """Yield every text in tables and lists, however deep."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping | list):
        for entry in content.values() if isinstance(content, Mapping) else content:
            yield from _texts(entry)


def _with_keyword(
    table: ComponentTable, keyword: str, value: float | Path, factor: bool = False
) -> ComponentTable:
    """Return a component with another value for a keyword, or for an entry of one."""
    part = "surrogate" if table.model is table.surrogate else "analytic"
    options = copy.deepcopy(dict(table.model.options))
    at, path = options, keyword.split(".")
    for key in path[:-1]:
        at = at.setdefault(key, {})
    if factor:
        if path[-1] not in at:
            raise EnsembleError(
                f"'{table.name}' does not say what '{keyword}' is, so a factor has nothing to act "
                "on.",
                f"[components.{table.name}]",
                "Write the keyword into the case file, or give values",
            )
        at[path[-1]] = (np.asarray(at[path[-1]], float) * value).tolist()
    else:
        at[path[-1]] = value
    model = dataclasses.replace(table.model, options=options)
    return dataclasses.replace(table, **{part: model})
