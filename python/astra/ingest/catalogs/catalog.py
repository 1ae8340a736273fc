"""The catalogue whose values are preferred to those in headers (``--catalog``).

Its columns have the names of ``source``, or those of the survey, the Gaia archive, 2MASS or VizieR (see
``spellings``), and the units that the table states. A row is found by sdss_id, else by APOGEE id, else by the
identifier of Gaia DR3. Of several rows of one star, each value comes from the first that has one.

Of several tables in a file, the one that lists the stars of the spectra is taken: the summary files of the
survey have the stars of BOSS in the first table, our own catalogue with the names of DR19 an empty table.
"""

import functools
import itertools
import logging
import math
import re
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from astra.errors import UsageError
from astra.ingest import gaia, spellings
from astra.ingest.catalogs.positions import Positions
from astra.ingest.extinction import AUTO, Rule, reddening
from astra.ingest.precedence import Values, joined, origin_of_catalog
from astra.ingest.records import Tally
from astra.ingest.source_rows import VALUE_COLUMNS, Ids, Listed
from astra.ingest.tables.named_columns import checked_columns, found_columns
from astra.ingest.tables.table_columns import Columns, ColumnUse
from astra.ingest.tables.table_files import Table, label, selected, tables_in

log = logging.getLogger("astra")

#: The number of identifiers of each side in a message.
EXAMPLES = 2
#: The columns of which a table of stars has at least one.
IDENTIFIERS = ("sdss_id", "sdss4_apogee_id", "apogee_id", "obj", "gaia_dr3_source_id", "source_id")

#: By what a row was found, as messages and counts name it.
BY_SDSS_ID, BY_APOGEE_ID, BY_GAIA_ID, BY_POSITION = "sdss_id", "apogee_id", "gaia_dr3_source_id", "position"

# What tells where a star is.
_POSITION = ("ra", "dec", "pmra", "pmde", "ref_epoch")
_COORDINATES = ("ra", "dec", "l", "b")
# The number of unused columns in a message.
_NAMED = 10
# A designation of 2MASS, with or without the name of that catalogue.
_DESIGNATION = re.compile(r"(?:2MASS\s*J?|2M|J)?(\d{8}[+-]\d{7})", re.IGNORECASE)
# The identifiers of Gaia, and the columns that tell their release.
_OF_GAIA = ("gaia_dr3_source_id", "source_id", "gaia_release", "ref_epoch")


class Identifiers(NamedTuple):
    """The identifiers in some rows; absent ones are ``None``."""

    sdss_ids: Sequence[int | None]
    apogee_ids: Sequence[str | None]
    gaia_ids: Sequence[int | None]


