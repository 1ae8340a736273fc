"""A lost disk stops the run before its files become results; single lost files do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import Interrupted
from astra.running.disk import FEW, FIRST, TOLERATED, WINDOW, DiskWatch


def _watch(outcomes: list[bool]) -> tuple[list[int], bool]:
    """Feed a watch; True is a lost file. Gives the rows that were let go, and whether it stopped."""
    watch: DiskWatch[int] = DiskWatch()
    written: list[int] = []
    for number, lost in enumerate(outcomes):
        try:
            released = watch.see(number if lost else None)
        except Interrupted:
            return written, True
        written += [] if released is None else [released]
    try:
        return written + watch.release(), False
    except Interrupted:
        return written, True


def test_a_disk_that_is_not_there_from_the_start_writes_nothing():
    assert _watch([True] * FIRST) == ([], True)


def test_a_run_of_a_few_files_that_are_all_lost_writes_their_rows():
    assert _watch([True] * (FEW - 1)) == (list(range(FEW - 1)), False)


def test_a_run_of_more_files_that_are_all_lost_writes_nothing():
    assert _watch([True] * FEW) == ([], True)
    assert _watch([True] * (FIRST - 1)) == ([], True)


def test_one_file_that_can_be_read_makes_the_lost_ones_before_it_rows():
    assert _watch([True] * (FIRST - 1) + [False]) == (list(range(FIRST - 1)), False)


def test_a_disk_that_vanishes_in_the_middle_writes_none_of_what_it_lost():
    assert _watch([False] * WINDOW + [True] * WINDOW) == ([], True)


def test_a_fifth_of_the_latest_files_may_be_lost():
    assert _watch([True] * TOLERATED + [False] * WINDOW) == (list(range(TOLERATED)), False)
    assert _watch([False] + [True] * (TOLERATED + 1) + [False] * WINDOW) == ([], True)


def test_the_message_says_what_to_look_at():
    watch: DiskWatch[int] = DiskWatch()
    for number in range(FIRST - 1):
        watch.see(number)

    with pytest.raises(Interrupted, match=r"100 of the last 100 files.*is the disk mounted.*run again"):
        watch.see(FIRST)


@given(st.lists(st.booleans(), max_size=3 * WINDOW))
def test_every_lost_file_is_written_once_or_the_run_stops_without_the_latest(outcomes):
    written, stopped = _watch(outcomes)
    lost = [number for number, is_lost in enumerate(outcomes) if is_lost]

    assert written == lost[: len(written)]
    if not stopped:
        assert written == lost
