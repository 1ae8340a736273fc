"""A job as Slurm's commands show it: a Slurm that forgets, is silent, or keeps no accounts."""

import textwrap
import time
from pathlib import Path

import pytest
from builders import a_result, a_run, a_spectrum

from astra.errors import (
    AstraError,
    ConfigError,
    DatabaseUnreachable,
    Interrupted,
    StorageError,
    UsageError,
    graver,
    worst,
)
from astra.running.ending import StopRequest
from astra.slurm import commands, job, srun
from astra.slurm.commands import Record, parse_sacct, parse_scontrol, parse_squeue
from astra.slurm.job import Job, TaskEnd, exit_code_of, last_error, sentence, task_end, wait_for
from astra.slurm.srun import LiveCount
from astra.tasks.installed import find_task


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts shell scripts in the place of Slurm's commands; all others are not there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    missing = "#!/bin/sh\nexit 1\n"

    def put(**scripts):
        for name in ("sbatch", "squeue", "scancel", "scontrol", "sacct"):
            path = folder / name
            path.write_text(f"#!/bin/sh\n{textwrap.dedent(scripts[name])}\n" if name in scripts else missing)
            path.chmod(0o755)

    return put


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(job, "_SHORTEST_PAUSE_S", 0.01)


UNKNOWN = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"


def _wait(watched):
    with StopRequest() as stop:
        wait_for(watched, stop, lambda: None)
    return watched.ends()


def test_what_slurm_has_forgotten_is_known_from_accounting(programs, tmp_path):
    programs(squeue=UNKNOWN, sacct="echo '5_0|FAILED|69:0'; echo '5_1|TIMEOUT|0:0'")

    assert _wait(Job("5", 2, tmp_path)) == [TaskEnd(0, "FAILED", 69), TaskEnd(1, "TIMEOUT", None)]


def test_without_accounting_and_memory_the_kept_codes_count_and_the_rest_is_unknown(programs, tmp_path):
    programs(squeue=UNKNOWN)
    (tmp_path / "5_0.exit").write_text("74\n")
    (tmp_path / "5_2.exit").write_text("")

    assert _wait(Job("5", 3, tmp_path)) == [TaskEnd(0, "", 74), TaskEnd(1, "", None), TaskEnd(2, "", None)]


def test_the_last_word_on_a_task_counts_after_slurm_has_forgotten_it(programs, tmp_path):
    looks = tmp_path / "looks"
    squeue = f"""
        echo x >> {looks}
        if [ $(wc -l < {looks}) = 1 ]; then echo '0|TIMEOUT|TimeLimit'; echo '1|RUNNING|None'
        else echo '1|COMPLETED|None'; fi
    """
    programs(squeue=squeue, scontrol="echo 'ArrayTaskId=1 JobState=COMPLETED ExitCode=0:0'")

    assert _wait(Job("5", 2, tmp_path)) == [TaskEnd(0, "TIMEOUT", None), TaskEnd(1, "COMPLETED", 0)]


def test_a_task_that_slurm_starts_again_has_not_ended(programs, tmp_path):
    looks = tmp_path / "looks"
    states = ("0|NODE_FAIL|None\\n1|RUNNING|None", "0|RUNNING|None\\n1|RUNNING|None")
    squeue = f"""
        echo x >> {looks}
        case $(wc -l < {looks}) in 1) printf '{states[0]}\\n';; 2) printf '{states[1]}\\n';;
        *) printf '0|COMPLETED|None\\n1|COMPLETED|None\\n';; esac
    """
    scontrol = f"""
        if [ $(wc -l < {looks}) = 1 ]; then echo 'ArrayTaskId=0 JobState=NODE_FAIL ExitCode=1:0'
        else for n in 0 1; do echo "ArrayTaskId=$n JobState=COMPLETED ExitCode=0:0"; done; fi
    """
    programs(squeue=squeue, scontrol=scontrol)

    assert [end.code for end in _wait(Job("5", 2, tmp_path))] == [0, 0]


