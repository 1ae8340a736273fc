"""A table in a file, whatever its format: the interface of all readers, and how they open a file."""

import gzip
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from astra.damage import check_file, damage
from astra.errors import UsageError
from astra.spectra.content import GZIP_MAGIC

# Bytes that any compressed file may hold, and how much it may be compressed if it holds more: tables are by 3
# to 50, by gzip anything can be by 1000.
_LARGEST, _RATIO = 1 << 28, 100

#: Rows that are in memory with all their columns at a time.
PIECE = 20_000


class Table(ABC):
    """A table of which some columns are read, in pieces or as a whole.

    Attributes:
        number: Its number in the file: of a FITS table that of its HDU, of others from 1 on.
        name: Its name in the file, which may be empty.
        units: The units that the file states, or ``None``, by the columns with one number or text in each
            row.
    """

    number: int = 1
    name: str = ""
    units: Mapping[str, str | None]

    @abstractmethod
    def __len__(self) -> int:
        """The number of rows."""

    @abstractmethod
    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        """Read some columns in pieces of at most so many rows.

        An array may be masked, and one of text may hold ``None``: such values are absent.

        Raises:
            UsageError: The file is damaged, or a column cannot be read without a guess.
        """

    def read(self, columns: Collection[str]) -> dict[str, np.ndarray]:
        """Read some columns as a whole; raises as ``pieces`` does."""
        pieces = list(self.pieces(columns, PIECE))
        if not pieces:
            return {name: np.array([]) for name in columns}
        return {name: np.ma.concatenate([piece[name] for piece in pieces]) for name in columns}


def opened(path: Path) -> BinaryIO:
    """The bytes of a file, or what it holds if it is compressed with gzip."""
    check_file(path)
    with open(path, "rb") as stream:
        compressed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return _Packed(path) if compressed else open(path, "rb")


class _Packed(gzip.GzipFile):
    """The content of a file that is compressed with gzip; not of a small one that would fill the memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._most = max(_LARGEST, _RATIO * os.path.getsize(path))

    def read(self, size: int | None = -1) -> bytes:
        return self._within(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._within(super().read1(size))

    def _within(self, content: bytes) -> bytes:
        if self.tell() > self._most:
            raise ValueError(f"it unpacks to more than {_RATIO} times its size: unpack it if you trust it")
        return content


def length(path: Path) -> int:
    """The uncompressed size of a file, which is read to the checksum at its end if it is compressed."""
    with opened(path) as stream:
        if not isinstance(stream, gzip.GzipFile):
            return stream.seek(0, 2)
        while stream.read(1 << 20):
            pass
        return stream.tell()


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn any error of a library that reads a file into one line."""
    with damage(lambda why: unreadable(path, why)):
        yield


def unreadable(path: Path, why: str) -> UsageError:
    """The error that says why a table cannot be read."""
    return UsageError(f"cannot read the table {path}: {why}")


def check_unique(path: Path, columns: Collection[str], names: Collection[str]) -> None:
    """Refuse to read columns of which a table has several.

    Raises:
        UsageError: One of the columns stands among the names of the table more than once.
    """
    counts = Counter(names)
    for name in columns:
        if counts[name] > 1:
            raise unreadable(path, f"{counts[name]} of its columns have the name {name}: rename them")
