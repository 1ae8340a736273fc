"""What the first ten minutes begin with: simulated stars, a database of some of them, and a terminal."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import Terminal

from astra.cli import main

#: Stars that are ingested and measured.
MEASURED = 22


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Path:
    """A folder with ``demo/spectra`` as `make run` leaves it: the same stars, seed and all."""
    folder = tmp_path_factory.mktemp("journey")
    assert main(["simulate", str(folder / "demo" / "spectra")]) == 0
    return folder


@pytest.fixture(scope="session")
def measured(simulated) -> Path:
    """The same folder, with a database ``my.db`` of the first stars and their distances."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ASTRA_DATABASE_PATH", str(simulated / "my.db"))
    try:
        first = simulated / "first"
        first.mkdir()
        for path in files(simulated)[:MEASURED]:
            shutil.copy(path, first)
        for words in (
            ["init"],
            ["ingest", "apstar", str(first), "--catalog", str(simulated / "demo/spectra/targets.csv")],
            ["run", "astronn_dist"],
        ):
            assert main(words) == 0
    finally:
        patch.undo()
    return simulated


def files(folder: Path) -> list[Path]:
    """The files of the stars, in order."""
    return sorted((folder / "demo" / "spectra").glob("apStar-*.fits"))


@pytest.fixture(params=[80, 200])
def type_in(request, simulated) -> Callable:
    """Types a command in a terminal of 80, then of 200 columns; gives its exit code and what stands there."""

    def run(*words: object, code: int = 0) -> list[str]:
        environment = {"ASTRA_DATABASE_PATH": str(simulated / "my.db"), "ASTRA_CONFIG": "/dev/null"}
        size = {"width": request.param, "height": 60}
        with Terminal("astra", *words, folder=simulated, environment=environment, **size) as terminal:
            assert terminal.wait() == code, terminal.transcript()
            return terminal.transcript()

    return run
