"""The file of a catalogue: which of its tables is taken, in which units, and what is refused as damaged."""

import gzip
import math

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from builders import a_result, a_source, a_spectrum

from astra.catalogue.create import Request, create
from astra.catalogue.options import Names
from astra.errors import UsageError
from astra.ingest.apstar import ingest_apstar
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.records import Tally

OBJ = "2M06154934-0100415"
NAMES = ["t.csv", "t.ecsv", "t.fits", "t.vot"]
PACKED = ["t.csv.gz", "t.ecsv.gz", "t.fits.gz", "t.vot.gz"]


@pytest.fixture
def stored(tmp_path):
    """Writes a table, whatever it is made of, in the format that the suffix says."""

    def write(name, columns, kind=Table):
        path = tmp_path / name.removesuffix(".gz")
        options = {"format": "votable"} if path.suffix == ".vot" else {}
        kind(columns).write(path, overwrite=True, **options)
        if name.endswith(".gz"):
            packed = path.with_name(name)
            packed.write_bytes(gzip.compress(path.read_bytes()))
            return packed
        return path

    return write


def _values(path, **keys):
    catalog = Catalog(path, Tally(), **keys)
    catalog.look_up([(None, OBJ)])
    found = catalog.match(None, [OBJ])
    return found and found.values


# > Which table


def _stars(ids, k_mag):
    return Table({"sdss4_apogee_id": ids, "k_mag": k_mag})


@pytest.fixture
def several(tmp_path):
    """Writes the tables of one file, in the order in which they are given."""

    def write(**tables):
        path = tmp_path / "several.fits"
        hdus = [fits.BinTableHDU(table, name=name) for name, table in tables.items()]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
        return path

    return write


BOSS, APOGEE = _stars(["A", "B"], [9.0, 8.0]), _stars([OBJ, "C"], [10.0, 11.0])


@pytest.mark.parametrize(
    "tables",
    [
        {"BOSS": BOSS, "APOGEE": APOGEE},
        {"APOGEE": APOGEE, "BOSS": BOSS},
        {"BOSS": BOSS[:0], "APOGEE": APOGEE},
        {"NOTES": Table({"text": ["x"]}), "APOGEE": APOGEE},
        {"BOTH": _stars(["A", OBJ], [1.0, 2.0])[:1], "APOGEE": APOGEE},
    ],
    ids=["second", "first", "empty first", "no stars first", "others first"],
)
def test_the_table_that_lists_the_stars_is_taken_and_that_is_said(several, tables, caplog):
    caplog.set_level("INFO")

    assert _values(several(**tables)) == {"k_mag": 10.0}
    assert "(APOGEE) is taken" in caplog.text


@pytest.mark.parametrize(("hdu", "k_mag"), [("1", 1.0), ("2", 10.0), ("apogee", 10.0), ("FIRST", 1.0)])
def test_a_table_can_be_named(several, hdu, k_mag):
    path = several(FIRST=_stars([OBJ], [1.0]), APOGEE=APOGEE)

    assert _values(path, hdu=hdu) == {"k_mag": k_mag}


def test_a_table_that_is_not_there_is_refused_with_those_that_are(several):
    with pytest.raises(
        UsageError, match=r"several.fits has no table 7; its tables: 1 \(BOSS\), 2 \(APOGEE\)"
    ):
        Catalog(several(BOSS=BOSS, APOGEE=APOGEE), Tally(), hdu="7")


def test_a_catalogue_without_rows_is_said_and_gives_nothing(several, caplog):
    assert _values(several(BOSS=BOSS[:0])) is None
    assert "no rows in the catalogue" in caplog.text


def test_of_two_tables_that_list_as_many_stars_the_one_that_names_spectra_is_taken(several):
    boss, apogee = _stars([OBJ], [1.0]), _stars([OBJ], [10.0])
    apogee["obj"] = [OBJ]

    assert _values(several(BOSS=boss, APOGEE=apogee)) == {"k_mag": 10.0}


@pytest.mark.parametrize("behind", [bytes(100), bytes(2880), b"note".ljust(2880)])
def test_what_stands_behind_the_last_hdu_does_not_matter(stored, behind):
    path = stored("t.fits", {"apogee_id": [OBJ], "k_mag": [9.0]})
    path.write_bytes(path.read_bytes() + behind)

    assert _values(path) == {"k_mag": 9.0}


