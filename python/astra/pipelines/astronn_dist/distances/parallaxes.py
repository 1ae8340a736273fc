"""The parallax from the spectrum, that of Gaia, and their weighted mean.

A parallax is linear in the luminosity: where the distance is skewed, its error is as good as normal, and a
mean of parallaxes is not biased, negative ones among them.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from astra.pipelines.astronn_dist.distances.distance import LARGEST_DISTANCE, Stars
from astra.pipelines.astronn_dist.distances.zero_point import zero_point


def spectroscopic_parallax(fakemag: ArrayLike, k_mag: ArrayLike, a_k_mag: ArrayLike) -> np.ndarray:
    """The parallax from a luminosity and a magnitude: ``L_fakemag 10^(-0.2 (k_mag - A_K))`` [mas].

    It is 1000 / dist, but has no largest distance.

    Args:
        fakemag: Pseudo-luminosity ``L_fakemag`` [mas].
        k_mag: Apparent Ks magnitude [mag]; NaN where missing.
        a_k_mag: Extinction in Ks [mag].

    Returns:
        Parallaxes; NaN where a luminosity is not positive and finite, or the magnitude is missing.
    """
    fakemag = np.asarray(fakemag, float)
    with np.errstate(all="ignore"):
        parallax = fakemag * 10 ** (-0.2 * (np.asarray(k_mag, float) - np.asarray(a_k_mag, float)))
        return np.where((fakemag > 0) & np.isfinite(parallax), parallax, np.nan)


def gaia_parallax(stars: Stars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaia parallaxes, as far as possible without their zero-point.

    Returns:
        Zero-points, NaN where there is none; parallaxes, from which it was subtracted where it is known; and
        their errors, which are those of the catalogue [mas].
    """
    parallax, e_parallax = stars.parallax()
    offset = zero_point(stars)
    return offset, parallax - np.where(np.isnan(offset), 0.0, offset), e_parallax


def parallax_pull(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """The difference of the parallaxes of spectrum and Gaia in units of its error; NaN without both.

    ``(nn_parallax - gaia_parallax) / sqrt(e_nn_parallax^2 + e_gaia_parallax^2)``

    Args:
        found: Columns of results by name, shape (N,).
    """
    error = np.hypot(found["e_nn_parallax"], found["e_gaia_parallax"])
    with np.errstate(all="ignore"):
        pull = (found["nn_parallax"] - found["gaia_parallax"]) / error
    return np.where(np.isfinite(pull), pull, np.nan)


def weighted_parallax(*measurements: tuple[ArrayLike, ArrayLike]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of independent parallaxes of the same stars, weighted by ``1 / error^2``.

    Args:
        *measurements: Parallaxes and their errors, shape (N,) [mas]. A pair counts if the parallax is
            finite, whatever its sign, and its error finite and positive.

    Returns:
        The mean and its error, ``1 / sqrt(sum of weights)`` [mas]; NaN where nothing counts.
    """
    weights, products = 0.0, 0.0
    with np.errstate(all="ignore"):
        for parallax, error in measurements:
            parallax, error = np.asarray(parallax, float), np.asarray(error, float)
            weight = np.where(np.isfinite(parallax) & (error > 0), error, np.inf) ** -2.0
            weights = weights + weight
            products = products + weight * np.where(weight > 0, parallax, 0.0)
        mean, e_mean = products / weights, weights**-0.5
    known = np.isfinite(mean) & np.isfinite(e_mean)
    return np.where(known, mean, np.nan), np.where(known, e_mean, np.nan)


def inverted(parallax: ArrayLike, e_parallax: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Distances from parallaxes [mas], and their errors to first order: ``dist e / parallax`` [pc].

    Returns:
        Distances and errors; both NaN where the parallax is not positive, or the distance beyond 1e10 pc.
    """
    parallax, e_parallax = np.asarray(parallax, float), np.asarray(e_parallax, float)
    with np.errstate(all="ignore"):
        dist = 1000 / np.where(parallax > 0, parallax, np.nan)
        dist = np.where(dist <= LARGEST_DISTANCE, dist, np.nan)
        e_dist = dist * (e_parallax / parallax)
    return dist, np.where(np.isfinite(e_dist), e_dist, np.nan)
