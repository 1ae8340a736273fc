"""Functions compiled when they are first called, and kept on disk for the processes to come."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """A decorator: ``numba.njit`` that lets other threads run meanwhile.

    What was compiled is kept beside the module, else in the user's cache folder (``NUMBA_CACHE_DIR`` names
    another). Where none of them can be written, each process compiles anew.

    Args:
        options: Of ``numba.njit``.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            return numba.njit(nogil=True, **options)(function)

    return decorate
