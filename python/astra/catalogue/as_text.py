"""The catalogue as text: CSV, and ECSV, which is CSV after a header with units and descriptions.

An absent value is an empty field; numbers have all the digits that they need to be read back equal.
"""

import csv
import io
from typing import BinaryIO

from astra.catalogue.columns import empty_table
from astra.catalogue.table import Table


def write_csv(stream: BinaryIO, table: Table) -> None:
    """Write CSV, with the names of the columns in its first line, to an empty stream."""
    stream.write(_lines([[column.name for column in table.columns]]))
    _write_rows(stream, table)


def write_ecsv(stream: BinaryIO, table: Table) -> None:
    """Write ECSV to an empty stream."""
    empty = empty_table(table.columns)
    empty.meta.update({keyword: value for keyword, value, _ in table.facts()})
    header = io.StringIO()
    empty.write(header, format="ascii.ecsv", delimiter=",")
    stream.write(header.getvalue().encode())
    _write_rows(stream, table)


def _write_rows(stream: BinaryIO, table: Table) -> None:
    for batch in table.batches:
        stream.write(_lines(zip(*batch, strict=True)))


def _lines(rows: object) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
