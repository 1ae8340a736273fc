"""Nights, runs and pending spectra against limits."""

import json
from datetime import date, datetime, timedelta

import guests
import pytest
from builders import a_run, a_source, a_spectrum, on_sqlite

from astra.database.connection import now
from astra.errors import UsageError
from astra.status.limits import Limits, broken, judge, kept, read_limits, read_medians
from astra.status.nights import night_of, nights_until, start_of, throughput_by_night
from astra.tasks.installed import find_task

from nights_survey import a_night, fill_nights

COUNTED = {
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
    assert bool(broken(COUNTED, read_limits(limit))) is is_broken


def test_every_broken_limit_has_its_line_with_both_numbers():
    limits = read_limits({"no_result": "1%", "bad": "10", "pending": None})

    assert broken(COUNTED, limits) == [
        "t: no_result 20 of 1,000 done (2.00 %), more than 1 %",
        "t: bad 30 of 1,000 done (3.00 %), more than 10",
    ]


def test_what_keeps_to_its_limits_is_said_in_one_line():
    limits = read_limits({"no_result": "2%", "pending": "90%"})

    assert kept(COUNTED, limits) == (
        "t: within the limits (no_result 20 of 1,000 done (2.00 %); pending 1,000 of 2,000 spectra (50.00 %))"
    )


def test_nothing_of_nothing_breaks_no_limit():
    empty = {"task": "t", "spectra": 0, "done": 0, "pending": 0, "bad": 0, "flags": {}}

    assert broken(empty, read_limits({"no_result": "0%", "bad": "0", "pending": "0%"})) == []


@pytest.mark.parametrize("text", ["", "many", "-1", "2%%", "1.5", "%", "1e3", "nan"])
def test_a_limit_that_is_no_number_is_wrong_usage(text):
    with pytest.raises(UsageError, match="--max-no-result .*give a number of spectra"):
        read_limits({"no_result": text})


@pytest.mark.parametrize("text", ["", "snr", "=3", "snr=", "snr=many", "a b=1"])
def test_a_limit_on_a_median_is_a_name_and_a_number(text):
    with pytest.raises(UsageError, match=r"--min-median .*e\.g\. snr=50"):
        read_medians("--min-median", [text])


# > Nights


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        (datetime(2026, 11, 23, 12), date(2026, 11, 23)),
        (datetime(2026, 11, 24), date(2026, 11, 23)),
        (datetime(2026, 11, 24, 11, 59, 59, 999_999), date(2026, 11, 23)),
        (datetime(2027, 1, 1, 3), date(2026, 12, 31)),
    ],
)
def test_a_night_is_from_noon_to_noon_and_named_by_its_evening(moment, night):
    assert night_of(moment) == night
    assert start_of(night) <= moment < start_of(night) + timedelta(days=1)


@pytest.fixture
def task():
    return find_task("astronn_dist")


def verdict(db, task, **given):
    counts = {name: given.pop(name) for name in ("bad", "no_result") if name in given}
    values = {"most": {}, "least": {}, "min_rate": None, "max_age": None, "nights": None}
    return judge([task], Limits.read(counts, **(values | given)), now(db))


def test_one_bad_night_at_one_telescope_is_named_although_the_total_is_fine(db, task):
    before, _ = nights_until(fill_nights(db), 2)
    limits = {"most": {"pull": 2.0}, "least": {"snr": 50.0}, "bad": "10%", "no_result": "2", "nights": 2}

    found = verdict(db, task, **limits)

    night = f"astronn_dist, night of {before}"
    assert found.broken == [
        f"{night}, apo25m: bad 3 of 23 results (13.04 %), more than 10 %",
        f"{night}, apo25m: no_result 3 of 23 results (13.04 %), more than 2",
        f"{night}, lco25m: median pull 4 of 21 results, more than 2",
        f"{night}, lco25m: median snr 40 of 21 results, less than 50",
    ]


def test_of_a_few_results_no_median_and_no_share_is_judged_and_it_is_said(db, task):
    _, this = nights_until(fill_nights(db), 2)

    found = verdict(db, task, most={"pull": 0.5}, bad="1%", no_result="0", nights=1)

    night = f"astronn_dist, night of {this}, apo25m"
    assert found.broken == []
    assert found.not_judged == [
        f"{night}: bad 0 of 4 results (0.00 %), fewer than 20: not judged",
        f"{night}: median pull of 4 results, fewer than 20: not judged",
    ]
    assert found.kept == [f"{night}: within the limits (no_result 0 of 4 results (0.00 %))"]


