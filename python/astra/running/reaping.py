"""What becomes of what dead workers had in hand; within a transaction of ``changing_claims``.

Orphans are taken one by one from then on. One over which its worker dies again and again is poison: it is
quarantined, by a row that says that it has no result.
"""

import logging
from collections.abc import Collection

import peewee

from astra.database.connection import database, now
from astra.database.sql import locked
from astra.models.pipeline import TaskClaim, TaskRun, TaskWorker
from astra.running.chunk import Tally
from astra.running.rows import write_failures
from astra.tasks.contract import Task

log = logging.getLogger("astra")

#: A spectrum is poison when so many workers died of it, each while it had nothing else in hand.
POISON_DEATHS = 3


def claims_on(task: Task, keys: Collection[int]) -> peewee.Expression:
    """The claims on some spectra."""
    return (TaskClaim.task == task.name) & (TaskClaim.spectrum_pk << list(keys))


def reap(task: Task, worker: int, run_pk: int | None) -> Tally:
    """Orphan what a dead worker had in hand, and close the record of its run.

    Args:
        task: The task.
        worker: The key of the worker.
        run_pk: The run that found it dead.

    Returns:
        What was quarantined.
    """
    _, quarantined = orphan(task, TaskClaim.worker_pk == worker, run_pk)
    record = TaskWorker.get_or_none(TaskWorker.pk == worker)
    if record is None:  # it came back, with another key, or left in good order
        return quarantined
    log.warning(
        "worker %d on %s (process %d) died; what it had in hand is taken one by one",
        worker,
        record.host,
        record.pid,
    )
    TaskWorker.delete().where(TaskWorker.pk == worker).execute()
    unfinished = (TaskRun.pk == record.run_pk) & TaskRun.finished.is_null()
    TaskRun.update(outcome="died", finished=now(database)).where(unfinished).execute()
    return quarantined


def orphan(task: Task, had: peewee.Expression, run_pk: int | None) -> tuple[set[int], Tally]:
    """Let claims wait to be taken alone; count a death where one alone was in hand.

    Args:
        task: The task.
        had: Which claims.
        run_pk: The run that quarantines what is poison.

    Returns:
        Their spectra, and what was quarantined.
    """
    held = list(locked(TaskClaim.select().where(had).order_by(TaskClaim.spectrum_pk)))
    TaskClaim.delete().where(had, TaskClaim.held_back, ~TaskClaim.suspect).execute()
    claims = [claim for claim in held if claim.suspect or not claim.held_back]
    deaths = 1 if [claim.suspect for claim in claims if not claim.held_back] == [True] else 0
    waiting = {"worker_pk": None, "token": None, "suspect": True, "held_back": False}
    TaskClaim.update(attempts=TaskClaim.attempts + deaths, since=now(database), **waiting).where(
        claims_on(task, [claim.spectrum_pk for claim in claims])
    ).execute()
    poison = [c.spectrum_pk for c in claims if not c.held_back and c.attempts + deaths >= POISON_DEATHS]
    quarantined = _quarantine(task, poison, run_pk) if deaths and poison else Tally()
    return {claim.spectrum_pk for claim in held}, quarantined


def _quarantine(task: Task, keys: list[int], run_pk: int | None) -> Tally:
    """Write that there is no result; a task whose results cannot say that leaves the claims to wait."""
    reason = f"its worker died {POISON_DEATHS} times over this spectrum alone"
    written = write_failures(task, keys, run_pk, reason)
    if written is None:
        return Tally()
    TaskClaim.delete().where(claims_on(task, keys)).execute()
    return written
