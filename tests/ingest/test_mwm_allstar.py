"""``ingest_allstar`` of tables that name no files: mwmAllStar, and the results that Astra publishes."""

import itertools

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.ingest import allstar
from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar, Source, Spectrum
from astra.spectra.identity import identify, name_of, parse_path

OBJ = "2M06154934-0100415"
NEW = {
    "sdss_id": 71234567,
    "sdss4_apogee_id": OBJ,
    "gaia_dr3_source_id": np.int64(5853498713190525703),
    "healpix": np.int32(103456),
    "plx": np.float32(44.8),
    "k_mag": np.float32(12.541),
    "ebv": np.float32(0.31),
    "e_ebv": np.float32(0.02),
    "ebv_flags": np.int64(2),
    "release": "sdss5",
    "filetype": "apStar",
    "apred": "1.3",
    "apstar": "stars",
    "obj": OBJ,
    "telescope": "apo25m",
    "field": "",
    "prefix": "ap",
    "n_visits": np.int32(6),
    "snr": np.float32(58.6),
    "spectrum_flags": np.int64(512),
    "v_rad": np.float32(-18.37),
    "e_v_rad": np.float32(0.1),
}
#: The same star in the reduction of DR17, which stands beside.
OLD = NEW | {"release": "dr17", "apred": "dr17", "field": "210-08", "snr": np.float32(40.0)}
SPECTRA = ApogeeCoaddedSpectrumInApStar


def _paths():
    return {row.release: row.path for row in SPECTRA.select()}


# > Releases and paths


def test_every_row_has_its_own_release_and_path(db, table):
    counts = ingest_allstar(table("mwm.fits", [NEW, OLD]), release="dr19")

    assert (counts.spectra_new, counts.sources_new, counts.skipped) == (2, 1, 0)
    assert {row.release: row.product_id for row in SPECTRA.select()} == {
        "dr19": f"apstar/dr19/1.3/apo25m/103456/{OBJ}/ap/s",
        "dr17": f"apstar/dr17/dr17/apo25m/210-08/{OBJ}/ap/s",
    }
    assert _paths() == {
        "dr19": f"dr19/spectro/apogee/redux/1.3/stars/apo25m/103/103456/apStar-1.3-apo25m-{OBJ}.fits",
        "dr17": f"dr17/apogee/spectro/redux/dr17/stars/apo25m/210-08/apStar-dr17-{OBJ}.fits",
    }


@pytest.mark.parametrize(
    ("stated", "asked", "release", "root"),
    [
        ("sdss5", None, "sdss5", "sdsswork/mwm/apogee/spectro/redux/1.3/"),
        ("sdss5", "sdss5", "sdss5", "sdsswork/mwm/apogee/spectro/redux/1.3/"),
        ("sdss5", "DR19", "dr19", "dr19/spectro/apogee/redux/1.3/"),
        ("sdss5", "ipl-3", "ipl3", "ipl-3/spectro/apogee/redux/1.3/"),
        ("dr20", "sdss5", "dr20", "dr20/spectro/apogee/redux/1.3/"),
        ("dr20", None, "dr20", "dr20/spectro/apogee/redux/1.3/"),
    ],
)
def test_what_is_asked_for_counts_where_no_public_release_is_stated(
    db, table, the_spectrum, stated, asked, release, root
):
    ingest_allstar(table("mwm.fits", [NEW | {"release": stated}]), release=asked)

    assert the_spectrum().release == release
    assert the_spectrum().path.startswith(root)


@pytest.mark.parametrize("asked", [None, "sdss5"])
def test_who_does_not_ask_for_a_release_is_told_that_the_internal_one_is_taken(db, table, caplog, asked):
    ingest_allstar(table("mwm.fits", [NEW]), release=asked)

    assert ("internal tree; for the public files give --release with it" in caplog.text) == (asked is None)


