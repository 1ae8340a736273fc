"""The options of a task on the command line: shown, checked, handed on, recorded, and not mixed."""

import json
import re

import guests
import pytest
from builders import a_source, a_spectrum, on_sqlite

from astra.models import TaskRun

GUEST = '''
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal
from astra import Option, task
from astra.fields import FloatField
from astra.models import ApogeeCoaddedSpectrumInApStar, PipelineOutputModel

class GuestResult(PipelineOutputModel):
    pixels = FloatField(help_text="Number of something")

    class Meta:
        indexes = (PipelineOutputModel.UNIQUE,)

@task
def count_pixels(
    spectra: Iterable[ApogeeCoaddedSpectrumInApStar],
    *,
    step: Annotated[int, Option("Pixels between two that count.", min=1, max=9)] = 1,
    halve: Annotated[bool, Option("Count half of them.")] = False,
    mode: Annotated[Literal["fast", "good"], Option("How to count.", changes_numbers=False)] = "fast",
) -> Iterator[GuestResult]:
    """Count."""
    for spectrum in spectra:
        yield GuestResult.from_spectrum(spectrum, pixels=100 * step + 10 * halve + (mode == "good"))

@task
def clashing(
    spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, dry_run: bool = False
) -> Iterator[GuestResult]:
    yield from ()
'''


@pytest.fixture
def guest(db, tmp_path, monkeypatch):
    """A task with an integer, a switch and a choice, and one spectrum that it has not seen."""
    guests.install(tmp_path / "packages", monkeypatch, GUEST, "count_pixels", "clashing", "broken")
    guests.make_table(db)
    a_spectrum(a_source())
    return lambda: [row[0] for row in db.execute_sql("SELECT pixels FROM guest_result ORDER BY spectrum_pk")]


def _error(stderr):
    (line,) = [line for line in stderr.splitlines() if line.startswith("astra: error: ")]
    return line.removeprefix("astra: error: ")


def test_a_run_takes_the_options_of_its_task_and_records_those_that_change_numbers(astra, guest):
    words = ("--step=3", "--halve", "--mode", "good")

    assert astra("run", *words, "count_pixels")[0] == 0  # before the name of the task as well

    assert guest() == [311.0]
    run = TaskRun.get()
    assert run.options == '{"halve": true, "step": 3}'
    assert json.loads(run.arguments).items() >= {"step": 3, "halve": True, "mode": "good"}.items()


def test_without_options_the_defaults_are_in_force_and_recorded(astra, guest):
    assert astra("run", "count_pixels")[0] == 0

    assert (guest(), TaskRun.get().options) == ([100.0], '{"halve": false, "step": 1}')


@on_sqlite
@pytest.mark.parametrize("command", ["run", "srun"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--step", "10"], r"Invalid value for '--step': .*9.* \(Pixels between two that count\)"),
        (["--step", "x"], r"Invalid value for '--step': .*integer.* \(Pixels between two that count\)"),
        (["--step"], r"Option '--step' requires an argument.* \(Pixels between two that count\)"),
        (["--mode", "best"], r"Invalid value for '--mode': 'best' is not one of .* \(How to count\)"),
        (["--stop", "1"], r"No such option: --stop; did you mean --step\?"),
    ],
)
def test_a_wrong_option_ends_with_2_and_its_help(astra, guest, command, words, says):
    code, out, err = astra(command, "count_pixels", *words)

    assert (code, out, guest()) == (2, "", [])
    assert re.search(says, _error(err)), err


@on_sqlite
@pytest.mark.parametrize("command", ["run", "srun"])
def test_help_on_a_task_shows_its_options_in_a_section(astra, guest, command):
    code, with_task, err = astra(command, "count_pixels", "--help")
    without = astra(command, "--help")[1]

    assert (code, err) == (0, "")
    before, after = with_task.split("Options of count_pixels:")
    assert "--step N Pixels between two that count. [default: 1; 1 to 9]" in " ".join(after.split())
    assert "--halve / --no-halve" in after
    assert "--mode <fast|good>" in after
    assert after.endswith(without[without.index("Examples:") :])


