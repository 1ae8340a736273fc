"""Registers spectra of any kind, for packages that bring a model of spectra of their own."""

import functools
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

import peewee

from astra.database.connection import database
from astra.database.locks import changing_inputs
from astra.errors import ConfigError, UsageError
from astra.ingest import precedence
from astra.ingest.precedence import Values
from astra.ingest.records import IngestCounts, Tally, stored_rows
from astra.ingest.register import new_identities, sources_of_names
from astra.ingest.source_rows import VALUE_COLUMNS, Star, Stars
from astra.ingest.values import clean, inexact, too_long, unreadable
from astra.models import APOGEE, Source
from astra.models.base import BaseModel, upsert
from astra.models.fields import GeneratedField

#: Rows that one short transaction registers.
BATCH = 1000

_IDS = ("sdss_id", "sdss4_apogee_id")
_CHOSEN = {"spectrum_pk", "created", "modified"}
# The first that fits counts. peewee leaves a value that it cannot convert as it is.
_KINDS = {
    peewee.TimestampField: object,
    peewee.IntegerField: int,
    peewee.BooleanField: bool,
    peewee.DateTimeField: datetime,
    peewee.DateField: date,
    peewee.TimeField: time,
    peewee.Field: object,
}


def register_spectra(
    model: type[BaseModel], rows: Iterable[Mapping[str, Any]], *, key: str = "product_id"
) -> IngestCounts:
    """Make or update the rows of spectra, each with its identity in ``spectrum`` and its source.

    It is safe to repeat: a row whose values are the same stays unmodified, and one that changed is analysed
    again. The source is found by its sdss_id, else by its APOGEE id, or made; its values fill those that are
    absent, and replace none: of spectra that disagree the first counts. A row whose source has no identifier
    keeps the one that it had, or none.

    Args:
        model: The model of the spectra: ``source``, ``spectrum_pk``, ``created``, ``modified`` and its own.
        rows: Values by field name; of ``source``, a mapping of the fields of ``astra.models.Source``. They
            are read one batch after the other.
        key: The field that identifies a spectrum, with a unique index; of two rows with one value the last
            counts.

    Returns:
        The counts; ``unreadable`` is for the caller to know.

    Raises:
        TypeError: A name is not a field, or is one that the database chooses; ``key`` is missing in a row, or
            has no unique index.
        UsageError: A field cannot hold a value as it is; ``source`` is not a mapping.
        ConfigError: The table is missing.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    if not model.table_exists():
        raise ConfigError(f"the table {model._meta.table_name} is missing: run `astra init`")
    _check_key(model, key)
    tally = Tally()
    for batch in peewee.chunked(rows, BATCH):
        checked = [_checked(model, row, key) for row in batch]
        distinct = {values[key]: (values, star) for values, star in checked}
        with changing_inputs(database):
            new, updated = _write(model, distinct, key, tally)
        tally.add(seen=len(checked), spectra_new=new, spectra_updated=updated)
        tally.add(spectra_unchanged=len(checked) - new - updated)
    return tally.result()


def _check_key(model: type[BaseModel], key: str) -> None:
    meta = model._meta
    if key not in meta.fields:
        raise TypeError(f"{model.__name__} has no {key!r}")
    indexes = meta.database.get_indexes(meta.table_name)
    if [meta.fields[key].column_name] not in [index.columns for index in indexes if index.unique]:
        raise TypeError(f"{model.__name__}.{key} identifies no spectrum: its column has no unique index")


def _checked(model: type[BaseModel], row: Mapping[str, Any], key: str) -> tuple[Values, Values]:
    """The values of a spectrum as they come back from its table, and those of its source."""
    given = model._normalize_data({name: value for name, value in row.items() if name != "source"}, {})
    if chosen := [field.name for field in given if _is_chosen(field)]:
        raise TypeError(f"the database chooses {', '.join(chosen)} of {model.__name__}: leave it out")
    values = {field.name: _as_stored(field, value) for field, value in given.items()}
    if values.get(key) is None:
        raise TypeError(f"a row of {model.__name__} has no {key}, which identifies it")
    star = row.get("source")
    if not isinstance(star, Mapping | None):
        raise UsageError(f"{model.__name__}.source takes a mapping of the fields of Source, not {star!r}")
    return values, {name: _star_value(name, value) for name, value in (star or {}).items()}


def _is_chosen(field: peewee.Field) -> bool:
    return field.name in _CHOSEN or isinstance(field, (peewee.AutoField, GeneratedField))


def _as_stored(field: peewee.Field, value: Any) -> Any:
    """A value as it comes back from its table; ``None`` for NaN."""
    kind = _kind(type(field))
    try:
        stored = field.db_value(value)
        if isinstance(field, peewee.BlobField) and stored is not None:
            # psycopg2 wraps bytes.
            stored = memoryview(getattr(stored, "adapted", stored)).tobytes()
        stored = field.python_value(stored)
        is_held = stored is None or isinstance(stored, kind)
        if kind is bool or (kind is int and not isinstance(value, str)):
            is_held = is_held and bool(stored == value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _refused(field, value) from error
    if not is_held or (isinstance(stored, str) and "\0" in stored):
        raise _refused(field, value)
    # Only NaN, an absent number, differs from itself.
    return stored if stored == stored else None


@functools.cache
def _kind(of: type[peewee.Field]) -> type:
    return next(kind for parent, kind in _KINDS.items() if issubclass(of, parent))


def _star_value(name: str, value: Any) -> Any:
    if name not in (*_IDS, *VALUE_COLUMNS):
        raise TypeError(f"Source has no {name!r}")
    known = clean(name, value)
    if known is None and any(why(name, [value]) for why in (unreadable, inexact, too_long)):
        raise _refused(Source._meta.fields[name], value)
    return known


def _refused(field: peewee.Field, value: Any) -> UsageError:
    return UsageError(f"{field.model.__name__}.{field.name} ({type(field).__name__}) cannot hold {value!r}")


def _write(
    model: type[BaseModel], rows: Mapping[Any, tuple[Values, Values]], key: str, tally: Tally
) -> tuple[int, int]:
    stars, fields = Stars(tally), model._meta.fields
    ids = {tuple(star.get(name) for name in _IDS) for _, star in rows.values()}
    stars.load(ids, sources_of_names({name for _, name in ids}, APOGEE))
    found = {identity: _star(star, stars) for identity, (_, star) in rows.items()}
    stars.write()
    names = dict.fromkeys(name for values, _ in rows.values() for name in values)
    names |= dict.fromkeys(("source", "spectrum_pk"))
    query = model.select(*(fields[name] for name in names))
    blobs = [name for name in names if isinstance(fields[name], peewee.BlobField)]
    stored = {}
    for row in stored_rows(query, fields[key], rows):
        # A memoryview of psycopg2 is not equal to its bytes.
        row |= {name: bytes(row[name]) for name in blobs if row[name] is not None}
        stored[row[key]] = row
    new, changed = [], []
    for identity, (values, _) in rows.items():
        before, star = stored.get(identity), found[identity]
        after = (names | model._meta.get_default_dict() if before is None else before) | values
        if star is not None:
            after["source"] = star.root().pk
        if before is None:
            new.append(after)
        elif after != before:
            changed.append(after)
    for row, pk in zip(new, new_identities(len(new)), strict=True):
        row["spectrum_pk"] = pk
    for part in (new, changed):
        upsert(model, part, key=(key,), keep=("spectrum_pk",))
    return len(new), len(changed)


def _star(values: Values, stars: Stars) -> Star | None:
    star = stars.find(*(values.get(name) for name in _IDS))
    if star is not None:
        others = {name: value for name, value in values.items() if name not in _IDS}
        precedence.fill(star.values, star.origins, others)
    return star
