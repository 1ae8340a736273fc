"""What goes where: results on stdout, progress, logs and errors on stderr."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

# Columns of a table that goes to a file or a pipe.
_UNLIMITED = 10_000

#: Seconds between two lines of progress where there is no terminal.
QUIET_S = 10.0


def say(text: str) -> None:
    """Print a result."""
    typer.echo(text)


def say_json(content: Any) -> None:
    """Print a result for a program; absent numbers become null, as JSON has no NaN."""
    typer.echo(json.dumps(content, default=str, allow_nan=False))


def say_table(table: "Table") -> None:
    """Print a table: as wide as the terminal, or as it needs to be where there is none."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED)
    with console.capture() as captured:
        console.print(table)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))


@contextmanager
def redrawing() -> Iterator[Callable[[list[str], list[str]], None]]:
    """Show something again and again: on a terminal in the same place, elsewhere line below line.

    Yields:
        A function that takes the whole page for a terminal, and the lines for elsewhere.
    """
    if not sys.stdout.isatty():
        yield lambda page, lines: say("\n".join(lines))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, vertical_overflow="visible") as live:
        yield lambda page, lines: live.update(Text("\n".join(page)), refresh=True)


def note(text: str) -> None:
    """Print a note for a person, on stderr: it is not part of the result."""
    typer.echo(text, err=True)


def fail(message: str, exit_code: int, hint: str | None = None) -> int:
    """Print an error on one line, and a hint below it; give back the exit code."""
    typer.echo(f"astra: error: {' '.join(message.split())}", err=True)
    if hint:
        typer.echo(f"Try `{hint}`.", err=True)
    return exit_code


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how far the work is: a bar on a terminal, a plain line now and then elsewhere.

    Yields:
        A function that takes what is done, and the total where it is known.
    """
    if sys.stderr.isatty():
        with _bar(what) as update:
            yield update
        return
    last = time.monotonic()

    def update(done: int, total: int | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= QUIET_S:
            last = time.monotonic()
            note(f"{what}: {done:,}" + (f" of {total:,}" if total is not None else ""))

    yield update


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    from rich import progress as rich
    from rich.console import Console

    parts = (rich.SpinnerColumn(), rich.TextColumn("{task.description}"), rich.BarColumn())
    counts = (rich.MofNCompleteColumn(), rich.TimeElapsedColumn())
    with rich.Progress(*parts, *counts, console=Console(stderr=True)) as bar:
        job = bar.add_task(what, total=None)
        yield lambda done, total=None: bar.update(job, completed=done, total=total)
