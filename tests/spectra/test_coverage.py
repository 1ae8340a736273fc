"""The share of the pixels that the network uses and that can be used, per detector."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from astra.spectra.combined import CombinedSpectrum
from astra.spectra.coverage import coverage_of
from astra.spectra.grid import CHIPS, DETECTORS, N_GRID, N_PIXELS
from astra.spectra.rectify import FILL, MASKED_BITS, rectify


def _spectrum():
    return CombinedSpectrum(np.full(N_GRID, 100.0), np.ones(N_GRID), np.zeros(N_GRID, np.int32))


def test_a_perfect_spectrum_is_covered_and_gaps_between_the_detectors_do_not_count():
    spectrum = _spectrum()
    outside = np.ones(N_GRID, bool)
    for start, end in DETECTORS:
        outside[start:end] = False
    spectrum.flux[outside] = np.nan

    assert coverage_of(spectrum) == (1, 1, 1, 1)


def test_each_detector_counts_its_own_pixels_once_whatever_is_wrong_with_them():
    spectrum = _spectrum()
    blue, green, red = (start for start, _ in DETECTORS)
    spectrum.flux[blue : blue + 4] = np.nan
    spectrum.e_flux[blue + 2 : blue + 6] = np.inf
    spectrum.flux[blue + 6 : blue + 9] = 0
    spectrum.pixel_flags[green : green + 5] = 1 << 12  # SKYLINE
    spectrum.pixel_flags[red : red + 7] = 1 << 13  # TELLURIC, which rectification leaves

    sizes = [end - start for start, end in DETECTORS]
    found = coverage_of(spectrum)

    assert found == (1 - 14 / N_PIXELS, 1 - 9 / sizes[0], 1 - 5 / sizes[1], 1)


@given(st.integers(0, 2**32))
def test_masked_pixels_are_those_that_rectification_fills(seed):
    rng, spectrum = np.random.default_rng(seed), _spectrum()
    spectrum.flux[:] = rng.normal(100, 1, N_GRID)
    spectrum.pixel_flags[:] = 1 << rng.integers(0, 15, N_GRID)

    flux, error = rectify(spectrum.flux, spectrum.e_flux, spectrum.pixel_flags)
    filled = (flux == FILL) & (error == FILL)

    assert MASKED_BITS
    assert np.allclose(coverage_of(spectrum)[1:], [1 - filled[chip].mean() for chip in CHIPS])
