"""The command line: no logic; torch and astropy load only where they are needed.

    console.py      results on stdout; progress, logs and errors on stderr
    command.py      what commands share: the configured database, one report for every ending

One file for each command, named after it, with a function of this name or, for a group, an `app`:

    init.py, ingest.py, run.py, srun.py, status.py
    create.py, report.py, explain.py
    models.py, simulate.py, train.py, compare.py
    config.py, doctor.py, version.py
"""

import logging
import sys
from typing import Annotated

import typer

from astra.cli import (
    compare,
    config,
    create,
    doctor,
    explain,
    ingest,
    init,
    models,
    report,
    run,
    simulate,
    srun,
    status,
    train,
    version,
)
from astra.cli.console import fail, say
from astra.errors import AstraError
from astra.system.logs import set_up_logging

app = typer.Typer(
    name="astra",
    help="Spectrophotometric distances from APOGEE spectra.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# In the order in which the help lists them.
for _module in (
    *(init, ingest, run, srun, status, doctor, report, models),
    *(simulate, compare, train, create, explain, config, version),
):
    _name = _module.__name__.rpartition(".")[2]
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name)
    else:
        app.command(epilog=_module.EXAMPLES)(getattr(_module, _name))


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debugging messages.")] = False,
    show_version: Annotated[bool, typer.Option("--version", help="The same as `astra version`.")] = False,
) -> None:
    set_up_logging(logging.DEBUG if debug else logging.INFO)
    if show_version:
        version.version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(context.get_help())


def main(arguments: list[str] | None = None) -> int:
    """Run one command line, and turn every error into one line and its exit code.

    Args:
        arguments: Without the program's name; ``None`` takes those of the process.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        return app(arguments, standalone_mode=False) or 0
    except typer.TyperException as error:
        # What pydantic says before the words of whoever checked a value.
        return fail(error.format_message().replace("Value error, ", ""), 2, _help_hint(error))
    except AstraError as error:
        if debug:
            logging.getLogger("astra").exception("traceback")
        hint = f"{_command_in(arguments)} --help" if error.exit_code == 2 else None
        return fail(str(error), error.exit_code, hint)
    except (typer.Abort, KeyboardInterrupt):
        return fail("interrupted", 130)
    except Exception as error:
        if debug:
            logging.getLogger("astra").exception("traceback")
        return _unexpected(error)


def _help_hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'astra'} --help"


def _command_in(arguments: list[str]) -> str:
    """The command of a command line, by its whole name."""
    command, path = typer.main.get_command(app), ["astra"]
    for word in arguments:
        below = getattr(command, "commands", {})
        if word in below:
            command = below[word]
            path.append(word)
    return " ".join(path)


def _unexpected(error: Exception) -> int:
    import peewee

    if isinstance(error, peewee.PeeweeException):
        from astra.database.connection import translated

        known = translated(error)
        return fail(str(known), known.exit_code)
    again = "run again with `astra --debug …` for the traceback"
    return fail(f"internal error: {type(error).__name__}: {error}; {again}", AstraError.exit_code)
