"""From luminosity, magnitude and reddening to a distance, whatever the numbers are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.distances.distance import (
    A_K_PER_EBV,
    LARGEST_DISTANCE,
    distance,
    extinction,
    unreliable,
    usable_ebv,
    usable_k_mag,
)

ANYTHING = st.floats() | st.sampled_from([0.0, -0.0, -1.0, 98.0, 99.0, -9999.0, -999999.0, 1e10])
NOT_A_MEASUREMENT = [None, "NaN", np.nan, np.inf, -np.inf, 98, 99, 99.99, 1e300, -9999, -999999]


# > Photometry and extinction


@pytest.mark.parametrize("k_mag", [*NOT_A_MEASUREMENT, -1, -1.5])
def test_a_magnitude_that_is_no_measurement_is_missing_and_counts_as_0(k_mag):
    value, missing = usable_k_mag([k_mag, 10.5])

    assert value.tolist() == [0.0, 10.5]
    assert missing.tolist() == [True, False]


@pytest.mark.parametrize("k_mag", [-0.999, 0, 12.052, 97.99])
def test_a_magnitude_between_minus_1_and_98_is_used_as_it_is(k_mag):
    value, missing = usable_k_mag(k_mag)

    assert value == k_mag
    assert not missing


@pytest.mark.parametrize("ebv", [*NOT_A_MEASUREMENT, 0, -0.0, -0.5, -1])
def test_a_reddening_that_is_not_positive_or_no_measurement_is_missing_and_counts_as_0(ebv):
    value, missing = usable_ebv([ebv, 0.2])

    assert value.tolist() == [0.0, 0.2]
    assert missing.tolist() == [True, False]


@pytest.mark.parametrize("ebv", [1e-9, 0.0977, 97.99])
def test_a_reddening_between_0_and_98_is_used_as_it_is(ebv):
    value, missing = usable_ebv(ebv)

    assert value == ebv
    assert not missing


@given(st.lists(ANYTHING, max_size=9))
def test_whatever_a_catalogue_holds_the_values_used_are_within_the_limits(values):
    for function, low in ((usable_k_mag, -1), (usable_ebv, 0)):
        used, missing = function(values)

        assert np.isfinite(used).all()
        assert (used[missing] == 0).all()
        assert ((used > low) & (used < 98))[~missing].all()


def test_the_factor_of_the_extinction_is_that_of_the_specification():
    assert A_K_PER_EBV == pytest.approx(0.918 / 2.61, abs=5e-5)
    assert extinction([0.0, 1.0]).tolist() == [0.0, 0.3517]


# > Distance


def test_distances_agree_with_the_reference_numbers(reference):
    parity = np.load(reference / "parity.npz")
    ebv, _ = usable_ebv(parity["ebv"])

    a_k_mag = extinction(ebv)
    dist, e_dist = distance(parity["mc_fakemag"], parity["mc_fakemag_error"], parity["k_mag"], a_k_mag)

    np.testing.assert_array_equal(a_k_mag, parity["A_k_mag"])
    np.testing.assert_allclose(dist, parity["dist"], rtol=1e-14)
    np.testing.assert_allclose(e_dist, parity["e_dist"], rtol=1e-14)


def test_distances_agree_with_astronn(fakemag_to_pc):
    random = np.random.default_rng(1)
    fakemag, e_fakemag = random.lognormal(2, 1, (2, 1000))
    k_mag, a_k_mag = random.uniform(-1, 20, 1000), random.uniform(0, 3, 1000)

    dist, e_dist = distance(fakemag, e_fakemag, k_mag, a_k_mag)

    expected, e_expected = fakemag_to_pc(fakemag, k_mag - a_k_mag, e_fakemag)
    np.testing.assert_allclose(dist, expected.value, rtol=1e-13)
    np.testing.assert_allclose(e_dist, e_expected.value, rtol=1e-13)


def test_a_star_of_known_absolute_magnitude_comes_out_at_its_distance():
    m_ks, a_k_mag = -1.6, 0.3

    dist, _ = distance(10 ** (0.2 * m_ks + 2), 1.0, m_ks + a_k_mag + 5 * np.log10(2500 / 10), a_k_mag)

    assert dist == pytest.approx(2500, rel=1e-13)


@pytest.mark.parametrize("fakemag", [0.0, -0.0, -3.0, np.nan, np.inf, -np.inf, None])
def test_without_a_positive_luminosity_there_is_no_distance_and_no_error(fakemag):
    dist, e_dist = distance([fakemag, 10.0], [1.0, 1.0], [10.0, 10.0], [0.0, 0.0])

    assert np.isnan([dist[0], e_dist[0]]).all()
    assert [dist[1], e_dist[1]] == pytest.approx([1e4, 1e3])


def test_distance_and_error_beyond_1e10_pc_are_dropped_each_on_its_own():
    dist, e_dist = distance([1e-5, 1e-5, 2e-5, 1e-6], [1e-5, 2e-5, 1e-7, 1e-9], [10.0] * 4, [0.0] * 4)

    np.testing.assert_allclose(dist, [1e10, 1e10, 5e9, np.nan], rtol=1e-13)
    np.testing.assert_allclose(e_dist, [1e10, np.nan, 2.5e7, 1e8], rtol=1e-13)


def test_an_error_that_is_no_number_leaves_the_distance():
    dist, e_dist = distance([10.0] * 3, [np.nan, np.inf, -np.inf], [10.0] * 3, [0.0] * 3)

    np.testing.assert_allclose(dist, 1e4)
    assert np.isnan(e_dist).all()


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_whatever_comes_in_a_distance_is_within_the_limits_or_nan(fakemag, e_fakemag, k_mag, a_k_mag):
    dist, e_dist = distance(fakemag, e_fakemag, k_mag, a_k_mag)

    for value in (dist, e_dist):
        assert np.isnan(value) or 0 <= value <= LARGEST_DISTANCE


# Within these ranges neither a distance nor its error comes near the limit of 1e10 pc.
@given(st.floats(0.1, 1e4), st.floats(1e-4, 0.1), st.floats(-1, 15), st.floats(0, 5), st.floats(0.1, 10))
def test_fainter_luminosity_is_nearer_and_five_magnitudes_are_a_factor_of_ten(
    fakemag, e_fakemag, k_mag, a_k_mag, factor
):
    dist, e_dist = distance(
        [fakemag, factor * fakemag, fakemag], [e_fakemag] * 3, [k_mag, k_mag, k_mag + 5], [a_k_mag] * 3
    )

    np.testing.assert_allclose(dist, dist[0] * np.array([1, 1 / factor, 10]), rtol=1e-12)
    np.testing.assert_allclose(e_dist, e_dist[0] * np.array([1, factor**-2, 10]), rtol=1e-12)


# > Reliability


@pytest.mark.parametrize(
    ("fakemag", "e_fakemag"),
    [(10, 2), (10, 5), (10, np.nan), (10, np.inf), (np.nan, 1), (np.inf, 1), (0, 0), (0, 1), (-10, 1)],
)
def test_a_relative_error_of_a_fifth_or_none_at_all_is_unreliable(fakemag, e_fakemag):
    assert unreliable(fakemag, e_fakemag)


@pytest.mark.parametrize(("fakemag", "e_fakemag"), [(10, 1.999), (1e-9, 1e-10), (10, 0)])
def test_a_relative_error_below_a_fifth_is_reliable(fakemag, e_fakemag):
    assert not unreliable(fakemag, e_fakemag)


@given(st.lists(st.tuples(ANYTHING, ANYTHING), min_size=1, max_size=9))
def test_reliability_is_decided_for_each_star_alone(pairs):
    together = unreliable(*zip(*pairs, strict=True))

    assert together.tolist() == [bool(unreliable(*pair)) for pair in pairs]
