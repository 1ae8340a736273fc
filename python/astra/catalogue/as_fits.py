"""The catalogue as FITS: HDU 1 BOSS, which is empty, HDU 2 APOGEE, as DR19 published it.

Headers come from astropy; the rows go straight from the database into the file. The checksums of an HDU are
in its header, before what they are the sums of: they are written last, in the place that was kept for them.
"""

import io
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from astra.catalogue.checksum import BLOCK, Checksum, encoded
from astra.catalogue.columns import Column, Kind
from astra.catalogue.described import described
from astra.catalogue.rows import ABSENT, Records, ascii_of
from astra.catalogue.table import NAME, PIPELINE, Table

if TYPE_CHECKING:
    from astropy.io import fits

_CODES = {Kind.LONG: "K", Kind.INT: "J", Kind.DOUBLE: "D", Kind.LOGICAL: "L"}
_NO_SUM = "0" * 16
# Characters of a text that one card holds, and of a text and a comment together.
_LONGEST, _ROOM = 68, 64
# Characters of a text on a line of HISTORY, behind its keyword and between bars.
_PIECE = 60
_CONTINUED = ("OGIP 1.0", "long texts go on in CONTINUE cards")


def write(stream: BinaryIO, table: Table) -> None:
    """Write the file.

    Args:
        stream: Empty, and able to seek.
        table: The catalogue.
    """
    records = Records(table.columns, table.summary.widths)
    _HDU(stream, _primary(table)).end()
    _HDU(stream, _extension(table, records, "BOSS", 0)).end()
    apogee = _HDU(stream, _extension(table, records, "APOGEE", table.summary.rows))
    for batch in table.batches:
        apogee.add(records.pack(batch).tobytes())
    apogee.end()


class _HDU:
    """A header, and data that follow it piece by piece."""

    def __init__(self, stream: BinaryIO, header: "fits.Header") -> None:
        header["CHECKSUM"] = (_NO_SUM, "HDU checksum")
        header["DATASUM"] = ("0", "data unit checksum")
        self._stream, self._header = stream, header
        self._start, self._data = stream.tell(), Checksum()
        stream.write(header.tostring().encode("ascii"))

    def add(self, content: bytes) -> None:
        """Write more of the data."""
        self._data.add(content)
        self._stream.write(content)

    def end(self) -> None:
        """Fill the last block, and write the checksums."""
        self._stream.write(b"\0" * (-self._data.length % BLOCK))
        self._header["DATASUM"] = str(self._data.value)
        whole = Checksum()
        whole.add(self._header.tostring().encode("ascii"))
        whole.add(self._data.value.to_bytes(4, "big"))
        self._header["CHECKSUM"] = encoded(whole.value)
        end = self._stream.tell()
        self._stream.seek(self._start)
        self._stream.write(self._header.tostring().encode("ascii"))
        self._stream.seek(end)


def _primary(table: Table) -> "fits.Header":
    from astropy.io import fits

    header = fits.PrimaryHDU().header
    header.comments["EXTEND"] = "there are extensions"
    for keyword, value, comment in table.facts():
        _state(header, keyword, value, comment)
    if table.date:
        header["TIMESYS"] = ("UTC", "Time system of DATE, created and modified")
    header["COMMENT"] = f"{NAME}: distances from APOGEE spectra, one row for each spectrum."
    header["COMMENT"] = "HDU 0: Summary information only"
    header["COMMENT"] = "HDU 1: BOSS spectra"
    header["COMMENT"] = "HDU 2: APOGEE spectra"
    return header


def _state(header: "fits.Header", keyword: str, value: str | int | bool, comment: str) -> None:
    """Put a fact on a card, or on lines of HISTORY where a card would not be read as it was written."""
    if not isinstance(value, str):
        header[keyword] = (value, comment)
        return
    text = ascii_of(value).decode("ascii")
    # A quote is written twice.
    length = len(text.replace("'", "''"))
    if not _reads_back(keyword, text):
        header[keyword] = ("in HISTORY", comment)
        for start in range(0, len(text), _PIECE):
            header.add_history(f"{keyword} |{text[start : start + _PIECE]}|")
        return
    # No comment where it would not stand on the same card.
    header[keyword] = (text, comment if length + len(comment) <= _ROOM else "")
    if length > _LONGEST:
        header["LONGSTRN"] = _CONTINUED


def _reads_back(keyword: str, text: str) -> bool:
    """Whether astropy finds this text on its card: it ends a text at a quote with a slash behind it."""
    from astropy.io import fits

    try:
        return fits.Card.fromstring(fits.Card(keyword, text).image).value == text
    except fits.VerifyError:
        return False


def _extension(table: Table, records: Records, name: str, rows: int) -> "fits.Header":
    from astropy.io import fits

    header = fits.Header()
    header["XTENSION"] = ("BINTABLE", "binary table extension")
    header["BITPIX"] = (8, "array data type")
    header["NAXIS"] = (2, "number of array dimensions")
    header["NAXIS1"] = (records.dtype.itemsize, "bytes of a row")
    header["NAXIS2"] = (rows, "rows")
    header["PCOUNT"] = (0, "number of group parameters")
    header["GCOUNT"] = (1, "number of groups")
    header["TFIELDS"] = (len(table.columns), "columns")
    for number, column in enumerate(table.columns, start=1):
        _describe(header, number, column, records)
    header["EXTNAME"] = (name, "name of this table")
    header["INSTRMNT"] = (name, "Instrument")
    header["PIPELINE"] = (PIPELINE, "Pipeline name")
    header["LONGSTRN"] = _CONTINUED
    for line in _for_astropy(table.columns):
        header.add_comment(line)
    return header


@cache
def _for_astropy(columns: tuple[Column, ...]) -> list[str]:
    """Comments in which astropy keeps descriptions, and finds them again: it does not read TCOMM."""
    from astropy.io import fits

    content = io.BytesIO()
    described(columns).write(content, format="fits")
    with fits.open(io.BytesIO(content.getvalue())) as hdus:
        return list(hdus[1].header["COMMENT"])


def _describe(header: "fits.Header", number: int, column: Column, records: Records) -> None:
    header[f"TTYPE{number}"] = column.name
    header[f"TFORM{number}"] = _CODES.get(column.kind) or f"{records.width(column)}A"
    if column.unit:
        header[f"TUNIT{number}"] = unit_of(column.unit)
    if column.nullable and column.kind in ABSENT:
        header[f"TNULL{number}"] = ABSENT[column.kind]
    header[f"TCOMM{number}"] = column.description
    header[f"TUCD{number}"] = column.ucd


def unit_of(unit: str) -> str:
    """The unit as the FITS standard spells it."""
    from astropy import units

    return units.Unit(unit).to_string("fits")
