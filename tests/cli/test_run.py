"""``astra run``: what it prints, and the exit code of every way that it can end."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from builders import a_source, a_spectrum, on_postgresql, on_sqlite, slow_on_sqlite, write_apstar
from terminal import Terminal

from astra.models import AstroNNdist, TaskRun
from astra.pipelines.astronn_dist.weights.files import load_weights, save_weights

KEYS = (
    "schema task v_astra run_pk processed measured rederived no_result fill filled flags bad warn withheld "
    "withheld_reasons kept pending elapsed_s spectra_per_s weights seed outcome exit_code error"
).split()


@pytest.fixture
def three_stars(db, tmp_path):
    """Three pending spectra with files."""
    spectra = []
    for number in range(3):
        path = write_apstar(tmp_path / f"apStar-dr17-{number}.fits")
        spectra.append(a_spectrum(a_source(sdss_id=number + 1), path))
    return spectra


def _one_line_error(stderr):
    (line,) = [line for line in stderr.splitlines() if line.startswith("astra: error: ")]
    assert "Traceback" not in stderr
    return line.removeprefix("astra: error: ")


# > What it does


def test_the_sum_adds_up_and_a_second_run_says_that_nothing_is_pending(astra, three_stars, toy_weights):
    three_stars[1].absolute_path.write_bytes(b"")

    first = astra("run", "astronn_dist", "--weights", toy_weights)
    second = astra("run", "astronn_dist", "--weights", toy_weights)

    assert first[0] == 0
    assert first[1].startswith("2 measured + 1 no_result = 3 processed (bad ")
    assert "not a readable FITS file" in first[2]
    assert second[:2] == (0, "nothing is pending for astronn_dist\n")


def test_the_task_and_the_model_may_be_dotted_paths_and_the_record_has_the_short_name(
    astra, three_stars, toy_weights
):
    words = ("astra.pipelines.astronn_dist.astronn_dist", "apogee.ApogeeCoaddedSpectrumInApStar")

    code, out, _ = astra("run", *words, "--weights", toy_weights, "--json")

    assert (code, json.loads(out)["task"]) == (0, "astronn_dist")
    assert [run.task for run in TaskRun.select()] == ["astronn_dist"]
    assert astra("status", words[0])[1].startswith("astronn_dist")


def test_a_file_that_is_not_there_is_tried_again_by_every_run(astra, three_stars, toy_weights):
    path = three_stars[1].absolute_path
    content = path.read_bytes()
    path.unlink()
    said = "files that cannot be read: 1 (most often: No such file or directory); every run tries them again"

    for sum_begins in ("2 measured + 1 no_result = 3 processed", "0 measured + 1 no_result = 1 processed"):
        code, out, err = astra("run", "astronn_dist", "--weights", toy_weights)
        assert (code, out.startswith(sum_begins)) == (0, True)
        assert said in err
        assert astra("status", "--check", "--max-pending", "0")[0] == 0
    found = json.loads(astra("run", "astronn_dist", "--json", "--weights", toy_weights)[1])
    assert found["withheld_reasons"] == {"No such file or directory": 1}
    assert (found["withheld"], found["kept"], found["outcome"], found["exit_code"]) == (1, 0, "done", 0)

    path.write_bytes(content)
    assert astra("run", "astronn_dist", "--weights", toy_weights)[1].startswith("1 measured + 0 no_result")
    assert astra("run", "astronn_dist", "--weights", toy_weights)[1].startswith("nothing is pending")


def test_a_limit_and_a_star_choose_what_is_run(astra, three_stars, toy_weights):
    astra("run", "astronn_dist", "3", "--weights", toy_weights)
    assert [row.spectrum_pk for row in AstroNNdist.select()] == [three_stars[2].spectrum_pk]
    again = astra("run", "astronn_dist", "3", "--weights", toy_weights)
    assert again[:2] == (0, "nothing is pending for astronn_dist\n")
    assert "all stars that were named have their rows already; --overwrite makes them anew" in again[2]

    model = "ApogeeCoaddedSpectrumInApStar"
    code, out, _ = astra(
        "run", "astronn_dist", model, "--limit", "1", "--count", "--json", "--weights", toy_weights
    )

    assert (code, json.loads(out)["processed"], json.loads(out)["pending"]) == (0, 1, 1)


def test_a_dry_run_prints_what_is_pending(astra, three_stars, toy_weights):
    assert astra("run", "astronn_dist", "--dry-run", "--weights", toy_weights)[:2] == (0, "3 pending\n")
    assert AstroNNdist.select().count() == 0


def test_json_is_one_object_with_all_keys(astra, three_stars, toy_weights):
    code, out, _ = astra("run", "astronn_dist", "--json", "--weights", toy_weights, "--seed", 5)

    found = json.loads(out)
    assert list(found) == KEYS
    assert (found["outcome"], found["exit_code"], found["error"], code) == ("done", 0, None, 0)
    assert (found["measured"], found["no_result"], found["processed"], found["pending"]) == (3, 0, 3, None)
    assert found["weights"] == {"name": "toy", "sha256": load_weights(toy_weights).sha256, "range": None}
    assert found["seed"] == 5
    assert set(found["flags"]) == {
        f"flag_{name}"
        for name in ("fakemag_unreliable", "missing_photometry", "missing_extinction", "no_result")
    }


def test_the_arguments_are_on_record(astra, three_stars, toy_weights):
    astra("run", "astronn_dist", "--limit", "2", "--weights", toy_weights)

    assert json.loads(TaskRun.get().arguments) == {
        "task": "astronn_dist",
        "limit": 2,
        "workers": 1,
        "weights": str(toy_weights),
        "weights_path": str(toy_weights),
    }


# > Which weights


def _said_of_weights(stderr):
    return [line for line in stderr.splitlines() if line.startswith("astra: INFO: weights ")]


@slow_on_sqlite
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_says_once_which_weights_it_takes_and_keeps_it(astra, three_stars, toy_weights, workers):
    _, _, err = astra("run", "astronn_dist", "--weights", toy_weights, "--workers", workers)

    sha256 = load_weights(toy_weights).sha256
    assert _said_of_weights(err) == [f"astra: INFO: weights toy (sha256 {sha256[:12]}); --weights"]
    record = TaskRun.get()
    assert (record.weights_name, record.weights_sha256) == ("toy", sha256)
    assert (record.weights_origin, record.weights_range) == ("--weights", None)


def test_the_embedded_default_is_taken_last_and_announced_with_its_range(
    astra, three_stars, toy_weights, embedded_folder
):
    weights = load_weights(toy_weights)
    path = embedded_folder / "sim1.safetensors"
    covered = "giants and dwarfs: to M_Ks = -7; not for pairs"
    save_weights(replace(weights, details={"range": covered}), path)

    code, out, err = astra("run", "astronn_dist", "--json")

    sha256 = load_weights(path).sha256
    said = f"sim1 (sha256 {sha256[:12]}); embedded default"
    assert code == 0
    assert _said_of_weights(err) == [f"astra: INFO: weights {said}"]
    # On one line of a terminal; `astra models show` has all of it.
    assert "astra: INFO: valid: giants and dwarfs\n" in err
    assert json.loads(out)["weights"] == {"name": "sim1", "sha256": sha256, "range": covered}
    record = TaskRun.get()
    assert (record.weights_origin, record.weights_range) == ("embedded default", covered)
    assert AstroNNdist.select().count() == 3


def test_where_nothing_is_pending_no_weights_are_announced(astra, db, toy_weights):
    assert _said_of_weights(astra("run", "astronn_dist", "--weights", toy_weights)[2]) == []


@on_sqlite
def test_where_no_spectra_are_registered_a_run_says_what_registers_them(astra, db, toy_weights):
    code, out, err = astra("run", "astronn_dist", "--weights", toy_weights)

    assert (code, out) == (0, "nothing is pending for astronn_dist\n")
    assert err == "no spectra are registered; `astra ingest apstar` registers them\n"


@slow_on_sqlite
def test_two_workers_do_what_one_does(astra, three_stars, toy_weights):
    code, out, _ = astra("run", "astronn_dist", "--weights", toy_weights, "--workers", 2, "--batch-size", 1)

    assert (code, AstroNNdist.select().count()) == (0, 3)
    assert "3 processed" in out


# > Wrong usage: 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "astronn_dst"], "unknown task 'astronn_dst'; did you mean astronn_dist?"),
        (["run", "astronn_dist", "ApogeeVisitSpectrumInApStar"], "works on combined spectra"),
        (["run", "astronn_dist", "apVisit"], "works on combined spectra"),
        (["run", "astronn_dist", "BossSpectrum"], "'BossSpectrum' is neither a model"),
        (["run", "astronn_dist", "4711"], "no star 4711 in the database"),
        (["run", "astronn_dist", "2M00000000+0000000"], "no star 2M00000000+0000000"),
        (["run", "astronn_dist", "1", "nonsense"], "not a star: 'nonsense'"),
        (["run", "astronn_dist", "--limit", "0"], "--limit"),
        (["run", "astronn_dist", "--limit", "many"], "--limit"),
        (["run", "astronn_dist", "--page", "5/4"], "--page 5/4: give I/N"),
        (["run", "astronn_dist", "--page", "0/4"], "--page 0/4: give I/N"),
        (["run", "astronn_dist", "--page", "1/" + "9" * 30], "give I/N"),
        (["run", "astronn_dist", "--workers", "0"], "--workers"),
        (["run", "astronn_dist", "--device", "tpu"], "--device"),
        (["run", "astronn_dist", "--retry", "all"], "--retry"),
        (["run", "astronn_dist", "99999999999999999999"], "no star 99999999999999999999"),
        (["run", "astronn_dist", "--seed", "99999999999999999999"], "--seed"),
        (["run"], "task"),
        (["ingest"], "Missing command"),
        (["config"], "Missing command"),
        (["run", "astronn_dist", "--no-such-option"], "--no-such-option"),
        (["no-such-command"], "no-such-command"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_a_hint(astra, three_stars, arguments, says):
    code, out, err = astra(*arguments)

    assert (code, out) == (2, "")
    assert says in _one_line_error(err)
    assert err.splitlines()[-1].startswith("Try `")
    assert err.splitlines()[-1].endswith("--help`.")
    assert len(err.splitlines()) == 2


# > Configuration: 78


class Trap:
    """Would leave a file behind if a loader of pickles ran it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _checkpoint(path, **changes):
    import torch

    from astra.pipelines.astronn_dist.weights.files import SHAPES

    tensors = {name: torch.zeros(shape) for name, shape in SHAPES.items()} | {"labels_std": torch.ones(1)}
    torch.save({"model_state_dict": tensors | changes}, path)


