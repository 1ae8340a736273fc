"""The correlation from arrays alone."""

import numpy as np
import pytest

from template_snr.correlation import find_peaks
from template_snr.template import PIXEL, PLACES, line_depths, line_wavelengths

NO_ERROR = np.ones(7514)


def _spectra(*shifts, noise=0.0):
    clean = np.stack([1 - 0.3 * line_depths(PLACES - shift / PIXEL) for shift in shifts])
    return clean + np.random.default_rng(1).normal(0, noise, clean.shape)


def test_the_lines_are_where_they_are_observed():
    # Brackett 11 and 20 in vacuum.
    assert line_wavelengths()[[0, -1]] == pytest.approx([16811.1, 15196.0], abs=0.1)


def test_a_pixel_of_the_grid_is_a_constant_velocity():
    assert pytest.approx(4.1419, abs=1e-3) == PIXEL


def test_shifted_lines_are_found_where_they_are():
    shifts = [-250.0, -1.0, 0.0, 33.3, 290.0]
    flux = _spectra(*shifts, noise=0.005)

    found = find_peaks(flux, np.ones_like(flux), 300.0)

    assert found.shift == pytest.approx(shifts, abs=2)
    assert (found.snr > 10).all()
    assert (found.height > 0.9).all()
    assert not found.at_edge.any()


def test_noise_alone_has_a_low_peak():
    flux = np.random.default_rng(2).normal(1, 0.01, (50, 7514))

    found = find_peaks(flux, np.ones_like(flux), 300.0)

    assert np.median(found.snr) < 5
    assert (found.height < 0.2).all()


def test_a_peak_outside_the_searched_range_is_at_its_edge():
    found = find_peaks(_spectra(150.0), NO_ERROR[None], 100.0)

    assert found.at_edge.all()


def test_pixels_without_an_error_do_not_count():
    flux = _spectra(0.0, 0.0)
    lost = np.arange(7514) % 50 == 0
    flux[1, lost] = -1000
    errors = np.ones_like(flux)
    errors[:, lost] = np.inf

    found = find_peaks(flux, errors, 300.0)

    assert found.shift[0] == found.shift[1]


def test_a_spectrum_without_lines_has_no_peak():
    found = find_peaks(np.ones((1, 7514)), NO_ERROR[None], 300.0)

    assert np.isnan(found.snr).all()
    assert found.at_edge.all()


def test_a_spectrum_has_the_same_numbers_alone_and_among_others():
    flux = _spectra(-50.0, 0.0, 50.0, noise=0.01)
    errors = np.ones_like(flux)

    together, alone = find_peaks(flux, errors, 300.0), find_peaks(flux[1:2], errors[1:2], 300.0)

    assert together.snr[1] == pytest.approx(alone.snr[0], rel=1e-9)
    assert together.shift[1] == pytest.approx(alone.shift[0], rel=1e-9)
