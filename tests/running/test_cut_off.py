"""A worker that is cut off from the database and comes back writes nothing that is no longer its own."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from builders import a_source, a_spectrum, on_postgresql, write_apstar
from fake_runs import FakeRuns

from astra.database.connection import database
from astra.models import AstroNNdist, TaskClaim, TaskRun

from postgres_server import Server

# The first worker is cut off in its third chunk, and goes on when it may, but not within SECONDS.
SLOW_THIRD = """
import time
draw, calls = Noting.draw, []
def slow(self, flux, identities, n_draws, seed):
    calls.append(1)
    if len(calls) == 3:
        print("third", file=sys.stderr, flush=True)
        time.sleep(SECONDS)
        while not os.path.exists(sys.argv[1] + ".go-on"):
            time.sleep(0.02)
    return draw(self, flux, identities, n_draws, seed)
if "--batch-size" in sys.argv:
    Noting.draw = slow
"""


class Line:
    """A line to the server that can be cut: nothing passes, and only the server notices."""

    def __init__(self, server: Server) -> None:
        self._server = (server.host, server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._cut: list[socket.socket] = []
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._forward)
        self._thread.start()

    def _forward(self) -> None:
        while self._open:
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._pass_on(key.fileobj)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(self._server)
        for one, other in ((near, far), (far, near)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        try:
            content = one.recv(65536)
            if content:
                self._peers[one].sendall(content)
                return
        except OSError:
            pass
        for each in (self._peers[one], one):
            self._forget(each)
            each.close()

    def _forget(self, one: socket.socket) -> None:
        self._selector.unregister(one)
        del self._peers[one]

    def cut(self) -> None:
        """From now on nothing passes; the server gives these connections up, as after its keepalives."""
        with self._lock:
            for one in list(self._peers):
                self._forget(one)
                if one.getpeername() == self._server:
                    one.close()
                else:
                    self._cut.append(one)

    def mend(self) -> None:
        """The client notices at last."""
        for one in self._cut:
            one.close()

    def close(self) -> None:
        self._open = False
        self._thread.join()
        for one in (self._listener, *self._peers, *self._cut):
            one.close()


@pytest.fixture
def line(db, postgres) -> Iterator[Line]:
    """A line to the server of the test's database."""
    made = Line(postgres)
    yield made
    made.close()


@on_postgresql  # SQLite has no line to be cut
@pytest.mark.parametrize("seconds", [0, pytest.param(120, marks=pytest.mark.slow)])
def test_what_others_have_taken_over_stays_theirs(line, tmp_path, monkeypatch, postgres, seconds):
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    with database.atomic():
        keys = [a_spectrum(a_source(), path).spectrum_pk for _ in range(60)]
    runs = FakeRuns(tmp_path, SLOW_THIRD.replace("SECONDS", str(seconds)))
    direct = os.environ["ASTRA_DATABASE_URL"]
    monkeypatch.setenv("ASTRA_DATABASE_URL", direct.replace(f":{postgres.port}/", f":{line.port}/"))
    cut_off = runs.start("--batch-size", "10")
    monkeypatch.setenv("ASTRA_DATABASE_URL", direct)
    while "third" not in runs.errors:
        time.sleep(0.05)

    line.cut()
    assert runs.run() == 0, runs.errors
    rows = {row.spectrum_pk: row.task_pk for row in AstroNNdist.select()}
    by_run = {row.spectrum_pk: row.run_pk for row in AstroNNdist.select()}
    time.sleep(seconds)
    line.mend()
    (tmp_path / "drawn.go-on").touch()

    assert cut_off.wait(120) == 0, runs.errors
    assert sorted(rows) == keys
    assert {row.spectrum_pk: row.task_pk for row in AstroNNdist.select()} == rows
    assert {row.spectrum_pk: row.run_pk for row in AstroNNdist.select()} == by_run
    assert "results were not written: others took over their spectra" in runs.errors
    assert TaskClaim.select().count() == 0
    assert sum(run.processed for run in TaskRun.select()) == 60
    # Two chunks were in hand of the worker that was cut off.
    assert runs.drawn().total() - 60 <= 20
