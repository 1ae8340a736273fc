"""Packages of other people beside astronn_dist: each command works for their tasks, and none harms ours."""

import json
import re
from pathlib import Path

import pytest
from astropy.table import Table
from builders import a_result, on_postgresql, on_sqlite
from example_tasks import D4000, GUESTS, TEMPLATE_SNR
from guests import GOOD, install, uninstall

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, TaskRun
from astra.running.supply import FEW
from astra.schema.packages import installed_packages
from astra.tasks.installed import find_task

from roles import sql


def _error(stderr):
    (line,) = [line for line in stderr.splitlines() if line.startswith("astra: error: ")]
    return line.removeprefix("astra: error: ")


def _lines(text, word):
    return [line for line in text.splitlines() if word in line]


def _results(guest):
    model = find_task(guest.task).output_model
    return list(model.select().order_by(model.spectrum_pk))


@pytest.fixture
def measured(db, guest, folder, astra):
    """Three files, of which the first is damaged, after a run on them; gives its path and what it held."""
    assert astra("init")[0] == 0
    damaged, *_ = guest.register(folder, 3)
    content = damaged.read_bytes()
    damaged.write_bytes(b"not FITS")
    code, out, err = astra("run", guest.task)
    assert code == 0, err
    assert "2 measured + 1 no_result = 3 processed" in out
    return damaged, content


# > Commands that look at a task with results


def _status(guest, astra):
    code, out, err = astra("status", guest.task)
    assert (code, err) == (0, "")
    for counted in ("spectra +3", "done +3", "pending +0", "flag_no_result +1"):
        assert re.search(rf"^ +{counted}$", out, re.MULTILINE), out


def _tasks(guest, astra):
    said = " ".join(astra("tasks", "show", guest.task)[1].split())
    for text in guest.shown:
        assert text in said
    assert _lines(astra("tasks")[1], guest.task)


def _doctor(guest, astra):
    said = astra("doctor")[1]
    assert "ok    tasks          usable: astronn_dist, d4000, template_snr" in said
    assert f"ok    results        {guest.task}: no rows of other weights, seeds, draws or options" in said
    assert "2 of 3 sampled files can be opened" in said


def _init_again(guest, astra):
    assert astra("init")[1].endswith(": schema was up to date\n")


def _run_again(guest, astra):
    assert astra("run", guest.task)[1] == f"nothing is pending for {guest.task}\n"


def _explain(guest, astra):
    named = list(find_task(guest.task).output_model.flag_names())
    code, out, _ = astra("explain", "--task", guest.task, *named)
    assert code == 0
    assert [name for name in named if _lines(out, name)] == named
    assert _lines(out, "flag_no_result [flag_bad")


def _create(guest, astra):
    path = Path(f"{guest.task}.csv")
    code, _, err = astra("create", guest.task, "--output", path, "--where", "not flag_no_result")
    assert code == 0, err
    table = Table.read(path)
    assert len(table) == 2
    assert set(find_task(guest.task).output_model.flag_names()) < set(table.colnames)
    for name in guest.measured:
        assert list(table[name]) == [getattr(row, name) for row in _results(guest) if not row.flag_no_result]


def _query(guest, astra):
    code, out, err = astra("query", guest.task, "--json", "--where", "not flag_no_result")
    assert (code, err) == (0, "")
    for name in guest.measured:
        known = [getattr(row, name) for row in _results(guest) if not row.flag_no_result]
        assert [row[name] for row in json.loads(out)] == known
    assert max(map(len, astra("query", guest.task)[1].splitlines())) <= 80


def _show(guest, astra):
    first, *_ = (row.spectrum_pk for row in _results(guest))
    [spectrum] = find_task(guest.task).spectrum_models
    star = spectrum.get(spectrum.spectrum_pk == first).source
    said = astra("show", str(star.sdss_id or star.sdss4_apogee_id))[1]
    assert _lines(said, guest.task)
    assert _lines(said, "no result")


def _report(guest, astra):
    code, out, _ = astra("report", guest.task, "--json")
    assert code == 0
    made = json.loads(out)
    bad = sum(row.flag_bad for row in _results(guest))
    assert (made["task"], made["spectra"], made["bad"]) == (guest.task, 3, bad)
    page = Path(made["output"]).read_text()
    for name in (*guest.measured, *find_task(guest.task).output_model.flag_names()):
        assert name in page


LOOKS = (_status, _tasks, _doctor, _init_again, _run_again, _explain, _create, _query, _show, _report)


