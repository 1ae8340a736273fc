"""The base of all models, and writing many rows at once."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import peewee

from astra.database.connection import database, moved_on_sql
from astra.database.sql import differs, insert_columns, insert_new, update_columns
from astra.errors import StorageError
from astra.models.fields import GeneratedField
from astra.system.plugins import load_all


class BaseModel(peewee.Model):
    """A table whose columns have help texts, and that refuses what is not a column."""

    class Meta:
        database = database
        legacy_table_names = False
        only_save_dirty = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # peewee sets unknown keywords as plain attributes, which are then silently not stored. Rows that
        # it loads itself (it marks them) may carry aliases of a query.
        if "__no_default__" not in kwargs:
            for name in kwargs:
                if not hasattr(type(self), name) or callable(getattr(type(self), name)):
                    raise TypeError(f"{type(self).__name__} has no {name!r}")
        super().__init__(*args, **kwargs)

    @classmethod
    def written_fields(cls) -> list[peewee.Field]:
        """The fields that a program writes: all but those that the database computes."""
        return [field for field in cls._meta.sorted_fields if not isinstance(field, GeneratedField)]

    def save(self, force_insert: bool = False, only: Iterable[peewee.Field] | None = None) -> int | bool:
        """Write the values that differ from the stored ones; ``modified`` moves with them.

        Generated columns stay out.
        """
        dirty = [field for field in (only or self.dirty_fields) if not isinstance(field, GeneratedField)]
        if self._pk is None or force_insert:
            return super().save(force_insert=force_insert, only=dirty)
        changed = self._changed(dirty)
        stamped = self._meta.fields.get("modified") if changed else None
        if stamped is not None:
            self.__data__["modified"] = peewee.SQL(moved_on_sql(self._meta.database, '"modified"'))
            changed.append(stamped)
        rows = super().save(only=changed) if changed else False
        if stamped is not None:
            self.__data__["modified"] = type(self).select(stamped).where(self._pk_expr()).scalar()
        self._dirty -= {field.name for field in dirty}
        return rows

    def _changed(self, fields: list[peewee.Field]) -> list[peewee.Field]:
        if not fields:
            return []
        stored = type(self).select(*fields).where(self._pk_expr()).tuples().first()
        if stored is None:
            return fields
        mine = [field.db_value(self.__data__.get(field.name)) for field in fields]
        theirs = [field.db_value(value) for field, value in zip(fields, stored, strict=True)]
        return [field for field, new, old in zip(fields, mine, theirs, strict=True) if new != old]

    @classmethod
    def _normalize_data(cls, data: Any, kwargs: dict[str, Any]) -> Any:
        for name in [*(data if isinstance(data, dict) else ()), *kwargs]:
            if isinstance(name, str):
                _field_name(cls, name)
        return super()._normalize_data(data, kwargs)

    @classmethod
    def insert(cls, __data: Any = None, **insert: Any) -> peewee.ModelInsert:
        """Insert one row; unlike peewee's, it leaves generated columns out."""
        normalized = cls._normalize_data(__data, insert)
        if isinstance(normalized, dict):
            written = [key for key in normalized if not isinstance(key, GeneratedField)]
            normalized = {key: normalized[key] for key in written}
        return super().insert(normalized)

    @classmethod
    def insert_many(cls, rows: Iterable[Any], fields: Iterable[Any] | None = None) -> peewee.ModelInsert:
        """Insert rows; unlike peewee's, no key of a later row is lost because the first lacks it."""
        rows = list(rows)
        if fields is not None and not any(isinstance(row, dict) for row in rows):
            columns = zip(*rows, strict=True) if rows else [()] * len(fields)
            written = [pair for pair in zip(fields, columns, strict=True) if is_written(*pair)]
            fields = [field for field, _ in written]
            rows = list(zip(*(column for _, column in written), strict=True))
        elif fields is None and rows and all(isinstance(row, dict) for row in rows):
            rows = [{_field_name(cls, key): value for key, value in row.items()} for row in rows]
            fields = [cls._meta.fields[name] for name in dict.fromkeys(name for row in rows for name in row)]
            fields = [field for field in fields if not isinstance(field, GeneratedField)]
            blank = {f.name: f.default() if callable(f.default) else f.default for f in fields}
            rows = [tuple(row.get(name, blank[name]) for name in blank) for row in rows]
        return super().insert_many(rows, fields=fields)


