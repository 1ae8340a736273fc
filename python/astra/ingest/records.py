"""The records that an ingest makes from files and tables, and its counts."""

import dataclasses
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import peewee

from astra.database.connection import MAX_PARAMETERS
from astra.ingest.precedence import Values
from astra.ingest.references import References
from astra.spectra.identity import Product

log = logging.getLogger("astra")


def stored_rows(query: peewee.ModelSelect, column: peewee.Field, wanted: Collection[Any]) -> Iterator[Values]:
    """The rows whose column holds one of the wanted values; an absent number is ``None``."""
    fields = query.selected_columns
    for part in peewee.chunked(sorted(value for value in wanted if value is not None), MAX_PARAMETERS):
        for values in query.where(column << part).tuples().iterator():
            # Only NaN, an absent number in a model, differs from itself.
            yield {
                field.name: value if value == value else None
                for field, value in zip(fields, values, strict=True)
            }


@dataclass
class Record:
    """One product, described by one file or one row of a table.

    Attributes:
        path: The path of the file in its stored form, or ``None`` if it is unknown.
        star: Values for the source; absent ones are ``None`` or left out.
        spectrum: Values for the spectrum, likewise.
        digest: Checksum of the pixels, if they were read.
        from_table: Whether this is a row of an allStar table, not a file.
        readable: Whether more than the name of the file could be read.
        disagreement: How folder and header contradict each other, in words.
    """

    product: Product
    path: str | None
    sdss_id: int | None = None
    apogee_id: str | None = None
    star: Values = field(default_factory=dict)
    spectrum: Values = field(default_factory=dict)
    digest: str | None = None
    from_table: bool = False
    readable: bool = True
    disagreement: str | None = None


@dataclass(frozen=True)
class IngestCounts:
    """The counts of an ingest.

    ``seen`` is the sum of the three counts of spectra and ``skipped``; the rows of a catalogue are
    the sum of the last three.

    Attributes:
        seen: Files, or rows of an allStar table.
        skipped: Rows of an allStar table that name no file.
        unreadable: Files whose header could not be read, registered from their names.
    """

    seen: int = 0
    skipped: int = 0
    unreadable: int = 0
    spectra_new: int = 0
    spectra_updated: int = 0
    spectra_unchanged: int = 0
    sources_new: int = 0
    sources_updated: int = 0
    sources_unchanged: int = 0
    catalog_matched: int = 0
    catalog_unmatched: int = 0
    catalog_duplicate: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return dataclasses.asdict(self)


class Tally:
    """Counts over the batches of one ingest; a star counts once, however many files it has.

    Attributes:
        references: The rows that refer to sources and spectra.
    """

    _UNCHANGED, _UPDATED, _NEW = range(3)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sources: dict[int, int] = {}
        self._warned: set[tuple[Any, ...]] = set()
        self._disagreements, self._disagreement = 0, ""
        self.references = References()

    def add(self, name: str, number: int = 1) -> None:
        """Add to a field of ``IngestCounts``."""
        self._counts[name] = self._counts.get(name, 0) + number

    def source(self, pk: int, *, new: bool = False, updated: bool = False) -> None:
        """Count a source once: as new if it is new in any batch, else as updated if it is in any."""
        state = self._NEW if new else self._UPDATED if updated else self._UNCHANGED
        self._sources[pk] = max(state, self._sources.get(pk, 0))

    def forget_source(self, pk: int) -> None:
        """Stop counting a source that was merged into another one."""
        self._sources.pop(pk, None)

    def warn(self, message: str, *values: Any) -> None:
        """Warn once in an ingest."""
        if (message, *values) not in self._warned:
            self._warned.add((message, *values))
            log.warning(message, *values)

    def disagree(self, path: str | None, what: str) -> None:
        """Note that folder, header and table contradict each other about one product."""
        self._disagreements += 1
        self._disagreement = self._disagreement or f"{path}: {what}"

    def warn_of_disagreements(self) -> None:
        """Warn, at the end of an ingest, of the number of files with a contradiction."""
        if self._disagreements:
            log.warning(
                "header, folder and table disagree; files: %d; the header counts, then the table; e.g. %s",
                self._disagreements,
                self._disagreement,
            )

    def result(self) -> IngestCounts:
        """The counts so far."""
        states = list(self._sources.values())
        sources: dict[str, Any] = {
            "sources_new": states.count(self._NEW),
            "sources_updated": states.count(self._UPDATED),
            "sources_unchanged": states.count(self._UNCHANGED),
        }
        return IngestCounts(**self._counts, **sources)
