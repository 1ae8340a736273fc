"""How a command that works for long ends: signals, an outcome, an exit code, and one line of error.

The first Ctrl-C or SIGTERM asks it to drain: to finish what is in hand. The second Ctrl-C stops it at once.
Both are answered when they come, though the answer may be all that can happen at once.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

import peewee

from astra.database.connection import translated
from astra.database.reconnecting import draining
from astra.errors import OUT_OF_MEMORY, AstraError, Interrupted
from astra.system.plugins import raised
from astra.system.signals import answered

log = logging.getLogger("astra")

KEYBOARD_INTERRUPT = 130


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
        self.outcome, self.exit_code, self.error = outcome, exit_code, error

    def as_ended(self) -> dict[str, Any]:
        """The last entries of the object that ``--json`` prints."""
        return {"outcome": self.outcome, "exit_code": self.exit_code, "error": self.error}


class StopRequest:
    """A context in which signals are noted and answered; ``reason`` says which came, or is ``None``.

    Args:
        tell: Prints the answer, from a thread of its own.

    Attributes:
        waits_for: Says what the command does before it stops.
        again: Says what another Ctrl-C would do.
    """

    def __init__(self, tell: Callable[[str], None] = log.info) -> None:
        self.reason: str | None = None
        self.waits_for: Callable[[], str] = lambda: "finishes what is in hand"
        self.again = "stops at once"
        self._tell = tell
        self._heard: set[int] = set()
        self._answering = ExitStack()

    def __enter__(self) -> Self:
        stopping = (signal.SIGINT, signal.SIGTERM)
        self._previous = {number: signal.signal(number, self._note) for number in stopping}
        draining.clear()
        self._answering.enter_context(answered(self._answer))
        return self

    def __exit__(self, *error: object) -> None:
        self._answering.close()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        draining.clear()

    def _answer(self, number: int) -> None:
        if number in self._previous and number not in self._heard:
            self._heard.add(number)
            again = f"; Ctrl-C again {self.again}" if number == signal.SIGINT else ""
            self._tell(f"stopping: {self.waits_for()}{again}")

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.reason == "SIGINT":
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
    try:
        with StopRequest(tell) as stop:
            yield stop
    except Interrupted as error:
        ending.end("stopped", error.exit_code, str(error))
    except (AstraError, peewee.PeeweeException) as error:
        log.debug("the run failed", exc_info=True)
        known = error if isinstance(error, AstraError) else translated(error)
        ending.end("failed", known.exit_code, str(known))
    except MemoryError:
        log.debug("the run failed", exc_info=True)
        ending.end("failed", AstraError.exit_code, OUT_OF_MEMORY)
    except KeyboardInterrupt:
        ending.end("stopped", KEYBOARD_INTERRUPT, "stopped at once; the chunk in hand was not written")
    except Exception as error:
        ending.end("failed", AstraError.exit_code, f"internal error: {raised(error)}")
        raise
    finally:
        ending.elapsed_s = time.monotonic() - ending.started
