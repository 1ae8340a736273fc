"""The table of ``--catalog``: every format, how rows are found, what is counted and said."""

import codecs
import gzip

import numpy as np
import pytest

from astra.errors import UsageError
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.records import Tally

ROWS = [
    {
        "sdss_id": 4295806720123456,
        "apogee_id": "2M1",
        "k_mag": 9.5,
        "e_k_mag": 0.02,
        "cc_flg": "000",
        "ebv": 99.99,
    },
    {"sdss_id": -1, "apogee_id": "2M2", "k_mag": -9999.99, "e_k_mag": 9.995, "cc_flg": "none", "ebv": 0.25},
]


def _counts(catalog):
    catalog.count()
    counts = catalog._tally.result()
    return counts.catalog_matched, counts.catalog_unmatched, counts.catalog_duplicate


@pytest.mark.parametrize("name", ["t.csv", "t.ecsv", "t.fits", "t.vot"])
def test_every_format_gives_the_same_values(table, name):
    catalog = Catalog(table(name, ROWS), Tally())

    first, second = catalog.match(4295806720123456, []), catalog.match(None, ["2M2"])

    assert (first.sdss_id, first.apogee_id, second.sdss_id) == (4295806720123456, "2M1", None)
    assert first.values == {"k_mag": 9.5, "e_k_mag": 0.02, "cc_flg": "000", "ebv": None}
    assert second.values == {"k_mag": None, "e_k_mag": None, "cc_flg": None, "ebv": 0.25}
    assert _counts(catalog) == (2, 0, 0)


def test_numbers_of_4_bytes_keep_their_digits(table):
    rows = [{"apogee_id": "2M1", "k_mag": np.float32(9.028)}]

    assert Catalog(table("t.fits", rows), Tally()).match(None, ["2M1"]).values == {"k_mag": 9.028}


@pytest.mark.parametrize("spelled", [str.upper, str.lower, str.title])
def test_names_are_known_however_they_are_capitalised(table, spelled):
    row = {spelled(name): value for name, value in {"apogee_id": "2M1", "kmag": 9.0, "parallax": 5.0}.items()}

    values = Catalog(table("t.fits", [row]), Tally()).match(None, ["2M1"]).values

    assert values == {"k_mag": 9.0, "plx": 5.0}


def test_ks_is_the_magnitude_where_no_longer_name_is_there(table):
    alone = {"apogee_id": "2M1", "Ks": 9.0, "e_Ks": 0.02}

    assert Catalog(table("a.csv", [alone]), Tally()).match(None, ["2M1"]).values == {
        "k_mag": 9.0,
        "e_k_mag": 0.02,
    }
    beside = Catalog(table("b.csv", [alone | {"Kmag": 8.0}]), Tally()).match(None, ["2M1"])
    assert beside.values["k_mag"] == 8.0


def test_what_is_taken_by_another_name_is_said(table, caplog):
    caplog.set_level("INFO")

    Catalog(table("t.csv", [{"APOGEE_ID": "2M1", "ra": 9.0, "K_MAG": 9.0}]), Tally())
    assert not caplog.records

    Catalog(table("t.csv", [{"obj": "2M1", "Plx": 9.0, "kmag": 9.0}]), Tally())
    assert caplog.messages[0].endswith("columns taken by other names: kmag as k_mag, Plx as plx")


def test_the_sdss_id_goes_before_the_name(table):
    rows = [{"sdss_id": 5, "apogee_id": "", "k_mag": 5.0}, {"sdss_id": "", "apogee_id": "A", "k_mag": 6.0}]
    catalog = Catalog(table("t.csv", rows), Tally())

    assert catalog.match(5, ["A"]).values == {"k_mag": 5.0}
    assert catalog.match(7, ["A"]).values == {"k_mag": 6.0}
    assert catalog.match(None, ["B", "A"]).values == {"k_mag": 6.0}
    assert catalog.match(None, [None]) is None


def test_a_row_with_another_sdss_id_is_that_of_another_star(table, caplog):
    catalog = Catalog(table("t.csv", [{"sdss_id": 5, "apogee_id": "A", "k_mag": 5.0}]), Tally())

    assert catalog.match(6, ["A"]) is None
    assert "A has sdss_id 5 here and 6 in the spectra" in caplog.text
    assert _counts(catalog) == (0, 1, 0)


