"""Where chunks are processed: in this process, or in several local ones.

Every worker is the same loop: it opens its own connections, computes in one thread, and writes its own rows.
A child asks for a chunk when it is about to need one. Children never inherit an open connection. One that
dies is replaced, and the supply of chunks learns which ones it held.
"""

import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from astra.database.connection import database
from astra.database.reconnecting import persistent
from astra.errors import AstraError, graver
from astra.running.in_hand import InHand
from astra.running.loop import Job
from astra.running.rows import Chunk, ChunkResult
from astra.system.plugins import raised
from astra.system.processes import cores, die_with, keep_memory, shared_cores
from astra.system.signals import ENDING, answered, deaf_children, draining
from astra.tasks.contract import Task
from astra.tasks.trials import task_of

log = logging.getLogger("astra")

#: After so many deaths in a row without one chunk finished, workers cannot work here at all.
CRASH_LIMIT = 10

# How often the parent looks whether it was asked to stop [s].
_LOOK_S = 0.2

# What a child sends when it is about to need a chunk, and after the last of its results; else it sends a
# result, or an exception.
_NEXT, _DONE = "next", "done"


@dataclass(frozen=True)
class _Measured:
    """How many spectra of a chunk are measured; a child sends that between its results."""

    token: int
    number: int


@dataclass
class _Child:
    process: BaseProcess
    in_hand: list[Chunk] = field(default_factory=list)
    """Chunks whose results have not come."""


class ChunkSupply(Protocol):
    """Where chunks come from."""

    def take(self) -> Chunk | None:
        """A chunk that no other worker has; ``None`` if there is nothing to do."""

    def orphan(self, chunks: list[Chunk]) -> set[int]:
        """Note that a worker died that had these chunks; gives the spectra of which nothing was written."""


def run_chunks(
    task: Task, supply: ChunkSupply, job: Job, workers: int, in_hand: InHand | None = None
) -> Iterator[ChunkResult]:
    """Process chunks of spectra, and yield what became of each, as they are done.

    A chunk is taken only when a worker is about to need it.

    Args:
        task: The task.
        supply: Where the chunks come from.
        job: What to do with them.
        workers: How many local processes.
        in_hand: Learns what workers have, and how far they are.

    Raises:
        StorageError: The database refused a chunk.
        AstraError: Worker processes die one after the other without doing anything.
    """
    in_hand = in_hand or InHand()
    if workers == 1:
        for result in job.work(task, in_hand.taking(supply.take), in_hand.measure):
            in_hand.give_back(result.chunk)
            yield result
        return
    crew, at_once = _Crew(task, job, workers, in_hand), True
    try:
        yield from crew.results(supply)
        at_once = False
    finally:
        crew.end(at_once)