class StarColumns:
    """The columns of a table that hold what we store of a star.

    These are its identifiers, with ``choose`` also its values.

    Attributes:
        table: The table.
        names: The names in the table by our names.
        needed: The columns to read.
    """

    def __init__(
        self, table: Table, path: Path, tally: Tally, named: Mapping[str, str], extinction: Rule
    ) -> None:
        """Find the columns of identifiers.

        Args:
            table: The table.
            path: Its file, for messages.
            tally: Warns once about unused columns and unusable values.
            named: Columns of the table that a user names for ours, by our names.
            extinction: Where E(B-V) comes from.
        """
        self._rule = extinction
        self.table, self._path, self._tally, self._named = table, path, tally, named
        self._there = spellings.by_upper_case(table.units, named)
        self._gaia = gaia.names_in_catalog(self._there, named)
        of_gaia = {name: names for name, names in self._gaia.wanted.items() if name in _OF_GAIA}
        self._ids = self._columns(spellings.IDENTIFIERS | of_gaia)
        self._values = self._columns({})
        self.names, self.needed = self._ids.names, self._ids.needed

    def has_identifiers(self) -> bool:
        """Whether the table has a column of identifiers."""
        known = spellings.IDENTIFIERS | self._gaia.wanted
        return bool(spellings.among(self._there, known).keys() & {*IDENTIFIERS})

    def has_positions(self) -> bool:
        """Whether the table has columns of positions."""
        return {"ra", "dec"} <= spellings.among(self._there, spellings.STAR).keys()

    def choose(self) -> None:
        """Take the columns of values too, and warn of those that are not used.

        Raises:
            UsageError: The unit of a column measures something else.
        """
        wanted = spellings.STAR | spellings.EXTINCTION | self._gaia.wanted
        there = spellings.among(self._there, wanted)
        # An L or a B alone may be a luminosity or a magnitude.
        half = {"l", "b"} - self._named.keys() if not {"l", "b"} <= there.keys() else set()
        self._values = self._columns({name: names for name, names in wanted.items() if name not in half})
        self.names, self.needed = self._ids.names | self._values.names, self._ids.needed | self._values.needed
        self._warn_of_names()

    def identifiers(self, content: Mapping[str, Any], *, examine: bool = False) -> Identifiers:
        """The identifiers in some rows, from their columns.

        Args:
            content: The columns.
            examine: Whether to take note of those that cannot be used, for ``warn``.
        """
        found = self._ids.values(content)
        if examine:
            self._ids.examine(content, found)
        absent = [None] * len(next(iter(content.values()), ()))
        measured = {name: found[name] for name in _OF_GAIA if name in found}
        gaia_ids = gaia.with_release(measured, self._gaia.release, guessed=self._gaia.guessed)
        names = [found.get(name, absent) for name in spellings.APOGEE_IDS]
        apogee_ids = [
            next((designation(name) for name in row if name), None) for row in zip(*names, strict=True)
        ]
        return Identifiers(
            found.get("sdss_id", absent), apogee_ids, gaia_ids.get("gaia_dr3_source_id", absent)
        )

    def values(self, content: Mapping[str, Any]) -> dict[str, list]:
        """The values in some rows by our names, from their columns; absent ones are ``None``.

        Takes note of those that cannot be used, for ``warn``.
        """
        found = self._values.values(content)
        self._values.examine(content, found)
        measured = {name: found.pop(name) for name in self._gaia.wanted.keys() & found.keys()}
        extinction = {name: found.pop(name) for name in spellings.EXTINCTION.keys() & found.keys()}
        found |= reddening(found | extinction, self._values.names, self._rule, self._tally, is_catalog=True)
        found |= gaia.with_release(measured, self._gaia.release, guessed=self._gaia.guessed)
        return {name: values for name, values in found.items() if name in VALUE_COLUMNS}

    # > Positions

    def choose_positions(self) -> None:
        """Take the columns of positions beside those of identifiers."""
        columns = self._position_columns
        self.needed = self.needed | columns.needed

    def positions(self, content: Mapping[str, Any]) -> Positions:
        """Where the stars of some rows are, from their columns."""
        found = self._position_columns.values(content)
        absent = [None] * len(next(iter(content.values())))
        return Positions(*(np.array(found.get(name, absent), float) for name in _POSITION))

    @functools.cached_property
    def _position_columns(self) -> Columns:
        wanted = spellings.STAR | self._gaia.wanted
        return self._columns({name: wanted[name] for name in _POSITION})

    # > Messages

    def warn(self) -> None:
        """Warn of what was examined and counts as absent because it cannot be used."""
        self._ids.warn()
        self._values.warn()

    def counted(self, content: Mapping[str, Any]) -> Counter[str]:
        """The numbers of identifiers and values in some rows that are not absent, by our names."""
        return self._ids.counted(content) | self._values.counted(content)

    def uses(self, counts: Mapping[str, int]) -> list[ColumnUse]:
        """What each column is taken for, with the number of its values."""
        return list(dict.fromkeys([*self._ids.uses(counts), *self._values.uses(counts)]))

    def _columns(self, wanted: spellings.Spellings) -> Columns:
        return Columns(self._path, self.table.units, wanted, self._tally, self._named)

    def _warn_of_names(self) -> None:
        known = self.names
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


