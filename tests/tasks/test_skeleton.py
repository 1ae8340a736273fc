"""The skeleton of a package that adds a task works as it is written."""

import json
import os
import subprocess
import sys

import pytest
from builders import a_source, a_spectrum, write_apstar

from astra.cli import main
from astra.errors import UsageError
from astra.tasks.installed import find_task
from astra.tasks.skeleton import write_skeleton


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of a new package, and where pip has installed it."""
    folder, target = tmp_path_factory.mktemp("new") / "snr", tmp_path_factory.mktemp("installed")
    write_skeleton("snr_of_mine", folder)
    pip = ["-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, *pip, str(folder)], check=True, capture_output=True)
    return folder, target


@pytest.fixture
def installed(package, monkeypatch):
    """The new package, installed for this process and its children until the end of the test."""
    folder, target = package
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "snr_of_mine"]:
        del sys.modules[name]


@pytest.mark.heavy
def test_its_own_tests_pass(installed):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(installed / "tests")]

    ran = subprocess.run(command, cwd=installed, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_its_task_is_made_run_and_shown_on_every_database(db, installed, tmp_path, capsys):
    good = a_spectrum(a_source(), write_apstar(tmp_path / "apStar-good.fits"))
    bad = a_spectrum(a_source(), write_apstar(tmp_path / "apStar-bad.fits"))
    bad.absolute_path.write_bytes(b"not FITS")

    assert main(["init"]) == 0
    assert main(["run", "snr_of_mine"]) == 0
    assert main(["status", "snr_of_mine"]) == 0
    assert main(["tasks", "show", "snr_of_mine"]) == 0

    said = capsys.readouterr().out
    assert "1 measured + 1 no_result = 2 processed (bad 1, warn 0; flag_no_result 1)" in said
    assert "flag_weak       bit 0 [flag_warn]: The median of flux over error is below --weak-below" in said
    assert "--weak-below  The median of flux over error below which a spectrum is flagged" in said
    rows = find_task("snr_of_mine").output_model.select()
    assert {row.spectrum_pk: row.snr_median > 50 for row in rows} == {
        good.spectrum_pk: True,
        bad.spectrum_pk: False,
    }


@pytest.mark.parametrize("name", ["Snr", "my-task", "1st", "", "class", "x" * 47])
def test_a_name_that_is_no_module_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="not a name of a task"):
        write_skeleton(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_name_of_an_installed_task_is_refused(tmp_path):
    with pytest.raises(UsageError, match="'astronn_dist' is installed already"):
        write_skeleton("astronn_dist", tmp_path / "new")


def test_nothing_that_is_there_is_replaced(tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")

    assert main(["tasks", "new", "my_task", str(folder)]) == 2

    assert f"{folder} is there already; name a folder that is new, or empty" in capsys.readouterr().err
    assert os.listdir(folder) == ["mine.txt"]


def test_the_installed_tasks_are_listed_with_what_they_do(capsys):
    assert main(["tasks"]) == 0
    assert "astronn_dist" in capsys.readouterr().out
    assert main(["tasks", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["astronn_dist"] == {
        "summary": "Estimate a heliocentric distance from each co-added APOGEE spectrum.",
        "spectra": "ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum",
        "table": "astro_nn_dist",
    }
