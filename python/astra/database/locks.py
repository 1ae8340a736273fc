"""Locks between processes: who may change something now, and which workers live.

On PostgreSQL they are advisory locks, on SQLite locked files beside the database. SQLite has one writer at a
time anyway: of the changes, only that of the schema, which takes several transactions, needs a file there.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import peewee
from filelock import FileLock, Timeout

from astra.database import holding, waiting
from astra.database.connection import is_postgresql, writing
from astra.database.sessions import POOLED
from astra.errors import ConfigError, Interrupted, StoppedWaiting, StorageError
from astra.system.locking import locked_file
from astra.system.signals import draining

log = logging.getLogger("astra")

# How often a process that waits for the schema looks again [s].
_POLL_S = 0.2
# Of whoever claims; each schema and task has its own.
_CLAIM_LOCK = "SELECT pg_advisory_xact_lock(hashtext('astra claim ' || current_schema()), hashtext(%s))"
# First half of the advisory locks of the workers; each schema has its own. The second is the worker's key.
_WORKERS = "hashtext('astra worker ' || current_schema())"

#: Whoever changes the schema may be idle so long [s]: shorter than others wait, longer than a table is read.
SCHEMA_REST_S = 300

#: After a restart of the server, a worker has so long to reconnect before it is reaped [s].
GRACE_S = 15.0


# > One at a time changes the schema, claims work, or changes inputs


@contextmanager
def changing_schema(database: peewee.Database) -> Iterator[None]:
    """One at a time changes the schema, or who may use it.

    Raises:
        StorageError: This user may not write beside the file of the database.
        Interrupted: Another process changes it, and has not ended in time.
    """
    # Not one transaction around all of it: each migration has its own, and is kept when it is done.
    with _schema_locked(database) if is_postgresql(database) else _schema_file_locked(database):
        yield


@contextmanager
def _schema_locked(database: peewee.Database) -> Iterator[None]:
    def take() -> bool:
        # Not by pg_advisory_lock: whoever waits in a statement keeps an index from being built concurrently.
        query = "SELECT pg_try_advisory_lock(%s)"
        return database.execute_sql(query, (holding.SCHEMA_LOCK,)).fetchone()[0]

    _take_schema(take, lambda: holding.holder_of_number(database, holding.SCHEMA_LOCK))
    names = ["idle_in_transaction_session_timeout"]
    if database.server_version >= 14_00_00:
        names.append("idle_session_timeout")
    try:
        with waiting.set_to(database, dict.fromkeys(names, 1000 * SCHEMA_REST_S)):
            yield
    finally:
        # With the session, the lock may be gone.
        with suppress(peewee.PeeweeException):
            database.execute_sql("SELECT pg_advisory_unlock(%s)", (holding.SCHEMA_LOCK,))


@contextmanager
def _schema_file_locked(database: peewee.Database) -> Iterator[None]:
    database_file = Path(database.database)
    file = database_file.with_name(f".{database_file.name}.init.lock")
    with ExitStack() as stack:

        def take() -> bool:
            try:
                stack.enter_context(locked_file(file, 0))
            except Timeout:
                return False
            except OSError as error:
                message = f"cannot write beside the database {database_file}: {error.strerror}"
                raise StorageError(message) from error
            return True

        _take_schema(take, lambda: holding.holders_of_file(file) or "another process")
        yield


def _take_schema(take: Callable[[], bool], holder: Callable[[], str]) -> None:
    start, is_said = time.monotonic(), False
    while not take():
        if time.monotonic() - start > waiting.PATIENCE_S:
            said = f"the schema has been changed by {holder()} for {waiting.PATIENCE_S:.0f} s and longer"
            raise Interrupted(f"{said}: run again")
        if not is_said:
            log.warning("the schema is being changed by %s: waiting until that is done", holder())
            is_said = True
        if draining.wait(_POLL_S):
            raise StoppedWaiting(f"the schema, which {holder()} is changing")


@contextmanager
def changing_claims(database: peewee.Database, task: str) -> Iterator[None]:
    """One transaction, as of ``writing``, that sees what all claims of a task before it have changed."""
    with writing(database):
        if is_postgresql(database):
            database.execute_sql(_CLAIM_LOCK, (task,))
        yield


@contextmanager
def changing_inputs(database: peewee.Database) -> Iterator[None]:
    """One transaction, as of ``writing``, that changes sources or spectra.

    What it has read stays true until it has written.
    """
    with writing(database):
        if is_postgresql(database):
            database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (holding.INPUTS_LOCK,))
        yield


# > Which workers live


class Liveness(Protocol):
    """The locks of the workers in one database: the rows of the table ``task_worker``.

    A living worker holds a lock on its key, which nobody has to release for it: on PostgreSQL it ends with
    the connection, on SQLite with the process. The methods are called within a transaction of ``writing``.
    """

    def hold(self, worker: int) -> None:
        """Take the lock on the key of this worker."""

    def holds(self) -> bool:
        """Whether this worker still has it, or lost it with the connection.

        Raises:
            ConfigError: Locks do not last in this database.
        """

    def release(self, worker: int) -> None:
        """Give it back, or clear away what a dead worker has left of it."""

    def give_up(self) -> None:
        """Be dead for others, outside of any transaction: the record of this worker could not be removed."""

    def dead(self, task: str, me: int) -> list[int]:
        """The keys of the other workers of a task that do not live."""

    def in_doubt(self, task: str, me: int) -> list[int]:
        """Those that may live: their lock is gone, but so was the server."""
        return []


def liveness_of(database: peewee.Database) -> Liveness:
    """The kind of locks that a database has."""
    return SessionLocks(database) if is_postgresql(database) else LockFiles(database)


class SessionLocks(Liveness):
    """Advisory locks of PostgreSQL: one ends with its session, and no key is used twice."""

    # Key 2 in pg_locks: a lock on two numbers of 4 bytes.
    _HELD = f"locktype = 'advisory' AND objsubid = 2 AND granted AND classid = {_WORKERS}::oid"
    _MISSING = f"""
        SELECT worker.pk FROM task_worker worker WHERE worker.task = %s AND worker.pk <> %s AND NOT EXISTS (
            SELECT 1 FROM pg_locks WHERE {_HELD} AND objid::bigint = worker.pk
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ) AND {{which}} (
            worker.started > timezone('utc', pg_postmaster_start_time())
            OR clock_timestamp() > pg_postmaster_start_time() + %s * interval '1 second'
        ) ORDER BY worker.pk
    """

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        self._session: object = None
        self._worker = 0

    def hold(self, worker: int) -> None:
        """As in :class:`Liveness`."""
        self._database.execute_sql(f"SELECT pg_advisory_lock({_WORKERS}, %s)", (worker,))
        self._session, self._worker = self._database.connection(), worker

    def holds(self) -> bool:
        """As in :class:`Liveness`."""
        if self._database.connection() is not self._session:
            return False
        query = f"SELECT 1 FROM pg_locks WHERE {self._HELD} AND pid = pg_backend_pid() AND objid::bigint = %s"
        if self._database.execute_sql(query, (self._worker,)).fetchone():
            return True
        raise ConfigError(f"a lock of this session is gone: {POOLED}")

    def give_up(self) -> None:
        """As in :class:`Liveness`."""
        self._database.close()

    def dead(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        return self._missing(task, me, "")

    def in_doubt(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        return self._missing(task, me, "NOT")

    def _missing(self, task: str, me: int, which: str) -> list[int]:
        found = self._database.execute_sql(self._MISSING.format(which=which), (task, me, GRACE_S))
        return [pk for (pk,) in found]


class LockFiles(Liveness):
    """A locked file for each worker, beside the database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database, self._file = database, Path(database.database).absolute()
        self._held: FileLock | None = None

    def hold(self, worker: int) -> None:
        """As in :class:`Liveness`."""
        lock = FileLock(self._path(worker))
        try:
            lock.acquire(timeout=0)
        except (OSError, Timeout) as error:
            raise StorageError(f"cannot lock {self._path(worker)}: {error}") from error
        self._held = lock

    def holds(self) -> bool:
        """As in :class:`Liveness`."""
        return self._held is not None and self._held.is_locked

    def release(self, worker: int) -> None:
        """As in :class:`Liveness`."""
        self._path(worker).unlink(missing_ok=True)
        if self._held is not None and self._path(worker) == Path(self._held.lock_file):
            self.give_up()

    def give_up(self) -> None:
        """As in :class:`Liveness`."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def dead(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        query = "SELECT pk FROM task_worker WHERE task = ? AND pk <> ? ORDER BY pk"
        others = self._database.execute_sql(query, (task, me)).fetchall()
        return [pk for (pk,) in others if not self._is_locked(pk)]

    def _is_locked(self, worker: int) -> bool:
        if not self._path(worker).exists():
            return False
        try:
            with locked_file(self._path(worker), 0):
                return False
        except Timeout:
            return True

    def _path(self, worker: int) -> Path:
        return self._file.with_name(f".{self._file.name}.worker-{worker}.lock")
