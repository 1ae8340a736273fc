"""Reads some columns of a table: of FITS in pieces, which need little memory, else with astropy.

A file may hold several tables. A compressed file is first read to its end, because its checksum stands there.
"""

import gzip
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from astra.errors import AstraError, UsageError
from astra.spectra.content import GZIP_MAGIC
from astra.spectra.fits_structure import BLOCK, MAX_COLUMNS
from astra.system.processes import silenced

#: Rows that are in memory with all their columns at a time.
PIECE = 20_000

log = logging.getLogger("astra")

_FITS, _XTENSION = b"SIMPLE  =", b"XTENSION"
_SCALAR = re.compile(r"1?[LBIJKED]|\d*A.*")
_FORMATS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    **dict.fromkeys((".fits", ".fit"), "fits"),
    **dict.fromkeys((".vot", ".votable", ".xml"), "votable"),
}


class FitsTable:
    """A table in a FITS file, which is read in pieces.

    Attributes:
        number: The number of its HDU.
        name: Its name in the file, which may be empty.
        units: The units that the file states, by the columns with one number or text in each row.
    """

    def __init__(self, path: Path, number: int, header: Any, start: int) -> None:
        self._path, self._header, self._start = path, header, start
        self.number, self.name = number, str(header.get("EXTNAME", "")).strip()
        self.units = dict(self._columns())
        len(self)  # fails here, within read_errors, if the number of rows is not one

    def __len__(self) -> int:
        return self._header["NAXIS2"]

    def read(self, columns: Collection[str]) -> dict[str, np.ndarray]:
        """Read some columns, which may be masked; raises as ``pieces`` does."""
        pieces = list(self.pieces(columns, PIECE))
        if not pieces:
            return {name: np.array([]) for name in columns}
        return {name: np.ma.concatenate([piece[name] for piece in pieces]) for name in columns}

    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        """Read some columns in pieces of so many rows.

        Raises:
            UsageError: The file ends before its table does.
        """
        with read_errors(self._path), _opened(self._path) as stream:
            stream.seek(self._start)
            for start in range(0, len(self), rows):
                piece = self._piece(stream, min(rows, len(self) - start))
                yield {name: _values(piece, name) for name in columns}

    def _columns(self) -> Iterator[tuple[str, str | None]]:
        is_text, count = self._header["XTENSION"] == "TABLE", self._header.get("TFIELDS", 0)
        if not 0 <= count <= MAX_COLUMNS:
            raise UsageError(f"damaged: HDU {self.number} of {self._path} claims {count} columns")
        for number in range(1, count + 1):
            name = self._header.get(f"TTYPE{number}")
            if not isinstance(name, str) or not name:
                continue
            if is_text or _SCALAR.fullmatch(self._header[f"TFORM{number}"].strip()):
                yield name, self._header.get(f"TUNIT{number}")

    def _piece(self, stream: BinaryIO, rows: int) -> Any:
        """Some rows as a separate table, for which astropy handles scales, blanks and types."""
        from astropy.io import fits

        size = rows * self._header["NAXIS1"]
        content = stream.read(size)
        if len(content) < size:
            raise UsageError(f"truncated: {self._path} ends before its table does")
        header = self._header.copy()
        header["NAXIS2"], header["PCOUNT"] = rows, 0
        text = header.tostring().encode("ascii", "replace")
        kind = fits.TableHDU if header["XTENSION"] == "TABLE" else fits.BinTableHDU
        # With uint, unsigned integers of 8 bytes do not become floats.
        options = {} if kind is fits.TableHDU else {"character_as_bytes": True, "uint": True}
        with silenced():
            return kind.fromstring(text + content + bytes(-size % BLOCK), **options).data


class MemoryTable:
    """A table that astropy has read; as ``FitsTable``, but numbered from 1."""

    def __init__(self, number: int, table: Any) -> None:
        self.number, self.name, self._table = number, str(table.meta.get("name") or ""), table
        self.units = {
            name: None if getattr(column, "unit", None) is None else str(column.unit)
            for name, column in table.columns.items()
            # Coordinates and times, which ECSV can hold, are not numbers.
            if hasattr(column, "dtype") and len(column.shape) == 1
        }

    def __len__(self) -> int:
        return len(self._table)

    def read(self, columns: Collection[str]) -> dict[str, np.ndarray]:
        """Read some columns."""
        arrays = {name: np.ma.asarray(self._table[name]) for name in columns}
        return {name: array if np.ma.is_masked(array) else array.data for name, array in arrays.items()}


