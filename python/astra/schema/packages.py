"""Packages beside Astra: the migrations that they bring, and the tables of their tasks.

A package names its migrations by an entry point in the group ``astra.migrations``: the name is a short one
of the package, the value is the package that holds the files. Its history is a table of its own,
``schema_migration_NAME``. That of a package without migrations is empty: it only tells, where the package is
not installed, whose tables there are.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import peewee
from playhouse.migrations import Migration, Runner

from astra.database.connection import database as configured
from astra.database.connection import is_missing_table, one_line, translated
from astra.database.schemas import comment
from astra.database.waiting import MANY_LOCKS_TIMEOUT_S, patiently
from astra.errors import AstraError, ConfigError, DatabaseUnreachable
from astra.models import TABLES
from astra.models.base import BaseModel
from astra.models.pipeline import FlaggedOutputModel, PipelineOutputModel
from astra.schema.live import LiveRunner
from astra.system.plugins import FOREIGN, MIGRATIONS_GROUP, TASKS_GROUP, entry_points, misspelt, raised
from astra.system.version import DISTRIBUTION
from astra.tasks.contract import Task
from astra.tasks.installed import comes_with_astra, find_task, points_of, task_names

#: What the names of their histories begin with.
HISTORY = "schema_migration_"
# With the prefix no longer than a name may be on PostgreSQL, which would cut it off.
_NAME = re.compile(r"[a-z0-9_]{1,46}")
log = logging.getLogger("astra")


@dataclass
class Upgrade:
    """What was changed in a database, and what could not be.

    Attributes:
        applied: The migrations of Astra that were applied now.
        applied_of: Those of other packages, by the name of the package.
        tables: The tables that were made from models of tasks.
        columns: The columns (``TABLE.COLUMN``) that such a table has got because all results have them now.
        refused: Why a package or a task has not got its tables; all others have theirs.
    """

    applied: list[str] = field(default_factory=list)
    applied_of: dict[str, list[str]] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    refused: list[AstraError] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A line for each change."""
        return [
            *(f"applied {name}" for name in self.applied),
            *(f"applied {name} of {package}" for package, names in self.applied_of.items() for name in names),
            *(f"made the table {table}" for table in self.tables),
            *(f"added the column {column}" for column in self.columns),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return vars(self) | {"refused": [str(error) for error in self.refused]}


@dataclass(frozen=True)
class Package:
    """A package that offers tasks, or brings migrations.

    Attributes:
        name: The name of its history.
        distribution: Its name for pip.
        migrations: The package that holds its migrations, if it brings any.
    """

    name: str
    distribution: str
    migrations: str | None = None

    def runner(self, database: peewee.Database) -> Runner:
        """Its migrations, over an open database.

        Raises:
            ConfigError: They cannot be found, their name is no good, or the database knows later ones.
        """
        same = sorted(each.distribution for each in installed_packages() if each.name == self.name)
        if len(same) > 1:
            raise ConfigError(
                f"two packages have the history {self.name!r}: {' and '.join(same)}; uninstall one"
            )
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"package {self.distribution}: {self.name!r} cannot name its history; give up to 46 of a-z, "
                f"0-9 and _, by an entry point in the group {MIGRATIONS_GROUP}"
            )
        found = LiveRunner(database, self._folder(), HISTORY + self.name)
        if unknown := unknown_to(found):
            raise ConfigError(
                f"the tables of package {self.name!r} are newer than what is installed of it (they have "
                f"{', '.join(each.name for each in unknown)}): upgrade {self.distribution}"
            )
        return found

    def _folder(self) -> str:
        if self.migrations is None:
            return os.devnull  # nothing is in there
        reason = "it is not a package"
        try:
            spec = find_spec(self.migrations)
            if spec is not None and spec.submodule_search_locations:
                return next(iter(spec.submodule_search_locations))
        except FOREIGN as error:
            log.debug("looking for %s failed", self.migrations, exc_info=True)
            reason = raised(error)
        raise ConfigError(f"package {self.name!r}: no migrations found in {self.migrations} ({reason})")


