"""The distance to use is the one that the table of decisions names, for every star that there can be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.distances.best import BEST, best
from astra.pipelines.astronn_dist.distances.parallaxes import parallax_pull, weighted_parallax

from documents import ROOT

#: The rows of the table in the docs, each with its cells.
_SECTION = (ROOT / "docs" / "distances.md").read_text().split("\n## The distance to use\n")[1]
TABLE = [line.strip("| ").split(" | ") for line in _SECTION.splitlines() if line.startswith("| ")][1:]

ANY = st.floats(0.01, 10)
STARS = st.fixed_dictionaries(
    {
        "nn_parallax": ANY,
        "relative": st.floats(0.01, 0.5),
        "gaia_parallax": st.floats(-1, 10),
        "e_gaia_parallax": st.floats(0.01, 1),
        "plx_zero_point": st.sampled_from([-0.04, math.nan]),
        "is_bad": st.booleans(),
        "ruwe": st.sampled_from([1.0, 1.39, 1.4, 9.0, math.nan]),
    }
)


def _columns(star):
    """The columns that a star has, as far as the decision looks at them; shape (1,)."""
    e_nn = star["nn_parallax"] * star["relative"]
    dist = 1000 / star["nn_parallax"]
    has_zero_point = np.isfinite(star["plx_zero_point"])
    mean, e_mean = weighted_parallax(
        (math.nan if star["is_bad"] else star["nn_parallax"], e_nn),
        (star["gaia_parallax"] if has_zero_point else math.nan, star["e_gaia_parallax"]),
    )
    values = star | {"e_nn_parallax": e_nn, "dist": dist, "dist_lo": 0.9 * dist, "dist_hi": 1.2 * dist}
    values |= {"weighted_parallax": mean, "e_weighted_parallax": e_mean}
    found = {name: np.array([value], float) for name, value in values.items()}
    return found | {"parallax_pull": parallax_pull(found)}


def _best(star):
    chosen = best(_columns(star), np.array([star["is_bad"]]), np.array([star["ruwe"]]))
    return tuple(chosen[name].tolist()[0] for name in BEST)


def _decided(star):
    """The fourth cell of the first row of the documented table that a star falls into."""
    found = {name: values[0] for name, values in _columns(star).items()}
    usable = np.isfinite(found["plx_zero_point"]) and not star["ruwe"] >= 1.4
    precise = found["gaia_parallax"] > 5 * found["e_gaia_parallax"]
    contradict = abs(found["parallax_pull"]) > 5
    of_spectrum = {"usable": not star["is_bad"], "flagged": star["is_bad"]}
    of_gaia = {"any": True, "usable": usable, "not usable": not usable}
    of_gaia["usable with a signal-to-noise ratio above 5"] = usable and precise
    of_pull = {"any": True, "beyond ±5": contradict, "within ±5, or absent": not contradict}
    return next(
        name.strip("`")
        for spectrum, gaia, pull, name, _ in TABLE
        if of_spectrum[spectrum] and of_gaia[gaia] and of_pull[pull]
    )


@given(STARS)
def test_every_star_has_the_distance_of_its_row_of_the_table_in_the_docs(star):
    dist, low, high, name = _best(star)

    decided = _decided(star)
    found = {name: values[0] for name, values in _columns(star).items()}
    parallaxes = {"weighted": "weighted_parallax", "gaia": "gaia_parallax"}
    if decided == "spectrum":
        assert (name, dist, low, high) == ("spectrum", found["dist"], found["dist_lo"], found["dist_hi"])
    elif decided in parallaxes and (parallax := found[parallaxes[decided]]) > 0:
        assert (name, dist) == (decided, pytest.approx(1000 / parallax))
        assert 0 < low < high
    else:
        assert name is None
        assert all(math.isnan(value) for value in (dist, low, high))


@given(STARS)
def test_a_mean_of_agreeing_parallaxes_is_positive_so_that_a_usable_spectrum_has_a_distance(star):
    star |= {"relative": min(star["relative"], 0.199), "is_bad": False}

    agree = not abs(_columns(star)["parallax_pull"][0]) > 5

    assert (_best(star)[3] is not None) == agree


def test_the_percentiles_are_those_of_the_inverse_of_a_normal_parallax():
    star = {"nn_parallax": 1.0, "relative": 0.3, "gaia_parallax": 0.5, "e_gaia_parallax": 0.08}
    star |= {"plx_zero_point": -0.04, "is_bad": True, "ruwe": 1.0}
    draws = np.random.default_rng(3).normal(0.5, 0.08, 400_000)

    dist, low, high, name = _best(star)

    assert (name, dist) == ("gaia", 2000.0)
    assert (low, high) == pytest.approx(np.percentile(1000 / draws[draws > 0], [15.865, 84.135]), rel=2e-3)
