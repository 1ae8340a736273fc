"""How a text file holds its table: the delimiter, the names of the columns, and where the rows begin.

Comments, which begin with #, and blank lines do not count. The names are in the first other line, or in the
last comment before it if that line holds values already. What VizieR writes below the names, a line of units
and one of dashes, is no row.
"""

import csv
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from astra.ingest import spellings
from astra.ingest.tables.table import unreadable

log = logging.getLogger("astra")

#: The delimiters, by their names in messages; a blank stands for any number of blanks and tabs.
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}

# The lines that the delimiter is taken from.
_LINES = 200
# Of the lines, those with the fields of the first; fewer are no table.
_SMALLEST_SHARE = 0.5
# Excel writes, and reads, such a first line.
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_DASHES = re.compile(r"[\s:=+-]*")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)


class Layout(NamedTuple):
    """How a text file holds its table.

    Attributes:
        delimiter: One of ``DELIMITERS``, or the character that the file names.
        names: The name of each column; columns without one do not count.
        units: The unit of each column, which may be empty; no units if the file has no line for them.
        start: The number of lines before the first record.
        header: The number of records before the first row.
    """

    delimiter: str
    names: list[str]
    units: list[str]
    start: int
    header: int


def layout_of(lines: Iterable[str], path: Path) -> Layout:
    """The layout of a text file.

    Args:
        lines: Its lines.
        path: The file, for messages.

    Raises:
        UsageError: No delimiter makes a table of it, or no line names the columns.
    """
    lines, comments, start, stated = iter(lines), [], 0, None
    head: list[str] = []
    for line in lines:
        if start == 0 and (found := _SEPARATOR.fullmatch(line)):
            stated = found[1]
        elif line.startswith("#"):
            comments.append(line.lstrip("#"))
        elif line.strip():
            head = [line, *itertools.islice(lines, _LINES)]
            break
        start += 1
    if not head:
        raise unreadable(path, "it has no lines" if not comments else "it has comments only")
    candidates = [stated] if stated else DELIMITERS
    found = {each: _Candidate(head, comments, each) for each in candidates}
    delimiter = _chosen(found, path)
    candidate = found[delimiter]
    if not candidate.names:
        example = "apogee_id" + (delimiter if delimiter.strip() else " ") + "k_mag"
        raise unreadable(path, f"no line names the columns: write one above the rows, e.g. {example}")
    return Layout(delimiter, candidate.names, candidate.units, start, candidate.header)


def parsed(
    lines: Iterable[str], delimiter: str, *, strict: bool, on_comment: Callable[[], None] = lambda: None
) -> Iterator[list[str]]:
    """The records in some lines, without those in blank lines and without comments.

    Args:
        lines: The lines; one that begins with # is a comment, but not within a field in quotes.
        delimiter: As in ``Layout``.
        strict: As in the module ``csv``.
        on_comment: Called for each comment.
    """
    is_within = False

    def content() -> Iterator[str]:
        nonlocal is_within
        for line in lines:
            if line.startswith("#") and not is_within:
                on_comment()
                continue
            # The reader asks for another line only if this one does not end its record.
            is_within = True
            yield line.replace("\t", " ").strip() + "\n" if delimiter == " " else line

    for record in csv.reader(content(), delimiter=delimiter, skipinitialspace=True, strict=strict):
        is_within = False
        if len(record) > 1 or (record and record[0].strip()):
            yield record


def fits_into(record: Sequence[str], width: int) -> bool:
    """Whether a record has as many fields as there are columns; blank ones may follow."""
    return len(record) == width or (len(record) > width and not any(map(str.strip, record[width:])))


class _Candidate:
    """What a delimiter makes of the first lines.

    Attributes:
        width: The number of columns.
        share: The part of the lines that has this number of fields.
    """

    def __init__(self, head: list[str], comments: list[str], delimiter: str) -> None:
        # A record that goes beyond the last of these lines is incomplete, but hardly the only one.
        first, *records = parsed(head, delimiter, strict=False)
        self.names, self.units, self.header = first, [], 1
        above = _named_above(comments, first, delimiter)
        if above:
            self.names, self.header = above, 0
        elif any(map(_NUMBER.fullmatch, map(str.strip, first))):
            self.names, self.header = [], 0
        else:
            dashes = next((place for place, each in enumerate(records[:2]) if _is_ruled(each)), None)
            if dashes is not None:
                self.units = records[0] if dashes else []
                self.header += dashes + 1
                del records[: dashes + 1]
        self.names = [name.strip() for name in self.names]
        self.width = len(first)
        fitting = sum(fits_into(record, self.width) for record in records)
        self.share = fitting / len(records) if records else 1.0


def _named_above(comments: list[str], first: list[str], delimiter: str) -> list[str] | None:
    """The names in the last comment, if the first record holds values already."""
    last = next((line for line in reversed(comments) if line.strip()), None)
    if last is None:
        return None
    names = next(parsed([last], delimiter, strict=False), [])
    if delimiter == " ":
        names = [name.strip(",;") for name in names]
    if len(names) != len(first) or any(map(_NUMBER.fullmatch, names)):
        return None
    is_of_values = any(map(_NUMBER.fullmatch, map(str.strip, first)))
    return names if is_of_values or _known(names) > _known(first) else None


def _known(names: Iterable[str]) -> int:
    return sum(spellings.is_known(name.strip()) for name in names)


def _is_ruled(record: Sequence[str]) -> bool:
    return any("--" in field for field in record) and all(map(_DASHES.fullmatch, record))


def _chosen(found: dict[str, _Candidate], path: Path) -> str:
    """The delimiter that fits best."""
    if len(found) == 1 or all(each.width == 1 for each in found.values()):
        # One word in each line is a table as well.
        return next(iter(found))

    def goodness(delimiter: str) -> tuple:
        each = found[delimiter]
        return each.share, bool(each.names), delimiter != " ", each.width

    several = {name: each for name, each in found.items() if each.width > 1}
    best = max(several, key=goodness)
    if several[best].share < _SMALLEST_SHARE:
        named = ", ".join(DELIMITERS.values())
        why = f"none of {named} divides its lines into equally many fields"
        raise unreadable(path, f"{why}: write it as CSV, with quotes in pairs")
    also = [name for name in several if name not in (best, " ") and goodness(name)[:2] == (1.0, True)]
    if also and best != " ":
        others = " and ".join(DELIMITERS[name] for name in also)
        message = "%s: the columns are taken to be divided by %s, though %s divide them as well"
        log.warning(message, path, DELIMITERS[best], others)
    return best