@on_sqlite
@pytest.mark.parametrize("command", ["run", "srun"])
@pytest.mark.parametrize("words", [("--weights", "x"), ("--seed", 1), ("--device", "cpu")])
def test_help_on_a_task_hides_the_options_of_others_that_it_does_not_take(astra, guest, command, words):
    of_guest, of_ours, of_all = (
        astra(command, *task, "--help")[1] for task in (("count_pixels",), ("astronn_dist",), ())
    )

    shown = f"\n  {words[0]} "
    assert shown not in of_guest
    assert shown in of_ours
    assert shown in of_all
    assert "--batch-size" in of_guest
    code, _, err = astra(command, "count_pixels", *words)
    assert (code, _error(err)) == (2, f"task count_pixels has no option {words[0]}")


@on_sqlite
@pytest.mark.parametrize("command", ["run", "srun"])
@pytest.mark.parametrize("task", ["broken", "no_such_task"])
def test_help_on_a_task_without_options_to_show_says_why(astra, guest, command, task):
    why = {"broken": "task 'broken' cannot be loaded from ", "no_such_task": "unknown task 'no_such_task'; "}

    code, out, err = astra(command, task, "--help")

    assert (code, out) == astra(command, "--help")[:2]
    (line,) = err.splitlines()
    assert line.startswith(f"astra: the options of the task are not shown: {why[task]}")


@on_sqlite
def test_other_tasks_do_not_have_them(astra, guest):
    code, _, err = astra("run", "astronn_dist", "--step", "3")

    assert code == 2
    assert _error(err).startswith("No such option: --step (Options of astronn_dist: --n-draws, --backend, ")


@on_sqlite
def test_an_option_that_is_called_as_one_of_the_command_is_refused(astra, guest):
    code, _, err = astra("run", "clashing")

    assert code == 78
    assert _error(err).startswith("task clashing: its option dry_run is called as one of `astra run`")


@on_sqlite
def test_what_is_wrong_with_the_task_is_said_before_its_options(astra, guest):
    broken, unknown = astra("run", "broken", "--step", 3), astra("run", "brocken", "--step=3")

    assert (broken[0], unknown[0]) == (78, 2)
    assert _error(broken[2]).startswith("task 'broken' cannot be loaded from guest_package:broken")
    assert _error(unknown[2]).startswith("unknown task 'brocken'; did you mean broken?")
    assert json.loads(astra("run", "broken", "--json")[1])["exit_code"] == 78
    assert astra("run", "broken", "--help")[1] == astra("run", "--help")[1]


def test_results_of_another_option_do_not_mix(astra, guest):
    assert astra("run", "count_pixels", "--step=3")[0] == 0
    a_spectrum(a_source())

    refused = astra("run", "count_pixels")

    assert refused[0] == 78
    assert _error(refused[2]) == (
        "rows of count_pixels in this version come from --step 3, this run would use 1: run with the same, "
        "or give --overwrite (all anew, not a part) or --allow-mixed"
    )
    assert astra("run", "count_pixels", "--step=3", "--mode=good")[0] == 0
    a_spectrum(a_source())
    assert astra("run", "count_pixels", "--allow-mixed", "--halve")[0] == 0
    assert guest() == [300.0, 301.0, 110.0]
    assert astra("run", "count_pixels", "--overwrite")[0] == 0
    assert guest() == [100.0] * 3


@on_sqlite
@pytest.mark.parametrize("command", ["run", "srun"])
def test_a_dry_run_refuses_what_the_run_would_refuse(astra, guest, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert astra("run", "count_pixels", "--step=3")[0] == 0

    code, out, err = astra(command, "count_pixels", "--dry-run")

    assert (code, out) == (78, "")
    assert "come from --step 3, this run would use 1" in _error(err)
    for words in (("--step=3",), ("--allow-mixed",), ("--overwrite",)):
        code, out, err = astra(command, "count_pixels", "--dry-run", *words)
        assert (code, out.startswith("1 pending" if "--overwrite" in words else "0 pending")) == (0, True), (
            err
        )


def test_rows_from_before_options_were_recorded_count_as_made_with_the_defaults(astra, guest):
    assert astra("run", "count_pixels")[0] == 0
    TaskRun.update(options=None).execute()
    a_spectrum(a_source())

    refused = astra("run", "count_pixels", "--halve")

    assert refused[0] == 78
    assert "come from --halve False, this run would use True" in _error(refused[2])
    assert astra("run", "count_pixels")[0] == 0
    assert guest() == [100.0, 100.0]


def test_srun_hands_them_on_to_its_workers(astra, guest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, out, err = astra("srun", "count_pixels", "--halve", "--step", 3, "--mode=fast", "--dry-run")

    assert code == 0, err
    assert " -P -m astra run count_pixels --step=3 --halve --workers=1 " in out
