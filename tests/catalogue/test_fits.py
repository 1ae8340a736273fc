"""The catalogue as FITS: every value that of SQL, in a file that passes every checker."""

import io
import shutil
from collections import defaultdict

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from builders import a_result, a_run, a_source, a_spectrum, on_sqlite
from catalogue_values import SPECTRA, from_array, from_sql, of_sqlite
from full_survey import fill
from hypothesis import example, given, settings
from hypothesis import strategies as st

import astra
from astra.catalogue import as_fits
from astra.catalogue.as_fits import Checksum, encoded
from astra.catalogue.columns import OF_GAIA_DR3, Kind, columns
from astra.catalogue.options import Format, Names
from astra.catalogue.query import Summary
from astra.catalogue.table import Table as Catalogue
from astra.config import Settings
from astra.database.connection import bound_to, open_database
from astra.errors import AstraError
from astra.pipelines.astronn_dist import astronn_dist

# Astropy's own writer uses these methods; there is no public function for the sum of bytes.
ORACLE = fits.PrimaryHDU()
#: The kinds of numpy by the types of the published description.
TYPES = dict.fromkeys(("int64", "int32"), "i") | {"float32": "f", "char": "U", "bool": "b"}


def test_every_value_is_that_of_sql(survey, written, in_sql):
    path = written(Format.FITS).path
    expected = in_sql(survey)

    read = Table.read(path)

    assert len(read) == SPECTRA
    for column in columns(astronn_dist):
        assert from_array(read[column.name]) == from_sql(column, expected[column.key]), column.name


@of_sqlite
def test_columns_have_units_descriptions_types_and_masks(survey, written):
    read = Table.read(written(Format.FITS).path)

    assert read.colnames == [column.name for column in columns(astronn_dist)]
    types = {Kind.LONG: "i8", Kind.INT: "i4", Kind.DOUBLE: "f8", Kind.LOGICAL: "b1"}
    for column in columns(astronn_dist):
        found = read[column.name]
        assert found.description == column.description
        assert found.unit == (units.Unit(column.unit) if column.unit else None), column.name
        assert found.dtype.str[1:] == types.get(column.kind, found.dtype.str[1:]), column.name
    assert isinstance(read["sdss_id"], MaskedColumn)
    assert not isinstance(read["spectrum_pk"], MaskedColumn)


@of_sqlite
@pytest.mark.parametrize(
    "condition",
    [
        "dist is not null and telescope <> 'a name that makes its card long'",
        "dist is not null and telescope <> '/' and field <> 'a slash behind a quote, on lines of HISTORY'",
    ],
)
def test_the_file_passes_fitsverify_and_astropy_without_a_warning(survey, create, verified, condition):
    path = create(condition=condition).path

    assert verified(path) == "0 warning(s) and 0 error(s)."
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.header["EXTNAME"] for hdu in hdus[1:]] == ["APOGEE"]
        for hdu in hdus:
            assert (hdu.verify_checksum(), hdu.verify_datasum()) == (1, 1)


@of_sqlite
def test_names_of_dr19_make_the_layout_of_dr19(survey, create, verified, published):
    layout = published("astraAllStarAstroNNdist")["DR19"]["hdus"]

    path = create(names=Names.DR19).path

    assert verified(path) == "0 warning(s) and 0 error(s)."
    with fits.open(path) as hdus:
        primary, boss, apogee = hdus
        assert {card for card, _ in layout["hdu0"]["header"]} <= set(primary.header)
        assert [hdu.header["EXTNAME"] for hdu in (boss, apogee)] == ["BOSS", "APOGEE"]
        assert boss.columns.names == apogee.columns.names
        assert (len(boss.data), len(apogee.data)) == (0, SPECTRA)
        kinds = {name: apogee.data[name].dtype.kind for name in apogee.columns.names}
        theirs = {
            name: TYPES[kind.partition("[")[0]] for name, (kind, _) in layout["hdu2"]["columns"].items()
        }
    both = kinds.keys() & theirs.keys()
    assert {"sdss_id", "k_mag", "nn_dist", "L_fakemag_err", "gdr3_parallax_w_zp", "flag_bad"} <= both
    # A number here, a text there.
    assert {name for name in both if kinds[name] != theirs[name]} == {"v_astra"}