class Listing:
    """Rows of stars in memory, found by their identifiers.

    Attributes:
        matched: The rows that were found for a star, and by what.
        contradicting: The rows that contradict an earlier row of the same star; found by ``hold``.
    """

    def __init__(
        self, ids: Identifiers, path: Path, tally: Tally, places: Sequence[int | None] | None = None
    ) -> None:
        """Index some rows.

        Args:
            ids: Their identifiers.
            path: The table, for messages.
            tally: Warns of rows that are not used.
            places: The keys of the sources at the positions of rows without identifiers.
        """
        self._path, self._tally = path, tally
        self._sdss_ids, self._apogee_ids, self._gaia_ids = map(list, ids)
        self._columns: dict[str, Sequence[Any]] = {}
        self._first: dict[int | str, int] = {}
        self._by_gaia: dict[int, int] = {}
        self._by_place: dict[int, int] = {}
        self._repeats: dict[int, list[int]] = {}
        self.matched: dict[int, str] = {}
        self.contradicting: list[int] = []
        self._index(places or [None] * len(self))

    def __len__(self) -> int:
        return len(self._sdss_ids)

    def hold(self, values: Mapping[str, list]) -> None:
        """Take the values of the rows."""
        self._columns = {name: _compact(column) for name, column in values.items()}
        self.contradicting = [row for first in self._repeats for row in self._joined(first)[1]]

    # > Rows

    def repeated(self) -> int:
        """The number of rows whose star has an earlier one."""
        return sum(map(len, self._repeats.values()))

    def unmatched(self, count: int) -> Iterator[str]:
        """The identifiers in some of the rows that were found for no star."""
        rows = (row for row in range(len(self)) if row not in self.matched)
        yield from map(self.name, itertools.islice(rows, count))

    def name(self, row: int) -> str:
        """The identifiers in a row, for messages."""
        return ids_as_text(self._sdss_ids[row], self._apogee_ids[row], self._gaia_ids[row])

    def rows_of(self, stars: Collection[Ids], gaia_ids: Collection[int | None]) -> set[int]:
        """The rows with the identifiers of some stars."""
        keys = {key for sdss_id, name in stars for key in (sdss_id, designation(name))}
        rows = {self._first[key] for key in keys & self._first.keys()}
        return rows | {self._by_gaia[key] for key in set(gaia_ids) & self._by_gaia.keys()}

    def ids_of(self, rows: Collection[int]) -> set[Ids]:
        """The identifiers in some rows."""
        return {(self._sdss_ids[row], self._apogee_ids[row]) for row in rows}

    def match(
        self, sdss_id: int | None, names: list[str], gaia_id: int | None, place: int | None = None
    ) -> Listed | None:
        """What the rows of a star say of it, or ``None``.

        Args:
            sdss_id: The identifier that is searched first.
            names: The APOGEE ids of the star; the rows of later ones only fill absent values.
            gaia_id: Its identifier in Gaia DR3, which is searched next.
            place: The key of the source, for a row at its position that has no identifier.
        """
        by, rows = self._rows_of_star(sdss_id, [designation(name) for name in names], gaia_id, place)
        if not rows:
            return None
        for row in rows:
            self.matched.setdefault(row, by)
        values = functools.reduce(joined, (self._joined(row)[0] for row in rows))
        if by == BY_POSITION:
            # A position that was compared with the known one does not replace it.
            values = {name: value for name, value in values.items() if name not in _COORDINATES}
        sdss_id, name = (
            next((ids[row] for row in rows if ids[row] is not None), None)
            for ids in (self._sdss_ids, self._apogee_ids)
        )
        return Listed(sdss_id, name, values)

    def _rows_of_star(
        self, sdss_id: int | None, names: list[str], gaia_id: int | None, place: int | None
    ) -> tuple[str, list[int]]:
        """By what the rows of a star are found, and which they are: one, or one for each of its names."""
        if sdss_id in self._first:
            return BY_SDSS_ID, [self._first[sdss_id]]
        by, listed = BY_APOGEE_ID, (self._first[name] for name in names if name in self._first)
        rows = list(dict.fromkeys(listed))
        if not rows and gaia_id in self._by_gaia:
            by, rows = BY_GAIA_ID, [self._by_gaia[gaia_id]]
            if names and self._apogee_ids[rows[0]] is not None:
                self._another(rows[0], f"APOGEE id {self._apogee_ids[rows[0]]} here and {names[0]}")
                return by, []
        if not rows and place in self._by_place:
            by, rows = BY_POSITION, [self._by_place[place]]
        others = [row for row in rows if None not in (sdss_id, self._sdss_ids[row])]
        for row in others:
            self._another(row, f"sdss_id {self._sdss_ids[row]} here and {sdss_id}")
        return by, [row for row in rows if row not in others]

    def _another(self, row: int, what: str) -> None:
        name = self._apogee_ids[row] or f"Gaia DR3 {self._gaia_ids[row]}"
        self._tally.warn("%s: %s has %s in the spectra: its row is not used", self._path, name, what)

    def _joined(self, first: int) -> tuple[Values, list[int]]:
        """The values of a star, none before ``hold``; and its rows that contradict an earlier one."""
        values, contradicting = self._values(first), []
        for row in self._repeats.get(first, ()):
            new = self._values(row)
            if any(None not in (values[name], new[name]) and values[name] != new[name] for name in new):
                contradicting.append(row)
            values = joined(values, new)
        return values, contradicting

    def _values(self, row: int) -> Values:
        columns = ((name, values[row]) for name, values in self._columns.items())
        # Only NaN, an absent number in a compact column, differs from itself.
        return {name: value if value == value else None for name, value in columns}

    def _index(self, places: Sequence[int | None]) -> None:
        """Find the rows that are of one star."""
        ids = zip(self._sdss_ids, self._apogee_ids, self._gaia_ids, places, strict=True)
        for row, (sdss_id, apogee_id, gaia_id, place) in enumerate(ids):
            first = self._first.get(sdss_id)
            if first is None and apogee_id in self._first:
                named = self._first[apogee_id]
                first = named if None in (sdss_id, self._sdss_ids[named]) else None
            if first is None and sdss_id is None and apogee_id is None:
                first = self._by_gaia.get(gaia_id, self._by_place.get(place))
            if first is None:
                first = row
            else:
                self._repeats.setdefault(first, []).append(row)
                self._sdss_ids[first] = self._sdss_ids[first] or sdss_id
                self._apogee_ids[first] = self._apogee_ids[first] or apogee_id
            keys = (self._first, sdss_id), (self._first, apogee_id)
            for index, key in (*keys, (self._by_gaia, gaia_id), (self._by_place, place)):
                if key is not None:
                    index.setdefault(key, first)


