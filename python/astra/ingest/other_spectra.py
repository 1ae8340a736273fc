"""Registers spectra of any kind, for packages that bring a model of spectra of their own."""

from collections.abc import Iterable, Mapping
from typing import Any

import peewee

from astra.database.connection import database
from astra.database.locks import changing_inputs
from astra.errors import ConfigError
from astra.ingest import precedence
from astra.ingest.precedence import Values
from astra.ingest.records import IngestCounts, Tally, stored_rows
from astra.ingest.register import new_identities
from astra.ingest.source_rows import VALUE_COLUMNS, Star, Stars
from astra.ingest.values import clean
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.models.base import BaseModel, upsert

#: Rows that one short transaction registers.
BATCH = 1000

_IDS = ("sdss_id", "sdss4_apogee_id")


def register_spectra(
    model: type[BaseModel], rows: Iterable[Mapping[str, Any]], *, key: str = "product_id"
) -> IngestCounts:
    """Make or update the rows of spectra, each with its identity in ``spectrum`` and its source.

    It is safe to repeat: a row whose values are the same stays unmodified, and one that changed is analysed
    again. The source is found by its sdss_id, else by its APOGEE id, or made; its values fill those that are
    absent, and replace none that a survey's file or a catalogue has given. A row whose source has no
    identifier keeps the one that it had, or none.

    Args:
        model: The model of the spectra: ``source``, ``spectrum_pk``, ``created``, ``modified`` and its own.
        rows: Values by field name; of ``source``, a mapping of the fields of ``astra.models.Source``. They
            are read one batch after the other.
        key: The unique field that identifies a spectrum; of two rows with one value the last counts.

    Returns:
        The counts; ``unreadable`` is for the caller to know.

    Raises:
        TypeError: A name is not a field, or a row has no ``key``.
        ConfigError: The table is missing.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    if not model.table_exists():
        raise ConfigError(f"the table {model._meta.table_name} is missing: run `astra init`")
    tally = Tally()
    for batch in peewee.chunked(rows, BATCH):
        checked = [_checked(model, row, key) for row in batch]
        distinct = {values[key]: (values, star) for values, star in checked}
        with changing_inputs(database):
            new, updated = _write(model, distinct, key, tally)
        tally.add(seen=len(checked), spectra_new=new, spectra_updated=updated)
        tally.add(spectra_unchanged=len(checked) - new - updated)
    return tally.result()


def _checked(model: type[BaseModel], row: Mapping[str, Any], key: str) -> tuple[Values, Values]:
    """The values of a spectrum as they come back from its table, and those of its source."""
    star = dict(row.get("source") or {})
    for name in star.keys() - {*_IDS, *VALUE_COLUMNS}:
        raise TypeError(f"Source has no {name!r}")
    given = model._normalize_data({name: value for name, value in row.items() if name != "source"}, {})
    values = {field.name: field.python_value(field.db_value(value)) for field, value in given.items()}
    if values.get(key) is None:
        raise TypeError(f"a row of {model.__name__} has no {key}, which identifies it")
    # Only NaN, an absent number, differs from itself.
    values = {name: value if value == value else None for name, value in values.items()}
    return values, {name: clean(name, value) for name, value in star.items()}


def _write(
    model: type[BaseModel], rows: Mapping[Any, tuple[Values, Values]], key: str, tally: Tally
) -> tuple[int, int]:
    stars, fields = Stars(tally), model._meta.fields
    ids = {tuple(star.get(name) for name in _IDS) for _, star in rows.values()}
    stars.load(ids, _other_names({name for _, name in ids}))
    found = {identity: _star(star, stars) for identity, (_, star) in rows.items()}
    stars.write()
    names = dict.fromkeys(name for values, _ in rows.values() for name in values)
    names |= dict.fromkeys(("source", "spectrum_pk"))
    query = model.select(*(fields[name] for name in names))
    stored = {row[key]: row for row in stored_rows(query, fields[key], rows)}
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
        precedence.merge(star.values, star.origins, others, None)
    return star


def _other_names(names: set[str | None]) -> dict[str, int]:
    """The keys of sources by the APOGEE ids that only their spectra have."""
    spectra = ApogeeCoaddedSpectrumInApStar
    query = spectra.select(spectra.obj, spectra.source).where(spectra.source.is_null(False))
    return {row["obj"]: row["source"] for row in stored_rows(query, spectra.obj, names)}
