"""The demonstration of `make run`: from nothing to distances beside the true ones."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder of its own, so that the demonstration does not touch that of the developer."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copytree(ROOT / "bin", folder / "bin")
    (folder / "python").symlink_to(ROOT / "python")
    return folder


def test_the_demonstration_needs_nothing_beside_the_project(checkout, toy_weights):
    """Other settings of the user's do not count, and what was in demo/ is gone."""
    (checkout / "demo").mkdir()
    (checkout / "demo" / "old").touch()
    users = {"ASTRA_DATABASE_PATH": "/nowhere/x.db", "SAS_BASE_DIR": "/nowhere", "MWM_ASTRA": "/nowhere"}

    ran = _demo(checkout, WEIGHTS=str(toy_weights), STARS="12", **users)

    assert ran.returncode == 0, ran.stderr
    assert [line.split()[2] for line in ran.stdout.splitlines() if line.startswith("$ astra")] == [
        "simulate",
        "init",
        "ingest",
        "run",
        "compare",
    ]
    assert "spectra: 12 new" in ran.stdout
    assert "catalogue rows: 12 matched, 0 unmatched" in ran.stdout
    assert "12 measured + 0 no_result = 12 processed" in ran.stdout
    (every,) = [line for line in ran.stdout.splitlines() if line.startswith("all ")]
    assert every.split()[:3] == ["all", "12", "12"]
    assert "  astra serve --open" in ran.stdout.rpartition("What to do next")[2].splitlines()[3]
    assert re.search(r"^  astra report --star 2M\d{8}[+-]\d{7} --output", ran.stdout, re.MULTILINE)
    assert not (checkout / "demo" / "old").exists()
    assert len(list((checkout / "demo" / "spectra").glob("apStar-dr17-2M*.fits"))) == 12


def test_weights_that_are_not_there_leave_the_last_demonstration_as_it_is(checkout):
    (checkout / "demo").mkdir()
    (checkout / "demo" / "old").touch()

    ran = _demo(checkout, WEIGHTS="/nowhere/x.safetensors")

    assert (ran.returncode, ran.stdout) == (78, "")
    assert "/nowhere/x.safetensors" in ran.stderr.splitlines()[0]
    assert (checkout / "demo" / "old").exists()


def _demo(checkout: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path} | settings
    return subprocess.run([checkout / "bin" / "demo"], capture_output=True, text=True, env=environment)
