"""The catalogue whose values are preferred to those in headers (``--catalog``).

Its columns have the names of ``source``, or those of the survey, the Gaia archive, 2MASS or VizieR (see
``spellings``), and the units that the table states. A row is found by sdss_id, else by APOGEE id, else by the
identifier of Gaia DR3. Of several rows of one star, each value comes from the first that has one.

Of several tables in a file, the one that lists the stars of the spectra is taken: the summary files of the
survey have the stars of BOSS in the first table, our own catalogue an empty table for them.
"""

import itertools
import logging
import math
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from astra.errors import UsageError
from astra.ingest import gaia, spellings
from astra.ingest.extinction import AUTO, Rule, reddening
from astra.ingest.precedence import Values, origin_of_catalog
from astra.ingest.records import Tally
from astra.ingest.source_rows import VALUE_COLUMNS, Ids
from astra.ingest.table_columns import Columns
from astra.ingest.table_files import Table, label, selected, tables_in

log = logging.getLogger("astra")

#: The number of identifiers of each side in a message.
EXAMPLES = 2
#: The columns of which a table of stars has at least one.
IDENTIFIERS = ("sdss_id", "sdss4_apogee_id", "apogee_id", "obj", "gaia_dr3_source_id", "source_id")

# The number of unused columns in a message.
_NAMED = 10
# A designation of 2MASS, with or without the name of that catalogue.
_DESIGNATION = re.compile(r"(?:2MASS\s*J?|2M|J)?(\d{8}[+-]\d{7})", re.IGNORECASE)
# The identifiers of Gaia, and the columns that tell their release.
_OF_GAIA = ("gaia_dr3_source_id", "source_id", "gaia_release", "ref_epoch")


class Listed(NamedTuple):
    """The row of one star: absent values are ``None``, absent columns are left out."""

    sdss_id: int | None
    apogee_id: str | None
    values: Values


