"""Results against limits."""

import pytest

from astra.errors import UsageError
from astra.status.limits import broken, kept, read_limits

FOUND = {
    "task": "t",
    "spectra": 2000,
    "done": 1000,
    "pending": 1000,
    "bad": 30,
    "flags": {"flag_no_result": 20},
}


@pytest.mark.parametrize(
    ("limit", "is_broken"),
    [
        ({"no_result": "2%"}, False),
        ({"no_result": "1.99 %"}, True),
        ({"no_result": "20"}, False),
        ({"no_result": "19"}, True),
        ({"bad": "3%"}, False),
        ({"bad": "2%"}, True),
        ({"pending": "50%"}, False),
        ({"pending": "0"}, True),
    ],
)
def test_a_limit_may_be_reached_but_not_passed(limit, is_broken):
    assert bool(broken(FOUND, read_limits(limit))) is is_broken


def test_every_broken_limit_has_its_line_with_both_numbers():
    limits = read_limits({"no_result": "1%", "bad": "10", "pending": None})

    assert broken(FOUND, limits) == [
        "t: no_result 20 of 1,000 done (2.00 %), more than 1 %",
        "t: bad 30 of 1,000 done (3.00 %), more than 10",
    ]


def test_what_keeps_to_its_limits_is_said_in_one_line():
    limits = read_limits({"no_result": "2%", "pending": "90%"})

    assert kept(FOUND, limits) == (
        "t: within the limits (no_result 20 of 1,000 done (2.00 %); pending 1,000 of 2,000 spectra (50.00 %))"
    )


def test_nothing_of_nothing_breaks_no_limit():
    empty = {"task": "t", "spectra": 0, "done": 0, "pending": 0, "bad": 0, "flags": {}}

    assert broken(empty, read_limits({"no_result": "0%", "bad": "0", "pending": "0%"})) == []


@pytest.mark.parametrize("text", ["", "many", "-1", "2%%", "1.5", "%", "1e3", "nan"])
def test_a_limit_that_is_no_number_is_wrong_usage(text):
    with pytest.raises(UsageError, match="--max-no-result .*give a number of spectra"):
        read_limits({"no_result": text})
