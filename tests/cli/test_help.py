"""Help: whole at 80 columns, the same by all its names; and the nearest name to one that is wrong."""

import re

import pytest
import typer

from astra.cli import app
from astra.config import load_settings
from astra.errors import ConfigError, nearest


def _commands(path, command):
    if not getattr(command, "hidden", False):
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from _commands((*path, name), inner)


COMMANDS = dict(_commands((), typer.main.get_command(app)))
BY_NAME = {" ".join(("astra", *path)): (path, command) for path, command in COMMANDS.items()}


def _words(text):
    return text.replace("\\\n", " ").split()


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", BY_NAME)
def test_help_is_whole_whatever_the_width(astra, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    path, command = BY_NAME[name]

    code, out, err = astra(*path, "--help")

    assert (code, err) == (0, "")
    assert "..." not in out.replace("]...", "").replace("}...", "")
    assert " …" not in out
    if width > 40:
        assert max(map(len, out.splitlines())) <= width
    said = " ".join(_words(out))
    assert " ".join(_words(command.help)) in said
    for each in command.params:
        if not getattr(each, "hidden", False):
            assert " ".join(_words(each.help or "")) in said
    for inner in getattr(command, "commands", {}).values():
        assert inner.hidden or inner.get_short_help_str() in said


@pytest.mark.parametrize("name", BY_NAME)
def test_every_help_text_is_a_sentence(name):
    _, command = BY_NAME[name]

    for text in (command.help, *(each.help for each in command.params if each.help is not None)):
        assert text[0].isupper() or text.startswith(("trial-NAME", "apStar", "2MASS"))
        assert text.endswith((".", ".)", "]"))


@pytest.mark.parametrize("name", BY_NAME)
def test_examples_can_be_pasted(astra, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    path, command = BY_NAME[name]
    given = [line.strip() for line in (command.epilog or "").splitlines()[1:] if line.strip()]

    shown = astra(*path, "--help")[1].partition("Examples:\n")[2]

    assert [" ".join(_words(line)) for line in re.split(r"(?<!\\)\n", shown) if line] == given or len(
        path
    ) == 0


@pytest.mark.parametrize("words", [(), ("run",), ("ingest", "apstar"), ("run", "astronn_dist"), ("trials",)])
def test_h_and_help_are_the_same_as_dash_dash_help(astra, words):
    long, short, command = astra(*words, "--help"), astra(*words, "-h"), astra("help", *words)

    assert long == short == command
    assert long[0] == 0


def test_help_on_what_is_not_there_says_what_is_nearest(astra):
    assert astra("help", "rnu")[::2] == (
        2,
        "astra: error: No such command 'rnu'; did you mean run?\nTry `astra --help`.\n",
    )


@pytest.mark.parametrize("group", ["ingest", "models", "trials", "train"])
def test_a_group_alone_says_what_is_missing(astra, group):
    code, _, err = astra(group)

    assert code == 2
    assert err.startswith("astra: error: Missing command; there are ")


# > The nearest name


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("dst", ["dist", "e_dist", "snr"], "; did you mean dist?"),
        ("Kmag", ["k_mag", "h_mag", "j_mag"], "; did you mean k_mag?"),
        ("extinction", ["flag_missing_extinction", "flag_bad"], "; did you mean flag_missing_extinction?"),
        ("--limt", ["--limit", "--page"], "; did you mean --limit?"),
        ("--zzz", ["--limit", "--page"], "; there are --limit, --page"),
        ("x", [], "; there are none"),
    ],
)
def test_the_nearest_name_is_meant_or_all_are_listed(word, known, said):
    assert nearest(word, known) == said


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("statsu",), "did you mean status?"),
        (("ingest", "apstr"), "did you mean apstar?"),
        (("status", "--wacth"), "did you mean --watch?"),
        (("run", "astronn_dst"), "did you mean astronn_dist?"),
        (("run", "astronn_dist", "--n-drwas", "3"), "did you mean --n-draws?"),
        (("run", "--limt", "3"), "did you mean --limit?"),
        (("explain", "flag_no_reslt"), "did you mean flag_no_result?"),
        (("config", "show", "weigths"), "did you mean weights?"),
        (("create", "astraAllStarAstroNNdst"), "did you mean astraAllStarAstroNNdist?"),
        (("run", "astronn_dist", "--fill", "coverag"), "did you mean coverage?"),
    ],
    ids=" ".join,
)
def test_a_misspelt_name_is_met_with_the_nearest(astra, words, meant):
    code, _, err = astra(*words)

    assert code == 2
    assert meant in err.splitlines()[0]


def test_a_misspelt_setting_is_met_with_the_nearest(monkeypatch, tmp_path):
    (tmp_path / "astra.yml").write_text("model_dir: /models\n")
    monkeypatch.setenv("ASTRA_CONFIG", str(tmp_path / "astra.yml"))

    with pytest.raises(ConfigError, match="no such setting; did you mean models_dir?"):
        load_settings()


def test_a_variable_that_nothing_reads_is_said_once(monkeypatch, caplog):
    monkeypatch.setenv("ASTRA_WEIGTHS", "x")
    monkeypatch.setenv("ASTRA_COMMAND", "read by the DAG of the documentation")

    load_settings(), load_settings()

    assert caplog.messages == [
        "environment variable ASTRA_WEIGTHS: nothing reads it; did you mean ASTRA_WEIGHTS?"
    ]


# > Colours


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({}, False),  # the tests have no terminal
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "", "NO_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_colours_are_as_the_environment_asks(astra, monkeypatch, variables, has_colours):
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    texts = astra("--help")[1], astra("rnu")[2], astra("models", "list")[1]

    assert [("\x1b[" in text) for text in texts] == [has_colours] * len(texts)
