"""Signals: those that end a process, what they ask for, and answers whatever the main thread is doing."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Signals that ask a process to end.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: The exit code of a process that Ctrl-C has ended at once.
KEYBOARD_INTERRUPT = 130


class Terminated(BaseException):
    """SIGTERM, or SIGHUP of a terminal that is closed, to a command that does not answer it otherwise."""


def raise_terminated() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does; not those that are ignored, as by nohup."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


# Signals that wait, and what handles them otherwise. Not the mask of the process: each thread has its own.
_waiting: list[int] = []
_handlers: dict[int, Any] = {}


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started meanwhile do not see these signals until they say otherwise.

    A signal to all processes of a terminal would end them while they load their libraries.
    """
    from multiprocessing import resource_tracker

    # If it started with the first child, it would unblock the signals before that child is there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hold_signals() -> None:
    """Let signals wait: until a command can answer them, or because what was done is reported already."""
    for number in ENDING:
        # What is ignored stays so.
        if number not in _handlers and signal.getsignal(number) != signal.SIG_IGN:
            _handlers[number] = signal.signal(number, lambda number, _: _waiting.append(number))


def handle(number: int, handler: Any) -> Any:
    """Let a function handle a signal, also where signals wait; gives what has handled it before."""
    if number not in _handlers:
        return signal.signal(number, handler)
    before, _handlers[number] = _handlers[number], handler
    return before


def deliver_signals() -> None:
    """Let those that wait come, and others."""
    while _handlers:
        signal.signal(*_handlers.popitem())
    while _waiting:
        signal.raise_signal(_waiting.pop(0))


def drop_signals() -> None:
    """Let others come; those that wait were too late."""
    _waiting.clear()
    deliver_signals()


#: Set: this process finishes what is in hand and stops, so that nobody waits long for a database any more.
draining = threading.Event()


@contextmanager
def answered(answer: Callable[[int], None]) -> Iterator[None]:
    """Call a function for each signal that has a handler, in a thread of its own.

    Python calls a handler when the main thread comes back from compiled code, or from a database, which may
    be seconds later. Only the main thread may enter this context.

    Args:
        answer: Takes the number of the signal.
    """
    ours, its = socket.socketpair()
    its.setblocking(False)

    def listen() -> None:
        while numbers := ours.recv(64):
            for number in numbers:
                answer(number)

    thread = threading.Thread(target=listen, name="astra-signals", daemon=True)
    before = signal.set_wakeup_fd(its.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        its.close()
        thread.join()
        ours.close()
