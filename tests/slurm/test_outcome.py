"""What Slurm says of tasks that ended, with accounting and without, and what it adds up to."""

from pathlib import Path

import pytest

from astra.errors import ConfigError, Interrupted, StorageError, graver, worst
from astra.slurm.commands import Record, parse_sacct, parse_scontrol, parse_squeue
from astra.slurm.outcome import TaskEnd, exit_code_of, last_error, sentence, task_end

SACCT = """\
12_0|COMPLETED|0:0
12_1|FAILED|75:0
12_2|CANCELLED by 1000|0:15
12_3|TIMEOUT|0:0
12_4|OUT_OF_MEMORY|0:125
12_5|NODE_FAIL|1:0
12_[6-9%2]|PENDING|0:0
"""

SCONTROL = """\
JobId=13 ArrayJobId=12 ArrayTaskId=1 JobName=a UserId=me(1) JobState=FAILED Reason=X ExitCode=78:0 Restarts=0
JobId=14 ArrayJobId=12 ArrayTaskId=0 JobName=a UserId=me(1) JobState=COMPLETED Reason=X ExitCode=0:0
JobId=15 ArrayJobId=12 ArrayTaskId=2-5%2 JobName=a JobState=PENDING Reason=X ExitCode=0:0
JobId=12 ArrayJobId=12 ArrayTaskId=4294967294 JobName=a JobState=CANCELLED Reason=X ExitCode=0:0
"""


def test_accounting_is_read_by_task():
    found = parse_sacct(SACCT)

    assert set(found) == set(range(6))
    assert found[1] == Record("FAILED", "75:0")
    assert found[2] == Record("CANCELLED", "0:15")


def test_what_slurm_remembers_is_read_by_task():
    found = parse_scontrol(SCONTROL)

    assert found[1] == Record("FAILED", "78:0")
    assert found[0] == Record("COMPLETED", "0:0")
    assert {2, 3, 4, 5, 12}.isdisjoint(found)


def test_the_queue_is_read_by_task():
    text = "N/A|CANCELLED|None\n3|PENDING|Nodes required for job are DOWN\n0|RUNNING|None\n"

    assert parse_squeue(text) == {
        3: ("PENDING", "Nodes required for job are DOWN"),
        0: ("RUNNING", "None"),
    }


@pytest.mark.parametrize(
    ("kept", "record", "with_work_left", "without"),
    [
        (0, None, 0, 0),
        (75, Record("CANCELLED", "0:15"), 75, 75),
        (78, Record("FAILED", "78:0"), 78, 78),
        (None, Record("COMPLETED", "0:0"), 0, 0),
        (None, Record("FAILED", "74:0"), 74, 74),
        (None, Record("CANCELLED", "0:0"), 75, 0),
        (None, Record("CANCELLED", "0:15"), 75, 0),
        (None, Record("TIMEOUT", "0:0"), 75, 0),
        (None, Record("OUT_OF_MEMORY", "0:125"), 75, 0),
        (None, Record("NODE_FAIL", "0:0"), 75, 0),
        (None, Record("FAILED", "0:9"), 75, 0),
        (None, Record("FAILED", "0:11"), 75, 0),
        (None, Record("FAILED", "0:53"), 78, 78),
        (None, None, 75, 0),
        (137, None, 75, 0),
        (143, None, 75, 0),
        (130, None, 75, 0),
        (139, None, 75, 0),
        (127, None, 78, 78),
        (126, None, 78, 78),
        (1, None, 70, 70),
        (2, None, 70, 70),
    ],
)
def test_every_end_of_a_task_stands_for_one_exit_code(kept, record, with_work_left, without):
    end = task_end(0, kept, "RUNNING", record)

    assert (end.exit_code(True), end.exit_code(False)) == (with_work_left, without)


def test_of_several_tasks_the_gravest_decides():
    order = (78, 70, 74, 69, 75, 0)

    for index, code in enumerate(order):
        assert worst(reversed(order[index:])) == code
    assert worst([]) == 0
    assert worst([0, 3]) == 70


def test_of_several_failures_the_gravest_decides_and_of_equals_the_first():
    stopped, full, wrong = Interrupted("s"), StorageError("f"), ConfigError("w")

    assert graver(None, stopped) is stopped
    assert graver(stopped, full) is full
    assert graver(wrong, full) is wrong
    assert graver(full, ValueError()).__class__ is ValueError
    assert graver(full, StorageError("g")) is full


def test_the_sentence_names_who_decided_and_what_their_log_says(tmp_path):
    (tmp_path / "5_1.log").write_text("x\nastra: error: no weights\nastra: error: no weights at all\nTry …\n")
    ends = [TaskEnd(0, "TIMEOUT", None), TaskEnd(1, "FAILED", 78), TaskEnd(2, "FAILED", 78)]

    assert sentence("5", ends, True, tmp_path) == "job 5: tasks 1, 2 ended with 78 (no weights at all)"
    assert sentence("5", ends[:1], True, tmp_path) == "job 5: task 0 did not end by itself (TIMEOUT)"
    assert exit_code_of(ends, True) == 78


def test_many_tasks_are_not_all_named(tmp_path):
    ends = [TaskEnd(task, "NODE_FAIL", None) for task in range(9)]

    assert "tasks 0, 1, 2, 3, 4, … did not" in sentence("5", ends, True, tmp_path)


def test_a_log_that_is_not_there_or_says_nothing_has_no_error(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff\xfe" * 10_000)

    assert last_error(tmp_path / "log") is None
    assert last_error(Path("/nowhere/at/all")) is None
