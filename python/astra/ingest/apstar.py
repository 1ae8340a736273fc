"""``astra ingest apstar``: registers the spectra and stars of apStar and asStar files."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from astra.ingest.extinction import Rule, RuleName, rule_of
from astra.ingest.files import FileKind, ingest_files
from astra.ingest.headers import read_record
from astra.ingest.records import IngestCounts, Record
from astra.ingest.register import Spectra
from astra.spectra.identity import parse_path


def ingest_apstar(
    paths: str | Path | Iterable[str | Path],
    *,
    catalog: str | Path | None = None,
    hdu: str | None = None,
    columns: Mapping[str, str] | None = None,
    extinction: RuleName = "auto",
    dust_map: str | None = None,
    release: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    processes: int = 1,
) -> IngestCounts:
    """Register spectra and their stars from apStar and asStar files.

    Args:
        paths: One or several files, or folders to search with all folders in them.
        catalog: A table with values for the stars of these files, preferred to those in the headers.
        hdu: The number or the name of the table in that file; ``None`` takes the one that lists the stars.
        columns: The names of columns in that file by ours, where it has other names than are known.
        extinction: Where E(B-V) comes from, as in ``extinction.Rule``.
        dust_map: The map in ``dust_maps`` that ``auto`` takes last.
        release: The data release of reductions that do not state it.
        on_progress: Called with the numbers of files done and of all files.
        processes: How many read at once, where there are many files. More than 1 need a program whose main
            module can be imported: ``if __name__ == "__main__":``.

    Raises:
        UsageError: A path, the catalogue or the release is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    rule = rule_of(extinction, dust_map)
    read = functools.partial(_records, release=release, extinction=rule)
    # A map of dust takes longer to travel than the files to be read.
    processes = 1 if rule.dust_map is not None else processes
    return ingest_files(APSTAR, paths, read, catalog, hdu, columns, rule, on_progress, processes=processes)


def _records(path: Path, release: str | None, extinction: Rule) -> list[Record]:
    return [read_record(path, release=release, extinction=extinction)]


def _newest(names: Iterable[str]) -> Iterator[str]:
    """Of the versions of a product, that of the last night; a name without a night counts as the last."""
    chosen: dict[tuple, tuple[tuple, str]] = {}
    for name in sorted(names):
        parsed = parse_path(name)
        if parsed is not None:
            product = (parsed.prefix, parsed.commissioning, parsed.apred, parsed.telescope, parsed.obj)
            version = (parsed.last_night or "last", not name.endswith(".gz"))
            chosen[product] = max(chosen.get(product, (version, name)), (version, name))
    return (name for _, name in chosen.values())


#: Files of combined spectra of the APOGEE reduction.
APSTAR = FileKind(
    ("apStar", "asStar"),
    lambda path: parse_path(path) is not None,
    re.compile("(ap|as)Visit", re.IGNORECASE),
    _newest,
    Spectra,
)