def test_a_compressed_table_is_passed_over_and_said(several, caplog):
    path = several(PACKED=APOGEE, APOGEE=APOGEE)
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["ZTABLE"] = True

    assert _values(path) == {"k_mag": 10.0}
    assert "HDU 1 is a compressed table, passed over" in caplog.text


def test_coordinates_and_times_in_an_ecsv_file_are_left_alone(tmp_path):
    place = SkyCoord([10.0] * u.deg, [20.0] * u.deg)
    QTable({"apogee_id": [OBJ], "k_mag": [9.0], "place": place}).write(tmp_path / "t.ecsv")

    assert _values(tmp_path / "t.ecsv") == {"k_mag": 9.0}


def test_the_tables_of_a_votable_are_told_apart(tmp_path):
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import TableElement

    document = from_table(BOSS)
    document.resources[0].tables.append(TableElement.from_table(document, APOGEE))
    document.to_xml(str(tmp_path / "t.vot"))

    assert _values(tmp_path / "t.vot") == {"k_mag": 10.0}


def test_a_table_of_the_survey_as_it_is_published_is_taken_where_the_stars_are(
    db, apstar, several, the_source
):
    boss = Table({"sdss_id": [5], "sdss4_apogee_id": [""], "k_mag": [9.0], "ebv": [0.1]})
    apogee = Table({"sdss_id": [7], "sdss4_apogee_id": [""], "obj": [OBJ], "k_mag": [10.0], "ebv": [0.3]})

    counts = ingest_apstar([apstar("apStar-dr17-X.fits")], catalog=several(BOSS=boss, APOGEE=apogee))

    assert counts.catalog_matched == 1
    assert (the_source().sdss_id, the_source().k_mag, the_source().ebv) == (7, 10.0, 0.3)


@pytest.mark.parametrize("names", Names)
def test_what_our_own_catalogue_has_of_a_star_without_photometry_stays_nothing(
    db, tmp_path, apstar, the_source, names
):
    star = a_source(sdss4_apogee_id=OBJ, k_mag=math.nan, ebv=math.nan)
    a_result(a_spectrum(star, obj=OBJ), k_mag=0.0, ebv=0.0)
    create(Request(output=tmp_path / "own.fits", names=names))

    counts = ingest_apstar([apstar("apStar-dr17-X.fits", K=-9999.99)], catalog=tmp_path / "own.fits")

    assert counts.catalog_matched == 1
    assert math.isnan(the_source().k_mag)
    assert not the_source().ebv > 0


# > Units


@pytest.mark.parametrize("name", NAMES[1:])
def test_units_are_converted_in_every_format(stored, name):
    columns = {
        "apogee_id": [OBJ],
        "plx": [0.0448] * u.arcsec,
        "e_plx": [21.0] * u.uas,
        "ebv": [310.0] * u.mmag,
        "ra": np.array([1.5]) * u.rad,
        "pmra": np.array([12.3], "f4") * u.uas / u.yr,
        "k_mag": [12.541] * u.mag,
    }

    found = _values(stored(name, columns, QTable))

    expected = {
        "plx": 44.8,
        "e_plx": 0.021,
        "ebv": 0.31,
        "ra": np.degrees(1.5),
        "pmra": 0.0123,
        "k_mag": 12.541,
    }
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize(
    ("column", "unit"), [("ra", u.hour), ("plx", u.km), ("k_mag", u.mJy), ("ebv", u.deg)]
)
def test_a_unit_of_something_else_is_refused_by_name(stored, name, column, unit):
    path = stored(name, {"apogee_id": [OBJ], column: [5.0] * unit}, QTable)

    with pytest.raises(
        UsageError,
        match=f"{path}: column {column} is taken for {column}, but its unit .* cannot be converted to",
    ):
        Catalog(path, Tally())


def test_a_reddening_in_dex_is_refused(stored):
    with pytest.raises(UsageError, match="column ebv is taken for ebv, but its unit dex cannot be converted"):
        Catalog(stored("t.ecsv", {"apogee_id": [OBJ], "ebv": [0.04] * u.dex}, QTable), Tally())


