"""The stars of ``--stars-from FILE``: one name on each line, or a table with a column of them."""

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from astra.errors import UsageError
from astra.ingest.tables.table import PIECE, opened, read_errors
from astra.tasks.star_names import DESIGNATION

#: What names a star: an sdss_id, an APOGEE id, or a designation of 2MASS. In lower case a number follows:
#: models are called Apogee….
STAR = re.compile(rf"\d+|(2M|AP)[\w.+-]+|(2m|ap)\d[\w.+-]*|(?i:{DESIGNATION.pattern})")

#: The name of a file that stands for the standard input.
STDIN = Path("-")

# Where the files are that a process has open already.
_OPEN = ("/dev/fd", "/dev/stdin", "/proc/self/fd")
# Bytes in which the first line of a list is, after its comments.
_HEAD = 1 << 16
_NAMES = {"sdss_id", "sdss4_apogee_id", "apogee_id", "obj"}


def read_stars(path: Path) -> list[tuple[str, ...]]:
    """The stars of a file, each with its names: its sdss_id, its APOGEE id, or both.

    Args:
        path: A list, with blank lines and comments after ``#``; or a table in any format that catalogues
            have. ``-`` is a list on the standard input; a pipe that is open already, as of ``<(…)``, is
            one, too.

    Raises:
        UsageError: The file cannot be read, a line does not name a star, or no line or row does.
        ConfigError: It needs a package that is not installed.
    """
    if path == STDIN or (is_pipe(path) and any(map(path.is_relative_to, _OPEN))):
        with read_errors(path):
            content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        stars = _listed(content, path)
    elif _is_list(path):
        with read_errors(path), opened(path) as stream:
            stars = _listed(stream.read(), path)
    else:
        stars = _in_tables(path)
    # Dictionaries keep the order.
    found = list(dict.fromkeys(stars))
    if not found:
        raise UsageError(f"--stars-from {path}: it names no star")
    return found


def is_pipe(path: Path) -> bool:
    """Whether a file can be read only once, as what a shell makes of ``<(…)``."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _is_list(path: Path) -> bool:
    """Whether the first line that is not blank or a comment names a star; a file without any is a list."""
    with read_errors(path), opened(path) as stream:
        head = stream.read(_HEAD)
    first = next((name for _, name in _lines(head)), None)
    return len(head) < _HEAD if first is None else STAR.fullmatch(first) is not None


def _lines(content: bytes) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, without comments, each with its number."""
    for number, line in enumerate(content.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        if name := line.partition("#")[0].strip():
            yield number, name


def _listed(content: bytes, path: Path) -> list[tuple[str, ...]]:
    stars = []
    for number, name in _lines(content):
        if not STAR.fullmatch(name):
            raise UsageError(
                f"--stars-from {path}: line {number} is not a star: {name[:40]!r}; on each line, give an "
                "sdss_id (digits) or an APOGEE id (2M… or AP…)"
            )
        stars.append((name,))
    return stars


def _in_tables(path: Path) -> list[tuple[str, ...]]:
    from astra.ingest.catalogs.catalog import StarColumns
    from astra.ingest.extinction import AUTO
    from astra.ingest.records import Tally
    from astra.ingest.tables.table_files import tables_in

    tally = Tally()
    columns = [StarColumns(table, path, tally, {}, AUTO) for table in tables_in(path)]
    usable = [each for each in columns if not _NAMES.isdisjoint(each.names)]
    if not usable:
        raise UsageError(
            f"--stars-from {path}: neither a list of stars nor a table with a column sdss_id or apogee_id"
        )
    stars = []
    for each in usable:
        for piece in each.table.pieces(each.needed, PIECE):
            sdss_ids, apogee_ids, _ = each.identifiers(piece, examine=True)
            for sdss_id, apogee_id in zip(sdss_ids, apogee_ids, strict=True):
                names = (None if sdss_id is None else str(sdss_id), apogee_id)
                if star := tuple(name for name in names if name):
                    stars.append(star)
        each.warn()
    return stars
