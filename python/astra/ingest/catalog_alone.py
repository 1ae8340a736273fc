"""``astra ingest catalog``: takes values of sources from a table of stars, without their spectra.

The table is read twice, in pieces: first what tells whose its rows are, then the values of those rows that
belong to sources. What becomes of a source is the same as with ``--catalog``.
"""

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from astra.database.connection import database
from astra.database.locks import changing_inputs
from astra.database.sql import snapshot
from astra.errors import UsageError
from astra.ingest.catalogs.catalog import (
    EXAMPLES,
    Listing,
    StarColumns,
    ids_as_text,
    most_fitting,
    say_table,
    star_columns,
    with_rows,
)
from astra.ingest.catalogs.known_sources import KnownSources, known_sources
from astra.ingest.catalogs.matching import Match, match, warn_of_positions
from astra.ingest.catalogs.positions import Sky
from astra.ingest.extinction import AUTO, RuleName, rule_of
from astra.ingest.precedence import Values, joined, origin_of_catalog
from astra.ingest.records import IngestCounts, Tally, stored_rows
from astra.ingest.register import sources_by_name
from astra.ingest.source_rows import Change, Star, Stars
from astra.ingest.tables.table_columns import ColumnUse
from astra.ingest.tables.table_files import label
from astra.models import APOGEE, Source

log = logging.getLogger("astra")

#: Rows in memory with all their columns, and at most so many stars in one transaction.
PIECE = 5000
#: The largest radius of a match by position [arcsec].
LARGEST_RADIUS = 60.0
# Changes of values that are shown.
_SHOWN = 3
_COUNTS = ("catalog_", "sources_", "values_")


class Example(NamedTuple):
    """A value of a source that changes; an absent one is ``None``."""

    star: str
    name: str
    old: Any
    new: Any


