"""From the spectrum that a star sends out to the one that a survey stores."""

import functools

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d

from astra.modelling.simulator.emulators import EDGES, NOT_EMULATED
from astra.modelling.simulator.masks import COVERED, SHIFT, MaskModel, telluric_depth
from astra.modelling.simulator.noise import correlated, draw_profiles, draw_understatement, inflation, smooth
from astra.modelling.simulator.simulator import Conditions
from astra.modelling.simulator.stars import Stars
from astra.spectra.grid import BADPIX, DETECTORS, LOG_WAVELENGTH_STEP, N_GRID, PERSIST_HIGH, SKYLINE
from astra.spectra.rectify import MASKED_BITS

#: Width of a pixel [km/s].
PIXEL_KMS = 299792.458 * (10**LOG_WAVELENGTH_STEP - 1)

#: Linear limb darkening in the H band, typical of FGK stars.
LIMB_DARKENING = 0.35

# Fourier transforms of this many points are fast; the pixels that are added hold the continuum.
_LENGTH = 8640

#: Scale of the counts; only ratios matter.
COUNTS = 1000.0

#: What the survey writes as the error of a pixel without a measurement.
NO_DATA = 1e10

# What real spectra have beyond emulated ones when a parabola has been divided out, on average: Legendre
# orders 3 to 6 of each detector. Fitted to the published mean of rectified spectra.
_RESPONSE = (
    (-0.0060, -0.0055, 0.0028, 0.0003),
    (0.0200, -0.0400, 0.0042, 0.0002),
    (-0.0195, 0.0048, -0.0016, -0.0003),
)

# The pixels of each detector, and where on the detector they lie, from -1 to 1.
_DETECTORS = [(slice(begin, end), np.linspace(-1, 1, end - begin)) for begin, end in DETECTORS]

_GAPS = np.delete(np.arange(N_GRID), COVERED)

# Differences of real spectra from emulated ones, by class, in units of the scatter of giants.
_MISMATCH = {
    "rgb": 1.0,
    "red_clump": 1.0,
    "subgiant": 1.3,
    "dwarf": 1.3,
    "m_dwarf": 2.0,
    "hot": 2.0,
    "young": 2.0,
}

# Standard deviation of the curve by which residuals of sky lines fall beyond their masks [pixels].
_SKY_WING = 2.0

# Additional broadening of stars with broad lines, in units of that of the others.
_BROAD = 2.5

# Typical rotation [km/s]: scale of an exponential distribution, by class. Every twentieth star spins faster.
_ROTATION = {
    "rgb": 0.7,
    "red_clump": 0.7,
    "subgiant": 4.0,
    "dwarf": 2.5,
    "m_dwarf": 3.0,
    "hot": 70.0,
    "young": 12.0,
}


def observe(
    flux: np.ndarray,
    stars: Stars,
    scatter: np.ndarray,
    masks: MaskModel,
    rng: Generator,
    conditions: Conditions,
) -> dict[str, np.ndarray]:
    """Observe spectra.

    Args:
        flux: Flux divided by the continuum, shape (N, 8575).
        stars: The N stars, for what depends on their class.
        scatter: How much real spectra differ from emulated ones at each pixel, shape (8575,).
        masks: Where bad pixels and sky lines lie.
        rng: Source of randomness.
        conditions: How strong each effect is.

    Returns:
        The columns ``flux``, ``e_flux``, ``pixel_flags``, ``snr``, ``n_visits`` and ``understated`` of
        :class:`~astra.modelling.simulator.sample.Sample`.
    """
    n = len(flux)
    flux = _mismatched(flux, stars, scatter, rng, conditions)
    flux = _broadened(flux, stars, rng, conditions)
    telluric = np.float32(conditions.telluric) * rng.standard_normal((n, 1), np.float32)
    shift = rng.integers(-SHIFT, SHIFT + 1, n)
    flux *= 1 - telluric * telluric_depth(shift)
    snr = np.exp(rng.uniform(*np.log(conditions.snr), n))
    n_visits = 1 + np.minimum(rng.geometric(0.3, n), 15) * (rng.uniform(size=n) < 0.85)
    flags = masks.draw(n_visits, shift, rng)
    flux += _persistence(flags, snr, rng, conditions)
    flux += _sky_residuals(flags, snr, rng, conditions)
    counts = np.float32(COUNTS) * _continuum(n, rng, conditions)
    sigma, understated = _sigma(flags, snr, rng), draw_understatement(n, rng)
    e_flux = counts * sigma * inflation(flags, rng)
    if conditions.noise:
        noise = sigma * correlated(n, rng)
        for number, (pixels, _) in enumerate(_DETECTORS):
            noise[:, pixels] *= understated[:, number, None]
        # Below sky lines and in bad pixels, the noise is larger still.
        noise[(flags & MASKED_BITS) > 0] *= 1.5
        flux += noise
    flux *= counts
    if conditions.noise:
        # Pixels that no visit measured: of a single visit all bad ones, else few.
        affected = rng.random(n) < np.where(n_visits == 1, 0.95, 0.15)
        lost = ((flags & (1 << BADPIX)) > 0) & affected[:, None]
        flux[lost], e_flux[lost] = 0.0, NO_DATA
    flux[:, _GAPS], e_flux[:, _GAPS] = 0.0, NO_DATA
    flags[:, _GAPS] |= 1 << BADPIX
    seen = {"flux": flux, "e_flux": e_flux, "pixel_flags": flags}
    return seen | {"snr": snr, "n_visits": n_visits, "understated": understated}


