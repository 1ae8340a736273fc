"""Operations in the database that survive a lost connection, and others that are in the way."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import peewee
import tenacity

from astra.config import load_settings
from astra.database.connection import database, translated
from astra.errors import AstraError, DatabaseUnreachable, Interrupted, TryAgain
from astra.system.signals import draining

log = logging.getLogger("astra")

#: The longest time between two attempts [s].
_LONGEST_WAIT_S = 10.0

# Of a process that is about to stop: so many, and two if they take longer than this [s].
_FEW_ATTEMPTS, _SHORT_S = 3, 2.0

T = TypeVar("T")


def persistent(operation: Callable[[], T]) -> T:
    """Carry out an operation in the database; if the connection is lost, reconnect and repeat it.

    It is repeated as well if others were in its way, and the database has ended the wait.

    Args:
        operation: What to do. Where the connection was lost at its end, it may have been done already.

    Raises:
        DatabaseUnreachable: The server did not come back in time.
        TryAgain: Others were in the way for too long.
        Interrupted: They were when this process was to stop.
        StorageError: The database refused it.
    """
    slow = tenacity.stop_after_attempt(2) & tenacity.stop_after_delay(_SHORT_S)
    few = tenacity.stop_when_event_set(draining) & (tenacity.stop_after_attempt(_FEW_ATTEMPTS) | slow)
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(DatabaseUnreachable),
        wait=tenacity.wait_random_exponential(0.2, _LONGEST_WAIT_S),
        # A session that ended long ago is noticed only now: even then, another one is worth a try.
        stop=few | _too_late,
        sleep=tenacity.sleep_using_event(draining),
        before_sleep=_say,
        reraise=True,
    )
    try:
        return attempts(_once, operation)
    except TryAgain as error:
        if draining.is_set():
            raise Interrupted(f"stopped; {error}: run again to go on") from error
        raise


def _once(operation: Callable[[], T]) -> T:
    try:
        return operation()
    except (peewee.PeeweeException, DatabaseUnreachable) as error:
        known = error if isinstance(error, DatabaseUnreachable) else translated(error)
        if isinstance(known, DatabaseUnreachable) and not isinstance(known, TryAgain):
            hang_up()
        raise known from error


def hang_up() -> None:
    """Close the connection of this thread, or what is left of it: the next query opens another one."""
    with suppress(peewee.PeeweeException, AstraError):
        database.close()


def _too_late(state: tenacity.RetryCallState) -> bool:
    return state.seconds_since_start > load_settings().database.patience


def _say(state: tenacity.RetryCallState) -> None:
    error, seconds = state.outcome.exception(), state.next_action.sleep
    log.warning("%s; trying again in %.1f s", error, seconds)
