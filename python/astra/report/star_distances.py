"""All distances of one star, side by side: those of its spectra, of Gaia, of both, and of others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from astra.models import AstroNNdist, Distance, Source, TaskRun
from astra.pipelines.astronn_dist.distances.best import LARGEST_PULL
from astra.pipelines.astronn_dist.distances.full_errors import percentiles
from astra.pipelines.astronn_dist.distances.parallaxes import inverted
from astra.report.bailer_jones import KINDS
from astra.report.page import number
from astra.report.star_details import Detail
from astra.system.version import version_integer_to_string


@dataclass(frozen=True)
class Estimate:
    """A distance from one source [pc].

    Attributes:
        name: What it is from.
        note: What else has to be known of it; "" for nothing.
        distance, low, high: It, its 16th and its 84th percentile; NaN where there is none.
        is_best: Whether it is the one to use.
    """

    name: str
    note: str
    distance: float
    low: float
    high: float
    is_best: bool = False

    @property
    def error(self) -> float:
        """Half of the interval, relative."""
        return 0.5 * (self.high - self.low) / self.distance

    @property
    def form(self) -> str:
        """How its numbers are written: with two digits of the error, whole parsecs at most."""
        half = 0.5 * (self.high - self.low)
        decimals = 1 - int(np.floor(np.log10(half))) if half > 0 and np.isfinite(half) else 0
        return f",.{min(max(decimals, 0), 3)}f"


def estimates(details: Sequence[Detail]) -> list[Estimate]:
    """All of a star whose spectra are given, the best first; those that are absent say so in their note."""
    if not details:
        return []
    return [
        *_best(details[0]),
        *(part for name, detail in headings(details).items() for part in _of_spectrum(name, detail)),
        *_of_gaia(details[0].result, details[0].source),
        *_of_both(details[0].result),
        *_of_others(details[0].source),
    ]


def headings(details: Sequence[Detail]) -> dict[str, Detail]:
    """The spectra of a star by their names in its page."""
    if len(details) == 1:
        return {"Spectrum": details[0]}
    return {f"Spectrum {number}": detail for number, detail in enumerate(details, start=1)}


# > Where they come from

_FROM = {
    "weighted": "spectrum and Gaia, weighted by their errors",
    "spectrum": "the spectrum alone: no parallax of Gaia can be combined with it",
    "gaia": "Gaia alone: the spectrum is not fit for science",
}


def _best(detail: Detail) -> Iterator[Estimate]:
    row = detail.summary
    note = _FROM.get(row.best_dist_from) or _why_none(row)
    yield Estimate("Distance to use", note, row.best_dist, row.best_dist_lo, row.best_dist_hi, True)


def _why_none(row: Distance) -> str:
    """Why there is no distance to use: the table of decisions of ``distances.best``."""
    if not row.flag_bad and abs(row.parallax_pull) > LARGEST_PULL:
        pull = number(abs(row.parallax_pull), ".1f")
        return f"spectrum and Gaia contradict each other, by {pull} of their errors"
    if row.flag_bad:
        return "the spectrum is not fit for science, and Gaia alone not precise enough, or absent"
    return "the result is from before there was one: run astra run astronn_dist"


def _of_spectrum(name: str, detail: Detail) -> Iterator[Estimate]:
    result, row = detail.result, detail.summary
    about = f"{row.telescope}, {row.release}, S/N {number(row.snr, '.0f')}, {_weights_of(detail.run)}"
    yield _spectroscopic(name, result, about)
    earlier = AstroNNdist.select().where(
        (AstroNNdist.spectrum_pk == result.spectrum_pk) & (AstroNNdist.task_pk != result.task_pk)
    )
    for old in earlier.order_by(AstroNNdist.v_astra.desc()):
        run = TaskRun.get_or_none(TaskRun.pk == old.run_pk)
        note = f"astra {version_integer_to_string(old.v_astra)}, {_weights_of(run)}"
        yield _spectroscopic(f"{name}, earlier result", old, note)


def _weights_of(run: TaskRun | None) -> str:
    return f"weights {run.weights_name}" if run and run.weights_name else "weights not known"


def _spectroscopic(name: str, row: AstroNNdist, note: str) -> Estimate:
    absent = {
        "no result": row.flag_no_result,
        "no Ks magnitude, so no distance": row.flag_missing_photometry,
    }
    if why := [reason for reason, applies in absent.items() if applies]:
        return Estimate(name, f"{why[0]}; {note}", np.nan, np.nan, np.nan)
    low, high = row.dist_lo, row.dist_hi
    if not np.isfinite(low):  # from before there were percentiles
        low, high = row.dist - row.e_dist, row.dist + row.e_dist
    if row.flag_fakemag_unreliable:
        note = f"not reliable: its error is large; {note}"
    return Estimate(name, note, row.dist, low, high)


def _of_gaia(row: AstroNNdist, source: Source | None) -> Iterator[Estimate]:
    parallax, error = row.gaia_parallax, row.e_gaia_parallax
    if not np.isfinite(parallax):
        parallax, error = (source.plx, source.e_plx) if source else (np.nan, np.nan)
    if not np.isfinite(parallax):
        yield Estimate("Gaia parallax, inverted", "no parallax", np.nan, np.nan, np.nan)
        return
    if np.isfinite(row.plx_zero_point):
        note = f"zero-point {number(row.plx_zero_point)} mas taken off"
    else:
        note = "its zero-point is not known"
    yield _from_parallax("Gaia parallax, inverted", note, parallax, error)


def _of_both(row: AstroNNdist) -> Iterator[Estimate]:
    parallax = row.weighted_parallax
    if not np.isfinite(parallax):
        return
    note = "of spectrum and Gaia"
    if np.isclose(parallax, row.nn_parallax, rtol=1e-9):
        note = "the spectrum alone: Gaia is absent or not usable"
    elif np.isclose(parallax, row.gaia_parallax, rtol=1e-9):
        note = "Gaia alone: the spectrum is not usable"
    yield _from_parallax("Weighted mean", note, parallax, row.e_weighted_parallax)


def _from_parallax(name: str, note: str, parallax: float, error: float) -> Estimate:
    """The inverse of a parallax [mas], with percentiles of a normal distribution of parallaxes above 0."""
    note = f"parallax {number(parallax)} ± {number(error)} mas, {note}"
    if not parallax > 0:
        note += "; it is not positive, so it has no inverse"
    distance = float(inverted(parallax, error)[0])
    low, high = (distance * percentiles(error / parallax, 0.0)[:, 0]).tolist()
    return Estimate(name, note, distance, low, high)


def _of_others(source: Source | None) -> Iterator[Estimate]:
    for kind, name in KINDS.items():
        middle, low, high = (getattr(source, f"r_{part}_{kind}", np.nan) for part in ("med", "lo", "hi"))
        if middle > 0:
            note = "2021, AJ 161, 147: Gaia EDR3 and a prior of the Galaxy"
            yield Estimate(f"Bailer-Jones et al., {name}", note, middle, low, high)


# > The picture: places on one axis, in per cent of its width

#: An axis is one of logarithms where its ends differ by more than this factor.
_LOGARITHMS_FROM = 4.0

#: How far an interval may go beyond the largest or the smallest distance before it is cut off, a factor.
_REACH = 3.0

_MOST_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """The axis that all distances of a star share.

    Attributes:
        low, high: Its ends [pc].
        logarithmic: Whether equal factors are equally long.
    """

    low: float
    high: float
    logarithmic: bool

    def place(self, distance: float) -> float:
        """Where a distance is [%]; at an end if it is beyond."""
        low, high, distance = self.low, self.high, float(np.clip(distance, self.low, self.high))
        if self.logarithmic:
            low, high, distance = np.log([low, high, distance])
        return round(100 * float((distance - low) / (high - low)), 2)

    def ticks(self) -> list[tuple[str, float]]:
        """Labels and places of some round distances."""
        decades = 10.0 ** np.arange(-6, 11)
        if self.logarithmic:
            series = [np.sort(np.outer(decades, factors).ravel()) for factors in ((1, 2, 5), (1, 3), (1,))]
            candidates = [values[(values >= self.low) & (values <= self.high)] for values in series]
        else:
            steps = np.outer(decades, (1, 2, 5)).ravel()
            steps = steps[steps > 0.1 * (self.high - self.low)]
            candidates = [
                step * np.arange(np.ceil(self.low / step), self.high // step + 1) for step in steps.tolist()
            ]
        chosen = next(values for values in candidates if len(values) <= _MOST_TICKS)
        return [(f"{value:,.10g}", self.place(value)) for value in chosen.tolist()]


def axis_of(found: Sequence[Estimate]) -> Axis | None:
    """An axis that holds all distances, and their intervals within reason; ``None`` without any."""
    distances = np.array([part.distance for part in found if np.isfinite(part.distance)])
    if not len(distances):
        return None
    least, most = distances.min() / _REACH, distances.max() * _REACH
    ends = np.array([[part.low, part.high] for part in found]).ravel()
    every = np.clip(np.concatenate([distances, ends[np.isfinite(ends)]]), least, most)
    low, high = float(every.min()), float(every.max())
    if high > _LOGARITHMS_FROM * low:
        margin = (high / low) ** 0.05
        return Axis(low / margin, high * margin, True)
    margin = 0.08 * (high - low) or 0.1 * high
    return Axis(low - margin, high + margin, False)


@dataclass(frozen=True)
class Bar:
    """The interval of a distance on an axis.

    Attributes:
        start, end, at: Its ends and the distance [%].
        before, beyond: Whether it goes on beyond an end of the axis.
    """

    start: float
    end: float
    at: float
    before: bool
    beyond: bool


def bars(found: Sequence[Estimate], axis: Axis | None) -> list[Bar | None]:
    """The intervals on an axis; ``None`` for what has none."""
    return [
        Bar(
            *map(axis.place, (part.low, part.high, part.distance)), part.low < axis.low, part.high > axis.high
        )
        if axis and np.isfinite([part.distance, part.low, part.high]).all()
        else None
        for part in found
    ]
