"""What a report of a training is made from, and the columns and numbers that follow from it."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from astra.modelling.training.evaluate import HIGH, LOW, distance_error, fitted_scale, pulls
from astra.pipelines.astronn_dist.distances.distance import unreliable
from astra.report.summaries import Trend

if TYPE_CHECKING:
    from astra.modelling.training.loop import Epoch

#: How classes are called; others go by their own names.
NAMES = {
    "rgb": "red giants",
    "red_clump": "red clump",
    "subgiant": "subgiants",
    "dwarf": "FGK dwarfs",
    "m_dwarf": "M dwarfs",
    "hot": "hot stars",
    "young": "young stars, still contracting",
    "": "of unknown class",
}

#: Labels with a smaller relative error show the error of the prediction more than their own.
PRECISE = 0.2

#: Arrays of shape (N,), by the names that they have in a :class:`Report`.
Columns = Mapping[str, np.ndarray]

_COLUMNS = (
    *("true", "e_true", "kind", "snr", "fakemag", "e_fakemag", "e_model_fakemag"),
    *("flux_ratio", "teff", "logg", "excess"),
)


@dataclass(frozen=True, eq=False)
class Report:
    """A model, how its training went, and its predictions for N stars that it has not seen."""

    name: str
    """Of the file of weights, without its suffix."""

    sha256: str
    details: Mapping[str, Any]
    """What travels in the file; plain JSON."""

    history: "tuple[Epoch, ...]"
    best_epoch: int
    """Its number, from 1."""

    true: np.ndarray
    """Pseudo-luminosity [mas], shape (N,); one from a parallax may be 0 or negative."""

    e_true: np.ndarray
    """Its error [mas]; 0 for simulated stars."""

    kind: np.ndarray
    """Class of each star, "" where it is unknown."""

    snr: np.ndarray
    """Signal-to-noise ratio per pixel."""

    fakemag: np.ndarray
    """The prediction [mas]; NaN where there is none."""

    e_fakemag: np.ndarray
    """Its stated error [mas]."""

    e_model_fakemag: np.ndarray
    """The part of it that comes from dropout [mas]."""

    flux_ratio: np.ndarray | None = None
    """Ks flux of the companion divided by the star's, 0 for single stars."""

    teff: np.ndarray | None = None
    """Effective temperature [K]."""

    logg: np.ndarray | None = None
    """Logarithm of the surface gravity [dex, cgs]."""

    excess: np.ndarray | None = None
    """Scatter beyond the noise that the training does not explain, see :mod:`validity`; may be infinite."""

    def __post_init__(self) -> None:
        for name, values in self._columns().items():
            object.__setattr__(self, name, np.asarray(values, str if name == "kind" else float))

    def __len__(self) -> int:
        return len(self.true)

    def take(self, rows: np.ndarray) -> Self:
        """The same of some of the stars: their indices, or a mask."""
        return dataclasses.replace(self, **{name: values[rows] for name, values in self._columns().items()})

    def _columns(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in _COLUMNS if getattr(self, name) is not None}

    # > Columns that follow

    @cached_property
    def r(self) -> np.ndarray:
        """Relative error of the distance; NaN where there is no positive prediction."""
        return distance_error(self.true, self.fakemag)

    @cached_property
    def pull(self) -> np.ndarray:
        """Error of the pseudo-luminosity divided by its standard deviation, the label's included."""
        return pulls(self.true, self.fakemag, self.e_fakemag, self.e_true)

    @cached_property
    def flagged(self) -> np.ndarray:
        """Which predictions are flagged as unreliable."""
        return unreliable(self.fakemag, self.e_fakemag)

    @cached_property
    def relative_error(self) -> np.ndarray:
        """Stated relative error; NaN where there is no positive prediction."""
        return self.e_fakemag / np.where(self.fakemag > 0, self.fakemag, np.nan)

    @cached_property
    def abs_ks(self) -> np.ndarray:
        """Absolute Ks magnitude [mag]: the true one, or that of the prediction where labels have errors.

        A label with an error may be negative, and stars chosen by it would be biased.
        """
        luminosity = self.fakemag if self.is_measured else self.true
        return 5 * np.log10(np.where(luminosity > 0, luminosity, np.nan)) - 10

    # > Parts

    @property
    def is_measured(self) -> bool:
        """Whether the labels have errors, so that they are not the truth."""
        return bool((self.e_true > 0).any())

    @cached_property
    def single(self) -> Self:
        """The stars without a companion, or all where nothing is known of companions."""
        return self if self.flux_ratio is None else self.take(self.flux_ratio == 0)

    @cached_property
    def binaries(self) -> Self | None:
        """The stars with a companion; ``None`` where there is none, or nothing is known of them."""
        has_companion = None if self.flux_ratio is None else self.flux_ratio > 0
        return self.take(has_companion) if has_companion is not None and has_companion.any() else None

    @cached_property
    def precise(self) -> Self:
        """The stars whose label says more of the error of a prediction than of its own.

        They are chosen by the error of the label against the prediction: chosen by their own value, they
        would be the large ones.
        """
        return self.take(self.e_true < PRECISE * self.fakemag) if self.is_measured else self

    @cached_property
    def kinds(self) -> list[str]:
        """The classes that there are, those of ``NAMES`` first."""
        there = set(self.kind.tolist())
        return [kind for kind in NAMES if kind in there] + sorted(there - NAMES.keys())

    def by_kind(self) -> dict[str, Self]:
        """The stars of each class."""
        return {kind: self.take(self.kind == kind) for kind in self.kinds}

    def compared(self) -> dict[str, Self]:
        """The stars of each class where there are several, else nothing: they are all stars."""
        return self.by_kind() if len(self.kinds) > 1 else {}