def _bad_weights(kind, folder):
    import torch

    path = folder / "bad.pt"
    if kind == "not weights":
        path.write_text("hello")
    elif kind == "empty":
        path.touch()
    elif kind == "a pickle that runs code":
        torch.save({"model_state_dict": Trap(folder / "trapped")}, path)
    elif kind == "a plain pickle that runs code":
        path.write_bytes(pickle.dumps(Trap(folder / "trapped")))
    elif kind == "wrong shapes":
        _checkpoint(path, **{"dense_1.weight": torch.zeros(10, 10)})
    elif kind == "NaN in them":
        _checkpoint(path, **{"conv1.bias": torch.tensor([0.0, np.nan])})
    elif kind == "an empty folder":
        path = folder / "model"
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "not weights",
        "empty",
        "a pickle that runs code",
        "a plain pickle that runs code",
        "wrong shapes",
        "NaN in them",
        "an empty folder",
    ],
)
def test_bad_weights_stop_the_run_before_the_first_spectrum(astra, three_stars, tmp_path, kind):
    path = _bad_weights(kind, tmp_path)

    code, out, err = astra("run", "astronn_dist", "--weights", path, "--json")

    assert code == 78
    assert str(path) in _one_line_error(err)
    assert json.loads(out)["exit_code"] == 78
    assert AstroNNdist.select().count() == 0
    assert not (tmp_path / "trapped").exists()


