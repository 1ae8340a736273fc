"""From the pseudo-luminosity of a star, its Ks magnitude and its extinction to a distance.

The network predicts ``L_fakemag = 10^(0.2 M_Ks + 2) = parallax 10^(0.2 Ks_0)``, in mas for a parallax in
mas: larger is fainter, and it is never negative (Leung & Bovy 2019, MNRAS 489, 2079). So the distance in
parsecs is ``1000 10^(0.2 Ks_0) / L_fakemag``, with ``Ks_0`` free of extinction.

All functions take numbers or arrays, any of which may be NaN, infinite or ``None``, and warn of nothing.
Which values of a catalogue are measurements, and which are fillers, is decided here, too.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from astra.ingest import values
from astra.ingest.values import A_K_PER_EBV

#: From this relative error on, a pseudo-luminosity is unreliable.
UNRELIABLE = 0.2

#: From this RUWE on, Gaia's astrometry does not fit a single star (Lindegren 2018, GAIA-C3-TN-LU-LL-124).
BAD_RUWE = 1.4

#: No star is farther away [pc].
LARGEST_DISTANCE = 1e10


@dataclass(frozen=True)
class Stars:
    """What catalogues say of N stars; arrays of shape (N,), NaN (or an empty text) where they say nothing.

    Names and numbers are those of the table of sources: magnitudes and E(B-V) [mag], parallaxes [mas],
    coordinates [deg], effective wavenumbers [um-1]. Bits are numbers, too; ``TEXTS`` are texts.
    """

    k_mag: np.ndarray
    e_k_mag: np.ndarray
    ebv: np.ndarray
    e_ebv: np.ndarray
    plx: np.ndarray
    e_plx: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    j_mag: np.ndarray
    g_mag: np.ndarray
    bp_mag: np.ndarray
    rp_mag: np.ndarray
    ruwe: np.ndarray
    nu_eff_used_in_astrometry: np.ndarray
    pseudocolour: np.ndarray
    astrometric_params_solved: np.ndarray
    e_j_mag: np.ndarray
    h_mag: np.ndarray
    e_h_mag: np.ndarray
    ebv_flags: np.ndarray
    ph_qual: np.ndarray
    cc_flg: np.ndarray
    gaia_release: np.ndarray

    @classmethod
    def of(cls, values: Mapping[str, Any], count: int) -> "Stars":
        """Stars from values by name, each one value for all stars or N of them; ``None`` is absent."""

        def column(name: str) -> np.ndarray:
            kind = object if name in TEXTS else float
            return np.broadcast_to(np.asarray(values.get(name), kind), (count,))

        return cls(**{name: column(name) for name in NAMES})

    def __getitem__(self, part: slice) -> "Stars":
        """Some of the stars."""
        return Stars(*(getattr(self, field.name)[part] for field in dataclasses.fields(self)))

    def parallax(self) -> tuple[np.ndarray, np.ndarray]:
        """Gaia parallaxes and errors [mas]; both NaN unless both are measurements."""
        measured = (self.e_plx > 0) & (self.e_plx < values.LARGEST_PARALLAX_ERROR)
        measured &= np.abs(self.plx) < values.LARGEST_PARALLAX
        return np.where(measured, self.plx, np.nan), np.where(measured, self.e_plx, np.nan)

    def known(self, name: str) -> np.ndarray:
        """The numbers of a column, by its name; NaN for fillers, outside the range of true values."""
        low, high = values.RANGES[name]
        numbers = getattr(self, name)
        return np.where((numbers > low) & (numbers < high), numbers, np.nan)

    def astrometry_of(self, *releases: str) -> np.ndarray:
        """Whether the astrometry is of one of some releases, e.g. ``"dr3"``, also spelled ``Gaia DR3``."""
        return np.array([values.gaia_release(text) in releases for text in self.gaia_release], bool)


#: All that is used of a star, and what of it is text.
NAMES = tuple(field.name for field in dataclasses.fields(Stars))
TEXTS = ("ph_qual", "cc_flg", "gaia_release")


def usable_k_mag(k_mag: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Apparent Ks magnitudes to compute with [mag].

    Returns:
        The magnitudes, 0 where missing; and whether they are missing: not finite, <= -1 or >= 98.
    """
    return _within(k_mag, values.SMALLEST_K_MAG, values.FILLER)


def usable_ebv(ebv: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Reddenings E(B-V) to compute with [mag].

    Returns:
        The reddenings, 0 where missing; and whether they are missing: not finite, <= 0 or >= 98.
    """
    return _within(ebv, 0.0, values.FILLER)


def error(value: ArrayLike, below: float) -> np.ndarray:
    """Errors to compute with: 0 where one is absent, not finite, negative or, from ``below`` on, a filler."""
    value = _floats(value)
    return np.where((value >= 0) & (value < below), value, 0.0)


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
    return plausible(dist), plausible(e_dist)


def unreliable(fakemag: ArrayLike, e_fakemag: ArrayLike) -> np.ndarray:
    """Whether a pseudo-luminosity is too uncertain: its relative error is >= 0.2, or not a number."""
    fakemag, e_fakemag = _floats(fakemag), _floats(e_fakemag)
    with np.errstate(all="ignore"):
        relative = e_fakemag / fakemag
    return ~(np.isfinite(fakemag) & (fakemag > 0) & (relative >= 0) & (relative < UNRELIABLE))


def plausible(dist: np.ndarray) -> np.ndarray:
    """The same distances, or errors of distances [pc]; NaN for those that are negative or beyond 1e10 pc."""
    return np.where((dist >= 0) & (dist <= LARGEST_DISTANCE), dist, np.nan)


def _floats(value: ArrayLike) -> np.ndarray:
    return np.asarray(value, dtype=float)


def _within(value: ArrayLike, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    value = _floats(value)
    usable = (value > low) & (value < high)
    return np.where(usable, value, 0.0), ~usable
