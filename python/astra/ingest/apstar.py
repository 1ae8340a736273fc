"""Registers apStar and asStar files: ``astra ingest apstar``."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import peewee

from astra.errors import UsageError
from astra.ingest.catalog import Catalog
from astra.ingest.extinction import Preference, checked_preference
from astra.ingest.files import checked, find
from astra.ingest.headers import read_record
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import register

log = logging.getLogger("astra")

#: Files in one transaction: read before it begins, so that it is short.
BATCH = 1000


def ingest_apstar(
    paths: str | Path | Iterable[str | Path],
    *,
    catalog: str | Path | None = None,
    hdu: str | None = None,
    extinction: Preference = "auto",
    release: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestCounts:
    """Register spectra and their stars from apStar and asStar files.

    Args:
        paths: Files, and folders to be searched with all that is in them; also a single one.
        catalog: A table with values for the stars of these files, which goes before the headers.
        hdu: The number or the name of the table in that file; ``None`` takes the one that lists the stars.
        extinction: Where E(B-V) of headers comes from: AKTARG (``ak_targ``), SFD_EBV (``sfd``), or the first
            of the two that a header has (``auto``).
        release: The data release of reductions that do not tell it themselves.
        on_progress: Called with the number of files done and of all files.

    Raises:
        UsageError: A path, the catalogue or the release is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    tally, preference = Tally(), checked_preference(extinction)
    starts = checked([paths] if isinstance(paths, str | Path) else paths)
    if hdu is not None and catalog is None:
        raise UsageError("--hdu names a table of the catalogue: give --catalog with it")
    listed = Catalog(catalog, tally, hdu) if catalog is not None else None
    total = sum(1 for _ in find(starts)) if on_progress else 0
    for number, batch in enumerate(peewee.chunked(find(starts), BATCH)):
        records: list[Record] = []
        for path in batch:
            records.append(read_record(path, release=release, extinction=preference))
            if on_progress:
                on_progress(number * BATCH + len(records), total)
        register(records, tally, listed)
    if listed is not None:
        listed.count()
    tally.say_disagreements()
    counts = tally.result()
    if not counts.seen:
        log.warning("no apStar or asStar file in %s", ", ".join(map(str, starts)))
    return counts
