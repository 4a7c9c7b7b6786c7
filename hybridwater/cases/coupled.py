"""A coupled case: components, their exchanges and their forcing, ready to run."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np

from hybridwater.cases.component_tables import ComponentTable
from hybridwater.cases.forcing_tables import ForcingTable
from hybridwater.cases.mesh_tables import MeshTable
from hybridwater.cases.training_table import Training
from hybridwater.coupling import (
    CoupledModel,
    Demand,
    Exchange,
    Iteration,
    Learned,
    Output,
    Policy,
)
from hybridwater.errors import CaseError
from hybridwater.files import write_bytes

if TYPE_CHECKING:
    import datetime as dt

    from hybridwater.report.graph import Edge, Node


Declared = TypeVar("Declared", Exchange, Demand, Learned)


@dataclass(frozen=True)
class IndexFile:
    """A remap that is the index of the target cell of each source cell, in a NetCDF file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    variable : str
        Its variable, shape (n_source,): counted from zero, -1 for none.
    """

    path: Path
    variable: str

    def read(self) -> np.ndarray:
        """Read the index.

        Raises
        ------
        DataError, CaseError
            If there is none.
        """
        from hybridwater.errors import nearest
        from hybridwater.files import open_netcdf

        with open_netcdf(self.path, CaseError, lazy=True) as data:
            if self.variable not in data:
                raise CaseError(
                    f"There is no variable '{self.variable}' "
                    f"({nearest(self.variable, map(str, data.variables))}).",
                    str(self.path),
                )
            return data[self.variable].values.astype(int)


class _Named(NamedTuple):
    """A component that is not made yet."""

    name: str


class _Ends(NamedTuple):
    """An exchange between components that are not made yet."""

    source: _Named
    target: _Named
    exchange: Exchange


@dataclass(frozen=True)
class CoupledCase:
    """What the case file of a coupled run says, checked.

    Parameters
    ----------
    path : pathlib.Path
        The case file.
    name : str
        What the run is called.
    meshes : mapping of str to MeshTable
        Meshes that components name.
    forcing : mapping of str to ForcingTable
        Records that drive components.
    components : mapping of str to ComponentTable
        In the order in which they step where they depend on one another.
    exchanges : tuple of Exchange
        What goes from where to where.
    demands : tuple of Demand
        What is wanted from where, and had.
    start : str or None
        Date of time zero, for the components that have one.
    end : str
        A date, or a duration from the start.
    window : str or None
        Coupling step.
    ledger : Policy
        When missing water stops the run.
    iteration : Iteration or None
        How cycles of exchanges are iterated.
    outputs : mapping of str to Output
        Variables to write, by component.
    output_format : str
        ``"netcdf"`` or ``"zarr"``.
    directory : pathlib.Path
        Run directory.
    report : bool
        Whether to write the report after the run.
    checkpoint_every : str or None
        Simulated time between two checkpoints.
    training : Training or None
        How learned exchanges are trained.
    """

    path: Path
    name: str
    meshes: Mapping[str, MeshTable]
    forcing: Mapping[str, ForcingTable]
    components: Mapping[str, ComponentTable]
    exchanges: tuple[Exchange, ...]
    demands: tuple[Demand, ...]
    start: str | None
    end: str
    window: str | None
    ledger: Policy
    iteration: Iteration | None
    outputs: Mapping[str, Output]
    output_format: Literal["netcdf", "zarr"]
    directory: Path
    report: bool
    checkpoint_every: str | None
    training: Training | None = None

    def build(self, directory: str | Path | None = None) -> CoupledModel:
        """Read the data, and make meshes, components and the coupled model.

        Parameters
        ----------
        directory : path-like, optional
            Where it writes; without, all stays in memory.

        Returns
        -------
        CoupledModel

        Raises
        ------
        HybridwaterError
            If something cannot be read or made, or does not fit together.
        """
        meshes = self.meshes_made()
        return CoupledModel(
            {name: table.make(self.start, meshes) for name, table in self.parts.items()},
            self.exchanges_read(),
            demands=[_with_index(demand, "cells") for demand in self.demands],
            window=self.window,
            iteration=self.iteration,
            ledger=self.ledger,
            outputs=self.outputs,
            output_format=self.output_format,
            directory=directory,
            checkpoint_every=None if directory is None else self.checkpoint_every,
            stand_ins={
                name: stand_in
                for name, table in self.components.items()
                if (stand_in := table.make_stand_in(self.start, meshes)) is not None
            },
            configurations={
                name: table.configuration
                for name, table in self.components.items()
                if table.configuration
            },
        )

    @property
    def parts(self) -> dict[str, ForcingTable | ComponentTable]:
        """What is made a component of: forcing, then components."""
        return {**self.forcing, **self.components}

    def meshes_made(self) -> dict[str, Any]:
        """Make the meshes that forcing and components name.

        Raises
        ------
        HybridwaterError
            If one cannot be read or made.
        """
        used = {f.mesh for f in self.forcing.values()}
        for component in self.components.values():
            for model in (component.analytic, component.surrogate):
                used |= set(model.meshes.values()) if model else set()
        return {name: table.make() for name, table in self.meshes.items() if name in used}

    def exchanges_read(self) -> list[Exchange]:
        """Return the exchanges, with the indices that they name in files.

        Raises
        ------
        DataError, CaseError
            If there are none.
        """
        found = [_with_index(exchange, "remap") for exchange in self.exchanges]
        return [
            dataclasses.replace(e, learned=_with_index(e.learned, "baseline"))
            if isinstance(e.learned, Learned)
            else e
            for e in found
        ]

    def graph(self) -> tuple[list[Node], list[Edge]]:
        """Return components and exchanges for `hybridwater.report.coupling_graph`."""
        from hybridwater.report.graph import Edge, Node

        nodes = [
            Node(name, f"records: {table.table.content['source']}", "records")
            for name, table in self.forcing.items()
        ]
        for name, table in self.components.items():
            kind = table.model.kind
            own = kind == "surrogate" or table.use == "surrogate"
            title = f"{kind} of {table.analytic.kind}" if kind != table.analytic.kind else kind
            nodes.append(Node(name, title, "surrogate" if own else "analytic"))
        order, late = self._order([n.name for n in nodes])
        pairs: dict[tuple[str, str], tuple[list[str], bool]] = {}
        for exchange in self.exchanges:
            source, _, variable = exchange.source.partition(".")
            key = source, exchange.target.partition(".")[0]
            labels, was = pairs.get(key, ([], True))
            pairs[key] = [*labels, variable], was and exchange in late
        for demand in self.demands:
            consumer, _, wanted = demand.demand.partition(".")
            supply, _, had = demand.supply.partition(".")
            for key, label in (((consumer, supply), wanted), ((supply, consumer), had)):
                labels, _ = pairs.get(key, ([], True))
                pairs[key] = [*labels, label], order.index(key[0]) >= order.index(key[1])
        edges = [Edge(*ends, tuple(found), at) for ends, (found, at) in pairs.items()]
        return sorted(nodes, key=lambda n: order.index(n.name)), edges

    def _order(self, names: list[str]) -> tuple[list[str], list[Exchange]]:
        """Return names with sources before targets, and the exchanges that go against it."""
        from hybridwater.coupling.schedule import find_groups

        ends = [
            _Ends(_Named(e.source.partition(".")[0]), _Named(e.target.partition(".")[0]), e)
            for e in self.exchanges
        ]
        groups = find_groups(names, ends)  # type: ignore[arg-type]
        cut = [link.exchange for group in groups for link in group.cut]
        late = [e for e in self.exchanges if e in cut or e.lag not in (None, False)]
        return [name for group in groups for name in group.members], late

    def run(
        self,
        *,
        directory: str | Path | None = None,
        restart: str | Path | None = None,
        until: str | dt.date | None = None,
        progress: bool | None = None,
    ) -> CoupledModel:
        """Run the case, and write outputs, ledger, last checkpoint and a copy of the case file.

        There is no checkpoint, and a warning says so, if a component has no state.

        Parameters
        ----------
        directory : path-like, optional
            Run directory, if another one than the case file says.
        restart : path-like, optional
            Checkpoint to go on from.
        until : str or date, optional
            End, if another one than the case file says: a date, or a duration from the start.
        progress : bool, optional
            Whether to show a progress bar; as in the settings if left out.

        Returns
        -------
        CoupledModel

        Raises
        ------
        CaseError
            If the run directory holds a run that is not gone on with.
        HybridwaterError
            As `build` and `CoupledModel.run`.
        """
        folder = self.directory if directory is None else Path(directory)
        if restart is None and (folder / "ledger.nc").exists():
            raise CaseError(
                "There is a run in this folder already.",
                str(folder),
                f"Go on with it: --restart {folder / 'checkpoint.npz'}; or name another folder "
                "with --out, or remove this one",
            )
        model = self.build(folder)
        if restart is not None:
            model.resume(restart)
        write_bytes(folder / "case.toml", self.path.read_bytes())
        model.run(self.end_of(model, until), progress=progress)
        if model.without_state:
            warnings.warn(
                f"No checkpoint is written, as {', '.join(model.without_state)} has no state that "
                "can be taken and put back: this run cannot be gone on with.",
                stacklevel=2,
            )
        else:
            model.checkpoint()
        return model

    def end_of(self, model: CoupledModel, until: Any = None) -> Any:
        """Return the end of the run as a date, or as the duration that is left.

        Parameters
        ----------
        model : CoupledModel
            May have run already.
        until : str or date, optional
            End, if another one than the case file says.
        """
        from hybridwater.coupling.clock import until_seconds

        end = until_seconds(self.end if until is None else until, model.origin, 0.0)
        now = model.time
        if model.origin is not None:
            now = (now - model.origin).total_seconds()  # type: ignore[operator]
        return np.timedelta64(round((end - float(now)) * 1e6), "us")  # type: ignore[arg-type]


def _with_index(edge: Declared, field: str) -> Declared:
    """Read the index that a field of an exchange or a demand names."""
    index = getattr(edge, field)
    if not isinstance(index, IndexFile):
        return edge
    return dataclasses.replace(edge, **{field: index.read()})
