"""From many stars to few numbers: histograms and densities, with all that lies outside counted."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, and how many values lie below and above them."""

    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int


@dataclass(frozen=True)
class Density:
    """Counts in cells of two quantities.

    Attributes:
        x_edges, y_edges: Of the cells, in equal steps.
        counts: Shape (y cells, x cells).
        outside: How many stars are in none of them.
    """

    x_edges: np.ndarray
    y_edges: np.ndarray
    counts: np.ndarray
    outside: int


def histogram(values: np.ndarray, edges: np.ndarray) -> Histogram:
    """Count the finite values."""
    values = values[np.isfinite(values)]
    counts, _ = np.histogram(values, edges)
    return Histogram(edges, counts, int((values < edges[0]).sum()), int((values > edges[-1]).sum()))


def density(x: np.ndarray, y: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> Density:
    """Count the stars whose two values are finite.

    Args:
        x, y: Shape (N,).
        x_edges, y_edges: Ascending, in equal steps.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    counts, _, _ = np.histogram2d(x[finite], y[finite], bins=(x_edges, y_edges))
    counts = counts.T.astype(np.int64)
    return Density(x_edges, y_edges, counts, int(finite.sum() - counts.sum()))


def cells_for(stars: int, most: int) -> int:
    """How many cells a density has along each axis: fewer stars fill fewer."""
    return int(np.clip(3 * np.sqrt(stars), 40, most))


def steps(low: float, high: float, number: int) -> np.ndarray:
    """Edges of so many equal bins."""
    return np.linspace(low, high, number + 1)


def log_steps(low: float, high: float, number: int) -> np.ndarray:
    """Edges of so many bins, equal in the logarithm."""
    return np.geomspace(low, high, number + 1)


def span(values: np.ndarray, *, least: tuple[float, float], share: float = 0.005) -> tuple[float, float]:
    """A range that holds all but a share of the values at either end, and the least range in any case."""
    values = values[np.isfinite(values)]
    if not len(values):
        return least
    low, high = np.percentile(values, (100 * share, 100 * (1 - share)))
    return min(float(low), least[0]), max(float(high), least[1])
