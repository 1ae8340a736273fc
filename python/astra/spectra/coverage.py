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
    usable = []
    for start, end in DETECTORS:
        flux, e_flux, flags = (
            array[start:end] for array in (spectrum.flux, spectrum.e_flux, spectrum.pixel_flags)
        )
        measured = np.isfinite(flux) & (flux != 0) & np.isfinite(e_flux)
        usable.append(int(np.count_nonzero(measured & ((flags & MASKED_BITS) == 0))))
    sizes = [end - start for start, end in DETECTORS]
    return Coverage(
        sum(usable) / N_PIXELS, *(count / size for count, size in zip(usable, sizes, strict=True))
    )
