"""The status in words."""

from datetime import datetime

import pytest

from astra.status.text import duration, line, page

MOMENT = datetime(2026, 11, 23, 20, 15)
FOUND = {
    "task": "astronn_dist",
    "version": "0.1.0",
    "at": MOMENT,
    "spectra": 1_100_000,
    "done": 900_000,
    "pending": 200_000,
    "withheld": 7,
    "bad": 10,
    "warn": 5,
    "flags": {"flag_no_result": 3},
    "notes": [
        {"name": "lost_keys", "results": 7, "text": "7 results have lost their keys"},
        {"name": "late", "results": 0, "text": "0 results are late"},
    ],
    "no_result_reasons": {"truncated": 3},
    "withheld_reasons": {"Permission denied": 7},
    "in_hand": 300,
    "workers": [
        {"worker_pk": 4, "run_pk": 2, "host": "n1", "pid": 11, "state": "working"}
        | {"in_hand": 200, "oldest_s": 3.0},
        {"worker_pk": 5, "run_pk": 1, "host": "n2", "pid": 12, "state": "dead"}
        | {"in_hand": 100, "oldest_s": 7300.0},
    ],
    "suspects": {
        "waiting": 2,
        "in_hand": 0,
        "most_deaths": 3,
        "spectra": [
            {"spectrum_pk": 8, "deaths": 2, "since": MOMENT, "worker_pk": None},
            {"spectrum_pk": 9, "deaths": 0, "since": MOMENT, "worker_pk": None},
        ],
    },
    "spectra_per_s": 50.0,
    "seconds_left": 4000.0,
    "runs": [],
}


def test_a_page_says_who_has_what_in_hand_and_how_long_it_will_take():
    text = page(FOUND)

    assert "  300 in hand of 2 workers, 50.0 spectra/s, 1 h 6 min left" in text
    assert "    worker 4 n1:11 (run 2): 200 in hand, the oldest for 3 s" in text
    assert (
        "    worker 5 n2:12 (run 1): 100 in hand, the oldest for 2 h 1 min; "
        "seems dead: the next `astra run` takes over what it had"
    ) in text
    assert "  taken alone, because a worker died that had them: 2 waiting, 0 in hand" in text
    assert "    spectrum 8: 2 of 3 deaths" in text


def test_a_page_has_the_notes_of_the_task_that_apply():
    text = page(FOUND)

    assert "  7 results have lost their keys" in text
    assert not any("late" in line for line in text)


def test_a_page_counts_what_the_system_withholds_apart_from_what_is_pending():
    text = page(FOUND)

    assert "  pending         200,000" in text
    assert "  withheld              7" in text
    assert "    withheld: Permission denied (7)" in text


def test_a_line_has_what_changes():
    assert line(FOUND) == (
        "2026-11-23T20:15:00Z astronn_dist: done 900,000, pending 200,000, bad 10, no_result 3, "
        "300 in hand of 2 workers, 50.0 spectra/s, 1 h 6 min left"
    )


def test_of_a_task_that_cannot_be_counted_there_is_why_alone():
    found = {"task": "t", "version": "0.1.0", "at": MOMENT, "error": "task 't': its table is missing"}

    assert page(found) == ["task 't': its table is missing"]
    assert line(found) == "2026-11-23T20:15:00Z task 't': its table is missing"


def test_what_is_not_known_is_left_out():
    found = FOUND | {"spectra_per_s": None, "seconds_left": None, "workers": [], "in_hand": 0}

    assert line(found).endswith("no_result 3, 0 in hand of 0 workers")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (200_000, "2 d 7 h"),
        (-5, "0 s"),
    ],
)
def test_a_time_is_said_to_two_units(seconds, text):
    assert duration(seconds) == text
