"""Which worker holds which spectra, so that many workers share the work and a dead one loses none of it.

A chunk is claimed in one short transaction and carries a token. Its rows are written in another one, which
drops the claims that still carry the token, and writes these rows alone. So a result is written once, even if
a worker was reaped as dead and comes back.

The spectra that a dead worker held become orphans: each is claimed alone from then on. One whose workers die
repeatedly is poison: it is quarantined, by a row that says that it has no result.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, Self

import peewee

from astra.database.connection import database, now, now_sql, writing
from astra.database.locks import changing_claims, liveness_of
from astra.database.reconnecting import persistent
from astra.database.sql import among, locked
from astra.errors import DatabaseUnreachable
from astra.models.pipeline import TaskClaim, TaskRun, TaskWithheld, TaskWorker, of_this_version
from astra.running.rows import Chunk, Tally, write_failures
from astra.running.runs import this_process
from astra.tasks.pending import Selection, pending_query

log = logging.getLogger("astra")

#: A spectrum is poison when so many workers died of it, each while it held nothing else.
POISON_DEATHS = 3


def new_token() -> int:
    """A token that no other chunk has."""
    return secrets.randbits(62)


class Claims:
    """A context in which this process is a worker that others know of, and claims spectra.

    Args:
        selection: What the run works on.
        run_pk: The run, if it is recorded already.
        check: Called each time when this process has become a worker; what it raises ends that.

    Attributes:
        quarantined: Counts of the rows that were written for poison.
        elsewhere: The spectra of the selection that runs of other versions held when this worker last asked
            for a chunk: when they are done there, they are still pending here.
    """

    def __init__(
        self, selection: Selection, run_pk: int | None, check: Callable[[], None] = lambda: None
    ) -> None:
        self._task, self._run_pk, self._check = selection.task, run_pk, check
        self._liveness = liveness_of(database.opened())
        # The present key, and all keys so far; the database may have lost the earlier ones.
        self._worker, self._workers = 0, [0]
        self._alone: dict[int, Chunk] = {}
        self._tried: set[int] = set()
        self.quarantined = Tally()
        self.elsewhere: set[int] = set()
        self.turn_to(selection)

    def __enter__(self) -> Self:
        persistent(self._join)
        try:
            persistent(self._check)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if isinstance(error, DatabaseUnreachable):  # the run has waited for it already
                self.release()
            else:
                persistent(self.release)
        except Exception as failure:  # noqa: BLE001 - what ended the run says more, and others reap it
            log.warning("what was in hand could not be given back, and is taken by the next run: %s", failure)
            with suppress(peewee.PeeweeException):
                self._liveness.give_up()

    def record(self, begin: Callable[[], TaskRun]) -> TaskRun:
        """Record a run as that of this worker; those of dead workers are closed.

        Args:
            begin: Makes the record.
        """
        self._live()
        with changing_claims(database, self._task.key):
            run = begin()
            TaskWorker.update(run_pk=run.pk).where(TaskWorker.pk == self._worker).execute()
            quarantined = self._reap_dead()
        self._run_pk = run.pk
        self.quarantined.add(quarantined)
        return run

    def take(self, count: int, token: int | None = None) -> Chunk | None:
        """Claim pending spectra that no other worker holds.

        Args:
            count: At most so many.
            token: Of the chunk; ``None`` makes one. The call is idempotent: the same token gives the same
                chunk, so that it can be repeated when the connection was lost before its answer came.

        Returns:
            A chunk; ``None`` if there is nothing to claim.

        Raises:
            StorageError: The database refused the claim.
            DatabaseUnreachable: The connection was lost; retry with the same token.
            ConfigError: Locks do not last in this database.
        """
        token = new_token() if token is None else token
        self._live()
        with changing_claims(database, self._task.key):
            quarantined = self._reap_dead()
            # First: what is released after this look can be claimed below.
            elsewhere = self._held_elsewhere()
            claims = self._claimed(token) or self._claim_suspect(token) or self._claim_next(token, count)
        self.quarantined.add(quarantined)
        self.elsewhere = elsewhere
        if not claims:
            return None
        chunk = Chunk([claim.spectrum_pk for claim in claims], token, claims[0].suspect)
        if chunk.alone:
            self._alone[token] = chunk
        elif self._selection.tried_before is None:
            self._last = chunk.keys[-1]
        else:
            self._tried.update(chunk.keys)
        return chunk

    def turn_to(self, selection: Selection) -> None:
        """From now on, claim from this selection of the same task."""
        self._selections = selection.of_each_model()
        self._at, self._last = 0, 0

    def in_doubt(self) -> bool:
        """Whether there is a worker whose liveness is not known yet."""
        return bool(self._liveness.in_doubt(self._task.key, self._worker))

    def look_elsewhere(self) -> set[int]:
        """The spectra that are ``elsewhere`` now; what dead workers had is not."""
        with changing_claims(database, self._task.key):
            quarantined = self._reap_dead()
            elsewhere = self._held_elsewhere()
        self.quarantined.add(quarantined)
        return elsewhere

    def holders_elsewhere(self) -> list[TaskRun]:
        """The runs of other versions that have workers, in their order."""
        return list(self._runs_elsewhere().order_by(TaskRun.pk))

    def anything_left(self) -> bool:
        """Whether there is something that could be claimed, or that runs of other versions hold."""
        self._last = 0
        left = self._held_elsewhere() or self._suspect()
        return bool(left) or any(self._pending(each).exists() for each in self._selections)

    def finished(self, chunk: Chunk) -> None:
        """Forget a chunk that no worker processes any more."""
        self._alone.pop(chunk.token, None)

    def sweep(self) -> None:
        """Reap dead workers and drop their claims on done spectra, without becoming a worker."""
        with changing_claims(database, self._task.key):
            self._reap_dead()
            left = (TaskClaim.task == self._task.key) & TaskClaim.worker_pk.is_null()
            keys = {pk for (pk,) in TaskClaim.select(TaskClaim.spectrum_pk).where(left).tuples()}
            needed = {
                pk
                for each in Selection(self._task).of_each_model()
                for (pk,) in pending_query(each).where(each.spectra.spectrum_pk << list(keys)).tuples()
            }
            TaskClaim.delete().where(self._claims_on(keys - needed)).execute()

    def orphan(self, chunks: Iterable[Chunk]) -> set[int]:
        """Orphan what is left of chunks, of which a child process of this worker died.

        Returns:
            Spectra of these chunks whose results it has not written.
        """
        tokens = []
        for chunk in chunks:
            self.finished(chunk)
            tokens.append(chunk.token)
        with changing_claims(database, self._task.key):
            held = (TaskClaim.token << tokens) & (TaskClaim.worker_pk == self._worker)
            orphans, quarantined = self._orphan(held)
        self.quarantined.add(quarantined)
        return orphans

    def hold_back(self, keys: Collection[int]) -> None:
        """Keep the claims on processed spectra until the disk is known to be there."""
        with writing(database):
            mine = TaskClaim.worker_pk == self._worker
            TaskClaim.update(held_back=True).where(self._claims_on(keys), mine).execute()

    def release(self) -> None:
        """Release all claims, and be a worker no more."""
        # Otherwise another process that claims could see the worker, but not its lock any more.
        with changing_claims(database, self._task.key):
            mine = TaskClaim.worker_pk << self._workers
            TaskClaim.delete().where(mine, ~TaskClaim.suspect).execute()
            TaskClaim.update(worker_pk=None, token=None, held_back=False).where(mine).execute()
            TaskWorker.delete().where(TaskWorker.pk << self._workers).execute()
            self._liveness.release(self._worker)

    def _live(self) -> None:
        if not self._liveness.holds():
            self._join()
            self._check()

    def _join(self) -> None:
        """Become a worker; after a lost connection, become one with another key and the same claims."""
        worker = None
        try:
            with changing_claims(database, self._task.key):
                me = {"task": self._task.key, "run_pk": self._run_pk, **this_process()}
                worker = TaskWorker.insert(me).execute()
                self._liveness.hold(worker)
                if self._worker and not TaskWorker.get_or_none(TaskWorker.pk == self._worker):
                    self._undo_death()
                TaskClaim.update(worker_pk=worker).where(TaskClaim.worker_pk << self._workers).execute()
                TaskWorker.delete().where(TaskWorker.pk << self._workers).execute()
        except DatabaseUnreachable:
            if worker is not None:  # this may have been committed or not
                self._workers.insert(0, worker)
            raise
        self._worker = worker
        self._workers.append(worker)
        self._alone.clear()

    def _undo_death(self) -> None:
        """Take back the deaths counted while this worker was cut off: no spectrum had caused them."""
        for chunk in self._alone.values():
            taken_over = TaskClaim.token.is_null() | (TaskClaim.token != chunk.token)
            TaskClaim.update(attempts=TaskClaim.attempts - 1).where(
                self._claims_on(chunk.keys), TaskClaim.attempts > 0, taken_over
            ).execute()
        alive = (TaskRun.pk == self._run_pk) & (TaskRun.outcome == "died")
        TaskRun.update(outcome=None, finished=None).where(alive).execute()

    @property
    def _selection(self) -> Selection:
        """The selection of the model of spectra that is at its turn."""
        return self._selections[self._at]

    # > Within a transaction of ``changing_claims``

    def _reap_dead(self) -> Tally:
        """Orphan what dead workers held, and close the records of their runs; counts what was quarantined."""
        total = Tally()
        for worker in self._liveness.dead(self._task.key, self._worker):
            _, quarantined = self._orphan(TaskClaim.worker_pk == worker)
            total.add(quarantined)
            # None: it came back, with another key, or left in good order.
            if (record := TaskWorker.get_or_none(TaskWorker.pk == worker)) is not None:
                said = "worker %d on %s (process %d) died; what it had in hand is taken one by one"
                log.warning(said, worker, record.host, record.pid)
                record.delete_instance()
                unfinished = (TaskRun.pk == record.run_pk) & TaskRun.finished.is_null()
                TaskRun.update(outcome="died", finished=now(database)).where(unfinished).execute()
            self._liveness.release(worker)
        return total

    def _orphan(self, held: peewee.Expression) -> tuple[set[int], Tally]:
        """Make orphans of claims; count a death where the worker held one spectrum alone.

        Args:
            held: Which claims.

        Returns:
            Their spectra, and what was quarantined.
        """
        found = list(locked(TaskClaim.select().where(held).order_by(TaskClaim.spectrum_pk)))
        TaskClaim.delete().where(held, TaskClaim.held_back, ~TaskClaim.suspect).execute()
        claims = [claim for claim in found if claim.suspect or not claim.held_back]
        deaths = 1 if [claim.suspect for claim in claims if not claim.held_back] == [True] else 0
        waiting = {"worker_pk": None, "token": None, "suspect": True, "held_back": False}
        TaskClaim.update(attempts=TaskClaim.attempts + deaths, since=now(database), **waiting).where(
            self._claims_on([claim.spectrum_pk for claim in claims])
        ).execute()
        poison = [c.spectrum_pk for c in claims if not c.held_back and c.attempts + deaths >= POISON_DEATHS]
        quarantined = self._quarantine(poison) if deaths and poison else Tally()
        return {claim.spectrum_pk for claim in found}, quarantined

    def _quarantine(self, keys: list[int]) -> Tally:
        """Write rows without a result; where the task's results cannot say that, the orphans wait."""
        reason = f"its worker died {POISON_DEATHS} times over this spectrum alone"
        written = write_failures(self._task, keys, self._run_pk, reason)
        if written is None:
            return Tally()
        TaskClaim.delete().where(self._claims_on(keys)).execute()
        return written

    def _claims_on(self, keys: Collection[int]) -> peewee.Expression:
        """The claims on some spectra."""
        return (TaskClaim.task == self._task.key) & (TaskClaim.spectrum_pk << list(keys))

    def _pending(self, selection: Selection) -> peewee.ModelSelect:
        """The pending spectra of one model that no worker holds, after the last that this one claimed."""
        key = selection.spectra.spectrum_pk
        # NOT IN: read once. Of NOT EXISTS the planner of PostgreSQL makes a join, and knows too little of a
        # table that changes so fast: it would go through all of it for each spectrum.
        in_hand = TaskClaim.select(TaskClaim.spectrum_pk).where(
            TaskClaim.task == self._task.key, TaskClaim.spectrum_pk > self._last
        )
        query = pending_query(selection, self._last).where(key.not_in(in_hand))
        if self._run_pk is not None:
            # A run processes no spectrum twice, even if it was changed meanwhile.
            run_pk = self._task.output_model.run_pk
            query = query.where(run_pk.is_null() | (run_pk != self._run_pk))
        # Nor, whatever the clock says, any of those whose files were withheld, of which a row may stay.
        return query.where(~among(database, key, self._tried)) if self._tried else query

    def _runs_elsewhere(self) -> peewee.ModelSelect:
        working = TaskWorker.select(TaskWorker.run_pk).where(TaskWorker.task == self._task.key)
        return TaskRun.select().where(TaskRun.pk << working, ~of_this_version(TaskRun))

    def _held_elsewhere(self) -> set[int]:
        # Mostly there are none, which this says sooner than the queries below.
        if not self._runs_elsewhere().exists():
            return set()
        workers = TaskWorker.select(TaskWorker.pk).where(
            TaskWorker.run_pk << self._runs_elsewhere().select(TaskRun.pk)
        )
        held = TaskClaim.select(TaskClaim.spectrum_pk)
        held = held.where(TaskClaim.task == self._task.key, TaskClaim.worker_pk << workers).alias("held")
        return {
            pk
            for each in self._selections
            for (pk,) in pending_query(each)
            .join(held, on=(each.spectra.spectrum_pk == held.c.spectrum_pk))
            .tuples()
        }

    def _suspect(self) -> list[int]:
        """One of the orphans, if there is one in the selection.

        Those with the fewest deaths come first: workers that are killed for another reason do not blame the
        same spectrum each time.
        """
        waits = TaskClaim.worker_pk.is_null() & (TaskClaim.attempts < POISON_DEATHS)
        waiting = TaskClaim.select(TaskClaim.spectrum_pk, TaskClaim.attempts)
        waiting = waiting.where(TaskClaim.task == self._task.key, waits)
        # Mostly there is none, which this says sooner than the queries below.
        if not waiting.exists():
            return []
        waiting = waiting.alias("waiting")
        found: list[tuple[int, int]] = []
        for each in self._selections:
            key = each.spectra.spectrum_pk
            query = pending_query(each).join(waiting, on=(key == waiting.c.spectrum_pk))
            first = query.columns(waiting.c.attempts, key).order_by(waiting.c.attempts, key).limit(1)
            found.extend(first.tuples())
        return [pk for _, pk in sorted(found)[:1]]

    def _claim_suspect(self, token: int) -> list[TaskClaim]:
        if alone := self._suspect():
            values = {"worker_pk": self._worker, "token": token, "since": now(database)}
            TaskClaim.update(**values).where(self._claims_on(alone)).execute()
        return self._claimed(token) if alone else []

    def _claim_next(self, token: int, count: int) -> list[TaskClaim]:
        """Claim from here on, else from the next model of spectra, in the end from the start of this one.

        Others may have released some that came before.
        """
        was_first, models = self._last == 0, len(self._selections)
        for _ in range(models if was_first else models + 1):
            if claims := self._claim(token, count):
                return claims
            self._at, self._last = (self._at + 1) % models, 0
        return []

    def _claim(self, token: int, count: int) -> list[TaskClaim]:
        values = {
            TaskClaim.task: peewee.Value(self._task.key),
            TaskClaim.spectrum_pk: self._selection.spectra.spectrum_pk,
            TaskClaim.worker_pk: peewee.Value(self._worker),
            TaskClaim.token: peewee.Value(token),
            TaskClaim.suspect: peewee.Value(False),
            TaskClaim.held_back: peewee.Value(False),
            TaskClaim.attempts: peewee.Value(0),
            TaskClaim.since: peewee.SQL(now_sql(database)),
        }
        query = self._pending(self._selection).columns(*values.values())
        TaskClaim.insert_from(query.order_by(*self._order()).limit(count), list(values)).execute()
        return self._claimed(token)

    def _order(self) -> tuple[Any, ...]:
        """By key; withheld files by the time of their last try, so that a limit leaves none out for ever."""
        key = self._selection.spectra.spectrum_pk
        if self._selection.tried_before is None:
            return (key,)
        same = (TaskWithheld.task == self._task.key) & (TaskWithheld.spectrum_pk == key)
        return TaskWithheld.select(TaskWithheld.tried).where(same), key

    def _claimed(self, token: int) -> list[TaskClaim]:
        mine = (TaskClaim.worker_pk == self._worker) & (TaskClaim.token == token)
        return list(TaskClaim.select().where(mine).order_by(TaskClaim.spectrum_pk))
