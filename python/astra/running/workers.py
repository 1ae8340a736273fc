"""Where chunks are processed: in this process, or in several local ones.

Every worker is the same loop: it opens its own connections, computes with the threads it is given, and
writes its own rows. A child asks for a chunk when it is about to need one. Children never inherit an open
connection. One that dies is replaced, and whoever hands out the chunks learns what it had in hand.
"""

import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from astra.database.reconnecting import persistent
from astra.errors import AstraError, graver
from astra.running.chunk import Chunk, ChunkResult
from astra.running.loop import work
from astra.running.rows import recovered
from astra.system.processes import die_with, keep_memory, shared_cores
from astra.tasks.contract import Task
from astra.tasks.registry import find_task

log = logging.getLogger("astra")

#: After so many deaths in a row without one chunk finished, workers cannot work here at all.
CRASH_LIMIT = 10

_STOPPING = (signal.SIGINT, signal.SIGTERM)

# What a child sends when it is about to need a chunk, and after the last of its results; else it sends a
# result, or an exception.
_NEXT, _DONE = "next", "done"


class Supply(Protocol):
    """Who hands out chunks."""

    def take(self) -> Chunk | None:
        """A chunk that nobody else has; ``None`` if there is nothing to do."""

    def orphan(self, chunks: list[Chunk]) -> set[int]:
        """A worker died that had these chunks in hand; gives the spectra whose results it has not written."""


@dataclass
class _Child:
    process: BaseProcess
    in_hand: list[Chunk] = field(default_factory=list)
    """Chunks whose results have not come."""


def run_chunks(
    task: Task, supply: Supply, options: Mapping[str, Any], run_pk: int, workers: int
) -> Iterator[ChunkResult]:
    """Process chunks of spectra, and yield what became of each, as they are done.

    A chunk is taken only when a worker is about to need it.

    Raises:
        StorageError: The database refused a chunk.
        AstraError: Worker processes die one after the other without doing anything.
    """
    if workers == 1:
        yield from work(task, iter(supply.take, None), options, run_pk)
        return
    with _Crew(task, options, run_pk, workers) as crew:
        yield from crew.results(supply)


class _Crew:
    """Child processes that work on chunks."""

    def __init__(self, task: Task, options: Mapping[str, Any], run_pk: int, workers: int) -> None:
        self._task, self._run_pk, self._workers = task, run_pk, workers
        self._arguments = (task.name, dict(options), run_pk, os.getpid(), log.getEffectiveLevel())
        self._children: dict[Connection, _Child] = {}
        self._deaths = 0
        self._failure: Exception | None = None

    def __enter__(self) -> "_Crew":
        # Where it starts with the first child, it lets signals through again before that child is there.
        resource_tracker.ensure_running()
        try:
            for _ in range(self._workers):
                self._start()
        except BaseException:
            self._end(at_once=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._end(at_once=kind is not None)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        pipe, its_end = context.Pipe()
        process = context.Process(target=_serve, args=(its_end, *self._arguments), daemon=True)
        with shared_cores(self._workers), _signals_held():
            process.start()
        its_end.close()
        self._children[pipe] = _Child(process)

    def _end(self, at_once: bool) -> None:
        for pipe, child in self._children.items():
            if at_once:
                child.process.kill()
            pipe.close()
            child.process.join()

    def results(self, supply: Supply) -> Iterator[ChunkResult]:
        """Hand out chunks until there are no more, and yield results as they come.

        After a failure no more are handed out, and those in hand come first.
        """
        while self._children:
            for pipe in wait(list(self._children)):
                yield from self._heard(pipe, supply)
        if self._failure:
            raise self._failure

    def _heard(self, pipe: Connection, supply: Supply) -> Iterator[ChunkResult]:
        child, message = self._children[pipe], _received(pipe)
        if isinstance(message, ChunkResult):
            self._deaths = 0
            child.in_hand = [chunk for chunk in child.in_hand if chunk.token != message.chunk.token]
            yield message
        elif message == _NEXT:
            self._hand_out(pipe, child, supply)
        elif message is None:
            yield from self._dead(pipe, supply)
        else:
            self._dismiss(pipe)
            if message != _DONE:
                self._failure = graver(self._failure, message)

    def _hand_out(self, pipe: Connection, child: _Child, supply: Supply) -> None:
        chunk = None
        if not self._failure:
            try:
                chunk = supply.take()
            except Exception as error:  # noqa: BLE001 - it is raised when the others are done
                self._failure = graver(self._failure, error)
        if chunk is not None:
            child.in_hand.append(chunk)
        with suppress(BrokenPipeError):  # its end is noticed by what it sends no more
            pipe.send(chunk)

    def _dead(self, pipe: Connection, supply: Supply) -> Iterator[ChunkResult]:
        child = self._dismiss(pipe)
        log.warning("worker process %d died (%s)", child.process.pid, _how(child.process.exitcode))
        if not any(chunk.alone for chunk in child.in_hand):  # else a spectrum may be to blame
            self._deaths += 1
        try:
            # In this order: it waits for what the database still commits for the dead.
            unwritten = supply.orphan(child.in_hand)
            for chunk in child.in_hand:
                yield recovered(self._task, chunk, self._run_pk, unwritten)
        except Exception as error:  # noqa: BLE001 - it is raised when the others are done
            self._failure = graver(self._failure, error)
        if self._deaths > CRASH_LIMIT:
            reason = f"worker processes of {self._task.name} die ({_how(child.process.exitcode)})"
            self._failure = self._failure or AstraError(
                f"{reason}: {self._deaths} in a row without a result; what they had in hand stays pending"
            )
        if not self._failure:
            self._start()

    def _dismiss(self, pipe: Connection) -> _Child:
        child = self._children.pop(pipe)
        pipe.close()
        child.process.join()
        return child


@contextmanager
def _signals_held() -> Iterator[None]:
    """Children start without seeing signals, until they know to ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(pipe: Connection) -> Any:
    """What a child sent; ``None`` if it died."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None
    except Exception as error:  # noqa: BLE001 - an exception that this process cannot make
        return AstraError(f"internal error in a worker process: {type(error).__name__}: {error}")


def _how(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


# > In a child


def _serve(
    pipe: Connection, task_name: str, options: Mapping[str, Any], run_pk: int, parent: int, log_level: int
) -> None:
    """Be a worker: an own task and connection; the parent decides when to stop."""
    from astra.system.processes import set_up_logging

    set_up_logging(log_level)
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    die_with(parent)
    keep_memory()
    try:
        persistent(_open_database)
        task = find_task(task_name)
        # Before there is a chunk in hand: who dies while it loads has no spectrum to blame.
        task.prepare(**options)
        for result in work(task, _asked_for(pipe), options, run_pk):
            pipe.send(result)
        pipe.send(_DONE)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to know
        log.debug("a worker failed", exc_info=True)
        pipe.send(_portable(error))


def _asked_for(pipe: Connection) -> Iterator[Chunk]:
    while True:
        pipe.send(_NEXT)
        chunk = pipe.recv()
        if chunk is None:
            return
        yield chunk


def _open_database() -> None:
    from astra.database.connection import database, open_database

    database.initialize(open_database())


def _portable(error: Exception) -> Exception:
    """The error, or what it says if it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its own code raises
        return AstraError(f"internal error: {type(error).__name__}: {error}")
    return error
