"""@task reads the models from the annotations; other packages add tasks by entry point."""

import copy
import itertools
import subprocess
import sys
from collections.abc import Iterable, Iterator

import guests
import pytest
from builders import a_source, a_spectrum, slow_on_sqlite, write_apstar

import astra
from astra.errors import AstraError, MissingSpectrum, UsageError
from astra.fields import BooleanField
from astra.models import (
    ApogeeCoaddedSpectrumInApStar,
    ApogeeCombinedSpectrum,
    AstroNNdist,
    FlaggedOutputModel,
    PipelineOutputModel,
)
from astra.tasks.contract import task
from astra.tasks.installed import find_task, task_names


def test_a_task_knows_its_models_and_its_options():
    @astra.task
    def toy(spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, depth: int = 1) -> Iterator[AstroNNdist]:
        yield from ()

    assert (toy.name, toy.spectrum_models, toy.output_model) == (
        "toy",
        (ApogeeCoaddedSpectrumInApStar,),
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


def test_flags_are_those_of_the_base_class():
    class HomeMade(PipelineOutputModel):
        flag_bad = BooleanField()

    def flagging(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[HomeMade]:
        yield

    with pytest.raises(TypeError, match="HomeMade has a flag_bad of its own; let it inherit from Flagged"):
        task(flagging)


class Unflagged(PipelineOutputModel):
    """Results that cannot say that there is none."""


def _reading(output, at_once=1):
    """A task that reads so many spectra before their rows, and catches no error."""

    @task
    def reading(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[output]:
        spectra = iter(spectra)
        while batch := list(itertools.islice(spectra, at_once)):
            assert all(spectrum.flux.shape == (8575,) for spectrum in batch)
            yield from map(output.from_spectrum, batch)

    return reading


@pytest.fixture
def files(db, tmp_path):
    """Six spectra, the second and third of which are damaged, and the last one is not there."""
    spectra = [a_spectrum(a_source(), write_apstar(tmp_path / f"apStar-{n}.fits")) for n in range(6)]
    for damaged in spectra[1:3]:
        damaged.absolute_path.write_bytes(b"not FITS")
    spectra[-1].absolute_path.unlink()
    return spectra


@pytest.mark.parametrize("at_once", [1, 2, 4, 10])
def test_an_error_of_a_reader_becomes_a_flagged_row_in_its_place(files, at_once):
    assert issubclass(AstroNNdist, FlaggedOutputModel)

    rows = list(_reading(AstroNNdist, at_once)(files))

    assert [row.spectrum_pk for row in rows] == [spectrum.spectrum_pk for spectrum in files]
    assert [row.flag_no_result for row in rows] == [False, True, True, False, False, True]
    assert [row.file_lost for row in rows] == [False] * 5 + [True]
    for row, spectrum in zip(rows, files, strict=True):
        assert (str(spectrum.path) in (row.no_result_reason or "")) == row.flag_no_result


def test_results_that_cannot_say_that_there_is_none_end_the_run_and_the_error_says_so(files):
    with pytest.raises(AstraError, match=r"cannot be read \(.*let Unflagged inherit from FlaggedOutputModel"):
        list(_reading(Unflagged)(files))


def test_an_error_before_the_first_spectrum_is_an_error():
    @task
    def broken(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        ApogeeCoaddedSpectrumInApStar(path="/nowhere").read()
        yield

    with pytest.raises(MissingSpectrum):
        list(broken([]))


def test_a_task_may_take_spectra_of_several_models():
    @task
    def two(
        spectra: Iterable[ApogeeCoaddedSpectrumInApStar | ApogeeCombinedSpectrum],
    ) -> Iterator[AstroNNdist]:
        yield

    assert two.spectrum_models == (ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum)


def test_what_is_not_a_model_of_spectra_is_refused_also_as_one_of_several():
    def two(spectra: Iterable[ApogeeCoaddedSpectrumInApStar | int]) -> Iterator[AstroNNdist]:
        yield

    with pytest.raises(TypeError, match=r"annotate spectra as Iterable\[.*\]; of several, write"):
        task(two)


def test_a_task_on_groups_is_refused():
    with pytest.raises(TypeError, match=r"group_by=…\) is not supported, .* write @task without it"):
        task(group_by=("source_pk", "telescope"))


_flag = FlaggedOutputModel.result_flags.flag


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"BAD": 2**0}, "BAD of Careless leaves flag_no_result out: write BAD = FlaggedOutputModel.BAD"),
        ({"WARN": 2**7}, "BAD or WARN of Careless has bit 7, which no flag has"),
        ({"flag_a": _flag(2**11)}, "flag_a and flag_no_result of Careless are both bit 11"),
        ({"flag_a": _flag(2**3), "flag_b": _flag(2**3)}, "flag_a and flag_b of Careless are both bit 3"),
    ],
)
def test_flags_that_would_say_something_else_are_refused(attributes, fault):
    model = type("Careless", (FlaggedOutputModel,), attributes)

    def careless(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[model]:
        yield

    with pytest.raises(TypeError, match=fault):
        task(careless)


def test_results_with_indexes_of_their_own_name_the_common_one_among_them():
    class Indexed(FlaggedOutputModel):
        class Meta:
            indexes = ((("source_pk",), False),)

    def indexed(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[Indexed]:
        yield

    with pytest.raises(TypeError, match="Indexed has indexes of its own: name PipelineOutputModel.UNIQUE"):
        task(indexed)


@pytest.mark.parametrize("value", [0, 3, -1])
def test_a_flag_of_several_bits_is_refused(value):
    with pytest.raises(TypeError, match="a flag is one bit"):
        _flag(value)


@task
def toy(spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, depth: int = 1) -> Iterator[AstroNNdist]:
    yield from (AstroNNdist() for _ in spectra)


@pytest.mark.parametrize(
    "option",
    [
        {"write_to_database": True},
        {"batch_size": 100},
        {"write_frequency": 300},
        {"re_raise_exceptions": False},
        {"live": False},
    ],
    ids=str,
)
def test_who_asks_a_call_to_write_hears_what_writes(option):
    (name,) = option

    with pytest.raises(TypeError, match=rf"toy\({name}=…\): .* writes none.* `astra run toy`"):
        toy([], **option)


def test_keywords_of_upstream_that_ask_for_what_happens_are_taken():
    assert len(list(toy([1, 2], write_to_database=False, re_raise_exceptions=True, live=True))) == 2
    with pytest.raises(TypeError, match="has no option 'dept'; it has depth"):
        toy([], dept=1)


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


@pytest.mark.parametrize(
    "path", ["astra.pipelines.astronn_dist.astronn_dist", "pipelines.astronn_dist.astronn_dist"]
)
def test_a_task_is_found_by_its_dotted_path(path):
    assert find_task(path) is find_task("astronn_dist")


@pytest.mark.parametrize("path", ["elsewhere.astronn_dist", "astra.pipelines.astronn_dist", ".", "dist"])
def test_a_path_that_leads_to_no_task_is_named_as_it_was_given(path):
    with pytest.raises(UsageError, match=f"unknown task '{path}'"):
        find_task(path)


def test_an_unknown_task_is_named_with_those_that_exist():
    with pytest.raises(UsageError, match="unknown task 'astronn_dst'; did you mean astronn_dist"):
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
def toy_table(db, with_toy_package):
    """The table of the foreign task; what is wrong with the broken one is no obstacle."""
    made = _astra("init")
    assert (made.returncode, made.stderr.count("\n")) == (78, 2), made.stderr
    assert "made the table guest_result\nastra: error: task 'broken' cannot be loaded" in made.stderr


@slow_on_sqlite
def test_another_package_adds_a_task_with_results_of_its_own(db, with_toy_package, toy_table):
    spectra = [a_spectrum(a_source()) for _ in range(3)]

    first, second = _astra("run", "count_pixels"), _astra("run", "count_pixels", "--retry", "no_result")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "3 measured + 0 no_result = 3 processed" in first.stdout
    assert second.stdout == "nothing is pending for count_pixels\n"
    rows = db.execute_sql("SELECT pixels FROM guest_result ORDER BY spectrum_pk").fetchall()
    assert rows == [(spectrum.pk,) for spectrum in spectra]
    assert _astra("status", "count_pixels").returncode == 0


@slow_on_sqlite
def test_a_broken_package_stops_its_own_task_alone(db, with_toy_package, toy_table):
    ran = _astra("run", "broken")

    assert ran.returncode == 78
    assert ran.stderr.startswith("astra: error: task 'broken' cannot be loaded from guest_package:not_there")
    assert _astra("run", "count_pixels").returncode == 0


@slow_on_sqlite
def test_an_option_that_a_task_does_not_have_is_refused(db, with_toy_package):
    ran = _astra("run", "count_pixels", "--weights", "x.pt")

    assert ran.returncode == 2
    assert "task count_pixels has no option --weights" in ran.stderr


def test_a_copy_of_a_task_may_have_another_key_and_the_task_keeps_its_own():
    production = find_task("astronn_dist")
    within = copy.copy(production)
    within.key = "astronn_dist@trial-x"

    assert production.key == "astronn_dist"
    assert (within.name, within.options) == (production.name, production.options)
