"""How commands show themselves: their help, and the nearest name to one that is wrong."""

import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from astra.cli import completion
from astra.errors import nearest

#: Lines longer than this are hard to read.
_WIDEST = 100

# The words of a command line: what is in quotes is one, and an option goes with its value.
_WORD = r"""(?:[^\s"']|"[^"]*"|'[^']*')+"""
_WORDS = re.compile(rf"--[\w-]+ (?![-<>|&]){_WORD}|{_WORD}")
_CODE = re.compile(r"`[^`]{,40}`")
_EXIT_CODES = re.compile(r"(?<=\S)\s+(?=Exit codes: )")
# How typer shows types and bounds, and how a person reads them.
_READ = (
    (re.compile(r" <int(?: range)?>"), " N"),
    (re.compile(r" <float(?: range)?>"), " X"),
    (re.compile(r" <str>"), " TEXT"),
    (re.compile(r" <path>"), " PATH"),
    (re.compile(r"\bx>=(\S+?)(?=[];])"), r"at least \1"),
    (re.compile(r"\b(\S+?)<=x<=9223372036854775807"), r"at least \1"),
    (re.compile(r"(?<=[ [])(\S+?)<=x<=(\S+?)(?=[];])"), r"\1 to \2"),
    (re.compile(r"\] \[at least"), "; at least"),
)
#: Names longer than this stand on a line of their own.
_LONG = 26


