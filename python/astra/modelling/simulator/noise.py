"""Noise like that of real spectra: correlated between pixels, and larger than the stated error.

The numbers were measured on 22 real apStar files of three data releases, from the differences between visits
to the same star and from the errors that the files state (``benchmarks/real_noise.py`` prints them again, and
draws ``docs/noise.png``). Resampling to the common wavelengths makes neighbouring pixels alike; what is left
of sky, tellurics and response makes pixels alike over some tens of pixels.
"""

import functools

import numpy as np
from numpy.random import Generator
from scipy import fft

from astra.spectra.grid import DETECTORS, N_GRID, PERSIST_HIGH, PERSIST_LOW, PERSIST_MED, SKYLINE

#: Correlation of the noise at separations of 1 to 8 pixels: blue, green and red detector.
NEAR = (
    (0.437, -0.033, 0.137, 0.103, 0.015, 0.098, 0.071, 0.038),
    (0.477, 0.038, 0.186, 0.151, 0.081, 0.131, 0.101, 0.081),
    (0.384, -0.023, 0.171, 0.102, 0.073, 0.117, 0.072, 0.087),
)

#: Further away it is this, times ``exp(-separation / FAR_PIXELS)``.
FAR, FAR_PIXELS = (0.077, 0.140, 0.120), 33.0

#: Noise over stated error on the three detectors: from the best of spectra to the worst.
UNDERSTATED = (1.07, 1.09, 0.97), (1.28, 1.36, 1.20)

#: Legendre orders 0 to 3 of ln(error / continuum) along each detector, and their scatter from star to star.
PROFILE = (
    (-0.084, -0.103, 0.093, 0.010),
    (-0.156, 0.092, 0.137, -0.018),
    (0.242, 0.353, 0.102, 0.052),
)
PROFILE_SCATTER = (
    (0.050, 0.052, 0.029, 0.019),
    (0.050, 0.027, 0.078, 0.027),
    (0.077, 0.044, 0.026, 0.015),
)

# Since DR13 the variance of a visit counts so many times in pixels with persistence. Three spectra in four
# are of such a release; in each, some or all of the visits have the persistence that the mask shows. In a
# quarter, pixels with little persistence count 300 times.
_PERSISTENCE = {PERSIST_LOW: 3.0, PERSIST_MED: 4.0, PERSIST_HIGH: 5.0}
_RECENT, _EXAGGERATED = 0.75, 0.25
_EXAGGERATION = 300.0

# DR17 states errors below sky lines that are so many times larger; one spectrum in three is of this release.
_BELOW_SKY, _LATEST = 20.0, 1 / 3

_ORDER = len(PROFILE[0]) - 1

# Pixels between the end of a stretch and its beginning, which transforms take for neighbours.
_APART = 200


def correlated(n: int, rng: Generator) -> np.ndarray:
    """Noise of unit variance, float32 of shape (n, 8575); 0 between the detectors."""
    noise = np.zeros((n, N_GRID), np.float32)
    for number, (begin, end) in enumerate(DETECTORS):
        noise[:, begin:end] = stretches(number, n, end - begin, rng)
    return noise


def stretches(number: int, n: int, size: int, rng: Generator) -> np.ndarray:
    """Noise of unit variance as a detector has it.

    Args:
        number: Which detector, from 0.
        n: How many independent stretches.
        size: Pixels of each.
        rng: Source of randomness.

    Returns:
        float32 of shape (n, size).
    """
    length = fft.next_fast_len(size + _APART, real=True)
    return _coloured(n, length, _amplitude(number, length), rng)[:, :size]


def smooth(n: int, sigma: float, rng: Generator) -> np.ndarray:
    """Noise of unit variance, coherent over pixels as a Gaussian is, float32 of shape (n, 8575).

    The ends of a spectrum are neighbours.
    """
    return _coloured(n, N_GRID, _bell_amplitude(sigma), rng)


def _coloured(n: int, length: int, amplitude: np.ndarray, rng: Generator) -> np.ndarray:
    """Noise from its transform: that of white noise is white noise, times an amplitude; shape (n, length)."""
    white = rng.standard_normal((n, 2 * len(amplitude)), np.float32).view(np.complex64)
    white *= amplitude
    return fft.irfft(white, length, overwrite_x=True)


def correlation(number: int, separation: np.ndarray) -> np.ndarray:
    """Correlation of the noise of a detector at these separations [pixels], as the simulation has it."""
    near = np.array([1.0, *NEAR[number]])
    separation = np.asarray(separation)
    far = FAR[number] * np.exp(-separation / FAR_PIXELS)
    return np.where(separation < len(near), near[np.minimum(separation, len(near) - 1)], far)


@functools.lru_cache(maxsize=16)
def _amplitude(number: int, length: int) -> np.ndarray:
    """What to multiply the transform of white noise by, float32 of shape (length // 2 + 1,)."""
    separation = np.arange(length)
    around = np.minimum(separation, length - separation)
    return _of_unit_variance(fft.rfft(correlation(number, around)).real, length)


@functools.lru_cache(maxsize=16)
def _bell_amplitude(sigma: float) -> np.ndarray:
    return _of_unit_variance(np.exp(-((2 * np.pi * sigma * fft.rfftfreq(N_GRID)) ** 2)), N_GRID)


def _of_unit_variance(power: np.ndarray, length: int) -> np.ndarray:
    """The amplitude that goes with a spectrum of power, for noise of unit variance and this length."""
    power = np.clip(power, 0.0, None)
    return np.sqrt(0.5 * length * length * power / (2 * power[1:].sum() + power[0])).astype(np.float32)


def draw_understatement(n: int, rng: Generator) -> np.ndarray:
    """How many times larger the noise is than stated, by spectrum and detector, float32 of shape (n, 3)."""
    best, worst = np.float32(UNDERSTATED)
    return best + (worst - best) * rng.random((n, 1), np.float32)


def draw_profiles(n: int, rng: Generator) -> np.ndarray:
    """Errors along the pixels, about 1 on average, float32 of shape (n, 8575); 1 between the detectors."""
    profiles = np.ones((n, N_GRID), np.float32)
    for (begin, end), mean, scatter in zip(DETECTORS, PROFILE, PROFILE_SCATTER, strict=True):
        basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, end - begin), _ORDER).astype(np.float32)
        coefficients = np.float32(mean) + np.float32(scatter) * rng.standard_normal(
            (n, len(mean)), np.float32
        )
        np.exp(coefficients @ basis.T, out=profiles[:, begin:end])
    return profiles


def inflation(flags: np.ndarray, rng: Generator) -> np.ndarray:
    """How many times larger than the noise errors are stated on purpose, where spectra cannot be trusted.

    Args:
        flags: apStar mask bits, shape (n, 8575): persistence and sky lines count.
        rng: Source of randomness.

    Returns:
        float32 of the same shape.
    """
    n = len(flags)
    share = np.where(rng.random(n) < _RECENT, rng.uniform(0.2, 1.4, n).clip(0, 1), 0.0)
    exaggerated = rng.random(n) < _EXAGGERATED
    factor = np.ones(flags.shape, np.float32)
    for bit, times in _PERSISTENCE.items():
        variance = np.where(exaggerated, _EXAGGERATION, times) if bit == PERSIST_LOW else times
        sized = np.sqrt(1 + share * (variance - 1)).astype(np.float32)
        np.copyto(factor, sized[:, None], where=(flags & (1 << bit)) > 0)
    latest = np.where(rng.random(n) < _LATEST, np.float32(_BELOW_SKY), np.float32(1))[:, None]
    return np.where((flags & (1 << SKYLINE)) > 0, factor * latest, factor)
