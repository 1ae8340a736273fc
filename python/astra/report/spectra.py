"""The spectrum of one star, as it was read and as the network sees it."""

from dataclasses import dataclass

import numpy as np

from astra.errors import ConfigError, SpectrumError
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.spectra.continuum_pixels import CHIPS
from astra.spectra.grid import DETECTORS, wavelength
from astra.spectra.rectify import rectify, usable


@dataclass(frozen=True)
class Pixels:
    """A spectrum on the pixels of the three detectors, arrays of shape (7514,).

    Attributes:
        wavelength: Vacuum wavelength in the rest frame of the star [Angstrom].
        flux: As in the file [10^-17 erg / (s cm2 Angstrom)].
        rectified, e_rectified: Divided by the continuum; 1 where a pixel is masked.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    rectified: np.ndarray
    e_rectified: np.ndarray


def read_pixels(spectrum: ApogeeCoaddedSpectrumInApStar) -> Pixels | str:
    """Read and rectify a spectrum; why it cannot be shown, if it cannot."""
    try:
        read = spectrum.read()
    except (SpectrumError, ConfigError) as error:
        return f"The spectrum cannot be read: {error}"
    arrays = read.flux[None], read.e_flux[None], read.pixel_flags[None]
    if not usable(*arrays)[0]:
        return f"The spectrum has no usable pixel: {spectrum.path}"
    rectified, e_rectified = rectify(*arrays)
    seen = np.concatenate([np.arange(first, end) for first, end in DETECTORS])
    return Pixels(wavelength()[seen], read.flux[seen], rectified[0], e_rectified[0])


def drawn_line(values: np.ndarray, every: int) -> np.ndarray:
    """Means of so many neighbouring pixels, with a gap (NaN) after each detector.

    Args:
        values: Shape (7514,).
        every: Pixels in one mean; what is left over at the end of a detector is left out.
    """
    pieces = []
    for chip in CHIPS:
        part = values[chip]
        part = part[: len(part) // every * every].reshape(-1, every)
        pieces += [part.mean(axis=1), [np.nan]]
    return np.concatenate(pieces)
