"""A table in a file, whatever its format: the interface of all readers, and how they open a file."""

import gzip
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from astra.errors import AstraError, UsageError
from astra.spectra.content import GZIP_MAGIC

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
    with open(path, "rb") as stream:
        compressed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path, "rb") if compressed else open(path, "rb")


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
    try:
        yield
    except AstraError:
        raise
    except Exception as error:
        detail = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise unreadable(path, detail) from error


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