def test_a_reduction_without_a_release_asks_for_it(db, table):
    row = {name: value for name, value in NEW.items() if name != "release"}

    with pytest.raises(UsageError, match="'1.3' does not tell its data release; give it with --release"):
        ingest_allstar(table("mwm.fits", [row]))


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (OLD | {"telescope": "lco25m", "prefix": "as"}, "asstar/dr17/dr17/lco25m/210-08"),
        (OLD | {"telescope": "lco25m", "prefix": ""}, "asstar/dr17/dr17/lco25m/210-08"),
        (NEW | {"telescope": "lco25m", "prefix": ""}, "apstar/dr19/1.3/lco25m/103456"),
        (OLD | {"filetype": "apStarC", "prefix": ""}, "apstar/dr17/dr17/apo25m/210-08"),
    ],
)
def test_the_kind_of_the_file_follows_from_prefix_or_telescope(db, table, the_spectrum, row, kind):
    ingest_allstar(table("mwm.fits", [row]), release="dr19")

    assert the_spectrum().product_id.startswith(f"{kind}/{OBJ}/")
    assert the_spectrum().commissioning == (row["filetype"] == "apStarC")


def test_rows_that_are_no_coadded_spectra_are_left_out_and_counted(db, table, caplog):
    rows = [NEW, NEW | {"obj": ""}, NEW | {"filetype": "apVisit"}, NEW | {"telescope": "apo40m"}]

    counts = ingest_allstar(table("mwm.fits", rows), release="dr19")

    assert (counts.seen, counts.spectra_new, counts.skipped) == (4, 1, 3)
    assert "3 rows name no apStar or asStar file" in caplog.text


# > Values


def test_the_values_are_those_of_the_table(db, table, the_spectrum, the_source):
    ingest_allstar(table("mwm.fits", [NEW]), release="dr19")

    spectrum, star = the_spectrum(), the_source()
    assert (spectrum.n_visits, spectrum.snr, spectrum.spectrum_flags) == (6, 58.6, 512)
    assert (spectrum.v_rad, spectrum.e_v_rad, spectrum.healpix) == (-18.37, 0.1, 103456)
    assert (star.sdss_id, star.sdss4_apogee_id, star.healpix) == (71234567, OBJ, 103456)
    assert (star.gaia_dr3_source_id, star.plx, star.gaia_release) == (5853498713190525703, 44.8, "dr3")
    assert (star.k_mag, star.ebv, star.e_ebv, star.ebv_origin) == (12.541, 0.31, 0.02, "ebv_zhang_2023")
    assert star.flag_ebv_from_zhang_2023
    assert star.ebv_flags == 2


def test_without_an_extinction_nothing_is_said_about_it(db, table, the_source):
    ingest_allstar(table("mwm.fits", [NEW | {"ebv": np.float32(np.nan)}]), release="dr19")

    star = the_source()
    assert np.isnan(star.ebv)
    assert np.isnan(star.e_ebv)
    assert (star.ebv_flags, star.ebv_origin) == (0, None)


def test_bits_with_the_numbers_of_newer_code_are_given_ours_and_that_is_said_once(
    db, table, the_source, caplog, monkeypatch
):
    monkeypatch.setattr(allstar, "BATCH", 1)
    monkeypatch.setattr(allstar, "READ", 1)
    columns = {"ebv_edenhofer_2023": np.float32(0.2), "ebv_sfd": np.float32(0.31), "ebv_flags": np.int64(36)}

    ingest_allstar(table("mwm.fits", [NEW | columns, OLD | columns]), release="dr19")

    assert (the_source().ebv_flags, the_source().ebv_origin) == (8 | 1, "ebv_sfd")
    assert (
        caplog.text.count("numbering") == caplog.text.count("ebv_flags in 2 rows are in the numbering") == 1
    )


def test_an_extinction_that_the_table_no_longer_has_is_withdrawn(db, table, the_source):
    ingest_allstar(table("mwm.fits", [NEW]), release="dr19")

    ingest_allstar(table("mwm.fits", [NEW | {"ebv": np.float32(np.nan)}]), release="dr19")

    assert np.isnan(the_source().ebv)
    assert the_source().ebv_flags == 0


# > Names of a star


