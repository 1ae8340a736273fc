"""The schema of the database: made and upgraded by ``astra init``, checked by everything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee
from playhouse.migrations import MigrationError, Runner

from astra.config import Settings
from astra.database.connection import is_postgresql, one_line, translated
from astra.errors import ConfigError, StorageError

# The advisory lock that one `astra init` holds while another waits.
INIT_LOCK = 0x61737472_696E6974


def runner(database: peewee.Database) -> Runner:
    """The migrations of this version of Astra, over an open database."""
    from astra import migrations

    return Runner(database, directory=str(Path(migrations.__file__).parent))


def upgrade(database: peewee.Database, settings: Settings) -> list[str]:
    """Create or upgrade the schema; safe to repeat, and to start twice at once.

    Returns:
        The names of the migrations that were applied now.

    Raises:
        ConfigError: The schema was made by a newer Astra.
        StorageError: The database refused a change; that migration was rolled back.
    """
    try:
        with alone(database):
            if is_postgresql(database):
                _create_schema(database, settings.database.schema_)
            _refuse_newer(runner(database))
            applied = runner(database).up()
            _write_comments(database)
            return applied
    except MigrationError as error:
        raise ConfigError(f"the migrations cannot be applied: {error}") from error
    except peewee.PeeweeException as error:
        raise translated(error) from error


def check(database: peewee.Database) -> None:
    """Refuse a database whose schema is not the one that this version of Astra works on.

    Raises:
        ConfigError: The schema is missing, older or newer.
    """
    try:
        plan = runner(database)
        pending = [migration.name for migration in plan.status() if not migration.applied]
        applied = plan.applied()
    except peewee.OperationalError as error:
        raise translated(error) from error
    except peewee.DatabaseError as error:
        raise ConfigError(f"the schema cannot be read: {one_line(error)}; run `astra init`") from error
    if not applied:
        _refuse_hidden(database)
        raise ConfigError("the database has no Astra schema: run `astra init` first")
    if pending:
        raise ConfigError(
            f"the database schema is older than this Astra (missing {', '.join(pending)}): run `astra init`"
        )
    _refuse_newer(plan)


def _refuse_hidden(database: peewee.Database) -> None:
    """PostgreSQL shows a schema that one may not use as if it were not there."""
    if not is_postgresql(database):
        return
    query = (
        "SELECT nspname, current_user FROM pg_namespace "
        "WHERE nspname = current_setting('search_path') AND NOT has_schema_privilege(oid, 'USAGE')"
    )
    if found := database.execute_sql(query).fetchone():
        schema, user = found
        raise ConfigError(
            f"the login {user} may not use the schema {schema}: let its owner grant it a role of "
            "`astra init --roles`"
        )


def _refuse_newer(plan: Runner) -> None:
    unknown = [migration.name for migration in plan.status() if migration.path is None]
    if unknown:
        raise ConfigError(
            f"the database schema is newer than this Astra (it has {', '.join(unknown)}): upgrade the package"
        )


@contextmanager
def alone(database: peewee.Database) -> Iterator[None]:
    """One at a time changes the schema, or who may use it.

    Raises:
        StorageError: One may not write beside the file of the database.
    """
    # Not one transaction around all of it: each migration has its own, and is kept when it is done.
    if is_postgresql(database):
        database.execute_sql("SELECT pg_advisory_lock(%s)", (INIT_LOCK,))
        try:
            yield
        finally:
            database.execute_sql("SELECT pg_advisory_unlock(%s)", (INIT_LOCK,))
        return
    from filelock import FileLock

    file = Path(database.database)
    try:
        with FileLock(file.with_name(f".{file.name}.init.lock")):
            yield
    except OSError as error:
        raise StorageError(f"cannot write beside the database {file}: {error.strerror}") from error


def _create_schema(database: peewee.Database, name: str) -> None:
    # PostgreSQL wants the right to create even where IF NOT EXISTS finds nothing to do.
    found = database.execute_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone()
    if not found:
        database.execute_sql(f'CREATE SCHEMA IF NOT EXISTS "{name}"')


def _write_comments(database: peewee.Database) -> None:
    """Put the help texts where ``\\d+`` in psql shows them; SQLite has no place for them."""
    if not is_postgresql(database):
        return
    from astra.models import TABLES, Distance

    for model in (*TABLES, Distance):
        for field in model._meta.sorted_fields:
            literal = (field.help_text or "").replace("'", "''").replace("%", "%%")
            column = f'"{model._meta.table_name}"."{field.column_name}"'
            database.execute_sql(f"COMMENT ON COLUMN {column} IS '{literal}'")
