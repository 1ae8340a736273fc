"""Reads a large FITS table a piece at a time, compressed or not, in little memory."""

import gzip
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from astra.errors import UsageError
from astra.silence import silenced

_GZIP, _FITS = b"\x1f\x8b", b"SIMPLE  ="
_BLOCK = 2880


class FitsTable:
    """A table in a FITS file, of which a few columns are read.

    Names of columns are those of the file in upper case: releases differ in their spelling.
    """

    def __init__(self, path: str | Path, required: Collection[str]) -> None:
        """Find the first table of a file that has some columns.

        Args:
            path: The file, perhaps compressed with gzip.
            required: Names of columns in upper case; of names joined by ``|``, one has to be there.

        Raises:
            UsageError: The file cannot be read, or no table in it has all of these columns.
        """
        self.path = Path(path)
        with _explaining(self.path):
            self._header, self._start, self._columns = self._find(required)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        return self._header["NAXIS2"]

    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        """The given columns of some rows after another.

        Raises:
            UsageError: The file ends before its table does.
        """
        with _explaining(self.path), self._open() as stream:
            stream.seek(self._start)
            for start in range(0, len(self), rows):
                piece = self._piece(stream, min(rows, len(self) - start))
                yield {name: np.asarray(piece[self._columns[name]]) for name in columns}

    def _find(self, required: Collection[str]) -> tuple[Any, int, dict[str, str]]:
        missing = None
        with self._open() as stream:
            for header in _headers(stream):
                names = [header[f"TTYPE{number}"] for number in range(1, header.get("TFIELDS", 0) + 1)]
                # Of two spellings of one name, the one in upper case comes last and counts.
                columns = {name.upper(): name for name in sorted(names, key=str.isupper)}
                lacking = [name for name in required if not columns.keys() & set(name.split("|"))]
                if not lacking:
                    return header, stream.tell(), columns
                missing = missing or lacking
        lacks = "no table in it" if missing is None else f"missing columns: {', '.join(missing)}"
        raise UsageError(f"not an allStar table: {self.path} ({lacks.replace('|', ' or ')})")

    def _open(self) -> BinaryIO:
        with open(self.path, "rb") as stream:
            compressed = stream.read(len(_GZIP)) == _GZIP
        return gzip.open(self.path, "rb") if compressed else open(self.path, "rb")

    def _piece(self, stream: BinaryIO, rows: int) -> np.ndarray:
        """Some rows as a table of their own, so that astropy takes care of scales, blanks and types."""
        from astropy.io import fits

        size = rows * self._header["NAXIS1"]
        content = stream.read(size)
        if len(content) < size:
            raise UsageError(f"truncated: {self.path} ends before its table does")
        header = self._header.copy()
        header["NAXIS2"], header["PCOUNT"] = rows, 0
        text = header.tostring().encode("ascii", "replace")
        padding = bytes(-size % _BLOCK)
        with silenced():
            return fits.BinTableHDU.fromstring(text + content + padding, character_as_bytes=True).data


def _headers(stream: BinaryIO) -> Iterator[Any]:
    """The header of each table, the stream standing at the beginning of its data.

    Astropy's own walk reads through the data behind each header, which takes long where it is compressed.
    """
    from astropy.io import fits

    if stream.read(len(_FITS)) != _FITS:
        raise UsageError(f"not a FITS file: {stream.name}")
    place = 0
    while True:
        stream.seek(place)
        try:
            header = fits.Header.fromfile(stream)
        except EOFError:
            return
        place = stream.tell() + header.data_size_padded
        if header.get("XTENSION") == "BINTABLE":
            yield header


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """One line for what a FITS library says, in many ways, of a file that it cannot read."""
    try:
        yield
    except (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError, AttributeError) as error:
        detail = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UsageError(f"cannot read the table {path}: {detail}") from error