def test_commands_that_look_at_a_task_know_it_without_a_line_of_its_own(
    measured, guest, astra, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for look in LOOKS:
        look(guest, astra)


def test_a_damaged_file_is_a_bad_row_that_says_why_until_it_is_repaired(measured, guest, astra):
    path, content = measured
    bad, *good = _results(guest)
    assert bad.flag_no_result
    assert bad.flag_bad
    assert path.name in bad.no_result_reason
    assert not any(row.flag_no_result for row in good)

    path.write_bytes(content)
    assert "1 measured + 0 no_result" in astra("run", guest.task, "--retry", "no_result")[1]

    assert not any(row.flag_no_result for row in _results(guest))
    assert _results(guest)[0].task_pk == bad.task_pk


@on_sqlite
def test_the_doctor_says_who_registers_spectra_that_are_not_of_astra(db, examples, astra):
    astra("init")

    said = astra("doctor")[1]

    (line,) = _lines(said, "no files of BossSpectrum are registered")
    assert line.endswith("the package of boss_d4000.spectra registers them")
    assert len(_lines(said, "`astra ingest apstar` registers them")) == 1


@on_sqlite
def test_a_lost_disk_stops_the_run_and_makes_no_bad_rows(db, examples, folder, astra):
    astra("init")
    D4000.register(folder, FEW + 1)
    folder.rename(folder.with_name("not mounted"))

    code, _, err = astra("run", "d4000")

    assert (code, _results(D4000)) == (75, []), err
    folder.with_name("not mounted").rename(folder)
    assert f"{FEW + 1} measured + 0 no_result" in astra("run", "d4000")[1]


# > Options


@on_sqlite
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["template_snr", "--max-shift", "199"], r"'--max-shift': .*200 \(The largest shift to either side"),
        (["template_snr", "--max-shift", "far"], r"'--max-shift': .*number.* \(The largest shift"),
        (["template_snr", "--at-once", "0"], r"'--at-once': .*1 \(Spectra whose correlations"),
        (["template_snr", "--at-once", "1.5"], r"'--at-once': .*integer.* \(Spectra whose correlations"),
        (
            ["template_snr", "--shift", "1"],
            r"No such option: --shift; did you mean --max-shift",
        ),
        (["d4000", "--definition", "wide"], r"'wide' is not one of 'narrow', 'broad'. \(The bands"),
        (["d4000", "--min-coverage", "1.1"], r"'--min-coverage': .*1 \(The part of each band"),
        (["d4000", "--max-shift", "100"], r"No such option: --max-shift .*Options of d4000: --definition, "),
    ],
    ids=" ".join,
)
def test_a_wrong_option_ends_with_2_and_its_help(db, examples, astra, words, says):
    code, out, err = astra("run", *words)

    assert (code, out) == (2, "")
    assert re.search(says, _error(err)), err


def test_results_of_another_value_do_not_mix_unless_asked_to(measured, guest, astra):
    refused = astra("run", guest.task, *guest.other)
    assert refused[0] == 78
    assert _error(refused[2]).startswith(guest.changed)
    assert TaskRun.select().count() == 1

    path, content = measured
    path.write_bytes(content)
    both = astra("run", guest.task, *guest.other, "--retry", "no_result", "--allow-mixed")
    assert "1 measured + 0 no_result = 1 processed" in both[1]
    assert [run.options == guest.recorded for run in TaskRun.select().order_by(TaskRun.pk)] == [False, True]
    assert astra("create", guest.task, "--output", path.with_name("mixed.fits"))[0] == 78

    assert astra("run", guest.task, *guest.other, "--overwrite")[0] == 0
    assert astra("create", guest.task, "--output", path.with_name("one.fits"))[0] == 0
    (said,) = _lines(astra("doctor")[1], f"rows of {guest.task} in this version come from")
    assert said.startswith("warn  results")
    assert said.endswith(f"give `astra run {guest.task}` the same options again")
    last = TaskRun.select().order_by(TaskRun.pk.desc()).get()
    assert (last.options, last.processed) == (guest.recorded, 3)
    assert {row.run_pk for row in _results(guest)} == {last.pk}


# > Beside astronn_dist


def test_no_row_of_astronn_dist_moves(db, examples, folder, astra):
    assert astra("init")[0] == 0
    for guest in GUESTS:
        (folder / guest.task).mkdir()
        guest.register(folder / guest.task, 2)
    for spectrum in ApogeeCoaddedSpectrumInApStar.select():
        a_result(spectrum)
    before = list(AstroNNdist.select().dicts())

    for guest in GUESTS:
        assert astra("run", guest.task)[0] == 0

    assert list(AstroNNdist.select().dicts()) == before
    assert [len(_results(guest)) for guest in GUESTS] == [2, 2]
    said = astra("status", "astronn_dist")[1]
    assert re.search(r"spectra +2\n +done +2\n", said), said