class Catalog:
    """A catalogue of stars in a file.

    Attributes:
        origin: The origin of its values.
    """

    def __init__(
        self,
        path: str | Path,
        tally: Tally,
        hdu: str | None = None,
        columns: Mapping[str, str] | None = None,
        extinction: Rule = AUTO,
        remedy: str = "",
    ) -> None:
        """Read the identifiers of a catalogue, and its values if it has only one table of stars.

        Args:
            path: A file that ``tables_in`` reads, e.g. CSV, FITS or Parquet.
            tally: Warns once about unused columns and unusable values.
            hdu: The number or the name of the table; ``None`` takes the one that lists the stars.
            columns: The names of columns in the file by ours, where the file has other names than are known.
            extinction: Where E(B-V) comes from.
            remedy: What can be done where no column has identifiers, in place of ``--column``.

        Raises:
            UsageError: The file cannot be read, has no column of identifiers, lacks one of ``columns``, or a
                unit measures something else.
        """
        self._path, self._tally = Path(path), tally
        self.origin = origin_of_catalog(self._path)
        candidates = star_columns(self._path, tally, hdu, columns, extinction)
        fitting = with_rows([each for each in candidates if each.has_identifiers()], self._path, remedy)
        self._is_chosen_of_several = len(candidates) > 1
        self._candidates = list(map(self._listed_in, fitting))
        self._asked, self._listed, self._unlisted = 0, 0, []
        if len(self._candidates) == 1:
            self._take(self._candidates[0], "the only one that lists stars")

    def look_up(self, stars: Collection[Ids], gaia_ids: Collection[int | None] = ()) -> set[Ids]:
        """The identifiers in the rows of some stars.

        The first call that finds any rows decides which table is taken.
        """
        found = [listing.rows_of(stars, gaia_ids) for _, listing in self._candidates]
        if len(found) > 1 and any(found):
            tables = [columns.table for columns, _ in self._candidates]
            numbers = [f"{len(rows)} in {label(table)}" for rows, table in zip(found, tables, strict=True)]
            best = most_fitting(tables, list(map(len, found)))
            why = f"stars listed among the first {len(stars)}: {', '.join(numbers)}"
            self._take(self._candidates[best], why)
            found = [found[best]]
        listings = (listing for _, listing in self._candidates)
        return set().union(*map(Listing.ids_of, listings, found))

    def match(
        self, sdss_id: int | None, apogee_ids: Iterable[str | None], gaia_id: int | None = None
    ) -> Listed | None:
        """The row of a star that was looked up, as by ``Listing.match``."""
        names = [name for name in apogee_ids if name]
        # While the table is not chosen, none has listed a star.
        is_chosen = len(self._candidates) == 1
        found = self._candidates[0][1].match(sdss_id, names, gaia_id) if is_chosen else None
        self._asked += 1
        self._listed += found is not None
        if found is None and len(self._unlisted) < EXAMPLES:
            self._unlisted.append(ids_as_text(sdss_id, next(iter(names), None), gaia_id))
        return found

    def count(self) -> None:
        """Count the rows, and warn if most stars are not listed."""
        _, listing = self._candidates[0]
        repeated, matched = listing.repeated(), len(listing.matched)
        unmatched = len(listing) - repeated - matched
        self._tally.add(catalog_duplicate=repeated, catalog_matched=matched, catalog_unmatched=unmatched)
        # No warning if one side is covered: a large table also lists stars that were not observed, and a
        # small one only some of many stars.
        if 2 * self._listed < self._asked and matched < unmatched:
            message = "%s lists the stars of %d of %d spectra; not listed: %s; rows without a spectrum: %s"
            unlisted, unobserved = ", ".join(self._unlisted), ", ".join(listing.unmatched(EXAMPLES))
            self._tally.warn(message, self._path, self._listed, self._asked, unlisted, unobserved)

    def _listed_in(self, columns: StarColumns) -> tuple[StarColumns, Listing]:
        ids = columns.identifiers(columns.table.read(columns.needed), examine=True)
        return columns, Listing(ids, self._path, self._tally)

    def _take(self, chosen: tuple[StarColumns, Listing], why: str) -> None:
        columns, listing = chosen
        if self._is_chosen_of_several:
            say_table(columns.table, self._path, why)
        self._candidates = [chosen]
        columns.choose()
        content = columns.table.read(columns.needed)
        listing.hold(columns.values(content))
        columns.warn()
        warn_of_contradictions(listing, self._path, self._tally)


