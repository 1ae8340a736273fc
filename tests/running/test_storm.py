"""Workers are killed, halted and shut out by locks, rights and limits of the login, the server is restarted,
files break and vanish: at the end every spectrum has one row.
"""

import contextlib
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import peewee
import psycopg2
import pytest
from builders import a_spectrum, write_apstar
from fake_runs import FakeRuns

from astra.cli import main
from astra.config import load_settings
from astra.database.connection import bound_to, database, open_database
from astra.database.locks import liveness_of
from astra.models import AstroNNdist, TaskClaim, TaskWorker
from astra.schema import upgrade as schema

from pooler import pgbouncer
from postgres_server import OwnServer, Server, find_binaries, temporary_server
from roles import sql

CHUNK = 20
# So many that all blows come before the end, also on a fast machine.
MANY = 6000


class Storm:
    """Many runs at once, some of which are killed and replaced."""

    def __init__(self, folder: Path, count: int, seed: int, workers: int = 4, options: tuple = ()) -> None:
        self.random, self.workers, self.count = random.Random(seed), workers, count
        self.runs = FakeRuns(folder, keywords={"start_new_session": True})
        self.options = ("--batch-size", str(CHUNK), *options)
        self.processes: list[subprocess.Popen] = []
        self.kills, self.blows = 0, 0

    def start(self) -> None:
        self.processes.append(self.runs.start(*self.options))

    def rage(self, pause: float, blows: Sequence[Callable[["Storm"], None]]) -> None:
        """Kill one after the other until all is done, from the second on with a blow before each kill.

        Something is written between two kills, so that a slow machine gets there, too.
        """
        deadline = time.monotonic() + 600
        while (done := self._done()) < self.count:
            self._replace_those_that_ended()
            time.sleep(self.random.uniform(0.5, 1.5) * pause)
            while self._done() == done:
                assert time.monotonic() < deadline, self.runs.errors[-3000:]
                self._replace_those_that_ended()
                time.sleep(0.05)
            if 0 < self.kills <= len(blows):
                blows[self.kills - 1](self)
                self.blows += 1
            self.random.choice(self.processes).send_signal(signal.SIGKILL)
            self.kills += 1
        for process in self.processes:
            process.wait(120)
        # After a restart of the server a dead worker is in doubt for a while, and then can be reaped.
        while liveness_of(database.opened()).in_doubt("astronn_dist", 0):
            time.sleep(0.1)
        # What the last of the killed had in hand.
        self.start()
        assert self.processes[-1].wait(120) == 0, self.runs.errors[-3000:]

    def _replace_those_that_ended(self) -> None:
        self.processes = [process for process in self.processes if process.poll() is None]
        while len(self.processes) < self.workers:
            self.start()

    def _done(self) -> int:
        while True:
            try:
                return AstroNNdist.select().count()
            except peewee.PeeweeException:  # the server is restarting
                AstroNNdist._meta.database.close()
                time.sleep(0.1)


def _survey(folder: Path, count: int) -> set[int]:
    """So many spectra, of which one in a hundred has a broken file; gives the keys of these."""
    folder.mkdir(exist_ok=True)
    good, broken = write_apstar(folder / "apStar-dr17-x.fits"), folder / "apStar-dr17-y.fits"
    broken.write_bytes(good.read_bytes()[:20_000])
    with AstroNNdist._meta.database.atomic():
        spectra = [a_spectrum(None, broken if number % 100 == 50 else good) for number in range(count)]
    return {spectrum.spectrum_pk for spectrum in spectra[50::100]}


def _check(storm: Storm, broken: set[int]) -> None:
    rows = Counter(row.spectrum_pk for row in AstroNNdist.select())
    assert (len(rows), set(rows.values())) == (storm.count, {1})
    failed = {row.spectrum_pk for row in AstroNNdist.select().where(AstroNNdist.flag_no_result)}
    assert failed == broken
    assert (TaskClaim.select().count(), TaskWorker.select().count()) == (0, 0)
    drawn = storm.runs.drawn()
    assert len(drawn) == storm.count - len(broken)
    # One chunk is computed while another is written; a blow may hit all workers.
    assert drawn.total() - len(drawn) <= 2 * CHUNK * (storm.kills + storm.workers * storm.blows)


#: How long a blow lasts [s].
LASTS_S = 2.0


def _hidden(folder: Path) -> None:
    """A folder is away for a while."""
    away = folder.with_name("away")
    folder.rename(away)
    time.sleep(LASTS_S)
    away.rename(folder)


