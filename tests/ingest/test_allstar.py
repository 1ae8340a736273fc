"""``ingest_allstar``: tables of every release, on both databases."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from builders import on_sqlite

from astra.errors import UsageError
from astra.ingest import allstar as module
from astra.ingest.allstar import ingest_allstar
from astra.models import ApogeeCoaddedSpectrumInApStar, Source, Spectrum

OBJ = "2M06154934-0100415"
DR12 = {
    "FILE": f"apStar-r5-{OBJ}.fits",
    "APOGEE_ID": OBJ,
    "TELESCOPE": "apo25m",
    "LOCATION_ID": np.int16(4123),
    "FIELD": "210-08",
    "COMMISS": np.int16(0),
    "K": np.float32(12.541),
    "K_ERR": np.float32(9.998),
    "AK_TARG": np.float32(-9999.99),
    "AK_TARG_METHOD": "none",
    "SFD_EBV": np.float32(0.5),
    "SNR": np.float32(58.6237),
    "NVISITS": np.int32(6),
    "STARFLAG": np.int32(512),
    "VHELIO_AVG": np.float32(-18.3761),
    "VERR": np.float32(0.0424222),
}


# > A real table


@pytest.mark.heavy
def test_a_real_table_is_taken_as_a_whole_and_repeating_it_modifies_nothing(
    db, real_table, made_old, modified
):
    counts = ingest_allstar(real_table)
    assert (counts.seen, counts.spectra_new, counts.sources_new, counts.skipped) == (3244, 3244, 3015, 0)
    assert Spectrum.select().count() == ApogeeCoaddedSpectrumInApStar.select().count() == 3244
    made_old()
    before = modified()

    counts = ingest_allstar(real_table)

    assert (counts.spectra_unchanged, counts.sources_unchanged) == (3244, 3015)
    assert modified() == before


def test_values_of_a_real_table(db, real_table):
    ingest_allstar(real_table)

    spectra = ApogeeCoaddedSpectrumInApStar
    one_metre = spectra.get(obj="2M00003088+5933348")
    assert one_metre.path == "dr12/apogee/spectro/redux/r5/stars/apo1m/hip/apStar-r5-2M00003088+5933348.fits"
    commissioning = spectra.get(obj="2M12393040-0655440")
    assert commissioning.product_id == "apstar/dr12/r5/apo25m/vod3/2M12393040-0655440/ap/c"
    assert commissioning.path.endswith("r5/stars/apo25m/4126/apStarC-r5-2M12393040-0655440.fits")
    assert spectra.select().where(spectra.commissioning).count() == 174
    star = Source.get(sdss4_apogee_id="2M05325708-0433593")
    assert (star.k_mag, star.e_k_mag) == (7.528, 0.024)
    assert star.ebv == pytest.approx(0.19035062 / 0.3517, rel=1e-7)
    assert star.flag_ebv_from_sfd
    assert star.ebv_origin == "AK_TARG (SFD)"
    # The parallax of Hipparcos is not that of Gaia.
    assert Source.select().where(Source.plx.is_null(False)).count() == 0
    assert Source.select().where((Source.k_mag > 98) | (Source.k_mag < -1) | (Source.ebv < -1)).count() == 0
    assert Source.select().where(Source.k_mag.is_null()).count() == 6


def test_the_settings_may_say_where_files_lie(db, table, monkeypatch, tmp_path, the_spectrum):
    (tmp_path / "paths.yml").write_text('apstar_path: "mine/{apred}/{field}/{obj}.fits"')
    monkeypatch.setenv("ASTRA_CONFIG", str(tmp_path / "paths.yml"))

    ingest_allstar(table("t.fits", [DR12]))

    assert the_spectrum().path == f"mine/r5/210-08/{OBJ}.fits"


# > Extinction


@pytest.mark.parametrize(
    ("a_k", "method", "sfd", "preference", "expected"),
    [
        (0.3517, "RJCE_IRAC", 0.5, "auto", (1.0, 2**4, "AK_TARG (RJCE_IRAC)")),
        (0.3517, "RJCE_WISE_PARTSKY", 0.5, "auto", (1.0, 2**5, "AK_TARG (RJCE_WISE_PARTSKY)")),
        (0.3517, "SFD", 0.5, "ak_targ", (1.0, 2**3, "AK_TARG (SFD)")),
        (0.3517, "none", 0.5, "auto", (1.0, 0, "AK_TARG")),
        (-9999.99, "none", 0.5, "auto", (0.442, 2**3 | 1, "0.884 SFD_EBV")),
        (-86.2, "RJCE_IRAC", 0.5, "auto", (0.442, 2**3 | 1, "0.884 SFD_EBV")),
        (-86.2, "RJCE_IRAC", 0.5, "ak_targ_sfd", (0.5, 2**3, "SFD_EBV")),
        (-0.03517, "RJCE_WISE_OPS", 0.5, "auto", (-0.1, 2**5, "AK_TARG (RJCE_WISE_OPS)")),
        (0.3517, "RJCE_IRAC", 0.5, "sfd", (0.442, 2**3 | 1, "0.884 SFD_EBV")),
        (0.3517, "RJCE_IRAC", 0.5, "rjce", (1.0, 2**4, "AK_TARG (RJCE_IRAC)")),
        (0.3517, "SFD", 0.5, "rjce", (None, 0, None)),
        (-9999.99, "none", 0.5, "ak_targ", (None, 0, None)),
        (0.3517, "RJCE_IRAC", -9999.99, "sfd", (None, 0, None)),
        (np.nan, "none", np.nan, "auto", (None, 0, None)),
    ],
)
def test_where_the_extinction_comes_from(db, table, a_k, method, sfd, preference, expected, the_source):
    row = DR12 | {"AK_TARG": a_k, "AK_TARG_METHOD": method, "SFD_EBV": sfd}

    ingest_allstar(table("t.fits", [row]), extinction=preference)

    star = the_source()
    assert star.ebv == pytest.approx(np.nan if expected[0] is None else expected[0], nan_ok=True)
    assert (star.ebv_flags, star.ebv_origin) == expected[1:]


def test_an_unknown_preference_is_refused(table):
    with pytest.raises(UsageError, match="unknown extinction: 'best'; it is one of auto, ak_targ, rjce, sfd"):
        ingest_allstar(table("t.fits", [DR12]), extinction="best")


# > Releases


def test_a_dr17_row(db, table, the_spectrum, the_source):
    row = {
        "FILE": f"asStar-dr17-{OBJ}.fits",
        "APOGEE_ID": OBJ,
        "TELESCOPE": "lco25m",
        "FIELD": "260-60-RM_lco",
        "GAIAEDR3_SOURCE_ID": np.int64(4295806720123456789),
        "GAIAEDR3_PARALLAX": 12.5,
        "GAIAEDR3_PARALLAX_ERROR": np.float32(0.02),
        "GAIAEDR3_PMDEC": np.float32(-9999.99),
        "GAIAEDR3_PHOT_G_MEAN_MAG": np.float32(11.25),
        "VHELIO_AVG": np.float32(999999.0),
    }

    ingest_allstar(table("t.fits", [row]))

    spectrum, star = the_spectrum(), the_source()
    assert spectrum.product_id == f"asstar/dr17/dr17/lco25m/260-60-rm_lco/{OBJ}/as/s"
    assert (
        spectrum.path == f"dr17/apogee/spectro/redux/dr17/stars/lco25m/260-60-RM_lco/asStar-dr17-{OBJ}.fits"
    )
    assert np.isnan(spectrum.v_rad)
    assert (star.gaia_dr3_source_id, star.gaia_release) == (4295806720123456789, "edr3")
    assert (star.plx, star.e_plx, star.g_mag) == (12.5, 0.02, 11.25)
    assert np.isnan(star.pmde)


def test_a_dr16_row_has_the_parallax_of_dr2_and_no_number_of_dr3(db, table, the_source):
    row = DR12 | {"FILE": f"apStar-r12-{OBJ}.fits", "GAIA_SOURCE_ID": 5, "GAIA_PARALLAX": 12.5}

    ingest_allstar(table("t.fits", [row]))

    star = the_source()
    assert (star.plx, star.gaia_release, star.gaia_dr3_source_id) == (12.5, "dr2", None)


def test_an_sdss_5_table_in_its_own_spelling(db, table, tmp_path):
    row = {
        "file": f"apStar-1.3-apo25m-{OBJ}-60130.fits",
        "apogee_id": OBJ,
        "sdss_id": 71234567,
        "telescope": "apo25m",
        "healpix": 103456,
        "jmag": 10.5,
        "kerr": np.float32(0.025),
        "gaia_release": "DR3",
        "gaia_sourceid": 77,
        "gaia_plx": 2.5,
        "gaia_gmag": 13.0,
        "vrad": -5.5,
    }
    filler = dict(
        row, file="apStar-1.3-apo25m-B.fits", apogee_id="B", sdss_id=-1, gaia_release="", gaia_sourceid=-1
    )
    filler |= {"gaia_plx": -9999.99, "gaia_gmag": np.nan, "healpix": 1}

    ingest_allstar(table("t.fits", [row, filler]), release="sdss5", spectra_root=tmp_path / "spectra")

    spectrum, star = ApogeeCoaddedSpectrumInApStar.get(obj=OBJ), Source.get(sdss_id=71234567)
    path = f"sdsswork/mwm/apogee/spectro/redux/1.3/stars/apo25m/103/103456/apStar-1.3-apo25m-{OBJ}-60130.fits"
    assert spectrum.path == str(tmp_path / "spectra" / path)
    assert spectrum.v_rad == -5.5
    assert (star.j_mag, star.e_k_mag, star.plx, star.g_mag) == (10.5, 0.025, 2.5, 13.0)
    assert (star.gaia_dr3_source_id, star.gaia_release, star.healpix) == (77, "dr3", 103456)
    other = Source.get(sdss4_apogee_id="B")
    assert (other.sdss_id, other.gaia_release, other.gaia_dr3_source_id) == (None, None, None)


# > Published columns

_COMMON = {"ra": "RA", "dec": "DEC", "l": "GLON", "b": "GLAT", "n_visits": "NVISITS", "snr": "SNR"}
_COMMON |= {"spectrum_flags": "STARFLAG", "e_v_rad": "VERR"}
SDSS4 = _COMMON | {"j_mag": "J", "e_j_mag": "J_ERR", "h_mag": "H", "e_h_mag": "H_ERR", "k_mag": "K"}
SDSS4 |= {"e_k_mag": "K_ERR", "v_rad": "VHELIO_AVG", "ebv": "AK_TARG"}


def _gaia(prefix, *names):
    ours = (
        "gaia_dr3_source_id",
        "plx",
        "e_plx",
        "pmra",
        "e_pmra",
        "pmde",
        "e_pmde",
        "g_mag",
        "bp_mag",
        "rp_mag",
    )
    return dict(zip(ours, (prefix + name for name in names), strict=True))


_ARCHIVE = ("SOURCE_ID", "PARALLAX", "PARALLAX_ERROR", "PMRA", "PMRA_ERROR", "PMDEC", "PMDEC_ERROR")
_ARCHIVE += ("PHOT_G_MEAN_MAG", "PHOT_BP_MEAN_MAG", "PHOT_RP_MEAN_MAG")
_SDSS5 = (
    "sourceid",
    "plx",
    "plx_error",
    "pmra",
    "pmra_error",
    "pmdec",
    "pmdec_error",
    "gmag",
    "bpmag",
    "rpmag",
)
#: The column that gives each of our values, release by release.
COLUMNS = {
    "DR10": SDSS4,
    "DR12": SDSS4,
    "DR13": SDSS4,
    "DR14": SDSS4,
    "DR16": SDSS4 | _gaia("GAIA_", *_ARCHIVE),
    "DR17": SDSS4 | _gaia("GAIAEDR3_", *_ARCHIVE),
    "DR19": {name: column.lower() for name, column in _COMMON.items()}
    | {
        "j_mag": "jmag",
        "e_j_mag": "jerr",
        "h_mag": "hmag",
        "e_h_mag": "herr",
        "k_mag": "kmag",
        "e_k_mag": "kerr",
    }
    | {"v_rad": "vrad", "sdss_id": "sdss_id"}
    | _gaia("gaia_", *_SDSS5),
}
FILES = {
    "DR10": "s3",
    "DR12": "r5",
    "DR13": "r6",
    "DR14": "r8",
    "DR16": "r12",
    "DR17": "dr17",
    "DR19": "1.3-apo25m",
}
WHOLE = {"n_visits", "spectrum_flags", "sdss_id", "gaia_dr3_source_id"}


def assert_every_column_gives_its_value(path, release, layout, obj=OBJ):
    """Ingest a table with one star and the columns of a layout, and look at its rows."""
    values = {name: n if name in WHOLE else n / 16 for n, name in enumerate(COLUMNS[release], 1)}
    given = {column: values[name] for name, column in COLUMNS[release].items()}
    words = {"FILE": f"apStar-{FILES[release]}-{obj}.fits", "APOGEE_ID": obj, "TELESCOPE": "apo25m"}
    given |= words | {name.lower(): word for name, word in words.items()}
    given |= {"FIELD": "M67", "gaia_release": "gaia_dr3"}
    columns = [_column(name, given.get(name), *kind) for name, kind in layout.items()]
    fits.BinTableHDU.from_columns([column for column in columns if column]).writeto(path)

    ingest_allstar(path, release="dr19")

    (source,) = Source.select().where(Source.sdss4_apogee_id == obj)
    (spectrum,) = ApogeeCoaddedSpectrumInApStar.select().where(ApogeeCoaddedSpectrumInApStar.obj == obj)
    found = source.__data__ | spectrum.__data__
    expected = values | {
        "gaia_dr3_source_id": None if release == "DR16" else values.get("gaia_dr3_source_id")
    }
    expected |= {"ebv": pytest.approx(values["ebv"] / 0.3517, rel=1e-6)} if "ebv" in values else {}
    assert {name: found[name] for name in expected} == expected, release
    says = {"DR16": "dr2", "DR17": "edr3", "DR19": "dr3"}
    assert found["gaia_release"] == says.get(release)


@pytest.mark.parametrize("release", COLUMNS)
def test_every_column_of_a_release_gives_its_value(db, tmp_path, release):
    words = ("file", "apogee_id", "telescope", "gaia_release")
    if release != "DR19":
        words = ("FILE", "APOGEE_ID", "TELESCOPE", "FIELD")
    numbers = {column: "int64" if name in WHOLE else "float32" for name, column in COLUMNS[release].items()}
    kinds = dict.fromkeys(words, "char[48]") | {"healpix": "int32"} | numbers

    assert_every_column_gives_its_value(
        tmp_path / "t.fits", release, {name: (kind, "") for name, kind in kinds.items()}
    )


@on_sqlite  # the rows of all releases are the same on both
def test_columns_as_they_are_published_give_their_values(db, published, tmp_path):
    for number, release in enumerate(COLUMNS):
        layout = published("allStar")[release]["hdus"]["hdu1"]["columns"]
        assert {*COLUMNS[release].values()} <= layout.keys()

        assert_every_column_gives_its_value(
            tmp_path / f"{release}.fits", release, layout, f"2M0000000{number}+0000000"
        )


def _column(name, value, kind, unit):
    """A column as it is published; ``None`` for one of arrays, which nobody reads."""
    kind, _, length = kind.rstrip("]").partition("[")
    if kind == "char":
        return fits.Column(name, f"{length}A", unit=unit or None, array=np.array([value or ""]))
    codes = {"int16": "I", "int32": "J", "int64": "K", "float32": "E", "float64": "D"}
    if length or kind not in codes:
        return None
    content = np.array([0 if value is None else value], kind)
    return fits.Column(name, codes[kind], unit=unit or None, array=content)


def test_identifiers_without_a_sign_are_exact(db, table, the_source):
    row = {"FILE": f"asStar-dr17-{OBJ}.fits", "APOGEE_ID": OBJ, "FIELD": "M67"}
    path = table("t.fits", [row | {"GAIAEDR3_SOURCE_ID": np.uint64(5853498713190525703)}])
    assert "TZERO4" in fits.getheader(path, 1)

    ingest_allstar(path)

    assert the_source().gaia_dr3_source_id == 5853498713190525703


def test_units_of_a_table_are_converted(db, tmp_path, the_source):
    path = tmp_path / "t.fits"
    given = Table([DR12 | {"GAIA_PARALLAX": 2500.0, "GAIA_PARALLAX_ERROR": 20.0}])
    given["GAIA_PARALLAX"].unit = given["GAIA_PARALLAX_ERROR"].unit = "uas"
    given.write(path)

    ingest_allstar(path)

    assert (the_source().plx, the_source().e_plx) == (2.5, 0.02)


@pytest.mark.parametrize("unit", ["h", "mag"])
def test_a_unit_of_something_else_is_refused_before_any_row(db, tmp_path, unit):
    path = tmp_path / "t.fits"
    given = Table([DR12 | {"RA": 5.0}])
    given["RA"].unit = unit
    given.write(path)

    with pytest.raises(
        UsageError, match="column RA is taken for ra, but its unit .* cannot be converted to deg"
    ):
        ingest_allstar(path)
    assert Source.select().count() == 0


def test_an_unknown_reduction_asks_for_the_release(db, table):
    with pytest.raises(UsageError, match="'1.3' does not tell its data release"):
        ingest_allstar(table("t.fits", [DR12 | {"FILE": f"apStar-1.3-apo25m-{OBJ}.fits"}]))


# > Rows of one star


def test_rows_of_one_star_fill_each_others_blanks_in_any_order(db, table, the_source):
    blank = np.float32(-9999.99)
    rows = [
        DR12
        | {
            "FIELD": "A",
            "LOCATION_ID": 1,
            "K": blank,
            "AK_TARG": np.float32(0.3517),
            "AK_TARG_METHOD": "SFD",
        },
        DR12 | {"FIELD": "B", "LOCATION_ID": 2, "K": np.float32(9.5), "SFD_EBV": blank},
        DR12 | {"FIELD": "C", "LOCATION_ID": 3, "K": blank, "SFD_EBV": blank, "COMMISS": 1},
    ]
    for order in (rows, rows[::-1]):
        counts = ingest_allstar(table("t.fits", order))
        star = the_source()
        assert (star.k_mag, star.ebv, star.ebv_origin) == (9.5, pytest.approx(1.0), "AK_TARG (SFD)")

    assert (counts.spectra_unchanged, counts.sources_unchanged) == (3, 1)


def test_batches_do_not_show(db, table, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    rows = [
        DR12 | {"FIELD": f"F{number}", "LOCATION_ID": number + 1, "APOGEE_ID": f"S{number % 3}"}
        for number in range(7)
    ]
    progress = []

    counts = ingest_allstar(table("t.fits", rows), on_progress=lambda *done: progress.append(done))

    assert (counts.spectra_new, counts.sources_new) == (7, 3)
    assert progress == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_rows_that_name_no_file_are_left_out_and_counted(db, table, caplog):
    counts = ingest_allstar(table("t.fits", [DR12, DR12 | {"FILE": ""}]))

    assert (counts.seen, counts.spectra_new, counts.skipped) == (2, 1, 1)
    assert "1 rows name no apStar or asStar file" in caplog.text


# > Files


def test_a_compressed_table_is_read_as_a_plain_one(db, table):
    plain = table("t.fits", [DR12])
    packed = plain.with_name("t.fits.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    ingest_allstar(plain)

    assert ingest_allstar(packed).spectra_unchanged == 1


def test_the_first_table_with_the_columns_counts(db, tmp_path):
    path = tmp_path / "t.fits"
    tables = [fits.table_to_hdu(Table([row])) for row in ({"ID": 1}, DR12)]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)

    assert ingest_allstar(path).spectra_new == 1


def test_the_table_with_rows_is_taken_or_the_one_that_is_named(db, tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "t.fits"
    tables = [fits.table_to_hdu(Table([DR12] * rows)) for rows in (1, 2, 3)]
    tables[0] = fits.BinTableHDU(tables[0].data[:0])
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)

    assert ingest_allstar(path).seen == 2
    assert "table 2 is taken, not 3, 1; --hdu takes another" in caplog.text
    assert ingest_allstar(path, hdu="3").seen == 3


def test_a_wrong_checksum_at_the_end_is_noticed_before_any_row_is_written(db, table):
    packed = table("t.fits", [DR12]).with_name("t.fits.gz")
    content = bytearray(gzip.compress(packed.with_name("t.fits").read_bytes()))
    content[-6] ^= 0xFF
    packed.write_bytes(bytes(content))

    with pytest.raises(UsageError, match=f"cannot read the table {packed}: CRC check failed"):
        ingest_allstar(packed)
    assert Source.select().count() == 0


def _cut(path):
    path.write_bytes(path.read_bytes()[:-2880])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "cannot read the table .*t.fits: No such file"),
        (lambda path: path.write_text("FILE,APOGEE_ID\n"), "not a FITS file: .*t.fits"),
        (lambda path: path.write_bytes(b""), "not a FITS file: .*t.fits"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "cannot read the table .*t.fits"),
        (lambda path: path.write_bytes(b"\x1f\x8b\x08nothing"), "cannot read the table .*t.fits"),
        (_cut, "truncated: .*t.fits"),
        (
            lambda path: Table({"K": [1.0]}).write(path, overwrite=True),
            r"not an allStar table: .*t.fits \(missing columns: FILE, APOGEE_ID, FIELD or HEALPIX\)",
        ),
        (
            lambda path: fits.PrimaryHDU(np.zeros(9)).writeto(path, overwrite=True),
            r"not an allStar table: .*t.fits \(no table in it\)",
        ),
    ],
)
def test_what_is_no_allstar_table_is_refused_on_one_line(db, table, spoil, reason):
    path = table("t.fits", [DR12] * 40)
    spoil(path)

    with pytest.raises(UsageError, match=reason) as caught:
        ingest_allstar(path)

    assert "\n" not in str(caught.value)
