"""From the database to a file: no mixtures, one moment, all or nothing."""

import gzip
import os
import re
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table
from builders import a_result, a_run, a_source, a_spectrum, on_sqlite
from catalogue_values import SPECTRA, of_sqlite
from full_survey import fill

from astra.catalogue import create as room
from astra.catalogue.create import Request
from astra.catalogue.create import create as write
from astra.catalogue.options import STDOUT, Format, Names
from astra.config import load_settings
from astra.database import sql
from astra.database.connection import open_database
from astra.errors import AstraError, ConfigError, Interrupted, StorageError, UsageError
from astra.models import AstroNNdist
from astra.running.ending import StopRequest

WEIGHTS = {
    "weights_name": "first",
    "weights_sha256": "aa" * 32,
    "seed": 0,
    "n_draws": 100,
    "precision": "float32",
}


# > Mixtures


@pytest.fixture
def mixture(db):
    """Two results of one run, one of another: with what differs between the two."""

    def make(**different):
        first, second = a_run(**WEIGHTS), a_run(**WEIGHTS | different)
        for run in (first, first, second):
            a_result(a_spectrum(a_source()), run_pk=run.pk)
        return second

    return make


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ({"weights_name": "second", "weights_sha256": "bb" * 32}, "weights second (sha256 bbbbbbbbbbbb)"),
        ({"seed": 1}, "seed 1"),
        ({"n_draws": 7}, "7 draws"),
        ({"precision": "float64"}, "float64"),
        ({"options": '{"backend": "astronn"}'}, "float32, backend astronn"),
    ],
)
def test_a_mixture_is_refused_and_says_what_is_mixed(mixture, create, tmp_path, different, said):
    mixture(**different)

    with pytest.raises(ConfigError) as caught:
        create()

    message = str(caught.value)
    assert "weights first (sha256 aaaaaaaaaaaa), seed 0, 100 draws, float32 (2 rows)" in message
    assert said in message
    assert "--mixed" in message
    assert not list(tmp_path.glob("*catalogue*"))


def test_the_same_weights_by_another_name_are_no_mixture(mixture, create):
    mixture(weights_name="copy")

    assert create().as_dict()["mixed"] is False


def test_results_of_another_version_are_a_mixture(mixture, create):
    mixture()
    AstroNNdist.update(v_astra=5_000_000).where(AstroNNdist.task_pk == 1).execute()

    with pytest.raises(ConfigError, match="version 5.0"):
        create()


def test_a_result_of_no_known_run_is_a_mixture_with_the_others(mixture, create):
    mixture()
    a_result(a_spectrum(a_source()))

    with pytest.raises(ConfigError, match="unknown weights"):
        create()


def test_rows_without_a_result_come_from_no_weights(mixture, create):
    run = mixture(seed=1)
    AstroNNdist.update(result_flags=2048).where(AstroNNdist.run_pk == run.pk).execute()

    made = create()

    assert (made.as_dict()["mixed"], made.as_dict()["spectra"]) == (False, 3)
    assert fits.getheader(made.path)["WEIGHTS"] == "first"


def test_a_mixture_that_is_asked_for_says_so_and_which_row_comes_from_what(mixture, create):
    mixture(weights_name="second", weights_sha256="bb" * 32, seed=3)

    made = create(mixed=True)

    read, header = Table.read(made.path), fits.getheader(made.path)
    assert list(read["weights_name"]) == ["first", "first", "second"]
    assert list(read["seed"]) == [0, 0, 3]
    assert header["MIXED"] is True
    assert "WEIGHTS" not in header


def test_a_condition_can_choose_from_a_mixture(mixture, create):
    run = mixture(seed=1)

    made = create(condition=f"run_pk = {run.pk}")

    assert fits.getheader(made.path)["SEED"] == 1


CHOOSING = (
    "weights_name = 'second'",
    "weights_sha256 like 'bb%'",
    "seed > 0",
    "n_draws = 7",
    "precision = 'float64'",
)


