"""Luminosity, photometry and Gaia together: equal to a plain calculation, whatever is absent."""

import math

import numpy as np
import pytest
from builders import ZERO_POINT
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.pipelines.astronn_dist.distances.distance import NAMES, TEXTS, Stars
from astra.pipelines.astronn_dist.distances.gaia_errors import factor_of_dr3
from astra.pipelines.astronn_dist.distances.results import OF_GAIA, derive
from astra.pipelines.astronn_dist.distances.zero_point import DR2, ERRORS, zero_point

ABSENT = [math.nan, math.inf, -math.inf, -9999.0, -999999.0, 99.0, 999999.0]
#: The zero-point of a star with these values, whatever its parallax [mas]; and the factor of its error.
(OFFSET,) = zero_point(Stars.of(ZERO_POINT | {"plx": 1.0, "e_plx": 0.1}, 1)).value
FACTOR = factor_of_dr3(ZERO_POINT["g_mag"]).item()


def _derived(luminosity=(20.0, 2.0, 1.0), measured=True, weights_from="total", **star):
    """The results of one star, as plain numbers."""
    stars = Stars.of({"k_mag": 10.0, "ebv": 0.1} | star, 1)
    found = derive(np.array([luminosity], float).T, np.array([measured]), stars, weights_from)
    return {name: values.tolist()[0] for name, values in found.items()}


# > The weighted parallax


def _by_hand(
    fakemag, e_fakemag, e_model, k_mag, e_k_mag, ebv, e_ebv, plx, e_plx, gaia_release, measured, weights_from
):
    """The same with plain numbers and branches: (mean, error, distance, its error), NaN where absent."""

    def is_number(value):
        return value is not None and math.isfinite(value)

    parts = []
    has_k = is_number(k_mag) and -1 < k_mag < 98
    reliable = is_number(fakemag) and fakemag > 0 and is_number(e_fakemag) and 0 <= e_fakemag / fakemag < 0.2
    if measured and has_k and reliable:
        has_ebv = is_number(ebv) and 0 < ebv < 98
        a_k = 0.3517 * ebv if has_ebv else 0.0
        parallax = fakemag / 10 ** (0.2 * (k_mag - a_k))
        variance = (e_fakemag / fakemag) ** 2
        if is_number(e_k_mag) and 0 <= e_k_mag < 8:
            variance += (0.2 * math.log(10) * e_k_mag) ** 2
        if has_ebv and is_number(e_ebv) and 0 <= e_ebv < 98:
            variance += (0.2 * math.log(10) * 0.3517 * e_ebv) ** 2
        error = parallax * math.sqrt(variance)
        if weights_from == "model":
            error = parallax * e_model / fakemag if is_number(e_model) and e_model >= 0 else math.nan
        if error > 0:
            parts.append((parallax, error))
    has_parallax = is_number(plx) and abs(plx) < 999 and is_number(e_plx) and 0 < e_plx < 9999
    if has_parallax and gaia_release == "dr3":
        parts.append((plx - OFFSET, FACTOR * e_plx))
    elif has_parallax and gaia_release == "dr2":
        parts.append((plx - DR2, math.hypot(1.08 * e_plx, ERRORS["dr2"])))
    if not parts:
        return (math.nan,) * 4
    weight = sum(1 / error**2 for _, error in parts)
    mean, e_mean = sum(value / error**2 for value, error in parts) / weight, math.sqrt(1 / weight)
    if not 1e-7 <= mean:
        return mean, e_mean, math.nan, math.nan
    return mean, e_mean, 1000 / mean, 1000 / mean * e_mean / mean


def _or_absent(*ranges):
    return st.one_of(*ranges, st.sampled_from(ABSENT))


