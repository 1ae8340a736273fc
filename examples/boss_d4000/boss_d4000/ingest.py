"""Registers spec files: rows of spectra, and their sources."""

import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from astra import register_spectra
from astra.errors import AstraError, SpectrumError, UsageError
from astra.spectra.identity import stored

from boss_d4000.spec_files import read_all
from boss_d4000.spectra import BossSpectrum

log = logging.getLogger("astra")


def ingest(paths: Iterable[str | Path]) -> dict[str, int]:
    """Register spec files; to repeat it is safe.

    A file that cannot be read is named in a warning, and nothing is registered of it: without its tables
    nobody knows whose spectrum it is. A row that is there already stays as it is.

    Args:
        paths: Files, or folders that are searched for ``spec-*.fits``.

    Returns:
        The numbers of files by what became of them.

    Raises:
        UsageError: There is no such file or folder.
        AstraError: The database refuses.
    """
    unreadable = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal unreadable
        for path in _files(paths):
            try:
                yield _row(path)
            except SpectrumError as error:
                unreadable += 1
                log.warning("not registered: %s", error)

    counts = register_spectra(BossSpectrum, rows())
    return {
        "new": counts.spectra_new,
        "updated": counts.spectra_updated,
        "unchanged": counts.spectra_unchanged,
        "unreadable": unreadable,
    }


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
        yield from sorted(path.rglob("spec-*.fits")) if path.is_dir() else [path]


def _row(path: Path) -> dict[str, Any]:
    facts, pixels = read_all(path)
    return {
        "product_id": f"specLite/{facts.run2d}/{facts.field}/{facts.mjd}/{facts.catalogid}",
        "run2d": facts.run2d,
        "field": facts.field,
        "mjd": facts.mjd,
        "catalogid": facts.catalogid,
        "path": stored(path),
        "pixels_digest": pixels.digest(),
        "snr": facts.snr,
        "redshift": facts.redshift,
        "zwarning": facts.zwarning,
        "source": {"sdss_id": facts.sdss_id, "ra": facts.ra, "dec": facts.dec},
    }


def main() -> int:
    """``boss-d4000-ingest PATH…``: register spec files, and print how many."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if not (paths := sys.argv[1:]) or paths[0] in ("-h", "--help"):
        print("usage: boss-d4000-ingest PATH…   (spec files, or folders of them)", file=sys.stderr)
        return 0 if paths else 2
    try:
        done = ingest(paths)
    except AstraError as error:
        print(f"boss-d4000-ingest: error: {error}", file=sys.stderr)
        return error.exit_code
    print(", ".join(f"{number:,} {what}" for what, number in done.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