@pytest.mark.parametrize("names", Names)
def test_it_can_choose_by_what_rows_come_from_without_having_that_in_the_file(mixture, create, names):
    mixture(weights_name="second", weights_sha256="bb" * 32, seed=1, n_draws=7, precision="float64")
    wanted = {"format": Format.CSV, "names": names, "overwrite": True}

    made = [create("catalogue.csv", condition=condition, **wanted) for condition in CHOOSING]

    found = [(each.table.summary.rows, each.as_dict()["weights"]["name"]) for each in made]
    assert found == [(1, "second")] * len(CHOOSING)
    assert "seed" not in made[0].path.read_text().splitlines()[0].split(",")


@on_sqlite
def test_what_a_mixture_is_said_to_be_chosen_by_can_be_in_a_condition(mixture, create):
    mixture(seed=1)

    with pytest.raises(ConfigError) as caught:
        create()

    (said,) = re.findall(r"choose with --where by (.*?);", str(caught.value))
    for name in re.split(r", | or ", said):
        assert Request(condition=f"{name} is not null").wanted.text


# > One moment


def test_what_changes_while_it_is_written_is_not_in_it(db, create, monkeypatch):
    assert fill(db, 60) == 80
    monkeypatch.setattr(sql.batches, "__defaults__", (20,))
    other = open_database(load_settings())
    seen = []

    def meddle(done, total):
        if not seen:
            other.execute_sql("DELETE FROM astro_nn_dist WHERE spectrum_pk > 70")
            other.execute_sql("UPDATE astro_nn_dist SET dist = -7")
        seen.append((done, total))

    try:
        made = create(on_progress=meddle)
    finally:
        other.close()

    read = Table.read(made.path)
    assert seen == [(n, 80) for n in range(20, 81, 20)]
    assert len(read) == 80
    assert not (read["dist"] == -7).any()
    assert AstroNNdist.select().where(AstroNNdist.dist == -7).count() == 70


# > Compressed, and to standard output


@of_sqlite
@pytest.mark.parametrize("name", ["c.csv.gz", "c.vot.gz", "c.txt.gz", "C.ECSV.GZ"])
def test_what_is_compressed_is_the_same_file(survey, create, name):
    packed, plain = create(name).path, create(name[:-3]).path

    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert create(name, overwrite=True).path.read_bytes() == packed.read_bytes()


@of_sqlite
@pytest.mark.parametrize("file_format", [Format.CSV, Format.ECSV, Format.VOTABLE, Format.PARQUET])
def test_standard_output_is_the_same_file(survey, create, capfdbinary, file_format):
    made = write(Request(output=STDOUT, format=file_format), survey)

    expected = create(f"c.{file_format.extension}").path.read_bytes()
    assert capfdbinary.readouterr().out == expected
    assert made.bytes == len(expected)


@of_sqlite
def test_fits_that_cannot_be_written_twice_has_no_checksums_and_is_valid(
    survey, create, capfdbinary, verified, tmp_path
):
    write(Request(output=STDOUT, format=Format.FITS), survey)

    streamed = tmp_path / "streamed.fits"
    streamed.write_bytes(capfdbinary.readouterr().out)
    assert gzip.decompress(create("c.fits.gz").path.read_bytes()) == streamed.read_bytes()
    assert verified(streamed) == "0 warning(s) and 0 error(s)."
    with fits.open(streamed) as ours, fits.open(create().path) as whole:
        for one, other in zip(ours, whole, strict=True):
            cards = [card.image for card in other.header.cards if card.keyword not in ("CHECKSUM", "DATASUM")]
            assert [card.image for card in one.header.cards] == cards
        assert fits.TableDataDiff(ours[1].data, whole[1].data).identical


@on_sqlite
@pytest.mark.parametrize("file_format", [Format.FITS, Format.PARQUET])
def test_a_terminal_gets_no_binary_file(db, monkeypatch, file_format):
    monkeypatch.setattr(room.sys.stdout, "isatty", lambda: True, raising=False)

    with pytest.raises(UsageError, match=f"{file_format} is not for a terminal: .* give --format csv"):
        write(Request(output=STDOUT, format=file_format))


