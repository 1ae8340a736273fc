"""Which star a name means."""

import re

import pytest
from builders import a_source, a_spectrum

from astra.errors import UsageError
from astra.running.star_list import STAR
from astra.tasks.star_names import sources_of


def test_a_star_is_found_by_sdss_id_and_by_apogee_id(db):
    star, _ = a_source(sdss_id=42, sdss4_apogee_id="2M00000042+0000000"), a_source()

    for name in ("42", "2M00000042+0000000"):
        assert sources_of([name]) == (star.pk,)


@pytest.mark.parametrize(
    "name",
    ["2m00000042+0000000", "2MASS J00000042+0000000", "J00000042+0000000", "00000042+0000000"],
)
def test_case_and_the_designation_of_2mass_make_no_difference(db, name):
    star = a_source(sdss4_apogee_id="2M00000042+0000000")

    assert sources_of([name]) == (star.pk,)
    assert STAR.fullmatch(name)


def test_a_star_of_two_names_is_found_by_the_one_that_only_its_spectra_carry(db):
    star = a_source(sdss4_apogee_id="A")
    for name in "ABB":
        a_spectrum(star, obj=name)
    a_spectrum(None, obj="C")

    assert sources_of(["B"]) == sources_of(["A"]) == (star.pk,)
    with pytest.raises(UsageError, match="no star C in the database; ingest its spectra first"):
        sources_of(["C"])


def test_the_star_that_has_a_name_goes_before_another_one_observed_under_it(db):
    star, other = a_source(sdss4_apogee_id="A"), a_source()
    a_spectrum(other, obj="A")

    assert sources_of(["A"]) == (star.pk,)


@pytest.mark.parametrize(
    "star", ["4711", "9" * 19, pytest.param("9" * 5000, id="5000 digits"), "2M99999999+9999999"]
)
def test_an_unknown_star_is_an_error_that_names_it(db, star):
    with pytest.raises(UsageError, match=re.escape(f"no star {star} in the database")):
        sources_of([star])


def test_names_that_begin_alike_are_meant(db):
    a_source(sdss4_apogee_id="2M00000042+0000000")

    with pytest.raises(UsageError, match=re.escape("did you mean 2M00000042+0000000?")):
        sources_of(["2M00000042"])
