"""Whether a worker lives: it holds a lock on its key, which nobody has to release for it.

On PostgreSQL this is an advisory lock of its session, on SQLite a locked file beside the database. The one
ends with the connection, the other with the process. The workers are the rows of the table ``task_worker``.
"""

from pathlib import Path
from typing import Protocol

import peewee
from filelock import FileLock, Timeout

from astra.database.connection import is_postgresql
from astra.errors import ConfigError, StorageError

# First half of the advisory locks of the workers, of each schema its own; the second is the worker's key.
_CLASS = "hashtext('astra worker ' || current_schema())"

#: After the server has started again, a worker has so long to connect again before it is reaped [s].
GRACE_S = 15.0

#: What is wrong, and what to do, where locks of a session do not last.
POOLED = (
    "a proxy between astra and PostgreSQL gives each transaction another session (pgbouncer: pool_mode = "
    "transaction); connect to the server itself, or with pool_mode = session"
)


class Liveness(Protocol):
    """The locks of the workers in one database. Called within a transaction of ``writing``."""

    def hold(self, worker: int) -> None:
        """Take the lock on one's own key."""

    def holds(self) -> bool:
        """Whether one still has it, or lost it with the connection.

        Raises:
            ConfigError: Locks do not last in this database.
        """

    def release(self, worker: int) -> None:
        """Give it back, or clear away what a dead worker has left of it."""

    def dead(self, task: str, me: int) -> list[int]:
        """The keys of the other workers of a task that do not live."""

    def in_doubt(self, task: str, me: int) -> list[int]:
        """Those that may live: their lock is gone, but so was the server."""


def liveness_of(database: peewee.Database) -> Liveness:
    """The kind of locks that a database has."""
    if is_postgresql(database):
        return SessionLocks(database)
    return LockFiles(database)


class SessionLocks:
    """Advisory locks of PostgreSQL."""

    # Key 2 in pg_locks: a lock on two numbers of 4 bytes.
    _MISSING = """
        SELECT worker.pk FROM task_worker worker WHERE worker.task = %s AND worker.pk <> %s AND NOT EXISTS (
            SELECT 1 FROM pg_locks held WHERE held.locktype = 'advisory' AND held.objsubid = 2
                AND held.granted AND held.classid = {class_}::oid AND held.objid::bigint = worker.pk
                AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ) AND {which} (
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
        self._database.execute_sql(f"SELECT pg_advisory_lock({_CLASS}, %s)", (worker,))
        self._session, self._worker = self._database.connection(), worker

    def holds(self) -> bool:
        """As in :class:`Liveness`."""
        if self._database.connection() is not self._session:
            return False
        query = (
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
            f"AND pid = pg_backend_pid() AND classid = {_CLASS}::oid AND objid::bigint = %s"
        )
        if self._database.execute_sql(query, (self._worker,)).fetchone():
            return True
        raise ConfigError(f"a lock of this session is gone: {POOLED}")

    def release(self, worker: int) -> None:
        """It ends with the session, and no key is used twice: until then it says nothing to anybody."""

    def dead(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        return self._missing(task, me, "")

    def in_doubt(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        return self._missing(task, me, "NOT")

    def _missing(self, task: str, me: int, which: str) -> list[int]:
        parameters = (task, me, GRACE_S)
        found = self._database.execute_sql(self._MISSING.format(which=which, class_=_CLASS), parameters)
        return [pk for (pk,) in found]


class LockFiles:
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
            self._held.release()
            self._held = None

    def dead(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        query = "SELECT pk FROM task_worker WHERE task = ? AND pk <> ? ORDER BY pk"
        others = self._database.execute_sql(query, (task, me)).fetchall()
        return [pk for (pk,) in others if not self._is_locked(pk)]

    def in_doubt(self, task: str, me: int) -> list[int]:
        """As in :class:`Liveness`."""
        return []

    def _is_locked(self, worker: int) -> bool:
        if not self._path(worker).exists():
            return False
        lock = FileLock(self._path(worker))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def _path(self, worker: int) -> Path:
        return self._file.with_name(f".{self._file.name}.worker-{worker}.lock")