class HelpPage:
    """A page of help, as typer writes one: as wide as the terminal, and no word is cut.

    It has the methods of click's formatter, which cuts words at hyphens, and breaks examples that are to be
    pasted.
    """

    def __init__(self) -> None:
        self.width = max(40, min(shutil.get_terminal_size().columns, _WIDEST))
        self._indent, self._lines = 0, []

    def getvalue(self) -> str:
        """The text so far."""
        return "\n".join(self._lines)

    def write_usage(self, prog: str, args: str = "") -> None:
        """The line that shows what a command takes."""
        head = f"Usage: {prog} "
        self._wrap(args, head, " " * min(len(head), 16))

    def write_heading(self, name: str) -> None:
        """The heading of a section."""
        self._lines.append(" " * self._indent + typer.style(f"{name}:", bold=True))

    def write_paragraph(self) -> None:
        """An empty line, but not at the top."""
        if self._lines:
            self._lines.append("")

    def write_text(self, text: str) -> None:
        """Paragraphs."""
        for number, paragraph in enumerate(_EXIT_CODES.sub("\n\n", text.strip()).split("\n\n")):
            if number:
                self.write_paragraph()
            self._wrap(paragraph, "", "")

    def write_dl(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names, and what each means."""
        rows = [(_read(name), _read(meaning)) for name, meaning in rows]
        column = 2 + max((len(name) for name, _ in rows if len(name) <= _LONG), default=_LONG)
        for name, meaning in rows:
            head = f"{name:<{column}}"
            if len(name) + 2 > column:
                self._wrap(name, "", "    ")
                head = " " * column
            self._wrap(meaning, head, " " * column)

    def write_command(self, line: str) -> None:
        """A command line to paste: one that is too long goes on in the next line after a backslash."""
        room, lines = self.width - self._indent - 2, [""]
        for word in _WORDS.findall(line):
            if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
                lines.append("   ")
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
        self._lines += [" " * self._indent + each for each in " \\\n".join(lines).splitlines()]

    @contextmanager
    def indentation(self) -> Iterator[None]:
        """What is written in this context stands further to the right."""
        self._indent += 2
        yield
        self._indent -= 2

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A section with its heading."""
        self.write_paragraph()
        self.write_heading(name)
        with self.indentation():
            yield

    def _wrap(self, text: str, first: str, others: str) -> None:
        margin = " " * self._indent
        # What is in backticks stays together.
        whole = _CODE.sub(lambda found: found[0].replace(" ", "\0"), " ".join(text.split()))
        lines = textwrap.wrap(
            whole,
            self.width,
            initial_indent=margin + first,
            subsequent_indent=margin + others,
            break_long_words=False,
            break_on_hyphens=False,
        )
        self._lines += [line.replace("\0", " ") for line in lines] or [(margin + first).rstrip()]


def _read(text: str) -> str:
    """A name or its meaning as a person reads it. Of an argument, the name says what it is."""
    if not text.startswith("-"):
        text = re.sub(r"^(\S+) <(?:str|path|list\[\w+\])>$", r"\1", text)
    for pattern, words in _READ:
        text = pattern.sub(words, text)
    return text


class _Shown:
    """What a command and a group of commands have in common."""

    def get_params(self, ctx: typer.Context) -> list[Any]:
        """Its arguments and options."""
        found = super().get_params(ctx)
        if os.environ.get(completion.VARIABLE):
            completion.complete_values(found, f"{ctx.parent and ctx.parent.info_name} {ctx.info_name}")
        return found

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Read the words of the command line; of an option that is not there, say which is nearest."""
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            if hasattr(error, "possibilities"):
                shown = (each for each in self.get_params(ctx) if not getattr(each, "hidden", False))
                known = [name for each in shown for name in (*each.opts, *each.secondary_opts)]
                error.message += nearest(error.option_name, filter(_is_option, known), None)
                error.possibilities = None
            raise

    def get_help(self, ctx: typer.Context) -> str:
        """The help, as wide as the terminal."""
        page = HelpPage()
        self.format_help(ctx, page)
        return page.getvalue()

    def get_short_help_str(self, limit: int = 0) -> str:
        """What it does, in the first sentence of its help; whole, whatever the limit."""
        first = " ".join((self.help or "").partition("\n\n")[0].split())
        return first.partition(". ")[0].rstrip(".") + "."

    def format_epilog(self, ctx: typer.Context, formatter: HelpPage) -> None:
        """The examples, each on a line of its own."""
        heading, _, lines = (self.epilog or "").partition(":")
        if lines:
            with formatter.section(heading):
                for line in filter(None, map(str.strip, lines.splitlines())):
                    formatter.write_command(line)


class AstraCommand(_Shown, TyperCommand):
    """A command."""


class AstraGroup(_Shown, TyperGroup):
    """A group of commands: it lists them below the headings that they were registered under."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Read the words of the command line; without any, say which commands there are."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            ctx.fail(f"Missing command; there are {', '.join(self.commands)}")
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: HelpPage) -> None:
        """The commands, each with the first sentence of its help."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, each in self.commands.items():
            if not each.hidden:
                heading = each.rich_help_panel or "Commands"
                sections.setdefault(heading, []).append((name, each.get_short_help_str()))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:
        """Find the command that is meant, or say which name is nearest."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            known = [each for each, command in self.commands.items() if not command.hidden]
            ctx.fail(f"No such command {name!r}{nearest(name, known)}")
        return super().resolve_command(ctx, args)


def _is_option(name: str) -> bool:
    return name.startswith("--")


class LazyCommands(Mapping[str, Any]):
    """Commands by their names, each loaded when it is asked for first."""

    def __init__(self, names: Iterable[str], loaded: Mapping[str, Any], load: Callable[[str], Any]) -> None:
        self._names, self._loaded, self._load = list(dict.fromkeys(names)), dict(loaded), load

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def command_of(module: ModuleType, name: str) -> TyperCommand | TyperGroup:
    """The command that a module has: its group ``app``, or else its function of this name."""
    if hasattr(module, "app"):
        for each in module.app.registered_commands:
            each.cls = each.cls if each.cls not in (None, TyperCommand) else AstraCommand
        module.app.info.cls, module.app.info.name = AstraGroup, name
        return typer.main.get_group(module.app)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=getattr(module, "COMMAND", AstraCommand), epilog=module.EXAMPLES)(
        getattr(module, name)
    )
    return typer.main.get_command(alone)
