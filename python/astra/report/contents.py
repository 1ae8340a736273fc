"""All that the report is made from: the results, what follows from them, and where they come from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from astra.catalogue.query import Origin
from astra.database.connection import database, described
from astra.models import AstroNNdist, Distance, TaskRun
from astra.report.comparison import Parallaxes, Repeats, parallaxes, repeats
from astra.report.outliers import Outlier, choose
from astra.report.rows import Rows, read_rows
from astra.status.overview import common_reasons

# Rows carry major * 10^6 + minor * 10^3 + patch; those of one minor version are comparable.
_PATCHES = 1000


@dataclass(frozen=True)
class Kind:
    """Results that can be compared with each other.

    Attributes:
        origin: The weights, seed, draws, precision and minor version that they share, and how many there are.
        good_for: What the weights are good for, as a run has recorded it; ``None`` where none has.
    """

    origin: Origin
    good_for: str | None


@dataclass(frozen=True)
class Provenance:
    """Of all results that are shown.

    Attributes:
        database: What it is, without a password.
        versions: Of Astra that made the rows, ascending.
        newest: When one of the rows last changed (UTC); ``None`` without rows.
        kinds: Of the rows with a result, the most frequent first; as in a catalogue, rows without one come
            from no weights.
    """

    database: str
    versions: list[str]
    newest: datetime | None
    kinds: list[Kind]


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

    def pull_of(self, spectrum_pk: int) -> float:
        """The pull of a spectrum against Gaia; NaN where it is not compared."""
        same = self.rows["spectrum_pk"][self.parallaxes.index] == spectrum_pk
        return float(self.parallaxes.pull[same][0]) if same.any() else np.nan


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


# > Where they come from


def read_provenance(rows: Rows) -> Provenance:
    """Look up the runs of rows."""
    newest = rows["modified"].max().item() if len(rows) else None
    versions = [_spelled(version) for version in np.unique(rows["v_astra"]).tolist()]
    return Provenance(described(database), versions, newest, kinds_of(rows))


def kinds_of(rows: Rows) -> list[Kind]:
    """The kinds of the rows that have a result."""
    counted: Counter[tuple] = Counter()
    first: dict[tuple, Origin] = {}
    stated: dict[tuple, str] = {}
    for origin, good_for in _origins(rows):
        key = origin.identity
        counted[key] += origin.rows
        first.setdefault(key, origin)
        if good_for:
            stated.setdefault(key, good_for)
    return [Kind(replace(first[key], rows=n), stated.get(key)) for key, n in counted.most_common()]


def _origins(rows: Rows) -> Iterator[tuple[Origin, str | None]]:
    """One for each run and minor version, the most frequent first, with what the weights are good for."""
    has_result = (rows["result_flags"] & AstroNNdist.flag_no_result.value) == 0
    pairs = np.stack([rows["run_pk"], rows["v_astra"] // _PATCHES])[:, has_result]
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    runs = {run.pk: run for run in TaskRun.select().where(TaskRun.pk << np.unique(found[0]).tolist())}
    for place in np.argsort(-counts, kind="stable").tolist():
        (key, version), number = found[:, place].tolist(), int(counts[place])
        run = runs.get(key) or TaskRun()
        identity = (getattr(run, name) for name in TaskRun.IDENTITY)
        yield Origin(*identity, version, number), run.weights_range


def _spelled(version: int) -> str:
    major, rest = divmod(version, _PATCHES**2)
    return f"{major}.{rest // _PATCHES}.{rest % _PATCHES}"
