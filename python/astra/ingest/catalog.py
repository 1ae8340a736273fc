"""The catalogue whose values are preferred to those in headers (``--catalog``), and the choice of its table.

Of several tables in a file, the one that lists the stars of the spectra is taken: the summary files of the
survey have the stars of BOSS in the first table, our own catalogue an empty table for them.
"""

import logging
from collections.abc import Collection, Iterable
from pathlib import Path

from astra.errors import UsageError
from astra.ingest import spellings
from astra.ingest.listing import IDENTIFIERS, Listed, Listing, ids_as_text
from astra.ingest.records import Tally
from astra.ingest.source_rows import Ids
from astra.ingest.table_files import Table, label, selected, tables_in

log = logging.getLogger("astra")

#: The number of identifiers of each side in a message.
EXAMPLES = 2


class Catalog:
    """A catalogue of stars in a file."""

    def __init__(self, path: str | Path, tally: Tally, hdu: str | None = None) -> None:
        """Read the identifiers of a catalogue, and its values if it has only one table of stars.

        Args:
            path: A CSV, ECSV, FITS or VOTable file, also compressed with gzip.
            tally: Warns once about unused columns and unusable values.
            hdu: The number or the name of the table; ``None`` takes the one that lists the stars.

        Raises:
            UsageError: The file cannot be read, has no column of identifiers, or a unit measures something
                else.
        """
        self._path, self._tally = Path(path), tally
        self._tables = selected(tables_in(self._path), hdu, self._path)
        fitting = [table for table in self._tables if _has_ids(table)]
        if not fitting:
            ids = " or ".join(IDENTIFIERS)
            raise UsageError(f"no identifiers in the catalogue {path}: it needs a column {ids}")
        if not any(map(len, fitting)):
            tally.warn("no rows in the catalogue %s", path)
        # An empty table counts only if there is no other.
        fitting = [table for table in fitting if len(table)] or fitting[:1]
        self._candidates = [Listing(table, self._path, tally) for table in fitting]
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
            self._tally.warn(
                "%s lists the stars of %d of %d spectra; not listed: %s; rows without a spectrum: %s",
                self._path,
                self._listed,
                self._asked,
                ", ".join(self._unlisted),
                ", ".join(listing.unmatched(EXAMPLES)),
            )

    def _take(self, listing: Listing, why: str) -> None:
        if len(self._tables) > 1:
            log.info("%s: table %s is taken (%s); --hdu takes another", self._path, label(listing.table), why)
        self._candidates = [listing]
        listing.load()


def _has_ids(table: Table) -> bool:
    there = spellings.by_upper_case(table.units)
    known = spellings.IDENTIFIERS | spellings.GAIA | spellings.GAIA_RELEASE
    return bool(spellings.among(there, known).keys() & {*IDENTIFIERS})
