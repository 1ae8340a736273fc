"""``astra run``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import fail, note, progress, say, say_json

if TYPE_CHECKING:
    from astra.running.runner import Report

EXAMPLES = """Examples:

  astra run astronn_dist --limit 10000

  astra run astronn_dist 2M17334253-1654573

  astra run astronn_dist --weights my.safetensors --json

  astra run astronn_dist --page 1/4 --max-runtime 3600
"""


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Retry(StrEnum):
    """Which rows to take again."""

    NO_RESULT = "no_result"


def run(
    task: Annotated[str, typer.Argument(help="The task, e.g. astronn_dist.")],
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL|STAR", help="Model of the spectra; stars by sdss_id or APOGEE id."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many spectra.")] = None,
    page: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only spectra with spectrum_pk % N = I - 1.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Local processes.")] = 1,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Spectra in one transaction.")] = None,
    device: Annotated[Device | None, typer.Option(help="Where the network runs.")] = None,
    weights: Annotated[str | None, typer.Option(help="Weights: a path or a name.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the dropout masks.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take all spectra, done or not.")] = False,
    retry: Annotated[Retry | None, typer.Option(help="Take failed spectra again.")] = None,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Accept rows made by other weights.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what is pending, and do nothing.")
    ] = False,
    count: Annotated[bool, typer.Option("--count", help="Count what is pending before starting.")] = False,
    max_runtime: Annotated[
        float | None, typer.Option(min=0, metavar="S", help="Start no batch after S seconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the sum as one JSON object.")] = False,
) -> None:
    """Run a task on the spectra it has not analysed yet, one row for each.

    Exit codes: 0 done or nothing pending, 2 wrong usage, 69 database not reachable, 70 internal error,
    74 the database refused a write, 75 stopped before the end: run again, 78 wrong configuration.
    """
    arguments = {name: value for name, value in locals().items() if value not in (None, False)}
    from astra.errors import AstraError
    from astra.running.request import CHUNK
    from astra.running.runner import Report

    report = Report(task=task)
    options = {"weights": weights, "seed": seed, "device": device.value if device else None}
    rest = {
        "limit": limit,
        "chunk": batch_size or CHUNK,
        "workers": workers,
        "max_runtime": max_runtime,
        "allow_mixed": allow_mixed,
        "count": count,
        "dry_run": dry_run,
        "retry_no_result": retry is not None,
        "overwrite": overwrite,
        "arguments": arguments,
    }
    try:
        _execute(report, what or [], page, options, rest)
    except AstraError as error:
        report.end("failed", error.exit_code, str(error))
    finally:
        if as_json:
            say_json(report.as_dict())
    if not as_json and report.run_pk is not None:
        _say_sum(report)
    if report.error:
        hint = "astra run --help" if report.exit_code == 2 else None
        raise typer.Exit(fail(report.error, report.exit_code, hint))
    if not as_json and report.run_pk is None:
        _say_nothing_done(report)


def _execute(
    report: "Report", words: list[str], page: str | None, options: dict[str, Any], rest: dict[str, Any]
) -> None:
    from astra.cli.session import database_session
    from astra.running.request import build_request, read_targets
    from astra.running.runner import run as run_task
    from astra.tasks import find_task

    task = find_task(report.task)
    targets = read_targets(task, words, page)
    with database_session():
        request = build_request(task, targets, options, **rest)
        with progress(task.name) as update:
            run_task(
                request, report, lambda now: update(now.tally.processed + now.tally.rederived, now.to_do)
            )


def _say_sum(report: "Report") -> None:
    found = report.as_dict()
    flags = ", ".join(f"{name} {count:,}" for name, count in found["flags"].items() if count)
    detail = f"bad {found['bad']:,}, warn {found['warn']:,}" + (f"; {flags}" if flags else "")
    parts = f"{found['measured']:,} measured + {found['no_result']:,} no_result"
    say(f"{parts} = {found['processed']:,} processed ({detail})")
    if found["rederived"]:
        say(f"{found['rederived']:,} distances derived again from changed photometry or extinction")
    rate = f", {found['spectra_per_s']:.1f} spectra/s" if found["processed"] else ""
    note(f"run {found['run_pk']}: {found['outcome']} in {found['elapsed_s']:.1f} s{rate}")
    if found["pending"]:
        note(f"{found['pending']:,} still pending")


def _say_nothing_done(report: "Report") -> None:
    if report.outcome == "dry_run":
        say(f"{report.to_do:,} pending")
    else:
        say(f"nothing is pending for {report.task}")