def test_a_silent_slurm_is_waited_for_and_mentioned_twice(programs, tmp_path, monkeypatch):
    looks = tmp_path / "looks"
    squeue = f"""
        echo x >> {looks}
        if [ $(wc -l < {looks}) -lt 4 ]; then echo 'Unable to contact slurm controller' >&2; exit 1; fi
        echo '0|COMPLETED|None'
    """
    programs(squeue=squeue, scontrol="echo 'ArrayTaskId=0 JobState=COMPLETED ExitCode=0:0'")
    said = []
    monkeypatch.setattr(job.log, "warning", lambda text, *values: said.append(text % values))

    assert _wait(Job("5", 1, tmp_path)) == [TaskEnd(0, "COMPLETED", 0)]
    assert said == ["Slurm does not answer; waiting on", "Slurm answers again"]


def test_the_habits_of_a_user_do_not_hide_the_job(programs, monkeypatch):
    monkeypatch.setenv("SQUEUE_USERS", "nobody")
    programs(squeue='[ -z "$SQUEUE_USERS" ] && echo "0|RUNNING|None"')

    assert commands.states("5") == {0: ("RUNNING", "None")}


def test_the_summary_says_why_tasks_do_not_begin(programs, tmp_path):
    programs(
        squeue="printf '0|RUNNING|None\\n1|PENDING|Resources\\n2|PENDING|Priority\\n3|OUT_OF_MEMORY|x\\n'"
    )
    watched = Job("5", 5, tmp_path)
    watched.look()

    said = "1 out of memory, 2 pending, 1 running, 1 gone (waiting for: Priority, Resources)"
    assert watched.summary() == said


# > Submitting


def test_a_submitted_job_has_a_number_also_with_several_clusters(programs):
    programs(sbatch="cat > /dev/null; echo '42;north'")

    assert commands.submit(["sbatch"], "script") == "42"


@pytest.mark.parametrize(
    ("sbatch", "kind", "says"),
    [
        (
            "echo 'sbatch: error: invalid account' >&2; echo 'sbatch: error: Batch job failed' >&2; exit 1",
            UsageError,
            "^sbatch: invalid account; Batch job failed$",
        ),
        (
            "echo 'sbatch: error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
            Interrupted,
            "run again later",
        ),
        ("echo hello", AstraError, "'hello' where the number"),
    ],
)
def test_who_has_to_act_on_a_refusal(programs, sbatch, kind, says):
    programs(sbatch=f"cat > /dev/null; {sbatch}")

    with pytest.raises(kind, match=says):
        commands.submit(["sbatch"], "script")


def test_a_machine_without_slurm_is_a_matter_of_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError, match="no sbatch on this machine: run it on a submit host of Slurm"):
        commands.check_installed()


# > Progress


def test_a_database_that_is_away_holds_up_nobody(db, monkeypatch):
    monkeypatch.setattr(srun, "_PAUSE_S", 0.01)
    run = a_run(arguments='{"job": "slurm-5_0"}', rederived=2)
    a_result(a_spectrum(), run_pk=run.pk)
    others = a_run(arguments='{"job": "slurm-55_0"}')
    a_result(a_spectrum(), run_pk=others.pk)
    task, original, asked = find_task("astronn_dist"), srun.runs_of, []

    def sometimes_away(*subject):
        asked.append(subject)
        if len(asked) < 3:
            raise DatabaseUnreachable("away")
        return original(*subject)

    monkeypatch.setattr(srun, "runs_of", sometimes_away)
    with LiveCount(task, "5", 0) as live:
        deadline = time.monotonic() + 10
        while live.done == 0 and time.monotonic() < deadline:
            time.sleep(0.01)

    assert live.done == 3
    assert srun.count_done(task, "5", 0)["processed"] == 1


# > The ends of the tasks


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
