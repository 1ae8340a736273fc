"""The one door to the database: connections, its clock, transactions, and errors that say who has to act."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import peewee
import psycopg2

from astra.config import Settings, in_a_home, load_settings
from astra.database.sessions import Sessions
from astra.database.sqlite import open_sqlite
from astra.errors import AstraError, ConfigError, DatabaseUnreachable, StorageError, TryAgain
from astra.hiding import is_misread

#: So long a transaction that writes may be idle [s]. A process that is halted in it (Ctrl-Z, a frozen
#: machine) would keep others waiting: then the server ends its session.
REST_S = 30

# Below SQLite's limit of 32,766 and PostgreSQL's of 65,535 parameters in one statement.
MAX_PARAMETERS = 30_000
_REST = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
# Refusals that pass: of a wait for a lock, or a statement, that took too long; a deadlock; a serialization
# failure; too many connections.
_PASSING = ("55P03", "57014", "40", "53300")


def open_database(
    settings: Settings | None = None, *, create: bool = False, read_only: bool = False
) -> peewee.Database:
    """Connect to the database that the settings name.

    Args:
        settings: The settings; ``None`` loads those in force.
        create: Make a missing SQLite file (and its folder) instead of refusing it.
        read_only: Let the database refuse every change.

    Raises:
        ConfigError: The SQLite file does not exist, or is not a database; SQLite is too old.
        DatabaseUnreachable: There is no server, the login is refused, or the file cannot be opened.
        StorageError: The SQLite file cannot be opened without a write that is refused.
    """
    settings = settings or load_settings()
    if (file := sqlite_file(settings)) is not None:
        return open_sqlite(file, create=create, read_only=read_only)
    return _open_postgresql(settings, read_only)


class _ConfiguredDatabase(peewee.DatabaseProxy):
    """Stands for the database; opens the configured one when a query first needs it, not at import."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.opened(), name)

    def opened(self) -> peewee.Database:
        """The database behind this one, opened from the settings if nobody has bound one yet."""
        if self.obj is None:
            self.initialize(open_database())
        return self.obj


database = _ConfiguredDatabase()


@contextmanager
def bound_to(opened: peewee.Database) -> Iterator[peewee.Database]:
    """Bind all models to an open database, and close it at the end."""
    previous = database.obj
    database.initialize(opened)
    try:
        yield opened
    finally:
        database.initialize(previous)
        opened.close()


def sqlite_file(settings: Settings) -> Path | None:
    """The SQLite file that the settings name; ``None`` where they name PostgreSQL.

    Raises:
        ConfigError: It would be in the home of a user who has none.
    """
    path, url = settings.database.path, _url(settings)
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
    return path and in_a_home(path, "ASTRA_DATABASE_PATH or ASTRA_DATABASE_URL").absolute()


def _url(settings: Settings) -> str:
    return settings.database.url.get_secret_value() if settings.database.url else ""


def _open_postgresql(settings: Settings, read_only: bool) -> peewee.Database:
    chosen, url = settings.database, _url(settings)
    if url and not url.startswith(("postgresql://", "postgres://")):
        # Not what stands there: that may hold a password.
        raise ConfigError("database.url is not the address of a database: use postgresql://… or sqlite:///…")
    # Not what a driver says of it, likewise.
    misread = ConfigError(
        "database.url is not a valid PostgreSQL address; see `astra config show`, and give a password with "
        "special characters in ASTRA_DATABASE_PASSWORD, or write them as %40 (@), %2F (/), %25 (%)"
    )
    if url and is_misread(url):
        raise misread
    parameters = {name: getattr(chosen, name) for name in ("user", "host", "port")}
    if chosen.password:
        parameters["password"] = chosen.password.get_secret_value()
    try:
        database = Sessions(
            f"postgresql://{url.partition('://')[2]}" if url else chosen.dbname or chosen.user or "",
            chosen.schema_,
            read_only=read_only,
            **{name: value for name, value in parameters.items() if value is not None},
        )
        database.connect()
    except (peewee.OperationalError, peewee.ProgrammingError, psycopg2.ProgrammingError) as error:
        if not isinstance(error, peewee.OperationalError) or one_line(error).startswith("invalid "):
            raise misread from None
        if "unsupported startup parameter" in str(error):
            raise ConfigError(
                f"{one_line(error)}: the proxy passes on no `options` of the address, of PGOPTIONS or of a "
                "service; take them out there, and set them with ALTER ROLE"
            ) from error
        raise DatabaseUnreachable(
            f"cannot reach PostgreSQL: {one_line(error)}; see `astra config show`"
        ) from error
    return database


