"""``astra run``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from astra.cli.console import database_session, examples, finish, note, reported, say, say_sum
from astra.cli.progress import progress
from astra.cli.task_options import TaskCommand
from astra.running.arguments import RunArguments
from astra.system.arguments import specified, takes

if TYPE_CHECKING:
    from astra.running.ending import StopRequest
    from astra.running.runs import Report

COMMAND = TaskCommand
EXAMPLES = examples(
    "astra run astronn_dist --limit 10000",
    "astra run astronn_dist 2M17334253-1654573",
    "astra run astronn_dist --weights my.safetensors --json",
    "astra run astronn_dist --page 1/4 --max-runtime 3600",
    "astra run astronn_dist --fill coverage --workers 2",
    "astra run astronn_dist --where \"release = 'dr17' and snr > 50\" --changed-since 7d",
    "astra run astronn_dist --stars-from stars.txt",
    "astra run astronn_dist --into trial-new --weights new.safetensors",
)


@takes(RunArguments)
def run(asked: RunArguments) -> None:
    """Run a task on the spectra it has not analysed yet, one row for each.

    Exit codes: 0 done or nothing pending, 2 wrong usage, 69 database not reachable, 70 internal error,
    74 the database refused a write, 75 stopped before the end: run again, 78 wrong configuration,
    130 stopped at once by a second Ctrl-C.
    """
    from astra.running.runs import Report
    from astra.tasks.installed import short_name

    asked = replace(asked, task=short_name(asked.task))
    report, remedy = Report(task=asked.task), None
    with reported(report, "run", as_json=asked.as_json) as stop:
        remedy = _execute(asked, report, stop)
    if not asked.as_json:
        if report.fill and report.outcome not in ("dry_run", "nothing_pending"):
            _say_filled(report)
        elif report.run_pk is not None:
            _say_done(report)
        elif not report.error:
            _say_nothing_done(report, remedy)
    finish("run", report)


def _execute(asked: RunArguments, report: "Report", stop: "StopRequest") -> str | None:
    """Run, and return what helps where nothing was pending."""
    from astra.running import fill, runner
    from astra.running.request import build_request, read_targets
    from astra.status.text import registers
    from astra.system.processes import check_memory, keep_memory
    from astra.tasks.installed import find_task
    from astra.trials.making import opened_for

    check_memory()
    keep_memory()
    task = find_task(asked.task)
    to_fill = None if asked.fill is None else task.fill(asked.fill)
    if to_fill:
        fill.refuse_with_fill(asked)
    targets = read_targets(task, asked.what, asked.shared.before, asked.page)
    # What is not there has nothing to fill.
    may_make = not (asked.dry_run or to_fill)
    with database_session(), opened_for(task, asked.shared, may_make=may_make) as task:
        report.task = task.key
        request = build_request(
            task,
            targets,
            asked.shared,
            limit=asked.limit,
            workers=asked.workers,
            max_runtime=asked.max_runtime,
            count=asked.count,
            dry_run=asked.dry_run,
            fill=to_fill,
            arguments=specified(asked),
        )
        with progress(task.key, asked.workers) as update:
            stop.waits_for = lambda: report.in_hand.in_words(update.pace.rate)
            stop.again = "gives them back"
            carry_out = fill.carry_out if to_fill else runner.carry_out
            carry_out(request, report, stop, lambda now: update(now.done, now.total))
            if report.outcome == "done":
                # What others took, and what was too quick to be counted, is not left.
                update(report.done, report.done)
        models = targets.models or task.spectrum_models
        if report.outcome == "nothing_pending" and not any(model.select().exists() for model in models):
            return f"no spectra are registered; {registers(models[0])}"
    if to_fill:
        return None
    if targets.stars:
        return "all stars that were named have their rows already; --overwrite makes them anew"
    if any((asked.shared.where, asked.shared.stars_from, asked.shared.changed_since)):
        return "that is, of what was chosen; --overwrite makes its rows anew"
    return None


def _say_done(report: "Report") -> None:
    found = report.as_dict()
    say_sum(found)
    rate = f", {found['spectra_per_s']:.1f} spectra/s" if found["processed"] else ""
    note(f"run {found['run_pk']}: {found['outcome']} in {found['elapsed_s']:.1f} s{rate}")
    if found["pending"]:
        note(f"{found['pending']:,} still pending")
    _note_withheld(found, "every run tries them again")


def _say_filled(report: "Report") -> None:
    found = report.as_dict()
    say(f"{found['filled']:,} rows of {report.task} filled ({report.fill})")
    note(f"{found['outcome']} in {found['elapsed_s']:.1f} s, {found['spectra_per_s']:.1f} rows/s")
    _note_withheld(found, f"their {report.fill} stays unknown, and the next --fill tries them again")


def _note_withheld(found: Mapping[str, Any], then: str) -> None:
    if found["withheld"]:
        reason = next(iter(found["withheld_reasons"]))
        note(f"files that cannot be read: {found['withheld']:,} (most often: {reason}); {then}")


def _say_nothing_done(report: "Report", remedy: str | None) -> None:
    if report.outcome == "dry_run":
        what = f"rows lack {report.fill}, or a part of it" if report.fill else "pending"
        say(f"{report.to_do:,} {what}")
        return
    say(f"nothing is {f'left to fill ({report.fill})' if report.fill else 'pending'} for {report.task}")
    if remedy:
        note(remedy)
