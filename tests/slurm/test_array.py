"""What ``astra srun`` is asked, what sbatch is asked, and what the tasks of the array run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.config import SlurmSettings, load_settings
from astra.errors import ConfigError, UsageError
from astra.running.arguments import RunArguments, SharedArguments
from astra.running.going_on import Settled
from astra.slurm.array import JobArray, SrunArguments, batch_script, notice_s, sbatch_command
from astra.system.arguments import command_line
from astra.tasks.contract import Provenance

PROFILES = {
    "default": SlurmSettings(account="A", time="48:00:00", mem="4000"),
    "gpu": SlurmSettings(gres="gpu:v100", mem="16000"),
}


def _asked(**arguments):
    return SrunArguments(task="astronn_dist", **arguments)


def test_the_command_line_beats_the_profile_and_this_the_default():
    chosen = _asked(profile="gpu", account="B").options_in_force(PROFILES)

    assert (chosen.account, chosen.mem, chosen.gres, chosen.time) == ("B", "16000", "gpu:v100", "48:00:00")
    assert (chosen.nodes, chosen.procs, str(chosen.logs)) == (1, 1, "astra-logs")
    assert _asked().options_in_force(PROFILES).mem == "4000"
    assert _asked().options_in_force({}).mem is None


def test_an_unknown_profile_is_wrong_usage_that_names_those_there_are():
    with pytest.raises(UsageError, match=r"no profile 'cpu' under 'slurm' .*; did you mean gpu?"):
        _asked(profile="cpu").options_in_force(PROFILES)


def test_every_option_in_force_says_where_it_comes_from():
    asked = _asked(profile="gpu", account="B", array_limit=3)
    chosen = asked.options_in_force(PROFILES).model_dump(exclude_none=True)

    assert asked.origins(PROFILES) == {
        "nodes": "default",
        "procs": "default",
        "logs": "default",
        "time": "profile default",
        "mem": "profile gpu",
        "gres": "profile gpu",
        "account": "command line",
        "array_limit": "command line",
    }
    assert asked.origins(PROFILES).keys() == chosen.keys()


# > The profile with upstream's defaults


def _sdss(**arguments):
    asked, profiles = _asked(profile="sdss", **arguments), load_settings().slurm
    options, origins = asked.options_in_force(profiles), asked.origins(profiles)
    return {name: (getattr(options, name), origins[name]) for name in ("account", "partition", "time")}


def test_the_profile_sdss_has_what_upstream_takes_if_nothing_is_named():
    """sdss/astra: --account sdss-np, --partition as the account, --time 24:00:00."""
    built_in = "profile sdss, built in"

    assert _sdss() == {
        "account": ("sdss-np", built_in),
        "partition": ("sdss-np", built_in),
        "time": ("24:00:00", built_in),
    }


def test_the_profile_sdss_applies_only_where_it_is_named():
    assert _asked().options_in_force(load_settings().slurm).account is None


def test_what_the_command_line_names_beats_the_profile_sdss_and_an_account_brings_its_partition():
    gpu = _sdss(account="notchpeak-gpu", time="48:00:00")

    assert gpu == {
        "account": ("notchpeak-gpu", "command line"),
        "partition": ("notchpeak-gpu", "as the account"),
        "time": ("48:00:00", "command line"),
    }
    assert _sdss(account="a", partition="p")["partition"] == ("p", "command line")


def test_a_profile_sdss_of_the_settings_file_takes_the_place_of_the_built_in_one(settings_file):
    settings_file("slurm: {default: {time: '1:00:00'}, sdss: {account: a}}")

    assert _asked(profile="sdss").origins(load_settings().slurm)["time"] == "profile default"
    chosen = _asked(profile="sdss", account="b").options_in_force(load_settings().slurm)
    assert (chosen.account, chosen.partition, chosen.time) == ("b", None, "1:00:00")


def test_the_built_in_profile_is_shown_among_the_settings():
    shown = {name: (str(value), origin) for name, value, origin in load_settings().flat()}

    assert shown["slurm.sdss.account"] == ("sdss-np", "built in")
    assert shown["slurm.sdss.time"] == ("24:00:00", "built in")


def test_an_empty_option_is_wrong_usage():
    with pytest.raises(UsageError, match="--account: string should have at least 1 character"):
        _asked(account="").options_in_force({})


@pytest.fixture
def settings_file():
    return Path(os.environ["ASTRA_CONFIG"]).write_text


def test_profiles_are_settings_with_their_origin(settings_file):
    settings_file('slurm: {default: {account: A, time: "48:00:00"}, gpu: {mem: 16000, logs: ~/logs}}')

    settings = load_settings()
    shown = {name: (str(value), origin) for name, value, origin in settings.flat()}

    assert settings.slurm["gpu"].mem == "16000"
    assert shown["slurm.default.time"] == ("48:00:00", f"file {os.environ['ASTRA_CONFIG']}")
    assert shown["slurm.gpu.logs"][0] == f"{os.environ['HOME']}/logs"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("slurm: {gpu: {memory: 1}}", "'slurm.gpu.memory'.*did you mean slurm.gpu.mem"),
        ("slurm: {gpu: 16}", "'slurm' must hold profiles"),
        ("slurm: gpu", "'slurm' must hold profiles"),
        ("slurm: {gpu: {time: 48:00:00}}", "'slurm.gpu.time' .file .*put it in quotes"),
        ("slurm: {gpu: {nodes: 0}}", "'slurm.gpu.nodes'"),
    ],
)
def test_a_wrong_profile_is_one_line_that_names_it(settings_file, content, says):
    settings_file(content)

    with pytest.raises(ConfigError, match=says):
        load_settings()


def test_a_worker_is_asked_the_same_of_the_rows_from_before_one_time_and_with_what_the_rows_have_decided():
    shared = {"seed": 3, "overwrite": True, "task_options": {"n_draws": 5}}
    asked = _asked(what=["2M1"], nodes=3, limit=9, max_runtime=60.0, shared=SharedArguments(**shared))
    settled = Settled({}, Provenance(weights_origin="the rows"), {"weights": "my w", "line": "beta"})

    shared["task_options"] = {"n_draws": 5, "line": "beta"}
    from_rows = {"weights": "my w", "weights_origin": "the rows"}
    assert asked.of_worker("2026-01-01T00:00:00", None, settled) == RunArguments(
        task="astronn_dist",
        what=["2M1"],
        shared=SharedArguments(**shared, **from_rows, before="2026-01-01T00:00:00"),
        max_runtime=60.0,
    )


def test_a_worker_is_asked_for_the_same_part_whenever_and_wherever_it_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shared = SharedArguments(where="snr > 50", stars_from=Path("stars.txt"), changed_since="24h")

    worker = _asked(shared=shared).of_worker(None, "2026-01-01T00:00:00", Settled({}, Provenance(), {}))

    assert command_line(worker) == (
        *("astronn_dist", "--where=snr > 50", f"--stars-from={tmp_path / 'stars.txt'}"),
        "--changed-since=2026-01-01T00:00:00",
    )


# > The command of sbatch


def _array(limit=None, words=("run", "astronn_dist"), logs="/logs", **options):
    values = {"nodes": 1, "procs": 1} | options
    return JobArray("astra-x", words, SlurmSettings(**values), Path(logs), Path("/here"), limit)


@given(st.integers(1, 10_000), st.integers(1, 200))
def test_the_shares_of_a_limit_add_up_and_no_task_has_nothing_to_do(limit, nodes):
    array = _array(limit, nodes=nodes)
    share, more = array.shares

    parts = [share + (task < more) for task in range(array.tasks)]

    assert sum(parts) == limit
    assert min(parts) > 0
    assert max(parts) - min(parts) <= 1
    assert len(parts) <= nodes


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (None, 120), ("48:00:00", 120), ("2-0", 120), ("1", 6), ("10", 60), ("5:00", 30), ("0:05", 1),
        ("0-0:10", 60), ("0-0:1:40", 10), ("UNLIMITED", 120), ("soon", 120),
    ],
)  # fmt: skip
def test_a_worker_is_told_two_minutes_or_a_tenth_before_the_end(time, seconds):
    assert notice_s(time) == seconds


def test_sbatch_is_asked_for_one_array_of_whole_tasks():
    array = _array(
        nodes=10, procs=4, array_limit=3, mem="16000", gres="gpu:v100", account="A", time="48:00:00",
        partition="p", qos="q",
    )  # fmt: skip

    assert sbatch_command(array) == [
        "sbatch", "--parsable", "--job-name=astra-x", "--array=0-9%3", "--nodes=1", "--ntasks=1",
        "--cpus-per-task=4", "--partition=p", "--account=A", "--qos=q", "--time=48:00:00", "--mem=16000",
        "--gres=gpu:v100", "--signal=B:TERM@120", "--export=ALL", "--chdir=/here",
        "--output=/logs/%A_%a.log",
    ]  # fmt: skip


def test_signs_in_the_folder_of_logs_are_not_taken_for_patterns():
    assert sbatch_command(_array(logs="/lo gs/50%"))[-1] == "--output=/lo gs/50%%/%A_%a.log"


def test_a_task_with_a_limit_is_not_started_again_by_slurm():
    assert "--no-requeue" in sbatch_command(_array(7, nodes=3))
    assert "--array=0-2" in sbatch_command(_array(7, nodes=3))
    assert "--array=0-1" in sbatch_command(_array(2, nodes=3))


# > The script, run by a real shell


def _run_script(tmp_path, array, worker, task=1, signals=()):
    """Run the script with another worker; its exit code, and what it kept."""
    script = batch_script(array).replace(f"{shlex.quote(sys.executable)} -P -m astra", f"{worker}")
    environment = {"PATH": os.environ["PATH"], "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(task)}
    with subprocess.Popen(
        ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        process.stdin.write(script)
        process.stdin.close()
        for number in signals:
            process.stdout.readline()
            process.send_signal(number)
        out = process.stdout.read()
    return process.returncode, (array.logs / f"7_{task}.exit").read_text(), out


def test_each_task_gets_its_share_and_keeps_its_exit_code(tmp_path):
    logs = tmp_path / "it's a $folder"
    logs.mkdir()
    array = _array(8, words=("run", "x", "--weights=it's $HOME"), logs=logs, nodes=3, procs=2)
    worker = "f() { printf '%s\\n' \"$@\"; return 69; }; f"
    said = [_run_script(tmp_path, array, worker, task)[2].splitlines() for task in range(3)]

    assert said[0] == ["run", "x", "--weights=it's $HOME", "--workers=2", "--job=slurm-7_0", "--limit=3"]
    assert [words[-1] for words in said] == ["--limit=3", "--limit=3", "--limit=2"]
    assert _run_script(tmp_path, array, worker)[:2] == (69, "69\n")


def test_one_signal_reaches_the_worker_and_its_exit_code_counts(tmp_path):
    """A second one would find a worker that is about to end, and kill it."""
    import signal

    # Not print(): a signal in the middle of it would call it within itself.
    code = "import os, signal, sys, time; n = []; say = lambda: os.write(1, b'\\n')"
    code += "; signal.signal(15, lambda *a: (n.append(1), say()))"
    code += "; say()\nwhile not n: time.sleep(0.01)\ntime.sleep(0.5)\nsys.exit(74 + len(n))"
    worker = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"

    found = _run_script(tmp_path, _array(logs=tmp_path), worker, signals=[signal.SIGTERM] * 2)

    assert found[:2] == (75, "75\n")


def test_neither_command_nor_script_holds_the_address_of_the_database(monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql://me:geheim@h/d")
    monkeypatch.setenv("ASTRA_DATABASE_PASSWORD", "geheim")

    assert "geheim" not in " ".join(sbatch_command(_array())) + batch_script(_array())