def one_line(error: Exception) -> str:
    """The message of a database error on one line; libpq spreads it over several."""
    return " ".join(str(error.args[0] if error.args else error).split())


def is_postgresql(database: peewee.Database) -> bool:
    """Whether this is PostgreSQL; else it is SQLite."""
    behind = database.opened() if isinstance(database, peewee.Proxy) else database
    return isinstance(behind, peewee.PostgresqlDatabase)


def serves_other_machines(database: peewee.Database) -> bool:
    """Whether processes on other machines can use it at the same time."""
    return is_postgresql(database)


def described(database: peewee.Database) -> str:
    """Which database this is, for people, without anything secret."""
    if is_postgresql(database):
        query = "SELECT current_database(), current_schema()"
        name, schema = database.execute_sql(query).fetchone()
        return f"PostgreSQL database {name}, schema {schema}"
    return f"SQLite file {database.database}"


def now_sql(database: peewee.Database) -> str:
    """SQL for this moment in UTC by the database's clock, also within a long transaction."""
    if is_postgresql(database):
        return "timezone('utc', clock_timestamp())"
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def moved_on_sql(database: peewee.Database, column: str) -> str:
    """SQL for the time of a change that follows the one in a column: now, but later than that in any case.

    So no two states of a row have the same time, also where the clock stands still, or is set back.
    """
    if is_postgresql(database):
        return f"GREATEST({now_sql(database)}, {column} + interval '1 microsecond')"
    following = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '+0.001 seconds')"
    return f"MAX({now_sql(database)}, COALESCE({following}, ''))"


def now(database: peewee.Database) -> datetime:
    """This moment in UTC by the database's clock."""
    (value,) = database.execute_sql(f"SELECT {now_sql(database)}").fetchone()
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


@contextmanager
def writing(database: peewee.Database) -> Iterator[None]:
    """One transaction for writing, whose failure names its reason; it does not rest for long.

    Raises:
        TryAgain: Others were in the way for too long; nothing of it was kept.
        StorageError: The database refused it; nothing of it was kept.
        DatabaseUnreachable: The connection was lost; nothing of it was kept.
    """
    begun = time.monotonic()
    try:
        with database.atomic() if is_postgresql(database) else database.atomic("IMMEDIATE"):
            if is_postgresql(database):
                database.execute_sql(_REST, (f"{REST_S}s",))
            yield
    except peewee.PeeweeException as error:
        known = translated(error, "refused to write")
        said = f"{known}; nothing of this batch was kept"
        if type(known) is DatabaseUnreachable and time.monotonic() - begun > REST_S:
            # The server says so as well, but that is not always received.
            said += f"; was this process halted for more than {REST_S} s? Then the server let others go on"
        raise type(known)(said) from error


def is_missing_table(error: peewee.PeeweeException) -> bool:
    """Whether a query failed because there is no such table."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "pgcode", None) == "42P01" or str(error).startswith("no such table")


def _first(error: peewee.PeeweeException) -> peewee.PeeweeException:
    """Of the errors of a connection that is lost, the one that says why: after it, nothing works."""
    found, before = error, error.__context__
    while before is not None and isinstance(found, peewee.InterfaceError):
        found, before = before if isinstance(before, peewee.PeeweeException) else found, before.__context__
    return found


def translated(error: peewee.PeeweeException, verb: str = "refused") -> AstraError:
    """The error of the project that says who has to act on a database error."""
    error = _first(error)
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "pgcode", None) or ""
    lost = isinstance(error, peewee.InterfaceError) or (
        isinstance(error, peewee.OperationalError) and not isinstance(cause, sqlite3.Error) and not code
    )
    # 57P: the server is shutting down; 08: connection exception; 25P03: a transaction was idle for long, or
    # 25P04: took too long.
    if lost or code.startswith(("57P", "08", "25P03", "25P04")):
        return DatabaseUnreachable(f"connection to the database lost: {one_line(error)}")
    if code.startswith(_PASSING) or "is locked" in str(error):
        return TryAgain(f"the database {verb}, for the moment: {one_line(error)}")
    return StorageError(f"the database {verb}: {one_line(error)}")
