"""The schema of the database: made and upgraded by ``astra init``, checked by everything else."""

import logging
from pathlib import Path

import peewee
from playhouse.migrations import MigrationError, Runner

from astra.config import Settings
from astra.database.connection import described, is_postgresql, one_line, translated
from astra.database.locks import changing_schema
from astra.database.schemas import create_schema, is_view_of, refuse_hidden_schema, replace_view
from astra.database.waiting import LOCK_TIMEOUT_S, patiently
from astra.errors import ConfigError
from astra.models import TABLES, Distance
from astra.models.astronn_dist import view_query
from astra.schema.live import LiveRunner
from astra.schema.packages import Upgrade, comment_columns, unknown_to, upgrade_packages
from astra.schema.roles import follow
from astra.schema.trial_tables import upgrade_trials
from astra.schema.upstream import drop_views, make_views

log = logging.getLogger("astra")


class OlderSchema(ConfigError):
    """The schema lacks migrations that ``astra init`` applies."""


class _Migrations(LiveRunner):
    """The migrations of Astra itself: each needs at most two locks of tables that are there."""

    timeout_s = LOCK_TIMEOUT_S

    def down(self, target: str | None = None) -> list[str]:
        # Upstream's names are not in the way of columns that go.
        drop_views(self.database)
        return super().down(target)


def runner(database: peewee.Database) -> Runner:
    """The migrations of this version of Astra, over an open database."""
    from astra import migrations

    return _Migrations(database, directory=str(Path(migrations.__file__).parent))


def upgrade(database: peewee.Database, settings: Settings) -> Upgrade:
    """Create or upgrade the schema, and the tables of other packages.

    It is safe to repeat, and to start twice at once.

    Returns:
        What was changed; what is wrong with another package is in there, and raises nothing.

    Raises:
        ConfigError: The schema was made by a newer Astra, or holds the tables of SDSS Astra.
        StorageError: The database refused a change; that migration was rolled back.
        Interrupted: Others had a table for too long; what was done is kept.
    """
    try:
        _refuse_foreign(database)
        if not is_postgresql(database):
            # Kept in the file. Setting it each time would be a write, which a reader may not be allowed.
            database.pragma("journal_mode", "wal")
        with changing_schema(database):
            create_schema(database, settings.database.schema_)
            _refuse_newer(runner(database))
            applied = runner(database).up()
            _make_view(database)
            make_views(database)
            for model in (*TABLES, Distance):
                comment_columns(database, model)
            done = Upgrade(applied)
            upgrade_packages(database, done)
            done.columns += upgrade_trials(database)
            follow(database, settings.database.schema_)
            return done
    except MigrationError as error:
        raise ConfigError(f"the migrations cannot be applied: {error}") from error
    except peewee.PeeweeException as error:
        raise translated(error) from error


def _make_view(database: peewee.Database) -> None:
    """Make the view `distances`; another version with the same migrations may have made another."""
    name, query = Distance._meta.table_name, view_query()
    if not is_view_of(database, name, query):
        patiently(database, f"the view {name}", lambda: replace_view(database, name, query))


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
        refuse_hidden_schema(database)
        raise ConfigError("the database has no Astra schema: run `astra init` first")
    if pending:
        raise OlderSchema(
            f"the database schema is older than this Astra (missing {', '.join(pending)}): run `astra init`"
        )
    _refuse_newer(plan)


def refuse_unknown(database: peewee.Database) -> None:
    """Refuse what ``astra init`` would: a schema of a newer Astra, and the tables of SDSS Astra.

    Raises:
        ConfigError: It is one of these.
    """
    _refuse_foreign(database)
    _refuse_newer(runner(database))


def _refuse_foreign(database: peewee.Database) -> None:
    """Leave tables alone that ``astra init`` has not made, before anything is made beside them."""
    # Before the migrations are read: another process may make both in one transaction.
    taken = {model._meta.table_name for model in TABLES} & set(database.get_tables())
    if not taken or any(each.applied and each.path for each in runner(database).status()):
        return
    if is_postgresql(database):
        other, source = "schema (`schema:` in the settings, or ASTRA_DATABASE_SCHEMA)", "… --schema …"
    else:
        other, source = "file (`path:` in the settings, or ASTRA_DATABASE_PATH)", f"{database.database}"
    raise ConfigError(
        f"{described(database)}: the tables {', '.join(sorted(taken))} are there, and `astra init` has not "
        f"made them, but SDSS Astra, it seems: name another {other}; from there, `astra ingest astra --from "
        f"{source}` reads these"
    )


def _refuse_newer(plan: Runner) -> None:
    unknown, latest = unknown_to(plan), max(plan.migrations()).idx
    # What a newer Astra has beside the migrations of this one comes after them.
    if newer := [migration.name for migration in unknown if migration.idx >= latest]:
        raise ConfigError(
            f"the database schema is newer than this Astra (it has {', '.join(newer)}): upgrade the package"
        )
    if unknown:
        log.warning(
            "the table schema_migration has migrations that are not Astra's (%s): another package has left "
            "them there, and should have a history of its own; Astra goes on without them",
            ", ".join(migration.name for migration in unknown),
        )
