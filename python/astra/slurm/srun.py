"""A run of a task on Slurm: checks, submits, waits, and says in one report what became of it."""

import logging
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peewee

from astra.config import Settings, SlurmSettings
from astra.database.connection import database, now, serves_other_machines
from astra.database.reconnecting import persistent
from astra.errors import AstraError, ConfigError, Interrupted, StorageError
from astra.running.ending import KEYBOARD_INTERRUPT, Ending, StopRequest
from astra.running.request import Request, Targets, build_request
from astra.running.runner import how_to_go_on, refuse_to_mix
from astra.slurm import commands
from astra.slurm.arguments import SrunArguments
from astra.slurm.array import JobArray, batch_script, sbatch_command
from astra.slurm.job import Job, wait_for
from astra.slurm.outcome import TaskEnd, exit_code_of, sentence
from astra.slurm.progress import LiveCount, count_done, newest_run
from astra.system.arguments import command_line
from astra.system.version import V_ASTRA
from astra.tasks.contract import Task
from astra.tasks.pending import anything_pending, count_pending, pending_query

log = logging.getLogger("astra")

_TALLY = ("processed", "measured", "no_result", "rederived", "bad", "warn")


@dataclass
class SlurmReport(Ending):
    """How a run on Slurm went.

    Attributes:
        task: Name of the task.
        job: Number of the job, once it is submitted.
        array: What is, or would be, submitted.
        to_do: What was pending before.
        tally: What its tasks did; ``None`` as long as that is not known.
        ends: How its tasks ended.
    """

    task: str
    job: str | None = None
    array: JobArray | None = None
    to_do: int | None = None
    tally: Mapping[str, int] | None = None
    ends: list[TaskEnd] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        array = self.array
        return {
            "task": self.task,
            "v_astra": V_ASTRA,
            "job": self.job,
            "nodes": array and array.tasks,
            "procs": array and array.options.procs,
            "logs": array and str(array.logs),
            "command": array and shlex.join(sbatch_command(array)),
            "pending_before": self.to_do,
            **{name: (self.tally or {}).get(name) for name in _TALLY},
            "tasks": [{"task": end.task, "state": end.state, "exit_code": end.code} for end in self.ends],
            "elapsed_s": round(self.elapsed_s, 3),
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "error": self.error,
        }


@dataclass(frozen=True)
class Watcher:
    """Who hears how it goes.

    Attributes:
        submitted: Called once, with the report.
        changed: Called with a line about the tasks when that changes.
        progress: Called with what is done, and what is to do.
    """

    submitted: Callable[[SlurmReport], None]
    changed: Callable[[str], None]
    progress: Callable[[int, int | None], None]


def carry_out(
    task: Task,
    targets: Targets,
    asked: SrunArguments,
    settings: Settings,
    report: SlurmReport,
    stop: StopRequest,
    watcher: Watcher,
) -> None:
    """Run ``targets`` on Slurm as ``asked`` for, within ``reporting``.

    Raises:
        UsageError: A star, a profile or an option does not exist, or Slurm refuses one.
        ConfigError: There is no Slurm here, or what there is cannot be used for this.
        Interrupted: A signal came before anything was submitted, or Slurm does not answer.
    """
    options = _options(asked, settings)
    request = build_request(task, targets, asked.shared, limit=asked.limit)
    report.array = _array(asked, request, options)
    report.to_do = count_pending(request.selection)
    if asked.dry_run:
        report.end("dry_run", 0)
        return
    refuse_to_mix(request, task.identify(**request.options))
    moment = now(database)
    withheld = request.selection.withheld(moment, since=moment)
    if not report.to_do and not pending_query(withheld).exists():
        report.end("nothing_pending", 0)
        return
    if stop.reason:
        raise Interrupted(f"nothing was submitted ({stop.reason})")
    after = newest_run()
    _submit(report)
    watcher.submitted(report)
    if asked.no_wait:
        report.end("submitted", 0)
    else:
        _Waiting(request, report, after).go(stop, watcher)


def _options(asked: SrunArguments, settings: Settings) -> SlurmSettings:
    options = asked.options_in_force(settings.slurm)
    if options.nodes > 1 and not serves_other_machines(database):
        raise ConfigError(
            f"--nodes {options.nodes}: an SQLite file cannot be shared by several machines; "
            "use PostgreSQL (database.url), or --nodes 1 with more --procs"
        )
    if not asked.dry_run:
        commands.check_installed()
    return options


def _array(asked: SrunArguments, request: Request, options: SlurmSettings) -> JobArray:
    before = request.selection.before
    worker = asked.of_worker(before and before.isoformat(timespec="microseconds"))
    return JobArray(
        f"astra-{asked.task}",
        ("run", *command_line(worker)),
        options,
        logs=options.logs.expanduser().absolute(),
        folder=Path.cwd(),
        limit=asked.limit,
    )


def _submit(report: SlurmReport) -> None:
    array = report.array
    try:
        array.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder of logs {array.logs}: {error.strerror}; --logs names another"
        ) from error
    report.job = commands.submit(sbatch_command(array), batch_script(array))


class _Waiting:
    """Waits for a submitted job, and finds out what became of it."""

    def __init__(self, request: Request, report: SlurmReport, after: int) -> None:
        self._request, self._report = request, report
        self._subject = (request.selection.task, report.job, after)
        self._said: Any = None

    def go(self, stop: StopRequest, watcher: Watcher) -> None:
        array = self._report.array
        job = Job(self._report.job, array.tasks, array.logs)
        # Not one session for hours. And of SQLite, whose file may be in use on another machine, none at all.
        database.close()
        if serves_other_machines(database):
            with LiveCount(*self._subject) as live:
                at_once = wait_for(job, stop, lambda: self._tell(job, live.done, watcher))
        else:
            at_once = wait_for(job, stop, lambda: self._tell(job, None, watcher))
        self._end(job, at_once)

    def _tell(self, job: Job, done: int | None, watcher: Watcher) -> None:
        state, before = job.summary(), self._said
        self._said = (state, done)
        if before is None or before[0] != state:
            watcher.changed(f"job {job.number}: {state}")
        if done is not None and (before is None or before[1] != done):
            limit, to_do = self._request.limit, self._report.to_do
            watcher.progress(done, to_do if limit is None else min(limit, to_do))

    def _end(self, job: Job, at_once: bool) -> None:
        report = self._report
        report.ends = job.ends()
        is_pending = self._look_again()
        code = exit_code_of(report.ends, is_pending)
        if at_once:
            error = f"job {job.number} was cancelled at once; {how_to_go_on(self._request.selection)}"
            report.end("stopped", KEYBOARD_INTERRUPT, error)
        elif code == 0:
            report.end("done", 0)
        else:
            said = sentence(job.number, report.ends, is_pending, report.array.logs)
            if code == Interrupted.exit_code and "run again" not in said:
                said += f"; {how_to_go_on(self._request.selection)}"
            outcome = "stopped" if code == Interrupted.exit_code else "failed"
            report.end(outcome, code, f"{said}; logs in {report.array.logs}")

    def _look_again(self) -> bool:
        """Count what was done, and see whether work is left; if nobody can tell, there is."""
        try:
            self._report.tally = persistent(lambda: count_done(*self._subject))
            return persistent(lambda: anything_pending(self._request.selection))
        except (AstraError, peewee.PeeweeException) as error:
            log.warning("what was done cannot be counted: %s", error)
            return True
