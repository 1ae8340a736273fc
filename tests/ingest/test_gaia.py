"""Gaia's measurements, by the names of the archive, of VizieR, and of the survey."""

import re
from pathlib import Path

import pytest

from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.records import Tally

NUMBER = 3118900000000000123
#: A row of ``gaiadr3.gaia_source``, and what it is for us.
ARCHIVE = {
    "source_id": NUMBER,
    "ref_epoch": 2016.0,
    "parallax": 44.8,
    "parallax_error": 0.02,
    "pmra": 10.5,
    "pmra_error": 0.03,
    "pmdec": -3.5,
    "pmdec_error": 0.04,
    "phot_g_mean_mag": 12.5,
    "phot_bp_mean_mag": 13.25,
    "phot_rp_mean_mag": 11.5,
    "ruwe": 1.02,
    "nu_eff_used_in_astrometry": 1.45,
    "pseudocolour": 1.5,
    "astrometric_params_solved": 95,
}
OURS = {
    "gaia_dr3_source_id": NUMBER,
    "gaia_release": "dr3",
    "plx": 44.8,
    "e_plx": 0.02,
    "pmra": 10.5,
    "e_pmra": 0.03,
    "pmde": -3.5,
    "e_pmde": 0.04,
    "g_mag": 12.5,
    "bp_mag": 13.25,
    "rp_mag": 11.5,
    "ruwe": 1.02,
    "nu_eff_used_in_astrometry": 1.45,
    "pseudocolour": 1.5,
    "astrometric_params_solved": 95,
}
#: The same row in the table I/355/gaiadr3 of VizieR.
VIZIER = {
    "DR3Name": f"Gaia DR3 {NUMBER}",
    "RA_ICRS": 10.0,
    "DE_ICRS": 20.0,
    "Source": NUMBER,
    "Plx": 44.8,
    "e_Plx": 0.02,
    "pmRA": 10.5,
    "e_pmRA": 0.03,
    "pmDE": -3.5,
    "e_pmDE": 0.04,
    "Gmag": 12.5,
    "BPmag": 13.25,
    "RPmag": 11.5,
    "RUWE": 1.02,
    "nueff": 1.45,
    "pscol": 1.5,
    "Solved": 95,
}


def values_of(path):
    return Catalog(path, Tally()).match(None, [], NUMBER).values


@pytest.mark.parametrize("name", ["t.csv", "t.ecsv", "t.fits", "t.vot"])
def test_a_result_of_the_archive_is_a_catalogue(table, name):
    assert values_of(table(name, [ARCHIVE])) == OURS


def test_a_result_of_vizier_is_a_catalogue_and_names_its_release(table, caplog):
    assert values_of(table("t.fits", [VIZIER])) == OURS | {"ra": 10.0, "dec": 20.0}
    assert "are taken for" not in caplog.text
    assert "is taken for identifiers" not in caplog.text


def test_the_numbers_of_dr2_from_vizier_are_of_no_source_in_dr3(table):
    row = {("DR2Name" if name == "DR3Name" else name): value for name, value in VIZIER.items()}
    path = table("t.fits", [row | {"apogee_id": "2M1"}])

    values = Catalog(path, Tally()).match(None, ["2M1"]).values

    assert (values["gaia_dr3_source_id"], values["gaia_release"], values["plx"]) == (None, "dr2", 44.8)


def test_a_column_source_of_another_table_is_no_identifier(table):
    row = {"apogee_id": "2M1", "source": NUMBER, "ra": 10.0, "dec": 20.0, "plx": 44.8}

    values = Catalog(table("t.fits", [row]), Tally()).match(None, ["2M1"]).values

    assert values == {"ra": 10.0, "dec": 20.0, "plx": 44.8}


@pytest.mark.parametrize("prefix", ["gaiadr3_", "GAIAEDR3_"])
def test_names_with_a_prefix_are_known(table, prefix):
    row = {prefix + name: value for name, value in ARCHIVE.items() if name != "ref_epoch"}

    release = "dr3" if prefix == "gaiadr3_" else "edr3"
    assert values_of(table("t.fits", [row])) == OURS | {"gaia_release": release}


@pytest.mark.parametrize(
    ("columns", "bp_mag", "rp_mag"),
    [
        ({"bp_rp": 1.75, "phot_bp_mean_mag": 13.25}, 13.25, 11.5),
        ({"bp_rp": 1.75, "phot_rp_mean_mag": 11.5}, 13.25, 11.5),
        ({"BP-RP": 1.75, "RPmag": 11.5}, 13.25, 11.5),
        ({"bp_rp": 9.0, "phot_bp_mean_mag": 13.25, "phot_rp_mean_mag": 11.5}, 13.25, 11.5),
        ({"bp_rp": 99.9, "phot_rp_mean_mag": 11.5}, None, 11.5),
        ({"bp_rp": 1.75, "phot_rp_mean_mag": -9999.0}, None, None),
    ],
)
def test_a_magnitude_follows_from_the_colour_and_the_other_one(table, columns, bp_mag, rp_mag):
    values = values_of(table("t.fits", [{"gaia_dr3_source_id": NUMBER} | columns]))

    assert (values["bp_mag"], values["rp_mag"]) == (bp_mag, rp_mag)
    assert "bp_rp" not in values


def test_a_colour_without_a_magnitude_is_said_not_to_be_used(table, caplog):
    values = values_of(table("t.fits", [{"gaia_dr3_source_id": NUMBER, "bp_rp": 1.75, "plx": 3.0}]))

    assert values == {"gaia_dr3_source_id": NUMBER, "plx": 3.0}
    assert "columns that are not used: bp_rp" in caplog.text


def test_what_the_documented_queries_fetch_is_all_used(table, caplog):
    text = (Path(__file__).parents[2] / "docs" / "stars.md").read_text()
    queries = re.findall(r"^SELECT (.*?)\nFROM", text, re.DOTALL | re.MULTILINE)
    assert len(queries) == 2

    for query in queries:
        columns = [each.split(" AS ")[-1].split(".")[-1] for each in re.split(r",\s+", query)]
        row = ARCHIVE | {"apogee_id": "06154934-0100415"}
        values = values_of(table("t.csv", [{name: row[name] for name in columns}]))
        assert OURS == values

    assert "not used" not in caplog.text
