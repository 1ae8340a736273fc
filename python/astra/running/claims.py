"""Who has which spectra in hand, so that many workers share the work and a dead one loses none of it.

A chunk is claimed in one short transaction and carries a token. Its rows are written in another one, which
drops the claims that still carry the token, and writes these rows alone. So a result is written once, even if
a worker was reaped as dead and comes back.
"""

import logging
import os
import secrets
import socket
from collections.abc import Collection, Iterable
from typing import Any, Self

import peewee

from astra.database.connection import database, now, now_sql, writing
from astra.database.locks import changing_claims, liveness_of
from astra.database.reconnecting import persistent
from astra.errors import DatabaseUnreachable
from astra.models.claims import TaskClaim, TaskWithheld, TaskWorker
from astra.models.pipeline import TaskRun
from astra.running.chunk import Chunk, Tally
from astra.running.reaping import POISON_DEATHS, claims_on, orphan, reap
from astra.tasks.pending import Selection, pending_query

log = logging.getLogger("astra")


def new_token() -> int:
    """A token that no other chunk has."""
    return secrets.randbits(62)


class Claims:
    """A context in which this process is a worker that others know of, and takes spectra.

    Args:
        selection: What the run works on.
        run_pk: The run.

    Attributes:
        quarantined: Counts of the rows that were written for poison.
    """

    def __init__(self, selection: Selection, run_pk: int | None) -> None:
        self._selection, self._task, self._run_pk = selection, selection.task, run_pk
        self._liveness = liveness_of(database.opened())
        # The last one is in force; those before it may not be known to the database any more.
        self._keys = [0]
        self._last = 0
        self._alone: dict[int, Chunk] = {}
        self.quarantined = Tally()

    @property
    def _worker(self) -> int:
        return self._keys[-1]

    def __enter__(self) -> Self:
        persistent(self._join)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if isinstance(error, DatabaseUnreachable):  # it was waited for already
                self.release()
            else:
                persistent(self.release)
        except Exception as failure:  # noqa: BLE001 - what ended the run says more, and others reap it
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
        with changing_claims(database, self._task.name):
            quarantined = self._reap_dead()
            claims = self._claimed(token) or self._claim(token, count)
            if not claims and self._rewind():
                claims = self._claim(token, count)
        self.quarantined.add(quarantined)
        if not claims:
            return None
        chunk = Chunk([claim.spectrum_pk for claim in claims], token, claims[0].suspect)
        if chunk.alone:
            self._alone[token] = chunk
        elif self._selection.tried_before is None:
            self._last = chunk.keys[-1]
        return chunk

    def turn_to(self, selection: Selection) -> None:
        """From now on, take from this selection of the same task."""
        self._selection, self._last = selection, 0

    def in_doubt(self) -> bool:
        """Whether there is a worker of which nobody knows yet whether it lives."""
        return bool(self._liveness.in_doubt(self._task.name, self._worker))

    def anything_left(self) -> bool:
        """Whether there is something that could be taken."""
        self._rewind()
        return bool(self._suspect()) or self._pending().exists()

    def finished(self, chunk: Chunk) -> None:
        """Nothing of a chunk is worked on any more."""
        self._alone.pop(chunk.token, None)

    def sweep(self) -> None:
        """Clear away what dead workers have left, where nothing is pending; nobody is a worker for that."""
        task = self._task.name
        everything = pending_query(Selection(self._task))
        with changing_claims(database, task):
            self._reap_dead()
            left = (TaskClaim.task == task) & TaskClaim.worker_pk.is_null()
            keys = [pk for (pk,) in TaskClaim.select(TaskClaim.spectrum_pk).where(left).tuples()]
            needed = everything.where(self._task.spectrum_model.spectrum_pk << keys).tuples()
            done = set(keys) - {pk for (pk,) in needed}
            TaskClaim.delete().where(claims_on(self._task, done)).execute()

    def orphan(self, chunks: Iterable[Chunk]) -> set[int]:
        """Let what is left of chunks be taken alone: the process of this worker died that had them in hand.

        Returns:
            Spectra of these chunks whose results it has not written.
        """
        chunks = list(chunks)
        for chunk in chunks:
            self.finished(chunk)
        with changing_claims(database, self._task.name):
            had = TaskClaim.token << [chunk.token for chunk in chunks]
            had &= TaskClaim.worker_pk == self._worker
            orphans, quarantined = orphan(self._task, had, self._run_pk)
        self.quarantined.add(quarantined)
        return orphans

    def hold_back(self, keys: Collection[int]) -> None:
        """Keep spectra that are worked on no more, until the disk is known to be there."""
        with writing(database):
            mine = TaskClaim.worker_pk == self._worker
            TaskClaim.update(held_back=True).where(claims_on(self._task, keys), mine).execute()

    def release(self) -> None:
        """Give back all that is in hand, and be a worker no more."""
        # Else one who claims could see the worker still, and its lock no more.
        with changing_claims(database, self._task.name):
            mine = TaskClaim.worker_pk << self._keys
            TaskClaim.delete().where(mine, ~TaskClaim.suspect).execute()
            TaskClaim.update(worker_pk=None, token=None, held_back=False).where(mine).execute()
            TaskWorker.delete().where(TaskWorker.pk << self._keys).execute()
            self._liveness.release(self._worker)

    def _join(self) -> None:
        """Become a worker; after a lost connection one with another key, that keeps what is in hand."""
        worker = None
        try:
            with changing_claims(database, self._task.name):
                worker = self._registered()
                self._liveness.hold(worker)
                if self._worker and not TaskWorker.get_or_none(TaskWorker.pk == self._worker):
                    self._undo_death()
                TaskClaim.update(worker_pk=worker).where(TaskClaim.worker_pk << self._keys).execute()
                TaskWorker.delete().where(TaskWorker.pk << self._keys).execute()
        except DatabaseUnreachable:
            if worker is not None:  # nobody knows whether that was committed
                self._keys.insert(0, worker)
            raise
        self._keys.append(worker)
        self._alone.clear()

    def _registered(self) -> int:
        return TaskWorker.insert(
            task=self._task.name,
            run_pk=self._run_pk,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=now(database),
        ).execute()

    def _undo_death(self) -> None:
        """This worker was away and counted as dead: that was not the fault of what it had alone."""
        for chunk in self._alone.values():
            taken_over = TaskClaim.token.is_null() | (TaskClaim.token != chunk.token)
            TaskClaim.update(attempts=TaskClaim.attempts - 1).where(
                claims_on(self._task, chunk.keys), TaskClaim.attempts > 0, taken_over
            ).execute()
        alive = (TaskRun.pk == self._run_pk) & (TaskRun.outcome == "died")
        TaskRun.update(outcome=None, finished=None).where(alive).execute()

    def _rewind(self) -> bool:
        """Begin with the first spectrum again: others may have given back some that came before."""
        was_first, self._last = self._last == 0, 0
        return not was_first

    def _reap_dead(self) -> Tally:
        quarantined = Tally()
        for worker in self._liveness.dead(self._task.name, self._worker):
            quarantined.add(reap(self._task, worker, self._run_pk))
            self._liveness.release(worker)
        return quarantined

    def _pending(self) -> peewee.ModelSelect:
        """What nobody has in hand, from where this worker is on."""
        # NOT IN: read once. Of NOT EXISTS the planner of PostgreSQL makes a join, and knows too little of a
        # table that changes so fast: it would go through all of it for each spectrum.
        in_hand = TaskClaim.select(TaskClaim.spectrum_pk).where(
            TaskClaim.task == self._task.name, TaskClaim.spectrum_pk > self._last
        )
        key = self._task.spectrum_model.spectrum_pk
        query = pending_query(self._selection, self._last).where(key.not_in(in_hand))
        if self._run_pk is not None:
            # What this run has done it does not do again, even if it was changed meanwhile.
            run_pk = self._task.output_model.run_pk
            query = query.where(run_pk.is_null() | (run_pk != self._run_pk))
        return query

    def _suspect(self) -> list[int]:
        """One of those that wait to be taken alone, if there is one in the selection.

        Those that fewest workers died of come first: who is killed again and again for another reason does
        not blame the same spectrum each time.
        """
        key = self._task.spectrum_model.spectrum_pk
        waiting = (
            TaskClaim.select(TaskClaim.spectrum_pk, TaskClaim.attempts)
            .where(
                TaskClaim.task == self._task.name,
                TaskClaim.worker_pk.is_null(),
                TaskClaim.attempts < POISON_DEATHS,
            )
            .alias("waiting")
        )
        query = pending_query(self._selection).join(waiting, on=(key == waiting.c.spectrum_pk))
        return [pk for (pk,) in query.order_by(waiting.c.attempts, key).limit(1).tuples()]

    def _claim(self, token: int, count: int) -> list[TaskClaim]:
        if alone := self._suspect():
            values = {"worker_pk": self._worker, "token": token, "since": now(database)}
            TaskClaim.update(**values).where(claims_on(self._task, alone)).execute()
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
            query = self._pending().columns(*values.values()).order_by(*self._order()).limit(count)
            TaskClaim.insert_from(query, list(values)).execute()
        return self._claimed(token)

    def _order(self) -> tuple[Any, ...]:
        """By key; of withheld files by when they were tried, so that a limit leaves out none for ever."""
        key = self._task.spectrum_model.spectrum_pk
        if self._selection.tried_before is None:
            return (key,)
        same = (TaskWithheld.task == self._task.name) & (TaskWithheld.spectrum_pk == key)
        return TaskWithheld.select(TaskWithheld.tried).where(same), key

    def _claimed(self, token: int) -> list[TaskClaim]:
        mine = (TaskClaim.worker_pk == self._worker) & (TaskClaim.token == token)
        return list(TaskClaim.select().where(mine).order_by(TaskClaim.spectrum_pk))
