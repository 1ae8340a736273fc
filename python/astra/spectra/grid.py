"""The pixels of apStar spectra, 8575 in constant steps of log wavelength, and the bits of their mask."""

import numpy as np

N_GRID = 8575

#: log10 of the vacuum wavelength [Angstrom] of pixel 0, and the step (CRVAL1, CDELT1 of every apStar file).
LOG_WAVELENGTH_0, LOG_WAVELENGTH_STEP = 4.179, 6e-6

#: First and one-past-last pixel of the blue, the green and the red detector.
DETECTORS = ((246, 3274), (3585, 6080), (6344, 8335))

#: Bits of the pixel mask, APOGEE_PIXMASK.
BADPIX, CRPIX, SATPIX, UNFIXABLE, BADDARK, BADFLAT, BADERR, NOSKY, LITTROW = range(9)
PERSIST_HIGH, PERSIST_MED, PERSIST_LOW, SKYLINE, TELLURIC, NOT_ENOUGH_PSF = range(9, 15)


def wavelength() -> np.ndarray:
    """Vacuum wavelength of the pixels, shape ``(8575,)`` [Angstrom]."""
    return 10 ** (LOG_WAVELENGTH_0 + LOG_WAVELENGTH_STEP * np.arange(N_GRID))
