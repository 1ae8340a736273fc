"""Two models on the same spectra: how their distances differ, and which agrees better with Gaia or the truth.

Nothing is read from results, and nothing is written: both models are computed anew, with the same seed. What
follows from the two sets is what ``astra trials compare`` computes from two tables, by the same functions.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import peewee

from astra.errors import UsageError
from astra.modelling.comparison import ALL, Compared, Summary, results_of, summarise
from astra.models import APOGEE, AstroNNdist, Source
from astra.models.base import BaseModel
from astra.pipelines.astronn_dist.task import astronn_dist
from astra.report.arrays import Arrays, keys
from astra.report.paired.differences import Measured, measured
from astra.report.paired.distance_changes import Agreement, DistanceChanges, distance_changes
from astra.report.paired.pairs import Counts, Pairs, bit_columns, compared_columns

#: A share differs from one half if it does by more than this many of its errors: by chance, one in 20 would.
_SIGNIFICANT = 2.0

#: Spectra that one query looks up.
CHUNK = 500

#: What is needed of stars, besides what the results hold.
OF_STARS = ("l", "b", "j_mag", "ruwe", "snr")

#: Columns of N spectra by their names, shape (N,), NaN where absent; bits are integers.
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Better:
    """Which of two models is closer to Gaia's parallax, or to the truth, for spectra that are good with both.

    Attributes:
        n: Spectra for which the two differ.
        closer: Share for which the second is closer; if neither is better, 0.5 with the error ``e_closer``.
    """

    group: str
    name: str
    n: int
    closer: float
    e_closer: float

    @property
    def verdict(self) -> str:
        """``first``, ``second``, or ``neither`` where chance could have done it."""
        if not abs(self.closer - 0.5) > _SIGNIFICANT * self.e_closer:
            return "neither"
        return "second" if self.closer > 0.5 else "first"

    def as_json(self) -> dict[str, Any]:
        """Its numbers, for a program."""
        return asdict(self) | {"better": self.verdict}


@dataclass(frozen=True)
class Truths:
    """Of a simulation: both models against the true distances, by kind of star."""

    first: list[Summary]
    second: list[Summary]
    better: list[Better]


@dataclass(frozen=True)
class ModelComparison:
    """Two models on N spectra; ``first`` and ``second`` are what they are called."""

    first: str
    second: str
    spectra: int
    measured: Measured
    changes: DistanceChanges
    gaia: list[tuple[Agreement, Better]]
    truth: Truths | None

    def as_json(self) -> dict[str, Any]:
        """All numbers, for a program."""
        found = {
            "with_result": {
                "both": self.measured.both,
                "first": self.measured.only_production,
                "second": self.measured.only_trial,
            },
            "parts": [asdict(part) for part in self.changes.parts],
            "gaia": [
                {"first": asdict(part.production), "second": asdict(part.trial), **better.as_json()}
                for part, better in self.gaia
            ],
            "truth": self.truth
            and {
                "first": [asdict(each) for each in self.truth.first],
                "second": [asdict(each) for each in self.truth.second],
                "better": [each.as_json() for each in self.truth.better],
            },
        }
        names = {"first": self.first, "second": self.second, "spectra": self.spectra}
        return names | {"distances": found}


def compare_models(
    names: tuple[str, str],
    sides: tuple[Columns, Columns],
    stars: Columns,
    ids: Sequence[str | None],
    truth: Mapping[str, Compared] | None = None,
) -> ModelComparison:
    """Compare what two models say of the same N spectra.

    Args:
        names: What the models are called.
        sides: The columns of results of each.
        stars: ``OF_STARS`` and ``spectrum_flags``.
        ids: The APOGEE ids of the stars.
        truth: Simulated stars by their APOGEE ids.

    Raises:
        UsageError: There is no spectrum, or none of the stars is one of the simulation.
    """
    if not len(ids):
        raise UsageError("nothing to compare: no spectrum; ingest some, or name files")
    one, other = (Arrays(_with_summaries(columns, len(ids))) for columns in sides)
    pairs = Pairs(Counts(len(ids), 0, 0, 0), one, other, dict(stars))
    changes = distance_changes(pairs)
    gaia = [
        (part, Better(part.group, part.name, part.differing, part.closer, part.e_closer))
        for part in changes.agreement
    ]
    found = _against_truth((one, other), stars, ids, truth) if truth is not None else None
    return ModelComparison(*names, len(ids), measured(pairs), changes, gaia, found)


def _with_summaries(columns: Columns, count: int) -> dict[str, np.ndarray]:
    summaries = {
        name: (columns["result_flags"] & bits) != 0 for name, (bits, _) in AstroNNdist.summaries().items()
    }
    return {"spectrum_pk": np.arange(count), **columns, **summaries}


def _against_truth(
    sides: tuple[Arrays, Arrays], stars: Columns, ids: Sequence[str | None], truth: Mapping[str, Compared]
) -> Truths:
    known = [place for place, name in enumerate(ids) if name in truth]
    if not known:
        raise UsageError("--truth: none of the spectra is of a star of this simulation; give its own folder")
    first, second = (
        [results_of(truth[ids[place]], side.values, stars["spectrum_flags"], place) for place in known]
        for side in sides
    )
    groups = {ALL: range(len(known))}
    for place, star in enumerate(first):
        groups[star.group] = [*groups.get(star.group, []), place]
    better = [
        found
        for name, places in groups.items()
        if (found := _closer(name, places, first, second)) is not None
    ]
    return Truths(summarise(first), summarise(second), better)


def _closer(
    name: str, places: Sequence[int], first: Sequence[Compared], second: Sequence[Compared]
) -> Better | None:
    good = [place for place in places if first[place].good and second[place].good]
    pairs = [(abs(first[place].deviation), abs(second[place].deviation)) for place in good]
    differing = [(one, other) for one, other in pairs if math.isfinite(one + other) and one != other]
    if not differing:
        return None
    share = sum(other < one for one, other in differing) / len(differing)
    return Better("kind", name, len(differing), share, 0.5 / len(differing) ** 0.5)


# > Of spectra of the database


@dataclass(frozen=True)
class SampleOfSpectra:
    """Some spectra of the database, with their sources."""

    spectra: list[BaseModel]

    @property
    def ids(self) -> list[str | None]:
        """The APOGEE ids of their stars."""
        return [each.source and each.source.sdss4_apogee_id for each in self.spectra]

    def stars(self) -> dict[str, np.ndarray]:
        """What is known of the stars and the spectra."""
        of_source = {
            name: np.array([_number(each.source, name) for each in self.spectra]) for name in OF_STARS[:-1]
        }
        snr = np.array([_number(each, "snr") for each in self.spectra])
        return {**of_source, "snr": snr, "spectrum_flags": keys(each.spectrum_flags for each in self.spectra)}

    def results(
        self, weights: str, on_progress: Callable[[int, int], None], **options: Any
    ) -> dict[str, np.ndarray]:
        """The columns of the results of a model for them."""
        rows = []
        on_progress(0, len(self.spectra))
        for row in astronn_dist(self.spectra, weights=weights, **options):
            rows.append(row)
            on_progress(len(rows), len(self.spectra))
        found = {
            name: np.array([_number(row, name) for row in rows]) for name in compared_columns(AstroNNdist)
        }
        return found | {name: keys(getattr(row, name) for row in rows) for name in bit_columns(AstroNNdist)}


def sample_of_database(limit: int) -> SampleOfSpectra:
    """Up to so many spectra of the open database, spread evenly over it: the same each time."""
    chosen = [(model, pk) for model in APOGEE for (pk,) in model.select(model.spectrum_pk).tuples()]
    chosen.sort(key=lambda each: (APOGEE.index(each[0]), each[1]))
    places = np.unique(np.linspace(0, len(chosen) - 1, min(limit, len(chosen))).astype(int)) if chosen else []
    chosen = [chosen[place] for place in places]
    return SampleOfSpectra([each for model in APOGEE for each in _read(model, chosen)])


def _read(model: type[BaseModel], chosen: Sequence[tuple[type[BaseModel], int]]) -> Iterator[BaseModel]:
    for part in peewee.chunked([pk for each, pk in chosen if each is model], CHUNK):
        query = model.select(model, Source).join(
            Source, peewee.JOIN.LEFT_OUTER, on=(model.source == Source.pk)
        )
        yield from query.where(model.spectrum_pk << list(part)).order_by(model.spectrum_pk)


def _number(row: Any, name: str) -> float:
    value = getattr(row, name, None)
    return np.nan if value is None else float(value)
