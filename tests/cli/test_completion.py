"""The Tab key in bash, zsh and fish, asked through the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import debian_packages
import pytest
from conftest import CI
from terminal import Terminal

from astra.cli import main
from astra.cli.completion import VARIABLE

ASTRA = Path(sys.executable).with_name("astra")
#: What a word may become: the words so far, what is there of the next, and what it has to become.
CASES = [
    ("astra stat", "status"),
    ("astra ingest all", "allstar"),
    ("astra help ingest cat", "catalog"),
    ("astra run astronn", "astronn_dist"),
    ("astra run astronn_dist --n-dr", "--n-draws"),
    ("astra explain flag_no_r", "flag_no_result"),
    ("astra explain --kind spec", "spectrum_flags"),
    ("astra models show simulated-6", "simulated-6"),
    ("astra config show sas", "sas_base_dir"),
    ("astra run astronn_dist --fill cov", "coverage"),
]


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Where a shell finds the program, and nothing of the person's own."""
    monkeypatch.setenv("PATH", f"{ASTRA.parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)


def shell(name):
    debian_packages.needed(name, install_it=CI)
    return shutil.which(name)


def completions(line, capsys, monkeypatch):
    """What the program gives to bash."""
    words = line.split(" ")
    monkeypatch.setenv(VARIABLE, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert main([]) == 0
    return capsys.readouterr()


@pytest.mark.parametrize(("line", "meant"), CASES)
def test_commands_options_and_values_are_completed(ask, capsys, monkeypatch, line, meant):
    out, err = completions(line, capsys, monkeypatch)

    assert (out.split(), err) == ([meant], "")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("astra explain --kind = spec", ["spectrum_flags"]),
        ("astra explain --kind ebv_flags flag_ebv_up", ["flag_ebv_upper_limit"]),
        ("astra run no_such_task --wh", ["--where"]),
        ("astra run astronn_dist --no-such-option x --lim", ["--limit"]),
    ],
)
def test_a_line_that_is_odd_or_wrong_is_no_error(ask, capsys, monkeypatch, line, meant):
    assert completions(line, capsys, monkeypatch)[0].split() == meant


def test_models_of_ones_own_are_among_the_weights(ask, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_MODELS_DIR", str(tmp_path))
    (tmp_path / "mine.safetensors").touch()

    assert completions("astra run astronn_dist --weights ", capsys, monkeypatch)[0].split()[-1] == "mine"


def test_neither_a_database_nor_anything_else_but_a_cache_is_made(ask, capsys, monkeypatch, tmp_path):
    completions("astra explain flag", capsys, monkeypatch)

    made = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert made - {"astra.yml"} == {"completion.json"}


def test_a_broken_cache_is_made_again(ask, capsys, monkeypatch, tmp_path):
    completions("astra explain flag", capsys, monkeypatch)
    (cache,) = tmp_path.rglob("completion.json")
    cache.write_text('{"state": 1}')

    assert completions("astra explain flag_no_r", capsys, monkeypatch)[0] == "flag_no_result\n"


def test_tab_loads_neither_models_nor_what_checks_values(ask, capsys, monkeypatch):
    completions("astra explain flag", capsys, monkeypatch)
    code = "import sys; from astra.cli import main; main([]); print(*sys.modules, file=sys.stderr)"

    # The first fills the cache.
    _, ran = (subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2))

    assert (
        ran.stdout
        == "flag_fakemag_unreliable\nflag_missing_photometry\nflag_missing_extinction\nflag_no_result\n"
    )
    assert not {"peewee", "pydantic", "numpy", "rich", "yaml"} & set(ran.stderr.split())


@pytest.mark.heavy
def test_bash_completes(ask):
    script = """
eval "$(astra completion bash)"
COMP_WORDS=(astra run astronn_dist --n-dr); COMP_CWORD=3
_astra_completion astra
echo "${COMPREPLY[@]}"
complete -p astra
"""
    ran = subprocess.run([shell("bash"), "--norc", "-c", script], capture_output=True, text=True)

    assert ran.stdout.splitlines() == ["--n-draws", "complete -o default -F _astra_completion astra"]
    assert ran.stderr == ""


@pytest.mark.heavy
def test_fish_completes(ask):
    script = 'astra completion fish | source; complete -C "astra run astronn_dist --n-dr"'
    ran = subprocess.run([shell("fish"), "--no-config", "-c", script], capture_output=True, text=True)

    assert ran.stdout == "--n-draws\tMonte Carlo dropout draws per spectrum.\n"


@pytest.mark.heavy
def test_zsh_completes(ask):
    # Its completion works only where somebody types.
    with Terminal(shell("zsh"), "-f", "-i", environment={"PS1": "> "}) as terminal:
        terminal.press('autoload -Uz compinit; compinit -u; eval "$(astra completion zsh)"; echo re""ady\n')
        terminal.wait_for("ready", 60)
        terminal.press("astra run astronn_dist --n-dr\t")
        terminal.wait_for("--n-draws", 60)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(astra, name):
    code, out, err = astra("completion", name)

    assert (code, err) == (0, "")
    assert VARIABLE in out


@pytest.mark.parametrize(
    "kept", ["", "{}", '{"state": ', "\xff", None], ids=["empty", "bare", "cut", "foreign", "home"]
)
def test_completion_needs_no_cache(ask, capsys, monkeypatch, tmp_path, kept):
    (tmp_path / "astra").mkdir()
    if kept is None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    else:
        (tmp_path / "astra" / "completion.json").write_text(kept, encoding="latin-1")

    out, err = completions("astra run astronn", capsys, monkeypatch)

    assert ("astronn_dist" in out, err) == (True, "")
