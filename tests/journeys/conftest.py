"""What the first ten minutes begin with: simulated stars, a database of some of them, and a terminal."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import Terminal

#: Stars that are ingested and measured.
MEASURED = 22


@pytest.fixture(scope="session")
def measured(once, tmp_path_factory) -> Path:
    """A folder with ``demo/spectra`` as `make run` leaves it, and a database ``my.db`` of the first stars."""
    made, folder = once("journey", _measure), tmp_path_factory.mktemp("journey")
    shutil.copytree(made, folder, copy_function=os.link, dirs_exist_ok=True)
    (folder / "my.db").unlink()
    shutil.copy(made / "my.db", folder)
    return folder


def _measure(folder: Path) -> None:
    spectra, first = folder / "demo" / "spectra", folder / "first"
    _typed(folder, "simulate", spectra)
    first.mkdir()
    for path in files(folder)[:MEASURED]:
        shutil.copy(path, first)
    assert any("schema is ready" in line for line in _typed(folder, "init"))
    ingested = _typed(folder, "ingest", "apstar", first, "--catalog", spectra / "targets.csv")
    assert any(f"{MEASURED} new" in line for line in ingested), ingested
    assert any(line.startswith("run 1: done in") for line in _typed(folder, "run", "astronn_dist"))


def _typed(folder: Path, *words: object, code: int = 0, width: int = 80) -> list[str]:
    """What stands in a terminal after a command that ends with this code."""
    environment = {"ASTRA_DATABASE_PATH": str(folder / "my.db"), "ASTRA_CONFIG": "/dev/null"}
    size = {"width": width, "height": 60}
    with Terminal("astra", *words, folder=folder, environment=environment, **size) as terminal:
        assert terminal.wait() == code, terminal.transcript()
        return terminal.transcript()


def files(folder: Path) -> list[Path]:
    """The files of the stars, in order."""
    return sorted((folder / "demo" / "spectra").glob("apStar-*.fits"))


@pytest.fixture(params=[80, pytest.param(200, marks=pytest.mark.slow)])
def type_in(request, measured) -> Callable:
    """Types a command in a terminal of 80, then of 200 columns; gives its exit code and what stands there."""

    def run(*words: object, code: int = 0) -> list[str]:
        return _typed(measured, *words, code=code, width=request.param)

    return run
