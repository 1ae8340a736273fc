"""Workers are killed, the server is restarted, files are broken: at the end every spectrum has one row."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import peewee
import pytest
from builders import a_spectrum, write_apstar
from fake_runs import FakeRuns

from astra.config import load_settings
from astra.database.connection import bound_to, database, open_database
from astra.database.locks import liveness_of
from astra.models import AstroNNdist, TaskClaim, TaskWorker
from astra.schema import upgrade as schema

from postgres_server import OwnServer, find_binaries, temporary_server

CHUNK = 20


class Storm:
    """Many runs at once, some of which are killed and replaced."""

    def __init__(self, folder: Path, count: int, seed: int, workers: int = 4, options: tuple = ()) -> None:
        self.random, self.workers, self.count = random.Random(seed), workers, count
        self.runs = FakeRuns(folder)
        self.options = ("--batch-size", str(CHUNK), *options)
        self.processes: list[subprocess.Popen] = []
        self.kills = 0

    def start(self) -> None:
        self.processes.append(self.runs.start(*self.options))

    def rage(self, pause: float, restarts: list[int], restart: Callable[[], None] = lambda: None) -> None:
        """Kill one after the other until all is done; restart the server before some of the kills.

        Something is written between two kills, so that a slow machine gets there, too.
        """
        deadline = time.monotonic() + 600
        while (done := self._done()) < self.count:
            self.processes = [process for process in self.processes if process.poll() is None]
            while len(self.processes) < self.workers:
                self.start()
            time.sleep(self.random.uniform(0.5, 1.5) * pause)
            while self._done() == done:
                assert time.monotonic() < deadline, self.runs.errors[-3000:]
                time.sleep(0.05)
            if self.kills in restarts:
                restarts.remove(self.kills)
                restart()
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

    def _done(self) -> int:
        while True:
            try:
                return AstroNNdist.select().count()
            except peewee.PeeweeException:  # the server is restarting
                AstroNNdist._meta.database.close()
                time.sleep(0.1)


def _survey(folder: Path, count: int) -> set[int]:
    """So many spectra, of which one in a hundred has a broken file; gives the keys of these."""
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
    # One chunk is computed while another is written.
    assert drawn.total() - len(drawn) <= 2 * CHUNK * storm.kills


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A database with all tables on a server that a test may restart."""
    with temporary_server(find_binaries()) as server, server.database() as name:
        monkeypatch.setenv("ASTRA_DATABASE_URL", server.url(name))
        settings = load_settings()
        with bound_to(open_database(settings)) as opened:
            schema.upgrade(opened, settings)
            yield server


@pytest.mark.postgres
def test_after_a_small_storm_every_spectrum_has_one_row(own_server, tmp_path):
    broken = _survey(tmp_path, 300)
    storm = Storm(tmp_path, 300, seed=1)

    storm.rage(1.5, [1], own_server.restart)

    _check(storm, broken)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(20))
def test_after_a_storm_every_spectrum_has_one_row(own_server, tmp_path, seed):
    broken = _survey(tmp_path, 4000)
    storm = Storm(tmp_path, 4000, seed)

    storm.rage(0.8, [2, 5], own_server.restart)

    _check(storm, broken)
    assert storm.kills > 5


@pytest.mark.parametrize(("count", "kills"), [(200, 2), pytest.param(2000, 20, marks=pytest.mark.slow)])
def test_a_run_of_two_workers_on_sqlite_that_is_killed_again_and_again_loses_nothing(
    tmp_path, sqlite_template, monkeypatch, count, kills
):
    path = tmp_path / "astra.db"
    path.write_bytes(sqlite_template.read_bytes())
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(path))
    with bound_to(open_database(load_settings())):
        broken = _survey(tmp_path, count)
        storm = Storm(tmp_path, count, seed=kills, workers=1, options=("--workers", "2", "--limit", "100"))
        while storm.kills < kills:
            storm.start()
            time.sleep(storm.random.uniform(1.5, 4))
            os.kill(storm.processes[-1].pid, signal.SIGKILL)
            storm.processes.pop().wait()
            storm.kills += 1
        storm.options = storm.options[:-2]
        storm.start()
        assert storm.processes[-1].wait(300) == 0, storm.runs.errors[-3000:]

        _check(storm, broken)
