"""No wait is without an end: whatever a run waits for, it says so, and a stop is a stop."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest
from builders import a_source, a_spectrum, on_postgresql, write_apstar
from fake_runs import FakeRuns

from astra.config import load_settings
from astra.database import waiting, watching
from astra.database.connection import bound_to, is_postgresql, open_database
from astra.doctor import checkup
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, TaskClaim, TaskWorker
from astra.running.ending import reporting
from astra.running.request import Request
from astra.running.runner import carry_out, run
from astra.running.runs import Report
from astra.schema import upgrade as schema
from astra.system.locking import locked_file
from astra.tasks.contract import Provenance, task
from astra.tasks.pending import Selection
from astra.trials.making import make_trial

from postgres_server import find_binaries, temporary_server

COUNT = 4

# Of runs in processes of their own.
SLOW = """
import time
from astra.database import watching
watching._SAY_AFTER_S = 0.5
draw = Noting.draw
Noting.draw = lambda self, *rest: time.sleep(1) or draw(self, *rest)
"""

#: It is answered in about a second; machines may be busy.
ANSWERED_S = 8.0

CLAIM = "SELECT pg_advisory_xact_lock(hashtext('astra claim ' || current_schema()), hashtext('waiting_task'))"
INPUTS = f"SELECT pg_advisory_xact_lock({0x61737472_61696E70})"
SCHEMA = f"SELECT pg_advisory_lock({0x61737472_696E6974})"

#: Of each kind of wait: what another session does that is waited for, on PostgreSQL and on SQLite; whether
#: before the start, or when the first spectrum is measured; and who waits.
WAITS = {
    "claims": (CLAIM, "BEGIN IMMEDIATE", "later", "run"),
    "rows": ("SELECT * FROM source FOR UPDATE", "BEGIN IMMEDIATE", "later", "run"),
    "table": ("LOCK TABLE astro_nn_dist IN ACCESS EXCLUSIVE MODE", "BEGIN IMMEDIATE", "later", "run"),
    "start": ("LOCK TABLE astro_nn_dist IN ACCESS EXCLUSIVE MODE", "BEGIN EXCLUSIVE", "before", "run"),
    "inputs": (INPUTS, "BEGIN IMMEDIATE", "before", "trial"),
    "schema": (SCHEMA, "lock file", "before", "trial"),
}
#: Of each kind of stop: the signals, the longest time that a run may take, and the exit code.
STOPS = {
    "SIGTERM": ((signal.SIGTERM,), None, 75),
    "Ctrl-C twice": ((signal.SIGINT, signal.SIGINT), None, 130),
    "--max-runtime": ((), 1.5, 75),
}


@pytest.fixture
def toy():
    """A task that measures every spectrum; ``at_first`` is done when it has the first."""

    @task
    def waiting_task(
        spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, weights: str = "A", seed: int = 0
    ) -> Iterator[AstroNNdist]:
        for spectrum in spectra:
            toy.at_first.pop()() if toy.at_first else None
            yield AstroNNdist.from_spectrum(spectrum, L_fakemag=7.0)

    waiting_task.identified_by(
        lambda weights="A", seed=0: Provenance(weights, weights * 64, seed, 100, "float32")
    )
    toy = SimpleNamespace(task=waiting_task, at_first=[])
    return toy


class Other:
    """Another session, which has a lock until it is closed, and at the longest for half a minute."""

    def __init__(self, db) -> None:
        self._db = db
        if is_postgresql(db):
            self.connection = psycopg2.connect(
                os.environ["ASTRA_DATABASE_URL"], options="-c search_path=astra"
            )
        else:
            self.connection = sqlite3.connect(db.database, isolation_level=None, check_same_thread=False)
        self._stack = contextlib.ExitStack()
        self._stack.callback(self.connection.close)
        limit = threading.Timer(30, self.close)
        limit.daemon = True
        limit.start()
        self._stack.callback(limit.cancel)

    def take(self, what: tuple[str, str, str, str]) -> None:
        if is_postgresql(self._db):
            self.connection.cursor().execute(what[0])
        elif what[1] == "lock file":
            file = Path(self._db.database)
            self._stack.enter_context(locked_file(file.with_name(f".{file.name}.init.lock"), 0))
        else:
            if "EXCLUSIVE" in what[1]:
                self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.connection.execute(what[1])
            self.connection.execute("INSERT INTO spectrum DEFAULT VALUES")

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def other(db) -> Iterator[Other]:
    made = Other(db)
    yield made
    made.close()


@pytest.fixture
def no_harm() -> Iterator[None]:
    """A signal that comes when nobody waits for it any more ends no test."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _send(signals: tuple[int, ...], taken: threading.Event, sent: list[float]) -> None:
    taken.wait(20)
    time.sleep(0.5)
    sent.append(time.monotonic())
    for number in signals:
        os.kill(os.getpid(), number)
        time.sleep(0.2)