def test_a_star_keeps_the_name_that_the_table_gives_it_whatever_its_spectra_are_called(db, table, caplog):
    rows = [NEW | {"obj": "2M06154935-0100416"}, OLD, NEW | {"obj": "2M06154933-0100414"}]

    for order in itertools.permutations(rows):
        ingest_allstar(table("mwm.fits", list(order)), release="dr19")

    assert [(row.sdss_id, row.sdss4_apogee_id) for row in Source.select()] == [(71234567, OBJ)]
    assert {row.source.sdss_id for row in SPECTRA.select()} == {71234567}
    assert "two APOGEE ids" not in caplog.text


def test_a_star_that_sdss_4_did_not_observe_is_called_as_its_spectrum(db, table, the_source):
    ingest_allstar(table("mwm.fits", [NEW | {"sdss4_apogee_id": ""}]), release="dr19")

    assert the_source().sdss4_apogee_id == OBJ


def test_a_source_that_a_file_made_gets_the_name_of_the_table_and_keeps_it(
    db, table, apstar, made_old, modified, the_source
):
    observed = "2M06154935-0100416"
    file = apstar(f"apStar-1.3-apo25m-{observed}.fits", OBJID=observed, HEALPIX=103456)
    rows = table("mwm.fits", [NEW | {"obj": observed}])
    ingest_apstar([file], release="dr19")

    ingest_allstar(rows, release="dr19")

    assert (the_source().sdss_id, the_source().sdss4_apogee_id) == (71234567, OBJ)
    assert SPECTRA.get().source_pk == the_source().pk
    made_old()
    before = modified()
    ingest_apstar([file], release="dr19")
    ingest_allstar(rows, release="dr19")
    assert modified() == before


def test_another_star_keeps_the_name_of_a_spectrum(db, table):
    ingest_allstar(table("a.fits", [NEW | {"sdss_id": 6, "sdss4_apogee_id": "", "obj": "B"}]), release="dr19")

    ingest_allstar(table("b.fits", [OLD | {"obj": "B"}]), release="dr19")

    assert {row.sdss_id: row.sdss4_apogee_id for row in Source.select()} == {6: "B", 71234567: OBJ}


# > The same product from a file, from allStar and from mwmAllStar

HEADER = {"HEALPIX": 103456, "TELESCOP": None, "FIELD": None, "J": None, "H": None, "K": None, "KMAG": 12.4}
FOLDER = "dr19/spectro/apogee/redux/1.3/stars/apo25m/103/103456"
NAMED = {
    "file": f"apStar-1.3-apo25m-{OBJ}-59380.fits",
    "apogee_id": OBJ,
    "telescope": "apo25m",
    "healpix": 103456,
    "snr": np.float32(58.6),
    "sdss_id": 71234567,
    "kmag": np.float32(12.5),
    "gaia_release": "gaia_dr3",
    "gaia_plx": np.float32(np.nan),
}


@pytest.fixture
def sources(apstar, table, tmp_path, monkeypatch):
    """One product as a file, as a row of allStar, and as a row of mwmAllStar."""
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    file = apstar(f"{FOLDER}/{NAMED['file']}", **HEADER)
    tables = table("allStar-1.3-apo25m.fits", [NAMED]), table("mwmAllStar-0.6.0.fits", [NEW])
    return {
        "file": lambda: ingest_apstar([file], release="dr19"),
        "allStar": lambda: ingest_allstar(tables[0], release="dr19"),
        "mwmAllStar": lambda: ingest_allstar(tables[1], release="dr19"),
    }


@pytest.mark.parametrize("order", list(itertools.permutations(["file", "allStar", "mwmAllStar"])))
def test_a_product_is_one_row_whatever_it_comes_from(
    db, sources, order, made_old, modified, the_spectrum, the_source
):
    for kind in order:
        sources[kind]()

    assert Spectrum.select().count() == 1
    assert the_spectrum().product_id == f"apstar/dr19/1.3/apo25m/103456/{OBJ}/ap/s"
    # The file that is there, not the link to it that the survey's template names.
    assert the_spectrum().path == f"{FOLDER}/{NAMED['file']}"
    # mwmAllStar goes before allStar, and that before the header.
    star = the_source()
    assert (star.k_mag, star.plx, star.gaia_release, star.ebv) == (12.541, 44.8, "dr3", 0.31)
    made_old()
    before = modified()
    for kind in order * 2:
        sources[kind]()
    assert modified() == before


