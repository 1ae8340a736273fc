"""A template of the Brackett lines of hydrogen on the pixels of APOGEE.

The wavelengths in vacuum follow from Rydberg's formula, 1 / wavelength = R_H (1 / 4^2 - 1 / n^2), so that no
list of lines is needed. Fine structure, and the broadening of the lines by pressure, are left out.
"""

import numpy as np

from astra.spectra.grid import DETECTORS, LOG_WAVELENGTH_0, LOG_WAVELENGTH_STEP

#: The Rydberg constant [1 / m], and the mass of the electron over that of the proton (CODATA 2018).
RYDBERG, ELECTRON_OVER_PROTON = 10_973_731.568160, 1 / 1836.15267343

#: Upper levels of the lines within the detectors: 16811 Angstrom for 11, 15196 Angstrom for 20.
UPPER_LEVELS = np.arange(11, 21)

#: Speed of light [km/s].
LIGHT = 299_792.458

#: The velocity of one pixel: the grid is logarithmic [km/s].
PIXEL = LIGHT * np.log(10) * LOG_WAVELENGTH_STEP

#: Standard deviation of the Gaussian lines [km/s].
WIDTH = 100.0

#: The places on the grid of the pixels of a rectified spectrum: those of the three detectors.
PLACES = np.concatenate([np.arange(start, end) for start, end in DETECTORS])


def line_wavelengths() -> np.ndarray:
    """The vacuum wavelengths of the lines, by their upper levels [Angstrom]."""
    per_metre = RYDBERG / (1 + ELECTRON_OVER_PROTON) * (1 / 4**2 - 1 / UPPER_LEVELS**2)
    return 1e10 / per_metre


def line_depths(places: np.ndarray) -> np.ndarray:
    """How deep the lines are at some places on the grid, which need not be whole: 0 is continuum."""
    lines = (np.log10(line_wavelengths()) - LOG_WAVELENGTH_0) / LOG_WAVELENGTH_STEP
    return np.exp(-0.5 * ((places[:, None] - lines) * PIXEL / WIDTH) ** 2).sum(axis=1)


def shifted_depths(largest: int) -> np.ndarray:
    """The template on the pixels of a rectified spectrum, for each whole shift up to the largest.

    Returns:
        Shape (2 largest + 1, 7514): from the largest shift to the blue to the largest to the red.
    """
    extended = line_depths(np.arange(-largest, PLACES[-1] + largest + 1))
    lags = np.arange(-largest, largest + 1)
    return extended[PLACES - lags[:, None] + largest]