def test_only_the_last_nights_count_to_the_microsecond(db, task):
    first, *_, last = nights_until(now(db), 3)
    for moment, flag in ((start_of(first), True), (start_of(last) + timedelta(days=1), True)):
        a_night(moment - timedelta(seconds=1, microseconds=1), 1, flag_no_result=flag)
        a_night(moment - timedelta(seconds=1), 1, flag_no_result=flag)

    found = verdict(db, task, no_result="0", nights=3)

    assert [(each["night"], each["no_result"]) for each in found.nights] == [(first, 1), (last, 1)]


def test_nothing_in_the_last_nights_is_said_and_breaks_no_limit(db, task):
    a_night(now(db) - timedelta(days=9), 30, pull=9.0)

    found = verdict(db, task, most={"pull": 0.5}, min_rate=99.0, nights=2)

    since = f"{start_of(nights_until(now(db), 2)[0]):%Y-%m-%d %H:%M} UTC"
    assert (found.broken, found.kept) == ([], [])
    assert found.not_judged == [
        f"astronn_dist: no results since {since}",
        f"astronn_dist: no runs since {since}",
    ]


@pytest.mark.parametrize("name", ["pull", "relative_e_dist"])
def test_a_result_without_an_error_or_a_distance_is_left_out_of_the_median(db, task, name):
    """Where PostgreSQL would not divide by zero."""
    nothing = {"e_nn_parallax": 0.0, "e_gaia_parallax": 0.0, "dist": 0.0}
    start = start_of(nights_until(now(db), 1)[0])
    a_night(start, 20, pull=1.0)
    a_night(start, 5, **nothing)

    (found,) = verdict(db, task, most={name: 9.0}).nights

    assert (found["results"], found["medians"][name]["results"]) == (25, 20)


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle(db, task):
    start = start_of(nights_until(now(db), 1)[0])
    for snr, number in ((10.0, 10), (20.0, 1), (30.0, 11)):
        a_night(start, number, snr=snr)

    (found,) = verdict(db, task, least={"snr": 25.0}).nights

    assert found["medians"]["snr"] == {"results": 22, "value": 25.0}


# > Runs, and what is pending


def ran(start, seconds, processed, **values):
    run = {"processed": processed, "started": start, "finished": start + timedelta(seconds=seconds)}
    a_run(**(run | {"outcome": "done"} | values))


def test_the_throughput_of_a_night_counts_the_time_in_which_any_of_its_runs_ran(db, task):
    night, this = nights_until(now(db), 2)
    start = start_of(night)
    ran(start, 100, 300)
    ran(start + timedelta(seconds=50), 100, 200)
    ran(start + timedelta(seconds=60), 10, 50)
    ran(start + timedelta(seconds=1000), 50, 150)
    ran(start + timedelta(seconds=2000), 900, 0)
    ran(start, 1, 99, task="other")
    ran(start, 1, 99, finished=None)
    ran(start_of(this) - timedelta(microseconds=1), 30, 30)

    found = throughput_by_night(task, [night, this])

    assert {each: (rate.spectra, rate.seconds) for each, rate in found.items()} == {night: (730, 230.0)}
    assert verdict(db, task, min_rate=3.5).broken == [
        f"astronn_dist, night of {night}: 3.17 spectra/s of runs (730 in 3 min 50 s), less than 3.5"
    ]


def test_the_rate_of_a_short_run_is_that_of_its_start_and_is_not_judged(db, task):
    ran(start_of(nights_until(now(db), 1)[0]), 20, 3)

    found = verdict(db, task, min_rate=10.0, nights=1)

    assert found.broken == []
    assert found.not_judged[0].endswith("0.15 spectra/s of runs (3 in 20 s), less than 1 min: not judged")


def test_what_has_been_pending_for_too_long_is_named_by_its_telescope(db, task):
    moment = fill_nights(db)

    found = verdict(db, task, max_age="36h")

    since = moment - timedelta(days=3)
    (line,) = found.broken
    assert line.startswith("astronn_dist, lco25m: the oldest of 2 pending spectra waits for 3 d")
    assert line.endswith(
        f", since {since:%Y-%m-%d %H:%M} UTC (night of {night_of(since)}), more than 1 d 12 h"
    )
    assert verdict(db, task, max_age="3.5 d").broken == []


# > The command


def test_a_check_by_night_is_one_line_for_each_broken_limit_and_exit_code_1(astra, db):
    before, this = nights_until(fill_nights(db), 2)

    code, out, err = astra("status", "--check", "--nights", 2, "--max-bad", "50%", "--max-pull", 2)

    assert (code, out.splitlines()) == (
        1,
        [f"astronn_dist, night of {before}, lco25m: median pull 4 of 21 results, more than 2"],
    )
    assert f"night of {this}, apo25m: median pull of 4 results, fewer than 20: not judged\n" in err


