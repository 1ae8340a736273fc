"""``astra run``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import fail, note, progress, say, say_json

if TYPE_CHECKING:
    from astra.running.ending import StopRequest
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


Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODEL|STAR", help="Model of the spectra; stars by sdss_id or APOGEE id."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after this many spectra.")]
Page = Annotated[str | None, typer.Option(metavar="I/N", help="Only spectra with spectrum_pk % N = I - 1.")]
Workers = Annotated[int, typer.Option(min=1, help="Local processes.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Spectra in one transaction.")]
DeviceName = Annotated[Device | None, typer.Option(help="Where the network runs.")]
Weights = Annotated[str | None, typer.Option(help="Weights: a path, or a name of `astra models list`.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of the dropout masks.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Take all spectra, done or not.")]
RetryWhich = Annotated[Retry | None, typer.Option(help="Take failed spectra again.")]
Before = Annotated[str | None, typer.Option(metavar="TIME", help="Take again only what is older (UTC).")]
AllowMixed = Annotated[bool, typer.Option("--allow-mixed", help="Accept rows made by other weights.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what is pending, and do nothing.")]
Count = Annotated[bool, typer.Option("--count", help="Count what is pending before starting.")]
MaxRuntime = Annotated[float | None, typer.Option(min=0, metavar="S", help="Start no batch after S seconds.")]
Job = Annotated[str | None, typer.Option(metavar="NAME", help="The job this is a part of, for the record.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the sum as one JSON object.")]


def run(
    task: Annotated[str, typer.Argument(help="The task, e.g. astronn_dist.")],
    what: Words = None,
    limit: Limit = None,
    page: Page = None,
    workers: Workers = 1,
    batch_size: BatchSize = None,
    device: DeviceName = None,
    weights: Weights = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
    retry: RetryWhich = None,
    before: Before = None,
    allow_mixed: AllowMixed = False,
    dry_run: DryRun = False,
    count: Count = False,
    max_runtime: MaxRuntime = None,
    job: Job = None,
    as_json: AsJson = False,
) -> None:
    """Run a task on the spectra it has not analysed yet, one row for each.

    Exit codes: 0 done or nothing pending, 2 wrong usage, 69 database not reachable, 70 internal error,
    74 the database refused a write, 75 stopped before the end: run again, 78 wrong configuration,
    130 stopped at once by a second Ctrl-C.
    """
    raise typer.Exit(_carry_out(locals()))


def _carry_out(arguments: dict[str, Any]) -> int:
    """Run, and say how it went; gives the exit code."""
    from astra.running.runner import Report, reporting

    report, stars = Report(task=arguments["task"]), ()
    try:
        with reporting(report) as stop:
            stars = _execute(report, arguments, stop)
    finally:
        if arguments["as_json"]:
            say_json(report.as_dict())
    if not arguments["as_json"] and report.run_pk is not None:
        _say_sum(report)
    if report.error:
        return fail(report.error, report.exit_code, "astra run --help" if report.exit_code == 2 else None)
    if not arguments["as_json"] and report.run_pk is None:
        _say_nothing_done(report, are_named=bool(stars))
    return report.exit_code


def _execute(report: "Report", arguments: dict[str, Any], stop: "StopRequest") -> tuple[str, ...]:
    """Run; gives the stars that were named."""
    from astra.cli.session import database_session
    from astra.running.request import CHUNK, build_request, read_targets
    from astra.running.runner import carry_out
    from astra.system.processes import keep_memory
    from astra.tasks.registry import find_task

    keep_memory()
    task = find_task(report.task)
    targets = read_targets(task, arguments["what"] or [], arguments["page"], arguments["before"])
    device = arguments["device"]
    options = {name: arguments[name] for name in ("weights", "seed")}
    options["device"] = device.value if device else None
    same = ("limit", "workers", "max_runtime", "allow_mixed", "count", "dry_run", "overwrite")
    rest = {name: arguments[name] for name in same}
    rest["chunk"] = arguments["batch_size"] or CHUNK
    rest["retry_no_result"] = arguments["retry"] is not None
    rest["arguments"] = {
        name: value for name, value in arguments.items() if value is not None and value is not False
    }
    with database_session():
        request = build_request(task, targets, options, **rest)
        with progress(task.name) as update:
            carry_out(request, report, stop, lambda now: update(now.tally.done, now.to_do))
    return targets.stars


def _say_sum(report: "Report") -> None:
    found = report.as_dict()
    flags = ", ".join(f"{name} {count:,}" for name, count in found["flags"].items() if count)
    detail = f"bad {found['bad']:,}, warn {found['warn']:,}" + (f"; {flags}" if flags else "")
    parts = f"{found['measured']:,} measured + {found['no_result']:,} no_result"
    say(f"{parts} = {found['processed']:,} processed ({detail})")
    if found["rederived"]:
        say(f"{found['rederived']:,} results derived again from what the table of sources says now")
    rate = f", {found['spectra_per_s']:.1f} spectra/s" if found["processed"] else ""
    note(f"run {found['run_pk']}: {found['outcome']} in {found['elapsed_s']:.1f} s{rate}")
    if found["pending"]:
        note(f"{found['pending']:,} still pending")
    if found["withheld"]:
        reason = next(iter(found["withheld_reasons"]))
        unread = f"files that cannot be read: {found['withheld']:,} (most often: {reason})"
        note(f"{unread}; every run tries them again")


def _say_nothing_done(report: "Report", *, are_named: bool) -> None:
    if report.outcome == "dry_run":
        say(f"{report.to_do:,} pending")
        return
    say(f"nothing is pending for {report.task}")
    if are_named:
        note("all stars that were named have their rows already; --overwrite makes them anew")