def test_the_first_row_of_a_star_counts_and_later_ones_fill_its_blanks(table, caplog):
    rows = [
        {"sdss_id": "", "apogee_id": "A", "k_mag": "9.0", "ebv": ""},
        {"sdss_id": "5", "apogee_id": "A", "k_mag": "8.0", "ebv": "0.1"},
        {"sdss_id": "5", "apogee_id": "", "k_mag": "", "ebv": "0.1"},
        {"sdss_id": "", "apogee_id": "", "k_mag": "1.0", "ebv": ""},
    ]
    catalog = Catalog(table("t.csv", rows), Tally())

    found = catalog.match(5, ["A"])

    assert (found.sdss_id, found.apogee_id, found.values) == (5, "A", {"k_mag": 9.0, "ebv": 0.1})
    assert _counts(catalog) == (1, 1, 2)
    assert (
        "1 rows contradict an earlier row of the same star, which counts; e.g. sdss_id 5 apogee_id A"
        in caplog.text
    )


def test_equal_rows_of_a_star_are_counted_and_not_complained_about(table, caplog):
    catalog = Catalog(table("t.csv", [{"apogee_id": "A", "k_mag": 9.0}] * 3), Tally())

    assert _counts(catalog) == (0, 1, 2)
    assert not caplog.records


def test_columns_of_other_names_are_mentioned_once(table, caplog):
    Catalog(
        table("t.csv", [{"apogee_id": "A", "Gmagnitude": 9.0, "teff": 1, "k_mag": 9.0, "kmag2": 1}]), Tally()
    )

    (record,) = caplog.records
    assert "columns that are not used: Gmagnitude, kmag2, teff" in record.getMessage()


def test_a_name_that_only_resembles_a_known_one_is_not_asked_about(table, caplog):
    Catalog(table("t.csv", [{"apogee_id": "A", "release": "dr12", "teff": 5000}]), Tally())

    assert caplog.messages[0].endswith("columns that are not used: release, teff")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("kmagn", "kmag"), ("e_k_magg", "e_k_mag"), ("paralax", "parallax"), ("sdssid_", "sdssid")],
)
def test_a_name_that_is_nearly_known_is_asked_about(table, caplog, name, meant):
    Catalog(table("t.csv", [{"apogee_id": "A", name: 9.0}]), Tally())

    assert f"not used: {name} (did you mean {meant}?)" in caplog.text


def test_text_instead_of_numbers_is_said_once_for_each_column(table, caplog):
    rows = [
        {"sdss_id": "5", "apogee_id": "A", "k_mag": "9.9x", "e_k_mag": "-9999.99", "cc_flg": "abc"},
        {"sdss_id": "six", "apogee_id": "B", "k_mag": "9.9.9", "e_k_mag": "", "cc_flg": "000"},
        {"sdss_id": "-1", "apogee_id": "C", "k_mag": "NaN", "e_k_mag": "N/A", "cc_flg": "none"},
        {"sdss_id": "", "apogee_id": "D", "k_mag": "9.5", "e_k_mag": "99.999", "cc_flg": ""},
    ]
    for name in ("t.csv", "t.fits"):
        caplog.clear()

        catalog = Catalog(table(name, rows), Tally())

        assert catalog.match(5, []).values["k_mag"] is None
        said = [record.getMessage().partition(f"{name}: ")[2] for record in caplog.records]
        assert said == [
            "column sdss_id: 1 of 4 values are not numbers and count as absent, e.g. 'six'",
            "column k_mag: 2 of 4 values are not numbers and count as absent, e.g. '9.9x'",
        ]


