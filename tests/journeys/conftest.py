"""What the first ten minutes begin with: simulated stars, a database of some of them, and a terminal."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import Terminal

from astra.cli import main

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
    assert main(["simulate", str(spectra)]) == 0
    first.mkdir()
    for path in files(folder)[:MEASURED]:
        shutil.copy(path, first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTRA_DATABASE_PATH", str(folder / "my.db"))
        for words in (
            ["init"],
            ["ingest", "apstar", str(first), "--catalog", str(spectra / "targets.csv")],
            ["run", "astronn_dist"],
        ):
            assert main(words) == 0


def files(folder: Path) -> list[Path]:
    """The files of the stars, in order."""
    return sorted((folder / "demo" / "spectra").glob("apStar-*.fits"))


@pytest.fixture(params=[80, 200])
def type_in(request, measured) -> Callable:
    """Types a command in a terminal of 80, then of 200 columns; gives its exit code and what stands there."""

    def run(*words: object, code: int = 0) -> list[str]:
        environment = {"ASTRA_DATABASE_PATH": str(measured / "my.db"), "ASTRA_CONFIG": "/dev/null"}
        size = {"width": request.param, "height": 60}
        with Terminal("astra", *words, folder=measured, environment=environment, **size) as terminal:
            assert terminal.wait() == code, terminal.transcript()
            return terminal.transcript()

    return run
