"""How a command that works for long ends: an outcome, an exit code, and one line for what went wrong."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import peewee

from astra.database.connection import translated
from astra.errors import AstraError, Interrupted
from astra.running.signals import StopRequest

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


@contextmanager
def reporting(ending: Ending) -> Iterator[StopRequest]:
    """Fill in how the work of this context ends; signals are noted from its begin on.

    Yields:
        What the signals ask for.

    Raises:
        Exception: An internal error; all others end here, in the ending.
    """
    try:
        with StopRequest() as stop:
            yield stop
    except Interrupted as error:
        ending.end("stopped", error.exit_code, str(error))
    except AstraError as error:
        log.debug("the run failed", exc_info=True)
        ending.end("failed", error.exit_code, str(error))
    except peewee.PeeweeException as error:
        log.debug("the run failed", exc_info=True)
        known = translated(error)
        ending.end("failed", known.exit_code, str(known))
    except KeyboardInterrupt:
        ending.end("stopped", KEYBOARD_INTERRUPT, "stopped at once; the chunk in hand was not written")
    except Exception as error:
        ending.end("failed", AstraError.exit_code, f"internal error: {type(error).__name__}: {error}")
        raise
    finally:
        ending.elapsed_s = time.monotonic() - ending.started