@pytest.mark.parametrize(
    ("unit", "said"), [("degrees", False), ("deg", False), ("---", False), ("furlong", True)]
)
def test_a_unit_that_nobody_knows_is_said(tmp_path, caplog, unit, said):
    hdu = fits.BinTableHDU(Table({"apogee_id": [OBJ], "ra": [5.0]}))
    hdu.header["TUNIT2"] = unit
    hdu.writeto(tmp_path / "t.fits")

    assert _values(tmp_path / "t.fits") == {"ra": 5.0}
    assert ("column ra is in 'furlong', a unit that is not known: taken for deg" in caplog.text) == said


@pytest.mark.parametrize("filler", [-9999.0, -9999.99, -999999.0])
def test_a_filler_is_absent_in_any_unit(stored, filler):
    columns = {"apogee_id": [OBJ], "plx": np.array([filler], "f4") * u.uas, "e_plx": [np.nan] * u.uas}

    assert _values(stored("t.fits", columns, QTable)) == {"plx": None, "e_plx": None}


# > Integers

ID = 5853498713190525703


@pytest.mark.parametrize("name", NAMES)
def test_an_identifier_of_19_digits_is_exact_in_every_format(stored, name):
    assert _values(stored(name, {"apogee_id": [OBJ], "gaia_dr3_source_id": [ID]})) == {
        "gaia_dr3_source_id": ID
    }


def test_whole_numbers_without_a_sign_are_exact(stored):
    path = stored("t.fits", {"apogee_id": [OBJ], "gaia_dr3_source_id": np.array([ID], "u8")})

    assert fits.getheader(path, 1)["TZERO2"] == 2**63
    assert _values(path) == {"gaia_dr3_source_id": ID}


def test_a_whole_number_that_the_table_says_is_none_is_absent(stored):
    blank = MaskedColumn([7], mask=[True], fill_value=999999)
    path = stored("t.fits", {"apogee_id": [OBJ], "gaia_dr3_source_id": blank})

    assert fits.getheader(path, 1)["TNULL2"] == 999999
    assert _values(path) == {"gaia_dr3_source_id": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, float(ID)) for name in NAMES),
        ("t.csv", "5.85e+18"),
        ("t.csv", "5853498713190525703.0"),
        ("t.csv", "123.0"),
        ("t.fits", np.float32(71234567)),
    ],
)
def test_what_went_through_a_float_is_absent_and_said(stored, caplog, name, value):
    path = stored(name, {"apogee_id": [OBJ], "gaia_dr3_source_id": [value]})

    assert _values(path) == {"gaia_dr3_source_id": None}
    assert "column gaia_dr3_source_id: 1 of 1 values are not written as integers" in caplog.text


def test_a_float_that_can_be_no_other_integer_is_one(stored):
    assert _values(stored("t.fits", {"apogee_id": [OBJ], "astrometric_params_solved": [31.0]})) == {
        "astrometric_params_solved": 31
    }


# > Gaia


def test_of_two_releases_the_newest_is_taken(stored):
    columns = {"apogee_id": [OBJ], "GAIAEDR3_PARALLAX": [1.5], "GAIADR3_PARALLAX": [7.5]}

    assert _values(stored("t.csv", columns)) == {"plx": 7.5, "gaia_release": "dr3"}


def test_our_own_names_go_before_those_of_a_release(stored):
    columns = {"apogee_id": [OBJ], "plx": [9.5], "GAIAEDR3_PARALLAX": [1.5], "GAIAEDR3_PARALLAX_ERROR": [0.1]}

    assert _values(stored("t.csv", columns)) == {"plx": 9.5}


def test_an_identifier_that_says_dr3_is_known_beside_columns_of_a_release(stored):
    columns = {"gaia_dr3_source_id": [ID], "GAIAEDR3_PARALLAX": [1.5]}
    catalog = Catalog(stored("t.csv", columns), Tally())

    assert catalog.match(None, [], ID).values == {
        "gaia_dr3_source_id": ID,
        "plx": 1.5,
        "gaia_release": "edr3",
    }


def test_proper_motions_and_parallaxes_of_a_table_of_a_release_are_not_gaias(stored):
    columns = {"FILE": ["x"], "APOGEE_ID": [OBJ], "STARFLAG": [0], "K": [9.0], "PMRA": [1.0], "Plx": [3.0]}

    assert _values(stored("t.fits", columns)) == {"k_mag": 9.0}


