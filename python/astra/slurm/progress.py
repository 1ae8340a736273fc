"""What the tasks of a job have done so far, counted in the database while nobody waits for it."""

import logging
import threading
import time
from typing import Any

import peewee
from peewee import fn

from astra.database.reconnecting import hang_up
from astra.errors import AstraError
from astra.models.pipeline import TaskRun
from astra.slurm.array import JOB_PREFIX
from astra.tasks.contract import Task

log = logging.getLogger("astra")

# Between two counts [s]; and no count takes more than this share of the time.
_PAUSE_S = 2.0
_SHARE_OF_TIME = 0.02


def newest_run() -> int:
    """The key of the newest run; those of a job that is submitted now have larger ones."""
    return TaskRun.select(fn.COALESCE(fn.MAX(TaskRun.pk), 0)).scalar()


def runs_of(task: Task, job: str, after: int) -> peewee.ModelSelect:
    """The runs of the tasks of a job.

    Args:
        task: The task.
        job: Number of the job.
        after: ``newest_run`` when it was submitted: clusters count their jobs from 1 more than once.
    """
    mark = f'"job": "{JOB_PREFIX}{job}_'
    return TaskRun.select().where(
        TaskRun.task == task.name, TaskRun.pk > after, TaskRun.arguments.contains(mark)
    )


def count_done(task: Task, job: str, after: int) -> dict[str, int]:
    """What the tasks of a job have done, also those that were killed.

    Returns:
        ``processed, measured, no_result, rederived, bad, warn``.
    """
    runs = list(runs_of(task, job, after))
    results = task.output_model
    written = results.run_pk << [run.pk for run in runs]

    def count(name: str) -> int:
        return (
            results.select().where(written, getattr(results, name)).count() if hasattr(results, name) else 0
        )

    processed, no_result = results.select().where(written).count(), count("flag_no_result")
    return {
        "processed": processed,
        "measured": processed - no_result,
        "no_result": no_result,
        "rederived": sum(run.rederived for run in runs),
        "bad": count("flag_bad"),
        "warn": count("flag_warn"),
    }


class LiveCount:
    """A context in which a thread counts what is done; a database that does not answer holds up nobody.

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

    def __enter__(self) -> "LiveCount":
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._thread.join(_PAUSE_S)

    def _count(self) -> None:
        pause = _PAUSE_S
        while not self._over.wait(pause):
            begun = time.monotonic()
            try:
                self.done = self._done_now()
            except (peewee.PeeweeException, AstraError) as error:
                log.debug("progress cannot be counted now: %s", error)
                hang_up()
            pause = max(_PAUSE_S, (time.monotonic() - begun) / _SHARE_OF_TIME)
        hang_up()

    def _done_now(self) -> int:
        task = self._subject[0]
        runs = list(runs_of(*self._subject))
        written = task.output_model.run_pk << [run.pk for run in runs]
        return task.output_model.select().where(written).count() + sum(run.rederived for run in runs)