@pytest.mark.parametrize("hdu", [0, 1])
def test_the_headers_say_what_the_rows_come_from(survey, written, in_sql, hdu):
    made = written(Format.FITS)
    expected = in_sql(survey)

    header = fits.getheader(made.path, hdu)

    assert (header["V_ASTRA"], header["PIPELINE"]) == (astra.__version__, "AstroNNdist")
    assert (header["WEIGHTS"], header["W_SHA256"]) == ("survey", "ab" * 32)
    assert (header["SEED"], header["NDRAWS"], header["PRECISIN"]) == (7, 100, "float32")
    assert (header["NSPECTRA"], header["NSTARS"]) == (SPECTRA, len(set(expected["source_pk"]) - {None}))
    assert (header["MIXED"], header["NAMES"]) == (False, "astra")
    assert header["DATE"] == str(max(expected["modified"]))[:19].replace(" ", "T")
    counts = {
        "NGOOD": "good",
        "NCLEAN": "clean",
        "NBAD": "flag_bad",
        "NWARN": "flag_warn",
        "NFLAG11": "flag_no_result",
    }
    counts |= {"NFLAG1": "flag_missing_photometry", "NFLAG2": "flag_missing_extinction"}
    for card, key in counts.items():
        assert header[card] == sum(expected[key]), card
    assert "FILTER" not in header


def test_the_same_database_gives_the_same_file_byte_for_byte(survey, written, create):
    first, second = written(Format.FITS), create()

    assert first.path.read_bytes() == second.path.read_bytes()


@of_sqlite
def test_published_names_are_those_of_dr19(survey, create, in_sql):
    expected = in_sql(survey)

    read = Table.read(create(names=Names.DR19).path, hdu="APOGEE")

    published = {"k_mag": "source_k_mag", "ebv": "source_ebv", "k_mag_used": "k_mag", "nn_dist": "dist"}
    published |= {"L_fakemag_err": "e_l_fakemag", "gaia_parallax": "gaia_parallax"}
    for name, key in published.items():
        assert from_array(read[name]) == list(expected[key]), name


def test_only_exact_zero_points_of_gaia_dr3_stand_under_the_names_that_mean_it(db, create):
    origins = ("nu_eff", "pseudocolour", "bp_rp", "j_ks", "typical_colour", "no_g", "no_position", "dr2")
    for origin in origins:
        gaia = {"plx_zero_point": -0.04, "gaia_parallax": 0.3, "e_gaia_parallax": 0.02}
        a_result(a_spectrum(a_source()), plx_zero_point_origin=origin, **gaia)
    # Of a version that did not say what a zero-point is made from: exact, or none.
    a_result(a_spectrum(a_source()), plx_zero_point=-0.04, gaia_parallax=0.3, e_gaia_parallax=0.02)
    a_result(a_spectrum(a_source()), gaia_parallax=0.3, e_gaia_parallax=0.02)

    read = Table.read(create(names=Names.DR19).path, hdu="APOGEE")

    is_exact = [True, True, *[False] * 6, True, False]
    for ours, theirs in OF_GAIA_DR3.items():
        values = from_array(read[ours])
        expected = [value if exact else None for value, exact in zip(values, is_exact, strict=True)]
        assert from_array(read[theirs]) == expected
    assert from_array(read["gaia_parallax"]) == [0.3] * len(is_exact)


def test_only_rows_that_meet_the_condition_are_written_and_counted(survey, create, in_sql):
    expected = in_sql(survey)
    good = [pk for pk, good in zip(expected["spectrum_pk"], expected["good"], strict=True) if good]

    made = create(condition="good")

    header = fits.getheader(made.path)
    assert list(Table.read(made.path)["spectrum_pk"]) == good
    assert (header["FILTER"], header["NSPECTRA"], header["NBAD"]) == ("good", len(good), 0)


