"""A copy of a database, of one moment, in one SQLite file.

Views become tables: a page that sorts and counts a view of a million rows would take minutes.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import peewee

from astra.database.connection import is_postgresql, now
from astra.database.sql import batches, snapshot
from astra.errors import StorageError
from astra.models.base import BaseModel
from astra.models.fields import Kind, kind_of
from astra.schema.upstream import VIEWS
from astra.serve.describing import columns_of, facets, sorting

# The types of SQLite.
_TYPES = {
    **dict.fromkeys((Kind.LONG, Kind.INT, Kind.LOGICAL), "INTEGER"),
    Kind.DOUBLE: "REAL",
    **dict.fromkeys((Kind.TEXT, Kind.TIME), "TEXT"),
}
# What SQLite takes as the drivers give it.
_PLAIN = (int, float, str, bytes, type(None))
# Not what another owner has put beside, and keeps to himself.
_READABLE = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND has_table_privilege(oid, 'SELECT')
"""


@dataclass(frozen=True)
class Copy:
    """A copy that was made.

    Attributes:
        path: The file.
        moment: When the database was as the copy is (UTC).
        rows: In all tables together.
        bytes: The size of the file.
        elapsed_s: How long it took.
        left_out: Tables that this login may not read.
    """

    path: Path
    moment: datetime
    rows: int
    bytes: int
    elapsed_s: float
    left_out: list[str]


def copy_database(
    database: peewee.Database,
    path: Path,
    models: Mapping[str, type[BaseModel]],
    on_progress: Callable[[int, int | None], None],
) -> Copy:
    """Copy every table and view, a batch of rows at a time.

    Args:
        database: The open database.
        path: The file, which is not there yet.
        models: The models of tables and views, by the names of these.
        on_progress: Takes how many rows are copied, and how many there are.

    Raises:
        DatabaseUnreachable: The connection was lost.
        StorageError: The database refuses to be read, or the file cannot be written.
    """
    started = time.monotonic()
    target = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody reads it before it is whole, and a half one is of no use.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        with snapshot(database):
            moment = now(database)
            views = [view.name for view in database.get_views() if view.name not in VIEWS]
            names, left_out = _readable(database, [*database.get_tables(), *views])
            counts = {name: _count(database, name) for name in names}
            copied, total = 0, sum(counts.values())
            for name in names:
                for rows in _copied(database, target, name, models.get(name), is_view=name in views):
                    copied += rows
                    on_progress(copied, total)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"the copy {path} cannot be written: {error}; TMPDIR names another folder for it"
        ) from error
    finally:
        target.close()
    elapsed = time.monotonic() - started
    return Copy(path, moment, copied, path.stat().st_size, elapsed, left_out)


def _readable(database: peewee.Database, names: list[str]) -> tuple[list[str], list[str]]:
    if not is_postgresql(database):
        # The other ones are SQLite's own.
        return [name for name in names if not name.startswith("sqlite_")], []
    there = {name for (name,) in database.execute_sql(_READABLE)}
    return [name for name in names if name in there], [name for name in names if name not in there]


def _count(database: peewee.Database, name: str) -> int:
    return database.execute_sql(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]


def _copied(
    database: peewee.Database,
    target: sqlite3.Connection,
    name: str,
    model: type[BaseModel] | None,
    *,
    is_view: bool,
) -> Iterator[int]:
    """Copy one table, and give the number of rows of each batch."""
    columns = columns_of(database, name)
    target.execute(f"CREATE TABLE {_quoted(name)} ({', '.join(_definition(database, name, model, columns))})")
    places = ", ".join("?" * len(columns))
    every = peewee.Select([peewee.Table(name)], [peewee.SQL("*")])
    for rows in batches(database, every):
        target.execute("BEGIN")
        plain = ([value if isinstance(value, _PLAIN) else _plain(value) for value in row] for row in rows)
        target.executemany(f"INSERT INTO {_quoted(name)} VALUES ({places})", plain)
        target.execute("COMMIT")
        yield len(rows)
    for number, listed in enumerate(_indexes(database, name, model, columns, is_view=is_view)):
        index = _quoted(f"{name}_{number}")
        target.execute(f"CREATE INDEX {index} ON {_quoted(name)} ({_listed(listed)})")


def _definition(
    database: peewee.Database, name: str, model: type[BaseModel] | None, columns: list[str]
) -> list[str]:
    """The columns and keys of a table, in SQL."""
    fields = {} if model is None else model._meta.columns
    types = {column.name: column.data_type for column in database.get_columns(name)}
    types |= {column: _TYPES.get(kind_of(field), "") for column, field in fields.items()}
    keys = [f"PRIMARY KEY ({_listed(primary)})"] if (primary := database.get_primary_keys(name)) else []
    for key in database.get_foreign_keys(name):
        there = f"{_quoted(key.dest_table)} ({_quoted(key.dest_column)})"
        keys.append(f"FOREIGN KEY ({_quoted(key.column)}) REFERENCES {there}")
    return [f"{_quoted(column)} {types.get(column, '')}" for column in columns] + keys


def _indexes(
    database: peewee.Database, name: str, model: type[BaseModel] | None, columns: list[str], *, is_view: bool
) -> list[list[str]]:
    """The columns of each index: those of the table, and in place of a view what its pages ask for."""
    if not is_view:
        found = [list(index.columns) for index in database.get_indexes(name)]
        # Of an expression there is no column.
        return [index for index in found if set(index) <= set(columns)]
    if model is None:
        return []
    keys = [column for column in columns if column.endswith(("_pk", "_id"))]
    return [[column] for column in (sorting(columns), *keys) if column] + [facets(model, columns)]


def _plain(value: Any) -> Any:
    """A value of PostgreSQL as SQLite has it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, memoryview):
        return bytes(value)
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))
