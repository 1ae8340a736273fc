"""No wait is without an end: whatever a run waits for, it says so, and a stop is a stop."""

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest
from builders import a_source, a_spectrum

from astra.database.connection import is_postgresql
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, TaskClaim, TaskWorker
from astra.running.ending import reporting
from astra.running.request import Request
from astra.running.runner import carry_out, run
from astra.running.runs import Report
from astra.system.locking import locked_file
from astra.tasks.contract import Provenance, task
from astra.tasks.pending import Selection
from astra.trials.making import make_trial

COUNT = 4
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
    """Another session, which has a lock until it is closed."""

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


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("wait", WAITS)
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
    # Nothing is lost, and nothing doubled.
    other.close()
    again = Report(toy.task.name)
    run(Request(Selection(toy.task)), again)
    assert again.exit_code == 0, again.error
    rows = Counter(row.spectrum_pk for row in AstroNNdist.select())
    assert rows == Counter(keys)
    assert (TaskClaim.select().count(), TaskWorker.select().count()) == (0, 0)
