"""Tables in text files: CSV and its relatives, with any usual delimiter, read in pieces.

Values stay text, since 000 is a flag, and an identifier of 19 digits does not fit into a float. Opening a
file reads it to its end once, so that a damaged one is refused before anything of it is used.
"""

import csv
import functools
import io
import itertools
import logging
import operator
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from astra.ingest.tables.table import Table, check_unique, opened, read_errors, unreadable
from astra.ingest.tables.text_layout import Layout, fits_into, layout_of, parsed

log = logging.getLogger("astra")

# A line of a thousand columns has 20,000 characters.
_LONGEST_LINE = 1 << 24
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# A number with commas: those that can only be decimal commas, and any.
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_WITH_COMMA = re.compile(r"[+-]?(?=[\d.]*,)[\d.,]*\d[\d.,]*(e[+-]?\d+)?", re.IGNORECASE)
_WITH_POINT = re.compile(r"[+-]?\d*\.\d*(e[+-]?\d+)?", re.IGNORECASE)


class TextTable(Table):
    """The table of a text file."""

    def __init__(self, path: Path) -> None:
        """Find the layout, and check every line.

        Raises:
            UsageError: The file cannot be read, is damaged, or is not a table.
        """
        self._path = path
        with read_errors(path):
            try:
                self._open(_encoding(path))
            except UnicodeDecodeError:
                self._open("latin-1")
                log.warning("%s: not in UTF-8: read as Latin-1", path)

    def __len__(self) -> int:
        return self._length

    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        check_unique(self._path, columns, self._layout.names)
        for name in columns:
            if name in self._refused:
                raise unreadable(self._path, self._refused[name])
        places = [self._layout.names.index(name) for name in columns]
        # Of one place it gives no sequence.
        several = operator.itemgetter(*places) if len(places) > 1 else None
        pick = several or (lambda record: [record[place] for place in places])
        with read_errors(self._path), self._rows() as rows_of_all:
            wanted = map(pick, rows_of_all)
            while batch := list(itertools.islice(wanted, rows)):
                found = zip(columns, zip(*batch, strict=True), strict=True)
                yield {name: self._array(name, texts) for name, texts in found}

    def _array(self, name: str, texts: Sequence[str]) -> np.ndarray:
        if name in self._with_decimal_commas:
            texts = [text.replace(",", ".") for text in texts]
        return np.array(texts, object)

    # > Opening

    def _open(self, encoding: str) -> None:
        self._encoding = encoding
        with self._text() as text:
            self._layout = layout_of(text, self._path)
        names, units = self._layout.names, self._layout.units
        stated = itertools.zip_longest(names, units[: len(names)], fillvalue="")
        self.units = {name: unit.strip() or None for name, unit in stated if name}
        self._with_decimal_commas: set[str] = set()
        self._refused: dict[str, str] = {}
        self._length, with_commas = self._checked()
        if with_commas:
            self._decide_on_commas(with_commas)

    def _checked(self) -> tuple[int, set[int]]:
        """The number of rows, and the columns that hold numbers with commas."""
        width, count, with_commas = len(self._layout.names), 0, set()
        with self._rows() as rows:
            for row in rows:
                count += 1
                if len(row) != width and not fits_into(row, width):
                    names = f"{len(row)} fields, but {width} columns have names"
                    remedy = "quote texts that hold the delimiter, and repair lines that are cut off"
                    raise unreadable(self._path, f"line {rows.line} has {names}: {remedy}")
                if "," in "".join(row):
                    with_commas |= {
                        place for place, text in enumerate(row[:width]) if _WITH_COMMA.fullmatch(text.strip())
                    }
            if rows.comments:
                message = "%s: %d lines among the rows begin with # and are left out as comments"
                log.warning(message, self._path, rows.comments)
        return count, with_commas

    def _decide_on_commas(self, columns: set[int]) -> None:
        """Take commas for decimal points where nothing speaks against it; elsewhere, refuse the column."""
        examples: dict[int, str] = {}
        unclear: set[int] = set()
        with self._rows() as rows:
            for row in rows:
                for place in columns:
                    text = row[place].strip()
                    if _WITH_COMMA.fullmatch(text):
                        examples.setdefault(place, f"{text} in line {rows.line}")
                        if self._layout.delimiter == "," or not _DECIMAL_COMMA.fullmatch(text):
                            unclear.add(place)
                    elif _WITH_POINT.fullmatch(text):
                        unclear.add(place)
        names = self._layout.names
        for place in unclear:
            self._refused[names[place]] = (
                f"column {names[place]} has numbers with commas ({examples[place]}), which may be decimal "
                "points or not: write numbers with a decimal point and nothing between thousands"
            )
        self._with_decimal_commas = {names[place] for place in columns - unclear}
        if self._with_decimal_commas:
            listed = ", ".join(sorted(self._with_decimal_commas))
            log.warning("%s: commas are taken for decimal points in the columns: %s", self._path, listed)

    # > Lines

    @contextmanager
    def _text(self) -> Iterator[Iterator[str]]:
        with opened(self._path) as stream, io.TextIOWrapper(stream, self._encoding, newline="") as text:
            yield _lines_of(text)

    @contextmanager
    def _rows(self) -> Iterator["_Rows"]:
        with self._text() as text:
            yield _Rows(text, self._path, self._layout)


def _lines_of(text: io.TextIOWrapper) -> Iterator[str]:
    for line in iter(functools.partial(text.readline, _LONGEST_LINE), ""):
        if len(line) == _LONGEST_LINE:
            raise ValueError(
                f"a line has more than {_LONGEST_LINE:,} characters: it is damaged, or not a table"
            )
        yield line


class _Rows:
    """The rows of a text.

    Attributes:
        line: The number of the last line that was read.
        comments: The number of comments among the rows so far.
    """

    def __init__(self, text: Iterator[str], path: Path, layout: Layout) -> None:
        self._text, self._path, self._layout = text, path, layout
        self.line, self.comments = layout.start, 0

    def __iter__(self) -> Iterator[list[str]]:
        delimiter = self._layout.delimiter
        records = parsed(self._lines(), delimiter, strict=True, on_comment=self._count_comment)
        try:
            yield from itertools.islice(records, self._layout.header, None)
        except csv.Error as error:
            why = f"line {self.line}: {error}: quotes must come in pairs, around a whole field"
            raise unreadable(self._path, why) from error

    def _lines(self) -> Iterator[str]:
        for line in itertools.islice(self._text, self._layout.start, None):
            self.line += 1
            if "\0" in line:
                raise unreadable(
                    self._path, f"line {self.line} holds zero bytes: it is damaged, or not a text"
                )
            yield line

    def _count_comment(self) -> None:
        self.comments += 1


def _encoding(path: Path) -> str:
    """The encoding that a byte order mark tells, else UTF-8."""
    with opened(path) as stream:
        start = stream.read(4096)
    if start.startswith(_UTF16):
        return "utf-16"
    if b"\0" in start:
        raise unreadable(path, "it holds zero bytes: it is damaged, or not a text in UTF-8")
    return "utf-8-sig"
