"""``astra srun``."""

from dataclasses import replace
from typing import TYPE_CHECKING

from astra.cli.console import database_session, examples, finish, note, reported, say, say_as_is, say_sum
from astra.cli.progress import progress
from astra.cli.task_options import TaskCommand
from astra.slurm.array import SrunArguments
from astra.system.arguments import takes
from astra.system.signals import hold_signals

if TYPE_CHECKING:
    from astra.running.ending import StopRequest
    from astra.slurm.srun import SlurmReport

COMMAND = TaskCommand
EXAMPLES = examples(
    "astra srun astronn_dist --mem=16000 --gres=gpu:v100 --account=A --time=48:00:00",
    "astra srun astronn_dist --nodes 10 --procs 16 --array-limit 4 --limit 1000000",
    "astra srun astronn_dist --profile gpu --no-wait",
    "astra srun astronn_dist --profile sdss",
    "astra srun astronn_dist --nodes 4 --dry-run",
)


@takes(SrunArguments)
def srun(asked: SrunArguments) -> None:
    """Run a task on Slurm: one job array, whose tasks share what is pending.

    It waits for their end, and its exit code is theirs: the first of 78, 70, 74, 69, 75, 0 that one of them
    has. A task that was killed counts as 75 while work is left: run again. 2 also if Slurm refuses an option,
    78 also if there is no Slurm. Ctrl-C lets the tasks finish what they have in hand; a second one cancels
    them (130).
    """
    # Until the report is there that says how it ended.
    hold_signals()
    from astra.slurm.srun import SlurmReport
    from astra.tasks.installed import short_name

    asked = replace(asked, task=short_name(asked.task))
    report = SlurmReport(task=asked.task)
    with reported(report, "srun", as_json=asked.as_json) as stop:
        stop.waits_for = lambda: "the tasks finish what they have in hand"
        stop.again = "cancels them"
        _execute(asked, report, stop)
    if not asked.as_json:
        _say(report)
    finish("srun", report)


def _execute(asked: SrunArguments, report: "SlurmReport", stop: "StopRequest") -> None:
    from astra.running.request import read_targets
    from astra.slurm.srun import Watcher, carry_out
    from astra.tasks.installed import find_task
    from astra.trials.making import opened_for

    task = find_task(asked.task)
    targets = read_targets(task, asked.what, asked.shared.before)
    with database_session() as settings, opened_for(task, asked.shared, may_make=not asked.dry_run) as task:
        report.task = task.key
        with progress(task.key) as update:
            carry_out(task, targets, asked, settings, report, stop, Watcher(_say_submitted, note, update))


def _say_submitted(report: "SlurmReport") -> None:
    array = report.array
    _say_options(report)
    note(f"job {report.job}: tasks 0 to {array.tasks - 1}, logs {array.logs}/{report.job}_*.log")


def _say_options(report: "SlurmReport") -> None:
    from astra.system.arguments import option_name

    options = report.array.options_with_origins().items()
    shown = (f"{option_name(name)}={option['value']} ({option['origin']})" for name, option in options)
    note(f"options: {', '.join(shown)}")


def _say(report: "SlurmReport") -> None:
    if report.outcome == "dry_run":
        import shlex

        from astra.slurm.array import batch_script, sbatch_command

        _say_options(report)
        say(f"{report.to_do:,} pending")
        say_as_is(f"{shlex.join(sbatch_command(report.array))} <<'EOF'\n{batch_script(report.array)}EOF")
    elif report.outcome == "submitted":
        say(report.job)
    elif report.outcome == "nothing_pending":
        say(f"nothing is pending for {report.task}")
    elif report.tally:
        say_sum(report.tally)
        note(f"job {report.job}: {report.outcome} in {report.elapsed_s:.1f} s")
