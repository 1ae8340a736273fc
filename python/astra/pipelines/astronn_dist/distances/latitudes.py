"""Latitudes of places on the sky above the planes of the ecliptic and of the Galaxy."""

import functools

import numpy as np


def ecliptic_latitude(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Latitudes above the ecliptic of J2000 [deg] of places in ICRS [deg]; NaN for those that are NaN."""
    return _above(_ecliptic_pole(), ra, dec)


def galactic_latitude(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Latitudes above the plane of the Galaxy [deg] of places in ICRS [deg]; NaN for those that are NaN."""
    return _above(_direction(*_GALACTIC_POLE), ra, dec)


# By the definition of galactic coordinates [deg].
_GALACTIC_POLE = (192.85948, 27.12825)


@functools.cache
def _ecliptic_pole() -> np.ndarray:
    """The northern pole of the ecliptic of J2000 in ICRS, shape (3,)."""
    from astropy import units
    from astropy.coordinates import ICRS, BarycentricMeanEcliptic

    pole = BarycentricMeanEcliptic(lon=0 * units.deg, lat=90 * units.deg).transform_to(ICRS())
    return pole.cartesian.xyz.value


def _above(pole: np.ndarray, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    return np.degrees(np.arcsin(np.clip(_direction(ra, dec) @ pole, -1, 1)))


def _direction(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
