"""Who has the locks that others wait for, in words.

PostgreSQL is asked for them, by whoever does not wait. Of a file, the system knows the processes.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import peewee

#: The number of the advisory lock of whoever changes the schema.
SCHEMA_LOCK = 0x61737472_696E6974

#: Of whoever changes inputs.
INPUTS_LOCK = 0x61737472_61696E70

# A lock on one number of 8 bytes has its halves in two columns, and 1 in a third.
_NUMBER = "CASE WHEN lock.objsubid = 1 THEN (lock.classid::bigint << 32) | lock.objid::bigint END"
_WHAT = f"""CASE
    WHEN lock.locktype = 'relation' THEN 'the table ' || lock.relation::regclass
    WHEN lock.locktype IN ('transactionid', 'tuple') THEN 'rows'
    WHEN lock.locktype <> 'advisory' THEN 'a transaction'
    WHEN {_NUMBER} = {SCHEMA_LOCK} THEN 'the schema'
    WHEN {_NUMBER} = {INPUTS_LOCK} THEN 'sources and spectra'
    ELSE 'the claims' END"""
_SESSION = """{0}.pid, {0}.application_name, {0}.usename, host({0}.client_addr), {0}.state, {0}.backend_type,
    to_char({0}.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS')"""
_THIS_DATABASE = "(SELECT oid FROM pg_database WHERE datname = current_database())"

# First those that wait for nobody themselves.
_WAITS = f"""
SELECT extract(epoch FROM clock_timestamp() - waiting.query_start)::float8, {_WHAT},
    {_SESSION.format("waiting")}, {_SESSION.format("holder")}
FROM pg_stat_activity waiting
JOIN pg_locks lock ON lock.pid = waiting.pid AND NOT lock.granted
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
LEFT JOIN pg_stat_activity holder ON holder.pid = blocking.pid
WHERE waiting.datname = current_database() AND (%s IS NULL OR waiting.pid = %s)
ORDER BY waiting.query_start, waiting.pid,
    holder.wait_event_type IS NOT DISTINCT FROM 'Lock', holder.xact_start
"""
_HELD = f"""
SELECT max(extract(epoch FROM clock_timestamp() - COALESCE(holder.xact_start, holder.state_change)))::float8,
    string_agg(DISTINCT {_WHAT}, ', '), {_SESSION.format("holder")}
FROM pg_locks lock JOIN pg_stat_activity holder ON holder.pid = lock.pid
LEFT JOIN pg_class locked ON lock.locktype = 'relation' AND locked.oid = lock.relation
WHERE lock.granted AND lock.pid <> pg_backend_pid() AND lock.database = {_THIS_DATABASE} AND {{condition}}
GROUP BY {_SESSION.format("holder")}, holder.xact_start ORDER BY holder.xact_start LIMIT 3
"""
# Of the transactions that have a table of the schema now, those that were there during the whole wait.
_OF_TABLES = """locked.relnamespace = current_schema()::regnamespace
    AND locked.relkind IN ('r', 'p', 'v', 'm')
    AND COALESCE(holder.xact_start < clock_timestamp() - %s * interval '1 second', TRUE)"""
_OF_A_NUMBER = f"lock.locktype = 'advisory' AND {_NUMBER} = %s"
# What others will wait for: our own locks, but those of living workers; whole tables; rows of a transaction
# in which nothing happens.
_IN_THE_WAY = f"""(
    lock.locktype = 'advisory' AND ({_NUMBER} IN ({SCHEMA_LOCK}, {INPUTS_LOCK})
        OR lock.classid = hashtext('astra claim ' || current_schema())::oid)
    OR locked.relnamespace = current_schema()::regnamespace AND locked.relkind IN ('r', 'p') AND (
        lock.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        OR lock.mode IN ('RowShareLock', 'RowExclusiveLock') AND holder.state LIKE 'idle in transaction%%')
) AND COALESCE(holder.xact_start, holder.state_change) < clock_timestamp() - %s * interval '1 second'"""

# The byte that a writer to a SQLite file has locked: in its file -shm, or in the file itself.
_WAL_WRITER, _WRITER = 120, range(0x40000000, 0x40000002)


@dataclass(frozen=True)
class Wait:
    """A session of PostgreSQL that waits for a lock.

    Attributes:
        who: The session, in words.
        waited_s: How long [s].
        what: What it waits for, and who has that, in words.
    """

    who: str
    waited_s: float
    what: str


def waits(database: peewee.Database, pid: int | None = None) -> list[Wait]:
    """The sessions of this database of PostgreSQL that wait for locks, or the one with this key."""
    found = database.execute_sql(_WAITS, (pid, pid)).fetchall()
    return [_wait(list(rows)) for _, rows in groupby(found, key=lambda row: row[2])]


def _wait(rows: list[tuple[Any, ...]]) -> Wait:
    waited_s, what, *sessions = rows[0]
    return Wait(_session(*sessions[:7]), waited_s or 0.0, f"{what}, which {_session(*sessions[7:])} has")


def held_long(database: peewee.Database, seconds: float) -> list[tuple[str, float, str]]:
    """Who has had locks of PostgreSQL for so long that others wait, or will: who, how long [s], and what."""
    found = database.execute_sql(_HELD.format(condition=_IN_THE_WAY), (seconds,)).fetchall()
    return [(_session(*session), held_s, what) for held_s, what, *session in found]


def holders_of_tables(database: peewee.Database, waited_s: float) -> str:
    """Who has had tables of the schema of PostgreSQL for some time."""
    found = database.execute_sql(_HELD.format(condition=_OF_TABLES), (waited_s,)).fetchall()
    named = (f"{_session(*session)}, which has {what}" for _, what, *session in found)
    return " and ".join(named) or "a transaction that has ended since"


def holder_of_number(database: peewee.Database, number: int) -> str:
    """Who has an advisory lock of PostgreSQL."""
    found = database.execute_sql(_HELD.format(condition=_OF_A_NUMBER), (number,)).fetchall()
    return " and ".join(_session(*session) for _, _, *session in found) or "a session that has ended since"


def _session(
    pid: int | None,
    name: str | None,
    user: str | None,
    address: str | None,
    state: str | None,
    kind: str | None,
    since: str | None,
) -> str:
    if pid is None:
        return "a prepared transaction"
    parts = [name or kind or "of another login", f"user {user}" if user else ""]
    parts += [f"from {address}" if address else "", state or ""]
    parts.append(f"in a transaction since {since} UTC" if since else "")
    return f"process {pid} ({', '.join(filter(None, parts))})"


def writers_of(file: Path) -> str | None:
    """The processes that write to a SQLite file at this moment, where the system says it."""
    in_memory = file.with_name(f"{file.name}-shm")
    return _processes(
        pid
        for path, places in ((in_memory, range(_WAL_WRITER, _WAL_WRITER + 1)), (file, _WRITER))
        for pid, first, last in _write_locks(path)
        if first < places.stop and last >= places.start
    )


def holders_of_file(file: Path) -> str | None:
    """The processes that have locked a file."""
    return _processes(pid for pid, _, _ in _write_locks(file))


def _write_locks(file: Path) -> list[tuple[int, float, float]]:
    """The locks on a file: process, first and last byte."""
    # Never by opening it: to close it again would give back the locks that this process has.
    try:
        inode = str(file.stat().st_ino)
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = []
    for _, *words in map(str.split, lines):
        # A line with an arrow is one that waits.
        if len(words) == 7 and words[2] == "WRITE" and words[4].rpartition(":")[2] == inode:
            found.append((int(words[3]), int(words[5]), float(words[6].replace("EOF", "inf"))))
    return found


def _processes(pids: Iterable[int]) -> str | None:
    return " and ".join(_process(pid) for pid in sorted(set(pids))) or None


def _process(pid: int) -> str:
    # Of a process outside of this container there is no number.
    if pid <= 0:
        return "a process that cannot be seen from here"
    if pid == os.getpid():
        return "this process"
    name, state = "", ""
    with suppress(OSError):
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        words = [os.path.basename(word) for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
        # The command and no more: an argument may be a secret.
        if "astra" in words:
            name = " ".join(["astra", *words[words.index("astra") + 1 :][:1]])
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    halted = f"halted: `kill -CONT {pid}` lets it go on" if state in ("T", "t") else ""
    return f"process {pid} ({', '.join(filter(None, (name or 'unknown', halted)))})"
