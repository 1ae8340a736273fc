"""How far the distances in the database are from the true ones of a simulation."""

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import peewee

from astra.damage import check_file, damage
from astra.errors import UsageError
from astra.modelling.simulator import TRUTH
from astra.modelling.simulator.apstar_cards import FIELD
from astra.modelling.simulator.stars import KINDS
from astra.models import Distance

#: Stars that one query looks up.
CHUNK = 500

_NUMBERS = ("snr", "dist_pc", "flux_ratio")
_FLAGS = ("fakemag_unreliable", "missing_photometry", "missing_extinction", "no_result")
#: What stands in place of flags where the database has no row.
ABSENT = "not in the database"
#: The names of two summaries: of pairs, whatever their brighter star is, because the distance of a pair comes
#: out too small; and of all stars.
PAIRS, ALL = "pairs", "all"


@dataclass(frozen=True)
class Compared:
    """One simulated star and what the database says of it; NaN where it says nothing.

    Attributes:
        true_dist, dist, e_dist: Distances [pc].
        flux_ratio: Ks flux of an unresolved companion divided by that of the star; 0 without one.
        good: The ``good`` of the view ``distances``; false without a row.
        flags: The names of its flags, or why it has none.
    """

    apogee_id: str
    kind: str
    snr: float
    true_dist: float
    flux_ratio: float = 0.0
    dist: float = math.nan
    e_dist: float = math.nan
    good: bool = False
    flags: tuple[str, ...] = (ABSENT,)

    @property
    def group(self) -> str:
        """The name of its summary: its kind, or ``PAIRS``."""
        return PAIRS if self.flux_ratio > 0 else self.kind

    @property
    def deviation(self) -> float:
        """(dist - true) / true."""
        return self.dist / self.true_dist - 1

    @property
    def sigmas(self) -> float:
        """(dist - true) / e_dist."""
        return (self.dist - self.true_dist) / self.e_dist if self.e_dist > 0 else math.nan


@dataclass(frozen=True)
class Summary:
    """The single stars of one kind, or the pairs, or all.

    Attributes:
        measured: Those that have a distance, good or not.
        good: Those that are fit for science.
        scatter_of_all: Median absolute deviation from the truth of those measured; NaN if there is none.
        scatter: The same of the good ones.
        bias: Median deviation of the good ones.
        within_1, beyond_3: Shares of the good ones that lie within one, and beyond three, of their errors.
    """

    kind: str
    stars: int
    measured: int
    good: int
    scatter_of_all: float
    scatter: float
    bias: float
    within_1: float
    beyond_3: float

    @property
    def flagged_share(self) -> float:
        """Share of the stars with a distance that are not fit for science; NaN without a distance."""
        return 1 - self.good / self.measured if self.measured else math.nan


def compare(folder: Path) -> list[Compared]:
    """Put each star of a simulation beside its row in the view ``distances``.

    Args:
        folder: A folder that ``astra simulate`` has filled.

    Returns:
        Every star of the simulation, by kind and then by true distance.

    Raises:
        UsageError: There is no truth in the folder, or it is of another form.
    """
    stars = read_truth(folder)
    for ids in peewee.chunked(list(stars), CHUNK):
        query = Distance.select().where(Distance.field == FIELD, Distance.sdss4_apogee_id << list(ids))
        for row in query:
            stars[row.sdss4_apogee_id] = _compared(stars[row.sdss4_apogee_id], row)
    return sorted(stars.values(), key=lambda star: (_rank(star.kind), star.true_dist))


def summarise(rows: Iterable[Compared]) -> list[Summary]:
    """One summary for each kind of single stars that occurs, one for pairs if there are any, one for all."""
    rows = list(rows)
    groups = sorted({row.group for row in rows}, key=lambda group: (group == PAIRS, _rank(group)))
    return [
        *(_summary(group, [row for row in rows if row.group == group]) for group in groups),
        _summary(ALL, rows),
    ]


def _summary(kind: str, rows: Sequence[Compared]) -> Summary:
    measured = [row for row in rows if math.isfinite(row.dist)]
    good = [row for row in measured if row.good]
    sigmas = [abs(row.sigmas) for row in good]

    def of(function: Callable[[list[float]], float], values: list[float]) -> float:
        return function(values) if values else math.nan

    return Summary(
        kind=kind,
        stars=len(rows),
        measured=len(measured),
        good=len(good),
        scatter_of_all=of(median, [abs(row.deviation) for row in measured]),
        scatter=of(median, [abs(row.deviation) for row in good]),
        bias=of(median, [row.deviation for row in good]),
        within_1=of(fmean, [sigma <= 1 for sigma in sigmas]),
        beyond_3=of(fmean, [sigma > 3 for sigma in sigmas]),
    )


def _rank(kind: str) -> tuple[int, str]:
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), kind)


def _compared(star: Compared, row: Distance) -> Compared:
    flags = [name for name in _FLAGS if getattr(row, f"flag_{name}")]
    if not row.good and not row.flag_bad:
        flags.append("bad spectrum (STARFLAG)")
    return replace(star, dist=row.dist, e_dist=row.e_dist, good=bool(row.good), flags=tuple(flags))


def results_of(
    star: Compared, columns: Mapping[str, np.ndarray], spectrum_flags: np.ndarray, place: int
) -> Compared:
    """A simulated star with what the columns of results say of it at this place."""
    good = not columns["flag_bad"][place] and not spectrum_flags[place] & Distance.NOT_GOOD
    dist, e_dist = (float(columns[name][place]) for name in ("dist", "e_dist"))
    return replace(star, dist=dist, e_dist=e_dist, good=bool(good), flags=())


def read_truth(path: Path) -> dict[str, Compared]:
    """The stars of a simulation, without results, by their APOGEE ids.

    Args:
        path: The file, or the folder that ``astra simulate`` has filled.

    Raises:
        UsageError: There is no truth in the folder, or it is of another form.
    """
    path = path / TRUTH if path.name != TRUTH else path
    with damage(lambda why: UsageError(f"not the truth of a simulation: {path} ({why})")):
        try:
            check_file(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                f"no {path.name} in {path.parent}: give a folder that `astra simulate` has filled"
            ) from error
        with path.open(newline="", encoding="utf-8") as lines:
            rows = [
                Compared(row["apogee_id"], row["kind"], *(float(row[name]) for name in _NUMBERS))
                for row in csv.DictReader(lines)
            ]
    return {row.apogee_id: row for row in rows}
