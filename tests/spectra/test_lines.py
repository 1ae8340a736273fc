"""Names and wavelengths of spectral lines: against constants of others, and against real spectra."""

import json
from pathlib import Path

import numpy as np
import pytest

from astra.spectra.apstar import read_combined
from astra.spectra.grid import DETECTORS, wavelength
from astra.spectra.lines import LINES, _term, brackett, co_head, to_vacuum
from astra.spectra.rectify import rectify

PIXELS = wavelength()[np.concatenate([np.arange(first, end) for first, end in DETECTORS])]


def test_every_line_is_on_a_detector_once_and_in_order():
    places = [line.wavelength for line in LINES]

    assert places == sorted(places)
    assert len({(line.name, line.wavelength) for line in LINES}) == len(LINES)
    assert all(np.abs(PIXELS - place).min() < 0.12 for place in places)
    assert {line.kind for line in LINES} == {"hydrogen", "atom", "molecule", "interstellar"}


@pytest.mark.parametrize(("upper", "measured"), [(7, 21661.2), (10, 17366.9), (11, 16811.1)])
def test_the_brackett_series_is_where_nist_has_it(upper, measured):
    """Vacuum wavelengths of the NIST Atomic Spectra Database, rounded to 0.1 Angstrom."""
    assert brackett(upper) == pytest.approx(measured, abs=0.15)


def test_the_origin_of_the_second_overtone_of_co_is_as_measured():
    """The 3-0 band begins at 6350.439 cm^-1; its head lies above, where the R branch turns back."""
    assert _term(3, np.zeros(1))[0] - _term(0, np.zeros(1))[0] == pytest.approx(6350.439, abs=0.02)
    assert 1e8 / co_head(3) > 6350.439


def test_wavelengths_in_air_and_vacuum_differ_as_measured():
    air = np.array([15_000.0, 16_000.0, 17_000.0])
    inverse = (1e4 / air) ** 2
    # Edlen 1966, Metrologia 2, 71: another fit to other measurements.
    refractivity = 1e-8 * (8342.13 + 2406030 / (130 - inverse) + 15997 / (38.9 - inverse))

    assert np.allclose(to_vacuum(air), air * (1 + refractivity), rtol=2e-8)


@pytest.mark.real
def test_each_line_of_an_atom_is_a_minimum_of_the_mean_of_real_spectra(shared: Path):
    path = shared / "data/published_model/astroNN_gaia_dr17_model_3.astroNN_model_parameter.json"
    mean = np.array(json.loads(path.read_text())["input_mean"]["input"])
    minima = PIXELS[1:-1][(mean[1:-1] < mean[:-2]) & (mean[1:-1] < mean[2:])]

    beside = {line.label: np.abs(minima - line.wavelength).min() for line in LINES if line.kind == "atom"}
    contrast = {
        line.label: np.median(mean[abs(PIXELS - line.wavelength) < 3.3])
        - mean[abs(PIXELS - line.wavelength) < 0.35].min()
        for line in LINES
        if line.kind == "atom"
    }

    assert max(beside.values()) < 0.3, beside
    assert min(contrast.values()) > 0, contrast
    assert all(contrast[line.label] > 0.17 for line in LINES if line.kind == "atom" and line.strong)


@pytest.mark.real
def test_the_heads_of_co_are_edges_in_the_spectrum_of_a_real_m_giant(shared: Path):
    spectrum = read_combined(shared / "data/apstar/apStar-r6-2M17334253-1654573.fits")
    (flux,), _ = rectify(spectrum.flux[None], spectrum.e_flux[None], spectrum.pixel_flags[None])

    for upper in range(3, 9):
        beyond = PIXELS - co_head(upper)
        before, after = (flux[(low < beyond) & (beyond < high)] for low, high in ((-3, -0.7), (0, 2.3)))
        assert np.median(before) - np.median(after) > 0.15
