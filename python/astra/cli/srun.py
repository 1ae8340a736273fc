"""``astra srun``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli import run as words
from astra.cli.console import fail, note, progress, say, say_json

if TYPE_CHECKING:
    from astra.running.ending import StopRequest
    from astra.slurm.srun import SlurmReport

EXAMPLES = """Examples:

  astra srun astronn_dist --mem=16000 --gres=gpu:v100 --account=A --time=48:00:00

  astra srun astronn_dist --nodes 10 --procs 16 --array-limit 4 --limit 1000000

  astra srun astronn_dist --profile gpu --no-wait

  astra srun astronn_dist --nodes 4 --dry-run
"""

Nodes = Annotated[
    int | None, typer.Option(min=1, help="Tasks of the array, each on one machine.  [default: 1]")
]
Procs = Annotated[int | None, typer.Option(min=1, help="Processes of each, a core each.  [default: 1]")]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after this many spectra in all.")]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="Options under `slurm` in the settings.")]
Partition = Annotated[str | None, typer.Option(help="For Slurm.")]
Account = Annotated[str | None, typer.Option(help="For Slurm.")]
Qos = Annotated[str | None, typer.Option(help="For Slurm.")]
Time = Annotated[str | None, typer.Option(help="For Slurm: longest time of a task, e.g. 48:00:00.")]
Mem = Annotated[str | None, typer.Option(help="For Slurm: memory of a task, MB or e.g. 16G.")]
Gres = Annotated[str | None, typer.Option(help="For Slurm, e.g. gpu:v100.")]
ArrayLimit = Annotated[int | None, typer.Option(min=1, help="Tasks that may run at the same time.")]
Logs = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of logs.  [default: astra-logs]")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Print the job's number, and do not wait.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be submitted, and submit nothing.")]
MaxRuntime = Annotated[
    float | None, typer.Option(min=0, metavar="S", help="Start no batch after S seconds of a task.")
]


def srun(
    task: Annotated[str, typer.Argument(help="The task, e.g. astronn_dist.")],
    what: words.Words = None,
    nodes: Nodes = None,
    procs: Procs = None,
    limit: Limit = None,
    profile: Profile = None,
    partition: Partition = None,
    account: Account = None,
    qos: Qos = None,
    time: Time = None,
    mem: Mem = None,
    gres: Gres = None,
    array_limit: ArrayLimit = None,
    logs: Logs = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
    batch_size: words.BatchSize = None,
    device: words.DeviceName = None,
    weights: words.Weights = None,
    seed: words.Seed = None,
    overwrite: words.Overwrite = False,
    retry: words.RetryWhich = None,
    before: words.Before = None,
    allow_mixed: words.AllowMixed = False,
    max_runtime: MaxRuntime = None,
    as_json: words.AsJson = False,
) -> None:
    """Run a task on Slurm: one job array, whose tasks share what is pending.

    It waits for their end, and its exit code is theirs: the first of 78, 70, 74, 69, 75, 0 that one of them
    has. A task that was killed counts as 75 while work is left: run again. 2 also if Slurm refuses an option,
    78 also if there is no Slurm. Ctrl-C lets the tasks finish what they have in hand; a second one cancels
    them (130).
    """
    raise typer.Exit(_carry_out(locals()))


def _carry_out(arguments: dict[str, Any]) -> int:
    """Run, and say how it went; gives the exit code."""
    from astra.running.ending import reporting
    from astra.slurm.srun import SlurmReport

    report = SlurmReport(task=arguments["task"])
    try:
        with reporting(report) as stop:
            _execute(report, arguments, stop)
    finally:
        if arguments["as_json"]:
            say_json(report.as_dict())
    if not arguments["as_json"]:
        _say(report)
    if report.error:
        return fail(report.error, report.exit_code, "astra srun --help" if report.exit_code == 2 else None)
    return report.exit_code


def _execute(report: "SlurmReport", arguments: dict[str, Any], stop: "StopRequest") -> None:
    from astra.cli.session import database_session
    from astra.running.request import read_targets
    from astra.slurm.srun import Watcher, carry_out
    from astra.tasks.registry import find_task

    task = find_task(report.task)
    targets = read_targets(task, arguments["what"] or [], None, arguments["before"])
    with database_session() as settings, progress(task.name) as update:
        carry_out(task, targets, arguments, settings, report, stop, Watcher(_say_submitted, note, update))


def _say_submitted(report: "SlurmReport") -> None:
    array = report.array
    note(f"job {report.job}: tasks 0 to {array.tasks - 1}, logs {array.logs}/{report.job}_*.log")


def _say(report: "SlurmReport") -> None:
    if report.outcome == "dry_run":
        _say_plan(report)
    elif report.outcome == "submitted":
        say(report.job)
    elif report.outcome == "nothing_pending":
        say(f"nothing is pending for {report.task}")
    elif report.tally:
        found = {name: f"{count:,}" for name, count in report.tally.items()}
        detail = f"bad {found['bad']}, warn {found['warn']}"
        say(f"{found['measured']} measured + {found['no_result']} no_result = "
            f"{found['processed']} processed ({detail})")  # fmt: skip
        if report.tally["rederived"]:
            say(f"{found['rederived']} results derived again from what the table of sources says now")
        note(f"job {report.job}: {report.outcome} in {report.elapsed_s:.1f} s")


def _say_plan(report: "SlurmReport") -> None:
    import shlex

    from astra.slurm.script import batch_script, sbatch_command

    say(f"{report.to_do:,} pending")
    say(f"{shlex.join(sbatch_command(report.array))} <<'EOF'\n{batch_script(report.array)}EOF")
