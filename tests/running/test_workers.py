"""Local processes: their faults reach the parent, and nobody waits for ever."""

import contextlib
import os
import signal
import sys
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from builders import a_chunk, a_run, a_spectrum, slow_on_sqlite, write_apstar

from astra.database.connection import database, writing
from astra.database.sql import locked
from astra.errors import AstraError, DatabaseUnreachable
from astra.models import AstroNNdist, TaskClaim
from astra.pipelines.astronn_dist import astronn_dist
from astra.running.loop import Measuring
from astra.running.workers import run_chunks


@pytest.fixture
def keys(db, tmp_path):
    """The keys of 60 pending spectra."""
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    return [a_spectrum(None, path).spectrum_pk for _ in range(60)]


class Supply:
    """Chunks of these spectra, and a list of those whose worker died."""

    def __init__(self, keys, size=4):
        self._chunks = iter([a_chunk(keys[start : start + size]) for start in range(0, len(keys), size)])
        self.orphaned = []

    def take(self):
        return next(self._chunks, None)

    def orphan(self, chunks):
        self.orphaned += chunks
        unwritten = TaskClaim.token << [chunk.token for chunk in chunks]
        with writing(database):
            return {claim.spectrum_pk for claim in locked(TaskClaim.select().where(unwritten))}


class DeadlySupply(Supply):
    """Whoever gets its third chunk is dead by then, and so is the other worker."""

    taken = 0

    def take(self):
        self.taken += 1
        if self.taken == 3:
            for worker in _workers():
                os.kill(worker, signal.SIGKILL)
        return super().take()


def _workers() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended in the meantime
            status, command = (folder / "status").read_text(), (folder / "cmdline").read_text()
            if f"\nPPid:\t{os.getpid()}\n" in status and "spawn_main" in command:
                found.append(int(folder.name))
    return found


@slow_on_sqlite
def test_every_chunk_has_a_result(keys, toy_weights):
    options = {"weights": str(toy_weights), "device": "cpu"}

    results = list(run_chunks(astronn_dist, Supply(keys[:12]), Measuring(options, a_run().pk), 3))

    assert sorted(result.chunk.keys for result in results) == [keys[:4], keys[4:8], keys[8:12]]
    assert AstroNNdist.select().count() == 12


@slow_on_sqlite
@pytest.mark.skipif(sys.platform != "linux", reason="finds its children in /proc")
def test_killed_workers_are_replaced_and_what_they_had_in_hand_is_said(keys, toy_weights):
    options, supply = {"weights": str(toy_weights), "device": "cpu"}, DeadlySupply(keys, 2)

    results = list(run_chunks(astronn_dist, supply, Measuring(options, a_run().pk), 2))

    assert _workers() == []
    in_hand = {pk for chunk in supply.orphaned for pk in chunk.keys}
    done = {row.spectrum_pk for row in AstroNNdist.select()}
    lost = set(keys) - done
    # The other one may have asked for the fourth chunk before it died.
    assert set(keys[4:6]) <= lost <= in_hand <= set(keys[:8])
    assert sum(result.tally.processed for result in results) == len(done)


def test_workers_that_only_die_end_the_run(keys, monkeypatch):
    """Their interpreter does not even start."""
    resource_tracker.ensure_running()  # it stays what it is
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    supply = Supply(keys)

    with pytest.raises(AstraError, match=r"worker processes of astronn_dist die \(exit code 1\)"):
        list(run_chunks(astronn_dist, supply, Measuring({}, a_run().pk), 2))

    assert AstroNNdist.select().count() == 0


def test_a_worker_without_a_database_says_why(keys, toy_weights, monkeypatch):
    monkeypatch.delenv("ASTRA_DATABASE_PATH", raising=False)
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("ASTRA_DATABASE_PATIENCE", "0")

    with pytest.raises(DatabaseUnreachable, match="cannot reach PostgreSQL"):
        list(run_chunks(astronn_dist, Supply(keys), Measuring({"weights": str(toy_weights)}, a_run().pk), 2))


@pytest.mark.slow
def test_the_environment_is_as_it_was_afterwards(keys, toy_weights):
    before = dict(os.environ)

    list(run_chunks(astronn_dist, Supply(keys[:4]), Measuring({"weights": str(toy_weights)}, a_run().pk), 2))

    assert dict(os.environ) == before
