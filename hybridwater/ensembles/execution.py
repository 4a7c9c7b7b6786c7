"""Where batches of members run: in this process, in others, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from hybridwater.ensembles.design import Member
from hybridwater.ensembles.simulators import Batch, Simulator
from hybridwater.errors import EnsembleError, MissingDependency

_PATIENCE = "10s"  # with a cluster that does not answer
_GUARD = "in a script, what runs must be below: if __name__ == '__main__':"

#: Number of a batch and its members.
Work = tuple[int, Sequence[Member]]


def run_batch(simulator: Simulator, members: Sequence[Member], retries: int) -> Batch:
    """Run a batch; where it raises, run its members one by one, each as often as allowed."""
    import xarray as xr

    for attempt in range(retries + 1):
        try:
            return simulator.simulate(members)
        except Exception as error:
            if len(members) > 1:
                break
            if attempt == retries:
                return Batch(None, {members[0].number: f"{type(error).__name__}: {error}"})
    alone = [run_batch(simulator, [member], retries) for member in members]
    failures = {n: why for batch in alone for n, why in batch.failures.items()}
    data = [batch.data for batch in alone if batch.data is not None]
    if not data:
        return Batch(None, failures)
    whole = xr.concat(data, "member", data_vars="minimal", coords="minimal", compat="override")
    return Batch(whole.reindex(member=[m.number for m in members]), failures)


def run_here(
    simulator: Simulator, work: Iterable[Work], retries: int
) -> Iterator[tuple[int, Batch]]:
    """Run batches in this process, one after the other."""
    for number, members in work:
        yield number, run_batch(simulator, members, retries)


_MINE: dict[str, Any] = {}


def _begin(simulator: Simulator) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    _MINE["simulator"] = simulator


def _run(members: Sequence[Member], retries: int) -> Batch:
    return run_batch(_MINE["simulator"], members, retries)


def _executor(simulator: Simulator) -> ProcessPoolExecutor:
    """Return one process of its own, so that it is known what ran in one that dies."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=_begin, initargs=(simulator,))


def run_processes(
    simulator: Simulator, work: Iterable[Work], retries: int, processes: int
) -> Iterator[tuple[int, Batch]]:
    """Run batches in other processes; a batch whose process died runs again in a new one."""
    left = iter(work)
    busy: dict[Future[Batch], tuple[ProcessPoolExecutor, Work, int]] = {}

    def give(executor: ProcessPoolExecutor, task: Work | None, attempt: int) -> None:
        if task is None:
            executor.shutdown()
        else:
            busy[executor.submit(_run, task[1], retries)] = executor, task, attempt

    try:
        for task in itertools.islice(left, processes):
            give(_executor(simulator), task, 0)
        while busy:
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                executor, task, attempt = busy.pop(future)
                try:
                    batch = future.result()
                except BrokenProcessPool:
                    executor.shutdown(wait=False)
                    executor = _executor(simulator)
                    if attempt < retries:
                        give(executor, task, attempt + 1)
                        continue
                    batch = _died(task, f"Its process died {attempt + 1} times; {_GUARD}")
                give(executor, next(left, None), 0)
                yield task[0], batch
    finally:
        for executor, _, _ in busy.values():
            for process in list((executor._processes or {}).values()):
                process.terminate()
            executor.shutdown(wait=False, cancel_futures=True)


def run_dask(
    simulator: Simulator, work: Iterable[Work], retries: int, address: str
) -> Iterator[tuple[int, Batch]]:
    """Run batches on a Dask cluster that is there already.

    Raises
    ------
    MissingDependency
        If the package distributed is not installed.
    EnsembleError
        If the cluster does not answer, has no worker, or its scheduler is lost.
    """
    try:
        import distributed  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependency(
            "A Dask cluster needs the package 'distributed', which is not installed.",
            fix='pip install "hybridwater[cluster]"',
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            # Any: its types know only the asynchronous half of every method
            # not the default: files here would then be locked through a scheduler that may be lost
            made = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
            client: Any = stack.enter_context(made)
            client.wait_for_workers(1, timeout=30)
        except (OSError, TimeoutError, ValueError) as error:
            raise EnsembleError(
                f"The Dask cluster does not answer, or has no worker ({error or 'time is up'}).",
                address,
                "Start it: 'dask scheduler', and 'dask worker ADDRESS' on every machine",
            ) from error
        ahead = 2 * sum(client.nthreads().values())
        there = client.scatter(simulator, broadcast=True, hash=False)
        left = iter(work)
        tasks: dict[Any, Work] = {}
        finished = distributed.as_completed(with_results=False, loop=client.loop)

        def give(task: Work) -> None:
            future = client.submit(run_batch, there, task[1], retries, pure=False, retries=retries)
            tasks[future.key] = task
            finished.add(future)

        for task in itertools.islice(left, ahead):
            give(task)
        try:
            for future in finished:
                task = tasks.pop(future.key)
                try:
                    batch = future.result()
                except Exception as error:
                    if future.cancelled() or client.status != "running":
                        raise EnsembleError(
                            "The scheduler of the Dask cluster was lost; finished members stay.",
                            address,
                            "Start it and its workers again, and resume",
                        ) from error
                    # a worker died time and again, for one
                    batch = _died(task, f"The cluster gave it up ({error})")
                future.release()
                for new in itertools.islice(left, 1):
                    give(new)
                yield task[0], batch
        finally:
            if client.status == "running":
                client.cancel(finished.futures)


def _died(task: Work, why: str) -> Batch:
    return Batch(None, {member.number: f"{why}." for member in task[1]})


def run_work(
    simulator: Simulator, work: Iterable[Work], retries: int, workers: int | str
) -> Iterator[tuple[int, Batch]]:
    """Run batches, in any order.

    Parameters
    ----------
    simulator : Simulator
        What runs them.
    work : iterable
        Batches by number.
    retries : int
        How often a member that raised, or a batch whose process died, runs again.
    workers : int or str
        Number of processes, 1 for this one; or the address of a Dask scheduler.

    Yields
    ------
    int, Batch
        Number and result.
    """
    if isinstance(workers, str):
        return run_dask(simulator, work, retries, workers)
    if workers < 1:
        raise EnsembleError(f"{workers} processes were asked for.", fix="Ask for one or more")
    if workers == 1:
        return run_here(simulator, work, retries)
    return run_processes(simulator, work, retries, workers)
