"""Lindegren's zero-point in the parallaxes of simulated stars is found again from what is known of them."""

import pytest
from bench_gaia import KNOWN, measure, simulate


@pytest.fixture(scope="module")
def survey():
    """Stars with five and with six parameters, reddened, at 0.1 to 10 kpc."""
    return simulate(30_000, seed=1)


@pytest.mark.parametrize(
    ("known", "bias"), [("all of Gaia", 0.02), ("G, BP - RP", 0.02), ("G, J - Ks", 0.03)]
)
def test_with_a_magnitude_and_a_colour_no_trend_is_left_and_distances_are_right(survey, known, bias):
    found = measure(survey, KNOWN[known])

    assert max(found.residual_of_g, found.residual_of_colour) < 0.005
    assert max(map(abs, found.bias)) < bias
    assert found.pull == pytest.approx(1, abs=0.05)
    assert found.weighted_pull == pytest.approx(1, abs=0.05)
    assert found.known == 1


def test_without_a_magnitude_the_stated_error_covers_what_is_not_known(survey):
    found = measure(survey, KNOWN["no G"])

    assert 0.9 < found.pull < 1.1
    assert 0.9 < found.weighted_pull < 1.1
