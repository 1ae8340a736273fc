"""Writing many rows at once: new ones are inserted, known ones updated.

On PostgreSQL every column travels as one array: a statement of few parameters, which the server reads
several times as fast as one with a parameter for each value, and which needs no table on the side.
"""

import functools
import itertools
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import peewee

from astra.database.connection import MAX_PARAMETERS, is_postgresql, now_sql
from astra.models.base import BaseModel, is_written

#: Values for the database, by field.
Columns = dict[peewee.Field, list[Any]]

#: Rows of one statement on PostgreSQL, whose size is limited by memory alone.
ROWS = 5000


def upsert(
    model: type[BaseModel],
    rows: Iterable[Mapping[str, Any]],
    *,
    key: Collection[str],
    keep: Collection[str] = (),
    uncounted: Collection[str] = (),
) -> None:
    """Insert rows, or update those whose key is there already.

    ``modified`` moves only where a counted value changed; ``created`` and the primary key stay.

    Args:
        model: A model with the columns ``created`` and ``modified``.
        rows: Values by field name; every row has the same names.
        key: Fields of the unique index that identifies a row.
        keep: Fields that an update leaves as they are.
        uncounted: Fields that are updated but do not count as a change (timings, provenance).
    """
    rows = list(rows)
    if not rows:
        return
    meta = model._meta
    columns = {meta.fields[name]: [row[name] for row in rows] for name in rows[0]}
    columns = {
        field: [field.db_value(value) for value in values]
        for field, values in columns.items()
        if is_written(field, values)
    }
    changing = [field.column_name for field in columns if field.name not in {*key, *keep}]
    not_counted = {meta.fields[name].column_name for name in uncounted}
    conflict = _on_conflict(model, [meta.fields[name].column_name for name in key], changing, not_counted)
    if is_postgresql(meta.database):
        insert, size = _insert_arrays, ROWS
    else:
        insert, size = _insert_values, max(1, MAX_PARAMETERS // len(columns))
    for start in range(0, len(rows), size):
        insert(model, {field: values[start : start + size] for field, values in columns.items()}, conflict)


def _insert_values(model: type[BaseModel], columns: Columns, conflict: str) -> None:
    rows = list(zip(*columns.values(), strict=True))
    places = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows))
    values = list(itertools.chain.from_iterable(rows))
    model._meta.database.execute_sql(f"{_insert(model, columns)} VALUES {places} {conflict}", values)


def _insert_arrays(model: type[BaseModel], columns: Columns, conflict: str) -> None:
    database, table = model._meta.database, model._meta.table_name
    types = _types(database, table)
    if not {field.column_name for field in columns} <= types.keys():
        # Read before a migration.
        _types.cache_clear()
        types = _types(database, table)
    arrays = ", ".join(f"%s::{types[field.column_name]}[]" for field in columns)
    values = [_array(values) for values in columns.values()]
    database.execute_sql(f"{_insert(model, columns)} SELECT * FROM unnest({arrays}) {conflict}", values)


def _insert(model: type[BaseModel], fields: Iterable[peewee.Field]) -> str:
    columns = ", ".join(f'"{field.column_name}"' for field in fields)
    return f'INSERT INTO "{model._meta.table_name}" ({columns})'


def _array(values: list[Any]) -> str:
    """The text of an array of PostgreSQL, which writes numbers and null as JSON does, but not texts."""
    if any(isinstance(value, str) for value in values):
        return "{" + ",".join("NULL" if value is None else _quoted(value) for value in values) + "}"
    return "{" + json.dumps(values, allow_nan=False)[1:-1] + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@functools.cache
def _types(database: peewee.Database, table: str) -> dict[str, str]:
    """The type of each column, as the database calls it."""
    return {column.name: column.data_type for column in database.get_columns(table)}


def _on_conflict(model: type[BaseModel], key: list[str], changing: list[str], uncounted: set[str]) -> str:
    database, table = model._meta.database, model._meta.table_name
    differs = "IS DISTINCT FROM" if is_postgresql(database) else "IS NOT"
    changes = [
        f'EXCLUDED."{column}" {differs} "{table}"."{column}"'
        for column in changing
        if column not in uncounted
    ]
    changed = " OR ".join(changes) or "1 = 0"
    updates = [f'"{column}" = EXCLUDED."{column}"' for column in changing]
    updates.append(f'"modified" = CASE WHEN {changed} THEN {now_sql(database)} ELSE "{table}"."modified" END')
    target = ", ".join(f'"{column}"' for column in key)
    return f"ON CONFLICT ({target}) DO UPDATE SET {', '.join(updates)}"
