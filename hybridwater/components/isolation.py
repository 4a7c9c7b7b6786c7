"""A component in a process of its own: one that hangs or dies takes nothing else with it."""

from __future__ import annotations

import contextlib
import datetime as dt
import multiprocessing
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from hybridwater.components.base import Component, State
from hybridwater.components.forwarding import BY_VARIABLE, hand_on
from hybridwater.components.registry import get_component
from hybridwater.errors import ComponentFailed, HybridwaterError

# Bytes that a pipe takes without anyone reading; what is more is watched by a thread, which costs a
# millisecond, and is announced by an empty message if it is a reply.
_ROOM = 2**16 if sys.platform == "linux" else 2**12
_LONG = b""

_Passed = TypeVar("_Passed")


class _Call:
    """A call of the process, and the time until which all of its answer must be here."""

    def __init__(self, method: str, arguments: tuple[Any, ...], timeout: float) -> None:
        self.method, self.arguments, self.timeout = method, arguments, timeout
        self._deadline = time.monotonic() + timeout

    @property
    def left(self) -> float:
        """Seconds until then, at least 0."""
        return max(self._deadline - time.monotonic(), 0.0)


class _Reply(NamedTuple):
    """What the process answers: a result or an error, arrays that were filled, and the time."""

    result: Any
    error: Exception | None
    filled: tuple[Any, ...]
    time: float


def _remote(self: IsolatedComponent, method: str, *arguments: Any) -> Any:
    return self._ask(method, *arguments)