def test_a_check_by_night_within_its_limits_says_so_for_each_night_and_telescope(astra, db):
    before, _ = nights_until(fill_nights(db), 2)

    code, out, err = astra("status", "astronn_dist", "--check", "--max-bad", "9%", "--max-pull", 5)

    assert (code, out) == (0, "")
    assert err.startswith("astronn_dist: within the limits (bad 4 of 54 done (7.41 %))\n")
    assert f"night of {before}, lco25m: within the limits (median pull 4 of 21 results)\n" in err


def test_a_check_by_night_for_a_program_has_the_numbers_and_what_is_broken(astra, db):
    before, _ = nights_until(fill_nights(db), 2)

    words = ("--nights", 2, "--max-bad", "9%", "--min-rate", "0.1", "--max-age", "2d", "--json")
    code, out, _ = astra("status", "--check", *words)

    found = json.loads(out)
    assert (code, len(found["limits_broken"]), len(found["limits_not_judged"])) == (1, 2, 1)
    first = found["nights"][0]
    assert (first["night"], first["telescope"], first["rows"]) == (str(before), "apo25m", 23)
    assert first["medians"]["snr"] == {"results": 20, "rows": 20, "value": 80.0}
    assert [(each["night"], each["spectra_per_s"]) for each in found["throughput"]] == [(str(before), 0.5)]
    assert [(each["telescope"], each["pending"]) for each in found["oldest_pending"]] == [("lco25m", 2)]


@on_sqlite
@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-pull", "2"),
        ("--check", "--nights", "3"),
        ("--check", "--nights", "3", "--max-pending", "0"),
        ("--check", "--nights", "0", "--max-bad", "1"),
        ("--check", "--nights", "999999", "--max-bad", "1"),
        ("--check", "--max-median", "beauty=1"),
        ("--check", "--max-median", "pull"),
        ("--check", "--max-pull", "-1"),
        ("--check", "--max-age", "tomorrow"),
        ("--metrics", "-", "--json"),
        ("--metrics", "-", "--check", "--max-bad", "1"),
        ("--metrics", "nowhere/astra.prom"),
        ("--metrics", "."),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_wrong_usage_and_one_line(astra, db, arguments):
    code, out, err = astra("status", *arguments)

    assert (code, out, err.count("astra: error: ")) == (2, "", 1)


WATCHED = """
@count_pixels.watched_by("Pixels", "pixels")
def many(spectra):
    return GuestResult.pixels
"""


def test_a_quantity_that_another_package_watches_can_be_limited(astra, db, tmp_path, monkeypatch):
    code = guests.GOOD + WATCHED
    guests.install(tmp_path / "guest", monkeypatch, code, "count_pixels")
    guests.make_table(db)
    task = find_task("count_pixels")
    for _ in range(20):
        task.output_model.from_spectrum(a_spectrum(a_source()), pixels=7.0, inputs_read=now(db)).save()

    code, out, _ = astra("status", "--check", "--max-median", "many=6.5")

    (night,) = nights_until(now(db), 1)
    line = f"count_pixels, night of {night}, apo25m: median many 7 of 20 results, more than 6.5\n"
    assert (code, out) == (1, line)


# > The file of metrics


def test_metrics_go_to_a_file_that_is_replaced_whole(astra, db, tmp_path, monkeypatch):
    file = tmp_path / "astra.prom"
    file.write_text("before")

    code, out, err = astra("status", "--metrics", file)

    assert (code, out, err) == (0, "", "")
    assert file.read_text().splitlines()[-1].startswith("astra_night_start_timestamp_seconds{")
    assert sorted(tmp_path.glob("*.prom*")) == [file]
    assert astra("status", "--metrics", "-")[1].startswith("# HELP astra_metrics_timestamp_seconds ")


def test_a_task_has_one_name_in_all_metrics_however_it_is_called(astra, db):
    out = astra("status", "astra.pipelines.astronn_dist.astronn_dist", "--metrics", "-")[1]

    assert 'astra_task_up{task="astronn_dist"}' in out


def test_a_task_that_is_named_and_cannot_be_counted_leaves_the_file_of_metrics(
    astra, db, tmp_path, monkeypatch
):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")
    file = tmp_path / "astra.prom"
    file.write_text("before")

    assert astra("status", "count_pixels", "--metrics", file)[0] == 78
    assert file.read_text() == "before"
    code, _, err = astra("status", "--metrics", file)

    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("astra: WARNING: task 'count_pixels': its table guest_result is missing")
    assert 'astra_task_up{task="count_pixels"} 0.0\n' in file.read_text()