Table = FitsTable | MemoryTable


def tables_in(path: Path) -> Sequence[Table]:
    """The tables of a file, in the format that its name implies.

    Raises:
        UsageError: The format is unknown, or the file cannot be read or is damaged.
    """
    kind = _FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if kind is None:
        raise UsageError(f"unknown kind of catalogue: {path}; its name must end in {', '.join(_FORMATS)}")
    if kind == "fits":
        return fits_tables(path)
    with read_errors(path), silenced():
        _length(path)
        return [MemoryTable(number, table) for number, table in enumerate(_read(path, kind), 1)]


def fits_tables(path: Path) -> list[FitsTable]:
    """The tables of a FITS file, also of one compressed with gzip.

    Raises:
        UsageError: It cannot be read, is damaged, or is shorter than its headers claim.
    """
    with read_errors(path), _opened(path) as stream:
        return list(_found(stream, path, _length(path)))


def selected(tables: Sequence[Table], hdu: str | None, path: Path) -> Sequence[Table]:
    """The table that ``--hdu`` names by its number or its name; without it, all tables.

    Raises:
        UsageError: There is no such table.
    """
    if hdu is None:
        return tables
    named = [table for table in tables if hdu.upper() in (str(table.number), table.name.upper())]
    if not named:
        raise UsageError(f"{path} has no table {hdu}; its tables: {', '.join(map(label, tables)) or 'none'}")
    return named[:1]


def label(table: Table) -> str:
    """The name of a table in messages."""
    return f"{table.number} ({table.name})" if table.name else str(table.number)


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn any error of a library that reads a file into one line."""
    try:
        yield
    except AstraError:
        raise
    except Exception as error:
        detail = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"cannot read the table {path}: {detail}") from error


def _read(path: Path, kind: str) -> list[Any]:
    from astropy import table
    from astropy.io.votable import parse

    if kind == "votable":
        found = parse(path, verify="ignore").iter_tables()
        return [each.to_table(use_names_over_ids=True) for each in found]
    # Excel begins a text with a byte order mark, which is not part of the first name.
    options: dict[str, Any] = {"format": kind, "encoding": "utf-8-sig"}
    if kind == "ascii.csv":
        # Read as text, since 000 is a flag, and an identifier of 19 digits does not fit into a float.
        options["converters"] = {"*": [str]}
    return [table.Table.read(path, **options)]


def _opened(path: Path) -> BinaryIO:
    with open(path, "rb") as stream:
        compressed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path, "rb") if compressed else open(path, "rb")


def _length(path: Path) -> int:
    """The uncompressed size of a file, which is read to the checksum at its end if it is compressed."""
    with _opened(path) as stream:
        if not isinstance(stream, gzip.GzipFile):
            return stream.seek(0, 2)
        while stream.read(1 << 20):
            pass
        return stream.tell()


def _found(stream: BinaryIO, path: Path, length: int) -> Iterator[FitsTable]:
    """The tables in the order of the file.

    Astropy reads through the data after each header, which takes long if it is compressed.
    """
    from astropy.io import fits

    if stream.read(len(_FITS)) != _FITS:
        raise UsageError(f"not a FITS file: {path}")
    place, number = 0, 0
    while place < length:
        stream.seek(place)
        # Anything may follow the last HDU.
        if number and stream.read(len(_XTENSION)) != _XTENSION:
            return
        stream.seek(place)
        with silenced():
            header = fits.Header.fromfile(stream)
        start = stream.tell()
        if not 0 <= header.data_size <= length - start:
            claim = f"claims {header.data_size} bytes, {length - start} are there"
            raise UsageError(f"truncated: HDU {number} of {path} {claim}")
        if header.get("XTENSION") in ("BINTABLE", "TABLE"):
            if header.get("ZTABLE"):
                log.warning("%s: HDU %d is a compressed table, passed over: funpack unpacks it", path, number)
            else:
                yield FitsTable(path, number, header, start)
        place, number = start + header.data_size_padded, number + 1


def _values(piece: Any, name: str) -> np.ndarray:
    """A column, masked where it holds the value of TNULL."""
    column, values = piece.columns[name], np.asarray(piece[name])
    if column.null in (None, "") or values.dtype.kind not in "iuf":
        return values
    absent = int(column.null) * (column.bscale or 1) + (column.bzero or 0)
    return np.ma.array(values, mask=values == absent)
