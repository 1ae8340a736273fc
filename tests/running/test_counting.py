"""How much there is to do is known soon, holds up nothing, and takes note of other runs."""

import logging
import time

import pytest
from builders import a_spectrum

from astra.models import TaskWorker
from astra.running import counting
from astra.running.counting import Counting
from astra.running.in_hand import InHand
from astra.running.rows import Chunk, Tally
from astra.running.runs import Report
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection, count_pending

TASK = find_task("astronn_dist")


@pytest.fixture
def report():
    return Report(task=TASK.key, run_pk=1)


def _until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(("limit", "total"), [(None, 5), (3, 3), (9, 5)])
def test_the_total_is_what_is_pending_within_the_limit(db, report, limit, total):
    for _ in range(5):
        a_spectrum()
    selection = Selection(TASK)

    with Counting(TASK, report, lambda most: count_pending(selection, most), limit):
        _until(lambda: report.total is not None)

    assert report.total == total


def test_what_was_counted_before_is_not_counted_again(db, report):
    report.to_do = 7

    with Counting(TASK, report, lambda most: pytest.fail("counted"), 4):
        _until(lambda: report.total is not None)

    assert report.total == 4


def test_while_other_runs_are_at_work_it_is_counted_again(db, report, monkeypatch, caplog):
    monkeypatch.setattr(counting, "_PAUSE_S", 0.01)
    monkeypatch.setattr(counting, "_SHARE_OF_TIME", 1e9)
    monkeypatch.setattr(logging.getLogger("astra"), "propagate", True)
    caplog.set_level("INFO", "astra")
    left = iter(range(100, 0, -10))

    with Counting(TASK, report, lambda most: next(left, 10), None):
        _until(lambda: report.total == 100)
        time.sleep(0.1)
        assert report.total == 100
        report.tally.add(Tally(measured=5))
        TaskWorker.create(task=TASK.key, run_pk=2, host="n1", pid=1, started="2026-12-01")
        _until(lambda: report.total == 15)

    # Two handlers may have caught the same record.
    said = {id(record): record.getMessage() for record in caplog.records}
    assert [*said.values()] == [
        "other runs take from the same spectra: the total is what is done here, and left for all"
    ]


def test_a_run_does_not_wait_for_it(db, report):
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
    query = f"{rows} SELECT count(*) FROM n"
    started = time.monotonic()

    with Counting(TASK, report, lambda most: db.execute_sql(query).fetchone()[0], None):
        time.sleep(0.2)

    assert time.monotonic() - started < 3
    assert report.total is None


def test_what_is_in_hand_is_said_with_the_time_that_it_takes():
    changes = []
    hand = InHand(lambda: changes.append(hand.measured))
    assert hand.in_words(10.0) == "nothing is in hand"

    hand.take(Chunk(list(range(256)), token=1))
    assert hand.in_words(None) == "finishes the chunk of 256 spectra in hand"
    hand.measure(1, 56)
    assert hand.in_words(50.0) == "finishes the chunk of 256 spectra in hand, about 4 s"
    hand.take(Chunk(list(range(100)), token=2))
    # Both workers go on, each at half the rate, until the slower one has done its 200.
    assert hand.in_words(50.0) == "finishes the 2 chunks of 356 spectra in hand, about 8 s"
    hand.give_back(Chunk(list(range(256)), token=1))

    assert (hand.measured, changes) == (0, [0, 56, 56])


def test_what_is_measured_and_not_yet_written_is_done(report):
    report.tally.add(Tally(measured=100))
    report.in_hand.take(Chunk(list(range(50)), token=1))
    report.in_hand.measure(1, 20)

    assert report.done == 120
    assert report.as_dict()["processed"] == 100
