"""The correlation of spectra with the template: arrays in, arrays out.

The height of the highest peak is compared with the scatter of the correlation at shifts far from it. Tonry &
Davis (1979, AJ 84, 1511) introduced such a ratio; they take the noise from the antisymmetric part of the
correlation instead, so that these numbers are not their r.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from template_snr.template import PIXEL, WIDTH, shifted_depths

#: How far from the peak the noise begins [km/s]; the correlation of two such lines is sqrt(2) wider than one.
FAR = 3 * np.sqrt(2) * WIDTH

#: How far the correlation is computed beyond the searched range, for its noise [km/s].
BEYOND = 500.0


class Peaks(NamedTuple):
    """The highest peak of each correlation; arrays of shape ``(N,)``.

    Attributes:
        height: The correlation coefficient at the peak, from -1 to 1.
        snr: The height above the mean, over the scatter, of the correlation far from the peak.
        shift: The velocity of the peak, positive where the spectrum is redder than the template [km/s].
        at_edge: Whether the peak is at an end of the searched range, so that its true place is unknown.
    """

    height: np.ndarray
    snr: np.ndarray
    shift: np.ndarray
    at_edge: np.ndarray


def find_peaks(flux: np.ndarray, e_flux: np.ndarray, max_shift: float) -> Peaks:
    """Find the shift at which each spectrum resembles the template most.

    Args:
        flux: Rectified flux, shape (N, 7514).
        e_flux: Its error, same shape; pixels where it is infinite count as continuum.
        max_shift: The largest shift to either side [km/s].
    """
    searched, computed = int(max_shift / PIXEL), int((max_shift + BEYOND) / PIXEL)
    shifts = np.arange(-computed, computed + 1) * PIXEL
    depths = np.clip(np.where(np.isfinite(e_flux), 1 - flux, 0), -1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a spectrum without any line has no correlation
        correlation = np.nan_to_num(_normalised(depths) @ _templates(computed).T)
        rows = np.arange(len(flux))
        first, last = computed - searched, computed + searched
        place = first + correlation[:, first : last + 1].argmax(axis=1)
        far = np.abs(shifts - shifts[place][:, None]) > FAR
        noise = np.where(far, correlation, np.nan)
        height = correlation[rows, place]
        snr = (height - np.nanmean(noise, axis=1)) / np.nanstd(noise, axis=1)
        before, after = correlation[rows, place - 1], correlation[rows, place + 1]
        # The top of the parabola through the highest value and its neighbours.
        within_pixel = 0.5 * (before - after) / (before - 2 * height + after)
    at_edge = (place == first) | (place == last)
    shift = shifts[place] + PIXEL * np.where(at_edge, 0, within_pixel)
    return Peaks(height, snr, shift, at_edge)


@lru_cache(maxsize=1)
def _templates(largest: int) -> np.ndarray:
    return _normalised(shifted_depths(largest))


def _normalised(depths: np.ndarray) -> np.ndarray:
    centred = depths - depths.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=1, keepdims=True))
