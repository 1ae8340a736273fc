"""Doppler shifts and broadening of spectra on pixels of constant velocity."""

import functools

import numpy as np

from astra.modelling.simulator.pixels import PIXEL_KMS
from astra.spectra.grid import N_GRID

# Transforms of 8640 points are fast; the pixels added are continuum.
_LENGTH = 8640

#: Linear limb darkening in the H band, typical of FGK stars.
LIMB_DARKENING = 0.35


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
    transfer[rotating] *= _rotation(frequency * rotation[rotating])
    return np.fft.irfft(np.fft.rfft(padded) * transfer, _LENGTH)[:, :N_GRID].astype(np.float32) + 1


def _shift(frequency: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """The transform of a shift, or the mean of several, complex64 of shape (N, frequencies)."""
    shifts = np.asarray(velocity, np.float32) / np.float32(PIXEL_KMS)
    shifts = shifts[:, None] if shifts.ndim == 1 else shifts
    total = np.zeros((len(shifts), len(frequency)), np.complex64)
    for exposure in shifts.T:
        total += np.exp(-1j * frequency * exposure[:, None]).astype(np.complex64)
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


def _rotation(frequency: np.ndarray) -> np.ndarray:
    table = _rotation_table()
    return np.interp(frequency, *table, right=0.0).astype(np.float32)