LUMINOSITY = ("fakemag", "e_fakemag", "e_model")
STAR = st.fixed_dictionaries(
    {
        "fakemag": _or_absent(st.floats(0.5, 500), st.sampled_from([0.0, -1.0])),
        "e_fakemag": _or_absent(st.floats(0.01, 30), st.just(0.0)),
        "e_model": _or_absent(st.floats(0.01, 10), st.just(0.0)),
        "k_mag": _or_absent(st.floats(3, 15)),
        "e_k_mag": _or_absent(st.floats(0.01, 0.3), st.sampled_from([8.888, 0.0, -1.0])),
        "ebv": _or_absent(st.floats(0.001, 3), st.sampled_from([0.0, -0.02])),
        "e_ebv": _or_absent(st.floats(0.001, 0.5), st.sampled_from([0.0, -1.0])),
        "plx": _or_absent(st.floats(-2, 20)),
        "e_plx": _or_absent(st.floats(0.01, 2), st.sampled_from([0.0, -1.0])),
        "gaia_release": st.sampled_from(["dr3", "dr3", "dr2", None]),
        "measured": st.sampled_from([True, True, True, False]),
    }
)
BATCHES = st.lists(STAR, min_size=20, max_size=20)


def _agree(batch, weights_from):
    luminosity = np.array([[star[name] for star in batch] for name in LUMINOSITY])
    names = set(batch[0]) - {*LUMINOSITY, "measured"}
    stars = Stars.of(ZERO_POINT | {name: [star[name] for star in batch] for name in names}, len(batch))
    found = derive(luminosity, np.array([star["measured"] for star in batch]), stars, weights_from)
    expected = [_by_hand(**star, weights_from=weights_from) for star in batch]
    columns = ("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist")
    result = np.transpose([found[name] for name in columns])
    assert result == pytest.approx(np.array(expected), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=50)
@given(BATCHES, st.sampled_from(["total", "model"]))
def test_the_weighted_parallax_equals_a_calculation_by_hand_whatever_is_absent(batch, weights_from):
    _agree(batch, weights_from)


@pytest.mark.slow
@settings(max_examples=500)
@given(BATCHES, st.sampled_from(["total", "model"]))
def test_the_weighted_parallaxes_of_ten_thousand_stars_equal_a_calculation_by_hand(batch, weights_from):
    _agree(batch, weights_from)


def test_all_combinations_of_absent_values_agree_with_the_calculation_by_hand():
    names = ("fakemag", "e_fakemag", "e_model", "k_mag", "e_k_mag", "ebv", "e_ebv", "plx", "e_plx")
    names += ("gaia_release",)
    whole = dict(zip(names, (20.0, 2.0, 1.0, 10.0, 0.03, 0.1, 0.02, -0.3, 0.1, "dr3"), strict=True))
    seen = set()
    for number in range(2 ** len(names)):
        star = {
            name: math.nan if number >> bit & 1 else value for bit, (name, value) in enumerate(whole.items())
        }
        others = {name: value for name, value in star.items() if name not in names[:3]}

        found = _derived([star[name] for name in names[:3]], **ZERO_POINT | others)

        expected = _by_hand(**star, measured=True, weights_from="total")
        result = found["weighted_parallax"], found["e_weighted_parallax"]
        assert result == pytest.approx(expected[:2], rel=1e-12, nan_ok=True)
        seen.add(round(result[0], 6) if result[0] == result[0] else None)
    assert {None, round(-0.3 - OFFSET, 6)} < seen


def test_honest_errors_give_pulls_of_width_1_with_negative_parallaxes_among_them():
    random = np.random.default_rng(5)
    n = 20_000
    parallax = 10 ** random.uniform(-2.5, 0.5, n)
    k_mag, ebv = random.uniform(7, 13, n), random.uniform(0.05, 1, n)
    e_k_mag, e_ebv = np.full(n, 0.03), 0.1 * ebv
    luminosity = parallax * 10 ** (0.2 * (k_mag - 0.3517 * ebv))
    e_luminosity = random.uniform(0.05, 0.15, n) * luminosity
    e_plx = random.uniform(0.01, 0.2, n)
    plx = parallax + OFFSET + random.normal(0, FACTOR * e_plx)
    seen = np.stack([luminosity + random.normal(0, e_luminosity), e_luminosity, 0.5 * e_luminosity])
    stars = Stars.of(
        ZERO_POINT
        | {
            "k_mag": k_mag + random.normal(0, e_k_mag),
            "e_k_mag": e_k_mag,
            "ebv": ebv + random.normal(0, e_ebv),
            "e_ebv": e_ebv,
            "plx": plx,
            "e_plx": e_plx,
        },
        n,
    )

    found = derive(seen, np.ones(n, bool), stars)

    pulls = (found["weighted_parallax"] - parallax) / found["e_weighted_parallax"]
    assert (plx < 0).sum() > 1000
    assert np.isfinite(pulls).all()
    assert np.std(pulls) == pytest.approx(1, abs=0.05)
    assert abs(np.median(pulls)) < 0.03
    assert np.std(pulls[plx < 0]) == pytest.approx(1, abs=0.1)


