"""All that the report is made from: computed once, shown by its sections."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astra.models import Distance
from astra.report.comparison import Parallaxes, Repeats, parallaxes, repeats
from astra.report.outliers import Outlier, choose
from astra.report.provenance import Provenance, read_provenance
from astra.report.rows import Rows, read_rows
from astra.status.counts import common_reasons


@dataclass(frozen=True)
class Contents:
    """Results, and what follows from them.

    Attributes:
        reasons: Why some of these spectra gave no result; the most common reasons, with their numbers.
    """

    rows: Rows
    provenance: Provenance
    parallaxes: Parallaxes
    repeats: Repeats
    outliers: list[Outlier]
    reasons: dict[str, int]

    @property
    def stars(self) -> int:
        """How many stars the spectra are of; each spectrum without a source counts as one."""
        sources = self.rows["source_pk"]
        return len(np.unique(sources[sources > 0])) + int((sources == 0).sum())


def gather(spectra: Sequence[int] | None = None) -> Contents:
    """Read the results of the open database, and compute what the report shows; only within ``snapshot``.

    Args:
        spectra: Keys of few spectra; ``None`` takes all.
    """
    rows = read_rows(spectra)
    compared = parallaxes(rows)
    shown = [] if spectra is None else [Distance.spectrum_pk << list(spectra)]
    return Contents(
        rows=rows,
        provenance=read_provenance(rows),
        parallaxes=compared,
        repeats=repeats(rows),
        outliers=choose(rows, compared),
        reasons=common_reasons(Distance, *shown),
    )
