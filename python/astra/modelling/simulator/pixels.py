"""Which pixels of apStar spectra the detectors and the published emulators cover."""

import numpy as np

from astra.spectra.grid import DETECTORS, LOG_WAVELENGTH_STEP

#: Width of a pixel [km/s].
PIXEL_KMS = 299792.458 * (10**LOG_WAVELENGTH_STEP - 1)

#: The 7514 pixels of the detectors.
COVERED = np.concatenate([np.arange(*detector) for detector in DETECTORS])

#: The 7214 pixels that the published emulators cover, detector by detector.
EMULATED = np.r_[322:3242, 3648:6048, 6412:8306]

#: First and one-past-last pixel of the six ends of detectors that they do not cover.
EDGES = ((246, 322), (3242, 3274), (3585, 3648), (6048, 6080), (6344, 6412), (8306, 8335))
