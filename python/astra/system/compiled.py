"""Functions compiled when they are first called, and kept on disk for the processes to come."""

from collections.abc import Callable
from typing import Any

import numba

_functions: list[Any] = []


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """A decorator: ``numba.njit`` that lets other threads run meanwhile.

    What was compiled is kept beside the module, else in the user's cache folder (``NUMBA_CACHE_DIR`` names
    another). Where none of them can be written, each process compiles anew.

    Args:
        options: Of ``numba.njit``.
    """

    def decorate(function: Callable) -> Callable:
        try:
            made = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            made = numba.njit(nogil=True, **options)(function)
        _functions.append(made)
        return made

    return decorate


def cache_folders() -> set[str | None]:
    """Where the functions that are loaded so far are kept; ``None`` stands for those that are not kept."""
    return {function.stats.cache_path for function in _functions}
