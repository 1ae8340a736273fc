"""The workers of a task and the spectra that they hold; nothing is written, so that any reader can ask."""

from datetime import datetime
from typing import Any

from peewee import fn

from astra.database.connection import database
from astra.database.locks import liveness_of
from astra.models.claims import TaskClaim, TaskWorker
from astra.running.reaping import POISON_DEATHS

#: The state of a worker: it holds the lock on its key; it does not; this process cannot know.
WORKING, DEAD, UNKNOWN = "working", "dead", "unknown"

#: The number of suspect spectra that are listed.
NAMED_SUSPECTS = 10


def workers_of(task: str, moment: datetime) -> list[dict[str, Any]]:
    """The workers of a task, with the number of spectra that each holds.

    Args:
        task: The name of the task.
        moment: The time by the clock of the database.
    """
    held = (
        TaskClaim.select(TaskClaim.worker_pk, fn.COUNT(TaskClaim.spectrum_pk), fn.MIN(TaskClaim.since))
        .where(TaskClaim.task == task, TaskClaim.worker_pk.is_null(False))
        .group_by(TaskClaim.worker_pk)
    )
    in_hand = {worker: (number, since) for worker, number, since in held.tuples()}
    states = _states(task)
    found = []
    for worker in TaskWorker.select().where(TaskWorker.task == task).order_by(TaskWorker.pk):
        number, since = in_hand.get(worker.pk, (0, None))
        found.append(
            {name: getattr(worker, name) for name in ("run_pk", "host", "pid", "started")}
            | {
                "worker_pk": worker.pk,
                "state": states.get(worker.pk, WORKING),
                "in_hand": number,
                "oldest_s": None if since is None else round((moment - since).total_seconds(), 1),
            }
        )
    return found


def suspects_of(task: str) -> dict[str, Any]:
    """Spectra that are processed alone because workers died while they held them."""
    suspect = (TaskClaim.task == task) & TaskClaim.suspect
    number = TaskClaim.select().where(suspect)
    order = (TaskClaim.attempts.desc(), TaskClaim.spectrum_pk)
    return {
        "waiting": number.where(TaskClaim.worker_pk.is_null()).count(),
        "in_hand": number.where(TaskClaim.worker_pk.is_null(False)).count(),
        "most_deaths": POISON_DEATHS,
        "spectra": [
            {
                "spectrum_pk": claim.spectrum_pk,
                "deaths": claim.attempts,
                "since": claim.since,
                "worker_pk": claim.worker_pk,
            }
            for claim in number.order_by(*order).limit(NAMED_SUSPECTS)
        ],
    }


def _states(task: str) -> dict[int, str]:
    """The states of the workers that may not be working."""
    liveness = liveness_of(database.opened())
    try:
        dead, in_doubt = liveness.dead(task, 0), liveness.in_doubt(task, 0)
    except OSError:  # on SQLite the locks of workers are files, which may not be readable
        every = TaskWorker.select(TaskWorker.pk).where(TaskWorker.task == task)
        return {pk: UNKNOWN for (pk,) in every.tuples()}
    return dict.fromkeys(dead, DEAD) | dict.fromkeys(in_doubt, UNKNOWN)
