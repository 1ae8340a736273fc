"""A lost disk stops the run before its files become results; single lost files do not."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import Interrupted
from astra.running.supply import FEW, FIRST, TOLERATED, WINDOW, DiskWatch


@dataclass(frozen=True)
class File:
    """One that the system withholds."""

    number: int
    kind: str = "Permission denied"


def _watch(outcomes: list[bool]) -> tuple[list[int], bool]:
    """Feed a watch; True is a lost file. Gives those that were let go, and whether it stopped."""
    watch: DiskWatch[File] = DiskWatch("run again")
    released: list[File | None] = []
    try:
        for number, lost in enumerate(outcomes):
            released.append(watch.see(File(number) if lost else None))
        released += watch.release()
    except Interrupted:
        return [each.number for each in released if each], True
    return [each.number for each in released if each], False


def test_a_disk_that_is_not_there_from_the_start_writes_nothing():
    assert _watch([True] * FIRST) == ([], True)


def test_a_run_of_a_few_files_that_are_all_lost_is_believed():
    assert _watch([True] * (FEW - 1)) == (list(range(FEW - 1)), False)


def test_a_run_of_more_files_that_are_all_lost_writes_nothing():
    assert _watch([True] * FEW) == ([], True)
    assert _watch([True] * (FIRST - 1)) == ([], True)


def test_one_file_that_can_be_read_makes_the_lost_ones_before_it_believed():
    assert _watch([True] * (FIRST - 1) + [False]) == (list(range(FIRST - 1)), False)


def test_a_disk_that_vanishes_in_the_middle_writes_none_of_what_it_lost():
    assert _watch([False] * WINDOW + [True] * WINDOW) == ([], True)


def test_a_fifth_of_the_latest_files_may_be_lost():
    assert _watch([True] * TOLERATED + [False] * WINDOW) == (list(range(TOLERATED)), False)
    assert _watch([False] + [True] * (TOLERATED + 1) + [False] * WINDOW) == ([], True)


def test_the_message_says_what_to_look_at():
    watch: DiskWatch[File] = DiskWatch("run again with --before T to go on")
    for number in range(FIRST - 1):
        watch.see(File(number, "Key has expired" if number > 40 else "Permission denied"))

    with pytest.raises(Interrupted) as caught:
        watch.see(File(FIRST))

    assert str(caught.value) == (
        "100 of the last 100 files cannot be read (most often: Key has expired): is the disk mounted? "
        "May this user read it? Nothing was written about them; when they are back, run again with --before "
        "T to go on"
    )


@given(st.lists(st.booleans(), max_size=3 * WINDOW))
def test_every_lost_file_is_let_go_once_or_the_run_stops_without_the_latest(outcomes):
    written, stopped = _watch(outcomes)
    lost = [number for number, is_lost in enumerate(outcomes) if is_lost]

    assert written == lost[: len(written)]
    if not stopped:
        assert written == lost
