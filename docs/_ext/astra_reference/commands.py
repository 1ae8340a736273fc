"""Every command of the command line, as Markdown: what ``typer utils docs`` reads off the parser itself."""

import re
import subprocess
import sys

import typer

from astra.cli import app

_EXAMPLES = re.compile(r"^Examples?:\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## `(.*?)`$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_LISTED = re.compile(r"^\* `([a-z_]+)`: .*\n", re.MULTILINE)
_EXIT_CODES = re.compile(r"(?<=\S)\s(?=Exit codes: )")


def commands() -> str:
    """One section for each command, with its arguments, options and examples."""
    command = [sys.executable, "-m", "typer", "astra.cli", "utils", "docs", "--name", "astra"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = re.sub(r"^# ", "## ", text, count=1)
    text = _SECTION.sub(_linked, re.sub(r"^### ", "## ", text, flags=re.MULTILINE))
    return _EXIT_CODES.sub("\n\n", _EXAMPLES.sub(_examples, text))


def options_called(name: str) -> set[str]:
    """The options of one command, e.g. ``--limit``."""
    parser = typer.main.get_command(app).commands[name]
    return {flag for parameter in parser.params for flag in parameter.opts if flag.startswith("-")}


def _linked(section: re.Match[str]) -> str:
    """A section whose list of commands leads to theirs, which say what they do in full."""
    name, text = section.groups()
    if _is_hidden(name):
        return ""
    before, heading, listed = text.partition("**Commands**:")
    links = _LISTED.sub(lambda found: _link(f"{name} {found[1]}"), listed)
    return f"## `{name}`{before}{heading}{links}"


def _is_hidden(command: str) -> bool:
    """Whether the help leaves a command out."""
    parser = typer.main.get_command(app).commands.get(command.removeprefix("astra "))
    return parser is not None and parser.hidden


def _link(command: str) -> str:
    return "" if _is_hidden(command) else f"* [`{command}`](#{command.replace(' ', '-').replace('_', '-')})\n"


def _examples(found: re.Match[str]) -> str:
    lines = (line.strip() for line in found[1].splitlines())
    return "**Examples**:\n\n```sh\n" + "\n".join(line for line in lines if line) + "\n```\n\n"
