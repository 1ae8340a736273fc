"""What an upgrade does to the rows of a task, counted on the tables as they are before it.

The queries are those of every run. What a table does not have yet is NULL in them, as it will be in old rows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import peewee

from astra.database.connection import is_postgresql
from astra.models import Source, TaskWithheld
from astra.models.base import BaseModel
from astra.models.pipeline import of_this_version
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, pending_query, stale_query


@dataclass(frozen=True)
class Effect:
    """The rows of one task.

    Attributes:
        task: The name of the task.
        pending: Spectra that the next run takes.
        stale: Rows that it derives again.
        kept: Rows of this minor version, stale ones among them.
        earlier: Rows of other minor versions, which stay.
    """

    task: str
    pending: int
    stale: int
    kept: int
    earlier: int

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)

    def line(self, *, corrected: bool = False) -> str:
        """One line for a person; ``corrected`` if lines above it say that values of some columns change."""
        how = ", but for columns named above" if corrected else " as they are"
        stay = f"{self.kept - self.stale:,} rows stay{how}"
        earlier = f", and {self.earlier:,} of other versions" if self.earlier else ""
        new = "" if self.kept or not self.earlier else " (this is a new minor version)"
        return (
            f"{self.task}: {stay}{earlier}; {self.stale:,} rows are stale, "
            f"{self.pending:,} spectra are pending{new}"
        )


def effect_on(
    database: peewee.Database, task: Task, corrected: Mapping[str, Collection[str]] | None = None
) -> Effect:
    """How many rows of a task stay, or are taken by the next run, once a database is upgraded.

    Args:
        database: The open database.
        task: The task.
        corrected: By their table, the columns in which the upgrade leaves no wrong value: they count as NULL.
    """
    results = task.output_model
    models = (results, *task.spectrum_models, Source, TaskWithheld)
    shadows = list(_shadows(database, models, corrected or {}))
    pending = stale = 0
    for part in Selection(task).of_each_model():
        pending += _count(database, pending_query(part), shadows)
        query = stale_query(part)
        stale += 0 if query is None else _count(database, query, shadows)
    rows = results.select(results.task_pk)
    kept = _count(database, rows.where(of_this_version(results)), shadows)
    return Effect(task.name, pending, stale, kept, _count(database, rows, shadows) - kept)


def _count(database: peewee.Database, query: peewee.Select, shadows: list[str]) -> int:
    sql, parameters = query.sql()
    before = f"WITH {', '.join(shadows)} " if shadows else ""
    return database.execute_sql(f"{before}SELECT count(*) FROM ({sql}) AS found", parameters).fetchone()[0]


def _shadows(
    database: peewee.Database, models: Iterable[type[BaseModel]], corrected: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """For each table that is not there, or lacks columns, a query of its name that has them all."""
    tables = set(database.get_tables())
    for model in dict.fromkeys(models):
        name, there = model._meta.table_name, []
        if name in tables:
            # On SQLite, get_columns leaves generated columns out.
            columns = database.execute_sql(f'SELECT * FROM "{name}" LIMIT 0').description
            there = [column[0] for column in columns if column[0] not in corrected.get(name, ())]
        absent = [field for field in model._meta.sorted_fields if field.column_name not in there]
        if not absent:
            continue
        listed = [f'"{column}"' for column in there]
        listed += [f'{_null(database, field)} AS "{field.column_name}"' for field in absent]
        if name in tables:
            rows = f"SELECT {', '.join(listed)} FROM {_qualified(database, name)}"
            yield f'"{name}" AS {_once(database)} ({rows})'
        else:
            yield f'"{name}" AS (SELECT {", ".join(listed)} WHERE 1 = 0)'


def _null(database: peewee.Database, field: peewee.Field) -> str:
    if not is_postgresql(database):
        return "NULL"
    kinds = {"BIGSERIAL": "BIGINT", "SERIAL": "INTEGER"}
    kind = field.ddl_datatype(database.get_sql_context()).sql
    return f"CAST(NULL AS {kinds.get(kind, kind)})"


def _once(database: peewee.Database) -> str:
    return "NOT MATERIALIZED" if is_postgresql(database) else ""


def _qualified(database: peewee.Database, table: str) -> str:
    schema = "main"
    if is_postgresql(database):
        (schema,) = database.execute_sql("SELECT current_schema()").fetchone()
    return f'"{schema}"."{table}"'
