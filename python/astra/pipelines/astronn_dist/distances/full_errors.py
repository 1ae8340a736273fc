"""Errors of distances from the errors of all inputs: the luminosity, the Ks magnitude, the reddening.

With ``r = e_L_fakemag / L_fakemag`` and ``s = 0.2 ln(10) sqrt(e_k_mag^2 + (0.3517 e_ebv)^2)``, a distance is
distributed as ``dist exp(s z) / (1 + r t)``: ``z`` is normal, and so is ``t``, but truncated where the
luminosity would be negative. Mean and variance of this do not exist without the truncation, and mean little
with it, since 1/L is skewed; so its percentiles are given, and half their interval as the error.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from astra.ingest.values import A_K_PER_EBV, FILLER, LARGEST_MAGNITUDE_ERROR
from astra.pipelines.astronn_dist.distances.distance import error

#: The percentiles, as deviations of a normal distribution: 15.87 and 84.13 %.
DEVIATIONS = np.array([[-1.0], [1.0]])

# Up to here s is small enough for few nodes; and up to here s / r for any.
_SMALL, _WIDEST = 0.3, 6.0
# Newton's method ends after three or four steps, bisection in its place after thirty. It is quadratic: a step
# this small ends at the last digits.
_MOST_STEPS, _SMALL_STEP = 60, 1e-5

#: Density and cumulative distribution at logarithms of shape (2, N).
Distribution = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class _Rule:
    """The trapezoidal rule over a normal distribution, shape (nodes,).

    It converges exponentially (Trefethen & Weideman 2014, SIAM Review 56, 385) where what is integrated is
    smooth on the scale of the step.
    """

    def __init__(self, step: float, count: int) -> None:
        self.nodes = step * np.arange(-count, count + 1)
        self.weights = step * _normal(self.nodes)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean of values of shape (…, nodes); to the last digit the same whatever stands beside them."""
        return (values * self.weights).sum(axis=-1)


def magnitude_error(e_k_mag: ArrayLike, e_ebv: ArrayLike) -> np.ndarray:
    """What the errors of Ks and E(B-V) add to the logarithm of a distance: ``0.2 ln(10) e(Ks - A_K)``.

    Args:
        e_k_mag: Errors of the Ks magnitudes [mag].
        e_ebv: Errors of the reddenings [mag].

    Returns:
        Relative errors of the distances; an error that is absent or a filler counts as 0.
    """
    e_k_mag, e_ebv = error(e_k_mag, LARGEST_MAGNITUDE_ERROR), error(e_ebv, FILLER)
    return 0.2 * np.log(10) * np.hypot(e_k_mag, A_K_PER_EBV * e_ebv)


def percentiles(relative: ArrayLike, e_magnitude: ArrayLike) -> np.ndarray:
    """The 16th and the 84th percentile of distances, in units of the distance that the numbers alone give.

    Args:
        relative: Relative errors r of N luminosities.
        e_magnitude: Relative errors s of the distances from Ks and E(B-V), as by ``magnitude_error``.

    Returns:
        Factors, shape (2, N); NaN where an error is negative or not finite.
    """
    r, s = np.broadcast_arrays(np.atleast_1d(np.asarray(relative, float)), np.asarray(e_magnitude, float))
    known = np.isfinite(r) & np.isfinite(s) & (r >= 0) & (s >= 0)
    factors = np.where(known & (r == 0) & (s == 0), 1.0, np.full((2, 1), np.nan))
    with np.errstate(all="ignore"):
        known &= r + s > 0
        small, widest = (s <= r) & (s <= _SMALL), s > _WIDEST * r
        for rows, over, rule in (
            (known & small, _over_magnitudes, _FEW),
            (known & ~small & ~widest, _over_magnitudes, _MANY),
            # Integrated over luminosities, the integrand is smooth here, too.
            (known & widest, _over_luminosities, _FEW),
        ):
            if rows.any():
                factors[:, rows] = _solved(over(rule, r[rows], s[rows]), r[rows], s[rows])
    return factors


def _over_magnitudes(rule: _Rule, r: np.ndarray, s: np.ndarray) -> Distribution:
    shift, width = s[:, None] * rule.nodes, r[:, None]
    positive = _normal_below(1 / r)

    def distribution(logarithm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        excess = np.expm1(shift - logarithm[..., None])
        reach = -excess / width
        density = _normal(reach) * (1 + excess) / width
        return rule.mean(density) / positive, rule.mean(_normal_below(reach)) / positive

    return distribution


def _over_luminosities(rule: _Rule, r: np.ndarray, s: np.ndarray) -> Distribution:
    light = np.log(np.maximum(1 + r[:, None] * rule.nodes, 0))
    width, positive = s[:, None], _normal_below(1 / r)

    def distribution(logarithm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reach = (logarithm[..., None] + light) / width
        density = _normal(reach) / width
        return rule.mean(density) / positive, rule.mean(_normal_below(reach)) / positive

    return distribution


def _solved(distribution: Distribution, r: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Where the distribution reaches the percentiles: Newton's method, with bisection where it strays."""
    from scipy.special import ndtri

    # The sum of two independent numbers: 7 % + 2.3 % are on the far side of either bound.
    low = np.tile(_without_magnitude(0.07, r) - 2 * s, (2, 1))
    high = np.tile(_without_magnitude(0.93, r) + 2 * s, (2, 1))
    logarithm = np.clip(_without_magnitude(_normal_below(DEVIATIONS), r) + DEVIATIONS * 0.5 * s, low, high)
    found = np.zeros(logarithm.shape, bool)
    for _ in range(_MOST_STEPS):
        density, below = distribution(logarithm)
        deviation = ndtri(below)
        low = np.where(deviation < DEVIATIONS, logarithm, low)
        high = np.where(deviation > DEVIATIONS, logarithm, high)
        # In deviations, which are nearly linear in the logarithm.
        following = logarithm - (deviation - DEVIATIONS) * _normal(deviation) / density
        inside = (following >= low) & (following <= high)
        following = np.where(inside, following, 0.5 * (low + high))
        # What was found stays, so that a star does not depend on those beside it.
        following = np.where(found, logarithm, following)
        found |= np.abs(following - logarithm) < _SMALL_STEP
        logarithm = following
        if found.all():
            break
    return np.exp(logarithm)


def _without_magnitude(share: ArrayLike, r: np.ndarray) -> np.ndarray:
    """The logarithm below which a share of the distances lies if only the luminosity has an error."""
    from scipy.special import ndtri

    return -np.log(1 - r * ndtri(share * _normal_below(1 / r)))


def _normal(deviation: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * deviation**2) / np.sqrt(2 * np.pi)


def _normal_below(deviation: ArrayLike) -> np.ndarray:
    from scipy.special import ndtr

    return ndtr(deviation)


_FEW, _MANY = _Rule(0.8, 7), _Rule(0.2, 30)
