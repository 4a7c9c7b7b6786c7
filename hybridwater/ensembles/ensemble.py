"""An ensemble: what runs, what is uncertain, and how members are drawn."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

import hybridwater
from hybridwater.ensembles.design import Design, Draw, Member, seed_of
from hybridwater.ensembles.execution import Work, run_work
from hybridwater.ensembles.progress import progress as show_progress
from hybridwater.ensembles.simulators import Simulator
from hybridwater.ensembles.sources import Source, decided
from hybridwater.ensembles.store import Store
from hybridwater.errors import EnsembleError, nearest

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)

_TOLD = 10  # failures that are told one by one
_HOPELESS = 8  # members that fail before any other is done, after which no more are tried


class Ensemble:
    """Many runs of one thing, each with its own draw of what is uncertain.

    Parameters
    ----------
    simulator : Simulator
        What runs, for example a :class:`ModelSimulator`.
    sources : mapping of str to Source
        What is uncertain, by names of your choice; the draws depend on them.
    design : Design
        How members are drawn.
    off : collection of str
        Sources that are switched off: they stay as they are without their error, and the draws of
        the others do not change.

    Raises
    ------
    EnsembleError
        If a source names what there is not, two decide the same, or all are switched off.
    """

    def __init__(
        self,
        simulator: Simulator,
        sources: Mapping[str, Source],
        design: Design | None = None,
        *,
        off: Collection[str] = (),
    ) -> None:
        for name in off:
            if name not in sources:
                raise EnsembleError(f"There is no source '{name}' ({nearest(name, sources)}).")
        self.sources = dict(sources)
        self.design = Design() if design is None else design
        self.active = [name for name in sources if name not in off]
        if not self.active:
            raise EnsembleError("Nothing is uncertain: no source is switched on.")
        owners: dict[str, str] = {}
        for name in self.active:
            for what in sorted(decided(sources[name])):
                if owners.setdefault(what, name) != name:
                    raise EnsembleError(
                        f"The {what} is decided by two sources, '{owners[what]}' and '{name}'.",
                        fix="Name it in one of them, or switch one off",
                    )
        self.simulator = simulator.bind({name: sources[name] for name in self.active})
        self._rows = self.design.rows(len(self.active))
        counts = [s.columns for s in self.sources.values()]
        edges = np.cumsum([0, *counts])
        self._uniforms = self.design.uniforms(int(edges[-1]))
        self._columns = {name: slice(*edges[i : i + 2]) for i, name in enumerate(self.sources)}

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)} members: {', '.join(self.active)}>"

    def member(self, number: int) -> Member:
        """Return the draws of one member.

        Raises
        ------
        EnsembleError
            If there is none of that number.
        """
        if not 0 <= number < len(self):
            raise EnsembleError(f"There is no member {number}, only 0 to {len(self) - 1}.")
        draws = {
            name: Draw(
                int(row),
                self._uniforms[row, self._columns[name]],
                seed_of(self.design.seed, name, int(row)),
            )
            for name, row in zip(self.active, self._rows[number], strict=True)
        }
        return Member(number, draws)

    def run(
        self,
        path: str | Path,
        *,
        workers: int | str = 1,
        failed: Literal["stop", "leave_out"] = "stop",
        retries: int = 1,
        resume: bool = False,
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Run all members and write them into one file.

        Every batch is kept as soon as it is done. After Ctrl-C, or a crash, ``resume`` runs only
        what is missing, and the file is the same as if nothing had happened.

        Parameters
        ----------
        path : path-like
            NetCDF file to write, or a Zarr store if the name ends in ``.zarr``.
        workers : int or str
            Number of processes, 1 for this one; or the address of the scheduler of a Dask cluster.
        failed : {"stop", "leave_out"}
            Whether members that failed end in an error, once all others are done, or are NaN in the
            file, with the reason in its variable ``failure``.
        retries : int
            How often a member that raised, or a batch whose process died, is run again with the
            same draws. A solver that fails does so again, and is not run again.
        resume : bool
            Whether to go on with an ensemble that was interrupted; one that is done is opened.
        progress : bool, optional
            Whether to show a progress bar; as in the settings if left out.

        Returns
        -------
        xarray.Dataset
            With the dimension ``member``; read when it is used. ``draw`` (member, source) says
            which draw of each source a member has.

        Raises
        ------
        EnsembleError
            If there is an ensemble already, or members failed.
        MissingDependency
            If Dask's scheduler or Zarr is wanted and not installed.
        """
        if failed not in ("stop", "leave_out"):
            raise EnsembleError(
                f"failed='{failed}' is not known ({nearest(failed, ['stop', 'leave_out'])})."
            )
        store = Store(Path(path))
        manifest = self._manifest()
        if resume and store.finished(manifest):
            return store.open()
        store.begin(manifest, resume)
        done = {n: store.failures(n) for n in store.numbers()}
        if failed == "stop":
            done = {n: failures for n, failures in done.items() if not failures}
        kept = sum(len(self._batch(n)) for n in done)
        lost = {k: why for failures in done.values() for k, why in failures.items()}
        work = self._work(set(done))
        with show_progress(len(self), kept, progress) as report:
            try:
                for number, batch in run_work(self.simulator, work, retries, workers):
                    store.put(number, batch)
                    lost |= batch.failures
                    kept += len(self._batch(number))
                    report(len(self._batch(number)), len(lost))
                    if failed == "stop" and len(lost) == kept >= _HOPELESS:
                        break
            except KeyboardInterrupt:
                finished = sum(len(self._batch(n)) for n in store.numbers())
                raise KeyboardInterrupt(
                    f"{finished} of {len(self)} members are done; resume goes on from there"
                ) from None
        self._answer(lost, failed)
        store.assemble(self._coordinates(lost), self._attributes())
        return store.open()

    def _batch(self, number: int) -> range:
        size = self.simulator.batch
        return range(number * size, min((number + 1) * size, len(self)))

    def _work(self, done: set[int]) -> Iterator[Work]:
        for number in range(-(-len(self) // self.simulator.batch)):
            if number not in done:
                yield number, [self.member(i) for i in self._batch(number)]

    def _answer(self, lost: dict[int, str], failed: str) -> None:
        for number in sorted(lost)[:_TOLD]:
            logger.warning("%s failed: %s", self.member(number), lost[number])
        if len(lost) > _TOLD:
            logger.warning("%d more members failed", len(lost) - _TOLD)
        if lost and failed == "stop":
            first = self.member(min(lost))
            named = ", ".join(map(str, sorted(lost)[:10])) + (", ..." if len(lost) > 10 else "")
            raise EnsembleError(
                f"{len(lost)} of {len(self)} members failed ({named}); finished ones are kept. The "
                f"first, with the seed {self.design.seed}: {first}: {lost[first.number]}",
                fix="Mend the reason and resume, or leave such members out: failed='leave_out'",
            )

    def _manifest(self) -> dict[str, object]:
        return {
            "members": len(self),
            "batch": self.simulator.batch,
            "design": repr(self.design),
            "sources": {name: str(self.sources[name]) for name in self.active},
            "order": list(self.sources),
            "simulator": self.simulator.fingerprint(),
        }

    def _coordinates(self, lost: dict[int, str]) -> xr.Dataset:
        import xarray as xr

        reasons = np.array([lost.get(i, "") for i in range(len(self))], dtype=object)
        told = {"long_name": "why the member is missing; empty if it is there"}
        which = {"long_name": "which draw of the source the member has", "units": "1"}
        return xr.Dataset(
            {
                "draw": (("member", "source"), self._rows.astype(np.int32), which),
                "failure": ("member", reasons, told),
            },
            {"member": np.arange(len(self)), "source": self.active},
        )

    def _attributes(self) -> dict[str, str]:
        return {
            "title": f"ensemble of {len(self)} members",
            "design": repr(self.design),
            "uncertain": "; ".join(f"{n}: {self.sources[n]}" for n in self.active),
            "source": f"hybridwater {hybridwater.__version__}",
        }
