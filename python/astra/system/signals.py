"""Signals that are answered at once, whatever the main thread is doing, and what they ask for."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
