"""Where chunks are processed: in this process, or in several local ones.

Every worker is the same: it opens its own connection, computes with the threads it is given, and
writes its own rows. Children never inherit an open connection.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from astra.errors import AstraError
from astra.processes import die_with, shared_cores
from astra.running.chunk import ChunkResult, process
from astra.tasks import Task, find_task

log = logging.getLogger("astra")

_STOPPING = (signal.SIGINT, signal.SIGTERM)


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
        for keys in chunks:
            yield process(task, keys, options, run_pk)
    else:
        yield from _in_processes(task, chunks, options, run_pk, workers)


def _in_processes(
    task: Task, chunks: Iterator[list[int]], options: Mapping[str, Any], run_pk: int, workers: int
) -> Iterator[ChunkResult]:
    with shared_cores(workers):
        context = multiprocessing.get_context("spawn")
        begin = (task.name, os.getpid(), log.getEffectiveLevel())
        pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=begin)
        try:
            yield from _in_order(
                chunks, lambda keys: _submit(pool, _process, keys, dict(options), run_pk), workers
            )
        except BrokenProcessPool as error:
            raise AstraError(
                f"a worker process of {task.name} died; what it had in hand stays pending"
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            for child in list(pool._processes.values()):
                child.kill()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, *call: Any) -> Future:
    """Submit a call, which may start a process: it must not see signals before it knows to ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        return pool.submit(*call)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_order(
    chunks: Iterator[list[int]], submit: Callable[[list[int]], Future], workers: int
) -> Iterator[ChunkResult]:
    running: list[Future] = []
    exhausted = False
    while True:
        # One chunk beyond the workers, so that none of them waits for this process.
        while not exhausted and sum(not future.done() for future in running) <= workers:
            keys = next(chunks, None)
            exhausted = keys is None
            if keys is not None:
                running.append(submit(keys))
        if not running:
            return
        if not running[0].done():
            wait([future for future in running if not future.done()], return_when=FIRST_COMPLETED)
        while running and running[0].done():
            yield running.pop(0).result()


_task: Task | None = None
_problem: AstraError | None = None


def _begin_worker(task_name: str, parent: int, log_level: int) -> None:
    """Make this process a worker: its own task, its own connection; the parent decides when to stop."""
    global _task, _problem
    from astra.database import open_database
    from astra.logs import set_up_logging
    from astra.models.base import database

    set_up_logging(log_level)
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    die_with(parent)
    try:
        database.initialize(open_database())
        _task = find_task(task_name)
    except AstraError as error:
        # Raised here, it would only break the pool; raised by the first chunk, it reaches the parent.
        _problem = error


def _process(keys: list[int], options: Mapping[str, Any], run_pk: int) -> ChunkResult:
    if _problem is not None:
        raise _problem
    return process(_task, keys, options, run_pk)