class Listing:
    """A table of stars; its identifiers are read at once, its values by ``load``.

    Attributes:
        matched: The rows that were found for a star.
    """

    def __init__(self, table: Table, path: Path, tally: Tally, rule: Rule = AUTO) -> None:
        self.table, self._path, self._tally, self._rule = table, path, tally, rule
        self._gaia = gaia.names_in_catalog(spellings.by_upper_case(table.units))
        of_gaia = {name: names for name, names in self._gaia.wanted.items() if name in _OF_GAIA}
        self._ids = Columns(path, table.units, spellings.IDENTIFIERS | of_gaia, tally)
        self._content = table.read(self._ids.needed)
        self._columns: dict[str, Sequence[Any]] = {}
        self._first: dict[int | str, int] = {}
        self._by_gaia: dict[int, int] = {}
        self._repeats: dict[int, list[int]] = {}
        self.matched: set[int] = set()
        self._index()

    def load(self) -> None:
        """Read the values, and warn of columns that are not used.

        Raises:
            UsageError: The unit of a column measures something else.
        """
        self._ids.warn(self._content)
        wanted = spellings.STAR | spellings.EXTINCTION | self._gaia.wanted
        there = spellings.among(spellings.by_upper_case(self.table.units), wanted)
        # An L or a B alone may be a luminosity or a magnitude.
        half = {"l", "b"} if not {"l", "b"} <= there.keys() else set()
        wanted = {name: names for name, names in wanted.items() if name not in half}
        columns = Columns(self._path, self.table.units, wanted, self._tally)
        self._content = self.table.read(columns.needed)
        columns.warn(self._content)
        found = columns.values(self._content)
        self._content = {}
        measured = {name: found.pop(name) for name in self._gaia.wanted.keys() & found.keys()}
        extinction = {name: found.pop(name) for name in spellings.EXTINCTION.keys() & found.keys()}
        found |= reddening(found | extinction, columns.names, self._rule, is_catalog=True)
        found |= gaia.with_release(measured, self._gaia.release, guessed=self._gaia.guessed)
        self._columns = {name: _compact(values) for name, values in found.items() if name in VALUE_COLUMNS}
        self._warn_of_names(columns.names)
        self._warn_of_contradictions()

    # > Rows

    def repeated(self) -> int:
        """The number of rows whose star has an earlier one."""
        return sum(map(len, self._repeats.values()))

    def unmatched(self, count: int) -> Iterator[str]:
        """The identifiers in some of the rows that were found for no star."""
        rows = (row for row in range(len(self.table)) if row not in self.matched)
        for row in itertools.islice(rows, count):
            yield ids_as_text(self._sdss_ids[row], self._apogee_ids[row], self._gaia_ids[row])

    def rows_of(self, stars: Collection[Ids], gaia_ids: Collection[int | None]) -> set[int]:
        """The rows with the identifiers of some stars."""
        keys = {key for sdss_id, name in stars for key in (sdss_id, designation(name))}
        rows = {self._first[key] for key in keys & self._first.keys()}
        return rows | {self._by_gaia[key] for key in set(gaia_ids) & self._by_gaia.keys()}

    def ids_of(self, rows: Collection[int]) -> set[Ids]:
        """The identifiers in some rows."""
        return {(self._sdss_ids[row], self._apogee_ids[row]) for row in rows}

    def match(self, sdss_id: int | None, names: list[str], gaia_id: int | None) -> Listed | None:
        """The row of a star, or ``None``.

        Args:
            sdss_id: The identifier that is searched first.
            names: The APOGEE ids of the star; the first that is listed counts.
            gaia_id: Its identifier in Gaia DR3, which is searched last.
        """
        row = self._row_of(sdss_id, [designation(name) for name in names], gaia_id)
        if row is None:
            return None
        self.matched.add(row)
        return Listed(self._sdss_ids[row], self._apogee_ids[row], self._joined(row)[0])

    def _row_of(self, sdss_id: int | None, names: list[str], gaia_id: int | None) -> int | None:
        row = self._first.get(sdss_id)
        if row is not None:
            return row
        row = next((self._first[name] for name in names if name in self._first), None)
        if row is None:
            row = self._by_gaia.get(gaia_id)
            if row is not None and names and self._apogee_ids[row] is not None:
                return self._another(row, f"APOGEE id {self._apogee_ids[row]} here and {names[0]}")
        if row is not None and None not in (sdss_id, self._sdss_ids[row]):
            return self._another(row, f"sdss_id {self._sdss_ids[row]} here and {sdss_id}")
        return row

    def _another(self, row: int, what: str) -> None:
        name = self._apogee_ids[row] or f"Gaia DR3 {self._gaia_ids[row]}"
        self._tally.warn("%s: %s has %s in the spectra: its row is not used", self._path, name, what)

    def _joined(self, first: int) -> tuple[Values, list[int]]:
        """The values of a star, none before ``load``; and its rows that contradict an earlier one."""
        values, contradicting = self._values(first), []
        for row in self._repeats.get(first, ()):
            new = self._values(row)
            if any(None not in (values[name], new[name]) and values[name] != new[name] for name in new):
                contradicting.append(row)
            values |= {name: value for name, value in new.items() if values[name] is None}
        return values, contradicting

    def _values(self, row: int) -> Values:
        columns = ((name, values[row]) for name, values in self._columns.items())
        # Only NaN, an absent number in a compact column, differs from itself.
        return {name: value if value == value else None for name, value in columns}

    # > Identifiers

    def _index(self) -> None:
        """Take the identifiers of all rows, and find the rows that are of one star."""
        absent = [None] * len(self.table)
        found = self._ids.values(self._content)
        measured = {name: found[name] for name in _OF_GAIA if name in found}
        gaia_ids = gaia.with_release(measured, self._gaia.release, guessed=self._gaia.guessed)
        names = [found.get(name, absent) for name in ("sdss4_apogee_id", "apogee_id", "obj")]
        rows = zip(*names, strict=True)
        self._sdss_ids = found.get("sdss_id", absent)
        self._apogee_ids = [next((designation(name) for name in row if name), None) for row in rows]
        self._gaia_ids = gaia_ids.get("gaia_dr3_source_id", absent)
        ids = zip(self._sdss_ids, self._apogee_ids, self._gaia_ids, strict=True)
        for row, (sdss_id, apogee_id, gaia_id) in enumerate(ids):
            first = self._first.get(sdss_id)
            if first is None and apogee_id in self._first:
                named = self._first[apogee_id]
                first = named if None in (sdss_id, self._sdss_ids[named]) else None
            if first is None and sdss_id is None and apogee_id is None:
                first = self._by_gaia.get(gaia_id)
            if first is None:
                first = row
            else:
                self._repeats.setdefault(first, []).append(row)
                self._sdss_ids[first] = self._sdss_ids[first] or sdss_id
                self._apogee_ids[first] = self._apogee_ids[first] or apogee_id
            for index, key in ((self._first, sdss_id), (self._first, apogee_id), (self._by_gaia, gaia_id)):
                if key is not None:
                    index.setdefault(key, first)

    # > Warnings

    def _warn_of_names(self, names: dict[str, str]) -> None:
        known = self._ids.names | names
        taken = [
            f"{theirs} as {ours}" for ours, theirs in known.items() if theirs not in (ours, ours.upper())
        ]
        if taken:
            log.info("%s: columns taken by other names: %s", self._path, ", ".join(taken))
        unused = sorted(set(self.table.units) - set(known.values()))
        if unused:
            meant = ((name, spellings.similar_name(name, known)) for name in unused)
            said = [f"{name} (did you mean {like}?)" if like else name for name, like in meant]
            # Likely misspellings come first: of a table of the survey a hundred columns are not used.
            said.sort(key=lambda text: "?" not in text)
            more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
            message = "%s: columns that are not used: %s"
            self._tally.warn(message, self._path, ", ".join(said[:_NAMED]) + more)
        if self._gaia.guessed and "source_id" in known:
            message = "%s: column %s is taken for identifiers of Gaia DR3: no column gaia_release says so"
            self._tally.warn(message, self._path, known["source_id"])

    def _warn_of_contradictions(self) -> None:
        contradicting = [row for first in self._repeats for row in self._joined(first)[1]]
        if contradicting:
            row = contradicting[0]
            example = self._apogee_ids[row] or self._sdss_ids[row] or self._gaia_ids[row]
            message = "%s: %d rows contradict an earlier row of the same star, which counts; e.g. %s"
            self._tally.warn(message, self._path, len(contradicting), example)


