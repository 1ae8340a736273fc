"""Streams that are full or closed, and signals: what is done stays done, and the exit code says so."""

import json
import os
import shlex
import signal
import subprocess
import sys

import pytest
from builders import a_result, a_source, a_spectrum, on_sqlite, slow_on_sqlite, write_apstar
from fake_runs import SLOW, FakeRuns, wait_for_rows

from astra.database.connection import database
from astra.models import AstroNNdist, TaskClaim, TaskRun

ASTRA = shlex.join([sys.executable, "-m", "astra"])
SPECTRA = 20


def _shell(line: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture
def runs(db, tmp_path):
    """Runs on a few spectra, in processes of their own."""
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    with database.atomic():
        for _ in range(SPECTRA):
            a_spectrum(a_source(), path)
    return FakeRuns(tmp_path)


# > Streams


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("version > /dev/full", 74, "cannot write to standard output: No space left on device"),
        ("version >&-", 74, "cannot write to standard output: Bad file descriptor"),
        ("--help > /dev/full", 74, "No space left"),
        ("config show --json >&- 2> /dev/full", 74, ""),
        ("config show <&- >&- 2>&-", 74, ""),
        ("tasks show nothing 2> /dev/full", 2, ""),
        ("tasks show nothing > /dev/full", 2, "unknown task"),
        ("tasks show nothing >&- 2>&-", 2, ""),
        # `true` has ended when this is printed.
        ("help run | sleep 0; exit ${PIPESTATUS[0]}", 0, ""),
        ("init --help | head -1", 0, ""),
        (
            "init > /dev/full",
            0,
            "WARNING: cannot write to standard output: No space left on device; what was",
        ),
        ("init >&- 2>&-", 0, ""),
    ],
)
def test_what_cannot_be_printed_is_an_error_of_what_prints_alone(line, code, said, tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "astra.db"))

    done = _shell(f"{ASTRA} {line}")

    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr
    assert done.stderr == "" or said or "init" in line
    if line.startswith("init >"):
        assert _shell(f"{ASTRA} status").returncode == 0


@slow_on_sqlite
@pytest.mark.parametrize(
    "streams", ["> /dev/full 2> /dev/full", pytest.param("--json <&- >&- 2>&-", marks=pytest.mark.slow)]
)
def test_a_run_measures_all_wherever_its_output_goes(runs, streams):
    done = _shell(f"{shlex.join(runs.command('--batch-size', '5', '--workers', '2'))} {streams}")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert AstroNNdist.select().count() == SPECTRA
    assert [run.outcome for run in TaskRun.select()] == ["done"]


@on_sqlite
@pytest.mark.parametrize("streams", ["> /dev/full", ">&-"])
def test_a_run_that_fails_is_not_called_done_because_nobody_reads_its_output(runs, streams):
    script = AT_IMPORT.replace("MODULE", "'astra.running.loop'").replace("BLOW", "raise RuntimeError('odd')")

    done = _shell(f"{shlex.join([sys.executable, '-c', script, '--json'])} {streams}")

    assert (done.returncode, "internal error: " in done.stderr) == (70, True), done.stderr


@on_sqlite
@pytest.mark.parametrize(
    "command", ["query --columns tag --csv", "query --columns tag --json", "create astronn_dist --output -"]
)
def test_rows_for_a_reader_that_has_enough_end_quietly(db, command):
    a_result(a_spectrum(), tag="x" * 100_000)
    line = f"{ASTRA} {command} | true; exit ${{PIPESTATUS[0]}}"

    done = _shell(line)

    assert (done.returncode, done.stderr) == (0, "")


# > Signals, and what the interpreter says

# Does something when a module is imported first: at the same place each time.
AT_IMPORT = """
import atexit, os, signal, sys

def blow():
    BLOW

class Blow:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE and self in sys.meta_path:
            sys.meta_path.remove(self)
            blow()

sys.meta_path.insert(0, Blow())
if MODULE == "at exit":
    atexit.register(blow)
from astra.__main__ import main
main(["run", "astronn_dist", *sys.argv[1:]])
"""


def _kill(name: str) -> str:
    return f"os.kill(os.getpid(), signal.{name})"


@on_sqlite  # what comes before the database is asked
@pytest.mark.parametrize(
    ("module", "blow", "words", "code"),
    [
        ("astra.cli", _kill("SIGTERM"), "--json", 75),
        pytest.param(*("typer", _kill("SIGHUP"), "--json", 75), marks=pytest.mark.slow),
        ("typer", _kill("SIGINT"), "--json", 130),
        ("peewee", _kill("SIGTERM"), "--json", 75),
        ("astra.running.runs", _kill("SIGHUP"), "--json", 75),
        pytest.param(*("astra.running.ending", _kill("SIGTERM"), "--json", 75), marks=pytest.mark.slow),
        ("astra.running.runner", _kill("SIGINT"), "--json", 75),
        pytest.param(*("astra.running.runner", "raise MemoryError", "--json", 70), marks=pytest.mark.slow),
        ("typer", "raise MemoryError", "--json", 70),
        pytest.param(*("typer", "raise ImportError('no typer')", "--json", 78), marks=pytest.mark.slow),
        ("astra.cli.json_output", _kill("SIGTERM"), "--json --dry-run", 0),
        ("at exit", _kill("SIGTERM"), "--json --dry-run", 0),
        pytest.param(*("at exit", _kill("SIGINT"), "--json --dry-run", 0), marks=pytest.mark.slow),
    ],
)
def test_the_exit_code_and_the_json_agree_whatever_comes_when(runs, module, blow, words, code):
    script = AT_IMPORT.replace("MODULE", repr(module)).replace("BLOW", blow)
    command = [sys.executable, "-c", script, *words.split()]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    # Until the arguments are read, nobody knows that it is asked for.
    assert bool(done.stdout) is module.startswith(("astra.running", "astra.cli.", "at"))
    if done.stdout:
        assert json.loads(done.stdout)["exit_code"] == code
    assert AstroNNdist.select().count() == 0
    assert {run.outcome for run in TaskRun.select()} <= {"stopped"}


@pytest.mark.parametrize(
    ("before", "code", "outcome"),
    [("", 75, "stopped"), pytest.param("nohup ", 0, "done", marks=pytest.mark.slow)],
)
@on_sqlite
def test_a_terminal_that_is_closed_ends_a_run_in_good_order(runs, tmp_path, before, code, outcome):
    slow = FakeRuns(tmp_path, SLOW)
    line = f"exec {before}{shlex.join(slow.command('--batch-size', '2', '--workers', '2'))}"

    with subprocess.Popen(["bash", "-c", line], stdout=-3, stderr=-3, start_new_session=True) as process:
        wait_for_rows()
        os.killpg(process.pid, signal.SIGHUP)

    assert process.returncode == code
    assert [run.outcome for run in TaskRun.select()] == [outcome]
    assert TaskClaim.select().count() == 0