def _wait_until(is_so: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


#: Each kind of wait with one stop, and one wait with each; the others take longer than they tell.
QUICK = {(wait, "SIGTERM") for wait in WAITS} | {("table", stop) for stop in STOPS}


@pytest.mark.parametrize(
    ("wait", "stop"),
    [
        pytest.param(wait, stop, marks=[] if (wait, stop) in QUICK else pytest.mark.slow)
        for wait in WAITS
        for stop in STOPS
    ],
)
def test_a_stop_is_a_stop_whatever_is_waited_for(db, toy, other, no_harm, wait, stop):
    what, (signals, max_runtime, exit_code) = WAITS[wait], STOPS[stop]
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(COUNT)]
    request = Request(Selection(toy.task), chunk=2, max_runtime=max_runtime)
    report, taken, sent = Report(toy.task.name), threading.Event(), []

    def take() -> None:
        other.take(what)
        taken.set()

    if what[2] == "before":
        db.close()
        take()
    else:
        toy.at_first.append(take)
    sender = threading.Thread(target=_send, args=(signals, taken, sent), daemon=True)
    sender.start()
    with reporting(report) as asked:
        asked.end_after(max_runtime)
        if what[3] == "trial":
            make_trial(toy.task, "trial-x")
        carry_out(request, report, asked, lambda report: None)
    ended = time.monotonic()
    sender.join()

    # The first Ctrl-C may be enough.
    assert report.exit_code in (exit_code, 75 if len(signals) == 2 else exit_code), report.error
    assert ended - (sent[0] if signals else report.started + max_runtime) < ANSWERED_S
    other.close()
    _all_once(toy, keys)


def _all_once(toy, keys: list[int]) -> None:
    """Nothing is lost, and nothing doubled, after another run."""
    again = Report(toy.task.name)
    run(Request(Selection(toy.task)), again)
    assert again.exit_code == 0, again.error
    rows = Counter(row.spectrum_pk for row in AstroNNdist.select())
    assert rows == Counter(keys)
    assert (TaskClaim.select().count(), TaskWorker.select().count()) == (0, 0)


def _run_until_given_back(toy, other, is_so: Callable[[], object]) -> Report:
    """A run; when something is so, the other session gives back what it has."""

    def give_back() -> None:
        _wait_until(is_so)
        other.close()

    helper = threading.Thread(target=give_back, daemon=True)
    helper.start()
    report = Report(toy.task.name)
    run(Request(Selection(toy.task), chunk=2), report)
    helper.join()
    return report


@pytest.mark.parametrize("wait", ["claims", "rows", "table"])
def test_a_run_says_what_it_waits_for_and_goes_on(db, toy, other, monkeypatch, caplog, wait):
    monkeypatch.setattr(watching, "_SAY_AFTER_S", 0.5)
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(COUNT)]
    toy.at_first.append(lambda: other.take(WAITS[wait]))
    waiting = {"claims": "the claims", "rows": "rows", "table": "the table astro_nn_dist"}[wait]
    if is_postgresql(db):
        waiting += f", which process {other.connection.info.backend_pid} ("
    else:
        waiting = "the database, to which this process writes"

    report = _run_until_given_back(toy, other, lambda: f"waiting for {waiting}" in caplog.text)

    assert (report.exit_code, report.tally.processed) == (0, COUNT), report.error
    assert f"waiting for {waiting}" in caplog.text
    _all_once(toy, keys)


