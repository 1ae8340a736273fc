"""From the pseudo-luminosity of a star, its Ks magnitude and its extinction to a distance.

The network predicts ``L_fakemag = 10^(0.2 M_Ks + 2) = parallax 10^(0.2 Ks_0)``, in mas for a parallax in
mas: larger is fainter, and it is never negative (Leung & Bovy 2019, MNRAS 489, 2079). So the distance in
parsecs is ``1000 10^(0.2 Ks_0) / L_fakemag``, with ``Ks_0`` free of extinction.

All functions take numbers or arrays, any of which may be NaN, infinite or ``None``, and warn of nothing.
"""

import numpy as np
from numpy.typing import ArrayLike

from astra.ingest.values import A_K_PER_EBV, FILLER, SMALLEST_K_MAG

#: From this relative error on, a pseudo-luminosity is unreliable.
UNRELIABLE = 0.2

#: No star is farther away [pc].
LARGEST_DISTANCE = 1e10


def usable_k_mag(k_mag: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Apparent Ks magnitudes to compute with [mag].

    Returns:
        The magnitudes, 0 where missing; and whether they are missing: not finite, <= -1 or >= 98.
    """
    return _within(k_mag, SMALLEST_K_MAG, FILLER)


def usable_ebv(ebv: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Reddenings E(B-V) to compute with [mag].

    Returns:
        The reddenings, 0 where missing; and whether they are missing: not finite, <= 0 or >= 98.
    """
    return _within(ebv, 0.0, FILLER)


def extinction(ebv: ArrayLike) -> np.ndarray:
    """Extinction in Ks, ``A_K = 0.3517 E(B-V)`` [mag]."""
    return A_K_PER_EBV * _floats(ebv)


def distance(
    fakemag: ArrayLike, e_fakemag: ArrayLike, k_mag: ArrayLike, a_k_mag: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Heliocentric distances and their errors.

    ``dist = 10^(0.2 (k_mag - A_K) + 3) / L_fakemag`` and ``e_dist = dist e_L_fakemag / L_fakemag``: the
    errors of the magnitude and of the extinction are left out.

    Args:
        fakemag: Pseudo-luminosity ``L_fakemag`` [mas].
        e_fakemag: Its error [mas].
        k_mag: Apparent Ks magnitude [mag].
        a_k_mag: Extinction in Ks [mag].

    Returns:
        Distance and error [pc]; each is NaN, independently of the other, where it is not finite, negative
        or larger than 1e10 pc. Both are NaN where the pseudo-luminosity is not a positive number.
    """
    fakemag, e_fakemag = _floats(fakemag), _floats(e_fakemag)
    luminous = np.isfinite(fakemag) & (fakemag > 0)
    with np.errstate(all="ignore"):
        dist = 10 ** (0.2 * (_floats(k_mag) - _floats(a_k_mag)) + 3) / np.where(luminous, fakemag, np.nan)
        e_dist = dist * (e_fakemag / fakemag)
    return near(dist), near(e_dist)


def unreliable(fakemag: ArrayLike, e_fakemag: ArrayLike) -> np.ndarray:
    """Whether a pseudo-luminosity is too uncertain: its relative error is >= 0.2, or not a number."""
    fakemag, e_fakemag = _floats(fakemag), _floats(e_fakemag)
    with np.errstate(all="ignore"):
        relative = e_fakemag / fakemag
    reliable = np.isfinite(fakemag) & (fakemag > 0) & (relative >= 0) & (relative < UNRELIABLE)
    return ~reliable


def _floats(value: ArrayLike) -> np.ndarray:
    return np.asarray(value, dtype=float)


def near(dist: np.ndarray) -> np.ndarray:
    return np.where((dist >= 0) & (dist <= LARGEST_DISTANCE), dist, np.nan)


def _within(value: ArrayLike, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    value = _floats(value)
    usable = (value > low) & (value < high)
    return np.where(usable, value, 0.0), ~usable
