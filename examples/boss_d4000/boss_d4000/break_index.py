"""The strength of the 4000 Angstrom break: arrays in, numbers out.

It is the mean flux per unit frequency in a band above the break over that in a band below it. Bands in the
rest frame: broad ones by Bruzual (1983, ApJ 273, 105), narrow ones, which depend less on reddening, by Balogh
et al. (1999, ApJ 527, 54). They are taken as vacuum wavelengths, as those of the spectra are.
"""

from typing import Literal, NamedTuple

import numpy as np

Definition = Literal["narrow", "broad"]

#: The bands below and above the break [Angstrom].
BANDS = {"narrow": ((3850, 3950), (4000, 4100)), "broad": ((3750, 3950), (4050, 4250))}


class Break(NamedTuple):
    """A measured break.

    Attributes:
        strength: Flux above the break over flux below it; NaN where the flux below is not positive.
        error: Its error from the errors of the pixels.
        coverage: The part of the less covered band that was measured, from 0 to 1.
    """

    strength: float
    error: float
    coverage: float


def measure_break(
    wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray, redshift: float, definition: Definition
) -> Break:
    """Measure the break of one spectrum.

    Args:
        wavelength: As observed, ascending, shape (N,) [Angstrom].
        flux: Flux per unit wavelength, shape (N,).
        ivar: Its inverse variance, shape (N,); 0 where a pixel does not count.
        redshift: Of the object.
        definition: Which bands.
    """
    rest = wavelength / (1 + redshift)
    (below, e_below, covered_below), (above, e_above, covered_above) = (
        _mean(rest, flux, ivar, *band) for band in BANDS[definition]
    )
    coverage = min(covered_below, covered_above)
    if not below > 0:
        return Break(np.nan, np.nan, coverage)
    strength = above / below
    return Break(strength, np.hypot(e_above, strength * e_below) / below, coverage)


def _mean(
    rest: np.ndarray, flux: np.ndarray, ivar: np.ndarray, low: float, high: float
) -> tuple[float, float, float]:
    """Mean flux per unit frequency in a band, its error, and the part of the band that was measured."""
    if len(rest) < 2:
        return np.nan, np.nan, 0.0
    # The grid is logarithmic; a pixel beside missing ones is not wider than others.
    width = rest * np.median(np.diff(np.log(rest)))
    used = (rest >= low) & (rest < high) & (ivar > 0)
    total = width[used].sum()
    if not total:
        return np.nan, np.nan, 0.0
    # Flux per unit frequency is that per unit wavelength times wavelength squared, but for a constant.
    weight = width[used] * rest[used] ** 2 / total
    mean = (weight * flux[used]).sum()
    return mean, np.sqrt((weight**2 / ivar[used]).sum()), min(total / (high - low), 1.0)
