"""A function applied to many things in several processes at once, as ``map`` does it in one.

What it logs is logged in the order of the things. A process that dies costs time alone: what it had in hand,
and all that follows, is done in this process.
"""

import logging
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from logging.handlers import QueueHandler
from typing import Any, TypeVar

from astra.system.processes import die_with
from astra.system.signals import deaf_children

log = logging.getLogger("astra")

#: Fewer things are done before other processes would have begun, which takes them half a second.
ENOUGH = 300

# Things that travel together.
_TOGETHER = 25

Thing, Result = TypeVar("Thing"), TypeVar("Result")
Found = tuple[list[Any], list[logging.LogRecord]]


@contextmanager
def side_by_side(
    function: Callable[[Thing], Result], processes: int
) -> Iterator[Callable[[Sequence[Thing]], Iterator[Result]]]:
    """Several processes for as long as this context lasts; they start with the first ``ENOUGH`` things.

    Args:
        function: It travels to each of them.
        processes: How many; 1 stands for this one. More need a program whose main module can be imported.

    Yields:
        A function that takes some things, begins with them, and gives the results in their order.
    """
    pool: ProcessPoolExecutor | None = None

    def begin(things: Sequence[Thing]) -> Iterator[Result]:
        nonlocal pool
        if pool is None and len(things) >= ENOUGH and processes > 1:
            pool = _pool(function, processes)
            with deaf_children():
                pool.submit(int)  # it starts them all
        return map(function, things) if pool is None else _results(_submitted(pool, things), function)

    try:
        yield begin
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def one_ahead(things: Iterable[Thing]) -> Iterator[Thing]:
    """The same things, each taken while the one before it is still in use."""
    taken = iter(things)
    held = next(taken, None)
    while held is not None:
        following = next(taken, None)
        yield held
        held = following


def _pool(function: Callable[[Any], Any], processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        _begin,
        (function, os.getpid(), log.getEffectiveLevel()),
    )


Part = tuple[Sequence[Any], "Future[Found] | None"]


def _submitted(pool: ProcessPoolExecutor, things: Sequence[Any]) -> list[Part]:
    """The things in parts, each with what will come of it; ``None`` if the processes died."""
    parts: list[Part] = []
    for start in range(0, len(things), _TOGETHER):
        part = things[start : start + _TOGETHER]
        try:
            parts.append((part, pool.submit(_apply, part)))
        except BrokenProcessPool:
            parts.append((part, None))
    return parts


def _results(parts: list[Part], function: Callable[[Any], Any]) -> Iterator[Any]:
    for things, future in parts:
        try:
            found, said = future.result() if future is not None else (map(function, things), [])
        except BrokenProcessPool:
            log.warning("a process that reads died: this one reads alone")
            found, said = map(function, things), []
        for record in said:
            logging.getLogger(record.name).handle(record)
        yield from found


# > In a child

_function: Callable[[Any], Any]
_said: "queue.SimpleQueue[logging.LogRecord]" = queue.SimpleQueue()


def _begin(function: Callable[[Any], Any], parent: int, log_level: int) -> None:
    global _function
    die_with(parent)
    _function = function
    log.handlers, log.propagate = [QueueHandler(_said)], False
    log.setLevel(log_level)


def _apply(things: Sequence[Any]) -> Found:
    found = [_function(thing) for thing in things]
    return found, [_said.get() for _ in range(_said.qsize())]