# > The star


def _mismatched(
    flux: np.ndarray, stars: Stars, scatter: np.ndarray, rng: Generator, conditions: Conditions
) -> np.ndarray:
    """Spectra as real ones may differ: lines a little stronger or weaker, and unlike the emulator's."""
    n = len(flux)
    size = np.array([_MISMATCH[kind] for kind in stars.kind]) * rng.lognormal(-0.15, 0.5, n)
    flux = flux + smooth(n, 1.5, rng) * (scatter * np.float32(conditions.mismatch)) * size[:, None].astype(
        np.float32
    )
    for begin, end in EDGES:
        flux[:, begin:end] *= 1 + np.float32(conditions.edges) * rng.standard_normal((n, 1), np.float32)
    depth = smooth(n, 6.0, rng) * np.float32(conditions.depth[1])
    for pixels, _ in _DETECTORS:
        depth[:, pixels] += np.float32(conditions.depth[0]) * rng.standard_normal((n, 1), np.float32)
    return 1 - (1 - flux) * (1 + depth)


def _broadened(flux: np.ndarray, stars: Stars, rng: Generator, conditions: Conditions) -> np.ndarray:
    n = len(flux)
    velocity = conditions.velocity * rng.standard_normal(n) * np.where(rng.uniform(size=n) < 1 / 30, 6, 1)
    gaussian = conditions.turbulence * np.abs(rng.standard_normal(n))
    if conditions.broad:
        gaussian *= np.where(rng.uniform(size=n) < conditions.broad, _BROAD, 1.0)
    scale = np.array([_ROTATION[kind] for kind in stars.kind])
    vsini = rng.exponential(scale) * np.where(rng.uniform(size=n) < 0.05, 8, 1)
    warm = (stars.teff > 6200) & (stars.kind != "hot")
    vsini += warm * rng.exponential(12.0, n)
    vsini = np.minimum(vsini, 250.0)
    return broaden(flux, velocity, gaussian, np.where(vsini > 1.5, vsini, 0.0))


def broaden(flux: np.ndarray, velocity: np.ndarray, gaussian: np.ndarray, vsini: np.ndarray) -> np.ndarray:
    """Shift spectra and broaden their lines.

    Args:
        flux: Flux divided by the continuum, shape (N, 8575).
        velocity: Shift to the red [km/s], shape (N,); or (N, E) in each of E exposures that are averaged.
        gaussian: Standard deviation of a Gaussian (turbulence, instrument) [km/s], shape (N,).
        vsini: Projected velocity of rotation [km/s], shape (N,).

    Returns:
        float32 of shape (N, 8575). Rotation has the profile of a sphere with linear limb darkening
        (Gray 2005, The Observation and Analysis of Stellar Photospheres, equation 18.14).
    """
    padded = np.zeros((len(flux), _LENGTH), np.float32)
    padded[:, :N_GRID] = flux - 1
    frequency = 2 * np.pi * np.fft.rfftfreq(_LENGTH).astype(np.float32)
    sigma, rotation = (
        (np.asarray(value, np.float32) / np.float32(PIXEL_KMS))[:, None] for value in (gaussian, vsini)
    )
    transfer = np.exp(-0.5 * (frequency * sigma) ** 2) * _shift(frequency, velocity)
    rotating = np.flatnonzero(rotation[:, 0] > 0)
    widened = np.interp(frequency * rotation[rotating], *_rotation_table(), right=0.0)
    transfer[rotating] *= widened.astype(np.float32)
    return np.fft.irfft(np.fft.rfft(padded) * transfer, _LENGTH)[:, :N_GRID].astype(np.float32) + 1