def spectra_of(referred: type[BaseModel]) -> Iterator[tuple[peewee.ForeignKeyField, type[BaseModel]]]:
    """The models of spectra that refer to a table, and have one themselves: each with its key to that table.

    They are those of installed tasks, and others that are imported.
    """
    load_all()
    for key, model in referred._meta.backrefs.items():
        # A migration describes its tables by models of its own, inside of functions.
        if "<locals>" in model.__qualname__:
            continue
        identity = model._meta.fields.get("spectrum_pk")
        # Results have a spectrum too, but not each its own.
        if identity is not None and identity.unique and model.table_exists():
            yield key, model


def is_written(field: Any, values: Iterable[Any]) -> bool:
    """Whether a column is for the program to write: not computed, and not left to the database's default."""
    if isinstance(field, GeneratedField):
        return False
    optional = not isinstance(field, peewee.Field) or field.null or field.primary_key
    return optional or any(value is not None for value in values)


def _field_name(model: type[BaseModel], key: Any) -> str:
    name = key.name if isinstance(key, peewee.Field) else key
    field = model._meta.combined.get(name)
    if field is None:
        raise TypeError(f"{model.__name__} has no {name!r}")
    return field.name


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

    Raises:
        StorageError: A text has the character NUL, which PostgreSQL cannot store.
    """
    rows = list(rows)
    if not rows:
        return
    meta, written = model._meta, _written(model, rows)
    changing = [field for field in written if field.name not in {*key, *keep}]
    conflict = _on_conflict(model, [meta.fields[name] for name in key], changing, uncounted)
    columns = {field.column_name: values for field, values in written.items()}
    insert_columns(meta.database, meta.table_name, columns, conflict)


def insert_rows(
    model: type[BaseModel], rows: Iterable[Mapping[str, Any]], returning: Collection[str]
) -> list[tuple[Any, ...]]:
    """Insert rows of which none is there yet; ``insert_many`` takes three times as long.

    Args:
        model: A model whose columns that are left out have a default in the database.
        rows: Values by field name; every row has the same names.
        returning: Fields whose values in the database are wanted.

    Returns:
        These values, in no particular order.

    Raises:
        StorageError: A text has the character NUL, which PostgreSQL cannot store.
    """
    rows = list(rows)
    if not rows:
        return []
    columns = {field.column_name: values for field, values in _written(model, rows).items()}
    wanted = [model._meta.fields[name].column_name for name in returning]
    return insert_new(model._meta.database, model._meta.table_name, columns, wanted)


def update_rows(model: type[BaseModel], rows: Iterable[Mapping[str, Any]], *, key: str) -> None:
    """Update rows that are there; ``modified`` moves with them.

    Args:
        model: A model with the column ``modified``.
        rows: Values by field name; every row has the same names, the key among them.
        key: A field that says which row it is.

    Raises:
        StorageError: A text has the character NUL, which PostgreSQL cannot store.
    """
    rows = list(rows)
    if not rows:
        return
    meta = model._meta
    columns = {field.column_name: values for field, values in _written(model, rows).items()}
    stamp = moved_on_sql(meta.database, f'"{meta.table_name}"."modified"')
    update_columns(
        meta.database, meta.table_name, meta.fields[key].column_name, columns, f'"modified" = {stamp}'
    )


def _written(model: type[BaseModel], rows: list[Mapping[str, Any]]) -> dict[peewee.Field, list[Any]]:
    """The values for the database by the fields that are for the program to write."""
    written = {}
    for name in rows[0]:
        field, values = model._meta.fields[name], [row[name] for row in rows]
        if is_written(field, values):
            written[field] = [field.db_value(value) for value in values]
            if isinstance(field, (peewee.TextField, peewee.CharField)):
                _refuse_nul(field, written[field])
    return written


def _refuse_nul(field: peewee.Field, texts: list[str | None]) -> None:
    if "\0" in "".join(filter(None, texts)):
        text = next(text for text in texts if text and "\0" in text)
        raise StorageError(f"{field.model.__name__}.{field.name} cannot hold the character NUL: {text!r}")


def _on_conflict(
    model: type[BaseModel], key: list[peewee.Field], changing: list[peewee.Field], uncounted: Collection[str]
) -> str:
    database, table = model._meta.database, model._meta.table_name
    updates, changes = [], []
    for field in changing:
        new, old = f'EXCLUDED."{field.column_name}"', f'"{table}"."{field.column_name}"'
        updates.append(f'"{field.column_name}" = {new}')
        if field.name not in uncounted:
            changes.append(differs(database, new, old))
    changed = " OR ".join(changes) or "1 = 0"
    stamp = f'"{table}"."modified"'
    updates.append(f'"modified" = CASE WHEN {changed} THEN {moved_on_sql(database, stamp)} ELSE {stamp} END')
    target = ", ".join(f'"{field.column_name}"' for field in key)
    return f"ON CONFLICT ({target}) DO UPDATE SET {', '.join(updates)}"
