"""Where chunks are processed: in this process, or in several local ones.

Every worker is the same loop: it opens its own connections, computes with the threads it is given, and
writes its own rows. A child asks for a chunk when it is about to need one. Children never inherit an open
connection.
"""

import itertools
import logging
import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from astra.errors import AstraError
from astra.processes import die_with, keep_memory, shared_cores
from astra.running.chunk import ChunkResult
from astra.running.loop import work
from astra.tasks import Task, find_task

log = logging.getLogger("astra")

_STOPPING = (signal.SIGINT, signal.SIGTERM)

# What a child sends when it is about to need a chunk, and after the last of its results; else it sends a
# result, or an exception.
_NEXT, _DONE = "next", "done"


@dataclass
class _Child:
    process: BaseProcess
    pipe: Connection
    in_hand: deque[int] = field(default_factory=deque)
    """Numbers of the chunks that it has and whose results have not come."""


def run_chunks(
    task: Task, chunks: Iterator[list[int]], options: Mapping[str, Any], run_pk: int, workers: int
) -> Iterator[ChunkResult]:
    """Process chunks of spectra, and yield what became of each, in the order of the chunks.

    A chunk is taken from ``chunks`` only when a worker is about to need it, so whoever stops giving
    chunks gets back those in hand.

    Raises:
        StorageError: The database refused a chunk.
        AstraError: A worker process died.
    """
    if workers == 1:
        yield from work(task, chunks, options, run_pk)
        return
    with _children(task, options, run_pk, workers) as children:
        yield from _in_order(_collect(task, chunks, children))


@contextmanager
def _children(
    task: Task, options: Mapping[str, Any], run_pk: int, workers: int
) -> Iterator[dict[Connection, _Child]]:
    context, children = multiprocessing.get_context("spawn"), {}
    arguments = (task.name, dict(options), run_pk, os.getpid(), log.getEffectiveLevel())
    # Where it starts with the first child, it lets signals through again before that child is there.
    resource_tracker.ensure_running()
    try:
        with shared_cores(workers), _signals_held():
            for _ in range(workers):
                pipe, its_end = context.Pipe()
                process = context.Process(target=_serve, args=(its_end, *arguments), daemon=True)
                process.start()
                its_end.close()
                children[pipe] = _Child(process, pipe)
        yield children
    except BaseException:
        for child in children.values():
            child.process.kill()
        raise
    finally:
        for child in children.values():
            child.pipe.close()
            child.process.join()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Children start without seeing signals, until they know to ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _collect(
    task: Task, chunks: Iterator[list[int]], children: dict[Connection, _Child]
) -> Iterator[tuple[int, ChunkResult]]:
    """Hand out chunks until there are no more, and yield their numbers and results as they come.

    After a failure no more are handed out, and those in hand come first.
    """
    numbers, working, failure = itertools.count(), dict(children), None
    while working:
        for pipe in wait(list(working)):
            message, child = _received(pipe, task), working[pipe]
            if isinstance(message, ChunkResult):
                yield child.in_hand.popleft(), message
            elif message == _NEXT:
                try:
                    keys = None if failure else next(chunks, None)
                except Exception as error:  # noqa: BLE001 - it is raised when the others are done
                    keys, failure = None, error
                if keys is not None:
                    child.in_hand.append(next(numbers))
                with suppress(BrokenPipeError):  # its end is noticed by what it sends no more
                    pipe.send(keys)
            else:
                del working[pipe]
                failure = failure or (None if message == _DONE else message)
    if failure:
        raise failure


def _received(pipe: Connection, task: Task) -> Any:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return AstraError(f"a worker process of {task.name} died; what it had in hand stays pending")
    except Exception as error:  # noqa: BLE001 - an exception that this process cannot make
        return AstraError(f"internal error in a worker process: {type(error).__name__}: {error}")


def _in_order(results: Iterator[tuple[int, ChunkResult]]) -> Iterator[ChunkResult]:
    following, early = 0, {}
    try:
        for number, result in results:
            early[number] = result
            while following in early:
                yield early.pop(following)
                following += 1
    except (Exception, KeyboardInterrupt):
        yield from (early[number] for number in sorted(early))
        raise


# > In a child


def _serve(
    pipe: Connection, task_name: str, options: Mapping[str, Any], run_pk: int, parent: int, log_level: int
) -> None:
    """Be a worker: an own task and connection; the parent decides when to stop."""
    from astra.logs import set_up_logging

    set_up_logging(log_level)
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    die_with(parent)
    keep_memory()
    try:
        _open_database()
        for result in work(find_task(task_name), _asked_for(pipe), options, run_pk):
            pipe.send(result)
        pipe.send(_DONE)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to know
        log.debug("a worker failed", exc_info=True)
        pipe.send(_portable(error))


def _asked_for(pipe: Connection) -> Iterator[list[int]]:
    while True:
        pipe.send(_NEXT)
        keys = pipe.recv()
        if keys is None:
            return
        yield keys


def _open_database() -> None:
    from astra.database import open_database
    from astra.models.base import database

    database.initialize(open_database())


def _portable(error: Exception) -> Exception:
    """The error, or what it says if it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its own code raises
        return AstraError(f"internal error: {type(error).__name__}: {error}")
    return error
