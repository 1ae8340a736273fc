"""@task reads the models from the annotations; other packages add tasks by entry point."""

import subprocess
import sys
from collections.abc import Iterable, Iterator

import guests
import pytest
from builders import a_source, a_spectrum

import astra
from astra.errors import UsageError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.tasks.contract import find_task, task, task_names


def test_a_task_knows_its_models_and_its_options():
    @astra.task
    def toy(spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, depth: int = 1) -> Iterator[AstroNNdist]:
        yield from ()

    assert (toy.name, toy.spectrum_model, toy.output_model) == (
        "toy",
        ApogeeCoaddedSpectrumInApStar,
        AstroNNdist,
    )
    assert set(toy.options) == {"depth"}


def test_a_task_without_annotations_fails_at_import():
    def no_input(spectra) -> Iterator[AstroNNdist]:
        yield

    def no_output(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]):
        yield

    def wrong_output(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[int]:
        yield

    with pytest.raises(TypeError, match="task no_input: annotate spectra as Iterable"):
        task(no_input)
    for function in (no_output, wrong_output):
        with pytest.raises(TypeError, match="annotate what it yields as Iterator"):
            task(function)


def test_rows_carry_the_time_they_took():
    @task
    def slow(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        import time

        for _ in spectra:
            time.sleep(0.02)
            yield AstroNNdist()

    first, second = slow([1, 2])

    assert 0.02 <= first.t_elapsed < 0.5
    assert 0.02 <= second.t_elapsed < 0.5


def test_the_distance_task_is_installed():
    assert "astronn_dist" in task_names()
    assert find_task("astronn_dist").output_model is AstroNNdist


def test_an_unknown_task_is_named_with_those_that_exist():
    with pytest.raises(UsageError, match="unknown task 'astronn_dst'; installed tasks: astronn_dist"):
        find_task("astronn_dst")


SETUP = """
[metadata]
name = guest-package
version = 1.0
[options]
py_modules = guest_package
[options.entry_points]
astra.tasks =
    count_pixels = guest_package:count_pixels
    broken = guest_package:not_there
"""


@pytest.fixture
def with_toy_package(tmp_path, monkeypatch):
    """A package of someone else's, installed with pip, that offers a task and a broken one."""
    source, target = tmp_path / "toy", tmp_path / "installed"
    source.mkdir()
    (source / "guest_package.py").write_text(guests.GOOD)
    (source / "setup.cfg").write_text(SETUP)
    (source / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    command = [
        "-m",
        "pip",
        "install",
        "-qq",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(target),
        str(source),
    ]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    monkeypatch.setenv("PYTHONPATH", str(target))


def _astra(*arguments):
    return subprocess.run([sys.executable, "-m", "astra", *arguments], capture_output=True, text=True)


@pytest.fixture
def toy_table(db):
    """The table of the foreign task, which its package would make by a migration of its own."""
    guests.make_table(db)


def test_another_package_adds_a_task_with_results_of_its_own(db, with_toy_package, toy_table):
    spectra = [a_spectrum(a_source()) for _ in range(3)]

    first, second = _astra("run", "count_pixels"), _astra("run", "count_pixels", "--retry", "no_result")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "3 measured + 0 no_result = 3 processed" in first.stdout
    assert second.stdout == "nothing is pending for count_pixels\n"
    rows = db.execute_sql("SELECT pixels FROM guest_result ORDER BY spectrum_pk").fetchall()
    assert rows == [(spectrum.pk,) for spectrum in spectra]
    assert _astra("status", "count_pixels").returncode == 0


def test_a_broken_package_stops_its_own_task_alone(db, with_toy_package, toy_table):
    ran = _astra("run", "broken")

    assert ran.returncode == 78
    assert ran.stderr.startswith("astra: error: task 'broken' cannot be loaded from guest_package:not_there")
    assert _astra("run", "count_pixels").returncode == 0


def test_an_option_that_a_task_does_not_have_is_refused(db, with_toy_package):
    ran = _astra("run", "count_pixels", "--weights", "x.pt")

    assert ran.returncode == 2
    assert "task count_pixels has no option --weights" in ran.stderr
