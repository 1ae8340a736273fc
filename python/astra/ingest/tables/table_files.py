"""The tables of a file: what kind of file it is, and which of its tables is meant.

What a file holds decides on its kind, its name only where that tells nothing.

table.py           what all tables have in common
fits_tables.py     FITS, in pieces
text_tables.py     CSV and its relatives, in pieces
parquet_tables.py  Parquet, in pieces
memory_tables.py   ECSV, VOTable and MRT, in memory
"""

import re
from collections.abc import Sequence
from gzip import GzipFile
from pathlib import Path

from astra.errors import UsageError
from astra.ingest.tables.fits_tables import FITS_MAGIC, fits_tables
from astra.ingest.tables.memory_tables import memory_tables
from astra.ingest.tables.parquet_tables import PARQUET_MAGIC, ParquetTable
from astra.ingest.tables.table import Table, opened, read_errors, unreadable
from astra.ingest.tables.text_tables import TextTable
from astra.spectra.content import GZIP_MAGIC

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Bytes that tell the kind of a file, after which a table in text may have a long head.
_HEAD = 1 << 16
_BY_NAME = {
    **dict.fromkeys((".csv", ".tsv", ".psv", ".txt", ".dat"), "text"),
    ".ecsv": "ascii.ecsv",
    **dict.fromkeys((".fits", ".fit"), "fits"),
    **dict.fromkeys((".vot", ".votable", ".xml"), "votable"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
_BY_CONTENT = {
    "fits": re.compile(re.escape(FITS_MAGIC)),
    "parquet": re.compile(PARQUET_MAGIC),
    "ascii.ecsv": re.compile(rb"# %ECSV"),
    "ascii.mrt": re.compile(rb".*^Byte-by-byte Description of file", re.DOTALL | re.MULTILINE),
    "votable": re.compile(rb"\s*<.*<(\w+:)?VOTABLE\b|\s*<(\w+:)?VOTABLE\b", re.DOTALL),
}
_NO_TABLES = {
    "an Excel file, or another ZIP archive: save the table as CSV": re.compile(rb"PK\x03\x04"),
    "an Excel file: save the table as CSV": re.compile(rb"\xd0\xcf\x11\xe0"),
    "compressed in another way than gzip: unpack it": re.compile(rb"BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|\x1f\x9d"),
    "HDF5: save the table as Parquet or FITS": re.compile(rb"\x89HDF"),
    "a web page or another XML document: download the table itself": re.compile(rb"\s*<"),
    "JSON: save the table as CSV": re.compile(rb'\s*(\{|\[\s*[\[{"])'),
    "compressed twice: unpack it": re.compile(re.escape(GZIP_MAGIC)),
}


def tables_in(path: Path) -> Sequence[Table]:
    """The tables of a file.

    Raises:
        UsageError: The format is unknown, or the file cannot be read or is damaged.
        ConfigError: It needs a package that is not installed.
    """
    kind = _kind(path)
    if kind == "text":
        return [TextTable(path)]
    if kind == "fits":
        return fits_tables(path)
    if kind == "parquet":
        return [ParquetTable(path)]
    return memory_tables(path, kind)


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


def _kind(path: Path) -> str:
    named = _BY_NAME.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    with read_errors(path), opened(path) as stream:
        start, is_packed = stream.read(_HEAD).removeprefix(_BYTE_ORDER_MARK), isinstance(stream, GzipFile)
    found = next((kind for kind, pattern in _BY_CONTENT.items() if pattern.match(start)), None)
    if found == "parquet" and is_packed:
        raise unreadable(path, "it is Parquet compressed with gzip: unpack it")
    if found is not None:
        return found
    other = next((what for what, pattern in _NO_TABLES.items() if pattern.match(start)), None)
    if other is not None:
        raise unreadable(path, f"it is {other}")
    if named is None:
        raise UsageError(f"unknown kind of catalogue: {path}; its name must end in {', '.join(_BY_NAME)}")
    return named