def name_of(kind: str) -> str:
    """How a class is called in the report."""
    return NAMES.get(kind, kind.replace("_", " "))


def title_of(kind: str, number: int) -> str:
    """The title of a panel with so many stars of a class."""
    return f"{name_of(kind)} ({number:,})" if kind else f"{number:,} stars"


# > Numbers along an axis


def bins_of(x: np.ndarray, *, most: int = 14, fewest: int = 20) -> list[np.ndarray]:
    """Indices of stars in bins of ``x`` with as many in each, in ascending order.

    Args:
        x: Shape (N,); what is not finite is in no bin.
        most: Bins, at most.
        fewest: Stars in a bin, at least; with fewer in all there is no bin.
    """
    rows = np.flatnonzero(np.isfinite(x))
    number = min(most, len(rows) // fewest)
    return np.array_split(rows[np.argsort(x[rows], kind="stable")], number) if number else []


def running(x: np.ndarray, y: np.ndarray, *, most: int = 14, fewest: int = 20) -> Trend:
    """Quantiles of ``y`` in bins of ``x``, at the medians of the bins; see :func:`bins_of`.

    What is not finite in either is left out.
    """
    bins = bins_of(np.where(np.isfinite(y), x, np.nan), most=most, fewest=fewest)
    middles = np.array([np.median(x[part]) for part in bins])
    levels = [np.quantile(y[part], (LOW, 0.5, HIGH)) for part in bins]
    return Trend(middles, *np.reshape(levels, (-1, 3)).T)


def extent(values: np.ndarray, level: float, least: float, most: float) -> float:
    """How far an axis reaches that shows a share ``level`` of the absolute values, within limits."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.clip(np.quantile(finite, level), least, most)) if len(finite) else least


def scale(report: Report) -> tuple[float, float]:
    """The factor of the predictions that fits the labels best, and its error; NaN if no star decides it."""
    variance = report.e_fakemag**2 + report.e_true**2
    known = (report.fakemag > 0) & (variance > 0) & np.isfinite(report.fakemag + report.true + variance)
    if not known.any():
        return math.nan, math.nan
    return fitted_scale(report.fakemag[known], report.true[known], variance[known])
