"""Changes of tables that others use: no wait for a lock is long, it is tried again, and who has it is said.

On PostgreSQL, whoever asks for a table after a change that waits for it waits as well, readers too. So a
change waits briefly, gives way, and comes back. On SQLite only writers wait for each other.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import peewee
import tenacity

from astra.database import holding
from astra.database.connection import is_postgresql
from astra.database.watching import at_most
from astra.errors import Interrupted, StoppedWaiting
from astra.system.signals import draining
from astra.system.telling import tell

log = logging.getLogger("astra")

#: How long a change that needs at most two locks waits for each [s]. Others wait for both together.
LOCK_TIMEOUT_S = 0.7

#: The same for a change that may need up to four [s].
MANY_LOCKS_TIMEOUT_S = 0.45

#: How long one change is tried again [s].
PATIENCE_S = 600.0

#: Keys of one part of a large change: some ten milliseconds of work.
BATCH_KEYS = 5_000

#: Between two changes, whoever waited for the first gets all its locks [s].
BREATH_S = 0.05

# How often a change that has to wait says so [s].
_SAY_S = 60.0
# So long a lock may be kept without a word [s]; of SQLite, the only one, at which is looked so often [s].
_LONG_S, _LONG_WRITE_S, _GLANCE_S = 10.0, 1.0, 0.02
_PAUSES = tenacity.wait_fixed(0.2) + tenacity.wait_random_exponential(0.5, 10.0)

# lock_not_available, deadlock_detected
_CONFLICTS = ("55P03", "40P01")

T = TypeVar("T")


def patiently(
    database: peewee.Database, what: str, change: Callable[[], T], timeout_s: float = LOCK_TIMEOUT_S
) -> T:
    """Make a change that others may be in the way of: it waits briefly for locks, and is tried again.

    Args:
        database: The open database.
        what: What is changed, for people.
        change: Changes it: in one transaction, or so that a second time goes on where the first ended.
        timeout_s: How long it may wait for each lock [s].

    Raises:
        Interrupted: Others were in the way for too long, or when this process was to stop.
    """

    def once() -> T:
        with short_waits(database, timeout_s):
            return change()

    last = -_SAY_S

    def say(state: tenacity.RetryCallState) -> None:
        nonlocal last
        if state.seconds_since_start - last >= _SAY_S:
            last = state.seconds_since_start
            log.warning("%s waits for %s; trying again, without keeping anybody waiting", what, _who())

    def give_up(state: tenacity.RetryCallState) -> None:
        if draining.is_set():
            raise StoppedWaiting(_who()) from state.outcome.exception()
        waited = f"{what} has waited {state.seconds_since_start:.0f} s for {_who()}"
        raise Interrupted(f"{waited}: run again; what is done is kept") from state.outcome.exception()

    def _who() -> str:
        return _holders(database, timeout_s)

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_conflict),
        wait=_PAUSES,
        stop=tenacity.stop_after_delay(PATIENCE_S) | tenacity.stop_when_event_set(draining),
        sleep=tenacity.sleep_using_event(draining),
        before_sleep=say,
        retry_error_callback=give_up,
    )
    return attempts(once)


def is_conflict(error: BaseException) -> bool:
    """Whether a database error says that another transaction was in the way, and nothing else."""
    if not isinstance(error, peewee.PeeweeException):
        return False
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "pgcode", None) in _CONFLICTS or "is locked" in str(error)


@contextmanager
def short_waits(database: peewee.Database, timeout_s: float) -> Iterator[None]:
    """Within this context, a statement that waits longer for a lock fails."""
    if is_postgresql(database):
        with set_to(database, {"lock_timeout": round(1000 * timeout_s)}):
            yield
        return
    before = at_most.set(timeout_s)
    try:
        yield
    finally:
        at_most.reset(before)


@contextmanager
def set_to(database: peewee.Database, milliseconds: Mapping[str, int]) -> Iterator[None]:
    """Within this context, settings of the session have other values; on PostgreSQL."""
    before = {name: _set(database, name, str(value)) for name, value in milliseconds.items()}
    try:
        yield
    finally:
        # After an error the connection may be gone, and these settings with it.
        with suppress(peewee.PeeweeException):
            for name, value in before.items():
                _set(database, name, value)


def _set(database: peewee.Database, name: str, value: str) -> str:
    """Set a setting; gives what it was."""
    query = "SELECT current_setting(%s)"
    (before,) = database.execute_sql(query, (name,)).fetchone()
    database.execute_sql("SELECT set_config(%s, %s, false)", (name, value))
    return before


def in_the_way(database: peewee.Database) -> list[str]:
    """Who waits for whose lock, and who has had locks for long that others wait for, a sentence for each."""
    if is_postgresql(database):
        waits = [
            f"{wait.who} has waited {wait.waited_s:.0f} s for {wait.what}" for wait in holding.waits(database)
        ]
        held = holding.held_long(database, _LONG_S)
        return waits + [f"{who} has had {what} for {held_s:.0f} s" for who, held_s, what in held]
    file, over = Path(database.database), time.monotonic() + _LONG_WRITE_S
    # Between two transactions of a process, nobody writes.
    while (writers := holding.writers_of(file)) and time.monotonic() < over:
        time.sleep(_GLANCE_S)
    return [f"{writers} has been writing to the database for {_LONG_WRITE_S:g} s and more"] if writers else []


def _holders(database: peewee.Database, waited_s: float) -> str:
    if is_postgresql(database):
        return holding.holders_of_tables(database, waited_s)
    return holding.writers_of(Path(database.database)) or "another process that writes to the file"


def in_batches(
    database: peewee.Database, table: str, key: str, statement: str, parameters: Sequence[Any] = ()
) -> None:
    """Execute a statement over a large table for some keys at a time, each part in a transaction of its own.

    For migrations that say ``atomic = False``. After a kill it begins anew: a second time has to do no harm.

    Args:
        database: The open database.
        table: The table whose rows are changed or read.
        key: Its column with an integer key.
        statement: With ``{batch}`` as one of its conditions, on that column.
        parameters: The parameters of the statement.
    """
    low, last = database.execute_sql(f"SELECT min({key}) - 1, max({key}) FROM {table}").fetchone() or (0, 0)
    low, last = low or 0, last or 0
    first = low
    about = f"/* {BATCH_KEYS:,} keys at a time */ "
    while True:
        part = statement.format(batch=f"{key} > {low} AND {key} <= {low + BATCH_KEYS}")

        def change(part: str = part) -> None:
            with database.atomic():
                database.execute_sql(about + part, parameters)

        patiently(database, f"the change of {table}", change)
        low += BATCH_KEYS
        tell(table, min(low, last) - first, last - first)
        if low >= last:
            return
        if not is_postgresql(database):
            # Of those who wait for SQLite's only lock, whoever looks first gets it.
            time.sleep(BREATH_S)
