"""The zero-point is that of its authors, else the best estimate of it, and nothing beyond their range."""

import itertools

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.zero_point import ERRORS, bp_rp_from_j_ks, zero_point

GOOD = {
    "plx": 1.0,
    "e_plx": 0.02,
    "gaia_release": "dr3",
    "ra": 132.8,
    "dec": 11.8,
    "g_mag": 13.0,
    "nu_eff_used_in_astrometry": 1.5,
    "pseudocolour": 1.4,
    "astrometric_params_solved": 31,
}


def _found(**changes):
    """The zero-point of one star, its error and its origin."""
    return tuple(values.tolist()[0] for values in zero_point(Stars.of(GOOD | changes, 1)))


def _one(**changes):
    return _found(**changes)[0]


@pytest.fixture
def authors():
    """The authors' function as they document it: for one source."""
    from zero_point import zpt

    zpt.load_tables()
    return zpt.get_zpt


@pytest.mark.parametrize("solved", [31, 95])
def test_it_is_what_the_authors_give_for_every_star_of_a_sky(authors, solved):
    random = np.random.default_rng(1)
    n = 300
    sky = {"ra": random.uniform(0, 360, n), "dec": np.degrees(np.arcsin(random.uniform(-1, 1, n)))}
    light = {
        "g_mag": random.uniform(6.01, 20.99, n),
        "nu_eff_used_in_astrometry": random.uniform(1.11, 1.89, n),
        "pseudocolour": random.uniform(1.25, 1.71, n),
    }
    latitude = SkyCoord(sky["ra"] * units.deg, sky["dec"] * units.deg).barycentricmeanecliptic.lat.deg

    found = zero_point(Stars.of(GOOD | sky | light | {"astrometric_params_solved": solved}, n)).value

    expected = [
        authors(*(np.float64(number) for number in numbers), np.int64(solved))
        for numbers in zip(*light.values(), latitude, strict=True)
    ]
    # The authors round to 1e-6 mas.
    assert found == pytest.approx(np.array(expected), abs=1.01e-6)
    assert -0.2 < found.min() < found.max() < 0.1


@pytest.mark.parametrize("release", ["dr3", "edr3", "DR3", "EDR3", "Gaia DR3", "gaiaedr3", "GAIA_EDR3"])
def test_the_release_may_be_spelled_in_any_way(release):
    assert _one(gaia_release=release) == _one()
    assert np.isfinite(_one())


def test_that_of_dr2_is_a_number_in_any_spelling_and_whatever_else_is_known():
    assert _found(gaia_release="Gaia DR2") == _found(gaia_release="dr2", g_mag=None, ra=None)
    assert _found(gaia_release="dr2") == (-0.0523, 0.023, "dr2")


@pytest.mark.parametrize("release", ["dr1", "dr4", "dr30", "tgas", "", None])
def test_other_releases_have_none(release):
    assert np.isnan(_one(gaia_release=release))


OUTSIDE = {
    "g_mag": [6.0, 21.0, 5.0, 22.0],
    "nu_eff_used_in_astrometry": [1.1, 1.9, 0.5, 3.0],
    "astrometric_params_solved": [3, 0, 7, 32],
    "plx": [-9999.0, 999999.0, np.nan, np.inf, -np.inf],
    "e_plx": [0.0, -1.0, -9999.0, 999999.0, np.nan, np.inf, -np.inf],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUTSIDE.items() for value in values]
)
def test_nothing_is_extrapolated(name, value):
    assert np.isnan(_one(**{name: value}))
    assert _found(**{name: value})[1:] == (0.0, None)


@pytest.mark.parametrize("value", [1.24, 1.72, 1.0, 2.0])
def test_six_parameters_have_a_pseudocolour_within_its_range_and_no_other_colour(value):
    six = {"astrometric_params_solved": 95, "nu_eff_used_in_astrometry": None}

    assert _found(**six)[1:] == (0.0, "pseudocolour")
    assert np.isnan(_one(**six, pseudocolour=value))
    assert np.isfinite(_one(pseudocolour=value))


# > What is not known