class _Crew:
    """Child processes that work on chunks."""

    def __init__(self, task: Task, job: Job, workers: int, in_hand: InHand) -> None:
        self._task, self._job, self._workers, self._in_hand = task, job, workers, in_hand
        self._arguments = (task.key, job, os.getpid(), log.getEffectiveLevel())
        self._children: dict[Connection, _Child] = {}
        self._deaths = 0
        self._failure: Exception | None = None

    def end(self, at_once: bool) -> None:
        """Wait until those that are left have ended; kill them before, if at once."""
        for pipe, child in self._children.items():
            if at_once:
                child.process.kill()
            pipe.close()
            child.process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        pipe, its_end = context.Pipe()
        process = context.Process(target=_serve, args=(its_end, *self._arguments), daemon=True)
        with deaf_children(), shared_cores(cores()):
            process.start()
        its_end.close()
        self._children[pipe] = _Child(process)

    def results(self, supply: ChunkSupply) -> Iterator[ChunkResult]:
        """Start the children, hand out chunks until there are no more, and yield results as they come.

        After a failure no more are handed out, and those in hand come first.
        """
        for _ in range(self._workers):
            self._start()
        while self._children:
            for pipe in wait(list(self._children), _LOOK_S):
                yield from self._heard(pipe, supply)
            self._pass_on()
        if self._failure:
            raise self._failure

    def _pass_on(self) -> None:
        """Let the children know that they are to stop: they may be waiting for others."""
        if draining.is_set():
            for child in self._children.values():
                child.process.terminate()

    def _heard(self, pipe: Connection, supply: ChunkSupply) -> Iterator[ChunkResult]:
        child, message = self._children[pipe], _received(pipe)
        if isinstance(message, ChunkResult):
            self._deaths = 0
            child.in_hand = [chunk for chunk in child.in_hand if chunk.token != message.chunk.token]
            self._in_hand.give_back(message.chunk)
            yield message
        elif isinstance(message, _Measured):
            self._in_hand.measure(message.token, message.number)
        elif message == _NEXT:
            self._hand_out(pipe, child, supply)
        elif message is None:
            yield from self._dead(pipe, supply)
        else:
            self._dismiss(pipe)
            if message != _DONE:
                self._failure = graver(self._failure, message)

    def _hand_out(self, pipe: Connection, child: _Child, supply: ChunkSupply) -> None:
        chunk = None
        if not self._failure:
            try:
                chunk = supply.take()
            except Exception as error:  # noqa: BLE001 - it is raised when the others are done
                self._failure = graver(self._failure, error)
        if chunk is not None:
            child.in_hand.append(chunk)
            self._in_hand.take(chunk)
        with suppress(BrokenPipeError):  # reading from it will show that it died
            pipe.send(chunk)

    def _dead(self, pipe: Connection, supply: ChunkSupply) -> Iterator[ChunkResult]:
        child = self._dismiss(pipe)
        log.warning("worker process %d died (%s)", child.process.pid, _how(child.process.exitcode))
        if not any(chunk.alone for chunk in child.in_hand):  # else a spectrum may be to blame
            self._deaths += 1
        try:
            # In this order: it waits for what the database still commits for the dead.
            unwritten = supply.orphan(child.in_hand)
            for chunk in child.in_hand:
                self._in_hand.give_back(chunk)
                yield self._job.recovered(self._task, chunk, unwritten)
        except Exception as error:  # noqa: BLE001 - it is raised when the others are done
            self._failure = graver(self._failure, error)
        if self._deaths > CRASH_LIMIT:
            reason = f"worker processes of {self._task.key} die ({_how(child.process.exitcode)})"
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


def _received(pipe: Connection) -> Any:
    """What a child sent; ``None`` if it died."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None
    except Exception as error:  # noqa: BLE001 - an exception that this process cannot make
        return AstraError(f"internal error in a worker process: {raised(error)}")


def _how(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


# > In a child


def _serve(pipe: Connection, task_key: str, job: Job, parent: int, log_level: int) -> None:
    """Be a worker, with its own task and connection; the parent decides when to stop."""
    from astra.system.processes import set_up_logging

    set_up_logging(log_level)
    for number in ENDING:
        # Not SIG_IGN, so that ``answered`` hears of it; what is ignored stays so, as in the parent.
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    die_with(parent)
    keep_memory()

    def next_chunk() -> Chunk | None:
        pipe.send(_NEXT)
        return pipe.recv()

    def tell(token: int, measured: int) -> None:
        pipe.send(_Measured(token, measured))

    try:
        with answered(lambda number: draining.set()):
            persistent(database.opened)
            with task_of(task_key) as task:
                # Before it asks for a chunk: a worker that dies while it loads has no spectrum to blame.
                job.prepare(task)
                for result in job.work(task, iter(next_chunk, None), tell):
                    pipe.send(result)
            pipe.send(_DONE)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to know
        log.debug("a worker failed", exc_info=True)
        pipe.send(_portable(error))


def _portable(error: Exception) -> Exception:
    """The error, or what it says if it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its own code raises
        return AstraError(f"internal error: {raised(error)}")
    return error
