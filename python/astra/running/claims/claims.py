"""Taking spectra, giving them back, noticing the dead: one object for each process that hands out work."""

import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Collection, Iterable
from typing import Self

import peewee

from astra.database import is_postgresql, locked, now, now_sql, writing
from astra.models.base import database
from astra.models.claims import TaskClaim, TaskWorker
from astra.models.pipeline import TaskRun
from astra.pending import Selection, pending_query
from astra.running.chunk import Chunk, Tally, write_failures
from astra.running.claims.liveness import liveness_of

log = logging.getLogger("astra")

#: A spectrum that so many workers died of, each while it had nothing else in hand, gets no result.
MOST_DEATHS = 3

# Chunks of one spectrum that are remembered; more than a worker has processes.
_REMEMBERED = 256

# First half of the advisory lock of whoever claims; the second is made of the task's name.
_CLAIM_LOCK = 0x61737463


def new_token() -> int:
    """A token that no other chunk has."""
    return secrets.randbits(62)


class Claims:
    """A context in which this process is a worker that others know of, and takes spectra.

    Args:
        selection: What the run works on.
        run_pk: The run.
    """

    def __init__(self, selection: Selection, run_pk: int | None) -> None:
        self._selection, self._task, self._run_pk = selection, selection.task, run_pk
        self._liveness = liveness_of(database.opened())
        self._worker = 0
        self._last = 0
        self._alone: deque[Chunk] = deque(maxlen=_REMEMBERED)
        self.given_up = Tally()

    def __enter__(self) -> Self:
        self._join()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.release()
        except Exception as failure:  # noqa: BLE001 - what ended the run says more, and others give it up
            log.warning("what was in hand could not be given back, and is taken by the next run: %s", failure)

    def take(self, count: int, token: int | None = None) -> Chunk | None:
        """Claim pending spectra that nobody else has in hand.

        Args:
            count: At most so many.
            token: Of the chunk; ``None`` makes one. With the same token again it gives the same chunk, for
                whoever does not know whether it was claimed because the connection was lost.

        Returns:
            A chunk; ``None`` if there is nothing to take.

        Raises:
            StorageError: The database refused the claim.
            DatabaseUnreachable: The connection was lost; it can be tried again.
            ConfigError: Locks do not last in this database.
        """
        token = new_token() if token is None else token
        if not self._liveness.holds():
            self._join()
        with writing(database):
            self._wait_for_others()
            for worker in self._liveness.dead(self._task.name, self._worker):
                self._bury(worker)
            claims = self._claimed(token) or self._claim(token, count)
        if not claims:
            return None
        chunk = Chunk([claim.spectrum_pk for claim in claims], token, claims[0].suspect)
        if chunk.alone:
            self._alone.append(chunk)
        else:
            self._last = chunk.keys[-1]
        return chunk

    def is_waiting(self) -> bool:
        """Whether something is in hand of a worker of which nobody knows yet whether it lives."""
        return bool(self._liveness.in_doubt(self._task.name, self._worker))

    def anything_left(self) -> bool:
        """Whether there is something that could be taken."""
        return bool(self._suspect()) or self._pending().exists()

    def mourn(self, chunks: Iterable[Chunk]) -> None:
        """A process of this worker died and had these chunks in hand: what is left of them is taken alone."""
        chunks = list(chunks)
        with writing(database):
            held = TaskClaim.token << [chunk.token for chunk in chunks]
            self._orphan(held & (TaskClaim.worker_pk == self._worker))

    def hold_back(self, keys: Collection[int]) -> None:
        """Keep spectra that are worked on no more: their rows wait until the disk is known to be there."""
        with writing(database):
            mine = TaskClaim.worker_pk == self._worker
            TaskClaim.update(held_back=True).where(_on(self._task.name, keys), mine).execute()

    def release(self) -> None:
        """Give back all that is in hand, and be a worker no more."""
        with writing(database):
            # Else one who claims could see the worker still, and its lock no more.
            self._wait_for_others()
            mine = TaskClaim.worker_pk == self._worker
            TaskClaim.delete().where(mine, ~TaskClaim.suspect).execute()
            TaskClaim.update(worker_pk=None, token=None, held_back=False).where(mine).execute()
            TaskWorker.delete().where(TaskWorker.pk == self._worker).execute()
            self._liveness.release(self._worker)

    def _join(self) -> None:
        """Become a worker; after a lost connection one with another key, that keeps what is in hand."""
        before = self._worker
        with writing(database):
            self._wait_for_others()
            worker = TaskWorker.insert(
                task=self._task.name,
                run_pk=self._run_pk,
                host=socket.gethostname(),
                pid=os.getpid(),
                started=now(database),
            ).execute()
            self._liveness.hold(worker)
            TaskClaim.update(worker_pk=worker).where(TaskClaim.worker_pk == before).execute()
            TaskWorker.delete().where(TaskWorker.pk == before).execute()
            self._take_back_deaths()
        self._worker = worker

    def _take_back_deaths(self) -> None:
        """This worker was away and counted as dead: that was not the fault of what it had alone."""
        for chunk in self._alone:
            counted = TaskClaim.token.is_null() | (TaskClaim.token != chunk.token)
            TaskClaim.update(attempts=TaskClaim.attempts - 1).where(
                _on(self._task.name, chunk.keys), TaskClaim.attempts > 0, counted
            ).execute()
        self._alone.clear()

    def _wait_for_others(self) -> None:
        """One claims at a time, and sees what those before it have claimed or finished."""
        if is_postgresql(database):
            query = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
            database.execute_sql(query, (_CLAIM_LOCK, self._task.name))

    def _pending(self) -> peewee.ModelSelect:
        """What nobody has in hand, from where this worker is on."""
        # NOT IN: read once. Of NOT EXISTS the planner of PostgreSQL makes a join, and knows too little of a
        # table that changes so fast: it would go through all of it for each spectrum.
        in_hand = TaskClaim.select(TaskClaim.spectrum_pk).where(
            TaskClaim.task == self._task.name, TaskClaim.spectrum_pk > self._last
        )
        key = self._task.spectrum_model.spectrum_pk
        return pending_query(self._selection, self._last).where(key.not_in(in_hand))

    def _suspect(self) -> list[int]:
        """One of those that wait to be taken alone, if there is one in the selection."""
        key = self._task.spectrum_model.spectrum_pk
        waiting = TaskClaim.select(TaskClaim.spectrum_pk).where(
            TaskClaim.task == self._task.name,
            TaskClaim.worker_pk.is_null(),
            TaskClaim.attempts < MOST_DEATHS,
        )
        query = pending_query(self._selection).where(key << waiting)
        return [pk for (pk,) in query.order_by(key).limit(1).tuples()]

    def _claim(self, token: int, count: int) -> list[TaskClaim]:
        if alone := self._suspect():
            values = {"worker_pk": self._worker, "token": token, "since": now(database)}
            TaskClaim.update(**values).where(_on(self._task.name, alone)).execute()
        else:
            key = self._task.spectrum_model.spectrum_pk
            values = {
                TaskClaim.task: peewee.Value(self._task.name),
                TaskClaim.spectrum_pk: key,
                TaskClaim.worker_pk: peewee.Value(self._worker),
                TaskClaim.token: peewee.Value(token),
                TaskClaim.suspect: peewee.Value(False),
                TaskClaim.held_back: peewee.Value(False),
                TaskClaim.attempts: peewee.Value(0),
                TaskClaim.since: peewee.SQL(now_sql(database)),
            }
            query = self._pending().columns(*values.values()).order_by(key).limit(count)
            TaskClaim.insert_from(query, list(values)).execute()
        return self._claimed(token)

    def _claimed(self, token: int) -> list[TaskClaim]:
        mine = (TaskClaim.worker_pk == self._worker) & (TaskClaim.token == token)
        return list(TaskClaim.select().where(mine).order_by(TaskClaim.spectrum_pk))

    def _bury(self, worker: int) -> None:
        """Take what a dead worker had in hand from it, and close the record of its run."""
        self._orphan(TaskClaim.worker_pk == worker)
        record = TaskWorker.get_or_none(TaskWorker.pk == worker)
        if record is None:  # it came back, with another key, or left in good order
            return
        log.warning("worker %d on %s (process %d) died; what it had in hand is taken one by one",
                    worker, record.host, record.pid)  # fmt: skip
        TaskWorker.delete().where(TaskWorker.pk == worker).execute()
        unfinished = (TaskRun.pk == record.run_pk) & TaskRun.finished.is_null()
        TaskRun.update(outcome="died", finished=now(database)).where(unfinished).execute()
        self._liveness.release(worker)

    def _orphan(self, had: peewee.Expression) -> None:
        """Let claims wait to be taken alone; count a death where one alone was in hand."""
        query = TaskClaim.select().where(had).order_by(TaskClaim.spectrum_pk)
        held = list(locked(query))
        TaskClaim.delete().where(had, TaskClaim.held_back, ~TaskClaim.suspect).execute()
        claims = [claim for claim in held if claim.suspect or not claim.held_back]
        keys = [claim.spectrum_pk for claim in claims]
        deaths = 1 if [claim.suspect for claim in claims if not claim.held_back] == [True] else 0
        waiting = {
            "worker_pk": None,
            "token": None,
            "suspect": True,
            "held_back": False,
            "since": now(database),
        }
        TaskClaim.update(attempts=TaskClaim.attempts + deaths, **waiting).where(
            _on(self._task.name, keys)
        ).execute()
        if deaths and claims[0].attempts + 1 >= MOST_DEATHS:
            self._give_up(keys)

    def _give_up(self, keys: list[int]) -> None:
        reason = f"its worker died {MOST_DEATHS} times over this spectrum alone"
        written = write_failures(self._task, keys, self._run_pk, reason)
        if written is not None:
            self.given_up.add(written)
            TaskClaim.delete().where(_on(self._task.name, keys)).execute()


def _on(task: str, keys: Collection[int]) -> peewee.Expression:
    return (TaskClaim.task == task) & (TaskClaim.spectrum_pk << list(keys))
