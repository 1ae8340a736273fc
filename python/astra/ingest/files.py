"""Finds files of spectra at paths and in folders, and registers what is read of them, batch after batch."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import peewee

from astra.errors import UsageError
from astra.ingest.catalogs.catalog import opened_catalog
from astra.ingest.extinction import Rule
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import Spectra, register
from astra.system.side_by_side import one_ahead, side_by_side

log = logging.getLogger("astra")

#: Files that are read before one short transaction registers them.
BATCH = 1000


@dataclass(frozen=True)
class FileKind:
    """A kind of files of spectra.

    Attributes:
        names: What their names begin with, in messages.
        is_named: Whether the name of a path, even of a folder or a broken link, is that of such a file.
        visits: The beginning of the names of files of visit spectra, which are refused.
        newest: Of the names in one folder, those that count: one version of each product.
        rows: The rows of their spectra.
    """

    names: tuple[str, ...]
    is_named: Callable[[PurePath], bool]
    visits: re.Pattern[str]
    newest: Callable[[Iterable[str]], Iterable[str]]
    rows: type[Spectra]


def ingest_files(
    kind: FileKind,
    paths: str | Path | Iterable[str | Path],
    read: Callable[[Path], list[Record]],
    catalog: str | Path | None,
    hdu: str | None,
    columns: Mapping[str, str] | None,
    rule: Rule,
    on_progress: Callable[[int, int], None] | None,
    tally: Tally | None = None,
    processes: int = 1,
) -> IngestCounts:
    """Register what ``read`` makes of each file; the other arguments are those of ``ingest_apstar``."""
    tally = tally or Tally()
    starts = checked_paths([paths] if isinstance(paths, str | Path) else paths, kind)
    listed = opened_catalog(catalog, tally, hdu, columns, rule)
    total = sum(1 for _ in find_files(starts, kind)) if on_progress else 0
    done = 0
    with side_by_side(read, processes) as begin:
        for batch in one_ahead(map(begin, peewee.chunked(find_files(starts, kind), BATCH))):
            records: list[Record] = []
            for found in batch:
                records += found
                done += 1
                if on_progress:
                    on_progress(done, total)
            register(records, tally, listed, kind.rows)
    if listed is not None:
        listed.count()
    if not done:
        log.warning("no %s file in %s", " or ".join(kind.names), ", ".join(map(str, starts)))
    return tally.result()


def checked_paths(paths: Iterable[str | Path], kind: FileKind) -> list[Path]:
    """The paths as absolute ones, in a fixed order.

    Raises:
        UsageError: A path does not exist, is a visit spectrum, or is neither a folder nor named like a file
            of this kind.
    """
    # Only ``..`` is resolved, so that a file has one path and links stay as they are.
    chosen = {path.resolve() if ".." in path.parts else path.absolute() for path in map(Path, paths)}
    for path in chosen:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
        if kind.is_named(path):
            continue
        if kind.visits.match(path.name):
            named = " or ".join(f"{name}-…" for name in kind.names)
            raise UsageError(f"a visit spectrum: {path}; give combined spectra, named {named}")
        if not path.is_dir():
            raise UsageError(f"not named like an {' or '.join(kind.names)} file: {path}")
        try:
            os.listdir(path)
        except OSError as error:
            raise UsageError(f"cannot read the folder {path}: {error.strerror}") from error
    return sorted(chosen)


def find_files(paths: Iterable[Path], kind: FileKind) -> Iterator[Path]:
    """The files of a kind at these paths, and in all folders under them, in a fixed order."""
    for path in paths:
        if kind.is_named(path):
            yield path
            continue
        for folder, folders, files in os.walk(path, onerror=_warn):
            yield from (Path(folder, name) for name in kind.newest([*files, *folders]))
            folders[:] = sorted(name for name in folders if not kind.is_named(PurePath(name)))


def _warn(error: OSError) -> None:
    log.warning("cannot read the folder %s: %s", error.filename, error.strerror)
