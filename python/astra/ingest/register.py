"""Writes one batch of records in one transaction: the rows of their spectra, with their sources.

A file is one product: a record with a registered path belongs to the row of that path, so that a file of
which only the name was known keeps its row once its header can be read.

The values of a file replace those of an allStar row of the same product; after the file was read, a row of a
table only fills absent values. A row is *changed*, and analysed again, if a value or the pixels differ, or if
the path differs and the pixels cannot be compared. Pixels where there were none before are a change: the file
may have been repaired, and its row have no result.
"""

import os
from collections.abc import Collection, Iterable

import peewee

from astra.database.connection import database, moved_on_sql
from astra.database.locks import changing_inputs
from astra.database.sql import new_keys
from astra.ingest import precedence
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.precedence import Values
from astra.ingest.records import Record, Tally, stored_rows
from astra.ingest.source_rows import Star, Stars
from astra.models import APOGEE, ApogeeCoaddedSpectrumInApStar, Spectrum
from astra.models.base import BaseModel, upsert
from astra.spectra.identity import RELEASES

_MODEL = ApogeeCoaddedSpectrumInApStar
_FIELDS = [field for field in _MODEL._meta.sorted_fields if field.name not in ("pk", "created", "modified")]
_MEASURED = ("n_visits", "snr", "spectrum_flags", "v_rad", "e_v_rad")
# Columns that can change although the spectrum stays the same.
_BESIDES = ("path", "pixels_digest")
_BLANK = dict.fromkeys(("source", "spectrum_pk", *_BESIDES, *_MEASURED)) | {"spectrum_flags": 0}


def register(
    records: Iterable[Record],
    tally: Tally,
    catalog: Catalog | None = None,
    kind: "type[Spectra] | None" = None,
) -> None:
    """Register the products of one batch, and their stars.

    Args:
        records: The products; of several records of one product the last readable one counts.
        tally: The counts.
        catalog: Values that are preferred to those of the records.
        kind: The rows of the spectra; ``None`` stands for those of apStar files.

    Raises:
        StorageError: The database refused a write; nothing of the batch was kept.
        DatabaseUnreachable: The connection was lost; nothing of the batch was kept.
    """
    records = list(records)
    distinct = _distinct(records, tally)
    with changing_inputs(database):
        new, updated = _write((kind or Spectra)(distinct, tally), distinct, tally, catalog)
    unreadable = sum(not record.readable for record in records)
    tally.add(seen=len(records), unreadable=unreadable, spectra_new=new, spectra_updated=updated)
    tally.add(spectra_unchanged=len(records) - new - updated)


def _distinct(records: list[Record], tally: Tally) -> list[Record]:
    chosen: dict[str, Record] = {}
    for record in records:
        product_id = record.product.product_id
        other = chosen.get(product_id)
        if other is None or record.readable or not other.readable:
            chosen[product_id] = record
            if other is not None and other.digest != record.digest:
                message = "%s and %s are the same product with other pixels: the second counts"
                tally.warn(message, other.path, record.path)
    return list(chosen.values())


def _write(
    spectra: "Spectra", records: list[Record], tally: Tally, catalog: Catalog | None
) -> tuple[int, int]:
    stars, others = Stars(tally), [model for model in APOGEE if model is not spectra.model]
    names = sources_of_names({record.product.obj for record in records}, others) | spectra.sources_by_name()
    ids = {(record.sdss_id, name) for record in records for name in (record.apogee_id, record.name)}
    stars.load(ids, names)
    if catalog is not None:
        known = stars.loaded.values()
        ids |= {(star.sdss_id, star.apogee_id) for star in known}
        values = [*(record.star for record in records), *(star.values for star in known)]
        stars.load(catalog.look_up(ids, {each.get("gaia_dr3_source_id") for each in values}), names)
    rows = []
    for record in records:
        row = spectra.take(record)
        star, name = _star_of(record, row, stars)
        if star is not None:
            known = dict(star.values)
            if catalog is not None:
                gaia_id = record.star.get("gaia_dr3_source_id") or known.get("gaia_dr3_source_id")
                listed = catalog.match(star.sdss_id, (star.apogee_id, name), gaia_id)
                star = star if listed is None else stars.take(star, listed, catalog.origin)
            origin = precedence.origin_of(record.product.product_id, table=record.table)
            precedence.merge(star.values, star.origins, record.star, origin)
            for values in (known, record.star):
                stars.keep_release(star, values)
        rows.append((row, star))
    stars.write()
    for row, star in rows:
        if star is not None:
            row["source"] = star.root().pk
    return spectra.write()


def _star_of(record: Record, row: Values, stars: Stars) -> tuple[Star | None, str | None]:
    """The star of a record, and the name under which it was observed."""
    if record.readable or row["source"] is None:
        names = record.name or record.apogee_id, record.apogee_id
        return stars.find(record.sdss_id, *names), record.apogee_id
    # The name of a file says less than its header, which was read earlier.
    return stars.known(row["source"]), row["obj"]


# > The rows of the spectra


