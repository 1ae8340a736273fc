"""What a survey would know of simulated stars."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.ingest.values import A_K_PER_EBV
from astra.modelling.simulator.observables import (
    FARTHEST,
    H_BRIGHT,
    H_FAINT,
    LARGEST_EBV,
    apogee_ids,
    draw_observables,
)
from astra.pipelines.astronn_dist.distances.distance import distance

N = 3000


def _drawn(abs_ks, numbers=None, *, snr=100.0, is_binary=False, seed=0):
    abs_ks = np.asarray(abs_ks, float)
    numbers = np.arange(len(abs_ks)) if numbers is None else numbers
    every = np.ones(len(abs_ks))
    absolute = (abs_ks + 0.6, abs_ks + 0.1, abs_ks)
    return draw_observables(absolute, snr * every, (is_binary * every).astype(bool), numbers, seed=seed)


@pytest.fixture(scope="module")
def abs_ks():
    return np.random.default_rng(1).choice([-6.5, -4, -1.6, 2.0, 4.0, 7.0], N)


@pytest.fixture(scope="module")
def stars(abs_ks):
    return _drawn(abs_ks)


def _h_mag(stars, abs_ks):
    """The true H magnitude."""
    return abs_ks + 0.1 + 5 * np.log10(stars.dist) - 5 + 1.55 * A_K_PER_EBV * stars.true_ebv


def test_luminosity_and_photometry_give_the_true_distance_up_to_the_photometric_errors(stars, abs_ks):
    fakemag = 10 ** (0.2 * abs_ks + 2)

    found, _ = distance(fakemag, 0 * fakemag, stars.k_mag, A_K_PER_EBV * stars.ebv)

    error = 0.2 * np.log(10) * np.hypot(stars.e_k_mag, A_K_PER_EBV * stars.e_ebv)
    pulls = np.log(found / stars.dist) / error
    assert abs(np.median(pulls)) < 0.1
    assert 0.9 < np.std(pulls) < 1.1
    assert np.abs(pulls).max() < 6


@given(
    abs_ks=st.floats(-9, 10), snr=st.floats(1, 500), seed=st.integers(0, 2**63), number=st.integers(0, 10**9)
)
def test_every_star_is_within_reach_of_the_survey(abs_ks, snr, seed, number):
    star = _drawn([abs_ks], np.array([number]), snr=snr, seed=seed)

    assert H_BRIGHT - 0.01 < _h_mag(star, abs_ks)[0] < H_FAINT + 0.01
    assert 0 < star.dist[0] <= max(FARTHEST, 10 ** (0.2 * (H_BRIGHT + 0.2 - abs_ks) + 1))
    assert 0 <= star.true_ebv[0] <= LARGEST_EBV
    assert star.dec[0] > -25
    for field in dataclasses.fields(star):
        value = getattr(star, field.name)[0]
        assert field.name == "apogee_id" or np.isfinite(value)
    assert min(star.ebv[0], star.e_ebv[0], star.e_k_mag[0], star.e_plx[0], star.ruwe[0]) > 0


def test_a_star_is_the_same_whatever_else_is_drawn(stars, abs_ks):
    some = np.array([7, 2000, 3])

    again = _drawn(abs_ks[some], some)

    for field in dataclasses.fields(stars):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(stars, field.name)[some])


def test_another_seed_gives_other_stars_with_other_identifiers(stars, abs_ks):
    other = _drawn(abs_ks, seed=1)

    assert not set(other.apogee_id) & set(stars.apogee_id)
    assert not set(other.sdss_id.tolist()) & set(stars.sdss_id.tolist())


def test_identifiers_are_unique_and_no_real_stars(stars):
    assert len(set(stars.apogee_id)) == len(set(stars.sdss_id.tolist())) == N
    assert stars.sdss_id.min() >= 10**15


def test_the_magnitudes_spread_over_the_range_of_the_survey(stars, abs_ks):
    h_mag = _h_mag(stars, abs_ks)

    assert 10 < np.median(h_mag) < 12.5
    assert np.mean(h_mag < 9) > 0.02
    assert np.mean(h_mag > 13) > 0.03


def test_a_good_spectrum_is_that_of_a_bright_star():
    faint, bright = (_drawn(np.full(500, 2.0), snr=snr) for snr in (25, 400))

    assert np.median(faint.h_mag) - np.median(bright.h_mag) > 1


def test_near_stars_have_little_dust_before_them(stars):
    near, far = stars.true_ebv[stars.dist < 100], stars.true_ebv[stars.dist > 2000]

    assert near.mean() < 0.05 < 0.1 < far.mean() < 0.4


def test_dust_reddens_the_colours(stars, abs_ks):
    excess = (stars.j_mag - stars.k_mag) - 0.6

    assert np.polyfit(stars.true_ebv, excess, 1)[0] == pytest.approx(1.5 * A_K_PER_EBV, rel=0.05)


@pytest.mark.parametrize(
    ("value", "error", "truth"),
    [
        ("plx", "e_plx", lambda stars, _: 1000 / stars.dist),
        ("k_mag", "e_k_mag", lambda s, abs_ks: abs_ks + 5 * np.log10(s.dist) - 5 + A_K_PER_EBV * s.true_ebv),
        ("h_mag", "e_h_mag", _h_mag),
    ],
)
def test_errors_are_what_the_values_scatter_by(stars, abs_ks, value, error, truth):
    pulls = (getattr(stars, value) - truth(stars, abs_ks)) / getattr(stars, error)

    assert abs(np.mean(pulls)) < 0.1
    assert 0.93 < np.std(pulls) < 1.07


def test_a_far_star_may_have_a_negative_parallax():
    stars = _drawn(np.full(3000, -3.5), snr=20.0)

    assert np.any(stars.plx < 0)
    assert np.median(stars.plx[stars.plx < 0] / stars.e_plx[stars.plx < 0]) > -2


def test_a_companion_disturbs_the_astrometry():
    single, double = (_drawn(np.full(500, 4.0), is_binary=is_binary) for is_binary in (False, True))

    assert single.ruwe.max() < 1.4
    assert np.mean(double.ruwe > 1.4) > 0.1
    assert np.all(double.e_plx >= single.e_plx)


def test_places_are_the_same_in_both_systems_of_coordinates(stars):
    from astropy.coordinates import SkyCoord

    there = SkyCoord(stars.ra, stars.dec, unit="deg")

    assert there.separation(SkyCoord(stars.l, stars.b, unit="deg", frame="galactic")).arcsec.max() < 0.1


def test_names_are_cut_off_positions_as_in_the_survey():
    ra = np.array([296.64883, 263.427217, 52.26693, 0.0, 359.999999])
    dec = np.array([39.318588, -16.915936, 31.285429, -0.0001, 89.999999])

    assert apogee_ids(ra, dec).tolist() == [
        "2M19463571+3919069",
        "2M17334253-1654573",
        "2M03290406+3117075",
        "2M00000000-0000003",
        "2M23595999+8959599",
    ]