@of_sqlite
def test_what_is_stopped_on_standard_output_says_that_it_ends_early(survey, capfdbinary):
    stop = StopRequest()
    stop.reason = "SIGTERM"

    with pytest.raises(Interrupted, match="0 of 160 rows; what was written ends early"):
        write(Request(output=STDOUT), survey, stop)


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("c.txt", {}, Format.ECSV),
        ("c.txt", {"format": Format.CSV}, Format.CSV),
        ("c.TXT.gz", {}, Format.ECSV),
        ("c.fit", {}, Format.FITS),
        ("c.xml", {}, Format.VOTABLE),
        ("c-0.6.0", {"format": Format.FITS}, Format.FITS),
    ],
)
def test_the_format_is_what_the_name_says(name, options, found):
    assert Request(output=Path(name), **options).written_as is found


@pytest.mark.parametrize("name", ["c", "c-0.6.0", ".csv", "c.gz", "c.fits.bz2", "c.tsv"])
def test_a_name_that_says_nothing_is_refused(name):
    with pytest.raises(UsageError, match=r"its ending stands for no format; known are \.fits, "):
        _ = Request(output=Path(name)).written_as


# > All or nothing


@on_sqlite
@pytest.mark.parametrize("file_format", Format)
def test_a_file_that_is_there_is_refused_before_any_work_and_kept(db, create, tmp_path, file_format):
    (tmp_path / "catalogue").write_text("mine")

    with pytest.raises(UsageError, match="exists already: give --overwrite"):
        create("catalogue", format=file_format)

    assert (tmp_path / "catalogue").read_text() == "mine"


@of_sqlite
def test_a_file_that_is_there_can_be_replaced(survey, create, tmp_path):
    (tmp_path / "catalogue.fits").write_text("mine")

    create(overwrite=True)

    assert len(Table.read(tmp_path / "catalogue.fits")) == SPECTRA


@of_sqlite
def test_a_file_that_came_in_the_meantime_is_kept(survey, create, tmp_path):
    def meddle(done, total):
        (tmp_path / "catalogue.fits").write_text("mine")

    with pytest.raises(UsageError, match="exists already"):
        create(on_progress=meddle)

    assert (tmp_path / "catalogue.fits").read_text() == "mine"


@on_sqlite
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=lambda make: make.__name__)
def test_only_a_file_is_replaced(db, create, tmp_path, make):
    make(tmp_path / "catalogue.fits")

    with pytest.raises(UsageError, match="cannot replace .*: it is not a file"):
        create(overwrite=True)


@on_sqlite
def test_a_folder_that_is_not_there_is_said(db, create):
    with pytest.raises(UsageError, match="there is no folder .*nowhere for .*nowhere/catalogue.fits"):
        create("nowhere/catalogue.fits")


@of_sqlite
def test_what_was_to_be_stopped_leaves_nothing(survey, create, tmp_path, monkeypatch):
    usual = room.StopRequest.__init__

    def signalled(self, *words):
        usual(self, *words)
        self.reason = "SIGTERM"

    monkeypatch.setattr(room.StopRequest, "__init__", signalled)

    with pytest.raises(Interrupted, match="stopped by SIGTERM after 0 of 160 rows; nothing was written"):
        create()

    assert not list(tmp_path.glob("*catalogue*"))


@of_sqlite
@pytest.mark.parametrize("file_format", Format)
def test_a_full_disk_leaves_nothing(survey, create, full_disk, tmp_path, file_format):
    whole = create("first", format=file_format).bytes

    with full_disk(whole // 2), pytest.raises(StorageError, match="second: File too large; make room, or"):
        create("second", format=file_format)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "home"]


@of_sqlite
def test_rows_that_are_not_as_many_as_were_counted_are_an_internal_error(
    survey, create, tmp_path, monkeypatch
):
    def all_but_one(database, query):
        yield sql.all_rows(database, query)[1:]

    monkeypatch.setattr(room, "batches", all_but_one)

    with pytest.raises(AstraError, match="gave 159 rows where it had counted 160"):
        create()

    assert not list(tmp_path.glob("*catalogue*"))


@of_sqlite
def test_the_file_has_the_rights_of_any_new_file(survey, create, tmp_path):
    (tmp_path / "other").touch()

    assert create().path.stat().st_mode == os.stat(tmp_path / "other").st_mode
