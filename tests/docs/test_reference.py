"""Whatever the program can say, take or store stands in the documentation, in the program's own words."""

import html
import re

import pytest
import typer

import astra.models
from astra.cli import app
from astra.config import CONFIG_VARIABLE, ENVIRONMENT, load_settings
from astra.errors import AstraError
from astra.models import TABLES, AstroNNdist, Distance
from astra.pipelines.astronn_dist import astronn_dist
from astra.status.limits import LIMIT_BROKEN
from astra.system.signals import KEYBOARD_INTERRUPT


def _commands(name, command):
    if not getattr(command, "hidden", False):
        yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{name} {word}", inner)


COMMANDS = dict(_commands("astra", typer.main.get_command(app)))


def _plain(text):
    """Without the marks of Markdown, which are not in what one reads."""
    return " ".join(re.sub(r"[`*]", "", text).split())


@pytest.fixture(scope="module")
def commands(site):
    """What the page of commands says below the heading of each."""
    sections = (site / "reference" / "commands.html").read_text().split("<h2>")[1:]
    texts = [_plain(html.unescape(re.sub(r"<[^>]*>", "", section))) for section in sections]
    return {text.partition("¶")[0]: text for text in texts}


def test_what_the_help_leaves_out_is_left_out(commands):
    assert not any("migrate" in text.partition("¶")[0] for text in commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_argument_and_option_is_there_with_its_help(commands, name):
    command, said = COMMANDS[name], commands[name]

    assert _plain(command.help) in said
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        is_option = parameter.param_type_name == "option"
        for spelling in parameter.opts if is_option else [parameter.metavar or parameter.name]:
            assert spelling in said
        assert _plain(parameter.help or "") in said
    for example in re.findall(r"^ +(\S.*)$", command.epilog or "", re.MULTILINE):
        assert _plain(example) in said


def test_every_option_of_the_distance_task_is_there_with_its_help(commands):
    said = commands["Options of astronn_dist"]

    for name in ("n_draws", "backend", "model_path", "parallel", "cpu_count"):
        assert f"--{name.replace('_', '-')}" in said
        assert _plain(astronn_dist.options[name].declared.help) in said


@pytest.mark.parametrize("model", [*TABLES, Distance], ids=lambda model: model.__name__)
def test_every_column_is_there_with_unit_and_meaning(read, model):
    said = read("reference/columns.html").text

    for field in model._meta.sorted_fields:
        meaning = _plain(re.sub(r" \[[^\]]*\]$", "", field.help_text))
        assert f"{field.column_name}" in said
        assert f"{field.unit or ''} {meaning}".strip() in _plain(said)
        assert field.name == field.column_name or f"{field.column_name}, in Python {field.name}" in said


def test_every_table_has_its_section(read):
    headings = read("reference/columns.html").text

    assert all(model._meta.table_name in headings for model in (*TABLES, Distance))
    bases = {"BaseModel", "PipelineOutputModel", "FlaggedOutputModel"}
    assert set(astra.models.__all__) - {"TABLES"} - bases == {model.__name__ for model in (*TABLES, Distance)}


def test_every_flag_is_there_with_bit_and_meaning(read):
    said, found = _plain(read("reference/flags.html").text), 0

    for model in TABLES:
        for name in (name for name in dir(model) if name.startswith("flag_")):
            if hasattr(flag := getattr(model, name), "help_text"):
                found += 1
                bit = flag.value.bit_length() - 1
                assert f"{name} {bit} {flag.value} {_plain(flag.help_text)}" in said
    assert found > 30


def test_what_a_flag_makes_of_a_row_is_there(read):
    said = read("reference/flags.html").text

    for name in AstroNNdist.flag_names():
        flag = getattr(AstroNNdist, name)
        sets = "flag_bad" if flag.value & AstroNNdist.BAD else "flag_warn"
        assert f"{flag.help_text} {sets}" in said
    assert {name for name in Distance._meta.fields if name.startswith("flag_")} <= set(said.split()) | {
        word.rstrip(":,") for word in said.split()
    }


@pytest.mark.parametrize("page", ["reference/exit-codes.html", "operations.html"])
def test_every_exit_code_is_there(site, page):
    rows = re.findall(r"<tr[^>]*><td><p>(\d+)</p></td>", (site / page).read_text())
    raised = {kind.exit_code for kind in (AstraError, *AstraError.__subclasses__())}

    assert sorted(map(int, rows)) == sorted(raised | {0, LIMIT_BROKEN, KEYBOARD_INTERRUPT})


def test_every_setting_is_there_with_its_variable(read, monkeypatch):
    said = read("reference/settings.html").text
    # What the program itself takes for known settings.
    monkeypatch.setenv("ASTRA_DATABASE_PATH", "x.db")
    with pytest.raises(Exception, match="known settings") as refused:
        load_settings(no_such_setting="x")
    known = str(refused.value).split("known settings: ")[1].split(", ")

    assert len(known) > 20
    assert [name for name in known if name not in said.split()] == []
    assert [each for each in (*ENVIRONMENT.values(), CONFIG_VARIABLE) if each not in said] == []
