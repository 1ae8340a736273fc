"""What ``astra init`` would do to a database, without doing it: statements, locks, times, rows afterwards."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import peewee
from playhouse.migrations import Migration, Runner

from astra.database.clones import missing_columns
from astra.database.connection import described, is_postgresql
from astra.database.sql import snapshot
from astra.database.waiting import LOCK_TIMEOUT_S, MANY_LOCKS_TIMEOUT_S, PATIENCE_S
from astra.errors import ConfigError
from astra.models import TABLES, Distance, TaskTrial, TaskWorker
from astra.schema.effects import Effect, effect_on
from astra.schema.packages import inherited_columns, installed_packages
from astra.schema.recording import record
from astra.schema.statements import Reader, Step, duration
from astra.schema.upgrade import refuse_unknown, runner
from astra.schema.upstream import VIEWS
from astra.system.plugins import FOREIGN, raised
from astra.system.version import __version__
from astra.tasks.contract import Task
from astra.tasks.installed import comes_with_astra, installed_tasks
from astra.tasks.trials import production_table

#: Where nothing else is said, how old rows get values in a new column.
WHEN_MADE_AGAIN = "a run makes the row again"
_ADDED = re.compile(r'ALTER TABLE "?(\w+)"? ADD COLUMN "?(\w+)"?', re.IGNORECASE)
# About so many rows a table has: what was counted last, at an ANALYZE or since.
_ROWS = """
SELECT relname, CASE WHEN reltuples >= 0 THEN reltuples ELSE pg_stat_get_live_tuples(oid) END
FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
"""


@dataclass(frozen=True)
class Part:
    """A migration, or another change that ``astra init`` makes at once.

    Attributes:
        name: The name of the migration, or what is changed.
        package: The package that brings it; ``None``: Astra.
        steps: Its statements; ``None`` if they are not known.
        rows: What it says that it does to rows; ``None``: nothing.
        filled_by: How old rows get values in the columns that it adds.
        problem: Why its statements are not known.
        corrected: By their table, the columns in which it leaves no wrong value.
    """

    name: str
    package: str | None
    steps: list[Step] | None
    rows: str | None = None
    filled_by: str = WHEN_MADE_AGAIN
    problem: str | None = None
    corrected: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """About how long it takes; ``None`` if that is not known."""
        times = [None] if self.steps is None else [step.seconds for step in self.steps]
        return None if None in times else sum(times)

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        steps = None if self.steps is None else [step.as_dict() for step in self.steps]
        return vars(self) | {"steps": steps, "seconds": self.seconds}

    def lines(self) -> Iterator[str]:
        """Lines for a person."""
        of = f" of {self.package}" if self.package else ""
        yield f"{self.name}{of}: {duration(self.seconds)}"
        if self.steps is None:
            yield f"    its statements are not known ({self.problem})"
        for step in self.steps or ():
            yield f"    {step.line()}"
        if self.rows:
            yield f"    rows: {self.rows}"


@dataclass
class Plan:
    """All that ``astra init`` would do.

    Attributes:
        database: Which database it is.
        version: The version of this package.
        parts: The changes, in their order.
        effects: The rows of each task afterwards.
        unknown_until: For each new column of a table of results, how old rows get values in it.
        workers: Workers that have claims now.
        problems: What cannot be said of a package or a task, and why.
    """

    database: str
    version: str = __version__
    parts: list[Part] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    unknown_until: dict[str, str] = field(default_factory=dict)
    workers: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """About how long all of it takes, without waiting; ``None`` if that is not known."""
        times = [part.seconds for part in self.parts]
        return None if None in times else sum(times)

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return vars(self) | {
            "parts": [part.as_dict() for part in self.parts],
            "effects": [effect.as_dict() for effect in self.effects],
            "seconds": self.seconds,
        }

    def short(self) -> str:
        """One line for a person."""
        stale, pending = (sum(getattr(each, name) for each in self.effects) for name in ("stale", "pending"))
        said = f"`astra init` would make {len(self.parts)} changes ({duration(self.seconds)})"
        rows = f"then {stale:,} rows are stale and {pending:,} spectra pending"
        return f"{said}; {rows}; `astra init --plan` shows all"

    def lines(self) -> Iterator[str]:
        """Lines for a person."""
        yield f"{self.database}; astra {self.version}"
        yield from (f"warning: {problem}" for problem in self.problems)
        if not self.parts:
            yield "Nothing to do: the schema is up to date."
        else:
            changes = f"`astra init` would make {len(self.parts)} changes"
            yield f"{changes}; {duration(self.seconds)}, without waiting."
            yield ""
        for part in self.parts:
            yield from part.lines()
        yield ""
        yield "The rows afterwards, as counted now:"
        corrected = any(part.corrected for part in self.parts)
        yield from (f"    {effect.line(corrected=corrected)}" for effect in self.effects)
        yield from self._unknown()
        if self.parts:
            yield ""
            yield from self._others()

    def _unknown(self) -> Iterator[str]:
        columns: dict[str, list[str]] = {}
        for column, until in self.unknown_until.items():
            columns.setdefault(until, []).append(column)
        for until, names in columns.items():
            yield f"    NULL in old rows until {until}: {', '.join(names)}"

    def _others(self) -> Iterator[str]:
        yield "Others meanwhile:"
        those = "those of the last version go on to their end"
        yield f"    {self.workers} workers run now; {those}." if self.workers else "    No worker runs now."
        yield "    A run of the last version that starts afterwards ends with 78: upgrade it, start it again."
        ours, theirs = 2 * LOCK_TIMEOUT_S, 4 * MANY_LOCKS_TIMEOUT_S
        waits = f"{ours:.1f} s ({theirs:.1f} s for other packages)"
        yield f"    Nobody waits for `astra init` longer than {waits}."
        minutes = PATIENCE_S / 60
        yield f"    Where others have a table, it gives way and tries again, for up to {minutes:.0f} min;"
        yield "    then it ends with 75. Killed, it goes on when started again."


def plan(database: peewee.Database) -> Plan:
    """What ``astra init`` would do to an open database, which the models are bound to; nothing is changed.

    Raises:
        ConfigError: It would refuse this database.
        DatabaseUnreachable: The connection was lost.
        StorageError: The database refuses to be read.
    """
    found = Plan(described(database))
    with _reading(database):
        refuse_unknown(database)
        reader = Reader(_rows(database), is_postgresql=is_postgresql(database))
        found.parts += _migrations(database, runner(database), reader)
        found.parts += _views(database, reader, upgraded=bool(found.parts))
        for package in installed_packages():
            try:
                found.parts += _migrations(database, package.runner(database), reader, package.name)
            except ConfigError as error:
                found.problems.append(str(error))
        tasks = installed_tasks()
        found.problems += [str(task) for task in tasks.values() if isinstance(task, ConfigError)]
        usable = [task for task in tasks.values() if isinstance(task, Task)]
        for task in usable:
            if not comes_with_astra(task.name):
                found.parts += _tables(database, task, reader)
        found.parts += list(_trials(database, reader, found.parts))
        corrected = {table: columns for part in found.parts for table, columns in part.corrected.items()}
        for task in usable:
            try:
                with database.atomic():
                    found.effects.append(effect_on(database, task, corrected))
            except FOREIGN as error:
                found.problems.append(f"task {task.name!r}: its rows cannot be counted ({raised(error)})")
        found.unknown_until = _unknown_until(found.parts, usable, reader.made)
        found.workers = _workers(database)
    return found


@contextmanager
def _reading(database: peewee.Database) -> Iterator[None]:
    """One moment of the database, in which nothing can be written by mistake."""
    if is_postgresql(database):
        with snapshot(database):
            yield
        return
    database.pragma("query_only", 1)
    try:
        with snapshot(database):
            yield
    finally:
        database.pragma("query_only", 0)


def _rows(database: peewee.Database) -> dict[str, float | None]:
    if is_postgresql(database):
        return dict(database.execute_sql(_ROWS).fetchall())
    query = "SELECT max(rowid) FROM {}"
    return {
        name: database.execute_sql(query.format(f'"{name}"')).fetchone()[0] or 0
        for name in database.get_tables()
    }


def _migrations(
    database: peewee.Database, history: Runner, reader: Reader, package: str | None = None
) -> list[Part]:
    missing = [each for each in history.status() if not each.applied and each.path]
    return [_migration(database, each, reader, package) for each in missing]


def _migration(database: peewee.Database, migration: Migration, reader: Reader, package: str | None) -> Part:
    try:
        module = migration.load()
        steps = [reader.step(sql) for sql in record(database, module)]
    except FOREIGN as error:
        return Part(migration.name, package, None, problem=raised(error))
    said = {
        name.lower(): getattr(module, name)
        for name in ("ROWS", "FILLED_BY", "CORRECTED")
        if hasattr(module, name)
    }
    return Part(migration.name, package, steps, **said)


def _views(database: peewee.Database, reader: Reader, *, upgraded: bool) -> Iterator[Part]:
    """The views that are made again after migrations; else those that have other columns."""
    known = {view.name for view in database.get_views()}
    for name in (Distance._meta.table_name, *VIEWS):
        verb = "CREATE OR REPLACE VIEW" if name in known else "CREATE VIEW"
        if upgraded or name not in known:
            yield Part(f"the view {name}", None, [reader.step(f"{verb} {name}")])


def _tables(database: peewee.Database, task: Task, reader: Reader) -> Iterator[Part]:
    """The tables of a task of another package that are made, or get new columns."""
    there = set(database.get_tables())
    for model in (*task.spectrum_models, task.output_model):
        table = model._meta.table_name
        if model in TABLES or table in reader.made:
            continue
        statements = [
            f'ALTER TABLE "{table}" ADD COLUMN "{each.column_name}"'
            for each in (inherited_columns(database, model) if table in there else ())
        ]
        if table not in there:
            referred = [key.rel_model._meta.table_name for key in model._meta.refs]
            statements = [f"CREATE TABLE {table} (… {' '.join(f'REFERENCES {name}' for name in referred)})"]
        if statements:
            yield Part(f"the table {table} of {task.name}", None, [reader.step(sql) for sql in statements])


def _trials(database: peewee.Database, reader: Reader, parts: list[Part]) -> Iterator[Part]:
    """The columns that tables of trials get after those of production."""
    there, added = set(database.get_tables()), list(_added(parts))
    if TaskTrial._meta.table_name not in there:
        return
    for trial in TaskTrial.select(TaskTrial.task, TaskTrial.name, TaskTrial.table_name):
        table, production = trial.table_name, production_table(trial)
        if not {table, production} <= there:
            continue
        columns = dict(missing_columns(database, production, table))
        columns |= {column: "" for _, changed, column in added if changed == production}
        statements = [
            f'ALTER TABLE "{table}" ADD COLUMN "{name}" {kind}'.strip() for name, kind in columns.items()
        ]
        if statements:
            yield Part(f"the table {table}", None, [reader.step(sql) for sql in statements])


def _added(parts: list[Part]) -> Iterator[tuple[Part, str, str]]:
    """The columns that are added, each with its part and its table."""
    for part in parts:
        for step in part.steps or ():
            if added := _ADDED.match(step.sql):
                yield part, added[1], added[2]


def _unknown_until(parts: list[Part], tasks: list[Task], made: set[str]) -> dict[str, str]:
    """How old rows get values in the new columns of results."""
    results = {task.output_model._meta.table_name for task in tasks} - made
    return {f"{table}.{column}": part.filled_by for part, table, column in _added(parts) if table in results}


def _workers(database: peewee.Database) -> int:
    table = TaskWorker._meta.table_name
    return TaskWorker.select().count() if table in database.get_tables() else 0
