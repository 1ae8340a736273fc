"""Compares the results of a trial in the open database with those of production."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astra.database.connection import database, described
from astra.database.sql import snapshot
from astra.errors import UsageError
from astra.models import AstroNNdist, Spectrum
from astra.models.base import BaseModel
from astra.report.contents import Kind, kinds_of
from astra.report.paired.differences import (
    ColumnDifference,
    FlagDifference,
    Measured,
    column_differences,
    flag_differences,
    measured,
)
from astra.report.paired.distance_changes import DistanceChanges, distance_changes
from astra.report.paired.pairs import Counts, Pairs, Tables, read_pairs
from astra.schema.packages import check_task
from astra.system.atomic import refuse_to_replace
from astra.system.extras import require
from astra.tasks.contract import Task


@dataclass(frozen=True)
class Listed:
    """A spectrum whose distance changed much.

    Attributes:
        star: The APOGEE id of the star or its sdss_id, else what its spectrum is called.
        dist_production, dist_trial: Distances [pc].
        change: The second divided by the first, minus 1.
        flags_production, flags_trial: Bits of both rows.
    """

    spectrum_pk: int
    star: str
    snr: float
    dist_production: float
    dist_trial: float
    change: float
    flags_production: int
    flags_trial: int


@dataclass(frozen=True)
class Comparison:
    """How the results of a trial differ from those of production.

    Attributes:
        task: The task.
        trial: What the trial is called.
        promoted: Whether production has its results now; what is compared is production as it was before.
        source: The name of the database, without a password.
        kinds: What the compared rows of production, and those of the trial, were made with.
        distances: ``None`` for another task than the distances.
        largest: The distances that changed most.
    """

    task: Task
    trial: str
    promoted: bool
    source: str
    pairs: Pairs
    kinds: tuple[list[Kind], list[Kind]]
    measured: Measured
    columns: list[ColumnDifference]
    flags: list[FlagDifference]
    distances: DistanceChanges | None
    largest: list[Listed]

    @property
    def counts(self) -> Counts:
        """How many spectra are compared, and how many are not."""
        return self.pairs.counts

    def as_json(self) -> dict[str, Any]:
        """All numbers, for a program."""
        found = self.distances
        return {
            "task": self.task.name,
            "trial": self.trial,
            "promoted": self.promoted,
            "spectra": asdict(self.counts),
            "measured": asdict(self.measured),
            "made_with": {
                side: [str(kind.origin) for kind in kinds]
                for side, kinds in zip(("production", "trial"), self.kinds, strict=True)
            },
            "flags": _by_name(self.flags),
            "columns": _by_name(self.columns),
            "distances": None
            if found is None
            else {
                "parts": [asdict(part) for part in found.parts],
                "gaia": [asdict(part) for part in found.agreement],
                "largest": [asdict(row) for row in self.largest],
            },
        }


def _by_name(rows: Iterable[Any]) -> dict[str, dict[str, Any]]:
    entries = [asdict(row) for row in rows]
    return {entry.pop("name"): entry for entry in entries}


def check_page(output: Path, *, overwrite: bool) -> None:
    """Refuse a page that could not be written, before the database is read.

    Raises:
        UsageError: The file is there, or there is no folder for it.
        ConfigError: Bokeh is missing.
    """
    refuse_to_replace(output, overwrite=overwrite)
    require("bokeh", "astra trials compare --output", "report")


def compare(task: Task, names: Tables, trial: str, *, promoted: bool = False) -> Comparison:
    """Compare each row of a trial with the row of production for the same spectrum and minor version.

    Args:
        task: The task.
        names: The tables that hold the results of production and those of the trial.
        trial: What the trial is called.
        promoted: Whether production has the results of the trial now, so that these are those of before.

    Raises:
        UsageError: No spectrum has a row in both.
        ConfigError: A table of the task is missing.
    """
    check_task(task)
    with snapshot(database):
        pairs = read_pairs(task, names)
        if not len(pairs):
            raise UsageError(_nothing(task, trial, pairs.counts))
        found = distance_changes(pairs) if task.output_model is AstroNNdist else None
        return Comparison(
            task=task,
            trial=trial,
            promoted=promoted,
            source=described(database),
            pairs=pairs,
            kinds=(kinds_of(task, pairs.production), kinds_of(task, pairs.trial)),
            measured=measured(pairs),
            columns=list(column_differences(task.output_model, pairs)),
            flags=[*flag_differences(task.output_model, pairs), *([found.good] if found else [])],
            distances=found,
            largest=_largest(pairs, found) if found else [],
        )


def _nothing(task: Task, trial: str, counts: Counts) -> str:
    parts = {
        "in production alone": counts.only_production,
        "in the trial alone": counts.only_trial,
        "in both, of different minor versions": counts.other_version,
    }
    there = ", ".join(f"{count:,} {where}" for where, count in parts.items())
    return f"nothing to compare: no spectrum has a row of {task.name} in production and in {trial} ({there})"


def _largest(pairs: Pairs, found: DistanceChanges) -> list[Listed]:
    one, other = pairs.production, pairs.trial
    return [
        Listed(
            spectrum_pk=int(one["spectrum_pk"][place]),
            star=_star_of(Spectrum(pk=int(one["spectrum_pk"][place])).resolve()),
            snr=float(pairs.stars["snr"][place]),
            dist_production=float(one["dist"][place]),
            dist_trial=float(other["dist"][place]),
            change=float(found.change[place]),
            flags_production=int(one["result_flags"][place]),
            flags_trial=int(other["result_flags"][place]),
        )
        for place in found.largest
    ]


def _star_of(spectrum: BaseModel) -> str:
    source = spectrum.source
    return str(source and (source.sdss4_apogee_id or source.sdss_id) or spectrum.obj)