#: What refuses a statement that may succeed later: limits that the user has asked for.
REFUSALS = {"lock_timeout": "-c lock_timeout=200ms", "statement_timeout": "-c statement_timeout=400ms"}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("wait", ["claims", "rows", "table"])
def test_what_is_refused_for_the_moment_is_done_again(db, toy, other, monkeypatch, caplog, wait, refusal):
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(COUNT)]
    if is_postgresql(db):
        monkeypatch.setenv("PGOPTIONS", REFUSALS[refusal])
        db.close()
    else:
        monkeypatch.setattr(watching, "at_most", ContextVar("at_most", default=0.2))
    toy.at_first.append(lambda: other.take(WAITS[wait]))

    report = _run_until_given_back(toy, other, lambda: "for the moment" in caplog.text)

    assert (report.exit_code, report.tally.processed) == (0, COUNT), report.error
    _all_once(toy, keys)


@pytest.mark.parametrize("limit", ["of the statement", "of a run's patience"])
def test_a_refusal_that_stays_is_no_fault_of_the_disk(db, toy, other, monkeypatch, limit):
    a_spectrum(a_source())
    monkeypatch.setenv("ASTRA_DATABASE_PATIENCE", "0.5")
    if limit == "of a run's patience":
        monkeypatch.setattr(watching, "_SAY_AFTER_S", 0.2)
    elif is_postgresql(db):
        monkeypatch.setenv("PGOPTIONS", REFUSALS["lock_timeout"])
        db.close()
    else:
        monkeypatch.setattr(watching, "at_most", ContextVar("at_most", default=0.2))
    toy.at_first.append(lambda: other.take(WAITS["table"]))
    report = Report(toy.task.name)

    run(Request(Selection(toy.task)), report)

    assert report.exit_code == 69
    assert ("for the moment" if limit == "of the statement" else "waited 1 s for the ") in report.error


@pytest.mark.slow
def test_local_workers_stop_as_well_whatever_they_wait_for(db, other, tmp_path):
    keys = [
        a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-x.fits")).spectrum_pk for _ in range(20)
    ]
    runs = FakeRuns(tmp_path, SLOW)
    process = runs.start("--workers", "2", "--batch-size", "5")
    _wait_until(lambda: TaskClaim.select().exists(), 60)
    other.take(WAITS["table"])
    _wait_until(lambda: "waiting for" in runs.errors, 30)

    process.send_signal(signal.SIGTERM)

    assert process.wait(ANSWERED_S) == 75, runs.errors
    other.close()
    assert runs.run() == 0, runs.errors
    assert Counter(row.spectrum_pk for row in AstroNNdist.select()) == Counter(keys)


ENDS = {signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGINT: 130}


@on_postgresql
@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("words", ["query --limit 1", "ingest apstar files"])
def test_any_command_that_waits_ends_at_a_signal(db, other, tmp_path, words, number):
    (tmp_path / "files").mkdir()
    write_apstar(tmp_path / "files" / "apStar-dr17-2M00000000+0000000.fits")
    other.take(("LOCK TABLE source IN ACCESS EXCLUSIVE MODE", "", "", ""))
    command = [sys.executable, "-m", "astra", *words.split()]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'source'::regclass"
        _wait_until(lambda: db.execute_sql(waits).fetchone(), 60)

        process.send_signal(number)
        _, err = process.communicate(timeout=ANSWERED_S)

    assert process.returncode == ENDS[number], err


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize(("signals", "code"), [([signal.SIGTERM], 75), ([signal.SIGINT] * 2, 130)])
def test_a_run_stops_though_the_server_is_frozen(monkeypatch, tmp_path, signals, code):
    with temporary_server(find_binaries()) as server, server.database() as name:
        monkeypatch.setenv("ASTRA_DATABASE_URL", server.url(name))
        settings = load_settings()
        with bound_to(open_database(settings)) as opened:
            schema.upgrade(opened, settings)
            path = write_apstar(tmp_path / "apStar-dr17-x.fits")
            keys = [a_spectrum(a_source(), path).spectrum_pk for _ in range(20)]
            runs = FakeRuns(tmp_path, SLOW)
            process = runs.start("--batch-size", "5")
            _wait_until(lambda: AstroNNdist.select().exists(), 60)
            with server.frozen():
                time.sleep(2)
                for number in signals:
                    process.send_signal(number)
                    time.sleep(0.3)

                # A few seconds: what was in hand is to be given back, which nobody answers either.
                assert process.wait(20) == code, runs.errors

            assert "stopped" in runs.errors
            assert runs.run() == 0, runs.errors
            assert Counter(row.spectrum_pk for row in AstroNNdist.select()) == Counter(keys)


