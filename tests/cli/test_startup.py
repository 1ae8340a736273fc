"""The command line answers at once: what is not needed is not loaded."""

import json
import os
import subprocess
import sys

import pytest
from builders import a_source, a_spectrum, slow_on_sqlite, write_apstar

from astra.system.processes import THREAD_VARIABLES

HEAVY = ("torch", "astropy", "bokeh", "numpy", "peewee", "rich", "yaml")


# In one process: it is the start that takes long. What one command loads, all that follow seem to load.
HELP = f"""
import sys
from astra.cli import main
for command in sys.argv[1:]:
    code = main([*command.split(), "--help"])
    print("AFTER", command, code, [name for name in {HEAVY} if name in sys.modules])
"""


def test_help_loads_nothing_heavy():
    commands = ["", "init", "run", "srun", "status", "version", "ingest", "config", "models"]
    commands += ["fetch", "simulate", "compare", "doctor", "create", "explain", "report", "serve", "trials"]

    ran = subprocess.run([sys.executable, "-c", HELP, *commands], capture_output=True, text=True)

    assert (ran.returncode, ran.stderr) == (0, "")
    after = [line for line in ran.stdout.splitlines() if line.startswith("AFTER")]
    assert after == [f"AFTER {command} 0 []" for command in commands]


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate"],
        ["compare"],
        ["create"],
        ["explain"],
        ["init"],
        ["run"],
        ["srun"],
        ["status"],
        ["doctor"],
        ["report"],
        ["serve"],
        ["trials", "compare"],
        ["version"],
        ["fetch"],
        ["ingest", "apstar"],
        ["ingest", "allstar"],
        ["ingest", "catalog"],
        ["config", "show"],
        ["models", "list"],
        ["models", "show"],
        ["models", "import"],
    ],
    ids=" ".join,
)
def test_every_command_shows_worked_examples(arguments, capsys):
    from astra.cli import main

    assert main([*arguments, "--help"]) == 0
    assert f"astra {' '.join(arguments)}" in capsys.readouterr().out.split("Example")[1]


@pytest.mark.parametrize("command", ["run", "srun"])
def test_the_options_of_a_task_are_shown_without_torch(command):
    code = "import sys; sys.modules['torch'] = None; from astra.cli import main; sys.exit(main(sys.argv[1:]))"

    ran = subprocess.run(
        [sys.executable, "-c", code, command, "astronn_dist", "--help"], capture_output=True, text=True
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Options of astronn_dist:\n  --n-draws " in ran.stdout


def test_a_run_with_nothing_pending_does_not_load_torch(db, toy_weights):
    code = (
        "import sys; from astra.cli import main; code = main(sys.argv[1:]); "
        "print('torch' in sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "run", "astronn_dist", "--weights", str(toy_weights)]

    ran = subprocess.run(command, capture_output=True, text=True)

    assert ran.stdout.splitlines() == ["nothing is pending for astronn_dist", "False"], ran.stderr


@slow_on_sqlite
def test_a_run_of_several_workers_lets_them_load_what_computes(db, toy_weights, tmp_path):
    a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-x.fits"))
    # None: an import fails; but not in the workers, which are started anew.
    code = "import sys; sys.modules['numba'] = None; from astra.cli import main; sys.exit(main(sys.argv[1:]))"
    options = ["--weights", str(toy_weights), "--device", "cpu", "--workers", "2", "--json"]

    ran = subprocess.run(
        [sys.executable, "-c", code, "run", "astronn_dist", *options], capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["measured"] == 1


def test_a_run_on_a_cpu_does_without_torch(db, toy_weights, tmp_path):
    a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-x.fits"))
    # None: an import fails.
    code = "import sys; sys.modules['torch'] = None; from astra.cli import main; sys.exit(main(sys.argv[1:]))"
    options = ["--weights", str(toy_weights), "--device", "cpu", "--json"]

    ran = subprocess.run(
        [sys.executable, "-c", code, "run", "astronn_dist", *options], capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["measured"] == 1


def test_after_init_no_run_compiles_anything(tmp_path):
    code = (
        "from astra.pipelines.astronn_dist.network import on_cpu; "
        "from astra.system.compiled import what_is_kept; "
        "print(*((kept.ready > 0, kept.absent) for kept in what_is_kept()))"
    )
    places = {"NUMBA_CACHE_DIR": str(tmp_path / "compiled"), "ASTRA_DATABASE_PATH": str(tmp_path / "a.db")}

    for command in ["-m", "astra", "init"], ["-c", code]:
        ran = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env=os.environ | places
        )

    assert (ran.stdout, ran.stderr) == ("(True, 0)\n", "")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process has one core")
@pytest.mark.parametrize(("command", "threads"), [("run", "1"), ("distance", "1"), ("train", "None")])
def test_what_samples_computes_in_one_thread(command, threads):
    code = (
        "import os, sys; from astra.cli import main; main(sys.argv[1:]); "
        "print(*[os.environ.get(name) for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')])"
    )
    left = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}

    ran = subprocess.run(
        [sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, env=left
    )

    assert ran.stdout.splitlines()[-1] == f"{threads} {threads}"


@pytest.mark.parametrize("word", ["version", "--version"])
def test_the_version_is_that_of_the_package(word, capsys):
    from importlib.metadata import version

    from astra.cli import main

    assert main([word]) == 0
    assert capsys.readouterr().out == f"{version('astra-distances')}\n"
