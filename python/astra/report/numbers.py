"""Numbers that sum up many stars: medians, half-widths, and how they run along another quantity."""

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
class Running:
    """Percentiles of one quantity in bins of another, shape (bins,); NaN where a bin has too few stars."""

    middle: np.ndarray
    """Where each bin has its middle; geometric for bins in the logarithm."""

    low: np.ndarray
    """16th percentile."""

    median: np.ndarray
    high: np.ndarray
    """84th percentile."""


def running(x: np.ndarray, y: np.ndarray, edges: np.ndarray, *, log: bool = False) -> Running:
    """Percentiles of y in bins of x; a bin includes its lower edge.

    Args:
        x, y: Shape (N,); what is not finite in either is left out.
        edges: Of the bins, ascending.
        log: Whether the middles are geometric means of the edges.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    number = np.digitize(x, edges) - 1
    found = np.full((3, len(edges) - 1), np.nan)
    for index in range(len(edges) - 1):
        part = y[number == index]
        if len(part) >= FEWEST:
            found[:, index] = np.percentile(part, ONE_SIGMA)
    middle = np.sqrt(edges[:-1] * edges[1:]) if log else (edges[:-1] + edges[1:]) / 2
    return Running(middle, *found)
