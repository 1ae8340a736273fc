"""The percentiles of a distance agree with a simulation of what it rests on, however skewed it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.distances.full_errors import magnitude_error, percentiles

DRAWS = 400_000
RELATIVE = [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0]
MAGNITUDE = [0.0, 1e-4, 0.01, 0.05, 0.2, 0.5, 1.0]


@pytest.mark.parametrize("relative", RELATIVE)
@pytest.mark.parametrize("e_magnitude", MAGNITUDE)
def test_percentiles_and_error_agree_with_a_monte_carlo_simulation(relative, e_magnitude):
    random = np.random.default_rng(int(1e6 * (relative + e_magnitude)))
    luminosity = 1 + relative * random.normal(size=2 * DRAWS)
    luminosity = luminosity[luminosity > 0][:DRAWS]
    dist = np.exp(e_magnitude * random.normal(size=len(luminosity))) / luminosity
    expected = np.percentile(dist, [15.865525, 84.134475])

    low, high = percentiles(relative, e_magnitude)[:, 0]

    assert [low, high] == pytest.approx(expected, rel=0.012)
    assert 0.5 * (high - low) == pytest.approx(0.5 * (expected[1] - expected[0]), rel=0.012)


@pytest.mark.parametrize("error", [1e-12, 0.01, 0.1, 0.5])
def test_with_one_error_alone_the_percentiles_are_known_exactly(error):
    of_luminosity, of_magnitude = percentiles(error, 0.0)[:, 0], percentiles(0.0, error)[:, 0]

    assert of_magnitude == pytest.approx(np.exp([-error, error]), rel=1e-8)
    # Where next to no luminosity is negative.
    exact = [1 / (1 + error), 1 / (1 - error)]
    assert of_luminosity == pytest.approx(exact, rel=1e-8 if error < 0.2 else 0.1)


def test_errors_are_those_of_ks_and_of_the_extinction_in_quadrature():
    both = magnitude_error(0.03, 0.1)

    assert both == pytest.approx(0.2 * np.log(10) * np.hypot(0.03, 0.3517 * 0.1), rel=1e-12)
    assert magnitude_error(0.03, np.nan) == pytest.approx(0.2 * np.log(10) * 0.03, rel=1e-12)


@pytest.mark.parametrize("absent", [np.nan, np.inf, -np.inf, -1.0, 99.0, 999999.0, -9999.99, None])
def test_an_error_that_is_absent_counts_as_none(absent):
    assert magnitude_error(absent, absent) == 0


@pytest.mark.parametrize("filler", [8.888, 9.995, 9.999])
def test_the_fillers_of_2mass_are_no_errors(filler):
    assert magnitude_error(filler, 0.0) == 0


@given(st.floats(0, 1e3), st.floats(0, 10))
def test_whatever_the_errors_the_percentiles_are_positive_and_in_order(relative, e_magnitude):
    low, high = percentiles(relative, e_magnitude)[:, 0]

    assert 0 < low <= high < np.inf


@given(st.floats(), st.floats())
def test_no_number_makes_it_warn_and_what_is_no_error_has_no_percentiles(relative, e_magnitude):
    found = percentiles(relative, e_magnitude)

    is_error = all(np.isfinite(value) and value >= 0 for value in (relative, e_magnitude))
    assert found.shape == (2, 1)
    assert is_error or np.isnan(found).all()


def test_stars_do_not_depend_on_those_beside_them():
    random = np.random.default_rng(4)
    relative, e_magnitude = 10 ** random.uniform(-3, 0.5, 200), 10 ** random.uniform(-3, 0.3, 200)

    together = percentiles(relative, e_magnitude)
    alone = [percentiles(*pair)[:, 0] for pair in zip(relative, e_magnitude, strict=True)]

    assert np.array_equal(together, np.transpose(alone))