@pytest.mark.parametrize("colour", ["bv", "B_V", "B-V"])
def test_the_error_of_a_colour_is_no_reddening(stored, colour):
    assert _values(stored("t.csv", {"apogee_id": [OBJ], colour: [0.65], "e_bv": [0.03]})) == {}
    assert _values(stored("t.csv", {"apogee_id": [OBJ], "E_BV": [0.03]})) == {"ebv": 0.03}


@pytest.mark.parametrize(
    ("columns", "gaia_id", "release"),
    [
        ({"source_id": [ID], "parallax": [2.0], "gaia_release": ["Gaia DR3"]}, ID, "dr3"),
        ({"source_id": [ID], "parallax": [2.0], "gaia_release": ["gaia_dr2"]}, None, "dr2"),
        ({"source_id": [ID], "parallax": [2.0], "ref_epoch": [2016.0]}, ID, "dr3"),
        ({"source_id": [ID], "parallax": [2.0], "ref_epoch": [2015.5]}, None, "dr2"),
        ({"GAIAEDR3_SOURCE_ID": [ID], "GAIAEDR3_PARALLAX": [2.0]}, ID, "edr3"),
        ({"gaia_dr2_source_id": [9], "gaia_dr3_source_id": [ID], "plx": [2.0]}, ID, ...),
        ({"source_id": [ID], "parallax": [2.0]}, ID, ...),
    ],
)
def test_an_identifier_of_gaia_counts_where_it_is_of_dr3(stored, columns, gaia_id, release):
    found = _values(stored("t.fits", {"apogee_id": [OBJ]} | columns))

    assert (found["gaia_dr3_source_id"], found["plx"]) == (gaia_id, 2.0)
    assert found.get("gaia_release", ...) == release


def test_an_identifier_whose_release_nobody_says_is_taken_for_dr3_and_that_is_said(stored, caplog):
    _values(stored("t.csv", {"apogee_id": [OBJ], "source_id": [ID]}))

    assert "column source_id is taken for identifiers of Gaia DR3" in caplog.text


def test_our_own_corrected_parallax_is_not_taken_for_gaias(stored):
    found = _values(stored("t.fits", {"apogee_id": [OBJ], "plx": [2.0], "gaia_parallax": [2.04]}))

    assert found == {"plx": 2.0}


# > Damage


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("damage", ["truncated", "flipped", "checksum"])
def test_a_damaged_compressed_table_is_refused_by_its_name(stored, name, damage):
    ids = [f"2M{number:08d}+{number:07d}" for number in range(3000)]
    path = stored(name, {"apogee_id": ids, "k_mag": np.arange(3000) % 97 / 7})
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content[-6 if damage == "checksum" else len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))

    with pytest.raises(UsageError, match=f"cannot read the table {path}: ") as caught:
        Catalog(path, Tally())

    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_plain_table_that_ends_early_is_refused(stored):
    path = stored("t.fits", {"apogee_id": [OBJ] * 3000, "k_mag": np.arange(3000.0)})
    path.write_bytes(path.read_bytes()[:-5760])

    with pytest.raises(UsageError, match="truncated: HDU 1 of .*t.fits claims"):
        Catalog(path, Tally())


@pytest.mark.parametrize(
    ("keyword", "claim", "message"),
    [("NAXIS2", 1.5, "cannot read the table "), ("TFIELDS", 1000, "damaged: .* claims 1000 columns")],
)
def test_an_impossible_number_of_rows_or_columns_is_refused(stored, keyword, claim, message):
    path = stored("t.fits", {"apogee_id": [OBJ] * 2, "k_mag": [9.0] * 2})  # two rows, two columns
    there = f"{keyword:<8}= {2:>20}".encode()
    path.write_bytes(path.read_bytes().replace(there, f"{keyword:<8}= {claim:>20}".encode()))

    with pytest.raises(UsageError, match=message):
        Catalog(path, Tally())


def test_columns_of_arrays_are_left_alone(stored):
    path = stored("t.fits", {"apogee_id": [OBJ], "k_mag": [9.0], "h_mag": [[1.0, 2.0]]})

    assert _values(path) == {"k_mag": 9.0}
