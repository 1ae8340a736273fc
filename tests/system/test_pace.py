"""The time left is true to a quarter from a fifth of a task of constant pace on."""

import heapq
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.system.pace import Pace, about, duration

# Seconds of one spectrum; chunks of unequal sizes; seconds before the first of them.
EACH = st.sampled_from([0.001, 0.02, 3.0])
CHUNKS = st.lists(st.integers(1, 256), min_size=24, max_size=40)
SET_UP = st.sampled_from([0.0, 4.0])


def course(chunks, workers, each, step=32):
    """When how much is done, if workers take one chunk after the other, and tell how far they are."""
    free, told = [0.0] * workers, []
    for chunk in chunks:
        begun = heapq.heappop(free)
        heapq.heappush(free, begun + chunk * each)
        told += [(begun + min(n + step, chunk) * each, min(step, chunk - n)) for n in range(0, chunk, step)]
    moments, numbers = zip(*sorted(told), strict=True)
    return list(zip(moments, itertools.accumulate(numbers), strict=True))


def followed(told, total, parallel=1, set_up=0.0):
    """The pace, each time that it is told something, after a set-up of which it is told nothing."""
    pace = Pace(parallel)
    pace.update(0.0, 0, total)
    for moment, done in told:
        pace.update(set_up + moment, done, total)
        yield moment, done, pace


@settings(max_examples=25)
@given(chunks=CHUNKS, workers=st.integers(1, 2), each=EACH)
def test_the_time_left_is_true_to_a_quarter_from_a_fifth_of_a_task_on(chunks, workers, each):
    told, total = course(chunks, workers, each), sum(chunks)
    end = told[-1][0]

    for moment, done, pace in followed(told, total, workers):
        if 0.2 * total <= done < total:
            left = pace.seconds_left(moment)
            # Of the last chunk, nobody knows who will have it alone.
            alone = max(chunks) * each * (workers - 1) / 2
            assert abs(left - (end - moment)) <= 0.25 * (end - moment) + alone + 1e-9


@settings(max_examples=25)
@given(chunks=CHUNKS, each=EACH, set_up=SET_UP)
def test_what_is_before_the_first_update_is_not_counted(chunks, each, set_up):
    told, total = course(chunks, 1, each), sum(chunks)

    for _, done, pace in followed(told, total, set_up=set_up):
        if 0.2 * total <= done < total:
            assert pace.rate == pytest.approx(1 / each)


@settings(max_examples=25)
@given(at=st.floats(0.1, 0.9), seconds=st.floats(20, 10_000))
def test_a_stall_is_no_part_of_the_pace(at, seconds):
    told = [
        (moment + (seconds if moment > at * 100 else 0.0), done)
        for moment, done in course([32] * 125, 1, 0.025)
    ]

    paces = [(done, pace.rate) for _, done, pace in followed(told, 4000)]

    assert all(rate == pytest.approx(40.0, rel=0.05) for done, rate in paces if done > 100)


@pytest.mark.parametrize("workers", [2, 8, 40])
def test_workers_that_keep_step_are_not_taken_for_a_stall(workers):
    told = [(10.0 * (n // workers + 1) + 0.001 * (n % workers), 100 * (n + 1)) for n in range(20 * workers)]

    *_, (_, _, pace) = followed(told, 4000 * workers, workers)

    assert pace.rate == pytest.approx(10 * workers, rel=0.01)


def test_the_pace_is_that_of_now():
    slow = [(10.0 * n, 10 * n) for n in range(1, 101)]
    fast = [(1000 + n, 1000 + 10 * n) for n in range(1, 101)]

    *_, (moment, _, pace) = followed(slow + fast, 3000)

    assert (pace.rate, pace.seconds_left(moment)) == (pytest.approx(10), pytest.approx(100))


def test_between_two_updates_the_time_runs_but_not_below_what_they_usually_take():
    *_, (moment, _, pace) = followed([(10.0, 100), (20.0, 200), (30.0, 300)], 1000)

    assert [pace.seconds_left(moment + s) for s in (0, 4, 10, 500)] == pytest.approx([70, 66, 60, 60])


def test_while_others_take_from_the_same_the_total_falls_and_they_are_faster_together():
    pace = Pace()
    for moment in range(41):
        # This one does 10 a second, the others 30; it is counted every 20 s.
        pace.update(float(moment), 10 * moment, 4000 - 600 * (moment // 20))

    assert pace.seconds_left(40.0) == pytest.approx((4000 - 40 * 40) / 40)

    pace.update(50.0, 500, pace.total)

    assert pace.seconds_left(50.0) == pytest.approx((4000 - 40 * 50) / 40)


def test_nothing_is_known_before_something_is_done():
    pace = Pace()

    assert (pace.rate, pace.seconds_left(0.0), pace.has_begun) == (None, None, False)

    pace.update(0.0, 0, 100)

    assert (pace.rate, pace.seconds_left(1.0), pace.has_begun) == (None, None, True)


def test_what_was_not_done_after_all_is_taken_back():
    pace = Pace()
    for moment, done in ((0.0, 0), (10.0, 100), (20.0, 200), (30.0, 300), (31.0, 290), (40.0, 390)):
        pace.update(moment, done, 400)

    assert pace.done == 390
    assert pace.rate == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (1500, "25 min"),
        (11_520, "3 h 12 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_what_is_not_known_exactly_is_not_said_exactly(seconds, text):
    assert about(seconds) == text
    assert duration(1500) == "25 min"
