"""Distances beside those of Bailer-Jones et al.: which stars are compared, and what the pages say of them."""

import math

import numpy as np
import pytest
from builders import a_result, a_source, a_spectrum

from astra.database.connection import database
from astra.database.sql import snapshot
from astra.models import Source
from astra.report.bailer_jones import bailer_jones, comparisons, of_star
from astra.report.contents import gather

THEIRS = {"r_med_geo": 1000.0, "r_lo_geo": 900.0, "r_hi_geo": 1100.0, "r_med_photogeo": 800.0}
STAR = {"plx": 1.0, "e_plx": 0.05} | THEIRS
RESULT = {"dist": 1100.0, "e_dist": 110.0, "not_clean": 0, "not_checked": 0}


def now():
    """The contents of a report at this moment."""
    with snapshot(database):
        return gather()


def a_compared(star=None, **result):
    """A star that is compared, with one result."""
    return a_result(a_spectrum(a_source(**(STAR | (star or {})))), **(RESULT | result))


def found_of(contents):
    return {(each.ours, each.theirs): each for each in comparisons(contents.rows, contents.parallaxes)}


def test_ratios_scatter_and_stated_errors_are_those_of_plain_python(db):
    for dist in (900.0, 1100.0, 1200.0):
        a_compared(dist=dist, e_dist=0.1 * dist, best_dist=1010.0)

    found = found_of(now())

    assert sorted(found["dist", "geometric"].ratio) == pytest.approx([0.9, 1.1, 1.2])
    assert found["dist", "photogeometric"].summary.median == pytest.approx(1.375)
    assert found["best_dist", "geometric"].summary.median == pytest.approx(1.01)
    assert found["dist", "geometric"].stated == pytest.approx(math.hypot(0.1, 0.1))
    assert np.isnan(found["best_dist", "geometric"].stated)


@pytest.mark.parametrize(
    ("star", "result", "is_compared"),
    [
        ({}, {}, True),
        ({}, {"not_clean": None, "not_checked": None}, True),
        ({}, {"not_clean": 2**3}, False),
        ({}, {"flag_fakemag_unreliable": True}, False),
        ({"ruwe": 1.4}, {}, False),
        ({"e_plx": 0.2}, {}, False),
        ({"e_plx": 0.19}, {}, True),
        ({"e_plx": 0.19}, {"gaia_parallax": 1.1, "e_gaia_parallax": 0.23}, False),
        ({"e_plx": 0.21}, {"gaia_parallax": 1.1, "e_gaia_parallax": 0.21}, True),
        (dict.fromkeys(THEIRS), {}, False),
    ],
)
def test_stars_are_compared_that_are_clean_or_not_looked_at_and_whose_parallax_is_significant(
    db, star, result, is_compared
):
    a_compared({"r_med_geo": 1.0, "plx": None})
    a_compared(star, **result)

    assert (("dist", "geometric") in found_of(now())) == is_compared


def test_the_section_says_the_ratio_and_what_is_left_out(db):
    for dist in (1090.0, 1110.0, 1130.0):
        a_compared(dist=dist, best_dist=dist)
    a_compared(not_clean=None, not_checked=None)

    section = " ".join(bailer_jones(now()).split())

    assert "4 stars: <code>dist</code> is 1.105 ±" in section
    assert "(and 1 that are good and were not looked at for <code>clean</code>)" in section
    assert "is more than 5 times its error. Below that their prior decides" in section
    assert "best_dist / photogeometric" in section


def test_without_their_distances_there_is_no_section_and_without_such_stars_no_figure(db):
    a_compared(dict.fromkeys(THEIRS))
    without = bailer_jones(now())
    a_compared({"e_plx": 1.0})

    assert without == ""
    assert "No such star has a distance of theirs" in bailer_jones(now())


def test_the_page_of_a_star_lists_what_its_source_has():
    star = Source(r_med_geo=1000.0, r_lo_geo=900.0, r_hi_geo=1234.5)

    assert dict(of_star(star)) == {"geometric, Bailer-Jones et al. [pc]": "1,000 (900 to 1,234)"}
    assert not dict(of_star(Source()))
    assert not dict(of_star(None))
