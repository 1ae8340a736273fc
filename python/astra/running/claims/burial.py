"""What becomes of what the dead had in hand; within a transaction for claims."""

import logging
from collections.abc import Collection

import peewee

from astra.database.connection import database, locked, now
from astra.models.claims import TaskClaim, TaskWorker
from astra.models.pipeline import TaskRun
from astra.running.chunk import Tally, write_failures
from astra.tasks.contract import Task

log = logging.getLogger("astra")

#: A spectrum that so many workers died of, each while it had nothing else in hand, gets no result.
MOST_DEATHS = 3


def on(task: str, keys: Collection[int]) -> peewee.Expression:
    """The claims on some spectra."""
    return (TaskClaim.task == task) & (TaskClaim.spectrum_pk << list(keys))


class Burial:
    """Takes from the dead what they had in hand.

    Args:
        task: The task.
        run_pk: The run that finds them, and gives up what killed too many.
    """

    def __init__(self, task: Task, run_pk: int | None) -> None:
        self._task, self._run_pk = task, run_pk
        self.given_up = Tally()

    def bury(self, worker: int) -> None:
        """Take what a dead worker had in hand from it, and close the record of its run."""
        self.orphan(TaskClaim.worker_pk == worker)
        record = TaskWorker.get_or_none(TaskWorker.pk == worker)
        if record is None:  # it came back, with another key, or left in good order
            return
        log.warning(
            "worker %d on %s (process %d) died; what it had in hand is taken one by one",
            worker,
            record.host,
            record.pid,
        )
        TaskWorker.delete().where(TaskWorker.pk == worker).execute()
        unfinished = (TaskRun.pk == record.run_pk) & TaskRun.finished.is_null()
        TaskRun.update(outcome="died", finished=now(database)).where(unfinished).execute()

    def orphan(self, had: peewee.Expression) -> set[int]:
        """Let claims wait to be taken alone; count a death where one alone was in hand.

        Args:
            had: Which claims.

        Returns:
            Their spectra.
        """
        query = TaskClaim.select().where(had).order_by(TaskClaim.spectrum_pk)
        held = list(locked(query))
        TaskClaim.delete().where(had, TaskClaim.held_back, ~TaskClaim.suspect).execute()
        claims = [claim for claim in held if claim.suspect or not claim.held_back]
        keys = [claim.spectrum_pk for claim in claims]
        deaths = 1 if [claim.suspect for claim in claims if not claim.held_back] == [True] else 0
        waiting = {"worker_pk": None, "token": None, "suspect": True, "held_back": False}
        TaskClaim.update(attempts=TaskClaim.attempts + deaths, since=now(database), **waiting).where(
            on(self._task.name, keys)
        ).execute()
        if deaths:
            killed = [c for c in claims if not c.held_back and c.attempts + 1 >= MOST_DEATHS]
            self._give_up([claim.spectrum_pk for claim in killed])
        return {claim.spectrum_pk for claim in held}

    def _give_up(self, keys: list[int]) -> None:
        reason = f"its worker died {MOST_DEATHS} times over this spectrum alone"
        written = write_failures(self._task, keys, self._run_pk, reason) if keys else None
        if written is not None:
            self.given_up.add(written)
            TaskClaim.delete().where(on(self._task.name, keys)).execute()
