"""Two versions of the package on one database: a run that says done leaves nothing that another one holds."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import a_run, a_source, a_spectrum, slow_on_sqlite, write_apstar
from fake_runs import FakeRuns

from astra.database.connection import database
from astra.models import AstroNNdist, TaskClaim, TaskRun, TaskWorker
from astra.running import others
from astra.system.version import V_ASTRA_MAJOR_MINOR, __version__

COUNT = 6
OLDER = {"version": "0.0.7", "v_astra_major_minor": 0}
# Gets no further than its first spectra before it may.
HALTED = """
import time
draw = Noting.draw
def wait(*arguments):
    while any(arguments[2]) and not os.path.exists(sys.argv[1] + ".go-on"):
        time.sleep(0.02)
    return draw(*arguments)
Noting.draw = wait
"""


@pytest.fixture
def survey(db, tmp_path) -> None:
    """Some pending spectra."""
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    with database.atomic():
        for _ in range(COUNT):
            a_spectrum(a_source(), path)


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """None of these tests waits for ever, whatever a run does."""

    def end(*_: object) -> None:
        raise TimeoutError("a run waits, and should not")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(folder: Path, extra: str = "", version: str | None = None) -> FakeRuns:
    folder.mkdir()
    return FakeRuns(folder, extra, version=version)


@slow_on_sqlite
def test_a_newer_run_waits_for_what_an_older_one_has_in_hand_and_then_measures_it(survey, tmp_path):
    older, newer = _runs(tmp_path / "older", HALTED, OLDER["version"]), _runs(tmp_path / "newer")
    first = older.start()
    _until(lambda: TaskClaim.select().count() == COUNT)
    second = newer.start()
    _until(lambda: "waiting until version" in newer.errors)

    (tmp_path / "older" / "drawn.go-on").touch()

    assert [process.wait(120) for process in (first, second)] == [0, 0], newer.errors
    versions = [row.v_astra_major_minor for row in AstroNNdist.select()]
    assert sorted(versions) == [0] * COUNT + [V_ASTRA_MAJOR_MINOR] * COUNT
    assert [(run.version, run.processed) for run in TaskRun.select().order_by(TaskRun.pk)] == [
        (OLDER["version"], COUNT),
        (__version__, COUNT),
    ]
    assert (TaskClaim.select().count(), TaskWorker.select().count()) == (0, 0)


class Saying:
    """A log that lets something happen when it says that a run waits."""

    def __init__(self, log: logging.Logger, act: Callable[[], None]) -> None:
        self._log, self._act = log, act

    def info(self, message: str, *values: object) -> None:
        """Say it, and act."""
        self._log.info(message, *values)
        if message.startswith("waiting until version"):
            self._act()


ENDS = {
    "the older one is killed": (lambda holder: holder.kill(), [], 0, "6 measured"),
    "the older one gives them back": (lambda holder: holder.leave(), [], 0, "6 measured"),
    "SIGTERM": (lambda holder: os.kill(os.getpid(), signal.SIGTERM), [], 75, "SIGTERM"),
    "a deadline": (lambda holder: None, ["--max-runtime", 3], 75, "--max-runtime 3 s"),
    "patience": (
        lambda holder: None,
        [],
        75,
        "run 1 of version 0.0.7 (process 1 on here) has 6 pending spectra in hand: none of them was released",
    ),
    "a limit": (lambda holder: None, ["--limit", 2], 0, "2 measured"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_run_that_waits_for_another_version_ends_with_the_truth(
    survey, holding, astra, toy_weights, monkeypatch, kind
):
    act, options, expected, said = ENDS[kind]
    spare = 2 if kind == "a limit" else 0
    holder = holding(COUNT - spare, run=a_run(**OLDER))
    monkeypatch.setattr(others, "log", Saying(others.log, lambda: act(holder)))
    if kind == "patience":
        monkeypatch.setattr(others, "PATIENCE_S", 0.0)

    code, out, err = astra("run", "astronn_dist", "--weights", toy_weights, *options)

    assert code == expected, err
    assert said in out + err
    done = COUNT if expected == 0 and not spare else spare
    assert AstroNNdist.select().count() == done
    if kind not in ("a limit", "a deadline"):  # which may come before it waits
        assert f"run 1 of version {OLDER['version']}" in err


def test_a_run_does_not_wait_for_another_one_of_its_own_version(survey, holding, astra, toy_weights):
    holding(COUNT)

    code, out, _ = astra("run", "astronn_dist", "--weights", toy_weights)

    assert (code, "0 measured" in out) == (0, True)