@pytest.mark.postgres
def test_a_writer_runs_them_and_a_reader_reads_them(survey, become, prefix, examples, folder, astra):
    assert astra("init", "--roles", "--role-prefix", prefix)[0] == 0
    become(f"{prefix}_writer")
    for guest in GUESTS:
        (folder / guest.task).mkdir()
        guest.register(folder / guest.task, 2)

        code, out, err = astra("run", guest.task)

        assert code == 0, err
        assert "2 measured + 0 no_result" in out
    reader = become(f"{prefix}_reader")
    for table in ("template_snr", "d4000", "boss_spectrum"):
        assert sql(reader, f"SELECT count(*) FROM {table}") == [(2,)]
    assert astra("status")[0] == 0
    assert astra("run", "d4000", "--overwrite")[0] == 74


@on_postgresql
def test_postgresql_shows_the_help_texts_beside_the_columns(db, examples, astra):
    astra("init")

    query = (
        "SELECT col_description(%s::regclass, attnum) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attname = %s"
    )
    for table, column, text in (
        ("template_snr", "ccf_height", "Correlation coefficient at the peak, from -1 to 1"),
        ("boss_spectrum", "zwarning", "ZWARNING: not 0 if the redshift may be wrong"),
    ):
        assert db.execute_sql(query, (table, table, column)).fetchall() == [(text,)]


# > The second version of a package


def test_a_table_of_the_first_version_keeps_its_rows_and_gets_the_new_column(db, examples, folder, astra):
    assert astra("init")[0] == 0
    TEMPLATE_SNR.register(folder, 2)
    assert astra("run", "template_snr", "--limit", 1)[0] == 0
    kept = _results(TEMPLATE_SNR)
    (package,) = [each for each in installed_packages() if each.name == "template_snr"]
    assert package.runner(db).down() == ["0002_height"]
    refused = astra("run", "template_snr")
    assert refused[0] == 78
    assert "are older than it (missing 0002_height): run `astra init`" in _error(refused[2])
    assert astra("run", "d4000")[0] == 0

    assert astra("init")[2] == "applied 0002_height of template_snr\n"

    (row,) = _results(TEMPLATE_SNR)
    assert (row.task_pk, row.v_shift, row.created) == (kept[0].task_pk, kept[0].v_shift, kept[0].created)
    assert row.ccf_height != row.ccf_height  # NaN: the first version did not measure it
    assert "1 measured" in astra("run", "template_snr")[1]
    assert "2 measured" in astra("run", "template_snr", "--overwrite")[1]
    assert all(row.ccf_height == row.ccf_height for row in _results(TEMPLATE_SNR))


# > Packages that are absent or broken


def test_packages_that_are_not_installed_any_more_are_one_line_each(db, examples, folder, astra, monkeypatch):
    astra("init")
    D4000.register(folder, 2)
    assert astra("run", "d4000")[0] == 0

    uninstall(examples, monkeypatch)

    code, out, err = astra("status")
    assert (code, err) == (0, "")
    for guest in GUESTS:
        said = f"package '{guest.package}' is not installed here; its tables in the database stay"
        assert _lines(out, guest.package) == [said]
    assert astra("run", "d4000")[0] == 2
    assert astra("init")[0] == astra("run", "astronn_dist")[0] == 0
    assert db.execute_sql("SELECT count(*) FROM d4000").fetchone() == (2,)


def test_what_is_wrong_with_a_package_is_one_line_and_the_others_work(
    db, examples, folder, astra, tmp_path, monkeypatch
):
    astra("init")
    db.execute_sql("DROP TABLE d4000")
    install(tmp_path / "raising", monkeypatch, "raise OSError('out of luck')", "raising", package="raises")
    install(tmp_path / "misspelt", monkeypatch, GOOD, "count_pixles", package="misspells")
    wrong = {
        "d4000": "its table d4000 is missing: run `astra init`",
        "raising": "cannot be loaded from raises:raising (OSError: out of luck)",
        "count_pixles": "cannot be loaded from misspells:count_pixles (AttributeError: ",
    }

    for command in ("status", "doctor"):
        said = astra(command)[1]
        for task, reason in wrong.items():
            (line,) = _lines(said, reason)
            assert task in line
    for task, reason in wrong.items():
        code, _, err = astra("run", task)
        assert code == 78
        assert reason in _error(err)
    TEMPLATE_SNR.register(folder, 2)
    assert "2 measured" in astra("run", "template_snr")[1]
    assert astra("run", "astronn_dist", "--dry-run")[0] == 0
