"""Tables in formats that astropy reads as a whole: ECSV, VOTable, and the MRT of the AAS and the CDS."""

import io
import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np

from astra.damage import check_yaml
from astra.ingest.tables.table import Table, length, opened, read_errors
from astra.system.processes import silenced


class MemoryTable(Table):
    """A table that astropy has read; it stays in memory."""

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

    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        content = self.read(columns)
        for start in range(0, len(self), rows):
            yield {name: values[start : start + rows] for name, values in content.items()}

    def read(self, columns: Collection[str]) -> dict[str, np.ndarray]:
        """Read some columns."""
        arrays = {name: np.ma.asarray(self._table[name]) for name in columns}
        return {name: array if np.ma.is_masked(array) else array.data for name, array in arrays.items()}


def memory_tables(path: Path, kind: str) -> list[MemoryTable]:
    """The tables of a file.

    Args:
        path: The file, which may be compressed with gzip.
        kind: ``ascii.ecsv``, ``ascii.mrt`` or ``votable``.

    Raises:
        UsageError: It cannot be read, or is damaged.
    """
    with read_errors(path), silenced():
        length(path)
        _CHECKS.get(kind, lambda _: None)(path)
        return [MemoryTable(number, table) for number, table in enumerate(_read(path, kind), 1)]


def _check_ecsv(path: Path) -> None:
    """Refuse an ECSV file whose head is not valid YAML."""
    with opened(path) as stream, io.TextIOWrapper(stream, "utf-8-sig") as text:
        head = itertools.takewhile(lambda line: line.startswith("#"), text)
        check_yaml("".join(line[2:] for line in head if not line.startswith("# %")))


def _check_votable(path: Path) -> None:
    """Refuse a VOTable whose values lie elsewhere: in any file here, or at any address."""

    def begun(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "STREAM" and "href" in attributes:
            raise ValueError("its values lie elsewhere (STREAM href): save it with the values in it")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begun
    with opened(path) as stream:
        while piece := stream.read(1 << 20):
            parser.Parse(piece)
    parser.Parse(b"", True)


_CHECKS = {"ascii.ecsv": _check_ecsv, "votable": _check_votable}


def _read(path: Path, kind: str) -> list[Any]:
    from astropy import table
    from astropy.io.votable import parse

    if kind == "votable":
        found = parse(path, verify="ignore").iter_tables()
        return [each.to_table(use_names_over_ids=True) for each in found]
    # An editor may begin a text with a byte order mark, which is not part of the first line.
    return [table.Table.read(path, format=kind, encoding="utf-8-sig")]
