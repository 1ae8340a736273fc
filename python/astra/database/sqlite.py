"""SQLite files: opened as the place where they lie allows, with errors that say what that place refuses.

A file that cannot be written, or nothing beside it, is opened for reading alone. SQLite can read one only if
the log of its writers lies beside it, or if it is told that nobody changes the file (``immutable``). So
it is told where there is no log; since somebody may begin to write all the same, each statement looks again.
"""

import functools
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee

from astra.damage import unfit
from astra.database.functions import give_functions
from astra.database.watching import SQLITE_WAIT_S, piece, repeated
from astra.errors import ConfigError, DatabaseUnreachable, Interrupted, StorageError

#: The oldest library that is tried, that of RHEL 9 and Debian 11; the SQL in use needs 3.33 (UPDATE … FROM).
OLDEST_LIBRARY = (3, 34)

# What SQLite keeps beside a file while it is written, and leaves there if the writer dies.
_BESIDE = ("-wal", "-shm", "-journal")

# The least that SQLite needs to open a file: the index of its log [bytes].
_FULL = 64 * 1024


def check_library() -> None:
    """Refuse a library of SQLite that does not know all SQL in use.

    Raises:
        ConfigError: It is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_LIBRARY:
        oldest = ".".join(map(str, OLDEST_LIBRARY))
        raise ConfigError(
            f"SQLite {sqlite3.sqlite_version} is too old, astra needs {oldest} or later: use a Python "
            "that has one (`python -c 'import sqlite3; print(sqlite3.sqlite_version)'`), or PostgreSQL"
        )


def open_sqlite(file: Path, *, create: bool, read_only: bool) -> peewee.SqliteDatabase:
    """Open a SQLite file; where it cannot be written, for reading alone.

    Raises:
        ConfigError: There is no such file, it is not a database, or the library is too old.
        DatabaseUnreachable: This user may not read it, or it cannot be opened.
        StorageError: Something has to be written to make or to open it, and cannot be.
    """
    check_library()
    if file.name == ":memory:":
        raise ConfigError(
            "database.path :memory: is gone when a command ends: name a file; in Python, bind models to a "
            "peewee.SqliteDatabase(':memory:') and make their tables"
        )
    _look_at(file, create)
    database = _SqliteFile(
        str(file),
        pragmas={"foreign_keys": 1, "synchronous": "normal"},
        timeout=SQLITE_WAIT_S,
        factory=functools.partial(_Connection, mode="ro" if read_only else "rwc" if create else "rw"),
    )
    give_functions(database)
    try:
        database.connect()
    except peewee.OperationalError as error:
        of_disk = any(said in str(error) for said in ("readonly", "disk I/O error", "disk is full"))
        kind = StorageError if of_disk or (_may_be_read(file) and refusal(file)) else DatabaseUnreachable
        raise kind(f"cannot open the database {file}: {error.args[0]}") from error
    except peewee.DatabaseError as error:
        raise ConfigError(f"not a SQLite database: {file} ({error.args[0]})") from error
    return database


def _look_at(file: Path, create: bool) -> None:
    if create:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnreachable(
                f"cannot make the folder of the database {file}: {error.strerror}; ASTRA_DATABASE_PATH names "
                "another place"
            ) from error
        if refused := refusal(file):
            raise StorageError(f"cannot write the database {file}: {refused}")
        if not file.exists():
            return
    try:
        why = unfit(file)
    except (FileNotFoundError, NotADirectoryError) as error:
        said = f"no database at {file}: run `astra init` first, or set ASTRA_DATABASE_PATH"
        raise ConfigError(said) from error
    except OSError as error:
        raise DatabaseUnreachable(f"cannot open the database {file}: {error.strerror}") from error
    if why:
        raise ConfigError(f"no database: {file} is {why}; ASTRA_DATABASE_PATH names a file")


# > The place of a file


def refusal(file: Path) -> str | None:
    """Why this user cannot write a SQLite file, and what to do about it; ``None`` if nothing forbids it."""
    folder = file.resolve().parent
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        said = f"the file system of {folder} is mounted read-only"
    elif not os.access(folder, os.W_OK | os.X_OK):
        said = f"this user may not write to {folder}, where SQLite keeps its log"
    elif file.exists() and not os.access(file, os.W_OK):
        said = f"this user may not write to {file}"
    else:
        return None
    return f"{said}; to write, set ASTRA_DATABASE_PATH to a copy elsewhere, or ask its owner for that right"


def temporary_folder() -> Path:
    """Where SQLite sorts what is too large for its memory: the first that it may write to, full or not."""
    named = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    places = filter(None, (*named, "/var/tmp", "/usr/tmp", "/tmp"))  # noqa: S108 - as SQLite has them
    usable = (each for each in places if os.path.isdir(each) and os.access(each, os.W_OK | os.X_OK))
    return Path(next(usable, "."))


def address_of(file: Path, mode: str = "ro") -> tuple[str, tuple[Any, ...] | None]:
    """The address by which SQLite opens a file, as its place allows.

    Args:
        file: The file.
        mode: ``ro``, ``rw`` or ``rwc``, where it can be written.

    Returns:
        The address; and where it says that nobody changes the file, how that is now, as of ``state_of``.
    """
    if not refusal(file):
        return f"{file.as_uri()}?mode={mode}", None
    address, state = f"{file.as_uri()}?mode=ro", state_of(file)
    return (address, None) if _beside(file) else (f"{address}&immutable=1", state)


def state_of(file: Path) -> tuple[Any, ...]:
    """What is different after somebody has begun to change a file."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, *_beside(file)


