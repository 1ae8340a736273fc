"""All that a report is made from: the results of a task, what follows from them, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import peewee

from astra.catalogue.query import PATCHES, Origin
from astra.database.connection import database, described
from astra.models import Distance, FlaggedOutputModel, TaskRun
from astra.models.base import BaseModel
from astra.models.fields import flags_of
from astra.models.pipeline import is_newest
from astra.pipelines.astronn_dist import astronn_dist
from astra.report.agreement import Parallaxes, Repeats, outliers, parallaxes, repeats
from astra.report.arrays import Arrays, read_results
from astra.report.figures import Pointed
from astra.report.labels import Labels, read_labels
from astra.report.result_arrays import Rows, read_rows
from astra.status.overview import common_reasons
from astra.system.version import version_integer_to_string
from astra.tasks.contract import Task


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
class TaskContents:
    """Results of a task, and where they come from.

    Attributes:
        source: The name of the database, without a password.
        versions: The versions of Astra that made the rows, ascending.
        newest: When one of the rows last changed (UTC); ``None`` without rows.
        kinds: Of the rows with a result, the most frequent first; as in a catalogue, rows without one come
            from no weights.
        reasons: The most common reasons for spectra without a result, with their numbers.
    """

    source: str
    versions: list[str]
    newest: datetime | None
    kinds: list[Kind]
    rows: Arrays
    reasons: dict[str, int]

    @property
    def stars(self) -> int:
        """How many stars the spectra are of; each spectrum without a source counts as one."""
        sources = self.rows["source_pk"]
        return len(np.unique(sources[sources > 0])) + int((sources == 0).sum())

    def flags(self, model: type[peewee.Model], column: str | None = None) -> list[tuple[str, str, int]]:
        """The flags that are counted, or all of a column: name, meaning, number of spectra with it."""
        named = model.counted_flags() if column is None else flags_of(model, column)
        return [
            (name, flag.help_text, int(np.count_nonzero(self.rows[flag.field.name] & flag.value)))
            for name, flag in named.items()
        ]


@dataclass(frozen=True)
class Contents(TaskContents):
    """Distances, and what follows from them.

    Attributes:
        outliers: The indices of rows to look at, and why.
        pointed: What figures show as points; those that are made of these contents add to it.
        labels: Teff and log g, if a table of them was given.
    """

    rows: Rows
    parallaxes: Parallaxes
    repeats: Repeats
    outliers: dict[int, str]
    pointed: Pointed = field(default_factory=Pointed)
    labels: Labels | None = None

    def pull_of(self, spectrum_pk: int) -> float:
        """The pull of a spectrum against Gaia; NaN where it is not compared."""
        same = self.rows["spectrum_pk"][self.parallaxes.index] == spectrum_pk
        return float(self.parallaxes.pull[same][0]) if same.any() else np.nan


def gather_results(task: Task) -> TaskContents:
    """Read the results of any task from the open database; only within ``snapshot``."""
    rows = read_results(task)
    return TaskContents(**_facts(task, rows, task.output_model, is_newest(task.output_model)))


def gather(spectra: Sequence[int] | None = None, labels: Path | None = None) -> Contents:
    """Read the distances of the open database, and compute what the report shows; only within ``snapshot``.

    Args:
        spectra: Keys of few spectra; ``None`` takes all.
        labels: A table with Teff and log g of the stars.
    """
    rows = read_rows(spectra)
    compared = parallaxes(rows)
    shown = [] if spectra is None else [Distance.spectrum_pk << list(spectra)]
    listed = outliers(rows, compared)
    return Contents(
        **_facts(astronn_dist, rows, Distance, *shown),
        parallaxes=compared,
        repeats=repeats(rows),
        outliers=listed,
        pointed=Pointed(listed),
        labels=labels and read_labels(labels, rows),
    )


def _facts(task: Task, rows: Arrays, results: type[BaseModel], *shown: peewee.Expression) -> dict[str, Any]:
    return {
        "source": described(database),
        "versions": [version_integer_to_string(version) for version in np.unique(rows["v_astra"]).tolist()],
        "newest": rows["modified"].max().item() if len(rows) else None,
        "kinds": kinds_of(task, rows),
        "rows": rows,
        "reasons": common_reasons(results, *shown),
    }


def measured_rows(rows: Arrays) -> np.ndarray:
    """Which rows have a result: all, if they have no flag to say that there is none."""
    if "flag_bad" not in rows.values:
        return np.ones(len(rows), bool)
    return (rows["result_flags"] & FlaggedOutputModel.flag_no_result.value) == 0


def kinds_of(task: Task, rows: Arrays) -> list[Kind]:
    """The kinds of the rows that have a result, from the runs that made them."""
    pairs = np.stack([rows["run_pk"], rows["v_astra"] // PATCHES])[:, measured_rows(rows)]
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    runs = {run.pk: run for run in TaskRun.select().where(TaskRun.pk << np.unique(found[0]).tolist())}
    kinds: dict[tuple, Kind] = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        (key, version), number = found[:, place].tolist(), int(counts[place])
        run = runs.get(key) or TaskRun()
        origin = Origin(*(getattr(run, name) for name in TaskRun.IDENTITY), version, number, task)
        seen = kinds.get(origin.identity, Kind(replace(origin, rows=0), None))
        total = replace(seen.origin, rows=seen.origin.rows + number)
        kinds[origin.identity] = Kind(total, seen.good_for or run.weights_range)
    return sorted(kinds.values(), key=lambda kind: -kind.origin.rows)
