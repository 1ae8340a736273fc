"""Labels of stars, Teff and log g, from a table that goes with the survey: the database has none."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.database.connection import database
from astra.database.sql import batches
from astra.errors import UsageError
from astra.ingest.tables.table import Table
from astra.ingest.tables.table_files import tables_in
from astra.models import Source
from astra.report.result_arrays import Rows

#: What identifies a star in a table, in lower case, and the column of the source that it is compared with.
_IDENTIFIERS = {"sdss_id": "sdss_id", "sdss4_apogee_id": "sdss4_apogee_id", "apogee_id": "sdss4_apogee_id"}

#: What is below these is a filler [K, dex].
_LOWEST = {"teff": 0.0, "logg": -9.0}


@dataclass(frozen=True)
class Labels:
    """Of N results, arrays of shape (N,), NaN where a star has none.

    Attributes:
        teff: Effective temperature [K].
        logg: Logarithm of the surface gravity [dex].
        origin: The name of the table.
    """

    teff: np.ndarray
    logg: np.ndarray
    origin: str


def read_labels(path: Path, rows: Rows) -> Labels:
    """Find the labels of the stars of some results; only within ``snapshot``.

    Args:
        path: A table with ``teff``, ``logg``, and ``sdss_id`` or ``apogee_id``; capitals do not matter.
        rows: The results.

    Raises:
        UsageError: The table cannot be read, or lacks a column.
    """
    table, columns = _usable(path)
    identifier = next(name for name in _IDENTIFIERS if name in columns)
    read = table.read([columns[name] for name in (identifier, *_LOWEST)])
    keys = [str(key).strip() for key in read[columns[identifier]].tolist()]
    values = {
        name: np.ma.filled(np.ma.asarray(read[columns[name]], float), np.nan) for name in _LOWEST
    }  # fmt: skip
    # The first row of a star counts.
    places = {key: place for place, key in reversed(list(enumerate(keys)))}
    own = _identifiers(_IDENTIFIERS[identifier])
    place = np.array([places.get(own.get(source, ""), -1) for source in rows["source_pk"].tolist()], np.int64)
    found = {}
    for name, lowest in _LOWEST.items():
        taken = np.append(values[name], np.nan)[place]
        found[name] = np.where(taken > lowest, taken, np.nan)
    return Labels(**found, origin=path.name)


def _usable(path: Path) -> tuple[Table, dict[str, str]]:
    """The first table that has what is needed, and its columns by their names in lower case."""
    for table in tables_in(path):
        columns = {name.lower(): name for name in table.units}
        if _LOWEST.keys() <= columns.keys() and _IDENTIFIERS.keys() & columns.keys():
            return table, columns
    raise UsageError(
        f"--labels {path}: it needs the columns teff and logg, and sdss_id or apogee_id: name them so"
    )


def _identifiers(column: str) -> dict[int, str]:
    query = Source.select(Source.pk, getattr(Source, column))
    return {
        pk: str(identifier)
        for batch in batches(database, query)
        for pk, identifier in batch
        if identifier is not None
    }
