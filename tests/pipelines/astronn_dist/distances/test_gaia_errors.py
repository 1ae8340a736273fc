"""Errors of Gaia parallaxes grow by the published factors, and never shrink."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.gaia_errors import TYPICAL, factor_of_dr3, inflated

# As their abstract has it: up to 30 % around G = 13, and as good as nothing from G = 18 on.
FACTORS = {7.0: 1.139, 10.0: 1.119, 12.65: 1.302, 13.0: 1.269, 15.0: 1.062, 18.0: 1.012}


@pytest.mark.parametrize(("g_mag", "factor"), FACTORS.items())
def test_the_factor_is_that_of_el_badry_and_others(g_mag, factor):
    assert factor_of_dr3(g_mag) == pytest.approx(factor, abs=6e-4)


@given(st.floats(-2, 30))
def test_no_error_is_made_smaller_and_none_is_extrapolated(g_mag):
    assert 1.0 <= factor_of_dr3(g_mag) <= 1.31
    assert factor_of_dr3(g_mag) == factor_of_dr3(np.clip(g_mag, 7, 21))


def test_without_a_magnitude_it_is_the_mean_for_stars_of_the_survey():
    g_mag = np.clip(np.random.default_rng(1).normal(13.5, 1.5, 20_000), 7, 19)

    assert factor_of_dr3(np.nan) == TYPICAL
    assert factor_of_dr3(g_mag).mean() == pytest.approx(TYPICAL, abs=0.01)


@pytest.mark.parametrize(
    ("release", "factor"), [("Gaia DR3", 1.269), ("dr2", 1.08), ("dr1", 1.0), (None, 1.0)]
)
def test_each_release_has_its_factor(release, factor):
    stars = Stars.of({"plx": 1.0, "e_plx": 0.1, "g_mag": 13.0, "gaia_release": release}, 2)

    assert inflated(stars, np.array([0.1, np.nan])) == pytest.approx(
        [0.1 * factor, np.nan], rel=1e-3, nan_ok=True
    )
