"""What breaks other task systems: each blow loses nothing, doubles nothing, and tells the caller."""

import json
import os
import signal
import time
from pathlib import Path

import psycopg2
import pytest
from builders import (
    a_result,
    a_run,
    a_source,
    a_spectrum,
    on_postgresql,
    on_sqlite,
    slow_on_sqlite,
    write_apstar,
)
from fake_runs import SLOW, FakeRuns, wait_for_rows

from astra.database.connection import database, now, writing
from astra.models import AstroNNdist, Source, TaskClaim, TaskRun, TaskWorker
from astra.running.claims import Claims
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection


@pytest.fixture
def survey(db, tmp_path):
    """Ninety spectra of stars that all have another magnitude."""
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    with database.atomic():
        return [a_spectrum(a_source(k_mag=5 + 0.1 * number), path) for number in range(90)]


def _all_once():
    rows = [row.spectrum_pk for row in AstroNNdist.select()]
    assert len(rows) == len(set(rows)) == 90
    assert TaskClaim.select().count() == 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@slow_on_sqlite
def test_a_run_whose_local_worker_is_killed_ends_and_has_done_all(survey, tmp_path):
    runs = FakeRuns(tmp_path, SLOW)
    process = runs.start("--workers", "2", "--batch-size", "5")
    wait_for_rows()

    # The first child is the tracker of resources.
    os.kill(_children(process.pid)[-1], signal.SIGKILL)

    assert process.wait(120) == 0, runs.errors
    _all_once()


@slow_on_sqlite
def test_four_workers_give_every_star_its_own_photometry(survey, tmp_path):
    runs = FakeRuns(tmp_path)

    assert runs.run("--workers", "4", "--batch-size", "3") == 0, runs.errors

    _all_once()
    own = {spectrum.spectrum_pk: spectrum.source.k_mag for spectrum in survey}
    assert {row.spectrum_pk: row.k_mag for row in AstroNNdist.select()} == own


@slow_on_sqlite
def test_pages_one_after_the_other_leave_nothing_out(survey, tmp_path):
    runs = FakeRuns(tmp_path)

    for page in ("1/3", "2/3", "3/3"):
        assert runs.run("--page", page, "--batch-size", "7") == 0, runs.errors

    _all_once()


@slow_on_sqlite
def test_two_runs_at_once_share_the_work(survey, tmp_path):
    runs = FakeRuns(tmp_path, SLOW)

    processes = [runs.start("--batch-size", "5") for _ in range(2)]

    assert [process.wait(120) for process in processes] == [0, 0], runs.errors
    _all_once()
    assert {count for name, count in runs.drawn().items() if name != ""} == {1}
    assert sum(run.processed for run in TaskRun.select()) == 90


@slow_on_sqlite
def test_two_runs_at_once_take_all_anew_once(survey, tmp_path):
    runs = FakeRuns(tmp_path, SLOW)
    assert runs.run() == 0
    (now,) = database.execute_sql("SELECT max(modified) FROM astro_nn_dist").fetchone()
    before = str(now).replace(" ", "T")

    options = ("--overwrite", "--before", before, "--batch-size", "5")
    processes = [runs.start(*options) for _ in range(2)]

    assert [process.wait(120) for process in processes] == [0, 0], runs.errors
    assert set(runs.drawn().values()) == {2}


@slow_on_sqlite
def test_an_interrupted_run_says_so_and_the_next_one_goes_on(survey, tmp_path):
    runs = FakeRuns(tmp_path, SLOW)
    process = runs.start("--batch-size", "5")
    wait_for_rows()

    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 75
    assert 0 < AstroNNdist.select().count() < 90
    assert TaskClaim.select().count() == 0
    assert runs.run() == 0
    _all_once()
    assert max(runs.drawn().values()) == 1


# The first that claims is halted in the middle of it, and the server does not wait long for it.
HALTED = """
import signal
from astra.database import connection
from astra.running import claims
connection.REST_S = 2
claim = claims.Claims._claim
def halted(self, *rest):
    try:
        os.close(os.open(sys.argv[1] + ".halted", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return claim(self, *rest)
    os.kill(os.getpid(), signal.SIGSTOP)
    return claim(self, *rest)
claims.Claims._claim = halted
"""


@on_postgresql  # on SQLite, whoever writes keeps all others waiting
def test_a_process_that_is_halted_while_it_claims_does_not_stop_the_others(db, survey, tmp_path):
    runs = FakeRuns(tmp_path, HALTED)
    halted = runs.start()
    while not (tmp_path / "drawn.halted").exists():
        time.sleep(0.05)

    code = runs.run(timeout=30)

    halted.send_signal(signal.SIGCONT)
    assert (code, halted.wait(60)) == (0, 0), runs.errors
    _all_once()
    assert runs.drawn().total() == 90


@slow_on_sqlite
def test_a_limit_counts_what_this_run_did(survey, tmp_path):
    runs = FakeRuns(tmp_path, SLOW)

    processes = [runs.start("--limit", "30", "--workers", "2", "--batch-size", "4") for _ in range(2)]

    assert [process.wait(120) for process in processes] == [0, 0], runs.errors
    assert [run.processed for run in TaskRun.select()] == [30, 30]
    assert AstroNNdist.select().count() == 60


