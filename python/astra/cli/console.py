"""What commands share: where output goes, the configured database, one report for every ending.

Results go to stdout; progress, logs and errors to stderr.
"""

import json
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from astra.errors import UsageError
from astra.hiding import hidden
from astra.system.printable import printable
from astra.system.signals import ENDING, answered, hold_signals
from astra.system.streams import ignore_lost_output

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from astra.config import Settings
    from astra.running.ending import Ending, StopRequest
    from astra.running.runs import Report
    from astra.slurm.srun import SlurmReport

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

# A command that has not ended so long after Ctrl-C says what it waits for [s].
_PATIENT_S = 0.15

# Columns of a table that goes to a file or a pipe.
_UNLIMITED = 10_000


def examples(*lines: str) -> str:
    """The end of the help of a command: command lines to copy."""
    return "\n\n  ".join(("Examples:", *lines)) + "\n"


# > Output


def colour() -> bool | None:
    """Whether output has colours, as NO_COLOR and FORCE_COLOR say; ``None``: where it goes to a terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def say(*lines: str, before: str = "") -> None:
    """Print lines of a result; what would move the cursor, or begin another line, stands there as its code.

    Args:
        lines: Plain text.
        before: What stands before it, and may have colours.
    """
    say_as_is(before + "\n".join(map(printable, lines)))


def say_as_is(text: str) -> None:
    """Print text of our own, which may have colours. What is lost with stdout, `main` knows at the end."""
    with suppress(OSError):
        typer.echo(text, color=colour())


def say_json(content: Any, command: str | None = None) -> None:
    """Print a result for a program; NaN is refused, as JSON has none.

    Args:
        content: An object, which gets the number of the schema, or a list.
        command: The command, where json_output.py knows keys of it from before.
    """
    from astra.cli.json_output import with_schema

    printed = with_schema(content, command) if isinstance(content, Mapping) else content
    say(json.dumps(printed, default=str, allow_nan=False))


def absent_as_null(content: Any) -> Any:
    """The same lists and objects, with null in place of numbers that are not finite."""
    if isinstance(content, Mapping):
        return {name: absent_as_null(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [absent_as_null(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _plain(cell: "Text | str") -> "Text":
    """A cell as it is: rich would take what stands in brackets for a colour."""
    from rich.text import Text

    return Text(printable(cell), getattr(cell, "style", ""))


def say_table(table: "Table") -> None:
    """Print a table: as wide as the terminal, or as it needs to be where there is none."""
    from rich.console import Console
    from rich.text import Text

    for column in table.columns:
        column.header = Text("\n").join(map(_plain, str(column.header).split("\n")))
        column._cells = [_plain(cell) for cell in column.cells]
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table, highlight=False)
    say_as_is("\n".join(line.rstrip() for line in captured.get().split("\n")).rstrip("\n"))


def note(*lines: str, before: str = "") -> None:
    """Print lines of a note for a person, on stderr, as :func:`say` does: they are not part of the result."""
    # By name: where a bar stands in for stderr, `err=True` would write past it.
    text = before + "\n".join(printable(hidden(line)) for line in lines)
    with suppress(OSError):
        typer.echo(text, file=sys.stderr, color=colour())


def fail(message: str, exit_code: int, hint: str | None = None) -> int:
    """Print an error on one line, and a hint below it; give back the exit code."""
    note(" ".join(message.split()), before=typer.style("astra: error:", fg="red", bold=True) + " ")
    if hint:
        note(f"Try `{hint}`.")
    return exit_code


# > The database, and how a run ends


@contextmanager
def database_session(*, read_only: bool = False) -> "Iterator[Settings]":
    """Open the configured database, check its schema, and bind the models to it.

    Args:
        read_only: Let the database refuse every change.

    Raises:
        ConfigError: There is no such SQLite file, or its schema is not the one of this version.
        DatabaseUnreachable: PostgreSQL cannot be reached.
    """
    from astra.config import load_settings
    from astra.database.connection import bound_to, open_database
    from astra.schema import upgrade as schema

    settings = load_settings()
    with bound_to(open_database(settings, read_only=read_only)) as database:
        schema.check(database)
        yield settings


@contextmanager
def signals_answered() -> Iterator[None]:
    """Where nothing else answers a signal, end the query that is waited for, and say so if it does not end.

    A command is answered from its beginning, when it loads what it needs.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) not in (signal.default_int_handler, signal.SIG_IGN):
        yield
        return
    over = threading.Event()

    def answer(number: int) -> None:
        if number in ENDING and not over.wait(_PATIENT_S):
            note("stopping: waits for the end of the step in hand")
            if watching := sys.modules.get("astra.database.watching"):
                watching.interrupt_all()

    with answered(answer):
        try:
            yield
        finally:
            over.set()


@contextmanager
def reported(report: "Report | SlurmReport", command: str, *, as_json: bool) -> "Iterator[StopRequest]":
    """Fill in how the work of this context ends, and print it for a program, whatever happens.

    Yields:
        What signals ask for.
    """
    from astra.running.ending import reporting

    try:
        with reporting(report, note) as stop:
            try:
                yield stop
            finally:
                # It has ended so; what comes later does not change what is said of it.
                hold_signals()
    finally:
        if as_json:
            # Where it cannot be printed, what ended this context is raised all the same.
            with ignore_lost_output():
                say_json(report.as_dict(), command)


def say_sum(found: Mapping[str, Any]) -> None:
    """Print what a run did, as ``measured + no_result = processed``; the counts are those of ``--json``."""
    parts = f"{found['measured']:,} measured + {found['no_result']:,} no_result"
    say(f"{parts} = {found['processed']:,} processed ({quality(found)})")
    if found["rederived"]:
        say(f"{found['rederived']:,} results derived again from what the table of sources says now")


def quality(found: Mapping[str, Any]) -> str:
    """How many results are bad, how many need a second look, and which flags they have."""
    flags = ", ".join(f"{name} {count:,}" for name, count in found.get("flags", {}).items() if count)
    return f"bad {found['bad']:,}, warn {found['warn']:,}" + (f"; {flags}" if flags else "")


def finish(command: str, ending: "Ending") -> NoReturn:
    """Print what went wrong, if anything did, and exit with the code of this ending."""
    if ending.error:
        hint = f"astra {command} --help" if ending.exit_code == UsageError.exit_code else None
        fail(ending.error, ending.exit_code, hint)
    raise typer.Exit(ending.exit_code)
