"""The noise of simulated spectra has the correlation, the size and the profile that real spectra have."""

import numpy as np
import pytest

from astra.modelling.simulator.masks import COVERED
from astra.modelling.simulator.noise import (
    FAR_PIXELS,
    NEAR,
    UNDERSTATED,
    correlated,
    correlation,
    draw_profiles,
    draw_understatement,
    inflation,
    smooth,
    stretches,
)
from astra.spectra.grid import DETECTORS, N_GRID, PERSIST_HIGH, PERSIST_LOW, PERSIST_MED, SKYLINE


def _found(noise, lags):
    return np.array([np.mean(noise[:, lag:] * noise[:, :-lag]) for lag in lags]) / np.mean(noise**2)


@pytest.mark.parametrize("number", range(3))
def test_pixels_are_as_much_alike_as_in_real_spectra(number):
    noise = stretches(number, 200, 2500, np.random.default_rng(number))

    assert noise.std() == pytest.approx(1, abs=0.01)
    lags = np.array([*range(1, 1 + len(NEAR[number])), 20, 60])
    np.testing.assert_allclose(_found(noise, lags), correlation(number, lags), atol=0.02)
    assert np.abs(noise.mean()) < 0.02


def test_the_correlation_falls_with_the_separation_and_is_whole_at_none():
    for number in range(3):
        assert correlation(number, np.array([0])) == 1
        far = correlation(number, np.array([9, 9 + round(FAR_PIXELS)]))
        assert far[1] == pytest.approx(far[0] / np.e)


def test_a_stretch_may_have_any_length_and_its_ends_are_no_neighbours():
    for size in (1, 2, 7, 1991):
        noise = stretches(2, 500, size, np.random.default_rng(size))
        assert noise.shape == (500, size)
        assert noise.dtype == np.float32
        assert noise.std() == pytest.approx(1, abs=0.15)
    assert abs(np.mean(noise[:, 0] * noise[:, -1])) < 0.15


def test_detectors_are_independent_and_nothing_is_between_them():
    noise = correlated(300, np.random.default_rng(1))

    assert not np.delete(noise, COVERED, axis=1).any()
    (_, blue), (green, _), _ = DETECTORS
    assert abs(np.mean(noise[:, blue - 1] * noise[:, green])) < 0.2


def test_smooth_noise_has_unit_variance_and_the_correlation_of_its_bell():
    noise = smooth(100, 3.0, np.random.default_rng(0))

    assert noise.shape == (100, N_GRID)
    assert noise.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(_found(noise, (1, 3, 6)), np.exp(-np.array([1, 9, 36]) / 36), atol=0.02)


def test_the_same_generator_gives_the_same_noise():
    for draw in (correlated, draw_profiles, draw_understatement):
        np.testing.assert_array_equal(*(draw(3, np.random.default_rng(4)) for _ in range(2)))


def test_errors_are_understated_by_a_factor_of_the_spectrum_that_detectors_share():
    factors = draw_understatement(1000, np.random.default_rng(0))

    best, worst = UNDERSTATED
    assert (factors >= np.float32(best)).all()
    assert (factors <= np.float32(worst)).all()
    assert np.corrcoef(factors.T).min() > 0.99


def test_errors_rise_to_the_red_end_of_the_red_detector_and_are_about_one():
    profiles = draw_profiles(300, np.random.default_rng(0))

    assert np.median(profiles[:, COVERED]) == pytest.approx(1, abs=0.1)
    begin, end = DETECTORS[2]
    assert np.median(profiles[:, end - 1] / profiles[:, begin]) == pytest.approx(
        np.exp(2 * (0.353 + 0.052)), rel=0.05
    )
    assert (np.delete(profiles, COVERED, axis=1) == 1).all()


def test_persistence_and_sky_lines_alone_make_stated_errors_larger_in_most_releases():
    flags = np.zeros((400, N_GRID), np.int32)
    for pixel, bit in enumerate((PERSIST_LOW, PERSIST_MED, PERSIST_HIGH, SKYLINE)):
        flags[:, pixel] = 1 << bit
    flags[:, 4] = 1 << PERSIST_LOW | 1 << PERSIST_HIGH

    factor = inflation(flags, np.random.default_rng(0))

    low, medium, high, sky, both = factor[:, :5].T
    assert (factor[:, 5:] == 1).all()
    assert medium.max() == pytest.approx(2)
    assert both.max() == high.max() == pytest.approx(np.sqrt(5))
    assert low.max() == pytest.approx(np.sqrt(300))
    assert set(np.unique(sky)) == {1, 20}
    assert 0.6 < (high > 1).mean() < 0.85
    assert 0.1 < (low > np.sqrt(3.01)).mean() < 0.3
