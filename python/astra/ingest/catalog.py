"""A table of photometry and extinction that goes before what the headers say (``--catalog``).

Columns are named as in ``source``, in lower or in upper case; ``apogee_id`` stands for
``sdss4_apogee_id``. A name in mixed case is another column: catalogues call the parallax of Hipparcos
``Plx``. Rows are matched on sdss_id, else on the APOGEE id. Of several rows of one star, the first
that has a value gives it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import UsageError
from astra.ingest.precedence import Values
from astra.ingest.records import Tally
from astra.ingest.stars import VALUE_COLUMNS, Ids
from astra.ingest.values import clean, clean_column, unreadable
from astra.silence import silenced

_FORMATS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
_IDS = ("sdss_id", "sdss4_apogee_id", "apogee_id")


@dataclass(frozen=True)
class Listed:
    """What the catalogue says about one star; absent values are ``None``."""

    sdss_id: int | None
    apogee_id: str | None
    values: Values


class Catalog:
    """A catalogue, its rows found by identifier."""

    def __init__(self, path: str | Path, tally: Tally) -> None:
        """Read a catalogue.

        Args:
            path: A CSV, ECSV, FITS or VOTable file.
            tally: Warns once about columns that are not used, and about text instead of numbers.

        Raises:
            UsageError: It cannot be read, or has no column of identifiers.
        """
        self._path, self._tally = path, tally
        self._table = _read(Path(path))
        names = {name.lower(): name for name in self._table.colnames if name in (name.lower(), name.upper())}
        self._columns = [(name, names[name]) for name in VALUE_COLUMNS if name in names]
        self._sdss_ids = self._ids("sdss_id", [names.get("sdss_id")])
        self._apogee_ids = self._ids("sdss4_apogee_id", [names.get(name) for name in _IDS[1:]])
        if not any(name in names for name in _IDS):
            raise UsageError(f"no identifiers in the catalogue {path}: it needs a column {' or '.join(_IDS)}")
        if unused := set(self._table.colnames) - {names.get(name) for name in (*VALUE_COLUMNS, *_IDS)}:
            tally.warn("%s: columns that are not used: %s", path, ", ".join(sorted(unused)))
        self._warn_of_text({name: names[name] for name in ("sdss_id", *VALUE_COLUMNS) if name in names})
        self._first: dict[int | str, int] = {}
        self._repeated: dict[int, list[int]] = {}
        self._matched: set[int] = set()
        self._index()

    def match(self, sdss_id: int | None, apogee_ids: Iterable[str | None]) -> Listed | None:
        """What the catalogue says about a star: by its sdss_id, else by the first name that is listed."""
        row = self._first.get(sdss_id)
        if row is None:
            row = next((self._first[name] for name in apogee_ids if name in self._first), None)
            if row is not None and None not in (sdss_id, self._sdss_ids[row]):
                message = "%s: %s has sdss_id %d here and %d in the spectra: its row is not used"
                self._tally.warn(message, self._path, self._apogee_ids[row], self._sdss_ids[row], sdss_id)
                row = None
        if row is None:
            return None
        self._matched.add(row)
        return self._listed(row)

    def ids_of(self, stars: Collection[Ids]) -> set[Ids]:
        """The identifiers in the rows that the identifiers of stars lead to."""
        rows = {self._first[key] for ids in stars for key in ids if key in self._first}
        return {(listed.sdss_id, listed.apogee_id) for listed in map(self._listed, rows)}

    def count(self) -> None:
        """Count the rows that were matched, those that were not, and the repeated ones."""
        repeated = sum(map(len, self._repeated.values()))
        self._tally.add("catalog_duplicate", repeated)
        self._tally.add("catalog_matched", len(self._matched))
        self._tally.add("catalog_unmatched", len(self._table) - repeated - len(self._matched))

    def _warn_of_text(self, columns: Mapping[str, str]) -> None:
        for name, column in columns.items():
            if texts := unreadable(name, np.ma.asanyarray(self._table[column])):
                message = "%s: column %s: %d values are no numbers and count as absent, e.g. %r"
                self._tally.warn(message, self._path, column, len(texts), texts[0])

    def _ids(self, name: str, columns: list[str | None]) -> list[Any]:
        given = [clean_column(name, np.ma.asanyarray(self._table[column])) for column in columns if column]
        if not given:
            return [None] * len(self._table)
        return [next((value for value in row if value is not None), None) for row in zip(*given, strict=True)]

    def _index(self) -> None:
        contradicting = []
        for row, (sdss_id, apogee_id) in enumerate(zip(self._sdss_ids, self._apogee_ids, strict=True)):
            first = self._first.get(sdss_id)
            if first is None and apogee_id in self._first:
                named = self._first[apogee_id]
                first = named if None in (sdss_id, self._sdss_ids[named]) else None
            if first is not None:
                before, new = self._listed(first).values, self._values(row)
                if any(None not in (before[name], new[name]) and before[name] != new[name] for name in new):
                    contradicting.append(apogee_id or sdss_id)
                self._repeated.setdefault(first, []).append(row)
                if self._sdss_ids[first] is None:
                    self._sdss_ids[first] = sdss_id
                self._apogee_ids[first] = self._apogee_ids[first] or apogee_id
            for key in (sdss_id, apogee_id):
                if key is not None:
                    self._first.setdefault(key, row if first is None else first)
        if contradicting:
            message = "%s: %d rows contradict an earlier row of the same star, which counts; e.g. %s"
            self._tally.warn(message, self._path, len(contradicting), contradicting[0])

    def _listed(self, first: int) -> Listed:
        values = self._values(first)
        for row in self._repeated.get(first, ()):
            values |= {name: value for name, value in self._values(row).items() if values[name] is None}
        return Listed(self._sdss_ids[first], self._apogee_ids[first], values)

    def _values(self, row: int) -> Values:
        return {name: clean(name, self._table[column][row]) for name, column in self._columns}


def _read(path: Path) -> Any:
    kind = _FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if kind is None:
        raise UsageError(f"unknown kind of catalogue: {path}; its name must end in {', '.join(_FORMATS)}")
    from astropy.table import Table

    # Excel begins a text with the mark of its encoding, which is no part of the first name.
    options: dict[str, Any] = {"encoding": "utf-8-sig"} if kind.startswith("ascii") else {}
    if kind == "ascii.csv":
        # As text: 000 is a flag, not a number, and an identifier of 19 digits is no float.
        options["converters"] = {"*": [str]}
    if kind == "votable":
        options["use_names_over_ids"] = True
    try:
        with silenced():
            return Table.read(path, format=kind, **options)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, SyntaxError) as error:
        detail = " ".join(str(error).split())
        raise UsageError(f"cannot read the catalogue {path}: {detail}") from error
