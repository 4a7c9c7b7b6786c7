"""How a call is asked to end, on the side of Python."""

import ctypes
import os
import signal
import socket
import threading

import pytest

from hybridwater._julia.interruption import Bell

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def bell():
    return Bell()


def seen(bell):
    """Return what Julia would see first."""
    return ctypes.string_at(bell.address, 4)


def test_it_is_quiet_at_first(bell):
    assert not bell.rung
    assert seen(bell) == bytes(4)


def test_ringing_is_seen_in_memory(bell):
    os.write(bell._file, bytes([signal.SIGINT]))  # as Python's signal handler does
    assert bell.rung
    assert seen(bell) == bytes([signal.SIGINT, 0, 0, 0])
    bell.clear()
    assert not bell.rung
    assert seen(bell) == bytes(4)


def interrupt(bell, reached):
    with bell.listening():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append(seen(bell)[0])


def test_ctrl_c_rings_and_is_raised_at_the_end(bell):
    reached = []
    with pytest.raises(KeyboardInterrupt):
        interrupt(bell, reached)
    assert reached == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1


def test_other_signals_do_not_ring(bell):
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    try:
        with bell.listening():
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert calls == [1]
    assert not bell.rung
    assert seen(bell)[0] == signal.SIGUSR1


def test_more_signals_than_there_is_room_for(bell):
    for _ in range(40):
        os.write(bell._file, bytes([signal.SIGUSR1]) * 4096)
    assert len(bell.signals) == bell.size
    bell.clear()
    assert seen(bell) == bytes(4)
    assert bell.signals == b""


def test_the_listener_of_another_is_told(bell):
    here, there = socket.socketpair()
    with here, there:
        there.setblocking(False)
        before = signal.set_wakeup_fd(there.fileno())
        try:
            with pytest.raises(KeyboardInterrupt), bell.listening():
                os.kill(os.getpid(), signal.SIGINT)
        finally:
            assert signal.set_wakeup_fd(before) == there.fileno()
        assert here.recv(8) == bytes([signal.SIGINT])


def test_another_handler_decides_for_itself(bell):
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append(1))
    try:
        with bell.listening():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [1]
    assert not bell.rung


def test_an_error_inside_leaves_nothing_behind(bell):
    with pytest.raises(ZeroDivisionError), bell.listening():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1


def test_other_threads_do_not_listen(bell):
    def inside():
        with bell.listening():
            handlers.append(signal.getsignal(signal.SIGINT))

    handlers = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
