"""The zero-point of Gaia parallaxes: what is to be subtracted from a published parallax.

Lindegren et al. 2021 (A&A 649, A4, appendix A), as the authors' package ``gaiadr3-zeropoint`` computes it:
for (E)DR3 alone, from magnitude, colour and ecliptic latitude. Beyond the range that the authors state
it is NaN: nothing is extrapolated.
"""

import functools
from collections.abc import Callable

import numpy as np

from astra.ingest.values import GAIA_DR3, RANGES
from astra.pipelines.astronn_dist.distances.distance import Stars

#: Values of ``astrometric_params_solved``: five parameters, and six, where the colour is one of them.
FIVE, SIX = 31, 95

# Open intervals in which the authors' function is valid.
_G_MAG, _NU_EFF, _PSEUDOCOLOUR = (6.0, 21.0), (1.1, 1.9), (1.24, 1.72)


def zero_point(stars: Stars) -> np.ndarray:
    """Zero-points of N parallaxes [mas]; NaN unless all that they depend on is there, and within the range.

    ``parallax = published parallax - zero-point``.
    """
    found = np.full(stars.plx.shape, np.nan)
    solved, nu_eff = stars.astrometric_params_solved, stars.nu_eff_used_in_astrometry
    five = (solved == FIVE) & _within(nu_eff, _NU_EFF)
    six = (solved == SIX) & _within(stars.pseudocolour, _PSEUDOCOLOUR)
    placed = _within(stars.ra, RANGES["ra"]) & (np.abs(stars.dec) <= 90)
    rows = (five | six) & placed & _within(stars.g_mag, _G_MAG) & np.isfinite(stars.parallax()[0])
    if rows.any():
        rows &= stars.astrometry_of(*GAIA_DR3)
    if rows.any():
        latitude = np.degrees(np.arcsin(_sine_of_ecliptic_latitude(stars.ra[rows], stars.dec[rows])))
        inputs = (stars.g_mag[rows], nu_eff[rows], stars.pseudocolour[rows], latitude, solved[rows])
        found[rows] = _authors_function()(*inputs, _warnings=False)
    return found


def _sine_of_ecliptic_latitude(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    ra, dec = np.radians(ra), np.radians(dec)
    direction = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    return np.clip(direction @ _ecliptic_pole(), -1, 1)


@functools.cache
def _ecliptic_pole() -> np.ndarray:
    """The northern pole of the ecliptic of J2000 in ICRS, shape (3,)."""
    from astropy import units
    from astropy.coordinates import ICRS, BarycentricMeanEcliptic

    pole = BarycentricMeanEcliptic(lon=0 * units.deg, lat=90 * units.deg).transform_to(ICRS())
    return pole.cartesian.xyz.value


@functools.cache
def _authors_function() -> Callable[..., np.ndarray]:
    """``zero_point.zpt.get_zpt`` with its tables, which it keeps in the module."""
    from zero_point import zpt

    zpt.load_tables()
    return zpt.get_zpt


def _within(value: np.ndarray, interval: tuple[float, float]) -> np.ndarray:
    return (value > interval[0]) & (value < interval[1])