def installed_packages() -> list[Package]:
    """The packages beside Astra that offer tasks or bring migrations."""
    found = [
        Package(point.name, point.dist.name, point.value.partition(":")[0].strip())
        for point in entry_points(MIGRATIONS_GROUP)
    ]
    offering = {point.dist.name for point in entry_points(TASKS_GROUP)}
    others = sorted(offering - {package.distribution for package in found})
    found += [Package(_short(name), name) for name in others]
    return [package for package in found if package.distribution != DISTRIBUTION]


def absent_packages(database: peewee.Database) -> list[str]:
    """The names of the packages that have tables in a database, and are not installed here."""
    # A package that has got migrations since has two histories: that of its distribution stays.
    known = {name for each in installed_packages() for name in (each.name, _short(each.distribution))}
    histories = [table for table in database.get_tables() if table.startswith(HISTORY)]
    found = [name for table in histories if (name := table.removeprefix(HISTORY)) not in known]
    if found:
        # A package is there, even if its entry points are in a group of another name, or gone.
        known = {point.name for point, _ in misspelt()}
        known |= {_short(each.name) for each in metadata.distributions() if each.name}
    return [name for name in found if name not in known]


def unknown_to(plan: Runner) -> list[Migration]:
    """The migrations in a history that this installation does not have."""
    return [migration for migration in plan.status() if migration.path is None]


def upgrade_packages(database: peewee.Database, done: Upgrade) -> None:
    """Apply the migrations of all packages, then make the tables of their tasks that are still missing.

    Args:
        database: The open database, which the models are bound to.
        done: Takes what is changed, and what a package or a task was refused for.

    Raises:
        DatabaseUnreachable: The connection was lost.
    """
    broken = {each for each in installed_packages() if not _is_migrated(database, each, done)}
    for name in task_names():
        # Tables made from models would be in the way of the migrations, once these are repaired.
        if not comes_with_astra(name) and broken.isdisjoint(_packages_of(name)):
            with _refusing(f"task {name!r}", done):
                _make_tables(database, find_task(name), done)


def _is_migrated(database: peewee.Database, package: Package, done: Upgrade) -> bool:
    """Whether a package has all its migrations now: applies those that are missing, up to one that fails."""
    what = f"package {package.name!r}"
    with _refusing(what, done):
        plan = package.runner(database)
        if not plan.History.table_exists():
            plan.History.create_table()
        for migration in plan.status():
            if migration.applied:
                continue
            with _refusing(f"{what}: its migration {migration.name}", done):
                done.applied_of.setdefault(package.name, []).extend(plan.up(migration.name))
                continue
            return False
        return True
    return False


def _make_tables(database: peewee.Database, task: Task, done: Upgrade) -> None:
    for model in (*task.spectrum_models, task.output_model):
        if model in TABLES:
            continue
        table = model._meta.table_name
        done.columns += _add_inherited(database, model)
        if not _is_there(task, model):
            patiently(
                database, f"the table {table}", partial(_make_table, database, model), MANY_LOCKS_TIMEOUT_S
            )
            done.tables.append(table)
        comment_columns(database, model)


def _make_table(database: peewee.Database, model: type[BaseModel]) -> None:
    with database.atomic():
        model.create_table()


def inherited_columns(database: peewee.Database, model: type[BaseModel]) -> list[peewee.Field]:
    """What all results have by now, and a table of results that is there has not."""
    there = {column.name for column in database.get_columns(model._meta.table_name)}
    base = [each for each in model.written_fields() if each.name in FlaggedOutputModel._meta.fields]
    is_of_results = {each.column_name for each in base if not each.null} <= there
    if not (is_of_results and issubclass(model, PipelineOutputModel)):
        return []
    return [each for each in base if each.null and each.column_name not in there]


