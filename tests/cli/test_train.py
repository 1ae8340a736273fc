"""``astra train``: what it takes, what it refuses, and the exit code of every way that it can end."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from builders import on_sqlite, slow_on_sqlite
from parallax_survey import insert_stars, luminosities, observed, write_stars

from astra.pipelines.astronn_dist.weights.files import load_weights

TRAIN = ("train", "astronn_dist", "--from", "database")
QUICK = ("--epochs", "1", "--batch-size", "16", "--device", "cpu")
HEAVY = ("torch", "astropy", "numpy", "peewee", "rich", "yaml")


@pytest.fixture
def survey(db, tmp_path_factory):
    """A hundred stars that can be trained on."""
    fakemag = luminosities(10)
    paths = write_stars(tmp_path_factory.mktemp("files"), fakemag)
    places = np.arange(100) % len(paths)
    insert_stars(
        100, [paths[place] for place in places], **observed(fakemag[places], np.full(100, 3.0)), snr=300.0
    )


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from astra.cli import main; code = main(['train', 'astronn_dist', '--help']); "
        f"print('LOADED', [name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1] == "LOADED []"
    assert "astra train astronn_dist" in ran.stdout.split("Example")[1]


@slow_on_sqlite
def test_a_network_is_trained_and_its_file_says_on_what(astra, survey, tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PASSWORD", "geheim")
    output = tmp_path / "made.safetensors"

    code, out, err = astra(*TRAIN, *QUICK, "--output", output, "--seed", 3, "--max-ebv", 5)

    assert (code, out) == (0, f"weights: {output}\nreport:  {tmp_path / 'made.report.html'}\n")
    assert "epoch 1 of 1 is the best; labels of the test stars are" in err
    assert f"examples are kept in {tmp_path / 'made.training'}" in err
    made = load_weights(output)
    assert made.details["seed"] == 3
    assert made.details["trained_on"]["spectra"] == 100
    assert made.details["trained_on"]["cuts"] == {
        "max_ruwe": 1.4,
        "forbidden_starflags": 2**63 - 1,
        "min_snr": 200.0,
        "max_ebv": 5.0,
    }
    assert "geheim" not in str(made.details)
    assert {"database.path", "database.url"} & made.details["trained_on"]["database"].keys()


@on_sqlite
def test_what_was_trained_can_be_run(astra, survey, tmp_path):
    output = tmp_path / "made.safetensors"
    astra(*TRAIN, *QUICK, "--output", output)

    code, out, _ = astra("run", "astronn_dist", "--limit", 2, "--weights", output)

    assert code == 0
    assert out.startswith("2 measured")


@on_sqlite
def test_cuts_can_be_loosened_and_the_counts_say_which_to(astra, survey, db, tmp_path):
    db.execute_sql("UPDATE source SET ruwe = NULL")
    db.execute_sql("UPDATE apogee_coadded_spectrum_in_apstar SET spectrum_flags = 4, snr = 50")
    output = tmp_path / "made.safetensors"

    strict = astra(*TRAIN, *QUICK, "--output", output)
    loose = astra(
        *(*TRAIN, *QUICK, "--output", output, "--any-ruwe", "--any-starflag", "--min-snr", 40),
        *("--zero-point", -0.03),
    )

    assert strict[0] == 78
    assert "0 spectra are left to train on" in strict[2]
    assert "(left out: ruwe 100)" in strict[2]
    assert loose[0] == 0
    trained_on = load_weights(output).details["trained_on"]
    assert trained_on["zero_point"] == -0.03
    assert trained_on["cuts"] == {
        "max_ruwe": None,
        "forbidden_starflags": 0,
        "min_snr": 40.0,
        "max_ebv": None,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "database", "--n-stars", "5"], "--n-stars has no meaning with --from database"),
        (["--from", "database", "--masks-from", "x"], "--masks-from has no meaning with --from database"),
        (["--from", "simulator", "--any-starflag"], "--any-starflag has no meaning with --from simulator"),
        (["--from", "simulator", "--zero-point", "0"], "--zero-point has no meaning with --from simulator"),
        (["--from", "nowhere"], "nowhere"),
        ([], "--from"),
        (["--from", "database", "--output", "x.pt"], "x.pt: weights are written as .safetensors only"),
        (["--from", "database", "--max-ruwe", "nan"], "the cut max_ruwe is nan"),
        (["--from", "database", "--zero-point", "nan"], "--zero-point nan: give a number"),
        (
            ["--from", "database", "--any-ruwe", "--max-ruwe", "1.2"],
            "--any-ruwe and --max-ruwe contradict each other",
        ),
        (["--from", "database", "--epochs", "0"], "--epochs"),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(astra, tmp_path, arguments, message):
    code, out, err = astra("train", "astronn_dist", "--output", tmp_path / "m.safetensors", *arguments)

    assert (code, out) == (2, "")
    first, hint = err.strip().splitlines()
    assert first.startswith("astra: error: ")
    assert message in first
    assert hint.startswith("Try `")
    assert hint.endswith("--help`.")


def test_a_file_that_is_there_is_refused_before_the_database_is_opened(astra, tmp_path):
    output = tmp_path / "there.safetensors"
    output.write_text("mine")

    code, _, err = astra(*TRAIN, "--output", output)

    assert code == 2
    assert "exists; choose another name, or give --overwrite" in err
    assert output.read_text() == "mine"


def test_a_missing_database_is_a_wrong_configuration(astra, tmp_path):
    code, _, err = astra(*TRAIN, "--output", tmp_path / "m.safetensors")

    assert code == 78
    assert "run `astra init` first" in err


@on_sqlite
def test_an_option_that_cannot_be_is_a_wrong_configuration(astra, survey, tmp_path):
    code, _, err = astra(*TRAIN, "--output", tmp_path / "m.safetensors", "--learning-rate", -1)

    assert code == 78
    assert "learning_rate: -1.0; it must be positive" in err


@on_sqlite
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_that_is_stopped_goes_on_with_the_same_command(survey, tmp_path, number):
    output = tmp_path / "made.safetensors"
    many = ("--epochs", "200", "--batch-size", "16", "--device", "cpu", "--output", str(output))
    command = [sys.executable, "-m", "astra", *TRAIN, *many]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        seen = [process.stderr.readline() for _ in range(2)]
        os.kill(process.pid, number)
        seen.append(process.stderr.read())
    first = "".join(seen)

    assert process.returncode == (75 if number != signal.SIGKILL else -signal.SIGKILL), first
    assert "epoch 2 of" in first
    if number != signal.SIGKILL:
        assert "training stopped by" in first
        assert "run again to go on" in first
    assert not output.exists()

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        again = process.stderr.readline()
        process.terminate()
        process.stderr.read()

    assert "epoch 1 of" not in again
    assert "epoch 2 of" not in again
