"""``--column k_mag=MyK``: a column of a catalogue that the user names for one of ours."""

import astropy.units as u
import pytest
from astropy.io import fits
from astropy.table import QTable, Table

from astra.errors import UsageError
from astra.ingest import spellings
from astra.ingest.apstar import ingest_apstar
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.records import Tally
from astra.ingest.tables.named_columns import parsed_columns
from astra.ingest.tables.table_columns import Columns

ROW = {"star": "A", "MyK": 9.5, "K": 1.0, "H": 8.0}


def _values(path, **columns):
    return Catalog(path, Tally(), columns=columns).match(None, ["A"]).values


@pytest.mark.parametrize("name", ["t.csv", "t.ecsv", "t.fits", "t.vot"])
def test_a_named_column_goes_before_our_spellings(table, name):
    found = _values(table(name, [ROW]), sdss4_apogee_id="star", k_mag="MyK")

    assert found == {"k_mag": 9.5, "h_mag": 8.0}


def test_a_named_column_is_not_taken_for_another_of_ours(table):
    assert _values(table("t.csv", [ROW]), apogee_id="star", h_mag="K") == {"h_mag": 1.0}


def test_capitals_do_not_matter_where_a_name_is_clear(table):
    row = ROW | {"myk": 7.0}

    assert _values(table("t.csv", [ROW]), apogee_id="STAR", k_mag="MYK")["k_mag"] == 9.5
    assert _values(table("t.csv", [row]), apogee_id="star", k_mag="myk")["k_mag"] == 7.0
    with pytest.raises(UsageError, match="--column k_mag=MYK: .* has no such column"):
        _values(table("t.csv", [row]), apogee_id="star", k_mag="MYK")


def test_a_named_identifier_goes_before_others(table):
    row = {"sdss4_apogee_id": "B", "apogee_id": "C", "name": "A", "k_mag": 9.5, "id": 7, "sdss_id": 8}
    path = table("t.csv", [row])

    assert _values(path, obj="name") == {"k_mag": 9.5}
    assert Catalog(path, Tally(), columns={"sdss_id": "id"}).match(7, []).sdss_id == 7
    assert Catalog(path, Tally(), columns={"sdss_id": "id"}).match(8, []) is None


def test_units_of_named_columns_are_converted(tmp_path):
    columns = {"apogee_id": ["A"], "p": [0.0448] * u.arcsec, "place": [1.5] * u.km}
    QTable(columns).write(tmp_path / "t.ecsv")

    assert _values(tmp_path / "t.ecsv", plx="p") == pytest.approx({"plx": 44.8})
    with pytest.raises(UsageError, match="column place is taken for ra, but its unit km cannot be converted"):
        _values(tmp_path / "t.ecsv", ra="place")


def test_a_named_parallax_does_not_get_the_release_of_others(table):
    row = {"apogee_id": "A", "p": 2.0, "GAIAEDR3_PARALLAX": 1.5, "GAIAEDR3_PARALLAX_ERROR": 0.1}

    assert _values(table("t.csv", [row]), plx="p") == {"plx": 2.0}


def test_one_galactic_coordinate_may_be_named_alone(table):
    assert _values(table("t.csv", [{"apogee_id": "A", "lon": 12.0}]), l="lon") == {"l": 12.0}


def test_the_table_that_has_the_named_columns_is_taken(tmp_path):
    tables = [Table({"apogee_id": ["A"], name: [value]}) for name, value in (("K", 1.0), ("MyK", 9.5))]
    hdus = [fits.PrimaryHDU(), *map(fits.BinTableHDU, tables)]
    fits.HDUList(hdus).writeto(tmp_path / "t.fits")

    assert _values(tmp_path / "t.fits", k_mag="MyK") == {"k_mag": 9.5}


@pytest.mark.parametrize("ours", spellings.NAMES)
def test_every_name_of_ours_can_be_named(tmp_path, ours):
    wanted = {ours: spellings.NAMES[ours]}

    assert Columns(tmp_path, {"any": None}, wanted, Tally(), {ours: "any"}).names == {ours: "any"}
    assert spellings.among(spellings.by_upper_case(["any"], {ours: "any"}), wanted) == {ours: "any"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["MyK"], "--column MyK: write it as OURS=THEIRS, e.g. k_mag=MyK"),
        (["=MyK"], "write it as OURS=THEIRS"),
        (["k_mag="], "write it as OURS=THEIRS"),
        (["k_mag=K", "k_mag=MyK"], "--column k_mag is given more than once, for K and MyK: leave one"),
        (["k_mag=K", "h_mag=K"], "--column names K for both k_mag and h_mag: leave one"),
        (["k_magg=K"], "no column k_magg of ours; did you mean k_mag?"),
        (["Kmag=K"], "no column Kmag of ours; did you mean k_mag?"),
        (["zzz=K"], "no column zzz of ours; there are sdss_id, "),
        (["k_mag=MyK2"], "--column k_mag=MyK2: .*t.csv has no such column; the nearest are MyK"),
        (["k_mag=zzz"], "--column k_mag=zzz: .*t.csv has no such column; it has star, MyK, K, H"),
    ],
)
def test_what_cannot_be_named_is_refused_on_one_line(table, texts, message):
    with pytest.raises(UsageError, match=message) as caught:
        Catalog(table("t.csv", [ROW]), Tally(), columns=parsed_columns(texts))

    assert "\n" not in str(caught.value)


def test_a_name_may_hold_an_equals_sign():
    assert parsed_columns(["k_mag = a=b"]) == {"k_mag": "a=b"}


def test_named_columns_need_a_catalogue(db, apstar):
    with pytest.raises(UsageError, match="--column names a column of the catalogue: give --catalog with it"):
        ingest_apstar([apstar("apStar-dr17-X.fits")], columns={"k_mag": "K"})


def test_named_columns_fill_the_database(db, apstar, table, the_source):
    spectrum = apstar("apStar-dr17-X.fits", OBJID="A")

    ingest_apstar([spectrum], catalog=table("t.csv", [ROW]), columns={"apogee_id": "star", "k_mag": "MyK"})

    assert the_source().k_mag == 9.5
