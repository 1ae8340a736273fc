"""``astra status``: what it prints, and its exit codes."""

import json
import os
import pty
import signal
import subprocess
import sys

import guests
import pytest
from builders import a_result, a_run, a_source, a_spectrum, on_postgresql

LATER = {"inputs_read": "2999-01-01 00:00:00.000000"}

KEYS = (
    "task version at spectra done pending withheld bad warn flags notes no_result_reasons withheld_reasons "
    "in_hand workers suspects spectra_per_s seconds_left remaining_s runs"
).split()


@pytest.fixture
def survey(db):
    """Three results, one of them no_result, and a pending spectrum."""
    run = a_run(outcome="done", measured=2, no_result=1)
    for values in ({}, {"flag_missing_extinction": True}, {"flag_no_result": True}):
        a_result(a_spectrum(a_source(ebv=-1 if "flag_missing_extinction" in values else 0.1)),
                 run_pk=run.pk, ebv=0.0 if "flag_missing_extinction" in values else 0.1,
                 **values, **LATER)  # fmt: skip
    a_spectrum(a_source())
    return db


def test_json_has_one_object_for_each_task_with_all_keys(astra, survey):
    code, out, _ = astra("status", "--json")

    (found,) = json.loads(out)["tasks"]
    assert (code, list(found)) == (0, KEYS)
    assert (found["done"], found["pending"], found["seconds_left"]) == (3, 1, None)


def test_the_page_has_the_same_numbers(astra, survey):
    out = astra("status", "astronn_dist")[1]

    assert "  done                  3\n  pending               1\n" in out
    assert "2 measured + 1 no_result, 0 derived again" in out


# > Limits


def test_a_broken_limit_is_one_line_and_exit_code_1(astra, survey):
    code, out, err = astra("status", "--check", "--max-no-result", "2%", "--max-pending", "1")

    assert (code, err) == (1, "")
    assert out == "astronn_dist: no_result 1 of 3 done (33.33 %), more than 2 %\n"


def test_limits_that_are_kept_are_exit_code_0_and_nothing_on_stdout(astra, survey):
    code, out, err = astra("status", "astronn_dist", "--check", "--max-no-result", "1", "--max-bad", "50%")

    assert (code, out) == (0, "")
    assert err.startswith("astronn_dist: within the limits (no_result 1 of 3 done (33.33 %); bad 1 of 3")


def test_a_check_for_a_program_names_what_is_broken(astra, survey):
    code, out, _ = astra("status", "--check", "--max-pending", "0", "--json")

    found = json.loads(out)
    assert (code, found["tasks"][0]["pending"]) == (1, 1)
    assert found["broken"] == ["astronn_dist: pending 1 of 4 spectra (25.00 %), more than 0"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--check",),
        ("--max-bad", "3"),
        ("--check", "--max-bad", "few"),
        ("--check", "--max-bad", "3", "--watch"),
        ("--watch", "--every", "0"),
    ],
    ids=" ".join,
)
def test_limits_that_make_no_sense_are_wrong_usage(astra, db, arguments):
    assert astra("status", *arguments)[0] == 2


# > Tasks of other packages


@pytest.fixture
def guests_in_trouble(survey, tmp_path, monkeypatch):
    """A package that offers a task without its table, and another one that cannot be loaded."""
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "broken", "count_pixels")


MISSING = "task 'count_pixels': its table guest_result is missing: run `astra init`"
NOT_LOADED = "task 'broken' cannot be loaded from guest_package:broken (AttributeError: "


def test_what_is_wrong_with_a_task_is_one_line_among_those_of_the_others(astra, guests_in_trouble):
    code, out, err = astra("status")

    assert (code, err) == (0, "")
    first, *of_ours, last = out.splitlines()
    assert first.startswith("astronn_dist (version ")
    assert of_ours[-1].startswith(NOT_LOADED)
    assert last.startswith(MISSING)
    assert "  done                  3" in of_ours


def test_in_json_a_task_that_cannot_be_counted_has_an_error_and_no_counts(astra, guests_in_trouble):
    code, out, _ = astra("status", "--json")

    ours, *others = json.loads(out)["tasks"]
    assert (code, list(ours)) == (0, KEYS)
    assert [list(each) for each in others] == [["task", "version", "at", "error"]] * 2
    assert [each["task"] for each in others] == ["broken", "count_pixels"]
    assert others[1]["error"].startswith(MISSING)


