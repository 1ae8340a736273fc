"""Changes of tables that others use: no wait for a lock is long, it is tried again, and who has it is said.

On PostgreSQL, whoever asks for a table after a change that waits for it waits as well, readers too. So a
change waits briefly, gives way, and comes back. On SQLite only writers wait for each other.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import peewee
import tenacity

from astra.database.connection import is_postgresql
from astra.errors import Interrupted
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
_PAUSES = tenacity.wait_fixed(0.2) + tenacity.wait_random_exponential(0.5, 10.0)

# lock_not_available, deadlock_detected
_CONFLICTS = ("55P03", "40P01")

_HOLDERS = """
SELECT held.pid, activity.application_name, activity.usename, activity.state, activity.backend_type,
       to_char(activity.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS'), {what}
FROM pg_locks AS held JOIN pg_stat_activity AS activity ON activity.pid = held.pid
LEFT JOIN pg_class AS locked ON locked.oid = held.relation
WHERE held.granted AND held.pid <> pg_backend_pid()
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {condition}
GROUP BY 1, 2, 3, 4, 5, activity.xact_start ORDER BY activity.xact_start LIMIT 3
"""
# Of the transactions that have a table of the schema now, those that were there during the whole wait.
_OF_TABLES = """held.locktype = 'relation' AND locked.relnamespace = current_schema()::regnamespace
  AND locked.relkind IN ('r', 'p', 'v', 'm')
  AND COALESCE(activity.xact_start < clock_timestamp() - %s * interval '1 second', TRUE)"""
# A lock on one number of 8 bytes has its halves in two columns, and 1 in a third.
_OF_A_NUMBER = """held.locktype = 'advisory' AND held.objsubid = 1
  AND (held.classid::bigint << 32) | held.objid::bigint = %s"""

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
        Interrupted: Others were in the way for too long.
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
        waited = f"{what} has waited {state.seconds_since_start:.0f} s for {_who()}"
        raise Interrupted(f"{waited}: run again; what is done is kept") from state.outcome.exception()

    def _who() -> str:
        return holders(database, timeout_s)

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_conflict),
        wait=_PAUSES,
        stop=tenacity.stop_after_delay(PATIENCE_S),
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
    setting = "lock_timeout" if is_postgresql(database) else "busy_timeout"
    (before,) = _set(database, setting)
    _set(database, setting, round(1000 * timeout_s))
    try:
        yield
    finally:
        # After an error the connection may be gone, and this setting with it.
        with suppress(peewee.PeeweeException):
            _set(database, setting, before)


def _set(database: peewee.Database, setting: str, milliseconds: Any = None) -> tuple[Any]:
    if not is_postgresql(database):
        value = "" if milliseconds is None else f" = {milliseconds}"
        return database.execute_sql(f"PRAGMA {setting}{value}").fetchone()
    if milliseconds is None:
        return database.execute_sql("SELECT current_setting(%s)", (setting,)).fetchone()
    return database.execute_sql("SELECT set_config(%s, %s, false)", (setting, str(milliseconds))).fetchone()


def holders(database: peewee.Database, waited_s: float) -> str:
    """Who has had tables of the schema for some time, for people."""
    if not is_postgresql(database):
        return "another process that writes to the file"
    what = "string_agg(DISTINCT locked.relname, ', ')"
    query = _HOLDERS.format(what=what, condition=_OF_TABLES)
    return _named(database.execute_sql(query, (waited_s,)).fetchall()) or "a transaction that has ended since"


def holder_of(database: peewee.Database, number: int) -> str:
    """Who has an advisory lock of PostgreSQL, for people."""
    query = _HOLDERS.format(what="NULL", condition=_OF_A_NUMBER)
    return _named(database.execute_sql(query, (number,)).fetchall()) or "a session that has ended since"


def _named(rows: Sequence[tuple[Any, ...]]) -> str:
    return " and ".join(_holder(*row) for row in rows)


def _holder(
    pid: int, name: str, user: str, state: str | None, kind: str | None, since: str | None, tables: str | None
) -> str:
    parts = [name or kind or "of another login", f"user {user}" if user else "", state or ""]
    parts.append(f"in a transaction since {since} UTC" if since else "")
    about = f", which has {tables}" if tables else ""
    return f"process {pid} ({', '.join(filter(None, parts))}){about}"


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
