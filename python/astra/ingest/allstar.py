"""Registers the stars and spectra of an allStar table: ``astra ingest allstar``.

A row counts like a header of its release (see ``precedence``), and brings the extinction that headers
lack. The files need not be there.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from astra.ingest.columns import Columns, Row
from astra.ingest.extinction import Preference, checked_preference
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import register
from astra.ingest.tables import FitsTable
from astra.ingest.values import clean
from astra.products.identity import identify, parse_path
from astra.products.location import stored

log = logging.getLogger("astra")

REQUIRED = ("FILE", "APOGEE_ID", "FIELD|HEALPIX")
#: Rows in one transaction, and in memory.
BATCH = 2000


def ingest_allstar(
    file: str | Path,
    *,
    spectra_root: str | Path | None = None,
    extinction: Preference = "auto",
    release: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestCounts:
    """Register spectra and their stars from an allStar table.

    Args:
        file: A FITS table of any release, perhaps compressed with gzip.
        spectra_root: The folder under which the spectra lie as they were published, if it is another
            one than ``SAS_BASE_DIR``.
        extinction: Where E(B-V) comes from: AK_TARG (``ak_targ``), SFD_EBV (``sfd``), or the first of
            the two that a row has (``auto``).
        release: The data release of reductions that do not tell it themselves.
        on_progress: Called with the number of rows done and of all rows.

    Raises:
        UsageError: The file is no allStar table, or an argument is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    tally = Tally()
    preference = checked_preference(extinction)
    table = FitsTable(file, REQUIRED)
    columns = Columns(table, preference)
    root = None if spectra_root is None else Path(spectra_root)
    done = 0
    for piece in table.pieces(columns.needed, BATCH):
        rows = columns.rows(piece)
        _register(rows, root, release, tally, file)
        done += len(rows)
        if on_progress:
            on_progress(done, len(table))
    counts = tally.result()
    if counts.skipped:
        log.warning("%s: %d rows name no apStar or asStar file and are left out", file, counts.skipped)
    return counts


def _register(
    rows: list[Row], root: Path | None, release: str | None, tally: Tally, file: str | Path
) -> None:
    records = [record for row in rows if (record := _record(row, root, release)) is not None]
    if any(record.path is None for record in records):
        tally.warn(
            "%s: LOCATION_ID, FIELD or HEALPIX is absent in some rows; their files cannot be found", file
        )
    register(records, tally)
    tally.add("seen", len(rows) - len(records))
    tally.add("skipped", len(rows) - len(records))


def _record(row: Row, root: Path | None, release: str | None) -> Record | None:
    file_name = row.product["file_name"] or ""
    name = parse_path(file_name)
    if name is None:
        return None
    product = identify(name, row.product, release=release, what=file_name)
    path = product.sas_path
    if path is not None and root is not None:
        path = stored(root / path)
    apogee_id = clean("sdss4_apogee_id", product.obj)
    return Record(product, path, row.sdss_id, apogee_id, row.star, row.spectrum, from_table=True)
