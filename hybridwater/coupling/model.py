"""The coupled model: components, exchanges and a clock."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hybridwater.components.base import Component, State
from hybridwater.coupling import checkpoint, schedule
from hybridwater.coupling.assembly import common_origin, connect
from hybridwater.coupling.batches import refuse_no_batch, refuse_uneven
from hybridwater.coupling.clock import SAME, Participant, seconds, until_seconds
from hybridwater.coupling.demand import Demand
from hybridwater.coupling.exchange import Exchange, declared
from hybridwater.coupling.iteration import Iterated, Iteration
from hybridwater.coupling.learned import LearnedLink
from hybridwater.coupling.ledger import Ledger, Policy
from hybridwater.coupling.link import Link
from hybridwater.coupling.outputs import Output, Outputs, wanted_of
from hybridwater.coupling.progress import progress as show_progress
from hybridwater.coupling.record_files import suffix_of
from hybridwater.coupling.stand_ins import StandIn, StandIns
from hybridwater.coupling.stepping import Solo, refuse_standstill, step_until
from hybridwater.errors import CouplingError, nearest
from hybridwater.interruption import deferred_interrupt

if TYPE_CHECKING:
    import xarray as xr


class CoupledModel:
    """Components that run together and exchange water.

    Parameters
    ----------
    components : mapping of str to Component
        By the names that exchanges use; in the order in which they step where they depend on one
        another.
    exchanges : sequence of Exchange or mapping
        What goes from where to where; tables with the fields of
        :class:`~hybridwater.coupling.Exchange` do as well.
    demands : sequence of Demand or mapping
        Who wants water from whom; tables do as well.
    window : str or timedelta, optional
        Coupling step: how far `step` goes, and what a row of the ledger covers. The longest step of
        a component by default.
    iteration : Iteration or mapping, optional
        How cycles of exchanges are iterated; without, the exchanges that close them are lagged.
    ledger : Policy or mapping, optional
        When missing water stops the run; always by default.
    outputs : mapping of str to sequence of str, Output or mapping, optional
        Variables to keep after each step, by component; an :class:`~hybridwater.coupling.Output`,
        or a table of its fields, keeps means, sums or extremes over longer intervals.
    output_format : {"netcdf", "zarr"}
        Of the files with outputs.
    directory : path-like, optional
        Folder for ``<component>.nc`` (or ``.zarr``) with the outputs, ``ledger.nc`` and
        ``checkpoint.npz``; without, all stays in memory.
    checkpoint_every : str or timedelta, optional
        Simulated time between two checkpoints that `run` writes into the directory.
    stand_ins : mapping of str to Component or StandIn, optional
        What takes the place of a component that fails, by its name; it needs ``take_over``. A
        :class:`~hybridwater.coupling.StandIn` can also do so from a date on.
    configurations : mapping of str to str, optional
        Configuration files, handed to ``initialize`` of the components.
    copies : int
        How many runs step together: components then are those that
        :meth:`~hybridwater.components.Component.stacked` makes of those of each run. Exchanges are
        within each run, and so is the ledger. Nothing is written to files, and there is no
        checkpoint.

    Raises
    ------
    CouplingError
        If components and exchanges do not fit together, checkpoints are asked for and a component
        has no state, or several runs have what is only for one.
    """

    def __init__(
        self,
        components: Mapping[str, Component],
        exchanges: Sequence[Exchange | Mapping[str, Any]] = (),
        *,
        demands: Sequence[Demand | Mapping[str, Any]] = (),
        window: str | dt.timedelta | None = None,
        iteration: Iteration | Mapping[str, Any] | None = None,
        ledger: Policy | Mapping[str, Any] | None = None,
        outputs: Mapping[str, Sequence[str] | Output | Mapping[str, Any]] | None = None,
        output_format: Literal["netcdf", "zarr"] = "netcdf",
        directory: str | Path | None = None,
        checkpoint_every: str | dt.timedelta | None = None,
        stand_ins: Mapping[str, Component | StandIn] | None = None,
        configurations: Mapping[str, str] | None = None,
        copies: int = 1,
    ) -> None:
        if not components:
            raise CouplingError("A coupled model without components was asked for.")
        exchanges = [declared(Exchange, e) for e in exchanges]
        self.copies = copies
        if copies > 1:
            others = {
                "demands": demands,
                "cycles that are iterated": iteration,
                "stand-ins": stand_ins,
                "configuration files": configurations,
                "a directory": directory,
            }
            refuse_no_batch(exchanges, others)
        self._components = dict(components)
        files = dict(configurations or {})
        for name, component in self._components.items():
            component.initialize(files.get(name, ""))
        if copies > 1:
            refuse_uneven(self._components, copies)
        self._participants = {n: Participant(n, c, copies) for n, c in self._components.items()}
        self.origin = common_origin(self._participants)
        self._links, allocations = connect(
            self._participants,
            exchanges,
            [declared(Demand, d) for d in demands],
        )
        steps = {name: p.step for name, p in self._participants.items()}
        self._window = max(steps.values()) if window is None else seconds(window, "window")
        self._time, self._tolerance = 0.0, SAME * min(steps.values())
        groups = schedule.find_groups(list(steps), self._links)
        how = None if iteration is None else declared(Iteration, iteration)
        self._iteration = how
        cut = {link: group for group in groups for link in group.cut}
        for link in self._links:
            late = (link in cut and how is None) or link.exchange.lag not in (None, False)
            link.open(schedule.lag_of(link, cut.get(link), steps) if late else 0.0)
        self._every = (
            None if checkpoint_every is None else seconds(checkpoint_every, "checkpoint_every")
        )
        if self._every is not None and directory is None:
            self._checkpoint_path(None)
        if self._every is not None and (stateless := self.without_state):
            raise CouplingError(
                f"Checkpoints are to be written, but {', '.join(stateless)} has no state that can "
                "be taken and put back.",
                "checkpoint_every",
                "Leave it out ([restart] every in a case file), or give the component get_state "
                "and set_state",
            )
        self._files = files
        self._stand_ins = StandIns(self._participants, dict(stand_ins or {}), files, self.origin)
        policy = declared(Policy, {} if ledger is None else ledger)
        self._ledger = Ledger(
            self._participants.values(),
            policy,
            {n: c.variables for n, c in self._stand_ins.items()},
            copies,
        )
        folder, suffix = None if directory is None else Path(directory), suffix_of(output_format)
        self._ledger.begin(self._links, self.origin, folder and folder / "ledger.nc")
        self._directory = folder
        self._outputs = {
            name: Outputs(
                self._participant(name),
                wanted_of(wanted),
                self.origin,
                None if folder is None else folder / f"{name}{suffix}",
            )
            for name, wanted in (outputs or {}).items()
        }
        self._units: list[Solo | Iterated] = []
        for group in groups:
            solos = [
                Solo(
                    self._participants[name],
                    self._links,
                    self._ledger,
                    self._outputs.get(name),
                    self._stand_ins.watch(name),
                    allocations,
                )
                for name in group.members
            ]
            if how is not None and group.cut:
                self._units.append(Iterated(solos, group.cut, how))
            else:
                self._units += solos
        self._seconds = 0.0

    # ---- running

    @property
    def time(self) -> dt.datetime | float:
        """Current time: a date, or seconds since the start where no component knows dates."""
        if self.origin is None:
            return self._time
        return self.origin + dt.timedelta(seconds=self._time)

    def component(self, name: str) -> Component:
        """Return a component.

        Raises
        ------
        CouplingError
            If there is none of that name.
        """
        return self._participant(name).component

    @property
    def without_state(self) -> list[str]:
        """Components that have no state, so that there can be no checkpoint."""
        return [n for n, p in self._participants.items() if not p.component.has_state]

    def _participant(self, name: str) -> Participant:
        if name not in self._participants:
            raise CouplingError(
                f"There is no component '{name}' ({nearest(name, self._participants)})."
            )
        return self._participants[name]

    def replace(self, name: str, component: Component) -> None:
        """Put another component in the place of one, which goes on with its water.

        Parameters
        ----------
        name : str
            The component to replace.
        component : Component
            Has the same ports, and ``take_over``; it is initialized here.

        Raises
        ------
        CouplingError
            If it has not the ports that the exchanges use.
        ComponentError
            If it cannot take over all water.
        """
        self.component(name)
        self._stand_ins.put(name, component, self._links)

    def put_state(self, name: str, state: State) -> None:
        """Let a component begin with another state; the ledger begins with its water.

        Parameters
        ----------
        name : str
            The component.
        state : State
            As of its ``get_state``, changed.

        Raises
        ------
        CouplingError
            If there is none of that name, or the run has begun.
        ComponentError
            If the component does not take the state.
        """
        participant = self._participant(name)
        if self._time > self._tolerance:
            raise CouplingError(
                "The run has begun, and water would come from nowhere.",
                f"component '{name}'",
                "Put states before the first step",
            )
        participant.set_state(state)
        self._ledger.go_on(self._time, {})

    def step(self) -> None:
        """Go on by one coupling step."""
        with self._settled():
            self._advance(np.inf)

    def run(
        self,
        until: str | dt.date | dt.timedelta | np.timedelta64,
        *,
        progress: bool | None = None,
    ) -> None:
        """Run; after Ctrl-C the coupling step is finished and a checkpoint written if there can be.

        Parameters
        ----------
        until : str, date or timedelta
            A date, or a duration from now on (``"30 d"``).
        progress : bool, optional
            Whether to show a progress bar; as in the settings if left out.

        Raises
        ------
        CouplingError
            If it is neither or lies in the past.
        ComponentFailed
            If a component fails.
        LedgerError
            If water is missing, and the policy of the ledger says so.
        """
        end = until_seconds(until, self.origin, self._time)
        due = np.inf if self._every is None else self._time + self._every
        bar = show_progress(self._time, end, self.origin, progress)
        with deferred_interrupt() as interrupt, bar as report, self._settled():
            while self._time < end - self._tolerance:
                self._advance(end)
                report(self._time)
                if self._time >= due - self._tolerance:
                    self.checkpoint()
                    due = self._time + float(self._every or 0.0)
                if interrupt.asked:
                    self._stop()
        self._flush()

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        """Settle the ledger at the end; after an error write all rows, as nobody else will.

        The ledger is settled after an error too: missing water may be its cause.
        """
        try:
            yield
            self._settle()
        except BaseException:
            try:
                self._settle()
            finally:
                self._flush()
            raise

    def _settle(self) -> None:
        began = time.perf_counter()
        self._ledger.settle()
        self._seconds += time.perf_counter() - began

    def _stop(self) -> None:
        """End a run that Ctrl-C was pressed in, so that it can go on."""
        if self._directory is None:
            raise KeyboardInterrupt(f"at {self.time}; the coupled model can go on from there")
        if stateless := self.without_state:
            raise KeyboardInterrupt(
                f"at {self.time}; without a checkpoint, as {', '.join(stateless)} has no state"
            )
        raise KeyboardInterrupt(f"at {self.time}; go on with resume('{self.checkpoint()}')")

    def _advance(self, end: float) -> None:
        """Go on by a coupling step, or to the end, or to where a component is replaced."""
        began = time.perf_counter()
        near = self._time + self._tolerance
        until = min(self._time + self._window, end, self._stand_ins.step_in(near))
        if not step_until(self._units, until, self._tolerance):
            refuse_standstill(self._units, until + self._tolerance, self._time)
        self._time = until  # where the components are, also if water is missing
        self._ledger.close(until)
        self._seconds += time.perf_counter() - began

    def _flush(self) -> None:
        self._ledger.flush()
        for outputs in self._outputs.values():
            outputs.flush()

    def close(self) -> None:
        """Write and close the files of the run, and end its components, also if one raises."""
        every = (*self._components.values(), *self._stand_ins.components())
        with contextlib.ExitStack() as ends:
            for component in {id(c): c for c in every}.values():
                ends.callback(component.finalize)
            for records in (*self._outputs.values(), self._ledger.records):
                ends.callback(records.close)
            self._flush()

    # ---- checkpoints

    def checkpoint(self, path: str | Path | None = None) -> Path:
        """Write all that is needed to go on from here.

        Parameters
        ----------
        path : path-like, optional
            The file; ``checkpoint.npz`` in the directory of the run by default.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ComponentError
            If a component has no state.
        CouplingError
            If there is no directory and no path, or several runs step together.
        """
        if self.copies > 1:
            refuse_no_batch((), {"checkpoints": True})
        self._flush()
        states = {name: p.component.get_state() for name, p in self._participants.items()}
        arrays = {f"ledger/{k}": v for k, v in self._ledger.arrays().items()}
        for name, state in states.items():
            arrays |= {f"component/{name}/{k}": v for k, v in state.arrays.items()}
        for i, link in enumerate(self._links):
            arrays |= {f"exchange/{i}/{k}": v for k, v in link.arrays().items()}
        for name, outputs in self._outputs.items():
            arrays |= {f"output/{name}/{k}": v for k, v in outputs.arrays().items()}
        for i, unit in enumerate(self._units):
            if isinstance(unit, Iterated):
                arrays |= {f"cycle/{i}/{k}": v for k, v in unit.arrays().items()}
        manifest = {
            **self._case(),
            "time": self._time,
            "states": {name: dict(state.metadata) for name, state in states.items()},
            "labels": [(link.label, link.water) for link in self._links],
            "replaced": self._stand_ins.used,
            "put_in": self._stand_ins.put_in,
            "records": {name: outputs.count for name, outputs in self._outputs.items()},
            "rows": self._ledger.records.count,
        }
        return checkpoint.write(self._checkpoint_path(path), manifest, arrays)

    def resume(self, path: str | Path | None = None, *, branch: bool = False) -> None:
        """Go on from a checkpoint, as if the run had never stopped.

        Parameters
        ----------
        path : path-like, optional
            The file; ``checkpoint.npz`` in the directory of the run by default.
        branch : bool
            Whether exchanges, iteration, and outputs may differ from those of the run that wrote
            the checkpoint: a copy that goes on with a change. Totals of the ledger begin anew.

        Raises
        ------
        CouplingError
            If there is no checkpoint, or it is of another case.
        ComponentError
            If a component does not take the state.
        """
        file = self._checkpoint_path(path)
        manifest, arrays = checkpoint.read(file)
        ours = self._case()
        compared = {k: ours[k] for k in ("components",)} if branch else ours
        checkpoint.refuse_other_case(manifest, compared, file)
        self._stand_ins.use(manifest["replaced"], manifest.get("put_in", {}))
        for name, participant in self._participants.items():
            state = State(
                checkpoint.under(f"component/{name}", arrays), manifest["states"].get(name, {})
            )
            participant.set_state(state)
        self._time = float(manifest["time"])
        links = {link.label: link for link in self._links}
        for i, (label, water) in enumerate(manifest["labels"]):
            content = checkpoint.under(f"exchange/{i}", arrays)
            if label in links:
                links.pop(label).set_arrays(content)
            elif water and (len(content["times"]) or "owed" in content):
                raise CouplingError(
                    f"Water is in transit in '{label}', which this case does not have.",
                    str(file),
                    "Keep the exchange, or branch where its buffer is empty",
                )
        for link in links.values():
            link.join()
        for i, unit in enumerate(self._units):
            known = checkpoint.under(f"cycle/{i}", arrays)
            if isinstance(unit, Iterated) and known:
                unit.set_arrays(known)
        self._ledger.go_on(self._time, {} if branch else checkpoint.under("ledger", arrays))
        if not branch:
            for name, outputs in self._outputs.items():
                outputs.go_on(int(manifest["records"][name]))
                outputs.set_arrays(checkpoint.under(f"output/{name}", arrays))
            self._ledger.records.go_on(int(manifest["rows"]))

    def _checkpoint_path(self, path: str | Path | None) -> Path:
        if path is None and self._directory is None:
            raise CouplingError(
                "There is no directory for the checkpoint.",
                fix="Give the model a directory, or name the file",
            )
        return Path(path) if path is not None else self._directory / "checkpoint.npz"  # type: ignore[operator]

    def _case(self) -> dict[str, Any]:
        """Return what tells this case from others."""
        return {
            "components": list(self._participants),
            "start": None if self.origin is None else self.origin.isoformat(),
            "exchanges": sorted(checkpoint.describe(link) for link in self._links),
            "iteration": repr(self._iteration),
            "window": self._window,
            "outputs": [outputs.label for outputs in self._outputs.values()],
            "stand_ins": [f"{name} from {at:g} s" for name, at in self._stand_ins.dates()],
        }

    # ---- results

    def ledger(self) -> xr.Dataset:
        """Return the ledger.

        Returns
        -------
        xarray.Dataset
            One row per coupling step (without a directory: since the run was started or resumed),
            and totals; all in kg. Dimensions ``time``, ``component``, ``exchange`` and ``flux``,
            and first ``copy`` where several runs step together.
        """
        return self._ledger.to_dataset()

    @property
    def iterations(self) -> dict[str, list[int]]:
        """Passes of each window so far, by the cycle of components that is iterated."""
        return {
            ", ".join(unit.names): unit.counts for unit in self._units if isinstance(unit, Iterated)
        }

    @property
    def links(self) -> tuple[Link, ...]:
        """The exchanges as they are connected, in the order of their declaration."""
        return tuple(self._links)

    @property
    def fallbacks(self) -> dict[str, tuple[int, int]]:
        """How often each learned exchange was as its baseline, and how often at all.

        Exchanges count steps; components that are learned exchanges count cells times steps.
        """
        moments = [(k.label, k.remap.moment) for k in self._links if isinstance(k, LearnedLink)]
        counts = {label: (moment.fallbacks, moment.calls) for label, moment in moments}
        for name, participant in self._participants.items():
            if (count := participant.component.fallbacks) is not None:
                counts[f"{name}, cell by cell"] = count
        return counts

    def output(self, component: str) -> xr.Dataset:
        """Return the outputs of a component.

        Returns
        -------
        xarray.Dataset
            Dimensions ``time`` (start of each step of the component) and its cells, in a batch
            those of one run after the other. Those in a file are read when they are used.

        Raises
        ------
        CouplingError
            If no outputs of it were asked for.
        """
        if component not in self._outputs:
            hint = nearest(component, self._outputs)
            raise CouplingError(
                f"No outputs of '{component}' were asked for ({hint}).",
                fix="Name them: outputs = {component: [variables]}",
            )
        return self._outputs[component].to_dataset()

    @property
    def seconds(self) -> dict[str, float]:
        """Time on this computer [s]: of each component, and of all the rest as ``"coupling"``."""
        spent = {name: p.seconds for name, p in self._participants.items()}
        return {**spent, "coupling": self._seconds - sum(spent.values())}