@settings(max_examples=60)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=300))
@example("obj <> '' and field <> '' and telescope <> '' and release <> '' and prefix <> '' and apred <> '/'")
@example("field in ('', '/') or field in ('', '/', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j')")
@example("apred <> '/'")
@example("good  ")
@example("&" * 70)
def test_a_filter_is_read_back_as_it_was_written(text):
    few = columns(astronn_dist)[:3]
    summary = Summary(0, 0, None, defaultdict(int), {column.key: 1 for column in few})
    stream = io.BytesIO()

    as_fits.write(stream, Catalogue(astronn_dist, few, summary, [], Names.ASTRA, text, iter(())))

    header = fits.Header.fromstring(stream.getvalue()[: stream.getvalue().index(b"END   ")])
    lines = [line for line in header.get("HISTORY", []) if line.startswith("FILTER |")]
    said = "".join(line.removeprefix("FILTER |").removesuffix("|") for line in lines)
    assert (said or header["FILTER"]) == text


@on_sqlite
def test_no_rows_make_an_empty_table_without_a_date(db, create, verified):
    made = create()

    assert len(Table.read(made.path)) == 0
    assert "DATE" not in fits.getheader(made.path)
    assert verified(made.path) == "0 warning(s) and 0 error(s)."


@on_sqlite
def test_text_that_fits_cannot_hold_is_escaped_and_never_cut(db, create, verified):
    run = a_run(weights_sha256="0" * 64, weights_name="größer" * 20, seed=0, n_draws=1, precision="x")
    spectrum = a_spectrum(a_source(), field="Δ🌟é" * 5)
    a_result(spectrum, run_pk=run.pk, no_result_reason="broken:\n\tmañana")

    made = create()
    (row,) = Table.read(made.path)

    assert row["field"] == r"\u0394\U0001f31f\xe9" * 5
    assert row["no_result_reason"] == r"broken:  ma\xf1ana"
    assert fits.getheader(made.path)["WEIGHTS"] == r"gr\xf6\xdfer" * 20
    assert verified(made.path) == "0 warning(s) and 0 error(s)."


@on_sqlite
def test_an_integer_that_stands_for_absent_ones_is_an_error_and_leaves_no_file(db, create, tmp_path):
    a_result(a_spectrum(a_source(sdss_id=-(2**63))))

    with pytest.raises(AstraError, match="column sdss_id"):
        create()

    assert not list(tmp_path.glob("*catalogue*"))


def test_zero_and_one_are_not_taken_for_absent_values(db, create):
    a_result(a_spectrum(a_source(sdss_id=0, healpix=0, plx=0.0)), dist=0.0)

    read = Table.read(create().path)

    assert (read["sdss_id"][0], read["healpix"][0], read["plx"][0], read["dist"][0]) == (0, 0, 0.0, 0.0)
    assert np.isnan(read["pmra"].filled(np.nan)[0])


@pytest.mark.postgres
def test_both_databases_give_the_same_file(sqlite_template, postgres, postgres_template, create, tmp_path):
    copy = shutil.copyfile(sqlite_template, tmp_path / "astra.db")
    contents = []
    with postgres.database(postgres_template) as dbname:
        for place in ({"path": copy}, {"url": postgres.url(dbname)}):
            settings = Settings.model_validate({"database": place, "models_dir": "/nowhere"})
            with bound_to(open_database(settings)) as opened:
                fill(opened, 60)
                contents.append(create("catalogue.fits", overwrite=True).path.read_bytes())

    assert contents[0] == contents[1]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_the_sum_does_not_depend_on_the_chunks_and_is_that_of_astropy(chunks):
    whole = b"".join(chunks)
    padded = whole + b"\0" * (-len(whole) % 2880)

    growing = Checksum()
    for chunk in chunks:
        growing.add(chunk)

    assert growing.value == ORACLE._compute_checksum(np.frombuffer(padded, np.uint8))
    assert growing.length == len(whole)


@given(st.integers(0, 2**32 - 1))
def test_the_letters_of_a_sum_are_those_of_astropy(value):
    assert encoded(value) == ORACLE._char_encode(2**32 - 1 - value)


def test_a_sum_that_overflows_again_and_again_is_folded():
    growing = Checksum()
    for _ in range(3):
        growing.add(b"\xff" * 2880 * 7)

    assert growing.value == 2**32 - 1
