"""The DAGs that come as examples, in a real Airflow: they run, and exit codes decide what is tried again."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits
from builders import write_apstar

from astra.models import AstroNNdist
from astra.pipelines.astronn_dist.weights.files import load_weights, save_weights
from astra.pipelines.astronn_dist.weights.library import DEFAULT

ROOT = Path(__file__).resolve().parents[1]
DAGS = ROOT / "docs" / "airflow"
# Of an environment of its own, because Airflow wants other versions of many things.
AIRFLOW = Path(os.environ.get("ASTRA_TEST_AIRFLOW") or ROOT / ".venv-airflow" / "bin" / "airflow")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not AIRFLOW.exists(), reason=f"no Airflow at {AIRFLOW}: `make check-slow` installs it"
    ),
]

# Runs the first step with a command that only has an exit code, and prints what Airflow is told.
ONE_STEP = """
import sys
sys.path.insert(0, sys.argv[1])
from astra_distances import tasks
try:
    print("result", tasks[0].execute({}))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def airflow(tmp_path, monkeypatch):
    """Runs a command of Airflow with a home of its own."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))

    def call(*arguments):
        return subprocess.run([AIRFLOW, *arguments], capture_output=True, text=True, check=False)

    done = call("db", "migrate")
    assert done.returncode == 0, done.stderr
    return call


def test_the_dag_ingests_runs_checks_and_makes_what_others_read_and_another_waits_for_it(
    db, airflow, tmp_path, toy_weights, monkeypatch
):
    spectra = tmp_path / "spectra"
    spectra.mkdir()
    for number in range(3):
        write_apstar(spectra / f"apStar-dr17-2M0000000{number}+0000000.fits")
    catalog = tmp_path / "targets.csv"
    catalog.write_text("apogee_id,k_mag,ebv\n2M00000000+0000000,10.0,0.1\n")
    monkeypatch.setenv("ASTRA_COMMAND", str(Path(sys.executable).with_name("astra")))
    monkeypatch.setenv("ASTRA_SPECTRA", str(spectra))
    monkeypatch.setenv("ASTRA_CATALOG", str(catalog))
    monkeypatch.setenv("ASTRA_PRODUCTS", str(tmp_path))
    monkeypatch.setenv("ASTRA_WEIGHTS", str(toy_weights))
    db.close()

    done = airflow("dags", "test", "astra_distances", "--dagfile-path", str(DAGS / "astra_distances.py"))

    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "3 measured + 0 no_result = 3 processed" in said
    assert AstroNNdist.select().count() == 3
    assert len(fits.getdata(tmp_path / "distances.fits", "APOGEE")) == 3
    assert "<title>" in (tmp_path / "distances.html").read_text()

    after = airflow("dags", "test", "astra_products", "--dagfile-path", str(DAGS / "astra_products.py"))

    assert after.returncode == 0, (after.stdout + after.stderr)[-4000:]
    assert (tmp_path / "good.fits").exists()


@pytest.fixture
def next_release(tmp_path) -> Path:
    """A folder for Python's path with this package, but its default is another model, the next."""
    package, weights = tmp_path / "next" / "astra", "pipelines/astronn_dist/weights"
    shutil.copytree(ROOT / "python/astra", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "migrations").symlink_to(ROOT / "migrations")
    library = package / weights / "library.py"
    former = f'DEFAULT = "{DEFAULT}"'
    assert library.read_text().count(former) == 1
    library.write_text(library.read_text().replace(former, 'DEFAULT = "next"'))
    old = load_weights(package / weights / f"default/{DEFAULT}.safetensors")
    tensors = {**old.tensors, "labels_std": old.tensors["labels_std"] * 1.01}
    save_weights(replace(old, tensors=tensors), package / weights / "default/next.safetensors")
    return package.parent


def write_command(command: Path, path: Path) -> Path:
    """Write the command ``astra`` of the package in this folder of Python's path."""
    command.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} -P -m astra "$@"\n')
    command.chmod(0o755)
    return command


@pytest.mark.parametrize(
    ("database_url", "made_by"),
    [
        ("sqlite", "this version"),
        pytest.param("postgresql", "an earlier version", marks=pytest.mark.postgres),
    ],
    indirect=["database_url"],
)
def test_the_night_after_an_upgrade_the_same_dag_measures_new_spectra_with_the_old_default(
    empty_database, request, airflow, tmp_path, next_release, monkeypatch, made_by
):
    before = ROOT if made_by == "this version" else request.getfixturevalue("old_root")
    old = write_command(tmp_path / "old-astra", before / "python")
    new = write_command(tmp_path / "new-astra", next_release)
    spectra, catalog = tmp_path / "spectra", tmp_path / "targets.csv"
    spectra.mkdir()
    catalog.write_text("apogee_id,k_mag,ebv\n2M00000000+0000000,10.0,0.1\n")
    for number in range(3):
        write_apstar(spectra / f"apStar-dr17-2M0000000{number}+0000000.fits")
    for words in (["init"], ["ingest", "apstar", spectra, "--catalog", catalog], ["run", "astronn_dist"]):
        subprocess.run([old, *words], check=True)

    def rows() -> list[tuple]:
        runs = "JOIN task_run ON task_run.pk = run_pk"
        columns = "spectrum_pk, dist, result_flags, weights_name"
        query = f"SELECT {columns} FROM astro_nn_dist {runs} ORDER BY spectrum_pk"
        return list(empty_database.execute_sql(query).fetchall())

    made = rows()
    subprocess.run([new, "init"], check=True)
    for number in range(3, 5):
        write_apstar(spectra / f"apStar-dr17-2M0000000{number}+0000000.fits")
    for name, value in {"COMMAND": new, "SPECTRA": spectra, "CATALOG": catalog, "PRODUCTS": tmp_path}.items():
        monkeypatch.setenv(f"ASTRA_{name}", str(value))
    empty_database.close()

    done = airflow("dags", "test", "astra_distances", "--dagfile-path", str(DAGS / "astra_distances.py"))

    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "2 measured + 0 no_result = 2 processed" in said
    assert said.count("the default is now next (sha256 ") == 1
    assert rows()[:3] == made
    first = DEFAULT if made_by == "this version" else "simulated-5"
    assert [weights for *_, weights in rows()] == [first] * 5
    assert len(fits.getdata(tmp_path / "distances.fits", "APOGEE")) == 5


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, "result ready"),
        (69, "AirflowException exit code 69: the database cannot be reached; the next try goes on: ready"),
        (75, "AirflowException exit code 75: stopped before the end; the next try goes on: ready"),
        (137, "AirflowException killed (exit code 137); the next try goes on: ready"),
        (2, "AirflowFailException exit code 2, which another try would not change: ready"),
        (74, "AirflowFailException exit code 74, which another try would not change: ready"),
        (78, "AirflowFailException exit code 78, which another try would not change: ready"),
    ],
)
def test_exit_codes_decide_what_is_tried_again(airflow, tmp_path, monkeypatch, code, told):
    command = tmp_path / "astra"
    command.write_text(f"#!/bin/sh\necho ready\nexit {code}\n")
    command.chmod(0o755)
    monkeypatch.setenv("ASTRA_COMMAND", str(command))

    done = subprocess.run(
        [AIRFLOW.with_name("python"), "-c", ONE_STEP, str(DAGS)], capture_output=True, text=True, check=False
    )

    assert told in done.stdout.splitlines(), done.stdout + done.stderr
