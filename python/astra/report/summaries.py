"""From many stars to few numbers: summaries, running percentiles, histograms and densities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Of a normal distribution: the standard error of the median, in those of the mean.
MEDIAN_OF_MEAN = float(np.sqrt(np.pi / 2))

#: Percentiles of a normal distribution at -1, 0 and 1 standard deviations.
ONE_SIGMA = (15.865, 50, 84.135)

#: A bin with fewer stars shows no median.
FEWEST = 10


@dataclass(frozen=True)
class Summary:
    """N numbers in few; NaN where there are too few.

    Attributes:
        n: How many are finite.
        median: Their median.
        e_median: Its standard error, if they are about normal: 1.2533 half-widths / sqrt(n).
        half_width: Half the range of the middle 68.27 %: the standard deviation of a normal distribution.
        beyond_3: Share with an absolute value above 3.
    """

    n: int
    median: float
    e_median: float
    half_width: float
    beyond_3: float


def summary(values: np.ndarray) -> Summary:
    """Sum up the finite ones."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Summary(0, np.nan, np.nan, np.nan, np.nan)
    low, median, high = np.percentile(values, ONE_SIGMA)
    half_width = (high - low) / 2 if len(values) > 1 else np.nan
    error = MEDIAN_OF_MEAN * half_width / np.sqrt(len(values))
    return Summary(len(values), float(median), error, half_width, float((np.abs(values) > 3).mean()))


def median(values: np.ndarray) -> float:
    """Of the finite ones; NaN if there is none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else np.nan


@dataclass(frozen=True)
class Trend:
    """Percentiles of one quantity along another, shape (bins,); NaN where a bin has too few stars.

    Attributes:
        x: The place of each bin along the other quantity.
        low, median, high: The percentiles of ``ONE_SIGMA``.
    """

    x: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray

    @property
    def half_width(self) -> np.ndarray:
        """Half the range of the middle 68 per cent: of a normal distribution, its standard deviation."""
        return 0.5 * (self.high - self.low)


def running(x: np.ndarray, y: np.ndarray, edges: np.ndarray, *, log_x: bool = True) -> Trend:
    """Percentiles of y in bins of x, in the middle of each; a bin includes its lower edge.

    Args:
        x, y: Shape (N,); what is not finite in either is left out.
        edges: Of the bins, ascending.
        log_x: Whether the bins are equal in the logarithm, so that their middles are geometric means.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    place = np.digitize(x, edges) - 1
    bins = [y[place == index] for index in range(len(edges) - 1)]
    found = [np.percentile(each, ONE_SIGMA) if len(each) >= FEWEST else (np.nan,) * 3 for each in bins]
    middles = np.sqrt(edges[:-1] * edges[1:]) if log_x else 0.5 * (edges[:-1] + edges[1:])
    return Trend(middles, *np.transpose(found))


def running_evenly(x: np.ndarray, y: np.ndarray, most: int) -> Trend:
    """Percentiles of y in bins with equal numbers of stars, each at its median x.

    Args:
        x, y: Shape (N,); what is not finite in either is left out.
        most: Bins, at most; fewer stars make fewer.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[finite], kind="stable")
    x, y = x[finite][order], y[finite][order]
    parts = np.array_split(np.arange(len(x)), int(np.clip(len(x) // (2 * FEWEST), 1, most)))
    parts = [part for part in parts if len(part) >= FEWEST]
    found = [(np.median(x[part]), *np.percentile(y[part], ONE_SIGMA)) for part in parts]
    return Trend(*np.transpose(found)) if found else Trend(*(np.array([]),) * 4)


# > Counted in cells


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, and how many values lie outside."""

    edges: np.ndarray
    counts: np.ndarray
    outside: int = 0


@dataclass(frozen=True)
class Density:
    """Counts in cells of two quantities.

    Attributes:
        counts: Shape (y cells, x cells).
        outside: How many stars lie outside the cells.
    """

    counts: np.ndarray
    outside: int


def histogram(values: np.ndarray, edges: np.ndarray) -> Histogram:
    """Count the finite values."""
    values = values[np.isfinite(values)]
    counts, _ = np.histogram(values, edges)
    return Histogram(edges, counts, int(len(values) - counts.sum()))


def density(x: np.ndarray, y: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> Density:
    """Count the stars whose two values are finite.

    Args:
        x, y: Shape (N,).
        x_edges, y_edges: Ascending, in equal steps.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    counts, _, _ = np.histogram2d(x[finite], y[finite], bins=(x_edges, y_edges))
    counts = counts.T.astype(np.int64)
    return Density(counts, int(finite.sum() - counts.sum()))


def cells_for(stars: int, most: int) -> int:
    """How many cells a density has along each axis: fewer stars fill fewer."""
    return int(np.clip(3 * np.sqrt(stars), 40, most))


def steps(low: float, high: float, number: int) -> np.ndarray:
    """Edges of so many equal bins."""
    return np.linspace(low, high, number + 1)


def log_steps(low: float, high: float, number: int) -> np.ndarray:
    """Edges of so many bins, equal in the logarithm."""
    return np.geomspace(low, high, number + 1)


def ends_of(values: np.ndarray, *, least: tuple[float, float], share: float = 0.005) -> tuple[float, float]:
    """A range without a share of the values at either end, but at least ``least``; few are all in it."""
    values = values[np.isfinite(values)]
    if not len(values):
        return least
    low = np.percentile(values, 100 * share, method="lower")
    high = np.percentile(values, 100 * (1 - share), method="higher")
    return min(float(low), least[0]), max(float(high), least[1])


def padded(low: float, high: float, margin: float = 0.03) -> tuple[float, float]:
    """A range that is wider by a part of its width at either end."""
    more = margin * (high - low)
    return low - more, high + more


def bins_for(stars: int, most: int) -> int:
    """How many bins a histogram of so many stars has: 5 of 10 stars, 14 of 150, 80 of 10,000."""
    return int(np.clip(round(2 * stars**0.4), 5, most))


@dataclass(frozen=True)
class LeftOut:
    """What a figure does not show.

    Attributes:
        total: How many things there are.
        outside: How many lie outside the axes.
        absent: How many have no place on them, because a value is missing or not finite.
    """

    total: int
    outside: int
    absent: int

    @classmethod
    def of(
        cls, x: np.ndarray, y: np.ndarray, x_range: Sequence[float], y_range: Sequence[float]
    ) -> "LeftOut":
        """Count them; either range may have its larger end first."""
        finite = np.isfinite(x) & np.isfinite(y)
        return cls(len(x), int((finite & ~within(x, y, x_range, y_range)).sum()), int((~finite).sum()))


def within(x: np.ndarray, y: np.ndarray, x_range: Sequence[float], y_range: Sequence[float]) -> np.ndarray:
    """Which points lie inside the axes, their ends included."""
    (x_low, x_high), (y_low, y_high) = sorted(x_range), sorted(y_range)
    return (x >= x_low) & (x <= x_high) & (y >= y_low) & (y <= y_high)
