"""``astra srun`` on a real Slurm and a real PostgreSQL: all rows once, and the exit code of the array."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astra.cli import main
from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.models import AstroNNdist, TaskClaim, TaskRun
from astra.tasks.installed import find_task

from slurm_cluster import jobs, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.postgres]


def _scancel(*words):
    subprocess.run(["scancel", *words], check=True)


def _partition(state):
    subprocess.run(["scontrol", "update", "PartitionName=main", f"State={state}"], check=True)


def _wait_for_rows(count):
    wait_until(lambda: AstroNNdist.select().count() >= count)


def _wait_for_both():
    """Wait until two tasks have begun, and something is written."""
    wait_until(lambda: TaskRun.select().count() == 2)
    _wait_for_rows(4)


def _rows():
    """How many results there are, and of how many spectra."""
    keys = [row.spectrum_pk_id for row in AstroNNdist.select(AstroNNdist.spectrum_pk)]
    return len(keys), len(set(keys))


def test_an_array_of_four_does_all_spectra_once_and_ends_with_0(slurm, spectra, srun_json):
    spectra(40)

    report, err = srun_json("--nodes", 4, "--batch-size", 4, "--time", 10, "--mem", 100)

    assert (report["exit_code"], report["outcome"], report["error"]) == (0, "done", None), err
    assert _rows() == (40, 40)
    assert (report["processed"], report["measured"], report["pending_before"]) == (40, 40, 40)
    assert [(each["index"], each["state"], each["exit_code"]) for each in report["array_tasks"]] == [
        (n, "COMPLETED", 0) for n in range(4)
    ]
    logs = slurm / "astra-logs"
    assert report["logs"] == str(logs)
    assert f"job {report['job']}: tasks 0 to 3, logs {logs}/{report['job']}_*.log" in err
    assert sorted(path.name for path in logs.glob("*.log")) == [f"{report['job']}_{n}.log" for n in range(4)]
    runs = [json.loads(run.arguments)["job"] for run in TaskRun.select()]
    assert set(runs) <= {f"slurm-{report['job']}_{n}" for n in range(4)}
    assert len(runs) == len(set(runs))


def test_a_limit_is_for_all_tasks_together(spectra, srun_json):
    spectra(12)

    report, err = srun_json("--nodes", 2, "--limit", 7, "--batch-size", 1)

    assert (report["exit_code"], report["processed"], report["nodes"]) == (0, 7, 2), err
    assert _rows() == (7, 7)
    assert sorted(run.processed for run in TaskRun.select()) == [3, 4]


@pytest.mark.slow
def test_the_processes_of_one_node_share_an_sqlite_file(
    sqlite_template, srun_json, tmp_path, monkeypatch, add_spectra
):
    path = shutil.copyfile(sqlite_template, tmp_path / "astra.db")
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(path))
    with bound_to(open_database(load_settings())):
        add_spectra(6)

        report, err = srun_json("--procs", 2, "--batch-size", 1)

        assert (report["exit_code"], report["processed"]) == (0, 6), err
        assert _rows() == (6, 6)


def test_a_cancelled_task_ends_with_75_and_the_same_again_goes_on_to_0(spectra, srun, srun_json):
    spectra(300)

    first = srun("--nodes", 2, "--batch-size", 2)
    _wait_for_both()
    _scancel(f"{first.job()}_1")
    code, _, err = first.end()

    assert code == 75, err
    assert "task 1 ended with 75 (CANCELLED)" in err
    assert "run again to go on" in err
    again, err = srun_json("--nodes", 2)
    assert again["exit_code"] == 0, err
    assert _rows() == (300, 300)
    assert not TaskClaim.select().exists()


def test_tasks_that_were_killed_leave_75_and_what_they_did_counts(spectra, srun, srun_json):
    spectra(300)

    first = srun("--nodes", 2, "--batch-size", 2)
    _wait_for_both()
    workers = {json.loads(run.arguments)["job"][-1]: run.pid for run in TaskRun.select()}
    shell = int(Path(f"/proc/{workers['1']}/stat").read_text().split()[3])
    for process in (workers["0"], shell, workers["1"]):
        os.kill(process, signal.SIGKILL)
    code, out, err = first.end()

    assert code == 75, err
    assert "tasks 0, 1 killed by SIGKILL; run again to go on" in err
    assert f"= {_rows()[0]} processed" in out
    assert srun_json("--nodes", 2)[0]["exit_code"] == 0
    assert _rows() == (300, 300)


def test_ctrl_c_lets_the_tasks_finish_what_they_have_in_hand(spectra, srun):
    spectra(300)

    running = srun("--nodes", 2, "--array-limit", 1, "--batch-size", 2, "--overwrite")
    _wait_for_rows(4)
    running.process.send_signal(signal.SIGINT)
    code, out, err = running.end()

    assert code == 75, err
    # Slurm may call the task failed or cancelled, as the end of the task and its signal race.
    assert re.search(r"task 0 ended with 75( \([A-Z]+\))? \(stopped before the end \(SIGTERM\)", err), err
    before = TaskRun.get().arguments.partition('"before": "')[2].partition('"')[0]
    assert f"run again with --before {before}" in err
    assert 0 < _rows()[0] < 300
    assert f"= {_rows()[0]} processed" in out
    assert not TaskClaim.select().exists()
    assert jobs() == []


@pytest.mark.slow
def test_a_second_ctrl_c_cancels_at_once(spectra, srun):
    spectra(300)

    running = srun("--batch-size", 2)
    _wait_for_rows(2)
    os.kill(TaskRun.get().pid, signal.SIGSTOP)  # it does not hear the first
    for _ in range(2):
        running.process.send_signal(signal.SIGINT)
        time.sleep(1)
    code, _, err = running.end()

    assert code == 130, err
    assert "was cancelled at once; run again to go on" in err
    assert jobs() == []


def test_no_wait_prints_the_number_of_the_job_alone(spectra, srun):
    spectra(3)

    code, out, err = srun("--no-wait").end()

    assert code == 0, err
    assert out.strip().isdecimal()
    wait_until(lambda: not jobs())
    assert _rows() == (3, 3)
    assert Path(f"astra-logs/{out.strip()}_0.exit").read_text() == "0\n"


def test_the_error_of_a_task_is_that_of_the_array(spectra, srun, tmp_path, toy_weights):
    spectra(3)
    weights = Path(shutil.copy(toy_weights, tmp_path / "gone.safetensors"))

    _partition("DOWN")
    try:
        running = srun("--weights", weights, "--nodes", 2)  # the last --weights counts
        job = running.job()
        weights.unlink()
    finally:
        _partition("UP")
    code, _, err = running.end()

    assert code == 78
    assert f"job {job}: tasks 0, 1 ended with 78 (" in err
    assert f"{weights}" in err
    assert "2 pending (waiting for: Part" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--partition", "nope"], "invalid partition specified: nope"),
        (["--time", "soon"], "Invalid --time specification"),
        (["--gres", "gpu:v100"], "Invalid generic resource"),
    ],
    ids=" ".join,
)
def test_what_slurm_refuses_is_wrong_usage_in_its_own_words(spectra, srun, words, says):
    spectra(1)

    code, out, err = srun(*words).end()

    assert (code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("astra: error: ")]
    assert says in line


@pytest.mark.slow
def test_the_end_of_the_time_is_75(spectra, srun):
    spectra(20000)

    code, _, err = srun("--time", 1, "--batch-size", 1).end(300)

    assert code == 75, err
    assert 0 < _rows()[0] == _rows()[1] < 20000


@pytest.mark.slow
def test_the_task_of_another_package_runs_where_pythonpath_leads_its_jobs_to_it(spectra, slurm, examples):
    assert main(["init"]) == 0
    spectra(12)
    words = ["srun", "template_snr", "--nodes", "2", "--batch-size", "2", "--max-shift", "200", "--json"]

    ran = subprocess.run([sys.executable, "-m", "astra", *words], capture_output=True, text=True, timeout=90)

    report = json.loads(ran.stdout)
    assert (ran.returncode, report["outcome"], report["processed"]) == (0, "done", 12), ran.stderr
    assert {run.options for run in TaskRun.select()} == {'{"max_shift": 200.0}'}
    rows = find_task("template_snr").output_model.select()
    assert (rows.count(), len({row.spectrum_pk for row in rows})) == (12, 12)
