"""Ctrl-C during a call into Julia.

While Python's main thread is inside Julia, no Python code can run that would answer Ctrl-C, and
an exception thrown into Julia at a random place can leave it unusable. So the stop is asked for:
the C part of Python's signal handler writes the number of each signal to a file, which Julia has
mapped into memory. ``HybridWater.check_interrupt()`` looks at one byte of it and ends the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import tempfile
import threading
from collections.abc import Iterator

# Signals of other kinds are written too, one byte each; this is enough for a timer at 100 Hz over
# ten minutes. Beyond it Ctrl-C waits for the end of the call.
_SIZE = 1 << 16


class Bell:
    """A file that is written by signals, and read by Julia as memory."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._file = os.memfd_create("hybridwater-interrupt")
        else:
            with tempfile.TemporaryFile(buffering=0) as file:
                self._file = os.dup(file.fileno())
        os.write(self._file, bytes(_SIZE))
        if hasattr(os, "set_blocking"):  # or Python refuses it as a place to write signals to
            os.set_blocking(self._file, False)
        self._page = mmap.mmap(self._file, _SIZE)
        self.clear()

    @property
    def address(self) -> int:
        """Where Julia finds the bytes."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._page))

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return _SIZE

    @property
    def signals(self) -> bytes:
        """The signals since the last `clear`, a number each."""
        return self._page[: os.lseek(self._file, 0, os.SEEK_CUR)]

    @property
    def rung(self) -> bool:
        """Whether the call that is under way was asked to end."""
        return signal.SIGINT in self.signals

    def clear(self) -> None:
        """Forget all signals; only between calls."""
        used = min(os.lseek(self._file, 0, os.SEEK_CUR), _SIZE)
        self._page[:used] = bytes(used)
        os.lseek(self._file, 0, os.SEEK_SET)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Let Ctrl-C ring, and raise KeyboardInterrupt once the block has ended.

        Only in the main thread, and only if Ctrl-C raises KeyboardInterrupt as it does by
        default: another handler decides for itself, when the call is over.
        """
        by_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if not by_default or threading.current_thread() is not threading.main_thread():
            yield
            return
        interrupted: list[int] = []
        other = signal.set_wakeup_fd(self._file)
        try:
            # Not raised inside, where it would fall between this handler and the next line.
            signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))
            try:
                yield
            finally:
                signal.signal(signal.SIGINT, signal.default_int_handler)
        finally:
            signal.set_wakeup_fd(other)
            if other != -1 and self.signals:  # such as asyncio's, which is owed them
                with contextlib.suppress(OSError):
                    os.write(other, self.signals)
        if interrupted:
            raise KeyboardInterrupt


def blocked() -> set[int]:
    """Return the signals that this thread does not get."""
    if not hasattr(signal, "pthread_sigmask"):
        return set()
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def give_back(before: set[int]) -> None:
    """Give Ctrl-C and termination back to Python, once Julia runs.

    Julia blocks them in the thread that starts it and waits for them in a thread of its own. It
    keeps the faults that its garbage collector and threads rely on.

    Parameters
    ----------
    before : set of int
        Signals that were blocked before, and stay so. Not SIGUSR1, if Python has a handler for
        it: a process in which Julia runs hands its block to its children.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return
    ours = {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT} - before
    for number in (*ours, signal.SIGUSR1):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, handler)
    if callable(signal.getsignal(signal.SIGUSR1)):  # or nobody waits for it but Julia's profiler
        ours.add(signal.SIGUSR1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ours)
