"""How a command that works for long ends: signals, an outcome, an exit code, and one line of error.

The first Ctrl-C, SIGTERM or SIGHUP asks it to drain: to finish what is in hand. The second Ctrl-C stops it at
once. Both are answered when they come, though the answer may be all that can happen at once.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

import peewee

from astra.database.connection import translated
from astra.database.watching import interrupt_all
from astra.errors import OUT_OF_MEMORY, AstraError, Interrupted
from astra.hiding import hidden
from astra.system.plugins import raised
from astra.system.signals import ENDING, KEYBOARD_INTERRUPT, answered, deliver_signals, draining, handle

log = logging.getLogger("astra")


@dataclass(kw_only=True)
class Ending:
    """How it ended, and after how long."""

    started: float = field(default_factory=time.monotonic)
    elapsed_s: float = 0.0
    outcome: str = "failed"
    exit_code: int = AstraError.exit_code
    error: str | None = None

    def end(self, outcome: str, exit_code: int, error: str | None = None) -> None:
        """Note how it ended."""
        self.outcome, self.exit_code, self.error = outcome, exit_code, error and hidden(error)

    def as_ended(self) -> dict[str, Any]:
        """The last entries of the object that ``--json`` prints."""
        return {"outcome": self.outcome, "exit_code": self.exit_code, "error": self.error}


class StopRequest:
    """A context in which signals are noted and answered; ``reason`` says which came, or is ``None``.

    Args:
        tell: Prints the answer, from a thread of its own.

    Attributes:
        at_once: Whether a second Ctrl-C came.
        waits_for: Says what the command does before it stops.
        again: Says what another Ctrl-C would do.
    """

    def __init__(self, tell: Callable[[str], None] = log.info) -> None:
        self.reason: str | None = None
        self.at_once = False
        self.waits_for: Callable[[], str] = lambda: "finishes what is in hand"
        self.again = "stops at once"
        self._tell = tell
        self._heard: set[int] = set()
        self._answering = ExitStack()
        self._started = time.monotonic()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        # What is ignored stays so: SIGHUP under nohup.
        stopping = [
            each for each in ENDING if each == signal.SIGINT or signal.getsignal(each) != signal.SIG_IGN
        ]
        self._previous = {number: handle(number, self._note) for number in stopping}
        draining.clear()
        self._answering.enter_context(answered(self._answer))
        deliver_signals()
        return self

    def __exit__(self, *error: object) -> None:
        self._answering.close()
        if self._timer:
            self._timer.cancel()
        for number, handler in self._previous.items():
            handle(number, handler)
        draining.clear()

    def end_after(self, seconds: float | None) -> None:
        """After this time, ask for the end as a signal does; the first of several calls counts."""
        if seconds is not None and self._timer is None:
            left = max(0.0, self._started + seconds - time.monotonic())
            self._timer = threading.Timer(left, self._late, [f"--max-runtime {seconds:g} s"])
            self._timer.daemon = True
            self._timer.start()
            if not left:
                self._timer.join()

    def _late(self, reason: str) -> None:
        self.reason = self.reason or reason
        draining.set()

    def _answer(self, number: int) -> None:
        if number not in self._previous:
            return
        # The main thread may be waiting for an answer of the database, and hear nothing.
        draining.set()
        if number in self._heard:
            if number == signal.SIGINT:
                self.at_once = True
                interrupt_all()
        else:
            self._heard.add(number)
            again = f"; Ctrl-C again {self.again}" if number == signal.SIGINT else ""
            self._tell(f"stopping: {self.waits_for()}{again}")

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Two that came while Python did not have its turn are one here.
        self.at_once |= number == signal.SIGINT and self.reason == "SIGINT"
        if self.at_once:
            raise KeyboardInterrupt
        self.reason = signal.Signals(number).name
        draining.set()


@contextmanager
def reporting(ending: Ending, tell: Callable[[str], None] = log.info) -> Iterator[StopRequest]:
    """Fill in how the work of this context ends; signals are noted from its start on.

    Args:
        ending: What to fill in.
        tell: Prints the answer to a signal.

    Yields:
        What the signals ask for.

    Raises:
        Exception: An internal error; all others end here, in the ending.
    """
    stop = StopRequest(tell)
    try:
        with stop:
            yield stop
    except (AstraError, peewee.PeeweeException, KeyboardInterrupt) as error:
        _end(ending, error, stop)
    except MemoryError:
        log.debug("the run failed", exc_info=True)
        ending.end("failed", AstraError.exit_code, OUT_OF_MEMORY)
    except Exception as error:
        ending.end("failed", AstraError.exit_code, f"internal error: {raised(error)}")
        raise
    finally:
        ending.elapsed_s = time.monotonic() - ending.started


def _end(ending: Ending, error: BaseException, stop: StopRequest) -> None:
    if stop.at_once or isinstance(error, KeyboardInterrupt):
        ending.end("stopped", KEYBOARD_INTERRUPT, "stopped at once; the chunk in hand was not written")
    elif isinstance(error, Interrupted):
        ending.end("stopped", error.exit_code, str(error))
    else:
        log.debug("the run failed", exc_info=True)
        known = error if isinstance(error, AstraError) else translated(error)
        ending.end("failed", known.exit_code, str(known))