@dataclass
class CatalogReport:
    """What a catalogue alone does.

    Attributes:
        table: The table of the file.
        dry_run: Whether nothing was written.
        counts: The counts.
        matched_by: The numbers of matched rows by what they were found, an identifier or ``position``.
        values_changed: The number of values that change; new and withdrawn ones are among them.
        examples: Some of them.
        columns: The columns that are used; only of a dry run.
    """

    table: str
    dry_run: bool
    counts: IngestCounts = field(default_factory=IngestCounts)
    matched_by: Counter[str] = field(default_factory=Counter)
    values_changed: int = 0
    examples: list[Example] = field(default_factory=list)
    columns: list[ColumnUse] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report for a program."""
        counts = {name: n for name, n in self.counts.as_dict().items() if name.startswith(_COUNTS)}
        listed = {name: [each._asdict() for each in getattr(self, name)] for name in ("examples", "columns")}
        return counts | {name: value for name, value in vars(self).items() if name != "counts"} | listed


def ingest_catalog(
    file: str | Path,
    *,
    hdu: str | None = None,
    columns: Mapping[str, str] | None = None,
    extinction: RuleName = "auto",
    dust_map: str | None = None,
    match_radius: float | None = None,
    epoch: float | None = None,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> CatalogReport:
    """Take values of known sources from a table of stars.

    Args:
        file: A table that ``tables_in`` reads.
        hdu: The number or the name of the table in that file; ``None`` takes the one that lists most sources.
        columns: The names of columns in that file by ours, where it has other names than are known.
        extinction: Where E(B-V) comes from, as in ``extinction.Rule``.
        dust_map: The map in ``dust_maps`` that ``auto`` takes last.
        match_radius: The largest distance between a source and a row without identifiers that is taken for
            it [arcsec]; ``None``: rows are found by identifiers alone.
        epoch: The epoch of the positions in the table, where it does not state it [yr].
        dry_run: Find out what would change, and write nothing.
        on_progress: Called with the numbers of rows done and of all rows; every row is read twice.

    Raises:
        UsageError: The table or an argument is not usable, or there are no sources.
        StorageError: The database refused a write; the pieces before it are kept.
        DatabaseUnreachable: The connection was lost; the pieces before it are kept.
    """
    if match_radius is not None and not 0 < match_radius <= LARGEST_RADIUS:
        raise UsageError(
            f"--match-radius {match_radius:g}: give arcseconds above 0, and at most {LARGEST_RADIUS:g}"
        )
    if epoch is not None and match_radius is None:
        raise UsageError("--epoch is that of positions: give --match-radius with it")
    path, tally, progress = Path(file), Tally(), _Progress(on_progress)
    tables = star_columns(path, tally, hdu, columns, rule_of(extinction, dust_map))
    update = _Update(_best_match(tables, path, match_radius, epoch, progress), path, tally, dry_run)
    update.take_all(progress)
    return update.result()


def values_of_sources(file: str | Path) -> Iterator[tuple[int, Values]]:
    """What a table of stars says of the known sources, which stay as they are.

    The rows are found as by ``ingest_catalog``, by identifiers alone.

    Yields:
        The key of each source that is listed, and its values.

    Raises:
        UsageError: The table is not usable, or there are no sources.
    """
    path, tally, progress = Path(file), Tally(), _Progress()
    found = _best_match(star_columns(path, tally, None, None, AUTO), path, None, None, progress)
    columns = found.columns
    columns.choose()
    for _, content, pks in found.islands.whole(columns.table, columns.needed, PIECE, progress.advance):
        listing = Listing(columns.identifiers(content), path, tally)
        listing.hold(columns.values(content))
        names = _names_of_spectra(pks)
        ids = Source.select(Source.pk, Source.sdss_id, Source.sdss4_apogee_id, Source.gaia_dr3_source_id)
        for row in stored_rows(ids, Source.pk, pks):
            own = [name for name in (row["sdss4_apogee_id"], *sorted(names[row["pk"]])) if name]
            listed = listing.match(row["sdss_id"], own, row["gaia_dr3_source_id"])
            if listed is not None:
                yield row["pk"], listed.values
    columns.warn()


def _best_match(
    tables: Sequence[StarColumns],
    path: Path,
    radius: float | None,
    epoch: float | None,
    progress: "_Progress",
) -> Match:
    """The rows that are linked with sources, in that table of a file which lists most of them."""
    candidates = _fitting(tables, path, by_position=radius is not None)
    sources = known_sources(with_positions=radius is not None)
    if not len(sources):
        raise UsageError("there are no sources: `astra ingest apstar` or `astra ingest allstar` makes them")
    lengths = [len(each.table) for each in candidates]
    progress.total = sum(lengths) + max(lengths)
    found = [_match(each, sources, radius, epoch, progress) for each in candidates]
    counts = [each.islands.sources() for each in found]
    best = found[most_fitting([each.table for each in candidates], counts)]
    if len(tables) > 1:
        listed = (f"{n} in {label(each.table)}" for n, each in zip(counts, candidates, strict=True))
        say_table(best.columns.table, path, f"sources listed: {', '.join(listed)}")
    return best


def _names_of_spectra(pks: Collection[int]) -> Mapping[int, set[str]]:
    """The APOGEE ids of the spectra of some sources, by the keys of these."""
    names: dict[int, set[str]] = defaultdict(set)
    for row in _spectra_of(pks):
        names[row["source"]].add(row["obj"])
    return names


def _spectra_of(pks: Collection[int]) -> list[Values]:
    of_models = (
        stored_rows(model.select(model.source, model.obj, model.spectrum_pk), model.source, pks)
        for model in APOGEE
    )
    return sorted(itertools.chain.from_iterable(of_models), key=lambda row: row["spectrum_pk"])


def _fitting(tables: Sequence[StarColumns], path: Path, *, by_position: bool) -> Sequence[StarColumns]:
    """The tables whose rows can be matched."""
    located = [each for each in tables if each.has_positions()]
    if not by_position:
        remedy = "its positions can be used: --match-radius 1" if located else ""
        return with_rows([each for each in tables if each.has_identifiers()], path, remedy)
    for each in located:
        each.choose_positions()
    return with_rows([each for each in tables if each.has_identifiers() or each in located], path)


def _match(
    columns: StarColumns,
    sources: KnownSources,
    radius: float | None,
    epoch: float | None,
    progress: "_Progress",
) -> Match:
    sky = Sky(sources.positions, radius, epoch) if radius is not None and columns.has_positions() else None
    return match(columns, sources, PIECE, sky, progress.advance)


class _Progress:
    """Adds up how many rows were read."""

    def __init__(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        self._done, self.total, self._on_progress = 0, 0, on_progress

    def advance(self, piece: Mapping[str, np.ndarray]) -> None:
        """Add the rows of a piece."""
        self._done += len(next(iter(piece.values())))
        if self._on_progress:
            self._on_progress(self._done, self.total)


class _Update:
    """What the rows of a table do to the sources."""

    def __init__(self, found: Match, path: Path, tally: Tally, dry_run: bool) -> None:
        self._found, self._path, self._tally = found, path, tally
        self._origin = origin_of_catalog(path)
        self._matched = self._repeated = self._contradicting = 0
        self._contradiction = ""
        self._values: Counter[str] = Counter()
        self._report = CatalogReport(label(found.columns.table), dry_run)
        found.columns.choose()

    def take_all(self, progress: "_Progress") -> None:
        """Deal with all rows that are linked with sources, one piece after the other."""
        columns, islands = self._found.columns, self._found.islands

        def read(piece: Mapping[str, np.ndarray]) -> None:
            progress.advance(piece)
            if self._report.dry_run:
                self._values.update(columns.counted(piece))

        for rows, content, pks in islands.whole(columns.table, columns.needed, PIECE, read):
            self._take(content, islands.places(rows), pks)

    def result(self) -> CatalogReport:
        """Say what has to be said at the end, and give the report."""
        columns, report, rows = self._found.columns, self._report, len(self._found.columns.table)
        columns.warn()
        if self._found.sky is not None:
            warn_of_positions(*self._found.sky, self._path)
        if self._contradicting:
            message = "%s: %d rows contradict an earlier row of the same star, which counts; e.g. %s"
            log.warning(message, self._path, self._contradicting, self._contradiction)
        repeated = self._repeated + self._found.repeated
        unmatched = rows - self._matched - repeated
        self._tally.add(
            catalog_matched=self._matched, catalog_duplicate=repeated, catalog_unmatched=unmatched
        )
        if rows and not self._matched:
            ids = (Source.sdss_id, Source.sdss4_apogee_id, Source.gaia_dr3_source_id)
            some = ", ".join(ids_as_text(*row) for row in Source.select(*ids).limit(EXAMPLES).tuples())
            message = "%s lists no source; its rows: %s, …; sources: %s, …"
            log.warning(message, self._path, ", ".join(self._found.examples), some)
        report.counts = self._tally.result()
        if report.dry_run:
            report.columns = columns.uses(self._values)
        return report

    def _take(
        self, content: Mapping[str, np.ndarray], places: list[int | None], pks: Collection[int]
    ) -> None:
        columns = self._found.columns
        listing = Listing(columns.identifiers(content), self._path, self._tally, places)
        listing.hold(columns.values(content))
        with snapshot(database) if self._report.dry_run else changing_inputs(database):
            stars = self._merged(listing, pks)
            changes = list(stars.changes()) if self._report.dry_run else stars.write()
        self._matched += len(listing.matched)
        self._repeated += listing.repeated()
        self._report.matched_by.update(listing.matched.values())
        self._contradicting += len(listing.contradicting)
        self._contradiction = self._contradiction or next(map(listing.name, listing.contradicting), "")
        for change in changes:
            self._note(change)

    def _merged(self, listing: Listing, pks: Collection[int]) -> Stars:
        """The sources that some rows are linked with, and what becomes of them."""
        spectra, names = _spectra_of(pks), _names_of_spectra(pks)
        stars = Stars(self._tally)
        stars.load(listing.ids_of(range(len(listing))), sources_by_name(spectra), pks)
        known = {pk: dict(star.values) for pk, star in stars.loaded.items()}
        # Rows with different identifiers may be of one star: the first value counts, as of repeated rows.
        given: dict[Star, Values] = defaultdict(dict)
        for pk in sorted(stars.loaded):
            star = stars.loaded[pk].root()
            ids = [name for name in (star.apogee_id, *sorted(names[pk])) if name]
            listed = listing.match(star.sdss_id, ids, star.values["gaia_dr3_source_id"], pk)
            if listed is not None:
                values = joined(given[star], listed.values)
                star = stars.take(stars.known(pk), listed._replace(values=values), self._origin)
                given[star] = values
        for pk, values in known.items():
            stars.keep_release(stars.loaded[pk].root(), values)
        return stars

    def _note(self, change: Change) -> None:
        """Count the values that change, and keep some as examples."""
        values = sorted(change.values())
        self._report.values_changed += len(values)
        star, old = change.star, change.star.stored
        of_star = ids_as_text(star.sdss_id, star.apogee_id, star.values["gaia_dr3_source_id"])
        for name in values[: _SHOWN - len(self._report.examples)]:
            self._report.examples.append(Example(of_star, name, old[name], change.row[name]))