def test_a_negative_weighted_parallax_is_kept_and_has_no_distance():
    found = _derived(k_mag=math.nan, plx=-0.4, e_plx=0.1, **ZERO_POINT)

    assert found["weighted_parallax"] == pytest.approx(-0.4 - OFFSET)
    assert found["e_weighted_parallax"] == pytest.approx(0.1 * FACTOR)
    assert math.isnan(found["weighted_dist"])
    assert math.isnan(found["e_weighted_dist"])


FLAGGED = {
    "unreliable": {"luminosity": (20.0, 4.0, 1.0)},
    "without photometry": {"k_mag": 99.0},
    "no result": {"measured": False},
    "no prediction": {"luminosity": (math.nan,) * 3},
}
flagged_spectra = pytest.mark.parametrize("flagged", FLAGGED.values(), ids=FLAGGED)
#: Why a star has no zero-point.
NO_ZERO_POINT = {
    "another release": {"gaia_release": "dr1"},
    "an unknown release": {"gaia_release": None},
    "a colour out of range": {"nu_eff_used_in_astrometry": 1.95},
    "too bright": {"g_mag": 5.0},
}
no_zero_points = pytest.mark.parametrize("lacking", NO_ZERO_POINT.values(), ids=NO_ZERO_POINT)


@flagged_spectra
def test_a_flagged_spectrum_never_enters_and_gaia_stands_alone(flagged):
    found = _derived(plx=2.0, e_plx=0.5, **ZERO_POINT, **flagged)

    assert found["weighted_parallax"] == found["gaia_parallax"] == 2.0 - OFFSET
    assert found["e_weighted_parallax"] == pytest.approx(0.5 * FACTOR)
    assert found["weighted_dist"] == pytest.approx(1000 / (2 - OFFSET))
    alone = _derived(**flagged)
    assert math.isnan(alone["weighted_parallax"])
    assert math.isnan(alone["e_weighted_parallax"])


@no_zero_points
@pytest.mark.parametrize(
    ("weights_from", "error"), [("total", "e_nn_parallax"), ("model", "e_model_nn_parallax")]
)
def test_a_parallax_with_its_zero_point_in_it_never_enters_and_the_spectrum_stands_alone(
    lacking, weights_from, error
):
    found = _derived(plx=0.05, e_plx=0.01, weights_from=weights_from, **ZERO_POINT | lacking)

    assert found["gaia_parallax"] == 0.05
    assert found["weighted_parallax"] == pytest.approx(found["nn_parallax"], rel=1e-12)
    assert found["e_weighted_parallax"] == pytest.approx(found[error], rel=1e-12)
    assert found["weighted_dist"] == pytest.approx(found["dist"], rel=1e-12)


@no_zero_points
@flagged_spectra
def test_of_a_flagged_spectrum_and_a_parallax_with_its_zero_point_in_it_nothing_is_left(flagged, lacking):
    found = _derived(plx=0.05, e_plx=0.01, **ZERO_POINT | lacking, **flagged)

    assert found["gaia_parallax"] == 0.05
    for name in ("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist"):
        assert math.isnan(found[name])


def test_unknown_weights_are_refused_by_name():
    with pytest.raises(UsageError, match="unknown weights: 'best'; one of total, model"):
        _derived(weights_from="best")


# > Gaia


def test_the_zero_point_is_subtracted_where_it_is_known():
    found = _derived(plx=1.0, e_plx=0.02, **ZERO_POINT)

    assert -0.06 < found["plx_zero_point"] < -0.01
    assert found["plx_zero_point_origin"] == "nu_eff"
    assert found["gaia_parallax"] == 1.0 - found["plx_zero_point"]
    assert found["e_gaia_parallax"] == pytest.approx(0.02 * FACTOR)