def test_no_weights_at_all_name_the_remedy(astra, three_stars, embedded_folder):
    code, _, err = astra("run", "astronn_dist")

    assert code == 78
    assert "--weights" in _one_line_error(err)


def test_mwm_astra_without_the_file_is_no_silent_fallback(astra, three_stars, monkeypatch, tmp_path):
    monkeypatch.setenv("MWM_ASTRA", str(tmp_path))

    code, _, err = astra("run", "astronn_dist")

    assert code == 78
    assert "MWM_ASTRA" in _one_line_error(err)


def test_other_weights_than_those_of_the_rows_are_refused(astra, three_stars, toy_weights, tmp_path):
    astra("run", "astronn_dist", "--weights", toy_weights, "--limit", "1")
    _checkpoint(tmp_path / "other.pt")

    code, _, err = astra("run", "astronn_dist", "--weights", tmp_path / "other.pt")

    assert code == 78
    assert "come from weights toy (sha256 " in _one_line_error(err)
    assert "--overwrite" in err


def test_a_database_without_a_schema_is_refused(astra, empty_database, toy_weights):
    for command in (["run", "astronn_dist", "--weights", toy_weights], ["status"]):
        code, _, err = astra(*command)

        assert code == 78
        assert "run `astra init` first" in _one_line_error(err)