@hand_on(_remote)
class IsolatedComponent(Component):
    """A component, or any BMI model, in its own spawned process.

    Scripts that use it need the usual ``if __name__ == "__main__":`` of multiprocessing. Pointers
    into another process do not exist: use `get_value`.

    Parameters
    ----------
    target : str
        Name of a component, or ``"module:Class"``.
    timeout : float
        Seconds that a call may take, until the last byte of its answer.
    start_timeout : float
        Seconds that the start and the initialization may take.
    options : mapping, optional
        Keywords of the component's constructor; they must be picklable.
    folders : sequence of str
        Where the process looks for modules, before all other places.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 600.0,
        start_timeout: float = 600.0,
        options: Mapping[str, Any] | None = None,
        folders: Sequence[str] = (),
    ) -> None:
        self.target, self._options, self._folders = target, dict(options or {}), list(folders)
        self._timeout, self._start_timeout = timeout, start_timeout
        self._process: Any = None
        self._pipe: Connection | None = None
        self._time = float("nan")
        self.variables = ()

    # ---- life

    def get_component_name(self) -> str:  # noqa: D102 - BMI documents its own methods
        return self._ask("get_component_name") if self._alive() else self.target

    def initialize(self, config_file: str = "") -> None:
        """Start the process, anew if there is none, and initialize the component in it.

        Raises
        ------
        ComponentFailed
            If it does not answer in time, or dies.
        """
        if not self._alive():
            self._end()
            self._start()
        self._ask("initialize", config_file, timeout=self._start_timeout)
        for name in ("variables", "has_state", "has_storage", "checks_outputs", "engine"):
            setattr(self, name, self._ask(name, timeout=self._start_timeout))

    def finalize(self) -> None:
        """End the component and its process."""
        if self._alive():
            self._ask("finalize")
        self._end()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, self.target, self._options, self._folders),
            name=f"component {self.target}",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._receive(_Call("start", (), self._start_timeout))

    def _alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(1.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._pipe = self._process = None

    # ---- calls

    def _ask(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        call = _Call(method, arguments, timeout or self._timeout)
        if self._pipe is None:
            raise ComponentFailed(
                f"The process of the component is not running, so '{method}' cannot be asked.",
                self._where(call),
                "Call initialize(), then set_state with the last checkpoint",
            )
        self._send(call)
        reply = self._receive(call)
        if not method.startswith("set_"):
            for mine, theirs in zip(arguments, reply.filled, strict=True):
                if isinstance(mine, np.ndarray):
                    mine[...] = theirs
                    if reply.result is None:
                        return mine
        return reply.result

    def _send(self, call: _Call) -> None:
        pipe = self._pipe
        assert pipe is not None
        message = ForkingPickler.dumps((call.method, call.arguments))
        if len(message) > _ROOM:
            self._watched(call, lambda: pipe.send_bytes(message))
            return
        try:
            pipe.send_bytes(message)
        except OSError:
            self._died(call)

    def _receive(self, call: _Call) -> _Reply:
        pipe = self._pipe
        assert pipe is not None
        try:
            if not pipe.poll(call.left):
                self._process.kill()
                self._overdue(call)
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            self._died(call)
        if message == _LONG:
            message = self._watched(call, pipe.recv_bytes)
        reply: _Reply = pickle.loads(message)
        self._time = reply.time
        if reply.error is not None:
            raise reply.error
        return reply

    def _watched(self, call: _Call, transfer: Callable[[], _Passed]) -> _Passed:
        """Do a transfer that may block; a process that does not do its part in time is ended."""
        process, late = self._process, threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()  # which ends the waiting

        watch = threading.Timer(call.left, give_up)
        watch.daemon = True
        watch.start()
        try:
            passed = transfer()
            if not late.is_set():
                return passed
        except (EOFError, OSError):
            if not late.is_set():
                self._died(call)
        finally:
            watch.cancel()
        self._overdue(call)

    def _overdue(self, call: _Call) -> NoReturn:
        self._end()
        raise ComponentFailed(
            f"The component did not answer '{call.method}' within {call.timeout:g} s, and its "
            "process was ended.",
            self._where(call),
            "Go on from the last checkpoint, with a longer timeout if it needs the time",
        )

    def _died(self, call: _Call) -> NoReturn:
        self._process.join(5.0)
        code = self._process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        self._end()
        raise ComponentFailed(
            f"The process of the component died in '{call.method}' ({how}).",
            self._where(call),
            "Go on from the last checkpoint: initialize(), then set_state",
        ) from None

    def _where(self, call: _Call) -> str:
        of = f", variable '{call.arguments[0]}'" if call.method in BY_VARIABLE else ""
        return f"component '{self.target}'{of}, time {self._time:g}"

    # ---- what BMI lacks

    @property
    def origin(self) -> dt.datetime | None:
        """Date of time zero, or None."""
        return self._ask("origin")

    def get_state(self) -> State:  # noqa: D102
        return self._ask("get_state")

    def set_state(self, state: State) -> None:  # noqa: D102
        self._ask("set_state", state)

    def storage(self) -> dict[str, np.ndarray]:  # noqa: D102
        return self._ask("storage")

    def boundary_fluxes(self) -> dict[str, np.ndarray]:  # noqa: D102
        return self._ask("boundary_fluxes")

    def mesh(self, grid: int) -> Any | None:  # noqa: D102
        return self._ask("mesh", grid)

    def get_value_ptr(self, name: str) -> np.ndarray:
        """Refuse: there are no pointers into another process."""
        raise NotImplementedError(f"'{self.target}' runs in its own process: use get_value")


def _serve(pipe: Connection, target: str, options: dict[str, Any], folders: list[str]) -> None:
    """Host a component: answer calls until the other end closes."""
    sys.path[:0] = folders
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
    component: Component | None = None
    error: Exception | None = None
    try:
        component = get_component(target)(**options)
    except Exception as problem:  # told to the parent, whatever it is
        error = _portable(problem, "start", target)
    _reply(pipe, _Reply(None, error, (), float("nan")))
    while component is not None:
        try:
            method, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        _reply(pipe, _answer(component, method, arguments))


def _reply(pipe: Connection, reply: _Reply) -> None:
    message = ForkingPickler.dumps(reply)
    if len(message) > _ROOM:
        pipe.send_bytes(_LONG)
    pipe.send_bytes(message)


def _answer(component: Component, method: str, arguments: tuple[Any, ...]) -> _Reply:
    result, error = None, None
    try:
        found = getattr(component, method)
        result = found(*arguments) if callable(found) else found
    except Exception as problem:  # told to the parent, whatever it is
        error = _portable(problem, method, component.get_component_name())
    now = float("nan")
    with contextlib.suppress(Exception):  # not every model knows the time at any time
        now = float(component.get_current_time())
    filled = tuple(a if isinstance(a, np.ndarray) else None for a in arguments)
    if any(result is a for a in filled if a is not None):
        result = None  # the filled array says it all
    return _Reply(result, error, filled, now)


def _portable(problem: Exception, method: str, component: str) -> Exception:
    if isinstance(problem, HybridwaterError):
        return problem
    return ComponentFailed(
        f"The model raised {type(problem).__name__} in {method}: {problem}",
        f"component '{component}'",
    )