@pytest.mark.parametrize("pixel", [103457, -1])
@pytest.mark.parametrize("order", [("file", "mwmAllStar"), ("mwmAllStar", "file")])
def test_another_pixel_of_the_star_is_no_other_product(db, apstar, table, pixel, order, the_spectrum, caplog):
    file = apstar(f"{FOLDER}/{NAMED['file']}", **HEADER)
    row = table("mwm.fits", [NEW | {"healpix": np.int32(pixel)}])
    ingest = {"file": lambda: ingest_apstar([file], release="dr19")}
    ingest["mwmAllStar"] = lambda: ingest_allstar(row, release="dr19")

    for kind in order * 2:
        ingest[kind]()

    assert the_spectrum().product_id == f"apstar/dr19/1.3/apo25m/103456/{OBJ}/ap/s"
    assert the_spectrum().path == str(file)
    assert "header, folder and table disagree" in caplog.text


_OBJECTS = st.from_regex(r"2M[0-9]{8}[+-][0-9]{7}", fullmatch=True)
_FIELDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_+]{0,11}", fullmatch=True)


@given(
    apred=st.sampled_from(["dr17", "r12", "1.0", "1.3", "1.5.1", "daily"]),
    telescope=st.sampled_from(["apo25m", "lco25m"]),
    obj=_OBJECTS,
    field=_FIELDS,
    healpix=st.integers(0, 196_607),
    release=st.sampled_from(["dr19", "dr20", "sdss5", "ipl-3"]),
    is_dated=st.booleans(),
)
def test_one_product_has_one_identity(apred, telescope, obj, field, healpix, release, is_dated):
    is_old = apred in ("dr17", "r12")
    prefix = "as" if is_old and telescope == "lco25m" else "ap"
    middle = "" if is_old else f"{telescope}-"
    file = f"{prefix}Star-{apred}-{middle}{obj}{'-59380' * is_dated}.fits"
    place = {"field": field} if is_old else {"healpix": healpix}
    row = {"obj": obj, "telescope": telescope, "apred": apred, "healpix": healpix, "release": "sdss5"}
    row |= {"field": field if is_old else "", "filetype": "apStar", "prefix": prefix}

    of_file = identify(parse_path(file), {"obj": obj, **place}, release=release)
    named = {"obj": obj, "telescope": telescope, "file_name": file, "healpix": healpix, "field": field}
    of_allstar = identify(parse_path(file), named, release=release)
    of_mwm = identify(name_of(row), row, release=release)

    assert of_file.product_id == of_allstar.product_id == of_mwm.product_id
    assert of_allstar.sas_path.replace("-59380", "") == of_mwm.sas_path


# > Files


def test_a_table_of_stars_alone_is_refused_and_the_command_for_it_named(table):
    stars = {name: NEW[name] for name in ("sdss_id", "sdss4_apogee_id", "healpix", "k_mag", "ebv")}
    path = table("mwmTargets-0.6.0.fits", [stars])

    with pytest.raises(UsageError) as caught:
        ingest_allstar(path)

    lacks = "missing columns: OBJ, TELESCOPE, APRED"
    assert str(caught.value) == f"no spectra in {path} ({lacks}); for its stars: astra ingest catalog {path}"


def test_of_the_two_tables_of_a_summary_the_one_of_apogee_is_taken(db, tmp_path):
    boss = {"sdss_id": 5, "telescope": "apo25m", "release": "sdss5", "healpix": 7, "run2d": "v6_1_3"}
    path = tmp_path / "mwmAllStar-0.6.0.fits"
    tables = [fits.table_to_hdu(Table([boss] * 3)), fits.table_to_hdu(Table([NEW]))]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)

    assert ingest_allstar(path, release="dr19").seen == 1


def test_a_table_without_rows_is_said(db, tmp_path, caplog):
    path = tmp_path / "mwmAllStar-0.8.1.fits"
    fits.BinTableHDU(fits.table_to_hdu(Table([NEW])).data[:0]).writeto(path)

    assert ingest_allstar(path, release="dr20").seen == 0
    assert "table 1 has no rows" in caplog.text
