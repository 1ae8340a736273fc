"""The zero-point is that of its authors where they give one, and nothing anywhere else."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.zero_point import zero_point

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


def _one(**changes):
    (value,) = zero_point(Stars.of(GOOD | changes, 1))
    return value


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

    found = zero_point(Stars.of(GOOD | sky | light | {"astrometric_params_solved": solved}, n))

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


@pytest.mark.parametrize("release", ["dr2", "Gaia DR2", "dr1", "dr4", "dr30", "tgas", "", None])
def test_other_releases_have_none(release):
    assert np.isnan(_one(gaia_release=release))


OUTSIDE = {
    "g_mag": [6.0, 21.0, 5.0, 22.0, 99.0],
    "nu_eff_used_in_astrometry": [1.1, 1.9, 0.5, 3.0, 99.0],
    "ra": [-1.0, 361.0, -9999.0],
    "dec": [90.1, -91.0, -9999.0],
    "astrometric_params_solved": [3, 0, 7, 32],
    "plx": [-9999.0, 999999.0],
    "e_plx": [0.0, -1.0, -9999.0, 999999.0],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in OUTSIDE.items() for value in (*values, np.nan, np.inf, -np.inf)],
)
def test_nothing_is_extrapolated_or_made_up(name, value):
    assert np.isnan(_one(**{name: value}))


@pytest.mark.parametrize("value", [1.24, 1.72, 1.0, 2.0, np.nan])
def test_six_parameters_need_a_pseudocolour_within_its_range_and_no_other_colour(value):
    six = {"astrometric_params_solved": 95, "nu_eff_used_in_astrometry": None}

    assert np.isfinite(_one(**six))
    assert np.isnan(_one(**six, pseudocolour=value))
    assert np.isfinite(_one(pseudocolour=value))


@given(st.dictionaries(st.sampled_from(sorted(set(GOOD) - {"gaia_release"})), st.floats()))
def test_whatever_a_catalogue_holds_nothing_warns(changes):
    value = _one(**changes)

    assert np.isnan(value) or abs(value) < 1