def test_a_task_that_cannot_be_counted_breaks_every_limit_unless_another_one_is_named(
    astra, guests_in_trouble
):
    all_tasks = astra("status", "--check", "--max-bad", "100%")
    as_json = astra("status", "--check", "--max-bad", "100%", "--json")
    ours = astra("status", "astronn_dist", "--check", "--max-bad", "100%")

    assert (all_tasks[0], as_json[0], ours[0]) == (1, 1, 0)
    broken, missing = all_tasks[1].splitlines()
    assert broken.startswith(NOT_LOADED)
    assert missing.startswith(MISSING)
    assert json.loads(as_json[1])["broken"] == [broken, missing]


@pytest.mark.parametrize(("task", "said"), [("count_pixels", MISSING), ("broken", NOT_LOADED)])
def test_a_task_that_is_named_and_cannot_be_counted_is_an_error(astra, guests_in_trouble, task, said):
    code, out, err = astra("status", task)

    assert (code, out) == (78, "")
    assert err.startswith(f"astra: error: {said}")


def test_a_task_whose_table_is_there_is_counted_and_one_that_lacks_a_column_is_named(
    astra, guests_in_trouble, survey
):
    guests.make_table(survey)
    code, out, _ = astra("status", "count_pixels", "--json")
    assert (code, json.loads(out)["tasks"][0]["pending"]) == (0, 4)

    survey.execute_sql("ALTER TABLE guest_result DROP COLUMN pixels")

    assert "its table guest_result cannot be read (" in astra("status")[1]


# > Again and again


# Whoever runs the tests in the background ignores Ctrl-C, and so would what is started here.
WITH_CTRL_C = ("env", "--default-signal=INT")


def test_watching_without_a_terminal_prints_a_line_each_time_and_ctrl_c_ends_it_well(survey):
    command = [*WITH_CTRL_C, sys.executable, "-m", "astra", "status", "--watch", "--every", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (0, "")
    for line in lines:
        assert "astronn_dist: done 3, pending 1, bad 1, no_result 1, 0 in hand of 0 workers" in line


def test_watching_as_json_prints_an_object_each_time(survey):
    command = [*WITH_CTRL_C, sys.executable, "-m", "astra", "status", "--watch", "--every", "0.1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert first["tasks"][0]["done"] == second["tasks"][0]["done"] == 3
    assert first["tasks"][0]["at"] < second["tasks"][0]["at"]


@on_postgresql  # SQLite has no connections to lose
def test_watching_goes_on_when_the_connection_is_lost(survey):
    command = [*WITH_CTRL_C, sys.executable, "-m", "astra", "status", "--watch", "--every", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        survey.execute_sql(f"SELECT pg_terminate_backend(pid) {others}")
        warning, line = process.stderr.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert "connection to the database lost" in warning
    assert "done 3" in line
    assert process.returncode == 0


def test_watching_on_a_terminal_redraws_the_page(survey):
    parent, child = pty.openpty()
    command = [*WITH_CTRL_C, sys.executable, "-m", "astra", "status", "--watch", "--every", "0.1"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "50"}
    with subprocess.Popen(command, stdout=child, stderr=subprocess.PIPE, env=environment) as process:
        os.close(child)
        seen = b""
        while seen.count(b"Ctrl-C ends it") < 2:
            seen += os.read(parent, 4096)
        process.send_signal(signal.SIGINT)
        while _more(parent):
            pass
        _, err = process.communicate(timeout=30)
    os.close(parent)

    assert (process.returncode, err) == (0, b"")
    assert b"every 0.1 s; Ctrl-C ends it" in seen
    assert b"\x1b[" in seen


def _more(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody has the other end any more
        return b""


# > Secrets


@pytest.mark.postgres
def test_a_password_is_not_printed_where_the_database_cannot_be_reached(astra, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://me:geheim@127.0.0.1:1/x")

    code, out, err = astra("status")

    assert code == 69
    assert "geheim" not in out + err


@on_postgresql  # SQLite has no passwords
def test_a_password_is_not_printed_with_the_status(astra, db, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL", os.environ["ASTRA_DATABASE_URL"].replace("@", ":geheim@"))

    for arguments in ((), ("--json",), ("--check", "--max-bad", "0")):
        code, out, err = astra("status", *arguments)
        assert (code, "geheim" in out + err) == (0, False)