def _add_inherited(database: peewee.Database, model: type[BaseModel]) -> list[str]:
    table, missing = model._meta.table_name, inherited_columns(database, model)
    if missing:
        patiently(database, f"new columns of {table}", lambda: _add(database, table, missing))
    return [f"{table}.{each.column_name}" for each in missing]


def _add(database: peewee.Database, table: str, fields: list[peewee.Field]) -> None:
    with database.atomic():
        for each in fields:
            definition, _ = database.get_sql_context().sql(each.ddl(database.get_sql_context())).query()
            database.execute_sql(f'ALTER TABLE "{table}" ADD COLUMN {definition}')


def comment_columns(database: peewee.Database, model: type[BaseModel]) -> None:
    """Write the help texts of a model beside the columns of its table."""
    texts = {each.column_name: each.help_text or "" for each in model._meta.sorted_fields}
    comment(database, model._meta.table_name, texts)


@contextmanager
def _refusing(what: str, done: Upgrade) -> Iterator[None]:
    """Whatever goes wrong with one package or task is a line in ``done``, and stops no other."""
    try:
        yield
    except FOREIGN as error:
        log.debug("upgrading %s failed", what, exc_info=True)
        if isinstance(error, peewee.PeeweeException):
            known = translated(error)
            known = type(known)(f"{what}: {known}")
        elif isinstance(error, AstraError):
            known = error
        else:
            known = ConfigError(f"{what}: {raised(error)}")
        if isinstance(known, DatabaseUnreachable):
            raise known from error
        # Two packages or tasks that stand in each other's way are refused for one reason.
        if str(known) not in map(str, done.refused):
            done.refused.append(known)


def check_task(task: Task) -> None:
    """Refuse a task whose tables are not those that its package works on.

    Raises:
        ConfigError: A migration of its package is missing; or a table is missing, lacks a column, or this
            login may not read it.
        DatabaseUnreachable: The connection was lost.
    """
    for package in _packages_of(task.name):
        try:
            plan = package.runner(configured.opened())
            missing = [migration.name for migration in plan.status() if not migration.applied]
        except peewee.DatabaseError as error:
            raise _unreadable(task, HISTORY + package.name, error) from error
        except ConfigError as error:
            raise ConfigError(f"task {task.name!r}: {error}") from error
        if missing:
            raise ConfigError(
                f"task {task.name!r}: the tables of package {package.name!r} are older than it (missing "
                f"{', '.join(missing)}): run `astra init`"
            )
    for model in (*task.spectrum_models, task.output_model):
        if not _is_there(task, model):
            table = model._meta.table_name
            raise ConfigError(f"task {task.name!r}: its table {table} is missing: run `astra init`")


def _is_there(task: Task, model: type[BaseModel]) -> bool:
    try:
        model.select().limit(0).execute()
    except peewee.DatabaseError as error:
        if is_missing_table(error):
            return False
        table = model._meta.table_name
        known = {column.name for column in model._meta.database.get_columns(table)}
        if lacking := [each.column_name for each in model.written_fields() if each.column_name not in known]:
            raise ConfigError(
                f"task {task.name!r}: its table {table} cannot be read (it lacks {', '.join(lacking)}): run "
                "`astra init`; if that does not help, a migration is missing in its package"
            ) from error
        raise _unreadable(task, table, error) from error
    return True


def _unreadable(task: Task, table: str, error: peewee.DatabaseError) -> AstraError:
    if isinstance(known := translated(error), DatabaseUnreachable):
        return known
    return ConfigError(f"task {task.name!r}: its table {table} cannot be read ({one_line(error)})")


def _packages_of(task: str) -> list[Package]:
    distributions = {point.dist.name for point in points_of(task)}
    return [package for package in installed_packages() if package.distribution in distributions]


def _short(distribution: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", distribution.lower())
