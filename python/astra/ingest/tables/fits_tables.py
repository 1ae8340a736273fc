"""Tables in FITS files, read in pieces, which need little memory.

A compressed file is first read to its end, because its checksum stands there.
"""

import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from astra.errors import UsageError
from astra.ingest.tables.table import Table, check_unique, length, opened, read_errors
from astra.spectra.fits_structure import BLOCK, CARD, MAX_COLUMNS
from astra.system.processes import silenced

log = logging.getLogger("astra")

FITS_MAGIC = b"SIMPLE  ="
_XTENSION = b"XTENSION"
# 36 cards each: a hundred for each of a thousand columns.
_MAX_BLOCKS = 2800
_SCALAR = re.compile(r"1?[LBIJKED]|\d*A.*")


class FitsTable(Table):
    """A table in a FITS file; the number is that of its HDU."""

    def __init__(self, path: Path, number: int, header: Any, start: int) -> None:
        self._path, self._header, self._start = path, header, start
        self.number, self.name = number, str(header.get("EXTNAME", "")).strip()
        self.units = dict(self._columns())
        len(self)  # fails here, within read_errors, if the number of rows is not one

    def __len__(self) -> int:
        return self._header["NAXIS2"]

    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        # Astropy cannot read such a table at all.
        names = [self._header.get(f"TTYPE{number}") for number in range(1, self._header["TFIELDS"] + 1)]
        check_unique(self._path, list(filter(None, names)), names)
        with read_errors(self._path), opened(self._path) as stream:
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


def fits_tables(path: Path) -> list[FitsTable]:
    """The tables of a FITS file, also of one compressed with gzip.

    Raises:
        UsageError: It cannot be read, is damaged, or is shorter than its headers claim.
    """
    with read_errors(path), opened(path) as stream:
        return list(_found(stream, path, length(path)))


def _found(stream: BinaryIO, path: Path, size: int) -> Iterator[FitsTable]:
    """The tables in the order of the file.

    Astropy reads through the data after each header, which takes long if it is compressed.
    """
    from astropy.io import fits

    if stream.read(len(FITS_MAGIC)) != FITS_MAGIC:
        raise UsageError(f"not a FITS file: {path}")
    place, number = 0, 0
    while place < size:
        stream.seek(place)
        # Anything may follow the last HDU.
        if number and stream.read(len(_XTENSION)) != _XTENSION:
            return
        stream.seek(place)
        with silenced():
            header = fits.Header.fromstring(_header(stream, number))
        start = stream.tell()
        if not 0 <= header.data_size <= size - start:
            claim = f"claims {header.data_size} bytes, {size - start} are there"
            raise UsageError(f"truncated: HDU {number} of {path} {claim}")
        if header.get("XTENSION") in ("BINTABLE", "TABLE"):
            if header.get("ZTABLE"):
                log.warning("%s: HDU %d is a compressed table, passed over: funpack unpacks it", path, number)
            else:
                yield FitsTable(path, number, header, start)
        place, number = start + header.data_size_padded, number + 1


def _header(stream: BinaryIO, number: int) -> bytes:
    """The blocks of a header, which a library would look for in all that follows if its end is missing."""
    blocks: list[bytes] = []
    while len(blocks) < _MAX_BLOCKS and len(block := stream.read(BLOCK)) == BLOCK:
        blocks.append(block)
        if any(block[place : place + CARD].rstrip() == b"END" for place in range(0, BLOCK, CARD)):
            return b"".join(blocks)
    raise ValueError(f"the header of HDU {number} has no end")


def _values(piece: Any, name: str) -> np.ndarray:
    """A column, masked where it holds the value of TNULL."""
    column, values = piece.columns[name], np.asarray(piece[name])
    if column.null in (None, "") or values.dtype.kind not in "iuf":
        return values
    absent = int(column.null) * (column.bscale or 1) + (column.bzero or 0)
    return np.ma.array(values, mask=values == absent)