class Spectra:
    """The rows of all spectra of the objects in a batch, by identity and by path."""

    model: type[BaseModel] = _MODEL

    def __init__(self, records: Iterable[Record], tally: Tally) -> None:
        self._tally = tally
        self._rows: dict[str, Values] = {}
        self._by_path: dict[str, Values] = {}
        self._by_object: dict[tuple, Values] = {}
        self._taken: dict[str, tuple[Values | None, Values]] = {}
        objects = {name for record in records for name in (record.product.obj, record.product.reduction)}
        # A file name need not contain that of the object. The path has no index, since this is rare.
        paths = {record.path for record in records if not record.readable}
        for column, wanted in ((_MODEL.obj, objects), (_MODEL.path, paths)):
            for row in stored_rows(_MODEL.select(*_FIELDS), column, wanted):
                if row["product_id"] not in self._rows:
                    self._rows[row["product_id"]] = self._by_path[row["path"]] = row
                    self._by_object[_object(row)] = row

    def sources_by_name(self) -> dict[str, int]:
        """The keys of sources by the names of their spectra."""
        return sources_by_name(self._rows.values())

    def take(self, record: Record) -> Values:
        """The row of a record; later changes of it by the caller are written too."""
        before = self._find(record)
        if record.disagreement:
            self._tally.disagree(record.path, record.disagreement)
        product = record.product.columns()
        known = before or product | _BLANK
        before, row = self._taken.get(known["product_id"], (before, dict(known)))
        read = row["pixels_digest"] is not None
        is_another = row["product_id"] != product["product_id"]
        if record.readable and not (record.from_table and (read or is_another)):
            row.update(product)
        for name, value in record.spectrum.items():
            if value is not None and not (record.from_table and read and row[name] is not None):
                row[name] = value
        is_better = not read and not (is_another or _is_nearby(record, row["path"]))
        if record.path and (is_better if record.from_table else record.readable or not read):
            row["path"] = record.path
        row["pixels_digest"] = record.digest or row["pixels_digest"]
        if row["path"]:
            self._by_path.setdefault(row["path"], row)
        self._by_object.setdefault(_object(row), row)
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
        for row, pk in zip(new, new_identities(len(new)), strict=True):
            row["spectrum_pk"] = pk
        upsert(self.model, [*new, *changed], key=("product_id",), keep=("spectrum_pk",))
        upsert(self.model, besides, key=("product_id",), keep=("spectrum_pk",), uncounted=_BESIDES)
        return len(new), len(changed)

    def _find(self, record: Record) -> Values | None:
        """The row of the same product, or of the same file.

        Of two identities under one path, that in the header counts, then that of a table, then that in the
        name.
        """
        product_id = record.product.product_id
        same, here = self._rows.get(product_id), self._by_path.get(record.path) if record.path else None
        if same is None and here is None and record.product.apred not in RELEASES:
            here = self._by_object.get(_object(record.product.columns()))
            if here and not record.from_table and here["pixels_digest"] is not None:
                here = None
        is_taken = here is not None and here["product_id"] in self._taken
        if here is None or here is same or (is_taken and not record.from_table):
            return same
        if record.from_table and here["obj"] != record.product.obj:
            return same
        if not record.readable:
            return here
        is_from_name = here["pixels_digest"] is None and all(here[each] in (None, 0) for each in _MEASURED)
        if is_from_name and not is_taken:
            return self._replaced(here, same, product_id)
        if not (record.from_table and same):
            record.disagreement = record.disagreement or f"{product_id} here, {here['product_id']} before"
        if record.from_table:
            return same or here
        return self._replaced(here, same, product_id)

    def _replaced(self, here: Values, same: Values | None, product_id: str) -> Values:
        """The row of a file whose identity is corrected; no other row keeps its path."""
        model = self.model
        this = model.spectrum_pk == here["spectrum_pk"]
        if same is None:
            later = peewee.SQL(moved_on_sql(database, '"modified"'))
            model.update({model.product_id: product_id, model.modified: later}).where(this).execute()
            del self._rows[here["product_id"]]
            here["product_id"] = product_id
            self._rows[product_id] = here
            return here
        if here["pixels_digest"] is not None or not self._deleted(here):
            model.update({model.path: None}).where(this).execute()
            here["path"] = None
        return same

    def _deleted(self, row: Values) -> bool:
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


def _object(row: Values) -> tuple:
    """What a spectrum of SDSS-V is one of, in whatever HEALPix pixel its star is thought to be."""
    return tuple(row[name] for name in ("release", "apred", "apstar", "telescope", "obj", "commissioning"))


def _is_nearby(record: Record, path: str | None) -> bool:
    """Whether the path of a table that names no files is that of the known file, but for its last night."""
    names_it = record.product.file_name or path is None or record.path is None
    return not names_it and os.path.dirname(path) == os.path.dirname(record.path)


def _is_changed(before: Values, row: Values) -> bool:
    if any(row[name] != before[name] for name in row if name not in _BESIDES):
        return True
    deciding = "path" if row["pixels_digest"] is None else "pixels_digest"
    return row[deciding] != before[deciding]


def sources_of_names(names: Collection[str | None], models: Iterable[type[BaseModel]]) -> dict[str, int]:
    """The keys of sources by the APOGEE ids that spectra of these models have."""
    rows: list[Values] = []
    for model in models:
        rows += stored_rows(model.select(model.obj, model.source, model.spectrum_pk), model.obj, names)
    return sources_by_name(rows)


def sources_by_name(spectra: Iterable[Values]) -> dict[str, int]:
    """The keys of sources by the names of their spectra; of several with one name the oldest counts."""
    oldest_last = sorted(spectra, key=lambda row: row["spectrum_pk"], reverse=True)
    return {row["obj"]: row["source"] for row in oldest_last if row["source"] is not None}


def new_identities(count: int) -> list[int]:
    """The keys of new spectra."""
    return new_keys(Spectrum._meta.database, "spectrum", "pk", count) if count else []
