"""Several processes do what one would do, in the same order, and one does it where they die."""

import functools
import logging
import math
import multiprocessing

import pytest

from astra.system.side_by_side import ENOUGH, one_ahead, side_by_side

log = logging.getLogger("astra")


def test_results_come_in_order_from_other_processes():
    numbers = list(range(2 * ENOUGH))

    with side_by_side(math.sqrt, 2) as begin:
        found = [list(each) for each in one_ahead(map(begin, (numbers, numbers[:1])))]
        others = multiprocessing.active_children()

    assert found == [[math.sqrt(number) for number in numbers], [0.0]]
    assert (len(others), multiprocessing.active_children()) == (2, [])


def test_few_things_start_no_process():
    with side_by_side(math.sqrt, 2) as begin:
        assert list(begin([4] * (ENOUGH - 1)))[-1] == 2
        assert multiprocessing.active_children() == []


def test_what_they_log_is_logged_here_in_order(caplog):
    with side_by_side(functools.partial(log.warning, "seen: %s"), 2) as begin:
        list(begin(range(ENOUGH)))

    assert caplog.messages == [f"seen: {number}" for number in range(ENOUGH)]


def test_an_error_is_raised_here_after_the_results_before_it():
    with side_by_side(math.sqrt, 2) as begin:
        found = begin([9.0] * (ENOUGH - 1) + [-1.0])
        with pytest.raises(ValueError, match=r"math domain|nonnegative"):  # as Python words it
            list(found)


def test_what_dead_processes_had_in_hand_is_done_here(caplog):
    with side_by_side(math.sqrt, 2) as begin:
        first = list(begin([4.0] * ENOUGH))
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        second, third = (list(begin([4.0] * ENOUGH)) for _ in range(2))

    assert first == second == third == [2.0] * ENOUGH
    assert set(caplog.messages) <= {"a process that reads died: this one reads alone"}
