"""What commands share: the configured database, one report for every ending, and `--json`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from astra.cli.console import fail, say, say_json
from astra.errors import UsageError

if TYPE_CHECKING:
    from astra.config import Settings
    from astra.running.ending import Ending, StopRequest
    from astra.running.runs import Report
    from astra.slurm.srun import SlurmReport

AsJson = Annotated[bool, Option("--json", help="Print one JSON object.")]


@contextmanager
def database_session() -> "Iterator[Settings]":
    """Open the configured database, check its schema, and bind the models to it.

    Raises:
        ConfigError: There is no such SQLite file, or its schema is not the one of this version.
        DatabaseUnreachable: PostgreSQL cannot be reached.
    """
    from astra.config import load_settings
    from astra.database.connection import bound_to, open_database
    from astra.schema import upgrade as schema

    settings = load_settings()
    with bound_to(open_database(settings)) as database:
        schema.check(database)
        yield settings


@contextmanager
def reported(report: "Report | SlurmReport", *, as_json: bool) -> "Iterator[StopRequest]":
    """Fill in how the work of this context ends, and print it for a program, whatever happens.

    Yields:
        What signals ask for.
    """
    from astra.running.ending import reporting

    try:
        with reporting(report) as stop:
            yield stop
    finally:
        if as_json:
            say_json(report.as_dict())


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


def finish(command: str, ending: "Ending") -> int:
    """Print what went wrong, if anything did; gives the exit code."""
    if not ending.error:
        return ending.exit_code
    hint = f"astra {command} --help" if ending.exit_code == UsageError.exit_code else None
    return fail(ending.error, ending.exit_code, hint)