def _shift(frequency: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """The transform of a shift, or the mean of several, complex64 of shape (N, frequencies)."""
    shifts = np.asarray(velocity, np.float32) / np.float32(PIXEL_KMS)
    shifts = shifts[:, None] if shifts.ndim == 1 else shifts
    total = np.zeros((len(shifts), len(frequency)), np.complex64)
    # Frequencies are in equal steps: a product of two short tables is an exponential of all.
    step, n_fine = -1j * float(frequency[1]), 64
    fine, coarse = np.arange(n_fine), n_fine * np.arange(-(-len(frequency) // n_fine))
    for exposure in shifts.T:
        tables = (np.exp(step * steps * exposure[:, None]).astype(np.complex64) for steps in (coarse, fine))
        turned = np.einsum("nc,nf->ncf", *tables).reshape(len(shifts), len(coarse) * n_fine)
        total += turned[:, : len(frequency)]
    return total / np.float32(shifts.shape[1])


@functools.cache
def _rotation_table() -> tuple[np.ndarray, np.ndarray]:
    """The Fourier transform of the rotation profile of unit width."""
    x = np.linspace(-1, 1, 4001)
    inside = np.clip(1 - x**2, 0, None)
    profile = 2 * (1 - LIMB_DARKENING) * np.sqrt(inside) + 0.5 * np.pi * LIMB_DARKENING * inside
    frequency = np.linspace(0, 400, 4001)
    transform = np.array([profile @ np.cos(x * value) for value in frequency]) / profile.sum()
    return frequency, transform.astype(np.float32)


# > The instrument


def _continuum(n: int, rng: Generator, conditions: Conditions) -> np.ndarray:
    """Shape of the continuum of each detector, of order 1, shape (N, 8575)."""
    continuum, response = np.ones((n, N_GRID), np.float32), _response()
    slope = rng.normal(0, 0.25, n)
    for number, (pixels, x) in enumerate(_DETECTORS):
        basis = np.polynomial.legendre.legvander(x, 8).astype(np.float32)
        scale = np.array([0.0, 0.1, 0.05, *conditions.wiggle * np.sqrt((2 * np.arange(3, 9) + 1) / 6)])
        coefficients = rng.standard_normal((n, 9)) * scale
        coefficients[:, 0] = rng.normal(0, 0.03, n) + slope * (1 - number)
        coefficients[:, 1] -= 0.3 * slope
        size = rng.normal(*conditions.response, (n, 1)).astype(np.float32)
        shape = coefficients.astype(np.float32) @ basis.T + size * response[pixels]
        continuum[:, pixels] = np.clip(1 + shape, 0.05, None)
    return continuum


@functools.cache
def _response() -> np.ndarray:
    """The mean response less 1, shape (8575,); 0 at the ends of detectors, which fit better without it."""
    response = np.zeros(N_GRID, np.float32)
    for (pixels, x), orders in zip(_DETECTORS, _RESPONSE, strict=True):
        response[pixels] = np.polynomial.legendre.legval(x, (0, 0, 0, *orders))
    response[NOT_EMULATED] = 0.0
    return response


def _persistence(flags: np.ndarray, snr: np.ndarray, rng: Generator, conditions: Conditions) -> np.ndarray:
    """Light of earlier exposures, smooth along the detector; stronger in faint stars, absent in most."""
    n = len(flags)
    affected = rng.uniform(size=n) < 0.4
    amount = affected * conditions.persistence * rng.exponential(1.0, n) * np.minimum(1.0, 100 / snr)
    pixels, x = _DETECTORS[0]
    slope, bend = rng.uniform(-1, 1, (n, 1)), 0.3 * rng.standard_normal((n, 1))
    light = np.zeros(flags.shape, np.float32)
    light[:, pixels] = amount[:, None] * np.clip(1 + slope * x + bend * (x**2 - 1 / 3), 0, None)
    light[(flags & (1 << PERSIST_HIGH)) == 0] = 0.0
    return light


def _sky_residuals(flags: np.ndarray, snr: np.ndarray, rng: Generator, conditions: Conditions) -> np.ndarray:
    """Residuals of sky lines: of full size below their masks, smaller beyond these, without a mask."""
    below = ((flags & (1 << SKYLINE)) > 0).astype(np.float32)
    wings = np.minimum(1.0, 2.0 * gaussian_filter1d(below, _SKY_WING, axis=1, truncate=3.0, mode="wrap"))
    size = np.float32(conditions.sky) / snr[:, None].astype(np.float32)
    return size * wings * smooth(len(flags), 1.0, rng)


def _sigma(flags: np.ndarray, snr: np.ndarray, rng: Generator) -> np.ndarray:
    """Error that the visits state together, relative to the continuum, shape (N, 8575)."""
    sigma = draw_profiles(len(snr), rng) / snr[:, None].astype(np.float32)
    # As in real files: the error of bad pixels and below sky lines is a little larger than elsewhere.
    below_sky = (flags & (1 << SKYLINE)) > 0
    sigma = np.where(below_sky, sigma * rng.uniform(1.0, 1.6, (len(snr), 1)).astype(np.float32), sigma)
    bad = (flags & (MASKED_BITS & ~(1 << SKYLINE))) > 0
    return np.where(bad, sigma * np.float32(1.25), sigma)
