"""The rows of the spectra in one batch: those that are stored, and those that the records make of them.

A file is one product: a record with a registered path belongs to the row of that path, so that a file of
which only the name was known keeps its row once its header can be read.

The values of a file replace those of an allStar row of the same product; after the file was read, a row of a
table only fills absent values. A row is *changed*, and analysed again, if a value or the pixels differ, or if
the path differs and the pixels cannot be compared. Pixels where there were none before are a change: the file
may have been repaired, and its row have no result.
"""

from collections.abc import Iterable
from typing import Any

import peewee

from astra.database.connection import MAX_PARAMETERS, now_sql
from astra.database.sql import next_key
from astra.ingest.records import Record, Tally, stored_rows
from astra.models import ApogeeCoaddedSpectrumInApStar, Spectrum
from astra.models.base import upsert

Row = dict[str, Any]

_MODEL = ApogeeCoaddedSpectrumInApStar
_FIELDS = [field for field in _MODEL._meta.sorted_fields if field.name not in ("pk", "created", "modified")]
_MEASURED = ("n_visits", "snr", "spectrum_flags", "v_rad", "e_v_rad")
# Columns that can change although the spectrum stays the same.
_BESIDES = ("path", "pixels_digest")
_BLANK = dict.fromkeys(("source", "spectrum_pk", *_BESIDES, *_MEASURED)) | {"spectrum_flags": 0}


class Spectra:
    """The rows of all spectra of the objects in a batch, by identity and by path."""

    def __init__(self, records: Iterable[Record], tally: Tally) -> None:
        self._tally = tally
        self._rows: dict[str, Row] = {}
        self._by_path: dict[str, Row] = {}
        self._taken: dict[str, tuple[Row | None, Row]] = {}
        objects = {name for record in records for name in (record.product.obj, record.product.reduction)}
        self._load(_MODEL.obj, objects)
        # A file name need not contain that of the object. The path has no index, since this is rare.
        self._load(_MODEL.path, {record.path for record in records if not record.readable})

    def _load(self, column: peewee.Field, wanted: set) -> None:
        for row in stored_rows(_MODEL.select(*_FIELDS), column, wanted):
            if row["product_id"] not in self._rows:
                self._rows[row["product_id"]] = self._by_path[row["path"]] = row

    def sources_by_name(self) -> dict[str, int]:
        """The keys of sources by the names of their spectra."""
        oldest_last = sorted(self._rows.values(), key=lambda row: row["spectrum_pk"], reverse=True)
        return {row["obj"]: row["source"] for row in oldest_last if row["source"] is not None}

    def take(self, record: Record) -> Row:
        """The row that a record makes; changes that the caller makes to it are written too."""
        before = self._find(record)
        if record.disagreement:
            self._tally.disagree(record.path, record.disagreement)
        product = record.product.columns()
        if before is None:
            before, row = self._taken.get(product["product_id"], (None, product | _BLANK))
        else:
            before, row = self._taken.get(before["product_id"], (before, dict(before)))
        read = row["pixels_digest"] is not None
        is_another = row["product_id"] != product["product_id"]
        if record.readable and not (record.from_table and (read or is_another)):
            row.update(product)
        for name, value in record.spectrum.items():
            if value is not None and not (record.from_table and read and row[name] is not None):
                row[name] = value
        if record.path and (not read or (record.readable and not record.from_table)):
            row["path"] = record.path
        row["pixels_digest"] = record.digest or row["pixels_digest"]
        if row["path"]:
            self._by_path.setdefault(row["path"], row)
        self._taken[row["product_id"]] = before, row
        return row

    def write(self) -> tuple[int, int]:
        """Write new and changed rows.

        Returns:
            The numbers of new rows and of changed ones.
        """
        new, changed, besides = [], [], []
        for before, row in self._taken.values():
            if before is None:
                new.append(row)
            elif _is_changed(before, row):
                changed.append(row)
            elif before != row:
                besides.append(row)
        for row, pk in zip(new, _identities(len(new)), strict=True):
            row["spectrum_pk"] = pk
        upsert(_MODEL, [*new, *changed], key=("product_id",), keep=("spectrum_pk",))
        upsert(_MODEL, besides, key=("product_id",), keep=("spectrum_pk",), uncounted=_BESIDES)
        return len(new), len(changed)

    def _find(self, record: Record) -> Row | None:
        """The row of the same product, or of the same file.

        Of two identities under one path, that in the header counts, then that of a table, then that in the
        name.
        """
        product_id = record.product.product_id
        same, here = self._rows.get(product_id), self._by_path.get(record.path) if record.path else None
        is_taken = here is not None and here["product_id"] in self._taken
        if here is None or here is same or (is_taken and not record.from_table):
            return same
        if record.from_table and here["obj"] != record.product.obj:
            return same
        if not record.readable:
            return here
        if _is_only_named(here) and not is_taken:
            return self._replaced(here, same, product_id)
        if not (record.from_table and same):
            record.disagreement = record.disagreement or f"{product_id} here, {here['product_id']} before"
        if record.from_table:
            return same or here
        return self._replaced(here, same, product_id)

    def _replaced(self, here: Row, same: Row | None, product_id: str) -> Row:
        """The row of a file whose identity is corrected; no other row keeps its path."""
        if same is None:
            return self._rename(here, product_id)
        if here["pixels_digest"] is not None or not self._deleted(here):
            _MODEL.update({_MODEL.path: None}).where(_MODEL.spectrum_pk == here["spectrum_pk"]).execute()
            here["path"] = None
        return same

    def _rename(self, row: Row, product_id: str) -> Row:
        stamped = {_MODEL.product_id: product_id, _MODEL.modified: peewee.SQL(now_sql(_MODEL._meta.database))}
        _MODEL.update(stamped).where(_MODEL.spectrum_pk == row["spectrum_pk"]).execute()
        del self._rows[row["product_id"]]
        row["product_id"] = product_id
        self._rows[product_id] = row
        return row

    def _deleted(self, row: Row) -> bool:
        """Delete a spectrum that was never read, unless a table that refers to it refuses."""
        if refused := self._tally.references.delete_spectrum(row["spectrum_pk"]):
            message = (
                "a spectrum whose file is that of another one stays, without a path: "
                "what refers to it cannot be deleted in table %s"
            )
            self._tally.warn(message, refused)
            return False
        del self._rows[row["product_id"]], self._by_path[row["path"]]
        return True


def _is_only_named(row: Row) -> bool:
    """Whether a row was made from the name of a file alone."""
    return row["pixels_digest"] is None and all(row[name] in (None, 0) for name in _MEASURED)


def _is_changed(before: Row, row: Row) -> bool:
    if any(row[name] != before[name] for name in row if name not in _BESIDES):
        return True
    deciding = "path" if row["pixels_digest"] is None else "pixels_digest"
    return row[deciding] != before[deciding]


def _identities(count: int) -> list[int]:
    """The keys of new spectra."""
    pks = []
    key = next_key(Spectrum._meta.database)
    for part in peewee.chunked([(key,)] * count, MAX_PARAMETERS):
        query = Spectrum.insert_many(part, fields=[Spectrum.pk]).returning(Spectrum.pk)
        pks += [pk for (pk,) in query.tuples().execute()]
    return pks
