"""``astra distance``: the distances of some files, without a database."""

import csv
import io
import json

import pytest
from builders import write_apstar

import astra as package


@pytest.fixture
def files(tmp_path):
    """Three files, each of its star."""
    paths = [tmp_path / f"apStar-dr17-2M0000000{n}+0000001.fits" for n in range(3)]
    for number, path in enumerate(paths):
        write_apstar(path, header={"OBJID": path.stem[12:], "K": 9.0 + number, "AK_TARG": 0.1})
    return paths


@pytest.fixture
def distance(astra, toy_weights):
    """Runs the command with small weights."""
    return lambda *arguments: astra("distance", *arguments, "--weights", toy_weights, "--device", "cpu")


def test_one_star_is_said_line_by_line(distance, files, toy_weights):
    code, out, err = distance(files[0])

    star = package.distance_from_apstar(files[0], weights=str(toy_weights))
    name, first, *lines = out.splitlines()
    assert (code, name) == (0, "2M00000000+0000001"), err
    assert first.split() == ["distance", f"{star.dist.value:,.0f}", "pc", *first.split()[3:]]
    assert [line.split()[0] for line in lines[:4]] == ["M_Ks", "Ks,", "to", "quality"]
    assert "not clean: Ks is not fit for use" in out
    assert "weights toy" in err


def test_several_stars_are_rows_with_what_is_wrong_below(distance, files):
    files[1].write_bytes(b"not FITS")

    code, out, _ = distance(*files)

    heading, *rows = out.splitlines()
    assert (code, heading.split()[:4]) == (0, ["star", "dist", "pc", "16-84"])
    assert [row.split()[0] for row in rows[:3]] == [path.stem[12:] for path in files]
    assert any(
        row.startswith("2M00000001+0000001 ") and "not a readable FITS file" in row for row in rows[3:]
    )
    assert max(map(len, out.splitlines()[:4])) <= 80


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--k-mag", "-5"), "--k-mag -5 counts as absent: give a number between -1 and 98"),
        (("--k-mag", "nan"), "--k-mag nan counts as absent"),
        (("--k-mag", "0"), "--k-mag 0 counts as absent"),
        (("--ebv", "-1"), "--ebv -1 counts as absent"),
        (("--a-k", "0.1", "--e-a-k", "0"), "--e-a-k 0 counts as absent: give a number between 0 and 34.4666"),
        (("--plx", "1"), "--plx and --e-plx: give both"),
        (("--e-plx", "1"), "--plx and --e-plx: give both"),
        (("--plx", "1", "--e-plx", "0"), "--e-plx 0 counts as absent"),
        (("--gaia-release", "dr9"), "'dr9' is not one of"),
    ],
)
def test_a_value_that_would_not_count_is_refused(distance, files, options, said):
    code, out, err = distance(files[0], *options)

    assert (code, out) == (2, "")
    assert said in err


def test_what_only_follows_from_an_unreadable_file_is_not_said(distance, files):
    files[1].write_bytes(b"not FITS")

    alone, among = distance(files[1])[1], distance(*files)[1]

    assert "not a readable FITS file" in alone
    assert "not clean:" not in alone
    assert [line.split("  ")[1] for line in among.splitlines() if line.startswith("2M00000001")][1:] == [
        line.split("none: ")[1] for line in alone.splitlines() if "none: " in line
    ]


def test_json_and_csv_have_all_columns_and_the_numbers_of_python(distance, files, toy_weights):
    stars = package.distance_from_apstar(files, weights=str(toy_weights))

    found = json.loads(distance(*files, "--json")[1])
    rows = list(csv.DictReader(io.StringIO(distance(*files, "--csv")[1])))

    assert [row["file"] for row in found["results"]] == [row["file"] for row in rows] == list(map(str, files))
    for each, row, star in zip(found["results"], rows, stars, strict=True):
        assert each["dist"] == float(row["dist"]) == pytest.approx(star.dist.value, rel=1e-6)
        assert each["m_ks_abs"] == pytest.approx(star.m_ks_abs.value, rel=1e-6)
        assert (each["flags"], each["why_not_clean"]) == (star.flags, star.why_not_clean)
        assert each["best_dist_from"] == star.best_dist_from
    assert found["weights"]["name"] == "toy"


def test_options_go_before_the_catalogue_and_that_before_the_header(distance, files, tmp_path):
    table = tmp_path / "targets.csv"
    table.write_text("apogee_id,k_mag,ebv\n2M00000000+0000001,8.0,0.5\n")

    plain, of_table, of_both = (
        json.loads(distance(files[0], "--json", *words)[1])["results"][0]
        for words in ((), ("--catalog", table), ("--catalog", table, "--k-mag", "7.5", "--a-k", "0.03517"))
    )

    assert plain["k_mag"] == 9.0
    assert (of_table["k_mag"], of_table["ebv"]) == (8.0, 0.5)
    assert (of_both["k_mag"], round(of_both["ebv"], 9)) == (7.5, 0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--k-mag", "9"), "--k-mag is of one star, and there are 3 files: give --catalog"),
        (("--json", "--csv"), "--json and --csv: give one of them"),
        (("/nowhere/apStar-dr17-2M00000001+0000001.fits",), "No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line(distance, files, words, said):
    code, out, err = distance(*files, *words)

    assert (code, out) == (2, "")
    assert said in err


def test_two_words_for_one_value_are_refused(distance, files):
    code, _, err = distance(files[0], "--ebv", "0.1", "--a-k", "0.1")

    assert (code, "a_k and ebv say the same" in err) == (2, True)
