"""How much of a spectrum the network sees: the share of its pixels that can be used."""

from typing import NamedTuple

import numpy as np

from astra.spectra.combined import CombinedSpectrum
from astra.spectra.grid import DETECTORS, N_PIXELS
from astra.spectra.rectify import MASKED_BITS


class Coverage(NamedTuple):
    """Shares of the pixels of all detectors and of each that can be used, from 0 to 1."""

    coverage: float
    coverage_blue: float
    coverage_green: float
    coverage_red: float


def coverage_of(spectrum: CombinedSpectrum) -> Coverage:
    """Count the pixels as ``rectify.usable`` does: a finite flux that is not 0, a finite error, no mask."""
    arrays = spectrum.flux, spectrum.e_flux, spectrum.pixel_flags
    return Coverage(*coverages(*(array[None] for array in arrays))[0].tolist())


def coverages(flux: np.ndarray, e_flux: np.ndarray, pixel_flags: np.ndarray) -> np.ndarray:
    """The coverage of N spectra, as of :func:`coverage_of`.

    Args:
        flux, e_flux, pixel_flags: As in :class:`CombinedSpectrum`, shape (N, 8575).

    Returns:
        Shape (N, 4), columns as in :class:`Coverage`.
    """
    measured = np.isfinite(flux) & (flux != 0) & np.isfinite(e_flux) & ((pixel_flags & MASKED_BITS) == 0)
    sizes = [end - start for start, end in DETECTORS]
    usable = np.stack([np.count_nonzero(measured[:, start:end], axis=1) for start, end in DETECTORS], axis=1)
    return np.column_stack([usable.sum(axis=1) / N_PIXELS, usable / sizes])
