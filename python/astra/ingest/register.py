"""Writes one batch of records in one transaction: their sources and spectra."""

import math
from collections.abc import Iterable

from astra.database.connection import database
from astra.database.locks import changing_inputs
from astra.ingest import precedence
from astra.ingest.catalog import Catalog
from astra.ingest.precedence import Values
from astra.ingest.records import Record, Tally
from astra.ingest.source_rows import Star, Stars
from astra.ingest.spectrum_rows import Row, Spectra


def register(records: Iterable[Record], tally: Tally, catalog: Catalog | None = None) -> None:
    """Register the products of one batch, and their stars.

    Args:
        records: The products; of several records of one product the last readable one counts.
        tally: The counts.
        catalog: Values that are preferred to those of the records.

    Raises:
        StorageError: The database refused a write; nothing of the batch was kept.
        DatabaseUnreachable: The connection was lost; nothing of the batch was kept.
    """
    records = list(records)
    distinct = _distinct(records, tally)
    with changing_inputs(database):
        new, updated = _write(distinct, tally, catalog)
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


def _write(records: list[Record], tally: Tally, catalog: Catalog | None) -> tuple[int, int]:
    spectra, stars = Spectra(records, tally), Stars(tally)
    names = spectra.sources_by_name()
    ids = {(record.sdss_id, record.apogee_id) for record in records}
    stars.load(ids, names)
    if catalog is not None:
        gaia_ids = {record.star.get("gaia_dr3_source_id") for record in records}
        stars.load(catalog.look_up(ids | stars.ids(), gaia_ids | stars.gaia_ids()), names)
    rows = []
    for record in records:
        row = spectra.take(record)
        star, name = _star_of(record, row, stars)
        if star is not None:
            known = dict(star.values)
            if catalog is not None:
                star = _as_listed(star, name, record, stars, catalog)
            origin = precedence.origin_of(record.product.product_id, table=record.from_table)
            precedence.merge(star.values, star.origins, record.star, origin)
            for values in (known, record.star):
                _keep_release(star, values, tally)
        rows.append((row, star))
    stars.write()
    for row, star in rows:
        if star is not None:
            row["source"] = star.root().pk
    return spectra.write()


def _star_of(record: Record, row: Row, stars: Stars) -> tuple[Star | None, str | None]:
    """The star of a record, and the name under which it was observed."""
    if record.readable or row["source"] is None:
        return stars.find(record.sdss_id, record.apogee_id), record.apogee_id
    # The name of a file says less than its header, which was read earlier.
    return stars.known(row["source"]), row["obj"]


def _as_listed(star: Star, name: str | None, record: Record, stars: Stars, catalog: Catalog) -> Star:
    """The star with the values and the names of the catalogue."""
    gaia_id = record.star.get("gaia_dr3_source_id") or star.values.get("gaia_dr3_source_id")
    listed = catalog.match(star.sdss_id, (name, star.apogee_id), gaia_id)
    if listed is None:
        return star
    sdss_id = star.sdss_id if listed.sdss_id is None else listed.sdss_id
    # Values that are stored under its other name come along.
    stars.find(sdss_id, star.apogee_id)
    star = stars.find(sdss_id, listed.apogee_id or star.apogee_id)
    precedence.merge(star.values, star.origins, listed.values, precedence.CATALOG)
    return star


def _keep_release(star: Star, known: Values, tally: Tally) -> None:
    release, plx = known.get("gaia_release"), known.get("plx")
    is_kept = precedence.keep_release(star.values, star.origins, release)
    if is_kept and (plx is None or not math.isclose(plx, star.values["plx"], rel_tol=1e-6)):
        message = "parallaxes of the catalogue, which does not say their release, are taken for those of %s"
        tally.warn(message, release)
