"""A run of a task on Slurm: checks, submits, waits, and says in one report what became of it.

What the tasks of its job have done is counted in the database.
"""

import logging
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import peewee
from peewee import fn

from astra.config import Settings
from astra.database.connection import database, now, serves_other_machines
from astra.database.reconnecting import hang_up, persistent
from astra.errors import AstraError, ConfigError, Interrupted, StorageError, UsageError
from astra.models.pipeline import TaskRun
from astra.running.ending import Ending, StopRequest
from astra.running.going_on import settle
from astra.running.request import Request, Targets, build_request, precisely
from astra.running.runner import refuse_to_mix
from astra.running.star_list import STDIN, is_pipe
from astra.schema.packages import check_task
from astra.slurm import commands
from astra.slurm.array import JOB_PREFIX, JobArray, SrunArguments, batch_script, sbatch_command
from astra.slurm.job import Job, TaskEnd, exit_code_of, sentence, wait_for
from astra.status.overview import how_many
from astra.system.arguments import command_line
from astra.system.signals import KEYBOARD_INTERRUPT
from astra.system.version import V_ASTRA
from astra.tasks.contract import Task
from astra.tasks.pending import anything_pending, anything_to_process, count_pending

log = logging.getLogger("astra")

_TALLY = ("processed", "measured", "no_result", "rederived", "bad", "warn")

# Between two counts [s]; and no count takes more than this share of the time.
_PAUSE_S = 2.0
_SHARE_OF_TIME = 0.02


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
            "options": array and array.options_with_origins(),
            "command": array and shlex.join(sbatch_command(array)),
            "pending_before": self.to_do,
            **{name: (self.tally or {}).get(name) for name in _TALLY},
            "tasks": [{"task": end.task, "state": end.state, "exit_code": end.code} for end in self.ends],
            "elapsed_s": round(self.elapsed_s, 3),
            **self.as_ended(),
        }


@dataclass(frozen=True)
class Watcher:
    """What is called while a job runs.

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
        ConfigError: There is no Slurm here, or what there is cannot be used for this; or the tables of the
            task are not those of its package.
        StorageError: The folder of logs cannot be made.
        Interrupted: A signal came before anything was submitted, or Slurm does not answer.
    """
    options = asked.options_in_force(settings.slurm)
    if options.nodes > 1 and not serves_other_machines(database):
        raise ConfigError(
            f"--nodes {options.nodes}: an SQLite file cannot be shared by several machines; "
            "use PostgreSQL (database.url), or --nodes 1 with more --procs"
        )
    if (stars := asked.shared.stars_from) and (stars == STDIN or is_pipe(stars)):
        raise UsageError(
            f"--stars-from {stars}: the tasks of a job have another input; name a file that all can read"
        )
    check_task(task)
    request = build_request(task, targets, asked.shared, limit=asked.limit)
    if not asked.dry_run:
        commands.check_installed()
    chosen = request.selection
    settled = settle(task, request.options)
    if settled.note:
        log.info(settled.note)
    times = (each and precisely(each) for each in (chosen.before, chosen.changed_since))
    worker = asked.of_worker(*times, settled)
    report.array = JobArray(
        f"astra-{task.key.replace('@', '-')}",
        ("run", *command_line(worker)),
        options,
        logs=options.logs.absolute(),
        folder=Path.cwd(),
        limit=asked.limit,
        origins=asked.origins(settings.slurm),
    )
    report.to_do = count_pending(request.selection)
    refuse_to_mix(request, settled.provenance)
    if asked.dry_run:
        report.end("dry_run", 0)
        return
    moment = now(database)
    withheld = request.selection.withheld(moment, since=moment)
    if not report.to_do and not anything_to_process(withheld):
        report.end("nothing_pending", 0)
        return
    if stop.reason:
        raise Interrupted(f"nothing was submitted ({stop.reason})")
    after = TaskRun.select(fn.COALESCE(fn.MAX(TaskRun.pk), 0)).scalar()
    array = report.array
    try:
        array.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder of logs {array.logs}: {error.strerror}; --logs names another"
        ) from error
    report.job = commands.submit(sbatch_command(array), batch_script(array))
    watcher.submitted(report)
    if asked.no_wait:
        report.end("submitted", 0)
    else:
        _Waiting(request, report, after).go(stop, watcher)