def _beside(file: Path) -> list[str]:
    real = file.resolve()
    return [name for name in (f"{real.name}{end}" for end in _BESIDE) if real.with_name(name).exists()]


def _may_be_read(file: Path) -> bool:
    return not file.exists() or os.access(file, os.R_OK)


# > What differs from peewee's own


class _SqliteFile(peewee.SqliteDatabase):
    """A file that is opened anew if it was opened as one that nobody changes, and somebody has."""

    def cursor(self, *arguments: Any) -> sqlite3.Cursor:
        connection = self.connection()
        if connection.is_outdated():
            if self.in_transaction() or connection.in_transaction:
                connection.rollback()
                raise Interrupted(f"{self.database} was changed by another process amid reading: run again")
            self.close()
        return super().cursor(*arguments)


class _Connection(sqlite3.Connection):
    """A connection whose errors name what the place of the file has to do with them."""

    def __init__(self, name: str, *arguments: Any, mode: str, timeout: float, **keywords: Any) -> None:
        self._file = Path(name)
        address, self._state = address_of(self._file, mode)
        super().__init__(address, *arguments, uri=True, timeout=piece(timeout), **keywords)

    def cursor(self, factory: type[sqlite3.Cursor] | None = None) -> Any:
        return super().cursor(factory or _Cursor)

    def is_outdated(self) -> bool:
        """Whether somebody writes to the file, although nobody did when it was opened."""
        return self._state is not None and self._state != state_of(self._file)

    def explained(self, error: sqlite3.Error) -> str:
        """The message of an error, and its reason."""
        name, reason = getattr(error, "sqlite_errorname", ""), None
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            reason = _not_written(self._file, name)
        elif name.startswith("SQLITE_CANTOPEN"):
            reason = _not_opened(self._file)
        elif name.startswith("SQLITE_READONLY"):
            reason = refusal(self._file)
        return f"{error}: {reason}" if reason else str(error)


def _not_written(file: Path, name: str) -> str:
    free = {place: shutil.disk_usage(place).free for place in (file.parent, temporary_folder())}
    if name != "SQLITE_FULL" and min(free.values()) >= _FULL:
        return f"{name}; a quota or `ulimit -f` is used up, or the disk of {file.parent} fails"
    listed = ", ".join(f"{space / 2**20:,.1f} MiB free in {place}" for place, space in free.items())
    return f"{listed}; make room"


def _not_opened(file: Path) -> str | None:
    if not _may_be_read(file):
        return "this user may not read it"
    if (refused := refusal(file)) and (logs := _beside(file)):
        return f"changes in {', '.join(logs)} can be read only where one may write; {refused}"
    return refused


def _explaining(method: Callable[..., Any]) -> Callable[..., Any]:
    def explained(cursor: sqlite3.Cursor, *arguments: Any) -> Any:
        try:
            return method(cursor, *arguments)
        except sqlite3.Error as error:
            error.args = (cursor.connection.explained(error),)
            raise

    return explained


def _reading(method: Callable[..., Any]) -> Callable[..., Any]:
    """Raise peewee's errors for what comes while rows are read, too: peewee sees to the first row alone."""

    explaining = _explaining(method)

    def read(cursor: sqlite3.Cursor, *arguments: Any) -> Any:
        try:
            return explaining(cursor, *arguments)
        except sqlite3.Error:
            with peewee.__exception_wrapper__:
                raise

    return read


class _Cursor(sqlite3.Cursor):
    """Waits for others in short pieces; its errors are explained, not hidden by undoing what is undone."""

    fetchone = _reading(sqlite3.Cursor.fetchone)
    fetchmany = _reading(sqlite3.Cursor.fetchmany)
    fetchall = _reading(sqlite3.Cursor.fetchall)
    __next__ = _reading(sqlite3.Cursor.__next__)

    @_explaining
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        # Where a disk is full, SQLite has undone the transaction by itself, and refuses to do it again.
        if sql.startswith("ROLLBACK") and not self.connection.in_transaction:
            return self
        return repeated(self.connection, lambda: super(_Cursor, self).execute(sql, *parameters))
