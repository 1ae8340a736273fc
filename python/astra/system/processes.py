"""What processes that work for long need: their share of the cores, memory kept, an end with their parent."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PR_SET_PDEATHSIG = 1

# Of malloc.h in the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def cores() -> int:
    """How many cores this process may use, which in a job of a scheduler is less than the machine has."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Slurm does not confine its jobs everywhere.
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(there, int(given)) if given.isdecimal() and int(given) else there


@contextmanager
def shared_cores(processes: int) -> Iterator[None]:
    """Give each process that is spawned meanwhile its share of the cores as compute threads."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(max(1, cores() // processes))))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def keep_memory() -> None:
    """Keep memory that is free for what comes next, and do not give it back (GNU C library only).

    Every batch asks for the same arrays again. Each that is larger than a few hundred kilobytes would come
    from the system, which fills it with zeros, and go back to it: up to a tenth of the time of a run.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def die_with(parent: int) -> None:
    """End this process when its parent ends, however that happens (Linux only).

    A parent that is killed cannot tell its children; without this they would wait for ever.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
