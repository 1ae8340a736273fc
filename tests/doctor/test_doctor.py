"""``astra doctor``: what it finds, what it says to do, and that it goes on after each failure."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections import namedtuple
from types import SimpleNamespace

import guests
import pytest
from builders import a_result, a_run, a_source, a_spectrum, on_postgresql, on_sqlite, write_apstar

import astra
from astra.cli import main
from astra.config import config_file
from astra.database.connection import is_postgresql, now
from astra.doctor import checkup, database, disks, installation
from astra.doctor.checkup import examine
from astra.doctor.findings import Finding, Known, exit_code_of
from astra.errors import ConfigError, StorageError
from astra.models import Spectrum, TaskClaim, TaskWorker
from astra.schema import upgrade as schema
from astra.system.compiled import Kept
from astra.tasks.installed import find_task

NAMES = [name for name, *_ in checkup.CHECKS]


@pytest.fixture
def weights(toy_weights, monkeypatch):
    """Small weights in force."""
    monkeypatch.setenv("ASTRA_WEIGHTS", str(toy_weights))
    return toy_weights


@pytest.fixture
def survey(db, weights, tmp_path):
    """A database with three spectra whose files are there."""
    return [
        a_spectrum(a_source(), write_apstar(tmp_path / f"apStar-dr17-{number}.fits")) for number in range(3)
    ]


def found(check=None):
    """What was found by one check, or by all, as (level, exit code, text)."""
    return [
        (each.level, each.exit_code, each.line())
        for each in examine()
        if check is None or each.check == check
    ]


def the(check):
    (one,) = found(check)
    return one


def go_on_after(check):
    """Every other check is made, whatever became of this one."""
    names = list(dict.fromkeys(each.check for each in examine()))
    assert names == NAMES, names
    return check in names


# > All is well


def test_where_all_is_well_every_line_is_ok_and_the_exit_code_0(survey, capsys):
    code = main(["doctor"])

    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if not line.startswith("ok ")] == []
    assert (code, err.splitlines()[-1].split(", ")[1:]) == (0, ["0 warn", "0 fail"])
    assert "astronn_dist: toy (sha256 " in out
    assert "3 of 3 sampled files can be opened" in out


def test_json_is_one_object_with_the_findings_and_the_exit_code(survey, capsys):
    code = main(["doctor", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert (code, told["exit_code"]) == (0, 0)
    assert list(dict.fromkeys(each["check"] for each in told["findings"])) == NAMES
    assert list(told["findings"][0]) == ["check", "level", "said", "remedy", "exit_code"]


def test_nothing_is_written_into_the_database(survey):
    worker = {"task": "astronn_dist", "host": "far", "pid": 7, "started": "2026-01-01 00:00:00"}
    TaskWorker.insert(worker).execute()

    found()

    assert TaskWorker.select().count() == 1


def test_the_exit_code_is_that_of_the_first_failure():
    findings = [
        Finding("a", "warn", "x"),
        Finding("b", "fail", "x", exit_code=69),
        Finding("c", "fail", "x", "y", 78),
    ]

    assert exit_code_of(findings) == 69
    assert exit_code_of(findings[:1]) == 0


# > The package


def test_another_distribution_that_provides_astra_is_worth_a_warning(survey, tmp_path, monkeypatch):
    metadata = "Metadata-Version: 2.1\nName: astra\nVersion: 0.6.0\n"
    _leave(tmp_path / "elsewhere", "astra-0.6.0", {"METADATA": metadata, "top_level.txt": "astra\n"})
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")

    level, code, text = the("package")

    assert (level, code) == ("warn", 0)
    assert f"astra 0.6.0 and astra-distances {astra.__version__} provide the package astra" in text
    assert text.endswith("pip uninstall astra astra-distances, then install astra-distances")


INFORMATION = "Metadata-Version: 2.1\nName: sdss-astra\nVersion: 0.8.0\n"
COMMAND = "[console_scripts]\nastra = astra.cli.astra:main\n"


@on_sqlite
@pytest.mark.parametrize(
    "files",
    [
        {"RECORD": "../../../bin/astra,sha256=x,1\nastra/__init__.py,sha256=x,1\n"},
        {"RECORD": "__editable__.sdss_astra-0.8.0.pth,sha256=x,1\n", "entry_points.txt": COMMAND},
        {"top_level.txt": "astra_helpers\n", "entry_points.txt": COMMAND},
    ],
    ids=["by its files", "editable", "by its command"],
)
def test_sdss_astra_in_the_same_environment_is_noticed(survey, tmp_path, monkeypatch, files):
    elsewhere = tmp_path / "elsewhere"
    _leave(elsewhere, "sdss_astra-0.8.0", {"METADATA": INFORMATION} | files)
    # Half removed, and harmless.
    _leave(elsewhere, "~stra-0.7.0", {"top_level.txt": "astra\n"})
    _leave(elsewhere, "astra_plots-1.0", {"METADATA": INFORMATION, "RECORD": "astra_plots/__init__.py,,\n"})
    monkeypatch.syspath_prepend(elsewhere)

    level, code, text = the("package")

    assert (level, code) == ("warn", 0)
    assert (
        f"sdss-astra 0.8.0 and astra-distances {astra.__version__} provide the package astra or its" in text
    )
    assert text.endswith("pip uninstall sdss-astra astra-distances, then install astra-distances")


def _leave(folder, name, files):
    """What an installer leaves of a distribution."""
    information = folder / f"{name}.dist-info"
    information.mkdir(parents=True)
    for file, text in files.items():
        (information / file).write_text(text)


def test_an_astra_that_is_not_that_of_the_distribution_is_worth_a_warning(survey, tmp_path, monkeypatch):
    assert the("package")[0] == "ok"
    monkeypatch.setattr(astra, "__file__", str(tmp_path / "astra" / "__init__.py"))

    level, _, text = the("package")

    assert level == "warn"
    assert (
        f"the astra in use, {tmp_path / 'astra'}, is not that of astra-distances {astra.__version__}" in text
    )


# > Configuration


def test_without_settings_the_rest_is_looked_at(monkeypatch):
    monkeypatch.setenv("ASTRA_CONFIG", "/nowhere/astra.yml")

    level, code, text = the("configuration")

    assert (level, code) == ("fail", 78)
    assert "settings file not found: /nowhere/astra.yml" in text
    assert the("database")[2].endswith("not checked, for that needs the settings")
    assert go_on_after("configuration")


def test_a_password_in_a_file_that_others_may_read_is_worth_a_warning(survey):
    config_file().write_text("database: {password: geheim}")
    config_file().chmod(0o644)

    (_, (level, _, text)) = found("configuration")

    assert (level, f"chmod 600 {config_file()}" in text) == ("warn", True)
    config_file().chmod(0o600)
    assert [each[0] for each in found("configuration")] == ["ok"]


# > Database


def test_no_database_at_all_is_one_failure_and_the_rest_goes_on(weights, capsys):
    code = main(["doctor"])

    out, err = capsys.readouterr()
    assert code == 78
    assert "fail  database       no database at" in out
    assert "run `astra init` first" in out
    assert "ok    weights" in out
    assert "Traceback" not in out + err


def test_a_server_that_does_not_answer_is_69(weights, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://me@127.0.0.1:1/x")

    level, code, text = the("database")

    assert (level, code) == ("fail", 69)
    assert "cannot reach PostgreSQL" in text
    assert go_on_after("database")


def test_a_database_without_tables_is_78(empty_database, weights):
    level, code, text = the("schema")

    assert (level, code) == ("fail", 78)
    assert "run `astra init` first" in text
    assert the("rights")[2].endswith("not checked, for that needs the schema")


def test_an_older_schema_is_78_and_it_is_said_what_an_upgrade_would_do(db, weights):
    a_spectrum(a_source())
    schema.runner(db).down()

    level, code, text = the("schema")

    assert (level, code) == ("fail", 78)
    assert "older than this Astra" in text
    assert "then 0 rows are stale and 1 spectra pending; `astra init --plan` shows all" in text


def test_a_table_that_somebody_has_altered_is_78(db, weights):
    db.execute_sql("ALTER TABLE task_run DROP COLUMN weights_range")

    level, code, text = the("schema")

    assert (level, code) == ("fail", 78)
    assert "the table task_run has no weights_range" in text


@on_postgresql  # SQLite has no connections
def test_few_connections_left_are_worth_a_warning(survey, db, monkeypatch):
    monkeypatch.setattr(database, "FEW_CONNECTIONS", 1000)

    levels = [level for level, *_ in found("database")]

    assert levels == ["ok", "warn"]


@on_sqlite  # many may write to PostgreSQL
def test_another_writer_on_sqlite_is_worth_a_warning(survey, db, monkeypatch):
    monkeypatch.setattr(database, "_WAIT_S", 0.1)
    with contextlib.closing(sqlite3.connect(db.database)) as other:
        other.execute("BEGIN IMMEDIATE")

        level, _, text = the("rights")

    assert (level, "another process has been writing" in text) == ("warn", True)


@pytest.mark.heavy
def test_a_sqlite_file_that_may_not_be_written_is_74(sqlite_template, weights, ordinary_user, open_tmp_path):
    file = open_tmp_path / "my.db"
    shutil.copyfile(sqlite_template, file)
    file.chmod(0o444)
    environment = os.environ | {"ASTRA_DATABASE_PATH": str(file), "ASTRA_WEIGHTS": "simulated-5"}

    ran = subprocess.run(
        [sys.executable, "-m", "astra", "doctor"],
        capture_output=True,
        text=True,
        cwd="/tmp",
        env=environment,
        **ordinary_user,
    )

    assert ran.returncode == 74, ran.stdout + ran.stderr
    assert "readonly" in ran.stdout
    assert f"this user may not write to {file}; to write, set ASTRA_DATABASE_PATH" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


# > Files


def test_relative_paths_without_their_base_are_78(survey):
    a_spectrum(a_source(), "dr17/x.fits")

    level, code, text = the("spectra")

    assert (level, code) == ("fail", 78)
    assert "SAS_BASE_DIR is not set" in text


def test_relative_paths_are_tried_below_their_base(survey, tmp_path, monkeypatch):
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    a_spectrum(a_source(), "apStar-dr17-0.fits")

    assert "4 of 4 sampled files can be opened" in the("spectra")[2]


def test_a_file_that_is_missing_is_worth_a_warning_and_all_are_a_lost_disk(survey):
    survey[1].absolute_path.unlink()
    level, code, text = the("spectra")
    assert (level, code) == ("warn", 0)
    assert "2 of 3 sampled files can be opened" in text
    assert f"{survey[1].path} (No such file or directory)" in text

    for spectrum in survey:
        spectrum.absolute_path.unlink(missing_ok=True)

    level, code, text = the("spectra")
    assert (level, code) == ("fail", 75)
    assert "is the disk mounted" in text


def test_what_is_no_fits_file_is_noticed(survey):
    survey[0].absolute_path.write_text("something else")

    assert "(not a FITS file)" in the("spectra")[2]


def test_of_many_files_a_few_are_tried_from_the_first_to_the_last(db, weights, tmp_path):
    for number in range(40):
        a_spectrum(a_source(), tmp_path / f"{number}.fits")

    text = the("spectra")[2]

    assert "0 of 10 sampled files" in text
    assert f"{tmp_path / '0.fits'} (" in text


def test_no_file_is_sampled_twice_where_keys_have_gaps(survey):
    for _ in range(40):
        Spectrum.create()
    a_spectrum(a_source())

    assert "1 of 2 sampled files" in the("spectra")[2]


def test_a_disk_that_does_not_answer_is_not_waited_for(survey, monkeypatch):
    monkeypatch.setattr(disks, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(disks, "_problem", lambda path: time.sleep(3))

    level, code, text = the("spectra")

    assert (level, code) == ("fail", 75)
    assert "has not answered for 0.1 s" in text


def test_no_spectra_yet_is_worth_a_warning(db, weights):
    level, _, text = the("spectra")

    assert (level, "`astra ingest apstar` registers them" in text) == ("warn", True)


@pytest.mark.parametrize(
    ("free", "level", "code"), [(2**40, "ok", 0), (2**29, "warn", 0), (2**20, None, None)]
)
def test_little_space_is_a_warning_and_next_to_none_for_the_database_a_failure(
    survey, db, monkeypatch, free, level, code
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disks.shutil, "disk_usage", lambda folder: usage(2**41, 0, free))
    if level is None:
        level, code = ("warn", 0) if is_postgresql(db) else ("fail", 74)

    assert found("space")[0][:2] == (level, code)


# > What it computes with


def test_weights_that_are_not_there_are_78(survey, monkeypatch):
    monkeypatch.setenv("ASTRA_WEIGHTS", "/nowhere/model.safetensors")

    level, code, text = the("weights")

    assert (level, code) == ("fail", 78)
    assert "/nowhere/model.safetensors" in text
    assert go_on_after("weights")


def test_damaged_weights_are_78(survey, tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    monkeypatch.setenv("ASTRA_WEIGHTS", str(tmp_path / "model.safetensors"))

    assert the("weights")[:2] == ("fail", 78)


def test_results_of_other_weights_are_78(survey):
    from astra.system.version import V_ASTRA_MAJOR_MINOR

    old = a_run(weights_name="old", weights_sha256="0" * 64, v_astra_major_minor=V_ASTRA_MAJOR_MINOR)
    a_result(survey[0], run_pk=old.pk)

    level, code, text = the("results")

    assert (level, code) == ("fail", 78)
    assert "come from weights old (sha256 000000000000)" in text


def test_a_gpu_that_torch_cannot_use_is_worth_a_warning(survey, monkeypatch, tmp_path):
    monkeypatch.setattr("astra.pipelines.astronn_dist.network.sampling.DRIVERS", (str(tmp_path),))
    torch = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", torch)

    level, _, text = the("device")

    assert (level, "there is a GPU that torch cannot use" in text) == ("warn", True)


def test_a_gpu_is_named(survey, monkeypatch, tmp_path):
    monkeypatch.setattr("astra.pipelines.astronn_dist.network.sampling.DRIVERS", (str(tmp_path),))
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=lambda number: "A Card")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    assert list(installation.check_device(None)) == [Finding("device", "ok", "CUDA: A Card")]


@pytest.mark.parametrize(
    ("kept", "level", "said"),
    [
        (Kept("/c", 8, {}, 0, None), "ok", "8 compiled functions, kept in /c"),
        (Kept("/c", 8, {}, 0, "Read-only file system"), "ok", "8 compiled functions, kept in /c"),
        (Kept("/c", 0, {}, 8, None), "ok", "0 compiled functions of 8; a run compiles the others"),
        (Kept("/c", 0, {}, 8, "Disk quota exceeded"), "warn", "kept in /c (Disk quota exceeded)"),
        (Kept("/c", 7, {"drop": "EOFError: "}, 0, None), "warn", "what is kept of drop in /c cannot be used"),
        (Kept(None, 0, {}, 8, None), "warn", "set NUMBA_CACHE_DIR"),
    ],
)
def test_it_is_said_whether_compiled_code_is_kept_and_can_be(monkeypatch, kept, level, said):
    monkeypatch.setattr("astra.system.compiled.what_is_kept", lambda: [kept])

    assert [(each.level, said in each.line()) for each in installation.check_compiled(None)] == [
        (level, True)
    ]


def test_the_compiled_code_of_a_run_is_read(survey):
    # One for each folder; other tests of this process may have loaded functions of others.
    assert {level for level, *_ in found("compiled")} == {"ok"}


@pytest.mark.parametrize(
    ("limit", "level", "said"),
    [
        (None, "ok", "no limit"),
        (2**28, "warn", "the control group has 256 MiB"),
        (2**31, "ok", "2.0 GiB for this control group, enough for 4 workers"),
    ],
)
def test_the_memory_of_a_control_group_is_compared_with_that_of_a_worker(monkeypatch, limit, level, said):
    monkeypatch.setattr("astra.system.control_groups.memory_limit", lambda: limit)

    (one,) = installation.check_memory(Known())

    assert (one.level, said in one.line()) == (level, True)


@pytest.mark.parametrize("command", [["doctor"], ["run", "astronn_dist"], ["distance", "apStar-dr17-x.fits"]])
def test_with_too_few_addresses_libraries_that_would_hang_are_not_loaded(command, tmp_path):
    (tmp_path / "apStar-dr17-x.fits").touch()
    program = ["prlimit", f"--as={500 * 2**20}", sys.executable, "-m", "astra", *command]

    ran = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)

    said = "`ulimit -v` allows this process 500 MiB of addresses, and it needs 768"
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (78, True)


def test_more_threads_than_cores_are_worth_a_warning(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setattr("astra.system.control_groups.cpu_quota", lambda: 1.0)

    (one,) = installation.check_device(None)

    assert (one.level, "CPU, 1 cores" in one.said, one.remedy) == ("warn", True, "unset it")


def test_names_of_files_that_are_not_utf_8_are_worth_a_warning(survey, monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")

    assert [level for level, *_ in found("configuration")] == ["ok", "warn"]


def test_temporary_files_are_tried(survey, db, monkeypatch):
    with monkeypatch.context() as another:
        another.setattr(tempfile, "tempdir", "/proc")
        texts = [text for level, _, text in found("space") if level == "warn"]

    assert "nothing can be written for temporary files to /proc (" in texts[0]


def test_slurm_may_be_there_or_not(survey, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert the("slurm")[2] == "ok    slurm          no sbatch here: runs are local"

    (tmp_path / "sbatch").touch(mode=0o755)
    assert the("slurm")[2] == f"ok    slurm          {tmp_path / 'sbatch'}"


# > Tasks of other packages


def test_what_is_wrong_with_the_task_of_another_package_is_one_warning(survey, tmp_path, monkeypatch):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "broken", "count_pixels")

    findings = found()

    assert all(code == 0 for _, code, _ in findings), findings
    broken, missing = [text for level, _, text in findings if level == "warn"]
    assert "tasks          task 'broken' cannot be loaded from guest_package:broken" in broken
    assert "tasks          task 'count_pixels': its table guest_result is missing" in missing
    assert ("ok", 0, "ok    tasks          usable: astronn_dist") in findings


def test_the_task_of_another_package_is_checked_as_our_own_is(survey, db, tmp_path, monkeypatch):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")
    guests.make_table(db)

    findings = found()

    assert {level for level, *_ in findings} == {"ok"}
    assert "ok    tasks          usable: astronn_dist, count_pixels" in [text for *_, text in findings]
    assert "ok    results        count_pixels: no rows of other weights, seeds, draws or options" in [
        text for *_, text in findings
    ]


@pytest.fixture
def lines(survey, tmp_path, monkeypatch):
    """The task ``line_width`` of another package, which examines itself; its tables are there."""
    guests.install(tmp_path / "guest", monkeypatch, guests.LINES, "line_width")
    assert main(["init"]) == 0
    return find_task("line_width")


def test_what_a_task_finds_itself_is_said(lines):
    @lines.examined_by
    def more():
        yield "warn", "the list of lines is old", "fetch a new one"
        yield "fail", "there is no list of lines"

    @lines.examined_by
    def nothing():
        """Finds nothing to say."""

    tasks = found("tasks")

    assert tasks[1:] == [
        ("ok", 0, "ok    tasks          line_width: the list of lines is there"),
        ("warn", 0, "warn  tasks          line_width: the list of lines is old; fetch a new one"),
        ("fail", 78, "fail  tasks          line_width: there is no list of lines"),
    ]


@on_sqlite
@pytest.mark.parametrize(
    ("finding", "code", "said"),
    [
        (lambda: 1 / 0, 70, "line_width: cannot be checked (ZeroDivisionError: division by zero)"),
        (lambda: _raise(StorageError("no room for lines")), 74, "line_width: no room for lines"),
        (
            lambda: ("error", "it is broken"),
            78,
            "line_width: broken yields ('error', 'it is broken'): yield a level",
        ),
        (lambda: "it is broken", 78, "line_width: broken yields 'it is broken': yield a level (ok, warn or"),
    ],
    ids=["mistake", "error", "level", "text"],
)
def test_whatever_a_task_raises_is_one_failure_of_its_own(lines, finding, code, said):
    lines.examinations.clear()

    @lines.examined_by
    def broken():
        yield finding()

    findings = list(examine())

    (failed,) = [each for each in findings if each.level != "ok"]
    assert (failed.check, failed.level, failed.exit_code) == ("tasks", "fail", code)
    assert said in failed.said
    assert list(dict.fromkeys(each.check for each in findings)) == NAMES


def _raise(error):
    raise error


def test_a_task_is_not_examined_without_its_tables(lines, db):
    schema.runner(db).down()

    assert "line_width: not examined, for that needs the schema" in found("tasks")[-1][2]


def test_results_that_would_mix_are_a_failure_of_their_task_alone(lines, survey):
    from astra.system.version import V_ASTRA_MAJOR_MINOR

    old = a_run(weights_name="old", weights_sha256="0" * 64, v_astra_major_minor=V_ASTRA_MAJOR_MINOR)
    a_result(survey[0], run_pk=old.pk)

    first, second = found("results")

    assert first[:2] == ("fail", 78)
    assert second == (
        "ok",
        0,
        "ok    results        line_width: no rows of other weights, seeds, draws or options",
    )


@on_sqlite
def test_rows_of_several_options_are_a_mixture_with_the_number_of_each(lines, survey):
    for spectrum, window in zip(survey, (7.0, 5.0, 7.0), strict=True):
        _row_of_lines(lines, spectrum, window)

    said = "ok    results        astronn_dist: no rows of other weights, seeds, draws or options"
    mixed = "line_width: the results are a mixture: 2 rows of --window 7.0; 1 rows of --window 5.0"
    remedy = "`astra run line_width --overwrite` makes all anew"
    assert found("results") == [("ok", 0, said), ("warn", 0, f"warn  results        {mixed}; {remedy}")]


@on_sqlite
def test_rows_of_one_origin_are_no_mixture_whatever_number_of_runs_made_them(lines, survey):
    for spectrum in survey:
        _row_of_lines(lines, spectrum, 7.0)

    (_, _, said) = found("results")[1]

    assert "come from --window 7.0, this run would use 5.0" in said
    assert "mixture" not in said


def _row_of_lines(task, spectrum, window):
    from astra.system.version import V_ASTRA_MAJOR_MINOR

    options = json.dumps({"window": window})
    run = a_run(task=task.name, v_astra_major_minor=V_ASTRA_MAJOR_MINOR, options=options)
    task.output_model.from_spectrum(spectrum, width=1.0, run_pk=run.pk).save(force_insert=True)


def test_a_task_whose_weights_cannot_be_looked_for_is_a_failure_of_its_own(lines):
    lines.identified_by(lambda **options: 1 / 0)

    weights, results = found("weights"), found("results")

    assert [level for level, *_ in weights] == ["ok", "fail"]
    assert "line_width: cannot be checked (ZeroDivisionError" in weights[1][2]
    assert [level for level, *_ in results] == ["ok", "warn"]


def test_files_of_other_spectra_need_not_be_fits(survey, db, tmp_path, monkeypatch):
    code = guests.LINES.replace("    modified =", "    path = fields.TextField(null=True)\n    modified =", 1)
    guests.install(tmp_path / "guest", monkeypatch, code, "line_width")
    assert main(["init"]) == 0
    nothing_yet = found("spectra")[-1]
    (tmp_path / "lines.h5").write_text("something else")
    task = find_task("line_width")
    task.spectrum_models[0].create(spectrum_pk=Spectrum.create().pk, path=tmp_path / "lines.h5")

    assert nothing_yet[:2] == ("warn", 0)
    assert "no files of LineSpectrum are registered; the package of guest_package reg" in nothing_yet[2]
    assert found("spectra")[-1][2] == "ok    spectra        line_spectrum: 1 of 1 sampled files can be opened"


@on_postgresql  # SQLite has no rights
def test_rights_on_the_tables_of_other_packages_are_checked(lines, db, monkeypatch):
    login = f"t{uuid.uuid4().hex[:10]}"
    db.execute_sql(f"CREATE ROLE {login} LOGIN")
    try:
        db.execute_sql(f"GRANT USAGE ON SCHEMA astra TO {login}")
        db.execute_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA astra TO {login}")
        db.execute_sql(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA astra TO {login}")
        db.execute_sql(f"REVOKE INSERT ON line_width FROM {login}")
        place = os.environ["ASTRA_DATABASE_URL"].rpartition("@")[2]
        monkeypatch.setenv("ASTRA_DATABASE_URL", f"postgresql://{login}@{place}")

        level, code, text = the("rights")
    finally:
        db.execute_sql(f"DROP OWNED BY {login}")
        db.execute_sql(f"DROP ROLE {login}")

    assert (level, code) == ("fail", 74)
    assert "it lacks INSERT on line_width." in text


def test_a_task_of_ours_that_cannot_be_used_is_a_failure(survey, monkeypatch):
    monkeypatch.setattr(
        "astra.doctor.installation.installed_tasks", lambda: {"astronn_dist": ConfigError("broken")}
    )

    assert the("tasks") == ("fail", 78, "fail  tasks          broken")


# > What runs have left behind


def test_dead_workers_and_what_they_died_of_are_worth_a_warning(survey, db):
    worker = TaskWorker.insert(task="astronn_dist", host="far", pid=7, started=now(db)).execute()
    claim = {"task": "astronn_dist", "attempts": 0, "since": now(db)}
    TaskClaim.insert(claim | {"spectrum_pk": 1, "worker_pk": worker, "suspect": False}).execute()
    TaskClaim.insert(claim | {"spectrum_pk": 2, "suspect": True}).execute()

    (dead, alone) = found("claims")

    assert (dead[0], alone[0]) == ("warn", "warn")
    assert "1 workers seem dead (far:7); `astra run astronn_dist` takes over" in dead[2]
    assert "1 spectra wait to be taken alone" in alone[2]


# > What nobody thought of


def test_an_internal_error_in_one_check_is_a_line_and_the_others_are_made(survey, monkeypatch, capsys):
    def check(known):
        raise ZeroDivisionError("nobody\nthought of it")
        yield

    checks = [(name, needs, check if name == "rights" else look) for name, needs, look in checkup.CHECKS]
    monkeypatch.setattr(checkup, "CHECKS", checks)

    code = main(["doctor"])

    out, err = capsys.readouterr()
    assert code == 70
    assert (
        "fail  rights         cannot be checked (ZeroDivisionError: nobody thought of it); `astra --" in out
    )
    assert "ok    claims" in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:geheim@127.0.0.1:1/x",
        "postgresql://me:geheim@127.0.0.1:geheim/x",
        "postgresql://me:ge/heim@@127.0.0.1/x?password=geheim&nonsense=1",
        "mysql://me:geheim@h/d",
    ],
)
def test_a_password_is_never_printed(weights, monkeypatch, capsys, url):
    monkeypatch.setenv("ASTRA_DATABASE_URL", url)

    for arguments in (["doctor"], ["doctor", "--json"]):
        assert main(arguments) in (69, 78)
        out, err = capsys.readouterr()
        assert "heim" not in out + err


@on_postgresql  # SQLite has no passwords
def test_a_password_is_not_printed_where_all_is_well(survey, db, monkeypatch, capsys):
    monkeypatch.setenv("ASTRA_DATABASE_URL", os.environ["ASTRA_DATABASE_URL"].replace("@", ":geheim@"))

    assert main(["doctor"]) == 0
    assert "geheim" not in "".join(capsys.readouterr())
