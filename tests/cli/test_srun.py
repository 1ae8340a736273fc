"""``astra srun`` up to where Slurm is needed: what it prints, and what it refuses."""

import json
import os
import stat

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.database.connection import is_postgresql, now
from astra.models import AstroNNdist, TaskWithheld


@pytest.fixture
def three_spectra(db, tmp_path, monkeypatch):
    """Three pending spectra, and a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    return [a_spectrum(a_source(sdss_id=number + 1)) for number in range(3)]


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A stand-in for sbatch, which keeps what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "sbatch"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/words\ncat > {folder}/script\necho 42\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def without_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def _error(stderr):
    (line,) = [line for line in stderr.splitlines() if line.startswith("astra: error: ")]
    return line.removeprefix("astra: error: ")


def test_a_dry_run_prints_command_and_script_and_submits_nothing(
    astra, three_spectra, without_slurm, tmp_path
):
    code, out, err = astra(
        "srun", "astronn_dist", "--dry-run", "--mem", 16000, "--gres", "gpu:v100", "--seed", 3
    )

    pending, command, *script = out.splitlines()
    assert (code, pending) == (0, "3 pending")
    assert err == (
        "options: --nodes=1 (default), --procs=1 (default), --mem=16000 (command line), "
        "--gres=gpu:v100 (command line), --logs=astra-logs (default)\n"
    )
    assert command.startswith("sbatch --parsable --job-name=astra-astronn_dist --array=0-0 ")
    assert "--mem=16000 --gres=gpu:v100" in command
    assert command.endswith(f"--output={tmp_path}/astra-logs/%A_%a.log <<'EOF'")
    assert (script[0], script[-1]) == ("#!/usr/bin/env bash", "EOF")
    assert any("-P -m astra run astronn_dist --seed=3 --workers=1 " in line for line in script)
    assert not (tmp_path / "astra-logs").exists()
    assert AstroNNdist.select().count() == 0


def test_the_task_and_the_model_may_be_dotted_paths(astra, three_spectra, without_slurm):
    words = ("astra.pipelines.astronn_dist.astronn_dist", "apogee.ApogeeCoaddedSpectrumInApStar")

    code, out, _ = astra("srun", *words, "--dry-run")

    assert code == 0
    assert "--job-name=astra-astronn_dist " in out
    assert f"astra run astronn_dist {words[1]} " in out


def test_logs_of_a_user_who_has_no_home_here_are_in_a_folder_of_that_name(
    astra, three_spectra, without_slurm, tmp_path
):
    code, out, _ = astra("srun", "astronn_dist", "--dry-run", "--logs=~no-such-user/logs")

    assert code == 0
    assert f"--output={tmp_path}/~no-such-user/logs/%A_%a.log" in out.replace("'", "")


def test_json_is_one_object_for_every_ending(astra, three_spectra, without_slurm):
    planned = json.loads(astra("srun", "astronn_dist", "--dry-run", "--json")[1])
    failed = json.loads(astra("srun", "astronn_dist", "--json")[1])

    assert list(planned) == list(failed)
    assert (planned["outcome"], planned["exit_code"], planned["pending_before"]) == ("dry_run", 0, 3)
    assert planned["command"].startswith("sbatch ")
    assert (failed["outcome"], failed["exit_code"], failed["job"]) == ("failed", 78, None)


def test_without_slurm_it_is_refused(astra, three_spectra, without_slurm):
    code, out, err = astra("srun", "astronn_dist")

    assert (code, out) == (78, "")
    assert _error(err) == "no sbatch on this machine: run it on a submit host of Slurm"


def test_several_machines_need_postgresql(astra, three_spectra, db, without_slurm):
    code, _, err = astra("srun", "astronn_dist", "--nodes", 2, "--dry-run")

    if is_postgresql(db):
        assert code == 0
    else:
        assert code == 78
        assert "an SQLite file cannot be shared by several machines; use PostgreSQL" in _error(err)


def test_options_come_from_a_profile_and_the_command_line(astra, three_spectra, without_slurm):
    with open(os.environ["ASTRA_CONFIG"], "w") as file:
        file.write('slurm: {default: {account: A, time: "1:00:00"}, gpu: {gres: "gpu:1", account: B}}')

    out = astra("srun", "astronn_dist", "--dry-run", "--profile", "gpu", "--time", "30")[1]

    assert "--account=B --time=30 --gres=gpu:1 --signal=B:TERM@120" in out
    code, _, err = astra("srun", "astronn_dist", "--dry-run", "--profile", "cpu")
    assert code == 2
    assert "did you mean gpu?" in _error(err)
    assert err.splitlines()[-1] == "Try `astra srun --help`."


def test_the_profile_sdss_is_upstreams_and_every_option_says_where_it_comes_from(
    astra, three_spectra, without_slurm
):
    words = ("srun", "astronn_dist", "--dry-run", "--profile", "sdss", "--time", "48:00:00")

    code, out, err = astra(*words)

    assert code == 0
    assert "--partition=sdss-np --account=sdss-np --time=48:00:00" in out
    assert "--account=sdss-np (profile sdss, built in), --time=48:00:00 (command line), " in err
    options = json.loads(astra(*words, "--json")[1])["options"]
    assert options["partition"] == {"value": "sdss-np", "origin": "profile sdss, built in"}
    assert options["nodes"] == {"value": "1", "origin": "default"}


def test_no_wait_prints_the_number_alone_and_hands_on_no_address(
    astra, three_spectra, sbatch, toy_weights, tmp_path
):
    words = ("--weights", toy_weights, "--no-wait", "--overwrite", "--limit", 2)
    code, out, err = astra("srun", "astronn_dist", *words)

    assert (code, out) == (0, "42\n")
    options, submitted = err.splitlines()
    assert options.startswith("options: --nodes=1 (default), ")
    assert submitted == f"job 42: tasks 0 to 0, logs {tmp_path}/astra-logs/42_*.log"
    script = (sbatch / "script").read_text()
    assert "--overwrite --before=" in script
    asked = script + (sbatch / "words").read_text()
    assert os.environ.get("ASTRA_DATABASE_URL", "postgresql:") not in asked


def test_a_time_given_is_the_one_that_all_workers_get(astra, three_spectra, without_slurm):
    out = astra(
        "srun", "astronn_dist", "--dry-run", "--retry", "no_result", "--before", "2026-01-02T03:04:05"
    )[1]

    assert "--retry=no_result --before=2026-01-02T03:04:05.000000 " in out


def test_where_nothing_is_pending_nothing_is_submitted(astra, db, sbatch, toy_weights):
    code, out, _ = astra("srun", "astronn_dist", "--weights", toy_weights)

    assert (code, out) == (0, "nothing is pending for astronn_dist\n")
    assert not (sbatch / "words").exists()


def test_files_that_were_withheld_are_tried_again_where_nothing_else_is_pending(
    astra, three_spectra, db, sbatch, toy_weights
):
    for spectrum in three_spectra:
        TaskWithheld.create(task="astronn_dist", spectrum_pk=spectrum, reason="x: /x", tried=now(db))

    code, out, _ = astra("srun", "astronn_dist", "--weights", toy_weights, "--no-wait")

    assert (code, out) == (0, "42\n")


def test_weights_that_would_mix_are_refused_before_the_queue(astra, three_spectra, sbatch, toy_weights):
    run = a_run(weights_name="other", weights_sha256="0" * 64)
    a_result(a_spectrum(a_source()), run_pk=run.pk)

    code, _, err = astra("srun", "astronn_dist", "--weights", toy_weights)

    assert code == 78
    assert "come from weights other" in _error(err)
    assert not (sbatch / "words").exists()


def test_a_folder_of_logs_that_cannot_be_made_is_named(astra, three_spectra, sbatch, toy_weights, tmp_path):
    (tmp_path / "file").touch()

    code, _, err = astra("srun", "astronn_dist", "--weights", toy_weights, "--logs", tmp_path / "file" / "x")

    assert code == 74
    assert f"cannot make the folder of logs {tmp_path}/file/x" in _error(err)


@pytest.mark.parametrize(
    "words",
    [
        *(["99999"], ["--nodes", "0"], ["apVisit"], ["--before", "2026-01-01"], ["--account", ""]),
        *(["--stars-from", "-"], ["--stars-from", "/dev/null"], ["--where", "sn > 5"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_found_before_the_queue(astra, three_spectra, sbatch, words):
    code, out, err = astra("srun", "astronn_dist", *words)

    assert (code, out) == (2, "")
    assert _error(err)
    assert not (sbatch / "words").exists()