class BlowsOnSQLite:
    """What happens to a survey on SQLite.

    Args:
        path: The database.
        folder: Where the spectra are.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder

    def halt(self, storm: Storm) -> None:
        """A run and its workers are halted, as by Ctrl-Z, and go on later."""
        os.killpg(storm.processes[-1].pid, signal.SIGSTOP)
        time.sleep(LASTS_S)
        os.killpg(storm.processes[-1].pid, signal.SIGCONT)

    def lock(self, _: Storm) -> None:
        """Another program writes."""
        with contextlib.closing(sqlite3.connect(self._path, timeout=60)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(LASTS_S)

    def hide(self, _: Storm) -> None:
        """The disk with the spectra is away for a while."""
        _hidden(self._folder)

    def all(self) -> list[Callable[[Storm], None]]:
        """All of them."""
        return [self.lock, self.halt, self.hide]


class Blows:
    """What happens to a survey whose runs log in as a member of the writer role.

    Args:
        server: The server.
        owner: The address of the database as the owner of the tables.
        folder: Where the spectra are.
    """

    def __init__(self, server: OwnServer, owner: str, folder: Path) -> None:
        self._server, self._owner, self._folder = server, owner, folder

    def restart(self, _: Storm) -> None:
        """The server is restarted."""
        self._server.restart()

    def halt(self, storm: Storm) -> None:
        """All runs but one are halted, as by Ctrl-Z, and go on much later."""
        for process in storm.processes[1:]:
            process.send_signal(signal.SIGSTOP)
            threading.Timer(4 * LASTS_S, process.send_signal, [signal.SIGCONT]).start()
        time.sleep(LASTS_S)

    def freeze(self, _: Storm) -> None:
        """The server does not answer for a while."""
        with self._server.frozen():
            time.sleep(LASTS_S)

    def lock(self, _: Storm) -> None:
        """Another session locks the results, and then the claims."""
        with contextlib.closing(psycopg2.connect(self._owner)) as connection, connection.cursor() as cursor:
            for table in ("astro_nn_dist", "task_claim"):
                cursor.execute(f"LOCK TABLE astra.{table} IN ACCESS EXCLUSIVE MODE")
                time.sleep(LASTS_S)
                connection.rollback()

    def limit(self, _: Storm) -> None:
        """The login gets limits that are too short for any work, and soon loses them."""
        limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        sql(self._owner, *(f"ALTER ROLE crew SET {name} = '20ms'" for name in limits), *self._cut_off())
        time.sleep(LASTS_S)
        # A pooler keeps its sessions.
        sql(self._owner, "ALTER ROLE crew RESET ALL", *self._cut_off())

    def forbid(self, _: Storm) -> None:
        """The writer may add no results, and soon may again."""
        sql(self._owner, "REVOKE INSERT ON astra.astro_nn_dist FROM storm_writer")
        time.sleep(LASTS_S)
        sql(self._owner, "GRANT INSERT ON astra.astro_nn_dist TO storm_writer")

    def hide(self, _: Storm) -> None:
        """The disk with the spectra is away for a while."""
        _hidden(self._folder)

    def all(self) -> list[Callable[[Storm], None]]:
        """All of them, and restarts again."""
        lasting = [self.halt, self.freeze, self.lock, self.forbid, self.hide, self.limit]
        return [*lasting, self.restart, self.restart]

    @staticmethod
    def _cut_off() -> list[str]:
        # Only new sessions have new limits.
        return ["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crew'"]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Whatever is killed leaves no temporary file."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert list(folder.rglob("*")) == []


@pytest.fixture
def blows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Blows]:
    """A database with all tables on a server of its own; the runs of a test log in as writers.

    With the parameter "pooled", they connect to a PgBouncer before it.
    """
    with (
        contextlib.ExitStack() as stack,
        temporary_server(find_binaries()) as server,
        server.database() as name,
    ):
        owner = server.url(name)
        monkeypatch.setenv("ASTRA_DATABASE_URL", owner)
        settings = load_settings()
        with bound_to(open_database(settings)) as opened:
            schema.upgrade(opened, settings)
            assert main(["init", "--roles", "--role-prefix", "storm"]) == 0
            sql(owner, "CREATE ROLE crew LOGIN", "GRANT storm_writer TO crew")
            crew = Server(server.host, server.port, "crew")
            if getattr(request, "param", None) == "pooled":
                crew = stack.enter_context(pgbouncer(crew, "session", install_it="CI" in os.environ))
            monkeypatch.setenv("ASTRA_DATABASE_URL", crew.url(name))
            yield Blows(server, owner, tmp_path / "spectra")


@pytest.mark.postgres
def test_after_a_small_storm_every_spectrum_has_one_row(blows, temporary, tmp_path):
    broken = _survey(tmp_path / "spectra", 300)
    storm = Storm(tmp_path, 300, seed=1)

    storm.rage(1.5, [blows.restart])

    _check(storm, broken)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize(
    ("blows", "seed"),
    [*(("direct", seed) for seed in range(20)), *(("pooled", seed) for seed in range(20, 25))],
    indirect=["blows"],
)
def test_after_a_storm_every_spectrum_has_one_row(blows, temporary, tmp_path, seed):
    broken = _survey(tmp_path / "spectra", MANY)
    storm = Storm(tmp_path, MANY, seed)
    coming = blows.all()
    storm.random.shuffle(coming)

    storm.rage(0.8, coming)

    _check(storm, broken)
    assert storm.blows == len(coming)


@pytest.mark.parametrize(("count", "kills"), [(200, 2), pytest.param(2000, 20, marks=pytest.mark.slow)])
def test_a_run_of_two_workers_on_sqlite_that_is_killed_again_and_again_loses_nothing(
    tmp_path, sqlite_template, temporary, monkeypatch, count, kills
):
    path = tmp_path / "astra.db"
    path.write_bytes(sqlite_template.read_bytes())
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(path))
    with bound_to(open_database(load_settings())):
        broken = _survey(tmp_path / "spectra", count)
        storm = Storm(tmp_path, count, seed=kills, workers=1, options=("--workers", "2", "--limit", "100"))
        coming = itertools.cycle(BlowsOnSQLite(path, tmp_path / "spectra").all())
        while storm.kills < kills:
            storm.start()
            time.sleep(storm.random.uniform(1.5, 4))
            next(coming)(storm)
            storm.blows += 1
            os.kill(storm.processes[-1].pid, signal.SIGKILL)
            storm.processes.pop().wait()
            storm.kills += 1
        storm.options = storm.options[:-2]
        storm.start()
        assert storm.processes[-1].wait(300) == 0, storm.runs.errors[-3000:]

        _check(storm, broken)
