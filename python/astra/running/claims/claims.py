"""Taking spectra, giving them back, noticing the dead: one object for each process that hands out work."""

import logging
import os
import secrets
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import peewee

from astra.database.connection import (
    database,
    is_postgresql,
    now,
    now_sql,
    writing,
)
from astra.database.reconnecting import persistent
from astra.errors import DatabaseUnreachable
from astra.models.claims import TaskClaim, TaskWorker
from astra.models.pipeline import TaskRun
from astra.models.withheld import TaskWithheld
from astra.running.chunk import Chunk, Tally
from astra.running.claims.burial import MOST_DEATHS, Burial, on
from astra.running.claims.liveness import liveness_of
from astra.tasks.pending import Selection, pending_query

log = logging.getLogger("astra")

# The advisory lock of whoever claims, of each schema and task its own. A process that is halted while it has
# it (Ctrl-Z, a frozen machine) would keep all others waiting: after a while the server ends its session.
_CLAIM_LOCK = (
    "SELECT set_config('idle_in_transaction_session_timeout', %s, true), "
    "pg_advisory_xact_lock(hashtext('astra claim ' || current_schema()), hashtext(%s))"
)

#: So long a claim may be at rest [s].
LONGEST_REST_S = 30


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
        # The last one is in force; those before it may not be known to the database any more.
        self._keys = [0]
        self._last = 0
        self._alone: dict[int, Chunk] = {}
        self._burial = Burial(self._task, run_pk)
        self.given_up = Tally()

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
        with self._claiming():
            self._bury_all()
            claims = self._claimed(token) or self._claim(token, count)
            if not claims and self._looks_again():
                claims = self._claim(token, count)
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

    def is_waiting(self) -> bool:
        """Whether something is in hand of a worker of which nobody knows yet whether it lives."""
        return bool(self._liveness.in_doubt(self._task.name, self._worker))

    def anything_left(self) -> bool:
        """Whether there is something that could be taken."""
        self._looks_again()
        return bool(self._suspect()) or self._pending().exists()

    def finished(self, chunk: Chunk) -> None:
        """Nothing of a chunk is worked on any more."""
        self._alone.pop(chunk.token, None)

    def sweep(self) -> None:
        """Clear away what dead workers have left, where nothing is pending; nobody is a worker for that."""
        task = self._task.name
        everything = pending_query(Selection(self._task))
        with self._claiming():
            self._bury_all()
            left = (TaskClaim.task == task) & TaskClaim.worker_pk.is_null()
            keys = [pk for (pk,) in TaskClaim.select(TaskClaim.spectrum_pk).where(left).tuples()]
            needed = everything.where(self._task.spectrum_model.spectrum_pk << keys).tuples()
            done = set(keys) - {pk for (pk,) in needed}
            TaskClaim.delete().where(on(task, done)).execute()

    def mourn(self, chunks: Iterable[Chunk]) -> set[int]:
        """A process of this worker died and had these chunks in hand: what is left of them is taken alone.

        Returns:
            Spectra of these chunks whose results it has not written.
        """
        chunks = list(chunks)
        for chunk in chunks:
            self.finished(chunk)
        with self._claiming():
            held = TaskClaim.token << [chunk.token for chunk in chunks]
            return self._burial.orphan(held & (TaskClaim.worker_pk == self._worker))

    def hold_back(self, keys: Collection[int]) -> None:
        """Keep spectra that are worked on no more, until the disk is known to be there."""
        with writing(database):
            mine = TaskClaim.worker_pk == self._worker
            TaskClaim.update(held_back=True).where(on(self._task.name, keys), mine).execute()

    def release(self) -> None:
        """Give back all that is in hand, and be a worker no more."""
        with writing(database):
            # Else one who claims could see the worker still, and its lock no more.
            self._wait_for_others()
            mine = TaskClaim.worker_pk << self._keys
            TaskClaim.delete().where(mine, ~TaskClaim.suspect).execute()
            TaskClaim.update(worker_pk=None, token=None, held_back=False).where(mine).execute()
            TaskWorker.delete().where(TaskWorker.pk << self._keys).execute()
            self._liveness.release(self._worker)

    def _join(self) -> None:
        """Become a worker; after a lost connection one with another key, that keeps what is in hand."""
        worker = None
        try:
            with writing(database):
                self._wait_for_others()
                worker = self._registered()
                self._liveness.hold(worker)
                if self._worker and not TaskWorker.get_or_none(TaskWorker.pk == self._worker):
                    self._take_back_death()
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

    def _take_back_death(self) -> None:
        """This worker was away and counted as dead: that was not the fault of what it had alone."""
        for chunk in self._alone.values():
            taken_over = TaskClaim.token.is_null() | (TaskClaim.token != chunk.token)
            TaskClaim.update(attempts=TaskClaim.attempts - 1).where(
                on(self._task.name, chunk.keys), TaskClaim.attempts > 0, taken_over
            ).execute()
        alive = (TaskRun.pk == self._run_pk) & (TaskRun.outcome == "died")
        TaskRun.update(outcome=None, finished=None).where(alive).execute()

    @contextmanager
    def _claiming(self) -> Iterator[None]:
        """One transaction for claims; what it gives up counts when it is committed."""
        self._burial.given_up = Tally()
        with writing(database):
            self._wait_for_others()
            yield
        self.given_up.add(self._burial.given_up)

    def _looks_again(self) -> bool:
        """Begin with the first spectrum again: others may have given back some that came before."""
        was_first, self._last = self._last == 0, 0
        return not was_first

    def _bury_all(self) -> None:
        for worker in self._liveness.dead(self._task.name, self._worker):
            self._burial.bury(worker)
            self._liveness.release(worker)

    def _wait_for_others(self) -> None:
        """One claims at a time, and sees what those before it have claimed or finished."""
        if is_postgresql(database):
            database.execute_sql(_CLAIM_LOCK, (f"{LONGEST_REST_S}s", self._task.name))

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
                TaskClaim.attempts < MOST_DEATHS,
            )
            .alias("waiting")
        )
        query = pending_query(self._selection).join(waiting, on=(key == waiting.c.spectrum_pk))
        return [pk for (pk,) in query.order_by(waiting.c.attempts, key).limit(1).tuples()]

    def _claim(self, token: int, count: int) -> list[TaskClaim]:
        if alone := self._suspect():
            values = {"worker_pk": self._worker, "token": token, "since": now(database)}
            TaskClaim.update(**values).where(on(self._task.name, alone)).execute()
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