def test_who_is_in_the_way_is_shown_by_status_and_doctor(db, toy, other, astra, monkeypatch):
    monkeypatch.setattr(waiting, "_LONG_S", 0.0)
    other.take(WAITS["rows"])
    if is_postgresql(db):
        who = f"process {other.connection.info.backend_pid} ("
        what = "idle in transaction, in a transaction since "
        how_long = ") has had the table source"
    else:
        who, what, how_long = "this process has been", " writing to the database for", " 1 s and more"

    _, out, _ = astra("status")
    _, told, _ = astra("status", "--json")
    quick = [check for check in checkup.CHECKS if check[0] in ("configuration", "database", "locks")]
    monkeypatch.setattr(checkup, "CHECKS", quick)
    (found,) = (each for each in checkup.examine() if each.check == "locks")

    said = " ".join(out.split())
    assert who in said
    assert what in said
    assert how_long in said
    assert any(who in line for line in json.loads(told)["locks"])
    assert (found.level, who in found.line()) == ("warn", True)


# An ingest; what a test adds stands in the place of EXTRA.
INGEST = """
import os, signal, sys
from astra.cli import main
from astra.database import connection, watching
EXTRA
sys.exit(main(["ingest", "apstar", sys.argv[1]]))
"""

# It is halted in the middle of its transaction, and the server does not wait long for it.
HALTED = """
from astra.ingest.source_rows import Stars
connection.REST_S = 2
write = Stars.write
def halted(self):
    print("halted", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    return write(self)
Stars.write = halted
"""

# On SQLite nobody can end the transaction of another process.
IMPATIENT = "watching._SAY_AFTER_S = 0.5; watching.at_most.set(1.5)"


@contextlib.contextmanager
def _ingesting(folder: Path, extra: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", INGEST.replace("EXTRA", extra), folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_an_ingest_that_is_halted_does_not_stop_the_others_or_is_named(db, tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        write_apstar(folder / f"apStar-dr17-2M0000000{folder.name == 'a':d}+0000000.fits")
    db.close()
    with _ingesting(folders[0], HALTED) as halted:
        assert halted.stdout.readline() == "halted\n"
        with _ingesting(folders[1], IMPATIENT) as other:
            _, err = other.communicate(timeout=60)
        named = waiting.in_the_way(db)
        halted.send_signal(signal.SIGCONT)
        _, said = halted.communicate(timeout=60)

    if is_postgresql(db):
        assert (other.returncode, halted.returncode) == (0, 69), (err, said)
        assert "connection to the database lost" in said
        assert "was this process halted for more than 2 s? Then the server let others go on" in said
    else:
        assert (other.returncode, halted.returncode) == (69, 0), (err, said)
        who = f"process {halted.pid} (python, halted: `kill -CONT {halted.pid}` lets it go on)"
        assert f"waiting for the database, to which {who} writes" in " ".join(err.split())
        assert f"database is locked by {who}" in " ".join(err.split())
        assert named == [f"{who} has been writing to the database for 1 s and more"]
