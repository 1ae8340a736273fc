"""``astra status``."""

from typing import Annotated, Any

import typer

from astra.cli.console import say, say_json

EXAMPLES = """Examples:

  astra status

  astra status astronn_dist --json
"""


def status(
    task: Annotated[str | None, typer.Argument(help="Only this task.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what is pending, done and flagged, and the recent runs."""
    from astra.cli.session import database_session
    from astra.status import status_of
    from astra.tasks import find_task, task_names

    tasks = [find_task(name) for name in ([task] if task else task_names())]
    with database_session():
        found = [status_of(each) for each in tasks]
    if as_json:
        say_json({"tasks": found})
        return
    for each in found:
        _show(each)


def _show(found: dict[str, Any]) -> None:
    say(f"{found['task']} (version {found['version']})")
    say(f"  spectra    {found['spectra']:>12,}")
    say(f"  done       {found['done']:>12,}")
    say(f"  pending    {found['pending']:>12,}")
    say(f"  bad        {found['bad']:>12,}")
    say(f"  warn       {found['warn']:>12,}")
    for name, count in found["flags"].items():
        say(f"    {name:<24} {count:>12,}")
    for reason, count in found["no_result_reasons"].items():
        say(f"    no result: {reason} ({count:,})")
    for run in found["runs"]:
        outcome = run["outcome"] or "running, or killed"
        counts = f"{run['measured']:,} measured + {run['no_result']:,} no_result"
        say(f"  run {run['run_pk']} {run['started']} {run['host']}:{run['pid']} {outcome}")
        say(f"    {counts}, {run['rederived']:,} derived again")
