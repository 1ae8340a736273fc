"""How good predictions are: errors of the distance, pulls and flags by class, and agreement with parallaxes.

An error of the distance is ``r = d / d_true - 1 = fakemag_true / fakemag - 1``: of two stars of the same
magnitude, the one with half the pseudo-luminosity is twice as far away. A pull is the error of the
pseudo-luminosity divided by the one that was stated.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import unreliable

#: Name of the entry for stars of all classes together.
ALL = "all"

#: Below this signal-to-noise ratio per pixel, simulated stars do not enter the figures that a file states.
LEAST_SNR = 50.0

#: Above this signal-to-noise ratio per pixel, a flag is more the network's doing than the spectrum's.
BRIGHT_SNR = 100.0

#: A larger pull is an outlier.
LARGEST_PULL = 3.0

#: Labels from parallaxes that are this good, relative to the *prediction*: chosen by their own value, they
#: would be the large ones.
PRECISE = 0.05

#: Quantiles; half the range between them is the standard deviation of a normal distribution.
LOW, HIGH = 0.16, 0.84


@dataclass(frozen=True)
class ClassMetrics:
    """How good the predictions for the stars of one class are; NaN where no star decides a number."""

    n: int
    """Stars."""

    median_r: float
    """Median of the relative error of the distance."""

    median_abs_r: float
    """Median of its absolute value."""

    half_width_r: float
    """Half the range of the middle 68 % of it."""

    median_pull: float
    """Median of the pulls."""

    pull_width: float
    """Half the range of the middle 68 % of the pulls; 1 if the stated errors are right."""

    pull_outliers: float
    """Share of stars with a pull beyond ``LARGEST_PULL`` or with no prediction."""

    flagged: float
    """Share of stars flagged as unreliable."""

    n_bright: int
    """Stars with a signal-to-noise ratio above ``BRIGHT_SNR``."""

    flagged_bright: float
    """Share of these that are flagged."""


def absolute_magnitude(fakemag: np.ndarray) -> np.ndarray:
    """M_Ks [mag] of pseudo-luminosities [mas]; NaN where these are not positive."""
    return 5 * np.log10(np.where(fakemag > 0, fakemag, np.nan)) - 10


def distance_error(fakemag_true: np.ndarray, fakemag: np.ndarray) -> np.ndarray:
    """Relative error of the distance, shape (N,); NaN where there is no positive prediction.

    Args:
        fakemag_true: True pseudo-luminosity [mas].
        fakemag: The prediction [mas].
    """
    fakemag = np.asarray(fakemag, float)
    return np.asarray(fakemag_true, float) / np.where(fakemag > 0, fakemag, np.nan) - 1


def pulls(
    fakemag_true: np.ndarray, fakemag: np.ndarray, e_fakemag: np.ndarray, e_true: np.ndarray | float = 0.0
) -> np.ndarray:
    """Error of each pseudo-luminosity in units of its standard deviation, shape (N,).

    Args:
        fakemag_true: True pseudo-luminosity [mas], or one measured.
        fakemag: The prediction [mas].
        e_fakemag: Its stated error [mas].
        e_true: Error of the measured one [mas].
    """
    error = np.asarray(fakemag, float) - np.asarray(fakemag_true, float)
    scale = np.hypot(np.asarray(e_fakemag, float), e_true)
    return error / np.where(scale > 0, scale, np.nan)


def evaluate(
    kind: np.ndarray,
    fakemag_true: np.ndarray,
    fakemag: np.ndarray,
    e_fakemag: np.ndarray,
    snr: np.ndarray,
    e_true: np.ndarray | float = 0.0,
) -> dict[str, ClassMetrics]:
    """Compare predictions with the truth, class by class.

    Args:
        kind: Name of the class of each of N stars.
        fakemag_true: True pseudo-luminosity [mas], or one from a parallax, which may be negative.
        fakemag: The prediction [mas]; NaN where there is none.
        e_fakemag: Its stated error [mas].
        snr: Signal-to-noise ratio per pixel.
        e_true: Error of a pseudo-luminosity from a parallax [mas].

    Returns:
        One entry for each class, in the order of their names, and last ``ALL`` of them together.
    """
    kind = np.asarray(kind)
    r = distance_error(fakemag_true, fakemag)
    pull = pulls(fakemag_true, fakemag, e_fakemag, e_true)
    columns = (r, pull, unreliable(fakemag, e_fakemag), np.asarray(snr, float))
    found = {str(name): _metrics(*(column[kind == name] for column in columns)) for name in np.unique(kind)}
    return found | {ALL: _metrics(*columns)}


def flagged_by_error(r: np.ndarray, flagged: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of flagged stars in each interval of |r|: honest flags grow with the error.

    Args:
        r: Relative errors of the distance, shape (N,).
        flagged: Which stars are flagged, bool of shape (N,).
        edges: Limits of the M intervals, ascending, shape (M + 1,).

    Returns:
        Shape (M,); NaN where an interval has no star.
    """
    counts, hits = (
        np.histogram(np.abs(r[rows]), edges)[0] for rows in (np.isfinite(r), np.isfinite(r) & flagged)
    )
    return np.divide(hits, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def coverage(r: np.ndarray, relative_error: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many stars a limit on the stated error keeps, and how good these are.

    Args:
        r: Relative errors of the distance, shape (N,).
        relative_error: Stated error of each pseudo-luminosity divided by it.
        limits: Limits to try, shape (M,).

    Returns:
        Share of the stars that each limit keeps, and the median |r| of these (NaN: there are none).
    """
    kept = [relative_error < limit for limit in limits]
    medians = [_median(np.abs(r[rows])) for rows in kept]
    return np.array([_share(rows) for rows in kept]), np.array(medians)


def _metrics(r: np.ndarray, pull: np.ndarray, flagged: np.ndarray, snr: np.ndarray) -> ClassMetrics:
    bright = snr > BRIGHT_SNR
    return ClassMetrics(
        n=len(r),
        median_r=_median(r),
        median_abs_r=_median(np.abs(r)),
        half_width_r=half_width(r),
        median_pull=_median(pull),
        pull_width=half_width(pull),
        pull_outliers=_share(~(np.abs(pull) <= LARGEST_PULL)),
        flagged=_share(flagged),
        n_bright=int(bright.sum()),
        flagged_bright=_share(flagged[bright]),
    )


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else math.nan


def half_width(values: np.ndarray) -> float:
    """Half the range of the middle 68 per cent of what is finite: of a normal distribution, its scatter."""
    values = values[np.isfinite(values)]
    return float(np.diff(np.quantile(values, (LOW, HIGH)))[0] / 2) if len(values) else math.nan


def _share(condition: np.ndarray) -> float:
    return float(condition.mean()) if len(condition) else math.nan


# > Labels from parallaxes, most of which say little


def agreement(
    prediction: np.ndarray, e_prediction: np.ndarray, label: np.ndarray, e_label: np.ndarray, unit: float
) -> dict[str, Any]:
    """Compare N predictions with labels that may be negative.

    Args:
        prediction, e_prediction: Pseudo-luminosities p and their total errors [mas].
        label, e_label: Labels y, linear in the parallax, and their errors [mas].
        unit: ``labels_std`` [mas], in which the likelihood is given.

    Returns:
        Plain JSON; with v = e_p^2 + e_y^2:

        - ``number``: N
        - ``nll``: mean of 0.5 (y - p)^2 / v + 0.5 ln v, in units of ``unit``
        - ``scale``, ``e_scale``: as of :func:`fitted_scale`
        - ``pull_width``: half the range of the middle 68 % of (y - p) / sqrt(v); 1 for honest errors
        - ``scatter``: the same of y / p where e_y < ``PRECISE`` p, and ``number_precise`` of these; ``None``
          where there are none
    """
    p, y = (np.asarray(array, float) for array in (prediction, label))
    variance = np.square(e_prediction, dtype=float) + np.square(e_label, dtype=float)
    factor, e_factor = fitted_scale(p, y, variance)
    precise = np.asarray(e_label) < PRECISE * p
    likelihood = 0.5 * (y - p) ** 2 / variance + 0.5 * np.log(variance / unit**2)
    return {
        "number": len(p),
        "nll": float(likelihood.mean()),
        "scale": factor,
        "e_scale": e_factor,
        "pull_width": half_width((y - p) / np.sqrt(variance)),
        "scatter": half_width(y[precise] / p[precise]) if precise.any() else None,
        "number_precise": int(precise.sum()),
    }


def fitted_scale(prediction: np.ndarray, label: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """The factor of the predictions p that fits the labels y best, and its error.

    It is sum(p y / v) / sum(p^2 / v): linear in the labels, so that negative ones do no harm.

    Args:
        prediction, label: Of N stars, shape (N,).
        variance: Square of both their errors together, v.
    """
    information = np.sum(prediction**2 / variance)
    return float(np.sum(prediction * label / variance) / information), float(information**-0.5)
