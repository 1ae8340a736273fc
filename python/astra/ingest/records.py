"""The records that an ingest makes from files and tables, and its counts."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import peewee

from astra.database.connection import MAX_PARAMETERS
from astra.ingest.precedence import Table, Values
from astra.ingest.references import References
from astra.ingest.values import clean
from astra.spectra.identity import MwmProduct, Product

log = logging.getLogger("astra")

#: Warnings of one kind that are said one by one: a table of a million stars may have thousands of them.
ALIKE = 10


def stored_rows(query: peewee.ModelSelect, column: peewee.Field, wanted: Collection[Any]) -> Iterator[Values]:
    """The rows whose column holds one of the wanted values; an absent number is ``None``."""
    # Not by peewee.chunked, whose time grows with the size of a part that could be, here 1.5 ms.
    keys = sorted(value for value in wanted if value is not None)
    for start in range(0, len(keys), MAX_PARAMETERS):
        for row in query.where(column << keys[start : start + MAX_PARAMETERS]).dicts().iterator():
            # Only NaN, an absent number in a model, differs from itself.
            yield {name: value if value == value else None for name, value in row.items()}


@dataclass
class Record:
    """One product, described by one file or one row of a table.

    Attributes:
        path: The path of the file in its stored form, or ``None`` if it is unknown.
        star: Values for the source; absent ones are ``None`` or left out.
        spectrum: Values for the spectrum, likewise.
        digest: Checksum of the pixels, if they were read.
        table: The kind of table that this is a row of; ``None`` for a file.
        name: The APOGEE id of the star, if it is stated besides that under which it was observed.
        readable: Whether more than the name of the file could be read.
        disagreement: How folder and header contradict each other, in words.
    """

    product: Product | MwmProduct
    path: str | None
    sdss_id: int | None = None
    star: Values = field(default_factory=dict)
    spectrum: Values = field(default_factory=dict)
    digest: str | None = None
    table: Table | None = None
    name: str | None = None
    readable: bool = True
    disagreement: str | None = None

    @cached_property
    def apogee_id(self) -> str | None:
        """The APOGEE id of the star, under which it was observed."""
        return clean("sdss4_apogee_id", self.product.obj)

    @property
    def from_table(self) -> bool:
        """Whether this is a row of a table, not a file."""
        return self.table is not None


@dataclass(frozen=True)
class IngestCounts:
    """The counts of an ingest.

    ``seen`` is the sum of the three counts of spectra and ``skipped``; the rows of a catalogue are
    the sum of the last three.

    Attributes:
        seen: Files, or rows of a table, or spectra in mwmStar files.
        skipped: Rows of a table that name no file; mwmStar files of which no spectrum is read.
        unreadable: Files whose header could not be read: registered from their names, except mwmStar files.
        values_withdrawn: Values of sources that their own origin no longer has.
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
    values_withdrawn: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return dataclasses.asdict(self)


class Tally:
    """Counts over the batches of one ingest; a star counts once, however many files it has.

    Attributes:
        references: The rows that refer to sources and spectra.
        renumbered: Rows whose ``ebv_flags`` were in the numbering of newer versions of the survey's code.
    """

    _STATES = ("sources_unchanged", "sources_updated", "sources_new")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sources: dict[int, int] = {}
        self._warned: set[int] = set()
        self._alike: Counter[str] = Counter()
        self._last: dict[str, str] = {}
        self._disagreements, self._disagreement = 0, ""
        self._limited: set[int] = set()
        self.references = References()
        self.renumbered = 0

    def add(self, **numbers: int) -> None:
        """Add to fields of ``IngestCounts``."""
        self._counts.update(numbers)

    def source(self, pk: int, *, new: bool = False, updated: bool = False) -> None:
        """Count a source once: as new if it is new in any batch, else as updated if it is in any."""
        self._sources[pk] = max(2 * new, updated, self._sources.get(pk, 0))

    def forget_source(self, pk: int) -> None:
        """Stop counting a source that was merged into another one."""
        self._sources.pop(pk, None)
        self._limited.discard(pk)

    def limited(self, pk: int, *, is_limit: bool) -> None:
        """Count a source whose E(B-V) is an upper limit, unless a later batch gives it another."""
        (self._limited.add if is_limit else self._limited.discard)(pk)

    def warn(self, message: str, *values: Any) -> None:
        """Warn once in an ingest; of many warnings that are alike, most are only counted."""
        key = hash((message, *values))
        if key in self._warned:
            return
        self._warned.add(key)
        self._alike[message] += 1
        if self._alike[message] > ALIKE:
            self._last[message] = message % values
        else:
            log.warning(message, *values)

    def disagree(self, path: str | None, what: str) -> None:
        """Count a product about which folder, header and table contradict each other."""
        self._disagreements += 1
        self._disagreement = self._disagreement or f"{path}: {what}"

    def result(self) -> IngestCounts:
        """The counts at the end of an ingest; warns of contradictions, upper limits and what was counted."""
        for message, last in self._last.items():
            log.warning("%d more like this: %s", self._alike[message] - ALIKE, last)
        if self._disagreements:
            message = (
                "header, folder and table disagree; files: %d; the header counts, then the table; e.g. %s"
            )
            log.warning(message, self._disagreements, self._disagreement)
        if self.renumbered:
            message = (
                "ebv_flags in %d rows are in the numbering of newer versions of the survey's code: "
                "the method is taken from the column that E(B-V) is equal to"
            )
            log.warning(message, self.renumbered)
        if self._limited:
            message = "E(B-V) is an upper limit in %d of %d sources (bit 0 of ebv_flags)"
            log.warning(message, len(self._limited), len(self._sources))
        sources = Counter(self._STATES[state] for state in self._sources.values())
        return IngestCounts(**self._counts, **sources)
