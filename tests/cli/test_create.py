"""``astra create``, as a user sees it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import guests
import pytest
from astropy.table import Table
from builders import a_result, a_run, a_source, a_spectrum, on_sqlite
from full_survey import fill

import astra as package

PRODUCT = "astraAllStarAstroNNdist"
NAME = f"{PRODUCT}-{package.__version__}"
OTHER = f"astraAllStarGuestResult-{package.__version__}"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_it_says_what_it_wrote_and_where(astra, db):
    fill(db, 60)

    code, out, err = astra("create", PRODUCT)

    assert code == 0
    first, second = out.splitlines()
    assert first == f"{NAME}.fits: 80 spectra of 60 stars, 111 columns"
    assert second.startswith("good ")
    assert " MB in " in err
    assert len(Table.read(f"{NAME}.fits")) == 80


def test_json_has_the_path_and_the_counts(astra, db):
    fill(db, 60)

    code, out, _ = astra("create", PRODUCT, "--json", "--where", "good", "--names", "dr19")
    found = json.loads(out)

    assert code == 0
    assert (found["path"], found["columns"], found["mixed"]) == (f"{NAME}.fits", 114, False)
    assert found["weights"] == {"name": "survey", "sha256": "ab" * 32}
    assert found["spectra"] == found["good"] == len(Table.read(f"{NAME}.fits", hdu="APOGEE"))
    assert (found["bad"], found["flags"]["flag_no_result"]) == (0, 0)
    assert found["bytes"] == Path(f"{NAME}.fits").stat().st_size


@on_sqlite
@pytest.mark.parametrize(
    ("format_name", "extension"),
    [("parquet", "parquet"), ("votable", "vot"), ("ecsv", "ecsv"), ("csv", "csv")],
)
def test_the_name_of_the_file_follows_the_format(astra, db, format_name, extension):
    assert astra("create", PRODUCT.lower(), "--format", format_name)[0] == 0
    assert [path.name for path in Path().iterdir()] == [f"{NAME}.{extension}"]


@on_sqlite
def test_without_a_format_the_name_of_the_file_decides(astra, db):
    assert astra("create", PRODUCT, "--output", "good.csv")[0] == 0
    assert Path("good.csv").read_text().startswith("sdss_id,")

    assert astra("create", PRODUCT, "--output", "good.dat", "--format", "fits")[0] == 0
    assert Path("good.dat").read_bytes().startswith(b"SIMPLE")


def test_standard_output_has_the_rows_and_nothing_else(astra, db):
    fill(db, 60)

    code, out, err = astra("create", PRODUCT, "--output", "-")

    assert astra("create", PRODUCT, "--output", "same.csv")[0] == code == 0
    assert out == Path("same.csv").read_text()
    assert err.startswith("standard output: 80 spectra of 60 stars, 111 columns\ngood ")
    assert [path.name for path in Path().iterdir()] == ["same.csv"]


@on_sqlite
def test_no_rows_are_worth_a_word(astra, db):
    code, _, err = astra("create", PRODUCT)

    assert code == 0
    assert "there is no such row: the tables are empty" in err


@on_sqlite
def test_a_filter_that_no_row_meets_is_said(astra, db):
    fill(db, 6)

    code, _, err = astra("create", PRODUCT, "--where", "snr < 0 and snr > 0")

    assert code == 0
    assert "no row meets the filter" in err
    assert "empty" not in err


@on_sqlite
@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["nonsense"], 2, f"there is no task or product nonsense; there are {PRODUCT}, astronn_dist"),
        (
            [PRODUCT, "--where", "dst < 5"],
            2,
            "--where: at character 1: there is no column dst; did you",
        ),
        ([PRODUCT, "--output", "mine"], 2, "mine exists already: give --overwrite"),
        ([PRODUCT, "--output", "nowhere/x.fits"], 2, "nowhere for nowhere/x.fits: make it, or name"),
        ([PRODUCT, "--output", "mine/x.fits"], 2, "mine for mine/x.fits: make it, or name"),
        ([PRODUCT, "--format", "xls"], 2, "'xls'"),
        (
            [PRODUCT, "--output", "x.csv", "--format", "fits"],
            2,
            "x.csv is the name of a csv file, not of fits: change --output or --format",
        ),
        (
            [PRODUCT, "--output", "x.dat"],
            2,
            "--output x.dat: its ending stands for no format; known are .fits, .fit, .parquet, .vot, "
            ".votable, .xml, .ecsv, .csv, .txt, and these with .gz; or give --format",
        ),
        ([PRODUCT, "--output", "x"], 2, "--output x: its ending stands for no format"),
        ([PRODUCT, "--output", "x.parquet.gz"], 2, "x.parquet.gz: Parquet is compressed already: leave out"),
        ([PRODUCT, "--output", "-", "--json"], 2, "--json and --output - both write to standard output"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(astra, db, words, exit_code, said):
    Path("mine").write_text("mine")

    code, out, err = astra("create", *words)

    assert (code, out) == (exit_code, "")
    assert err.startswith("astra: error: ")
    assert exit_code != 2 or err.splitlines()[-1].endswith(" create --help`.")
    assert said in err
    assert [path.name for path in Path().iterdir()] == ["mine"]


def test_a_mixture_is_wrong_configuration_unless_it_is_asked_for(astra, db):
    for seed in (0, 1):
        run = a_run(weights_name="w", weights_sha256="aa" * 32, seed=seed, n_draws=1, precision="x")
        a_result(a_spectrum(a_source()), run_pk=run.pk)

    refused, mixed = astra("create", PRODUCT), astra("create", PRODUCT, "--mixed")

    assert refused[0] == 78
    assert "the results are a mixture: " in refused[2]
    assert mixed[0] == 0
    assert "the columns from weights_name on say which" in mixed[2]


# > Other tasks


@pytest.fixture
def other_tasks(db, tmp_path, monkeypatch):
    """A task of another package without flags, whose table is there, and one that cannot be loaded."""
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "broken", "count_pixels")
    guests.make_table(db)
    return db


def test_the_catalogue_of_another_task_goes_by_its_name_or_by_that_of_its_results(astra, other_tasks):
    spectrum = a_spectrum(a_source())
    other_tasks.execute_sql(
        f"INSERT INTO guest_result (spectrum_pk, v_astra, pixels) VALUES ({spectrum.spectrum_pk}, 1000, 5)"
    )

    for product in ("astraallstarguestresult", "count_pixels", "guest_package.count_pixels"):
        code, out, err = astra("create", product, "--overwrite")

        assert (code, out) == (0, f"{OTHER}.fits: 1 spectra of 0 stars, 66 columns\n"), err
    assert list(Table.read(f"{OTHER}.fits")["pixels"]) == [5.0]


@on_sqlite
def test_the_task_of_this_package_is_called_by_its_name_as_well(astra, other_tasks):
    assert astra("create", "astronn_dist", "--format", "csv")[0] == 0
    assert [path.name for path in Path().iterdir()] == [f"{NAME}.csv"]


@on_sqlite
@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["broken"], 78, "task 'broken' cannot be loaded from guest_package:broken (AttributeError: "),
        (
            ["nonsense"],
            2,
            f"there is no task or product nonsense; there are {PRODUCT}, astraAllStarGuestResult, "
            "astronn_dist, broken, count_pixels",
        ),
        (["count_pixels", "--names", "dr19"], 2, "DR19 has no names for the results of count_pixels; leave"),
        (["count_pixels", "--where", "good"], 2, "--where: at character 1: there is no column good"),
    ],
)
def test_what_is_wrong_with_a_product_is_one_line(astra, other_tasks, words, exit_code, said):
    code, out, err = astra("create", *words)

    assert (code, out) == (exit_code, "")
    assert said in err
    assert not list(Path().iterdir())


def test_a_task_whose_table_is_missing_is_wrong_configuration_and_harms_no_other(
    astra, db, tmp_path, monkeypatch
):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")

    code, _, err = astra("create", "count_pixels")

    assert code == 78
    assert err.splitlines() == [
        "astra: error: task 'count_pixels': its table guest_result is missing: run `astra init`"
    ]
    assert not list(Path().iterdir())
    assert astra("create", PRODUCT)[0] == 0


def test_without_a_database_it_is_wrong_configuration(astra, monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "nowhere.db"))

    code, _, err = astra("create", PRODUCT)

    assert code == 78
    assert "no database at" in err


@pytest.mark.heavy
@on_sqlite
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_with_75_and_leaves_nothing(db, number):
    fill(db, 60)
    # The signal comes with the first batch of rows.
    code = (
        "import os, sys; import astra.catalogue.create as room; whole = room.values\n"
        f"room.values = lambda *words: os.kill(os.getpid(), {int(number)}) or whole(*words)\n"
        "import astra.database.sql as s; s.batches.__defaults__ = (10,)\n"
        "from astra.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, "create", PRODUCT], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 75, ran.stderr
    assert f"stopped by {number.name} after 10 of 80 rows; nothing was written" in ran.stderr
    assert not list(Path().iterdir())
