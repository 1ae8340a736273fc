"""The arguments of a command are one object, which can be written as words and read again."""

from dataclasses import dataclass, fields
from inspect import Parameter
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.running.arguments import Device, RunArguments, SharedArguments
from astra.slurm.array import SrunArguments
from astra.system.arguments import argument, command_line, option, specified, takes

# Of each field whose type does not say all that it takes.
LIMITED = {
    "task": st.from_regex(r"[a-z]\w*", fullmatch=True),
    "what": st.none() | st.lists(st.from_regex(r"(\d|2M|AP)[\w.+-]*", fullmatch=True), min_size=1),
    "seed": st.none() | st.integers(0, 2**63 - 1),
    "max_runtime": st.none() | st.floats(0, 1e9),
    "stars_from": st.none() | st.from_regex(r"[\w. /]+", fullmatch=True).map(Path),
    "logs": st.none() | st.from_regex(r"/\w+", fullmatch=True).map(Path),
    "task_options": st.fixed_dictionaries(
        {},
        optional={"step": st.integers(2), "halve": st.just(True), "fine": st.just(False), "mode": st.text()},
    ),
    "workers": st.integers(1),
} | dict.fromkeys(("limit", "batch_size", "nodes", "procs", "array_limit"), st.none() | st.integers(1))


#: Options that a task has beside the fields.
FURTHER = [
    Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
    for name, kind, default in (
        *(("step", int, 1), ("halve", bool, False)),
        *(("fine", bool, True), ("mode", str | None, None)),
    )
]


def any_of(kind):
    """Anything that a command with such arguments can be asked."""
    names = [field.name for field in fields(kind)]
    chosen = {name: LIMITED.get(name, ...) for name in names}
    return st.builds(kind, **chosen | ({"shared": any_of(SharedArguments)} if "shared" in names else {}))


def parsed(kind, words):
    """What a command that takes such arguments gets."""
    seen, app = [], typer.Typer()
    app.command()(takes(kind, FURTHER)(seen.append))
    app([*words], standalone_mode=False)
    return seen.pop()


@pytest.mark.parametrize("kind", [RunArguments, SrunArguments])
@given(st.data())
def test_what_is_written_as_a_command_line_is_read_as_the_same(kind, data):
    asked = data.draw(any_of(kind))

    assert parsed(kind, command_line(asked)) == asked


def test_a_command_line_holds_words_first_and_nothing_that_is_as_by_default():
    own = {"n_draws": 5, "fine": False}
    shared = SharedArguments(seed=0, device=Device.CPU, overwrite=True, task_options=own)
    asked = RunArguments(task="t", what=["2M1", "7"], workers=1, shared=shared, as_json=True)

    words, options = ("t", "2M1", "7"), ("--device=cpu", "--seed=0", "--overwrite")
    assert command_line(asked) == (*words, *options, "--n-draws=5", "--no-fine", "--json")
    assert command_line(RunArguments(task="t")) == ("t",)


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Arguments with paths."""

    files: list[Path] = argument()
    table: Path | None = option()
    text: str | None = option()


def test_home_and_variables_are_replaced_in_paths_alone(monkeypatch):
    monkeypatch.setenv("SURVEY", "/data")

    found = parsed(Paths, ["~/a", "b", "--table=$SURVEY/${SURVEY}.csv", "--text=$SURVEY"])

    assert found.files == [Path.home() / "a", Path("b")]
    assert (found.table, found.text) == (Path("/data/data.csv"), "$SURVEY")
    assert parsed(Paths, ["b"]).table is None


def test_a_variable_in_a_path_that_is_not_set_is_wrong_usage():
    with pytest.raises(UsageError, match=r"^\$SURVEY/x: the environment variable SURVEY is not set"):
        parsed(Paths, ["$SURVEY/x"])


def test_what_is_specified_is_known_by_the_name_of_its_field():
    shared = SharedArguments(seed=0, allow_mixed=True, task_options={"fine": False})

    assert specified(RunArguments(task="t", shared=shared)) == {
        "task": "t",
        "workers": 1,
        "seed": 0,
        "allow_mixed": True,
        "fine": False,
    }
