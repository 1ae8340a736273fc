"""Coordinates as they are written, and pages of others on a star."""

from urllib.parse import urlsplit

import pytest
from astropy.coordinates import Angle, SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from astra.models import Source
from astra.models.links import coordinates_of, in_degrees, in_hours, links_of


@given(st.floats(0, 359.9999))
def test_hours_are_written_as_astropy_writes_them(angle):
    assert in_hours(angle) == Angle(angle, "deg").to_string("hour", precision=2, pad=True, sep="hms")


def test_the_last_moment_of_a_circle_is_its_first():
    assert in_hours(359.9999999) == "00h00m00.00s"


@given(st.floats(-90, 90))
def test_degrees_are_written_as_astropy_writes_them(angle):
    text = Angle(angle, "deg").to_string("deg", precision=1, pad=True, alwayssign=True, format="unicode")

    assert in_degrees(angle, sign=True).replace("−", "-") == text or abs(angle) < 1e-4


def test_a_place_without_galactic_coordinates_gets_them():
    found = coordinates_of(Source(ra=263.427217, dec=-16.915936))

    galactic = SkyCoord(263.427217, -16.915936, unit="deg").galactic
    assert (found.l, found.b) == pytest.approx((galactic.l.deg, galactic.b.deg), abs=1e-6)
    assert found.lines()["ICRS (RA, Dec)"] == ("17h33m42.53s −16°54′57.4″", "263.427217°, −16.915936°")


def test_links_are_those_for_which_a_star_has_what_it_takes():
    star = Source(sdss_id=7, gaia_dr3_source_id=5853498713190525696, ra=217.39, dec=-62.68, l=313.9, b=-1.9)

    links = links_of(star)

    assert "5853498713190525696" in links["Gaia DR3 in VizieR"]
    assert "Coord=217.390000%20-62.680000" in links["Simbad by place"]
    assert links["SDSS Zora"].endswith("/target/7")
    assert {urlsplit(address).scheme for address in links.values()} == {"https"}
    assert links_of(Source(ra=1.0, dec=2.0)).keys() == {"Simbad by place", "Aladin (2MASS)", "SDSS SkyServer"}
    assert links_of(Source()) == links_of(None) == {}