FILLERS = [None, np.nan, np.inf, -9999.0, 999999.0]


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize(
    ("name", "origin"), [("g_mag", "no_g"), ("ra", "no_position"), ("dec", "no_position")]
)
def test_without_a_magnitude_or_a_place_it_is_the_median_of_stars_of_the_survey(name, origin, filler):
    assert _found(**{name: filler}) == (-0.034, 0.012, origin)


COLOURS = {
    "nu_eff": ({"nu_eff_used_in_astrometry": 1.5}, 1.5),
    "bp_rp": ({"bp_mag": 13.9, "rp_mag": 12.7}, 1.76 - 1.61 / np.pi * np.arctan(0.531 * 1.2)),
    # Of BP - RP = 1.2: G - J = 1.5503, G - Ks = 2.1813.
    "j_ks": ({"j_mag": 11.4497, "k_mag": 10.8187}, 1.76 - 1.61 / np.pi * np.arctan(0.531 * 1.2)),
    "typical_colour": ({}, 1.42),
}


# A star with six parameters has no such colour as nu_eff.
@pytest.mark.parametrize(
    ("best", "solved"), [*itertools.product(COLOURS, (31, None)), *itertools.product([*COLOURS][1:], (95,))]
)
def test_the_best_colour_that_is_known_decides(best, solved):
    names = list(COLOURS)
    there = {name: value for name in names[names.index(best) :] for name, value in COLOURS[name][0].items()}
    star = {
        name: value for name, value in GOOD.items() if name not in ("pseudocolour", *COLOURS["nu_eff"][0])
    }
    same = {"pseudocolour": COLOURS[best][1], "nu_eff_used_in_astrometry": COLOURS[best][1]}

    found = zero_point(Stars.of(star | there | {"astrometric_params_solved": solved}, 1))

    assert found.origin[0] == best
    assert found.error[0] == ERRORS[best]
    assert found.value[0] == pytest.approx(_one(**same, astrometric_params_solved=solved or 31), abs=2e-6)


def test_which_parameters_were_solved_follows_from_the_colour_that_gaia_gives():
    known = {"astrometric_params_solved": None}

    assert _found(**known, pseudocolour=None) == _found()
    assert _found(**known, nu_eff_used_in_astrometry=None) == _found(astrometric_params_solved=95)


@given(st.floats(-0.5, 2.5))
def test_bp_rp_from_j_ks_inverts_the_published_relations(bp_rp):
    g_j = 0.01798 + 1.389 * bp_rp - 0.09338 * bp_rp**2
    g_ks = -0.0981 + 2.089 * bp_rp - 0.1579 * bp_rp**2

    assert bp_rp_from_j_ks(g_ks - g_j) == pytest.approx(bp_rp, abs=1e-9)


@given(st.floats(-5, 20))
def test_bp_rp_from_j_ks_stays_within_the_range_of_these_relations(j_ks):
    assert -0.5 - 1e-9 <= bp_rp_from_j_ks(j_ks) <= 2.5 + 1e-9


def test_the_errors_of_estimates_are_the_scatter_of_the_authors_function(authors):
    random = np.random.default_rng(2)
    n = 20_000
    g_mag, nu_eff = random.uniform(10, 17, n), random.uniform(1.25, 1.6, n)
    latitude = np.degrees(np.arcsin(random.uniform(-1, 1, n)))

    def values(colour):
        return authors(g_mag, colour, colour, latitude, np.full(n, 31), _warnings=False)

    true = values(nu_eff)
    assert np.median(true) == pytest.approx(-0.034, abs=0.0005)
    assert np.std(true) == pytest.approx(ERRORS["no_g"], rel=0.1)
    assert np.std(values(np.full(n, 1.42)) - true) == pytest.approx(ERRORS["typical_colour"], rel=0.2)
    assert np.std(values(nu_eff + 0.03) - true) == pytest.approx(ERRORS["j_ks"], rel=0.2)


@given(st.dictionaries(st.sampled_from(sorted(set(GOOD) - {"gaia_release"})), st.floats()))
def test_whatever_a_catalogue_holds_nothing_warns(changes):
    value = _one(**changes)

    assert np.isnan(value) or abs(value) < 1
