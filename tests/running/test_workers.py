"""Local processes: their faults reach the parent, and nobody waits for ever."""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from builders import a_run, a_spectrum, write_apstar

from astra.errors import AstraError, DatabaseUnreachable
from astra.models import AstroNNdist
from astra.pipelines.astronn_dist import astronn_dist
from astra.running.workers import run_chunks


@pytest.fixture
def keys(db, tmp_path):
    """The keys of 60 pending spectra."""
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    return [a_spectrum(None, path).spectrum_pk for _ in range(60)]


def _chunks(keys, size=4):
    return iter([keys[start : start + size] for start in range(0, len(keys), size)])


def _workers() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended in the meantime
            status, command = (folder / "status").read_text(), (folder / "cmdline").read_text()
            if f"\nPPid:\t{os.getpid()}\n" in status and "spawn_main" in command:
                found.append(int(folder.name))
    return found


def _kill_a_worker_when_there_are_rows() -> None:
    while AstroNNdist.select().count() < 4:
        time.sleep(0.05)
    os.kill(_workers()[0], signal.SIGKILL)


def test_results_come_in_the_order_of_the_chunks(keys, toy_weights):
    options = {"weights": str(toy_weights), "device": "cpu"}

    results = list(run_chunks(astronn_dist, _chunks(keys[:12]), options, a_run().pk, 3))

    assert [len(result.lost) for result in results] == [4, 4, 4]
    assert AstroNNdist.select().count() == 12


@pytest.mark.skipif(sys.platform != "linux", reason="finds its children in /proc")
def test_a_killed_worker_ends_the_run_and_leaves_nobody_behind(keys, toy_weights):
    options = {"weights": str(toy_weights), "device": "cpu"}
    killer = threading.Thread(target=_kill_a_worker_when_there_are_rows)
    killer.start()

    with pytest.raises(AstraError, match="a worker process of astronn_dist died"):
        list(run_chunks(astronn_dist, _chunks(keys, 2), options, a_run().pk, 2))
    killer.join(timeout=30)

    assert _workers() == []
    assert AstroNNdist.select().count() < 60


def test_a_worker_without_a_database_says_why(keys, toy_weights, monkeypatch):
    monkeypatch.delenv("ASTRA_DATABASE_PATH", raising=False)
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(DatabaseUnreachable, match="cannot reach PostgreSQL"):
        list(run_chunks(astronn_dist, _chunks(keys), {"weights": str(toy_weights)}, a_run().pk, 2))


def test_the_environment_is_as_it_was_afterwards(keys, toy_weights):
    before = dict(os.environ)

    list(run_chunks(astronn_dist, _chunks(keys[:4]), {"weights": str(toy_weights)}, a_run().pk, 2))

    assert dict(os.environ) == before
