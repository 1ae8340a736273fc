"""Spectra in, results out."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

import numpy as np

from astra import Option, task
from astra.errors import UnusableSpectrum
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.spectra.rectify import rectify, usable

from template_snr.correlation import find_peaks
from template_snr.results import TemplateSnr

#: A peak below this is flagged, in units of the noise; the help text of the flag says so, too.
LOW_PEAK = 5.0


@task(uses_source=False)
def template_snr(
    spectra: Iterable[ApogeeCoaddedSpectrumInApStar],
    *,
    max_shift: Annotated[float, Option(min=200, max=800)] = 300.0,
    at_once: Annotated[int, Option(min=1, changes_numbers=False)] = 50,
) -> Iterator[TemplateSnr]:
    """Correlate each spectrum with a template of hydrogen lines.

    Args:
        spectra: Spectra that have no row yet under this version of astra.
        max_shift: The largest shift to either side at which the peak is searched [km/s].
        at_once: Spectra whose correlations are computed at once.

    Yields:
        One row per spectrum, in order.
    """
    left = iter(spectra)
    while chunk := list(islice(left, at_once)):
        flux, e_flux = rectify(*map(np.stack, zip(*map(_pixels, chunk), strict=True)))
        peaks = find_peaks(flux, e_flux, max_shift)
        for spectrum, height, snr, shift, at_edge in zip(chunk, *peaks, strict=True):
            yield TemplateSnr.from_spectrum(
                spectrum,
                ccf_snr=snr,
                v_shift=shift,
                ccf_height=height,
                flag_low_peak=not snr >= LOW_PEAK,
                flag_peak_at_edge=bool(at_edge),
            )


def _pixels(spectrum: ApogeeCoaddedSpectrumInApStar) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux, error and mask of a spectrum.

    Raises:
        SpectrumError: The file cannot be read, or holds no usable pixel.
    """
    pixels = spectrum.read()
    found = pixels.flux, pixels.e_flux, pixels.pixel_flags
    if not usable(*found):
        raise UnusableSpectrum(f"no usable pixel: {spectrum.path}")
    return found
