"""The grid of apStar spectra: 8575 pixels in constant steps of log wavelength."""

import numpy as np

N_PIXELS = 8575

#: log10 of the vacuum wavelength [Angstrom] of pixel 0, and the step.
LOG_WAVELENGTH_0, LOG_WAVELENGTH_STEP = 4.179, 6e-6

#: Width of a pixel [km/s].
PIXEL_KMS = 299792.458 * (10**LOG_WAVELENGTH_STEP - 1)

#: First and one-past-last pixel of the blue, the green and the red detector.
DETECTORS = ((246, 3274), (3585, 6080), (6344, 8335))

#: The 7514 pixels of the detectors.
COVERED = np.concatenate([np.arange(*detector) for detector in DETECTORS])

#: The 7214 pixels that the published emulators cover, detector by detector.
EMULATED = np.r_[322:3242, 3648:6048, 6412:8306]

#: First and one-past-last pixel of the six ends of detectors that they do not cover.
EDGES = ((246, 322), (3242, 3274), (3585, 3648), (6048, 6080), (6344, 6412), (8306, 8335))


def wavelength() -> np.ndarray:
    """Vacuum wavelength of the pixels [Angstrom], shape (8575,)."""
    return 10 ** (LOG_WAVELENGTH_0 + LOG_WAVELENGTH_STEP * np.arange(N_PIXELS))
