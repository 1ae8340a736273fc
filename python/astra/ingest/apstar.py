"""``astra ingest apstar``: finds apStar and asStar files, and registers their spectra and stars."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import peewee

from astra.errors import UsageError
from astra.ingest.catalog import Catalog
from astra.ingest.extinction import RuleName, rule_of
from astra.ingest.headers import read_record
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import register
from astra.spectra.identity import parse_path

log = logging.getLogger("astra")

#: Files that are read before one short transaction registers them.
BATCH = 1000


def ingest_apstar(
    paths: str | Path | Iterable[str | Path],
    *,
    catalog: str | Path | None = None,
    hdu: str | None = None,
    extinction: RuleName = "auto",
    dust_map: str | None = None,
    release: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestCounts:
    """Register spectra and their stars from apStar and asStar files.

    Args:
        paths: One or several files, or folders to search with all folders in them.
        catalog: A table with values for the stars of these files, preferred to those in the headers.
        hdu: The number or the name of the table in that file; ``None`` takes the one that lists the stars.
        extinction: Where E(B-V) comes from, as in ``extinction.Rule``.
        dust_map: The map in ``dust_maps`` that ``auto`` takes last.
        release: The data release of reductions that do not state it.
        on_progress: Called with the numbers of files done and of all files.

    Raises:
        UsageError: A path, the catalogue or the release is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    tally, rule = Tally(), rule_of(extinction, dust_map)
    starts = checked_paths([paths] if isinstance(paths, str | Path) else paths)
    if hdu is not None and catalog is None:
        raise UsageError("--hdu names a table of the catalogue: give --catalog with it")
    listed = Catalog(catalog, tally, hdu, rule) if catalog is not None else None
    total = sum(1 for _ in find_files(starts)) if on_progress else 0
    for number, batch in enumerate(peewee.chunked(find_files(starts), BATCH)):
        records: list[Record] = []
        for path in batch:
            records.append(read_record(path, release=release, extinction=rule))
            if on_progress:
                on_progress(number * BATCH + len(records), total)
        register(records, tally, listed)
    if listed is not None:
        listed.count()
    counts = tally.result()
    if not counts.seen:
        log.warning("no apStar or asStar file in %s", ", ".join(map(str, starts)))
    return counts


def checked_paths(paths: Iterable[str | Path]) -> list[Path]:
    """The paths as absolute ones, in a fixed order.

    Raises:
        UsageError: A path does not exist, is a visit spectrum, or is neither a folder nor named like an
            apStar or asStar file.
    """
    # Only ``..`` is resolved, so that a file has one path and links stay as they are.
    chosen = {path.resolve() if ".." in path.parts else path.absolute() for path in map(Path, paths)}
    for path in chosen:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
        if parse_path(path) is not None:
            continue
        if re.match(r"(ap|as)Visit", path.name, re.IGNORECASE):
            raise UsageError(f"a visit spectrum: {path}; give combined spectra, named apStar-… or asStar-…")
        if not path.is_dir():
            raise UsageError(f"not named like an apStar or asStar file: {path}")
        try:
            os.listdir(path)
        except OSError as error:
            raise UsageError(f"cannot read the folder {path}: {error.strerror}") from error
    return sorted(chosen)


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The apStar and asStar files at these paths, and in all folders under them, in a fixed order.

    The name decides, even of a folder or a broken link. Of the versions of a product in one folder, the one
    of the last night counts; a name without a night counts as the last.
    """
    for path in paths:
        if parse_path(path) is not None:
            yield path
            continue
        for folder, folders, files in os.walk(path, onerror=_warn):
            yield from (Path(folder, name) for name in _newest([*files, *folders]))
            folders[:] = sorted(name for name in folders if parse_path(name) is None)


def _newest(names: Iterable[str]) -> Iterator[str]:
    chosen: dict[tuple, tuple[tuple, str]] = {}
    for name in sorted(names):
        parsed = parse_path(name)
        if parsed is not None:
            product = (parsed.prefix, parsed.commissioning, parsed.apred, parsed.telescope, parsed.obj)
            version = (parsed.last_night or "last", not name.endswith(".gz"))
            chosen[product] = max(chosen.get(product, (version, name)), (version, name))
    return (name for _, name in chosen.values())


def _warn(error: OSError) -> None:
    log.warning("cannot read the folder %s: %s", error.filename, error.strerror)