@pytest.mark.parametrize("name", ["t.csv", "t.ecsv", "t.csv.gz"])
def test_the_mark_that_excel_puts_before_a_text_is_no_part_of_it(table, name):
    path = table(name.removesuffix(".gz"), [{"apogee_id": "2M1", "ebv": 0.5, "ebv_origin": "Gontcharov é"}])
    content = codecs.BOM_UTF8 + path.read_bytes()
    path.with_name(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    values = Catalog(path.with_name(name), Tally()).match(None, ["2M1"]).values

    assert values == {"ebv": 0.5, "ebv_origin": "Gontcharov é"}


def _text(path, content):
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.csv", "k_mag\n9.0\n", "no identifiers in the catalogue .*needs a column sdss_id or"),
        ("t.tbl", "apogee_id\nA\n", "unknown kind of catalogue: .*t.tbl; its name must end in .csv"),
        ("t.fits", "apogee_id\nA\n", "not a FITS file: .*t.fits"),
        ("t.vot", "<html>", "cannot read the table .*t.vot"),
        ("t.ecsv", "apogee_id\nA\n", "cannot read the table .*t.ecsv"),
        ("t.csv", "", "cannot read the table .*t.csv"),
    ],
)
def test_what_cannot_be_used_is_refused_on_one_line(tmp_path, name, content, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        Catalog(_text(tmp_path / name, content), Tally())

    assert "\n" not in str(caught.value)


def test_a_missing_catalogue_is_refused(tmp_path):
    with pytest.raises(UsageError, match=f"cannot read the table {tmp_path}/t.csv: .*No such file"):
        Catalog(tmp_path / "t.csv", Tally())


# > Whose row it is


@pytest.mark.parametrize(
    "name",
    [
        "2M06154934-0100415",
        "06154934-0100415",
        "2MASS J06154934-0100415",
        "2MASSJ06154934-0100415",
        "J06154934-0100415",
    ],
)
@pytest.mark.parametrize("column", ["apogee_id", "sdss4_apogee_id", "obj", "OBJ"])
def test_a_star_is_found_by_its_2mass_name_with_or_without_what_stands_before_it(table, name, column):
    catalog = Catalog(table("t.csv", [{column: name, "k_mag": 9.0}]), Tally())

    found = catalog.match(None, ["2M06154934-0100415"])

    assert (found.apogee_id, found.values) == ("2M06154934-0100415", {"k_mag": 9.0})


def test_the_identifier_of_gaia_finds_a_star_without_another(table):
    rows = [{"gaia_dr3_source_id": 77, "k_mag": 9.0}, {"gaia_dr3_source_id": 78, "k_mag": 8.0}]
    catalog = Catalog(table("t.csv", rows), Tally())

    assert catalog.match(5, ["A"], 77).values == {"gaia_dr3_source_id": 77, "k_mag": 9.0}
    assert catalog.match(78, ["A"], None) is None
    assert _counts(catalog) == (1, 1, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"apogee_id": "B"}, "B has APOGEE id B here and A in the spectra"),
        ({"sdss_id": 6}, "sdss_id 6 here and 5"),
    ],
)
def test_a_row_with_the_same_identifier_of_gaia_and_another_name_is_not_used(table, caplog, row, said):
    catalog = Catalog(table("t.csv", [row | {"gaia_dr3_source_id": 77, "k_mag": 9.0}]), Tally())

    assert catalog.match(5, ["A"], 77) is None
    assert said in caplog.text


def _asked(catalog, names):
    for name in names:
        catalog.match(None, [name])
    catalog.count()


@pytest.mark.parametrize(
    ("rows", "spectra", "warned"),
    [
        (["A", "B"], ["C", "D"], True),
        (["A", "B", "C", "D", "E"], ["A", "x", "y"], True),
        (["A", "B", "C", "D", "E"], ["A", "B", "y"], False),
        (["A"], ["A", "x", "y"], False),
        ([*"ABCDEFGH"], ["A"], False),
    ],
    ids=["none", "a third", "most", "few rows", "few spectra"],
)
def test_a_catalogue_of_other_stars_is_noticed(table, caplog, rows, spectra, warned):
    catalog = Catalog(table("t.csv", [{"apogee_id": name, "k_mag": 9.0} for name in rows]), Tally())

    _asked(catalog, spectra)

    assert bool(caplog.records) == warned


def test_that_warning_names_two_stars_of_each_side(table, caplog):
    catalog = Catalog(table("t.csv", [{"apogee_id": name, "k_mag": 9.0} for name in "ABC"]), Tally())

    _asked(catalog, "XYZ")

    assert caplog.messages[0].endswith(
        "t.csv lists the stars of 0 of 3 spectra; not listed: apogee_id X, apogee_id Y; "
        "rows without a spectrum: apogee_id A, apogee_id B"
    )


def test_an_l_or_a_b_alone_is_no_coordinate(table):
    alone = Catalog(table("a.csv", [{"apogee_id": "A", "B": 12.3, "k_mag": 9.0}]), Tally())
    both = Catalog(table("b.csv", [{"apogee_id": "A", "L": 12.3, "B": -5.0}]), Tally())

    assert alone.match(None, ["A"]).values == {"k_mag": 9.0}
    assert both.match(None, ["A"]).values == {"l": 12.3, "b": -5.0}
