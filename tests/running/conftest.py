"""Workers in processes of their own, which a test can kill."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from builders import a_run, a_source, a_spectrum

from astra.database.connection import database
from astra.database.locks import liveness_of
from astra.models import TaskRun, TaskWorker
from astra.running.claims import Claims
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection

#: PostgreSQL ends the session of a process that was killed within so long, else something is wrong [s].
NOTICED_S = 30

# Claims so many spectra, says which with which token, and waits to be killed.
HOLDER = """
import json, sys, time
from astra.tasks.pending import Selection
from astra.running.claims import Claims
from astra.tasks.installed import find_task
with Claims(Selection(find_task("astronn_dist")), int(sys.argv[1])) as claims:
    for count in sys.argv[2:]:
        chunk = claims.take(int(count))
        print(json.dumps([chunk.keys, chunk.token, chunk.alone]), flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another worker: ``chunks`` are what it has in hand, as (keys, token, alone)."""

    def __init__(self, counts: tuple[int, ...], run_pk: int) -> None:
        command = [sys.executable, "-c", HOLDER, str(run_pk), *map(str, counts)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.chunks = [json.loads(self.process.stdout.readline()) for _ in counts]

    def kill(self) -> None:
        """With SIGKILL; returns when the others can know it."""
        self.process.kill()
        self.process.communicate()
        liveness, until = liveness_of(database.opened()), time.monotonic() + NOTICED_S
        dead = set(TaskWorker.select(TaskWorker.pk).where(TaskWorker.pid == self.process.pid).tuples())
        while not dead <= {(worker,) for worker in liveness.dead("astronn_dist", 0)}:
            assert time.monotonic() < until, f"{self.process.pid} is dead, its lock still there"
            time.sleep(0.01)

    def leave(self) -> None:
        """In good order."""
        self.process.communicate()


@pytest.fixture
def holding(db) -> Iterator:
    """Start another worker (of a run) that has chunks of so many spectra in hand; killed at the end."""
    started = []

    def start(*counts: int, run: TaskRun | None = None) -> Holder:
        started.append(Holder(counts, (run or a_run()).pk))
        return started[-1]

    yield start
    for holder in started:
        with contextlib.suppress(ValueError):  # its pipes are closed already
            holder.kill()


@pytest.fixture
def spectra(db) -> list[int]:
    """The keys of ten pending spectra."""
    return [a_spectrum(a_source()).spectrum_pk for _ in range(10)]


@pytest.fixture
def claims(spectra) -> Iterator[Claims]:
    """This process as a worker."""
    with Claims(Selection(find_task("astronn_dist")), a_run().pk) as worker:
        yield worker
