"""The command line: no logic; torch and astropy load only where they are needed.

    commands.py      how commands show themselves: their help, and the nearest name to one that is wrong
    console.py       what commands share: output, the configured database, one report for every ending
    progress.py      how far a command is: a bar, plain lines, an answer to Ctrl-C
    task_options.py  the options of a task, which a command on it takes beside its own
    tables.py        tables of results
    json_output.py   what --json prints: the names of its keys, and what they mean

One file for each command, named after it, with a function of this name or, for a group, an `app`;
`astra version` and the answer to `astra migrate` are here:

    distance.py
    init.py, ingest/, fetch.py, run.py, srun.py, status.py
    trials.py, trials_compare.py
    show.py, query.py, create.py, report.py, serve.py, explain.py
    models.py, models_compare.py, simulate.py, train.py, compare.py
    config.py, doctor.py, tasks.py, completion.py, help.py
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer

from astra.cli import completion
from astra.cli.commands import AstraCommand, AstraGroup, LazyCommands, command_of
from astra.cli.console import colour, fail, say, say_as_is, signals_answered
from astra.errors import OUT_OF_MEMORY, AstraError, ConfigError, Interrupted, StorageError, UsageError
from astra.system.processes import cores, set_up_logging, use_cores
from astra.system.signals import KEYBOARD_INTERRUPT, Terminated, drop_signals
from astra.system.streams import is_of_lost_stdout, stdout_lost

#: The commands, in the order in which the help lists them, and the headings that they stand below.
COMMANDS = {
    "Distances": ("distance", "run", "srun", "status"),
    "The database": ("init", "ingest", "fetch", "trials"),
    "Results": ("show", "query", "report", "serve", "create", "explain"),
    "Models": ("models", "train", "simulate", "compare"),
    "The installation": ("doctor", "config", "tasks", "completion", "version", "help"),
}

#: Commands that sample in this process, in one thread: a second one, for products as small as those of one
#: spectrum, waits as long as it computes.
SAMPLING = ("run", "distance")

#: Commands that do something. Their exit code is that of what they did, also where it cannot be printed; all
#: others do nothing but print.
CHANGING = (
    *("init", "ingest", "fetch", "run", "srun", "create", "report", "serve", "train", "simulate"),
    *("trials new", "trials promote", "trials rollback", "trials drop"),
    *("models import", "models remove", "tasks new"),
)


class _Astra(AstraGroup):
    """The command line. A command is loaded when it is needed: the Tab key waits for it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names = (name for part in COMMANDS.values() for name in part)
        self.commands = LazyCommands([*names, *self.commands], self.commands, _load)

    def make_context(self, *arguments: Any, **named: Any) -> typer.Context:
        """Read a command line."""
        with _ctrl_c_raised():
            return super().make_context(*arguments, **named)

    def invoke(self, context: typer.Context) -> Any:
        """Carry out a command."""
        with _ctrl_c_raised():
            return super().invoke(context)


@contextmanager
def _ctrl_c_raised() -> Iterator[None]:
    """Let Ctrl-C through, at which typer would end without a word."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise typer.Abort from error


def _load(name: str) -> Any:
    """The command, or the group of commands, that a module of this package has."""
    module = import_module(f"astra.cli.{name}")
    command = command_of(module, name)
    command.rich_help_panel = next(heading for heading, names in COMMANDS.items() if name in names)
    return command


app = typer.Typer(
    name="astra",
    cls=_Astra,
    help="Spectrophotometric distances from APOGEE spectra.",
    epilog="Examples: astra help run",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command(cls=AstraCommand, epilog="Example: astra version", rich_help_panel="The installation")
def version() -> None:
    """Print the version of Astra."""
    from astra import __version__

    say(__version__)


@app.command(
    cls=AstraCommand,
    hidden=True,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: astra ingest --help",
)
def migrate() -> None:
    """Say what takes the place of SDSS Astra's `migrate`, which does not exist here: `astra ingest`."""
    raise UsageError(
        "`astra migrate` does not exist here: spectra come from files and tables, by `astra ingest apstar` "
        "and `astra ingest allstar`, or from SDSS Astra's own database, by `astra ingest astra`"
    )


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debugging messages.")] = False,
    show_version: Annotated[bool, typer.Option("--version", help="The same as `astra version`.")] = False,
) -> None:
    set_up_logging(logging.DEBUG if debug else logging.INFO)
    use_cores(1 if context.invoked_subcommand in SAMPLING else cores())
    if show_version:
        version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        say_as_is(context.get_help())