def opened_catalog(
    path: str | Path | None,
    tally: Tally,
    hdu: str | None,
    columns: Mapping[str, str] | None,
    extinction: Rule,
    *,
    option: str = "--hdu",
) -> Catalog | None:
    """The catalogue of a command, or ``None`` if it was given none.

    Args:
        path, tally, hdu, columns, extinction: As of ``Catalog``.
        option: The option that gives ``hdu``.

    Raises:
        UsageError: ``hdu`` or ``columns`` are given without a path; and as ``Catalog`` does.
    """
    if path is not None:
        return Catalog(path, tally, hdu, columns, extinction)
    if hdu is not None:
        raise UsageError(f"{option} names a table of the catalogue: give --catalog with it")
    if columns:
        raise UsageError("--column names a column of the catalogue: give --catalog with it")
    return None


def star_columns(
    path: Path, tally: Tally, hdu: str | None, columns: Mapping[str, str] | None, extinction: Rule
) -> list[StarColumns]:
    """The tables of a file with the columns that hold what we store of a star.

    Args:
        path: A file that ``tables_in`` reads.
        tally: Warns once about unused columns and unusable values.
        hdu: The number or the name of the table; ``None`` takes all.
        columns: The names of columns in the file by ours, where the file has other names than are known.
        extinction: Where E(B-V) comes from.

    Raises:
        UsageError: The file cannot be read, or lacks one of ``columns``.
    """
    checked = checked_columns(columns or {})
    named = found_columns(checked, selected(tables_in(path), hdu, path), path)
    return [StarColumns(table, path, tally, spelled, extinction) for table, spelled in named]


def with_rows(fitting: Sequence[StarColumns], path: Path, remedy: str = "") -> Sequence[StarColumns]:
    """The tables that have rows, or the first if there are none in any.

    Args:
        fitting: The tables that list stars.
        path: Their file, for messages.
        remedy: What else can be done where there are none.

    Raises:
        UsageError: There are none.
    """
    if not fitting:
        needed = f"it needs a column {' or '.join(IDENTIFIERS)}"
        remedy = remedy or "--column names one of them, e.g. --column apogee_id=STAR"
        raise UsageError(f"no identifiers in the catalogue {path}: {needed}; {remedy}")
    filled = [each for each in fitting if len(each.table)]
    if not filled:
        log.warning("no rows in the catalogue %s", path)
    return filled or fitting[:1]


def most_fitting(tables: Sequence[Table], found: Sequence[int]) -> int:
    """The place of the table that lists the most stars; of two the one with the names of APOGEE spectra."""
    named = ["OBJ" in spellings.by_upper_case(table.units) for table in tables]
    return max(range(len(tables)), key=lambda place: (found[place], named[place]))


def say_table(table: Table, path: Path, why: str) -> None:
    """Say which table of a file is taken."""
    log.info("%s: table %s is taken (%s); --hdu takes another", path, label(table), why)


def warn_of_contradictions(listing: Listing, path: Path, tally: Tally) -> None:
    """Warn of rows that contradict an earlier row of the same star."""
    if listing.contradicting:
        message = "%s: %d rows contradict an earlier row of the same star, which counts; e.g. %s"
        tally.warn(message, path, len(listing.contradicting), listing.name(listing.contradicting[0]))


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
