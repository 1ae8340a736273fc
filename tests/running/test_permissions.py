"""The right to read the files goes, and comes back: real runs of a user who needs it."""

import os
import time

import pytest
from builders import a_source, a_spectrum, write_apstar
from conftest import copied
from fake_runs import FakeRuns

from astra.database.connection import database
from astra.models import AstroNNdist, TaskClaim, TaskWithheld
from astra.pipelines.astronn_dist import astronn_dist
from astra.tasks.pending import Selection, count_pending

# Work that takes long enough for somebody to change a mode.
SLOW = """
import time
draw = Noting.draw
Noting.draw = lambda self, *rest: time.sleep(0.004 * len(rest[1])) or draw(self, *rest)
"""

IN_THE_SUITE = ("sqlite", 1, 250, "afterwards")
IN_FULL = [
    (kind, workers, 1000, back)
    for kind in ("sqlite", "postgresql")
    for workers in (1, 2)
    for back in ("at once", "afterwards")
]


@pytest.fixture
def open_db(request, open_tmp_path, monkeypatch):
    """A database that an ordinary user may write."""
    before = os.umask(0)
    try:
        with copied(request, "template", open_tmp_path, monkeypatch) as opened:
            yield opened
    finally:
        os.umask(before)


@pytest.fixture
def folder(open_db, open_tmp_path):
    """A folder of files; its mode decides whether they can be read."""
    folder = open_tmp_path / "files"
    folder.mkdir()
    write_apstar(folder / "a.fits")
    return folder


@pytest.fixture
def runs(open_db, open_tmp_path, ordinary_user):
    """Runs of an ordinary user."""
    return FakeRuns(open_tmp_path, SLOW, {**ordinary_user, "cwd": "/"})


def _register(folder, count):
    with database.atomic():
        for number in range(count):
            path = folder / f"{number}.fits"
            path.hardlink_to(folder / "a.fits")
            a_spectrum(a_source(), path)


def _wait_for_rows(count):
    deadline = time.monotonic() + 120
    while AstroNNdist.select().count() < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _no_result():
    return AstroNNdist.select().where(AstroNNdist.flag_no_result).count()


@pytest.mark.parametrize(
    ("open_db", "workers", "count", "back"),
    [IN_THE_SUITE, *(pytest.param(*case, marks=pytest.mark.slow) for case in IN_FULL)],
    indirect=["open_db"],
)
def test_what_nobody_may_read_in_the_midst_of_a_run_is_measured_later(folder, runs, workers, count, back):
    _register(folder, count)
    options = ("--workers", str(workers), "--batch-size", "20")
    run = runs.start(*options)
    _wait_for_rows(count // 4)

    folder.chmod(0)
    if back == "at once":
        time.sleep(0.1)
        folder.chmod(0o755)
    code = run.wait(180)

    assert code in (75, 0), runs.errors[-3000:]
    assert (code, count_pending(Selection(astronn_dist)) > 0) in ((75, True), (0, False))
    assert _no_result() == 0
    if back == "afterwards":
        assert code == 75
        assert "files cannot be read (most often: Permission denied): is the disk mounted" in runs.errors
    folder.chmod(0o755)
    assert runs.run(*options, timeout=180) == 0, runs.errors[-3000:]
    assert (AstroNNdist.select().count(), _no_result()) == (count, 0)
    assert (TaskWithheld.select().count(), TaskClaim.select().count()) == (0, 0)


@pytest.mark.parametrize(
    "open_db", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
def test_a_few_files_that_one_may_not_read_stay_for_later_and_hold_up_nobody(folder, runs):
    from astra.cli import main

    _register(folder, 20)
    for number in range(3):
        path = folder / f"{number}.fits"
        path.unlink()
        path.touch(0)
    check = ["status", "astronn_dist", "--check", "--max-pending", "0"]

    assert runs.run() == 0, runs.errors[-3000:]
    assert "Permission denied" in runs.errors
    assert main(check) == 0
    assert (_no_result(), TaskWithheld.select().count()) == (3, 3)

    for number in range(3):
        write_apstar(folder / f"{number}.fits")
        (folder / f"{number}.fits").chmod(0o644)
    assert runs.run() == 0, runs.errors[-3000:]
    assert (_no_result(), TaskWithheld.select().count()) == (0, 0)
