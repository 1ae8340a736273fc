"""The place of a star among the others of the database: which others, and where it is."""

import numpy as np
import pytest
from builders import a_result, a_source, a_spectrum, on_sqlite

from astra.database.connection import database
from astra.database.sql import snapshot
from astra.models import Distance
from astra.report.star_details import read_star
from astra.report.star_place import Others, place, read_others


def others_of(*m_ks: float, **columns: float) -> Others:
    values = {"m_ks_abs": np.array(m_ks, float)}
    values["source_pk"] = np.arange(len(m_ks)) + 1000
    given = {"j_mag": 11.0, "k_mag": 10.0, "A_k_mag": 0.0, "dist": 1000.0, "e_dist": 100.0, "snr": 100.0}
    for name, value in (given | columns).items():
        values[name] = np.full(len(m_ks), value)
    return Others(values, only_good=True, is_sample=False)


def test_the_others_are_the_good_stars_by_their_best_spectra(survey):
    with snapshot(database):
        found = read_others()

    expected = Distance.select().where(
        Distance.good, Distance.primary_spectrum, Distance.m_ks_abs.is_null(False)
    )
    assert found.only_good
    assert not found.is_sample
    assert sorted(found.values["m_ks_abs"]) == pytest.approx(sorted(row.m_ks_abs for row in expected))


def test_of_many_spectra_a_part_is_read_evenly_spaced(survey):
    with snapshot(database):
        every, found = read_others(), read_others(most=25)

    assert found.is_sample
    assert 10 <= len(found) <= 25
    assert set(found.values["m_ks_abs"]) < set(every.values["m_ks_abs"])


@on_sqlite
def test_among_few_good_stars_all_with_a_luminosity_are_the_others(db):
    for number in range(5):
        a_result(a_spectrum(a_source()), flag_fakemag_unreliable=number > 1, L_fakemag=10.0 + number)
    a_result(a_spectrum(a_source()), flag_missing_photometry=True)

    with snapshot(database):
        found = read_others()

    assert not found.only_good
    assert len(found) == 5


@on_sqlite
def test_a_star_is_none_of_its_others(db):
    stars = [a_source(), a_source(), a_source()]
    for number, star in enumerate(stars):
        a_result(a_spectrum(star), L_fakemag=10.0 + number)

    with snapshot(database):
        found = place(read_star(str(stars[0].sdss_id)).details[0], read_others())

    assert found["others"] == 2


@on_sqlite
def test_an_empty_database_has_no_others(db):
    with snapshot(database):
        assert len(read_others()) == 0


@on_sqlite
def test_shares_say_of_how_many_it_is_true(db):
    source = a_source(j_mag=10.7)
    a_result(a_spectrum(source, snr=200.0))
    detail = read_star(str(source.sdss_id)).details[0]

    found = place(detail, others_of(-5, -4, -3, 2, dist=9000.0))

    assert detail.summary.m_ks_abs == pytest.approx(-3.495, abs=1e-3)
    assert found["shares"] == {
        "brighter than": 0.5,
        "farther than": 0.0,
        "a smaller relative error than": 0.0,
        "a higher S/N than": 1.0,
    }
    assert found["kind"] == "giant"
    assert found["diagram"]["others"] == 4


@on_sqlite
def test_without_a_colour_there_is_no_diagram_and_without_a_luminosity_no_place(db):
    source = a_source()
    result = a_result(a_spectrum(source))
    detail = read_star(str(source.sdss_id)).details[0]

    assert place(detail, others_of(-5, -4))["diagram"] is None
    result.L_fakemag = np.nan
    result.save()
    assert place(read_star(str(source.sdss_id)).details[0], others_of(-5, -4)) is None
