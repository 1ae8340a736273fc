"""The break from arrays alone."""

import numpy as np
import pytest

from boss_d4000.break_index import BANDS, measure_break

WAVELENGTH = 10 ** np.arange(3.55, 3.75, 1e-4)


def _stepped(strength, redshift=0.0):
    """Flux per unit wavelength of a spectrum that is flat per unit frequency on both sides of the break."""
    rest = WAVELENGTH / (1 + redshift)
    return np.where(rest < 4000, 1.0, strength) / rest**2


@pytest.mark.parametrize("definition", BANDS)
@pytest.mark.parametrize("redshift", [0.0, 0.1])
def test_a_step_in_flux_per_frequency_is_found_at_any_redshift(definition, redshift):
    flux = _stepped(1.7, redshift)

    found = measure_break(WAVELENGTH, flux, np.ones_like(flux), redshift, definition)

    assert found.strength == pytest.approx(1.7, rel=1e-9)
    assert found.coverage == pytest.approx(1, abs=0.02)


def test_pixels_without_weight_do_not_count():
    flux, ivar = _stepped(1.7), np.ones_like(WAVELENGTH)
    lost = (WAVELENGTH > 3900) & (WAVELENGTH < 3925)
    flux[lost], ivar[lost] = np.nan, 0

    found = measure_break(WAVELENGTH, flux, ivar, 0.0, "narrow")

    assert found.strength == pytest.approx(1.7)
    assert found.coverage == pytest.approx(0.75, abs=0.02)


def test_the_error_is_the_scatter_of_repeated_measurements():
    generator, flux = np.random.default_rng(1), _stepped(1.7)
    error = 0.1 * flux
    drawn = [
        measure_break(WAVELENGTH, generator.normal(flux, error), error**-2, 0.0, "narrow") for _ in range(500)
    ]

    scatter = np.std([each.strength for each in drawn])

    assert np.mean([each.error for each in drawn]) == pytest.approx(scatter, rel=0.1)


@pytest.mark.parametrize("pixels", [slice(0), slice(1), slice(100)])
def test_a_band_outside_the_spectrum_is_not_covered(pixels):
    wavelength = WAVELENGTH[pixels]

    found = measure_break(wavelength, np.ones_like(wavelength), np.ones_like(wavelength), 0.0, "narrow")

    assert np.isnan(found.strength)
    assert found.coverage == 0


def test_without_flux_below_the_break_there_is_no_strength():
    flux = -_stepped(1.7)

    found = measure_break(WAVELENGTH, flux, np.ones_like(flux), 0.0, "narrow")

    assert np.isnan(found.strength)
    assert found.coverage > 0.9


def test_missing_rows_count_as_little_as_pixels_without_weight():
    is_there = (WAVELENGTH < 3900) | (WAVELENGTH > 3940)
    flux = _stepped(1.7)

    cut = measure_break(*(each[is_there] for each in (WAVELENGTH, flux, flux**-2)), 0.0, "narrow")
    masked = measure_break(WAVELENGTH, flux, np.where(is_there, flux**-2, 0.0), 0.0, "narrow")

    assert cut == pytest.approx(masked, rel=1e-6)
    assert cut.coverage == pytest.approx(0.6, abs=0.02)