def runs_of(task: Task, job: str, after: int) -> peewee.ModelSelect:
    """The runs of the tasks of a job.

    Args:
        task: The task.
        job: Number of the job.
        after: The newest run when it was submitted: clusters count their jobs from 1 more than once.
    """
    mark = f'"job": "{JOB_PREFIX}{job}_'
    return TaskRun.select().where(
        TaskRun.task == task.key, TaskRun.pk > after, TaskRun.arguments.contains(mark)
    )


def count_done(task: Task, job: str, after: int) -> dict[str, int]:
    """What the tasks of a job have done, also those that were killed.

    Returns:
        ``processed, measured, no_result, rederived, bad, warn``.
    """
    results, runs = task.output_model, list(runs_of(task, job, after))
    counted = [how_many(results, flag) for flag in ("flag_no_result", "flag_bad", "flag_warn")]
    query = results.select(fn.COUNT(results.task_pk), *counted)
    found = query.where(results.run_pk << [run.pk for run in runs]).tuples().get()
    processed, no_result, bad, warn = (number or 0 for number in found)
    rederived = sum(run.rederived for run in runs)
    counts = (processed, processed - no_result, no_result, rederived, bad, warn)
    return dict(zip(_TALLY, counts, strict=True))


class LiveCount:
    """A context in which a thread counts what is done, so that a silent database blocks nothing else.

    Args:
        task: The task.
        job: Number of the job.
        after: As in :func:`runs_of`.
    """

    def __init__(self, task: Task, job: str, after: int) -> None:
        self._subject = (task, job, after)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="astra-progress", daemon=True)
        self.done = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(_PAUSE_S)

    def _count(self) -> None:
        pause = _PAUSE_S
        while not self._over.wait(pause):
            started = time.monotonic()
            try:
                results, runs = self._subject[0].output_model, list(runs_of(*self._subject))
                written = results.select().where(results.run_pk << [run.pk for run in runs])
                self.done = written.count() + sum(run.rederived for run in runs)
            except (peewee.PeeweeException, AstraError) as error:
                log.debug("progress cannot be counted now: %s", error)
                hang_up()
            pause = max(_PAUSE_S, (time.monotonic() - started) / _SHARE_OF_TIME)
        hang_up()


class _Waiting:
    """Waits for a submitted job, and finds out what became of it."""

    def __init__(self, request: Request, report: SlurmReport, after: int) -> None:
        self._request, self._report = request, report
        self._subject = (request.selection.task, report.job, after)
        self._said: tuple[str | None, int | None] = (None, None)

    def go(self, stop: StopRequest, watcher: Watcher) -> None:
        array = self._report.array
        job = Job(self._report.job, array.tasks, array.logs)
        # No session stays open for hours, and none at all on SQLite, whose file another machine may be using.
        database.close()
        with LiveCount(*self._subject) if serves_other_machines(database) else nullcontext() as live:
            at_once = wait_for(job, stop, lambda: self._tell(job, live and live.done, watcher))
        self._end(job, at_once)

    def _tell(self, job: Job, done: int | None, watcher: Watcher) -> None:
        state, (state_before, done_before) = job.summary(), self._said
        self._said = (state, done)
        if state != state_before:
            watcher.changed(f"job {job.number}: {state}")
        if done not in (None, done_before):
            limit, to_do = self._request.limit, self._report.to_do
            watcher.progress(done, to_do if limit is None else min(limit, to_do))

    def _end(self, job: Job, at_once: bool) -> None:
        report = self._report
        report.ends = job.ends()
        is_pending = self._look_again()
        code = exit_code_of(report.ends, is_pending)
        if at_once:
            error = f"job {job.number} was cancelled at once; {self._request.how_to_go_on}"
            report.end("stopped", KEYBOARD_INTERRUPT, error)
        elif code == 0:
            report.end("done", 0)
        else:
            said = sentence(job.number, report.ends, is_pending, report.array.logs)
            if code == Interrupted.exit_code and "run again" not in said:
                said += f"; {self._request.how_to_go_on}"
            outcome = "stopped" if code == Interrupted.exit_code else "failed"
            report.end(outcome, code, f"{said}; logs in {report.array.logs}")

    def _look_again(self) -> bool:
        """Count what was done, and say whether work is left, which is assumed if it cannot be known."""
        try:
            self._report.tally = persistent(lambda: count_done(*self._subject))
            return persistent(lambda: anything_pending(self._request.selection))
        except (AstraError, peewee.PeeweeException) as error:
            log.warning("what was done cannot be counted: %s", error)
            return True
