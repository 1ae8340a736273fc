"""Writing many rows at once: new ones are inserted, known ones updated.

On PostgreSQL every column travels as one array: a statement of few parameters, which the server reads
several times as fast as one with a parameter for each value, and which needs no table on the side.
"""

import functools
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import peewee

from astra.database import MAX_PARAMETERS, is_postgresql, now_sql
from astra.models.base import BaseModel

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
    fields = [meta.fields[name] for name in rows[0]]
    target = [meta.fields[name].column_name for name in key]
    changing = [field.column_name for field in fields if field.name not in {*key, *keep}]
    not_counted = {meta.fields[name].column_name for name in uncounted}
    conflict = _on_conflict(model, target, changing, not_counted)
    insert, size = (
        (_insert_arrays, ROWS)
        if is_postgresql(meta.database)
        else (_insert_values, max(1, MAX_PARAMETERS // len(fields)))
    )
    for start in range(0, len(rows), size):
        part = [tuple(row[field.name] for field in fields) for row in rows[start : start + size]]
        written, part = model.written(fields, part)
        insert(model, written, part, conflict)


def _insert_values(
    model: type[BaseModel], fields: list[peewee.Field], rows: list[tuple[Any, ...]], conflict: str
) -> None:
    places = ", ".join(["(" + ", ".join("?" * len(fields)) + ")"] * len(rows))
    values = [field.db_value(value) for row in rows for field, value in zip(fields, row, strict=True)]
    model._meta.database.execute_sql(f"{_insert(model, fields)} VALUES {places} {conflict}", values)


def _insert_arrays(
    model: type[BaseModel], fields: list[peewee.Field], rows: list[tuple[Any, ...]], conflict: str
) -> None:
    database, table = model._meta.database, model._meta.table_name
    types = _types(database, table)
    arrays = ", ".join(f"%s::{types[field.column_name]}[]" for field in fields)
    columns = zip(fields, zip(*rows, strict=True), strict=True)
    values = ["{" + ",".join(map(_literal, map(field.db_value, column))) + "}" for field, column in columns]
    database.execute_sql(f"{_insert(model, fields)} SELECT * FROM unnest({arrays}) {conflict}", values)


def _insert(model: type[BaseModel], fields: list[peewee.Field]) -> str:
    columns = ", ".join(f'"{field.column_name}"' for field in fields)
    return f'INSERT INTO "{model._meta.table_name}" ({columns})'


def _literal(value: Any) -> str:
    """A value within the text of an array of PostgreSQL."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return str(value)


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