def test_a_parallax_of_dr2_has_the_zero_point_and_the_error_that_are_published_for_it():
    found = _derived(plx=1.0, e_plx=0.02, **ZERO_POINT | {"gaia_release": "dr2"})

    assert (found["plx_zero_point"], found["plx_zero_point_origin"]) == (-0.0523, "dr2")
    assert found["gaia_parallax"] == pytest.approx(1.0523)
    # It covers the value of quasars as well, -0.029 mas.
    assert found["e_gaia_parallax"] == pytest.approx(math.hypot(1.08 * 0.02, 0.0523 - 0.029), rel=0.02)


def test_a_parallax_of_an_unknown_release_stays_as_it_is():
    found = _derived(plx=1.0, e_plx=0.02, **ZERO_POINT | {"gaia_release": None})

    assert (found["gaia_parallax"], found["e_gaia_parallax"]) == (1.0, 0.02)
    assert found["plx_zero_point_origin"] is None


@pytest.mark.parametrize("e_plx", [*ABSENT[:5], 0.0, -1.0, 999999.0])
def test_a_parallax_without_an_error_is_none(e_plx):
    found = _derived(plx=1.0, e_plx=e_plx, **ZERO_POINT)

    for name in ("gaia_parallax", "e_gaia_parallax", "plx_zero_point"):
        assert math.isnan(found[name])


# > The spectrum


def test_the_parallax_of_the_spectrum_is_the_inverse_of_its_distance():
    found = _derived(e_k_mag=0.03, e_ebv=0.02)

    assert found["nn_parallax"] == pytest.approx(1000 / found["dist"], rel=1e-12)
    relative = math.hypot(0.1, 0.2 * math.log(10) * 0.03, 0.2 * math.log(10) * 0.3517 * 0.02)
    assert found["e_nn_parallax"] == pytest.approx(relative * found["nn_parallax"], rel=1e-12)
    assert found["e_model_nn_parallax"] == pytest.approx(0.05 * found["nn_parallax"], rel=1e-12)
    assert found["dist_lo"] < found["dist"] < found["dist_hi"]
    assert found["e_dist_full"] == pytest.approx(0.5 * (found["dist_hi"] - found["dist_lo"]), rel=1e-12)


def test_a_star_too_far_for_a_distance_has_a_parallax():
    found = _derived((1e-9, 1e-11, 1e-11), k_mag=20.0)

    assert math.isnan(found["dist"])
    assert math.isnan(found["dist_hi"])
    assert found["nn_parallax"] == pytest.approx(1e-9 * 10 ** (-0.2 * (20 - 0.03517)), rel=1e-12)


def test_without_photometry_there_is_no_parallax_and_no_full_error():
    found = _derived(k_mag=math.nan)

    assert found["dist"] > 0
    for name in ("nn_parallax", "e_nn_parallax", "e_model_nn_parallax", "dist_lo", "dist_hi", "e_dist_full"):
        assert math.isnan(found[name])


def test_a_spectrum_without_a_result_has_what_gaia_says_and_no_other_number():
    found = _derived(measured=False, plx=1.0, e_plx=0.02, **ZERO_POINT)

    numbers = {name for name, value in found.items() if isinstance(value, float) and not math.isnan(value)}
    texts = {name for name, value in found.items() if isinstance(value, str)}
    assert numbers | texts == set(OF_GAIA)
    assert {name for name, value in found.items() if value is True} == {"flag_no_result"}


NUMBER = st.floats() | st.sampled_from([0.0, -1.0, 1e308, 5e-324, *ABSENT])


@given(
    st.lists(NUMBER, min_size=3, max_size=3),
    st.dictionaries(st.sampled_from([name for name in NAMES if name not in TEXTS]), NUMBER),
)
def test_no_number_makes_it_warn_and_no_result_is_infinite(luminosity, star):
    found = _derived(luminosity, **star)

    given_back = {"L_fakemag", "e_L_fakemag", "e_model_L_fakemag"}
    derived = {name: value for name, value in found.items() if isinstance(value, float)}
    assert not any(math.isinf(derived[name]) for name in derived.keys() - given_back)
    for name in ("dist", "dist_lo", "dist_hi", "weighted_dist", "nn_parallax"):
        assert math.isnan(found[name]) or found[name] >= 0
