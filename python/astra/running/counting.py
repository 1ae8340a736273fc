"""How much there is to do: counted beside the work, which never waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

import peewee

from astra.database.reconnecting import hang_up
from astra.database.watching import interrupt
from astra.errors import AstraError
from astra.models.pipeline import TaskWorker
from astra.running.runs import Report
from astra.tasks.contract import Task

log = logging.getLogger("astra")

# Others may begin at any time. What they leave is counted again, which takes at most this share of the time.
_PAUSE_S, _SHARE_OF_TIME = 30.0, 0.01
_END_S = 5.0


class Counting:
    """A context in which a thread keeps ``report.total``: what is done, and what is left for this run.

    Several runs may take from the same spectra. While others work, it is counted again and again, and the
    total falls: what they have done is not left.

    Args:
        task: The task.
        report: Of the run.
        count: Counts what is pending; need not count more than the number that it is given.
        limit: The run does no more than this.
    """

    def __init__(
        self, task: Task, report: Report, count: Callable[[int | None], int], limit: int | None
    ) -> None:
        self._task, self._report, self._count, self._limit = task, report, count, limit
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="astra-counting", daemon=True)
        self._said = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        interrupt(self._thread)
        self._thread.join(_END_S)

    def _go(self) -> None:
        seconds = 0.0
        if (counted := self._report.to_do) is None:
            seconds = self._look()
        else:
            self._report.total = counted if self._limit is None else min(self._limit, counted)
        while not self._over.wait(max(_PAUSE_S, seconds / _SHARE_OF_TIME)):
            seconds = self._look(if_others=True)

    def _look(self, *, if_others: bool = False) -> float:
        """Count, or only if others are at work; gives how long that took [s]."""
        started = time.monotonic()
        try:
            if not if_others or self._others():
                done = self._report.tally.done
                most = None if self._limit is None else max(0, self._limit - done)
                left = self._count(most)
                self._report.total = done + (left if most is None else min(most, left))
        except (peewee.PeeweeException, AstraError) as error:
            log.debug("what is left cannot be counted now: %s", error)
        finally:
            hang_up()
        return time.monotonic() - started

    def _others(self) -> bool:
        mine = TaskWorker.run_pk == self._report.run_pk
        found = TaskWorker.select().where(TaskWorker.task == self._task.key, ~mine).exists()
        if found and not self._said:
            log.info(
                "other runs take from the same spectra: the total is what is done here, and left for all"
            )
            self._said = True
        return found
