"""Writing many rows at once: new ones are inserted, known ones updated."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from astra.database.connection import now_sql
from astra.database.sql import differs, insert_columns
from astra.models.base import BaseModel, is_written


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
    written = {field.column_name: values for field, values in columns.items()}
    insert_columns(meta.database, meta.table_name, written, conflict)


def _on_conflict(model: type[BaseModel], key: list[str], changing: list[str], uncounted: set[str]) -> str:
    database, table = model._meta.database, model._meta.table_name
    changes = [
        differs(database, f'EXCLUDED."{column}"', f'"{table}"."{column}"')
        for column in changing
        if column not in uncounted
    ]
    changed = " OR ".join(changes) or "1 = 0"
    updates = [f'"{column}" = EXCLUDED."{column}"' for column in changing]
    updates.append(f'"modified" = CASE WHEN {changed} THEN {now_sql(database)} ELSE "{table}"."modified" END')
    target = ", ".join(f'"{column}"' for column in key)
    return f"ON CONFLICT ({target}) DO UPDATE SET {', '.join(updates)}"