def test_an_older_schema_is_refused(astra, db, toy_weights):
    from astra.schema import upgrade as schema

    schema.runner(db).down()

    code, _, err = astra("run", "astronn_dist", "--weights", toy_weights)

    assert code == 78
    assert "older than this Astra (missing 0016_bailer_jones): run `astra init`" in _one_line_error(err)


def test_a_sqlite_file_that_is_not_there_is_not_made(astra, monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "none.db"))

    code, _, err = astra("run", "astronn_dist")

    assert code == 78
    assert f"no database at {tmp_path / 'none.db'}: run `astra init` first" in _one_line_error(err)
    assert not (tmp_path / "none.db").exists()


OTHER_FILES = {
    "text": (lambda path: path.write_text("no rows\n" * 1000), "not a SQLite database: {} (file is not a"),
    "a folder": (Path.mkdir, "no database: {} is not a file, but a folder"),
    "a named pipe": (os.mkfifo, "no database: {} is not a file, but a named pipe"),
}


@pytest.mark.parametrize("command", [("run", "astronn_dist"), ("init",)], ids=" ".join)
@pytest.mark.parametrize("kind", OTHER_FILES)
def test_a_file_that_is_no_database_is_refused(astra, monkeypatch, tmp_path, kind, command):
    make, said = OTHER_FILES[kind]
    make(tmp_path / "a.db")
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "a.db"))

    code, _, err = astra(*command)

    assert code == 78
    assert said.format(tmp_path / "a.db") in _one_line_error(err)


# > Database not reachable: 69


@pytest.mark.postgres
def test_a_server_that_is_not_there(astra, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://me:geheim@127.0.0.1:1/x")

    code, out, err = astra("run", "astronn_dist", "--json")

    assert code == 69
    assert "cannot reach PostgreSQL" in _one_line_error(err)
    assert json.loads(out)["exit_code"] == 69
    assert "geheim" not in out + err


@pytest.mark.parametrize(
    "address",
    ["me:geheim@127.0.0.1/x", "postgresql://me:ge/heim@127.0.0.1/x", "postgresql://me:geh%eim@127.0.0.1:1/x"],
)
def test_no_part_of_a_password_is_shown_for_a_wrong_address(astra, monkeypatch, address):
    monkeypatch.setenv("ASTRA_DATABASE_URL", address)

    code, out, err = astra("--debug", "run", "astronn_dist", "--json")

    assert code == 78
    assert "database.url is n" in _one_line_error(err.split("Traceback")[0] + err.splitlines()[-1])
    assert not any(part in out + err for part in ("geheim", '"ge"', "heim", "geh%eim"))


@pytest.mark.postgres
def test_a_database_that_is_not_there(astra, monkeypatch, postgres):
    monkeypatch.setenv("ASTRA_DATABASE_URL", postgres.url("no_such_database"))

    code, _, err = astra("status")

    assert code == 69
    assert 'database "no_such_database" does not exist' in _one_line_error(err)


@pytest.mark.postgres
def test_a_wrong_password(astra, monkeypatch, postgres):
    with postgres.database() as dbname:
        connection = psycopg2.connect(postgres.url(dbname))
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("CREATE ROLE with_password LOGIN PASSWORD 'right'")
        cursor.execute("SHOW hba_file")
        (file,) = cursor.fetchone()
        cursor.execute("SELECT pg_read_file(%s)", (file,))
        (before,) = cursor.fetchone()
        asking = f"host all with_password 127.0.0.1/32 scram-sha-256\n{before}"
        try:
            _rewrite(cursor, file, asking)
            address = postgres.url(dbname).split("@")[1]
            monkeypatch.setenv("ASTRA_DATABASE_URL", f"postgresql://with_password:geheim@{address}")
            code, _, err = astra("status")
        finally:
            _rewrite(cursor, file, before)
            cursor.execute("DROP ROLE with_password")
            connection.close()

    assert code == 69, err
    assert 'password authentication failed for user "with_password"' in _one_line_error(err)
    assert "geheim" not in err


def _rewrite(cursor, file, content):
    # By the server itself: the tests may run as another user than it does.
    lines = ", ".join(cursor.mogrify("(%s)", (line,)).decode() for line in content.splitlines() if line)
    cursor.execute(f"COPY (VALUES {lines}) TO '{file}' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')")
    cursor.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)


# > The database refuses to write: 74