class Catalog:
    """A catalogue of stars in a file.

    Attributes:
        origin: The origin of its values.
    """

    def __init__(
        self, path: str | Path, tally: Tally, hdu: str | None = None, extinction: Rule = AUTO
    ) -> None:
        """Read the identifiers of a catalogue, and its values if it has only one table of stars.

        Args:
            path: A CSV, ECSV, FITS or VOTable file, also compressed with gzip.
            tally: Warns once about unused columns and unusable values.
            hdu: The number or the name of the table; ``None`` takes the one that lists the stars.
            extinction: Where E(B-V) comes from.

        Raises:
            UsageError: The file cannot be read, has no column of identifiers, or a unit measures something
                else.
        """
        self._path, self._tally = Path(path), tally
        self.origin = origin_of_catalog(self._path)
        self._tables = selected(tables_in(self._path), hdu, self._path)
        fitting = [table for table in self._tables if _has_ids(table)]
        if not fitting:
            ids = " or ".join(IDENTIFIERS)
            raise UsageError(f"no identifiers in the catalogue {path}: it needs a column {ids}")
        if not any(map(len, fitting)):
            tally.warn("no rows in the catalogue %s", path)
        # An empty table counts only if there is no other.
        fitting = [table for table in fitting if len(table)] or fitting[:1]
        self._candidates = [Listing(table, self._path, tally, extinction) for table in fitting]
        self._asked, self._listed, self._unlisted = 0, 0, []
        if len(self._candidates) == 1:
            self._take(self._candidates[0], "the only one that lists stars")

    def look_up(self, stars: Collection[Ids], gaia_ids: Collection[int | None] = ()) -> set[Ids]:
        """The identifiers in the rows of some stars.

        The first call that finds any rows decides which table is taken.
        """
        found = [each.rows_of(stars, gaia_ids) for each in self._candidates]
        if len(found) > 1 and any(found):
            tables = [each.table for each in self._candidates]
            numbers = [f"{len(rows)} in {label(table)}" for rows, table in zip(found, tables, strict=True)]
            # Of two that list as many stars, the one with the names of APOGEE spectra.
            named = ["OBJ" in spellings.by_upper_case(table.units) for table in tables]
            best = max(range(len(found)), key=lambda place: (len(found[place]), named[place]))
            why = f"stars listed among the first {len(stars)}: {', '.join(numbers)}"
            self._take(self._candidates[best], why)
            found = [found[best]]
        return set().union(*map(Listing.ids_of, self._candidates, found))

    def match(
        self, sdss_id: int | None, apogee_ids: Iterable[str | None], gaia_id: int | None = None
    ) -> Listed | None:
        """The row of a star that was looked up, as by ``Listing.match``."""
        names = [name for name in apogee_ids if name]
        # While the table is not chosen, none has listed a star.
        is_chosen = len(self._candidates) == 1
        found = self._candidates[0].match(sdss_id, names, gaia_id) if is_chosen else None
        self._asked += 1
        self._listed += found is not None
        if found is None and len(self._unlisted) < EXAMPLES:
            self._unlisted.append(ids_as_text(sdss_id, next(iter(names), None), gaia_id))
        return found

    def count(self) -> None:
        """Count the rows, and warn if most stars are not listed."""
        listing = self._candidates[0]
        repeated, matched = listing.repeated(), len(listing.matched)
        unmatched = len(listing.table) - repeated - matched
        self._tally.add(catalog_duplicate=repeated, catalog_matched=matched, catalog_unmatched=unmatched)
        # No warning if one side is covered: a large table also lists stars that were not observed, and a
        # small one only some of many stars.
        if 2 * self._listed < self._asked and matched < unmatched:
            message = "%s lists the stars of %d of %d spectra; not listed: %s; rows without a spectrum: %s"
            unlisted, unobserved = ", ".join(self._unlisted), ", ".join(listing.unmatched(EXAMPLES))
            self._tally.warn(message, self._path, self._listed, self._asked, unlisted, unobserved)

    def _take(self, listing: Listing, why: str) -> None:
        if len(self._tables) > 1:
            log.info("%s: table %s is taken (%s); --hdu takes another", self._path, label(listing.table), why)
        self._candidates = [listing]
        listing.load()


def _has_ids(table: Table) -> bool:
    there = spellings.by_upper_case(table.units)
    known = spellings.IDENTIFIERS | gaia.names_in_catalog(there).wanted
    return bool(spellings.among(there, known).keys() & {*IDENTIFIERS})


def _compact(values: list[Any]) -> Sequence[Any]:
    """Numbers as an array with NaN for absent ones; other values as they are."""
    if not all(value is None or isinstance(value, float) for value in values):
        return values
    return array("d", (math.nan if value is None else value for value in values))


def designation(name: str | None) -> str | None:
    """The APOGEE id for a designation of 2MASS, e.g. ``2M06154934-0100415``; other names as they are."""
    found = _DESIGNATION.fullmatch(name) if name else None
    return f"2M{found[1]}" if found else name


def ids_as_text(sdss_id: int | None, apogee_id: str | None, gaia_id: int | None) -> str:
    """The identifiers of a star for messages."""
    named = {"sdss_id": sdss_id, "apogee_id": apogee_id, "gaia_dr3_source_id": gaia_id}
    texts = [f"{name} {value!s:.40}" for name, value in named.items() if value is not None]
    return " ".join(texts) or "no identifier"
