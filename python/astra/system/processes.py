"""What belongs to a process as a whole: its share of the cores, its memory, its end, its messages."""

import functools
import gc
import logging
import math
import os
import resource
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from astra.errors import ConfigError
from astra.hiding import hidden
from astra.system import control_groups
from astra.system.printable import printable

#: The variables that say how many threads OpenMP, OpenBLAS and MKL start.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

#: What a process that computes takes with two threads, most of it for the code of libraries [bytes].
LEAST_ADDRESSES = 768 * 2**20

_PR_SET_PDEATHSIG = 1

# The first of the local processes of a run speaks for all of them.
_FIRST = "SpawnProcess-1"

# Objects that are made before it is looked for cycles; such rounds before older ones are looked at, twice.
_SELDOM = 10_000, 50, 50

# Of malloc.h in the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4

# The filters of warnings belong to the process as a whole: two threads that set them aside at once would
# restore them in the wrong order.
_filters = threading.RLock()


def cores() -> int:
    """How many cores this process may use, which on a node of a cluster is less than the machine has.

    The least counts of those that it is bound to, that a control group has time for, and that Slurm allots.
    """
    there = _bound_to()
    # Slurm does not confine its jobs everywhere.
    allotted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    given = int(allotted) if allotted.isdecimal() else 0
    quota = control_groups.cpu_quota()
    return min(there, given or there, there if quota is None else math.ceil(quota))


def use_cores(threads: int) -> None:
    """Let libraries that are loaded from now on start so many compute threads.

    By themselves they start as many as the process is bound to. What the user sets has priority.
    """
    if not any(map(os.environ.get, THREAD_VARIABLES)) and threads < _bound_to():
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def _bound_to() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def shared_cores(processes: int) -> Iterator[None]:
    """Give each process that is spawned meanwhile its share of the cores as compute threads."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(max(1, cores() // processes))))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def check_memory() -> None:
    """Stop before libraries are loaded that wait for ever for the memory that they do not get.

    Raises:
        ConfigError: The limit of this process (``ulimit -v``) is too low.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < LEAST_ADDRESSES:
        raise ConfigError(
            f"`ulimit -v` allows this process {limit / 2**20:.0f} MiB of addresses, and it needs "
            f"{LEAST_ADDRESSES / 2**20:.0f}: raise it, or ask for more memory where the scheduler sets it"
        )


def keep_memory() -> None:
    """Keep memory that is free for what comes next, and do not give it back (GNU C library only).

    Every batch asks for the same arrays again. Each that is larger than a few hundred kilobytes would come
    from the system, which fills it with zeros, and go back to it: up to a tenth of the time of a run. Rows
    are many objects, hardly any of them in cycles: to look for such as often as usual took a thirtieth.
    """
    import ctypes

    gc.set_threshold(*_SELDOM)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def die_with(parent: int) -> None:
    """End this process when its parent ends, however that happens (Linux only).

    A parent that is killed cannot tell its children; without this they would wait for ever.
    """
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class _ThisStderr(logging.StreamHandler):
    """Writes to what stderr is now; a progress bar stands in for it while it runs."""

    stream = property(lambda self: sys.stderr, lambda self, value: None)


class _OneLine(logging.Formatter):
    """A message on one line, without a password and without signs that a terminal obeys."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(hidden(record.message))
        return super().formatMessage(record)

    def formatException(self, raised: tuple) -> str:
        # Lines of code begin with blanks; what was raised is in one piece.
        parts = traceback.TracebackException(*raised).format()
        safe = (part if part.startswith("  ") else hidden(part) for part in parts)
        return "\n".join(map(printable, "".join(safe).splitlines()))


def set_up_logging(level: int) -> None:
    """Send the package's messages to stderr, one line each, from every process of a run alike."""
    handler = _ThisStderr()
    handler.setFormatter(_OneLine("astra: %(levelname)s: %(message)s"))
    logger = logging.getLogger("astra")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


@contextmanager
def silenced() -> Iterator[None]:
    """No warnings of libraries for the length of this context; other threads wait before theirs."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.cache
def warn_once(text: str) -> None:
    """Warn of what concerns all processes of a run alike."""
    import multiprocessing

    if multiprocessing.parent_process() is None or multiprocessing.current_process().name == _FIRST:
        logging.getLogger("astra").warning("%s", text)