@on_sqlite  # the next test is about PostgreSQL
def test_a_read_only_database_is_one_line(three_stars, db, toy_weights, ordinary_user, open_tmp_path):
    from pathlib import Path
    from shutil import copy

    db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    path = Path(copy(db.database, open_tmp_path / "astra.db"))
    weights = Path(copy(toy_weights, open_tmp_path / "toy.safetensors"))
    path.chmod(0o444)
    open_tmp_path.chmod(0o555)
    environment = {"ASTRA_DATABASE_PATH": str(path), "HOME": str(open_tmp_path), "PATH": "/usr/bin:/bin"}

    command = [sys.executable, "-m", "astra", "run", "astronn_dist", "--weights", str(weights)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", **ordinary_user)

    assert ran.returncode == 74, ran.stderr
    assert "readonly" in _one_line_error(ran.stderr)


@on_postgresql  # SQLite has no rights to revoke
def test_a_revoked_right_is_one_line(astra, three_stars, db, toy_weights, monkeypatch):
    db.execute_sql("CREATE ROLE reader LOGIN")
    try:
        db.execute_sql("GRANT USAGE ON SCHEMA astra TO reader")
        db.execute_sql("GRANT SELECT ON ALL TABLES IN SCHEMA astra TO reader")
        address = os.environ["ASTRA_DATABASE_URL"]
        monkeypatch.setenv("ASTRA_DATABASE_URL", address.replace("//postgres@", "//reader@"))
        code, _, err = astra("run", "astronn_dist", "--weights", toy_weights)
    finally:
        db.execute_sql("DROP OWNED BY reader")
        db.execute_sql("DROP ROLE reader")

    assert code == 74
    assert "permission denied" in _one_line_error(err)


# > Stopped: 75


@slow_on_sqlite
@pytest.mark.parametrize(
    ("name", "workers"), [("SIGINT", 1), pytest.param("SIGTERM", 2, marks=pytest.mark.slow)]
)
def test_a_signal_to_a_real_process_ends_in_75_and_the_next_run_finishes(
    db, tmp_path, toy_weights, name, workers
):
    import signal

    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    for _ in range(400):
        a_spectrum(None, path)
    command = [sys.executable, "-m", "astra", "run", "astronn_dist", "--weights", str(toy_weights), "--json"]
    command += ["--batch-size", "4", "--workers", str(workers)]

    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_rows(4)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)

    report = json.loads(out)
    assert (process.returncode, report["exit_code"], report["outcome"]) == (75, 75, "stopped"), err
    assert 0 < report["processed"] < 400
    assert AstroNNdist.select().count() == report["processed"]
    assert name in _one_line_error(err)
    assert TaskRun.get().outcome == "stopped"


@pytest.mark.slow
def test_a_signal_to_the_whole_group_while_workers_start_is_no_fault(db, tmp_path, toy_weights):
    import signal

    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    for _ in range(50):
        a_spectrum(None, path)
    command = [sys.executable, "-m", "astra", "run", "astronn_dist", "--weights", str(toy_weights), "--json"]
    command += ["--batch-size", "4", "--workers", "2"]

    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not TaskRun.select().exists():  # the record is made just before the workers are
        time.sleep(0.02)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, json.loads(out)["exit_code"]) == (75, 75), err
    assert "Traceback" not in err
    assert AstroNNdist.select().count() == json.loads(out)["processed"]


def _wait_for_rows(count):
    deadline = time.monotonic() + 60
    while AstroNNdist.select().count() < count:
        assert time.monotonic() < deadline, "no rows after a minute"
        time.sleep(0.05)


# > Progress


def test_progress_is_plain_lines_where_there_is_no_terminal(astra, three_stars, toy_weights, monkeypatch):
    from astra.cli import progress

    monkeypatch.setattr(progress, "QUIET_S", 0.0)

    _, out, err = astra("run", "astronn_dist", "--weights", toy_weights, "--batch-size", 1, "--count")

    assert re.search(r"^astronn_dist: 3 of 3, in \d+ s$", err, re.MULTILINE)
    assert "\x1b" not in err + out


@slow_on_sqlite
def test_progress_is_a_bar_on_a_terminal_above_the_last_lines(three_stars, toy_weights):
    with Terminal("astra", "run", "astronn_dist", "--weights", toy_weights, width=200) as terminal:
        assert terminal.wait() == 0
        bar, counts, last = terminal.lines()[-3:]

    assert re.fullmatch(r"  astronn_dist ━+ 3 of 3 +in \d+ s", bar)
    assert counts.startswith("3 measured + 0 no_result = 3 processed (")
    assert re.fullmatch(r"run 1: done in [\d.]+ s, [\d.]+ spectra/s", last)
