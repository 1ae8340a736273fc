"""All that the report is made from: the results, what follows from them, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import peewee

from astra.catalogue.query import PATCHES, Origin
from astra.database.connection import database, described
from astra.models import AstroNNdist, Distance, TaskRun
from astra.models.fields import flags_of
from astra.pipelines.astronn_dist import astronn_dist
from astra.report.agreement import Parallaxes, Repeats, outliers, parallaxes, repeats
from astra.report.result_arrays import Rows, read_rows
from astra.status.overview import common_reasons


@dataclass(frozen=True)
class Kind:
    """Results that can be compared with each other.

    Attributes:
        origin: The weights, settings and minor version that they share, and their number.
        good_for: What the weights are good for, if a run has recorded it.
    """

    origin: Origin
    good_for: str | None


@dataclass(frozen=True)
class Contents:
    """Results, what follows from them, and where they come from.

    Attributes:
        source: The name of the database, without a password.
        versions: The versions of Astra that made the rows, ascending.
        newest: When one of the rows last changed (UTC); ``None`` without rows.
        kinds: Of the rows with a result, the most frequent first; as in a catalogue, rows without one come
            from no weights.
        outliers: The indices of rows to look at, and why.
        reasons: The most common reasons for spectra without a result, with their numbers.
    """

    source: str
    versions: list[str]
    newest: datetime | None
    kinds: list[Kind]
    rows: Rows
    parallaxes: Parallaxes
    repeats: Repeats
    outliers: dict[int, str]
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

    def flags(self, model: type[peewee.Model], column: str) -> list[tuple[str, str, int]]:
        """The flags of a column: name, meaning, and the number of spectra that have it."""
        bits = self.rows[column]
        return [
            (name, flag.help_text, int(np.count_nonzero(bits & flag.value)))
            for name, flag in flags_of(model, column).items()
        ]


def gather(spectra: Sequence[int] | None = None) -> Contents:
    """Read the results of the open database, and compute what the report shows; only within ``snapshot``.

    Args:
        spectra: Keys of few spectra; ``None`` takes all.
    """
    rows = read_rows(spectra)
    compared = parallaxes(rows)
    shown = [] if spectra is None else [Distance.spectrum_pk << list(spectra)]
    return Contents(
        source=described(database),
        versions=[_spelled(version) for version in np.unique(rows["v_astra"]).tolist()],
        newest=rows["modified"].max().item() if len(rows) else None,
        kinds=_kinds(rows),
        rows=rows,
        parallaxes=compared,
        repeats=repeats(rows),
        outliers=outliers(rows, compared),
        reasons=common_reasons(Distance, *shown),
    )


def _spelled(version: int) -> str:
    rest, patch = divmod(version, PATCHES)
    major, minor = divmod(rest, PATCHES)
    return f"{major}.{minor}.{patch}"


def _kinds(rows: Rows) -> list[Kind]:
    """The kinds of the rows that have a result, from the runs that made them."""
    has_result = (rows["result_flags"] & AstroNNdist.flag_no_result.value) == 0
    pairs = np.stack([rows["run_pk"], rows["v_astra"] // PATCHES])[:, has_result]
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    runs = {run.pk: run for run in TaskRun.select().where(TaskRun.pk << np.unique(found[0]).tolist())}
    kinds: dict[tuple, Kind] = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        (key, version), number = found[:, place].tolist(), int(counts[place])
        run = runs.get(key) or TaskRun()
        origin = Origin(*(getattr(run, name) for name in TaskRun.IDENTITY), version, number, astronn_dist)
        seen = kinds.get(origin.identity, Kind(replace(origin, rows=0), None))
        total = replace(seen.origin, rows=seen.origin.rows + number)
        kinds[origin.identity] = Kind(total, seen.good_for or run.weights_range)
    return sorted(kinds.values(), key=lambda kind: -kind.origin.rows)
