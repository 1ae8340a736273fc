"""The distances of Bailer-Jones et al.: read by their published names, and no result rests on them."""

import math

import pytest
from builders import a_result, a_source, a_spectrum

from astra.errors import UsageError
from astra.ingest.catalog_alone import ingest_catalog
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.records import Tally
from astra.ingest.values import BAILER_JONES
from astra.models import AstroNNdist, Source
from astra.schema.effects import effect_on
from astra.tasks.installed import find_task

VALUES = dict(zip(BAILER_JONES, (2000.5, 1900.25, 2125.0, 1990.5, 1950.25, 2050.0), strict=True))


def values_of(path):
    return Catalog(path, Tally()).match(None, ["2M1"]).values


@pytest.mark.parametrize("spelled", [str, str.upper, lambda name: f"GAIAEDR3_{name.upper()}"])
def test_the_names_of_astra_and_of_dr17_are_known(table, spelled):
    row = {spelled(name): value for name, value in VALUES.items()}

    assert values_of(table("t.fits", [{"apogee_id": "2M1"} | row])) == VALUES


def test_what_dr16_has_from_gaia_dr2_is_not_used(table, caplog):
    row = {"apogee_id": "2M1", "k_mag": 9.0, "GAIA_R_EST": 2000.5, "GAIA_R_LO": 1900.0, "GAIA_R_HI": 2100.0}

    assert values_of(table("t.fits", [row])) == {"k_mag": 9.0}
    assert "columns that are not used: GAIA_R_EST, GAIA_R_HI, GAIA_R_LO" in caplog.text


def test_units_are_converted_and_those_of_something_else_refused(table):
    row = {"apogee_id": "2M1", "r_med_geo": 2.0}

    assert values_of(table("kpc.fits", [row], units={"r_med_geo": "kpc"})) == {"r_med_geo": 2000.0}
    with pytest.raises(UsageError, match="column r_med_geo is taken for r_med_geo, but its unit mas"):
        values_of(table("mas.fits", [row], units={"r_med_geo": "mas"}))


@pytest.mark.parametrize("filler", [-9999.0, -999999.0, 999999.0, 0.0, math.nan])
def test_fillers_are_absent(table, filler):
    assert values_of(table("t.fits", [{"apogee_id": "2M1", "r_med_photogeo": filler}])) == {
        "r_med_photogeo": None
    }


def test_no_result_becomes_stale_by_them_whatever_they_change_to(db, table, made_old):
    spectrum = a_spectrum(a_source(sdss4_apogee_id="2M1"))
    made_old()
    versions = ("inputs_read", "spectrum_modified", "source_modified")
    a_result(spectrum, **dict.fromkeys(versions, Source.get().modified))
    rows, task = list(AstroNNdist.select().tuples()), find_task("astronn_dist")
    before = effect_on(db, task)

    for factor in (1.0, 1.1):
        given = {name: factor * value for name, value in VALUES.items()}
        ingest_catalog(table("t.csv", [{"apogee_id": "2M1"} | given]))
        assert {name: getattr(Source.get(), name) for name in VALUES} == pytest.approx(given)

    assert Source.get().modified.year == 2020
    assert effect_on(db, task) == before
    assert (before.pending, before.stale, repr(list(AstroNNdist.select().tuples()))) == (0, 0, repr(rows))
    ingest_catalog(table("t.csv", [{"apogee_id": "2M1", "k_mag": 9.5}]))
    assert effect_on(db, task).stale == 1
