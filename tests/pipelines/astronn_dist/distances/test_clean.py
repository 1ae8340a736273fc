"""Why a distance is not fit for single stars: each reason, and what decides where nobody can look."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.ingest.values import A_K_PER_EBV
from astra.models.astronn_dist import AstroNNdist
from astra.models.fields import flags_of
from astra.pipelines.astronn_dist.distances.clean import LEAST_COVERAGE, Criterion, judge
from astra.pipelines.astronn_dist.distances.distance import Stars

NAN = float("nan")
#: A red giant in the plane that every criterion can look at.
GIANT = {
    "j_mag": 9.66,
    "h_mag": 9.09,
    "k_mag": 9.0,
    "e_j_mag": 0.02,
    "e_h_mag": 0.02,
    "e_k_mag": 0.02,
    "ph_qual": "AAA",
    "cc_flg": "000",
    "ebv": 0.0,
    "e_ebv": 0.02,
    "ebv_flags": 2,
    "ruwe": 1.0,
    "ra": 266.4,
    "dec": -29.0,
}
ALL, NONE = (0.95, 0.95, 0.95), ()


def _names(bits):
    return tuple(each.name.lower() for each in Criterion if bits & each.value)


def _judged(coverage=ALL, pull=0.5, **star):
    """The names of the reasons, and of what could not be looked at, for the giant with other values."""
    stars = Stars.of(GIANT | star, 1)
    bits = judge(stars, np.array([coverage], float).T, np.array([pull], float))
    return tuple(_names(int(each[0])) for each in bits)


def test_a_star_that_all_is_known_of_is_clean():
    assert _judged() == (NONE, NONE)


def test_the_bits_are_those_of_the_columns():
    for column in ("not_clean", "not_checked"):
        bits = {name.split(f"flag_{column}_")[1]: flag.bit for name, flag in _flags(column).items()}
        assert bits.items() <= {each.name.lower(): each.value.bit_length() - 1 for each in Criterion}.items()
    assert len(_flags("not_clean")) == len(Criterion)


def _flags(column):
    return flags_of(AstroNNdist, column)


@pytest.mark.parametrize(
    ("star", "reason"),
    [
        ({"ph_qual": "AAD"}, "k_mag"),
        ({"ph_qual": "AAU", "e_k_mag": NAN}, "k_mag"),
        ({"cc_flg": "00c"}, "k_mag"),
        ({"e_k_mag": 0.11}, "k_mag"),
        ({"ph_qual": None, "e_k_mag": NAN}, "k_mag"),
        ({"ph_qual": None, "cc_flg": None, "e_k_mag": 9.995}, "k_mag"),
        ({"j_mag": 4.56, "h_mag": 3.99, "k_mag": 3.9}, "k_range"),
        ({"j_mag": 15.06, "h_mag": 14.49, "k_mag": 14.4}, "k_range"),
        ({"k_mag": 8.4}, "colour"),
        ({"k_mag": 9.6}, "colour"),
        ({"ebv": NAN}, "extinction"),
        ({"ebv": 99.9}, "extinction"),
        ({"ebv": NAN, "ra": NAN}, "extinction"),
        ({"ebv": -0.4, "e_ebv": 0.3}, "extinction"),
        ({"ebv_flags": 1 | 16}, "upper_limit"),
        ({"ebv_flags": 8}, "sfd"),
        ({"ebv_flags": 8, "ra": NAN}, "sfd"),
        ({"coverage": (0.0, 0.95, 0.95)}, "coverage"),
        ({"coverage": (0.49, 0.95, 0.95)}, "coverage"),
        ({"coverage": (0.95, 0.95, 0.29)}, "coverage"),
        ({"pull": 3.0}, "gaia"),
        ({"pull": -3.1}, "gaia"),
        ({"ruwe": 1.4}, "ruwe"),
    ],
    ids=str,
)
def test_each_of_these_is_the_one_reason(star, reason):
    assert _judged(**star)[0] == (reason,)


@pytest.mark.parametrize(
    "star",
    [
        {"ph_qual": "UUB", "cc_flg": "dd0"},
        {"e_k_mag": NAN},
        {"ebv": -0.2, "e_ebv": 0.1},
        {"ebv_flags": 8, "ra": 192.8, "dec": 27.1},
        {"coverage": (0.5, 0.3, 0.3)},
        {"pull": 2.9},
    ],
    ids=str,
)
def test_none_of_these_is_a_reason(star):
    assert _judged(**star)[0] == NONE


@pytest.mark.parametrize(
    ("star", "not_clean", "not_checked"),
    [
        ({"ph_qual": None}, NONE, ("k_mag",)),
        ({"cc_flg": ""}, NONE, ("k_mag",)),
        ({"ph_qual": None, "cc_flg": None, "e_k_mag": 0.12}, ("k_mag",), ("k_mag",)),
        ({"h_mag": NAN}, NONE, ("colour",)),
        ({"ebv_flags": 0}, NONE, ("upper_limit", "sfd")),
        ({"coverage": (NAN, NAN, NAN)}, ("coverage",), ("coverage",)),
        ({"pull": NAN}, NONE, ("gaia",)),
        ({"ruwe": NAN}, NONE, ("ruwe",)),
        ({"ruwe": 25.0, "pull": 8.0}, ("ruwe",), ("gaia",)),
        ({"ebv": NAN}, ("extinction",), ("colour", "extinction")),
        ({"ebv": NAN, "ra": 192.8, "dec": 27.1}, NONE, ("extinction",)),
        ({"ebv": -0.4}, ("extinction",), ("colour",)),
    ],
    ids=str,
)
def test_where_a_criterion_cannot_look_its_fallback_decides_and_is_noted(star, not_clean, not_checked):
    assert _judged(**star) == (not_clean, not_checked)


@settings(max_examples=40)
@given(
    st.floats(0, 4),
    st.floats(-2.9, 2.9),
    st.sampled_from([(0.66, 0.09), (0.36, 0.06), (1.2, 0.24), (0.83, 0.2), (0.0, 0.0)]),
)
def test_extinction_and_its_error_make_no_star_unclean(ebv, deviation, colours):
    e_ebv = 0.02 + 0.1 * ebv
    true = ebv + deviation * e_ebv
    excess = A_K_PER_EBV * true * np.array([2.5, 1.55, 1.0])
    j_mag, h_mag, k_mag = 9.0 + np.array([colours[0], colours[1], 0.0]) + excess

    star = {"j_mag": j_mag, "h_mag": h_mag, "k_mag": k_mag, "ebv": max(ebv, 1e-4), "e_ebv": e_ebv}

    assert _judged(**star)[0] == NONE


def test_the_plane_is_where_astropy_puts_it():
    generator = np.random.default_rng(7)
    ra, dec = generator.uniform(0, 360, 5000), np.degrees(np.arcsin(generator.uniform(-1, 1, 5000)))
    latitude = SkyCoord(ra * units.deg, dec * units.deg).galactic.b.deg

    stars = Stars.of(GIANT | {"ebv_flags": 8, "ra": ra, "dec": dec}, 5000)
    not_clean, _ = judge(stars, np.full((3, 5000), 0.9), np.zeros(5000))

    differs = (not_clean == 0) != (np.abs(latitude) > 30)
    assert not differs[np.abs(np.abs(latitude) - 30) > 1e-3].any()


NUMBERS = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 99.0, -9999.0, 1e300]))
TEXTS = st.one_of(st.none(), st.text(max_size=5))


@settings(max_examples=40)
@given(
    st.fixed_dictionaries({name: TEXTS if name in ("ph_qual", "cc_flg") else NUMBERS for name in GIANT}),
    st.tuples(*[st.floats(0, 1) | st.just(NAN)] * 3),
    st.floats(),
)
def test_whatever_the_values_are_nothing_is_raised_and_a_lost_detector_is_never_clean(star, coverage, pull):
    reasons, _ = _judged(coverage=coverage, pull=pull, **star)

    enough = all(part >= least for part, least in zip(coverage, LEAST_COVERAGE, strict=True))
    assert ("coverage" in reasons) != enough