def main(arguments: list[str] | None = None) -> int:
    """Run one command line, and turn every error into one line and its exit code.

    Args:
        arguments: Without the program's name; ``None`` takes those of the process.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    run = partial(app, arguments, standalone_mode=False, prog_name="astra", color=colour())
    if os.environ.get(completion.VARIABLE):
        return completion.answer(run)
    try:
        with signals_answered():
            code = _carried_out(run, arguments)
        return _as_printed(code, arguments)
    finally:
        drop_signals()


def _carried_out(run: Callable[[], int | None], arguments: list[str]) -> int:
    try:
        return run() or 0
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"{' '.join(_path_of(context)) if context else 'astra'} --help"
        # What pydantic says before the words of whoever checked a value.
        return fail(error.format_message().replace("Value error, ", ""), UsageError.exit_code, hint)
    except (typer.Abort, KeyboardInterrupt):
        return fail("interrupted", KEYBOARD_INTERRUPT)
    except Terminated as error:
        return fail(f"stopped before the end ({error}): run again", Interrupted.exit_code)
    except (Exception, SystemExit) as error:
        if is_of_lost_stdout(error):
            # Nobody reads any more, which ends what is printed for long; typer exits for this reason.
            return 0
        if isinstance(error, SystemExit):
            raise
        if "--debug" in arguments:
            logging.getLogger("astra").exception("traceback")
        known = _known(error)
        hint = f"{_command_in(arguments)} --help" if known.exit_code == UsageError.exit_code else None
        return fail(str(known), known.exit_code, hint)


def _as_printed(code: int, arguments: list[str]) -> int:
    """The exit code of a command, of which something may have been lost with stdout."""
    with suppress(OSError):
        sys.stdout.flush()
    lost = stdout_lost()
    # A reader that has enough is no fault, as with other programs.
    if code or lost is None or isinstance(lost, BrokenPipeError):
        return code
    said = f"cannot write to standard output: {lost.strerror}"
    if _command_in(arguments).removeprefix("astra ").startswith(CHANGING):
        logging.getLogger("astra").warning("%s; what was done stays done", said)
        return code
    return fail(said, StorageError.exit_code)


def _path_of(context: typer.Context) -> list[str]:
    """The words of a command, with its task where that has options of its own."""
    task = getattr(context.command, "task", None)
    return [context.command_path, *([task] if task else [])]


def _command_in(arguments: list[str]) -> str:
    """The command of a command line, with the groups that it is in."""
    command, path = typer.main.get_command(app), ["astra"]
    for word in arguments:
        below = getattr(command, "commands", {})
        if word in below:
            command = below[word]
            path.append(word)
    return " ".join(path)


def _known(error: Exception) -> AstraError:
    """The error of the project that says who has to act."""
    if isinstance(error, AstraError):
        return error
    if isinstance(error, MemoryError):
        return AstraError(OUT_OF_MEMORY)
    import peewee

    if isinstance(error, peewee.PeeweeException):
        from astra.database.connection import translated

        return translated(error)
    from astra.system.plugins import raised, unreadable

    for package, reason in unreadable().items():
        if reason == raised(error):
            return ConfigError(
                f"package {package}: its entry_points.txt cannot be read ({reason}), and every library that "
                "looks for entry points stops at it: install it again, or uninstall it"
            )
    remedy = "run again with `astra --debug …` for the traceback"
    return AstraError(f"internal error: {raised(error)}; {remedy}")
