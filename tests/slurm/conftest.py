"""A real Slurm, a survey in PostgreSQL that its jobs reach, and the command line in its own process."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import a_source, a_spectrum, write_apstar
from conftest import CI

from astra.config import load_settings
from astra.database.connection import bound_to, open_database

from slurm_cluster import NoCluster, check_installed, jobs, temporary_cluster, wait_until


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A Slurm of this machine for the whole session; its configuration file."""
    try:
        check_installed(install=CI)
    except NoCluster as error:
        if CI:
            raise
        pytest.skip(str(error))
    with temporary_cluster() as configuration:
        yield configuration


@pytest.fixture
def slurm(cluster, monkeypatch, tmp_path) -> Iterator[Path]:
    """The cluster is the one in use, and jobs start in an empty folder; none outlives the test."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CONF", str(cluster))
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    subprocess.run(["scancel", "--me"], check=False)


@pytest.fixture
def survey(postgres, postgres_template, monkeypatch) -> Iterator[None]:
    """An open PostgreSQL database with all tables, which is also the configured one."""
    with postgres.database(postgres_template) as dbname:
        monkeypatch.setenv("ASTRA_DATABASE_URL", postgres.url(dbname))
        with bound_to(open_database(load_settings())):
            yield


@pytest.fixture
def spectra(survey, add_spectra):
    """Adds pending spectra to the survey."""
    return add_spectra


@pytest.fixture
def add_spectra(tmp_path):
    """Adds pending spectra, all of one file, to the database in use."""

    def add(count: int) -> None:
        path = write_apstar(tmp_path / "apStar-dr17-x.fits")
        source = a_source()
        for _ in range(count):
            a_spectrum(source, path)

    return add


class Srun:
    """``astra srun astronn_dist`` in its own process."""

    def __init__(self, *words: object) -> None:
        command = [sys.executable, "-m", "astra", "srun", "astronn_dist", "--device", "cpu"]
        self.process = subprocess.Popen(
            [*command, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def job(self) -> str:
        """The number of its job, once there is one."""
        return wait_until(lambda: next(iter(jobs()), None))

    def end(self, timeout: float = 90) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


@pytest.fixture
def srun(slurm, toy_weights) -> Iterator:
    """Starts ``astra srun`` with small weights; none outlives the test."""
    with contextlib.ExitStack() as stack:

        def start(*words: object) -> Srun:
            started = Srun("--weights", toy_weights, *words)
            stack.callback(started.process.kill)
            return started

        yield start


@pytest.fixture
def srun_json(srun):
    """Runs ``astra srun --json`` to its end; its report, and what stood on stderr."""

    def call(*words: object) -> tuple[dict, str]:
        code, out, err = srun("--json", *words).end()
        report = json.loads(out)
        assert report["exit_code"] == code
        return report, err

    return call
