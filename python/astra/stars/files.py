"""The stars of some apStar files: pixels, and what header, catalogue and caller say of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import SpectrumError
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.headers import KNOWN, described, record_of_name
from astra.ingest.precedence import LABELS, Origins, Values, merge, origin_of
from astra.ingest.records import Record, Tally
from astra.ingest.values import clean
from astra.spectra.apstar import ApStarFile
from astra.spectra.combined import CombinedSpectrum

_RENAME = "call the column that names the stars by one of these"


@dataclass(frozen=True)
class StarOfFile:
    """What is known of the star of a file.

    Attributes:
        path: The file.
        spectrum: Its pixels; ``None`` if they cannot be read.
        record: What the header says of the product, or the name of the file if it cannot be read.
        values: Of the star, by the names of the columns of sources.
        reason: Why there are no pixels.
    """

    path: str
    spectrum: CombinedSpectrum | None
    record: Record
    values: Values
    reason: str | None = None


@dataclass(frozen=True)
class Files:
    """Some apStar files, read when a part of them is asked for.

    Attributes:
        paths: The files.
        specified: Values of their stars that go before all others, as ``star_values`` returns them.
        catalog: A table of stars whose values go before those of the headers.
        release: The data release, for reductions that do not imply it.
        strict: Whether a file that cannot be read is an error.
    """

    paths: Sequence[str | Path]
    specified: Mapping[str, Any]
    catalog: str | Path | None = None
    release: str | None = None
    strict: bool = False

    def __getitem__(self, part: slice) -> Iterator[StarOfFile]:
        """The stars of some of the files.

        Raises:
            SpectrumError: A file cannot be read, and this is an error.
            UsageError: A file is not named like one of the survey, or its release is not known; the catalogue
                cannot be read.
        """
        for number in range(*part.indices(len(self.paths))):
            yield self._star(number)

    def warn(self) -> None:
        """Warn of a catalogue that lists few of the stars, once all files are read."""
        if self._listed is not None:
            self._listed.count()
            self._tally.result()

    def _star(self, number: int) -> StarOfFile:
        path, spectrum, reason = self.paths[number], None, None
        try:
            with ApStarFile.opened(path) as file:
                record = described(path, file.header(KNOWN), release=self.release)
                spectrum = file.combined()
        except SpectrumError as error:
            if self.strict:
                raise
            record, reason = record_of_name(path, release=self.release), str(error)
        return StarOfFile(str(path), spectrum, record, self._values(record, number), reason)

    def _values(self, record: Record, number: int) -> Values:
        values: Values = {}
        origins: Origins = {}
        merge(values, origins, record.star, origin_of(record.product.product_id, table=None))
        if self._listed is not None:
            ids, gaia_id = (record.sdss_id, record.apogee_id), values.get("gaia_dr3_source_id")
            self._listed.look_up([ids], [gaia_id])
            if found := self._listed.match(record.sdss_id, [record.apogee_id], gaia_id):
                merge(values, origins, found.values, self._listed.origin)
        own = {
            name: value
            for name, column in self.specified.items()
            if clean(name, value := np.broadcast_to(column, (len(self.paths),))[number]) is not None
        }
        # What describes a value goes with it.
        stale = {label for label, about in LABELS.items() if about in own}
        return {name: value for name, value in values.items() if name not in stale} | own

    @cached_property
    def _listed(self) -> Catalog | None:
        return None if self.catalog is None else Catalog(self.catalog, self._tally, remedy=_RENAME)

    @cached_property
    def _tally(self) -> Tally:
        return Tally()