@slow_on_sqlite
def test_a_disk_that_vanishes_in_the_middle_leaves_its_spectra_pending(db, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    paths = [write_apstar(folder / f"apStar-dr17-{number}.fits") for number in range(10)]
    with database.atomic():
        keys = [a_spectrum(None, paths[number % 10]).spectrum_pk for number in range(400)]
    runs = FakeRuns(tmp_path, SLOW)
    process = runs.start("--batch-size", "20")
    wait_for_rows(20)

    folder.rename(tmp_path / "unmounted")

    assert process.wait(60) == 75, runs.errors
    assert "is the disk mounted?" in runs.errors
    assert not AstroNNdist.select().where(AstroNNdist.flag_no_result).exists()
    (tmp_path / "unmounted").rename(folder)
    assert runs.run() == 0
    assert sorted(row.spectrum_pk for row in AstroNNdist.select()) == keys
    assert not AstroNNdist.select().where(AstroNNdist.flag_no_result).exists()


@on_sqlite  # the size of a SQLite file can be limited
def test_a_full_database_stops_the_run_in_one_line(db, tmp_path):
    with database.atomic():
        for _ in range(200):
            a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-x.fits"))
    full = """
from astra.database import connection as module
opened = module.open_database
def limited(*rest, **named):
    found = opened(*rest, **named)
    pages = found.execute_sql("PRAGMA page_count").fetchone()[0]
    found._pragmas.append(("max_page_count", pages + 3))
    found.close()
    return found
module.open_database = limited
"""
    runs = FakeRuns(tmp_path, full)

    assert runs.run() == 74
    assert "database or disk is full" in runs.errors
    assert "Traceback" not in runs.errors
    assert runs.errors.count("astra: error:") == 1


@on_postgresql  # SQLite has one writer at a time
def test_other_pipelines_are_not_kept_waiting(db, survey):
    """They may refer to a spectrum that is in hand, even while its result is about to be written."""
    with Claims(Selection(find_task("astronn_dist")), a_run().pk) as claims:
        chunk = claims.take(90)
        other = psycopg2.connect(
            os.environ["ASTRA_DATABASE_URL"], options="-c search_path=astra -c lock_timeout=500"
        )
        with writing(database):
            a_result(survey[0])
            with other, other.cursor() as cursor:
                cursor.execute("CREATE TABLE other_results (spectrum_pk BIGINT REFERENCES spectrum (pk))")
                cursor.executemany("INSERT INTO other_results VALUES (%s)", [[pk] for pk in chunk.keys])
        other.close()


@on_postgresql  # SQLite has no password
def test_secrets_appear_nowhere(db, survey, tmp_path, monkeypatch):
    address = os.environ["ASTRA_DATABASE_URL"].replace("://postgres@", "://postgres:s3cr3t@")
    monkeypatch.setenv("ASTRA_DATABASE_URL", address)
    runs = FakeRuns(tmp_path, SLOW)

    process = runs.start("--workers", "2", "--json", "--batch-size", "5")
    wait_for_rows()
    arguments = [Path(f"/proc/{pid}/cmdline").read_text() for pid in (process.pid, *_children(process.pid))]

    assert process.wait(120) == 0
    shown = [runs.errors, *arguments, *(json.dumps(row, default=str) for row in TaskRun.select().dicts())]
    assert "s3cr3t" not in "".join(shown)


@on_postgresql  # SQLite has no rights
def test_a_revoked_right_gives_back_what_was_in_hand(db, survey, tmp_path):
    runs = FakeRuns(tmp_path, SLOW)
    refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    database.execute_sql(refuse + "$$ BEGIN RAISE insufficient_privilege; END $$")
    database.execute_sql("CREATE TRIGGER refuse BEFORE INSERT ON astro_nn_dist EXECUTE FUNCTION refuse()")

    assert runs.run("--workers", "2", "--batch-size", "5") == 74
    assert (AstroNNdist.select().count(), TaskClaim.select().count()) == (0, 0)


# Where a run is killed, if it has this option; the function there is never carried out.
KILLED = """
from astra.running import runner
def killed(*rest, **named):
    os.kill(os.getpid(), 9)
if "--batch-size" in sys.argv:
    PLACE = killed
"""


@slow_on_sqlite
@pytest.mark.parametrize("place", ["runner.Claims.__enter__", "runner.rederive", "runner.runs.end"])
def test_a_run_killed_while_it_derives_again_is_closed_by_the_next_one(survey, tmp_path, place):
    assert FakeRuns(tmp_path).run() == 0
    Source.update(modified=now(database)).execute()
    runs = FakeRuns(tmp_path, KILLED.replace("PLACE", place))

    assert runs.run("--batch-size", "5") == -signal.SIGKILL
    assert runs.run("--limit", "1") == 0, runs.errors

    found = [(run.outcome, run.finished is None) for run in TaskRun.select().order_by(TaskRun.pk)]
    # Without a record there is nothing to close, and without anything left to do no new one.
    assert found[:-1] == [("done", False), ("died", False)][: len(found) - 1]
    assert found[-1] in [("done", False), ("died", False)]
    assert TaskWorker.select().count() == 0
