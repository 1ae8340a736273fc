"""Changes of tables that others use: no wait for a lock is long, and it is tried again.

On PostgreSQL, whoever asks for a table after a change that waits for it waits as well, readers too. So a
change waits briefly, gives way, and comes back.
"""

from collections.abc import Callable
from typing import TypeVar

import peewee
import tenacity

from astra.database.connection import is_postgresql
from astra.errors import Interrupted

#: How long a change waits for a lock [s], and how long it is tried again [s].
LOCK_TIMEOUT_S = 0.7
PATIENCE_S = 600.0

# lock_not_available, deadlock_detected
_CONFLICTS = ("55P03", "40P01")

T = TypeVar("T")


def patiently(database: peewee.Database, what: str, change: Callable[[], T]) -> T:
    """Make a change that others may be in the way of, in one transaction.

    Args:
        database: The open database.
        what: What is changed, for people.
        change: Changes it.

    Raises:
        Interrupted: Others were in the way for too long.
    """

    def once() -> T:
        with database.atomic() if is_postgresql(database) else database.atomic("IMMEDIATE"):
            if is_postgresql(database):
                database.execute_sql(f"SET LOCAL lock_timeout = {round(1000 * LOCK_TIMEOUT_S)}")
            return change()

    def give_up(state: tenacity.RetryCallState) -> None:
        raise Interrupted(
            f"{what} has waited {state.seconds_since_start:.0f} s for other transactions: run again"
        ) from state.outcome.exception()

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_conflict),
        wait=tenacity.wait_random_exponential(0.5, 10.0),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        retry_error_callback=give_up,
    )
    return attempts(once)


def _is_conflict(error: BaseException) -> bool:
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "pgcode", None) in _CONFLICTS
