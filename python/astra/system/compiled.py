"""Functions compiled when they are first called, and kept on disk for the processes to come.

To keep them is a convenience: whatever is wrong with what is kept, or with the place for it, is said once,
and the process compiles for itself.
"""

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from astra import NO_HOME
from astra.system.plugins import raised
from astra.system.processes import warn_once

#: What all functions of a run need on the disk, and half as much again [bytes].
_ROOM = 750_000

_functions: list[Any] = []


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """A decorator: ``numba.njit`` that lets other threads run meanwhile.

    What was compiled is kept in the folder that ``NUMBA_CACHE_DIR`` names, else beside the module, else in
    the user's cache folder: the first that can be written, or else the first that can be read.

    Args:
        options: Of ``numba.njit``.
    """

    def decorate(function: Callable) -> Callable:
        made = numba.njit(nogil=True, **options)(function)
        with suppress(RuntimeError):  # there is no folder
            made._cache = _Cache(function)
        if options.get("inline") != "always":  # else it is only a part of others
            _functions.append(made)
        return made

    return decorate


@dataclass(frozen=True)
class Kept:
    """What a folder keeps of the functions that are loaded so far.

    Attributes:
        folder: The folder; ``None`` stands for none.
        ready: How many functions this processor can use at once.
        damaged: What is wrong with the others, by their names.
        absent: How many are not there for this processor and these versions.
        unwritable: Why nothing can be added; ``None`` if something can.
    """

    folder: str | None
    ready: int
    damaged: dict[str, str]
    absent: int
    unwritable: str | None


def what_is_kept() -> list[Kept]:
    """What is kept of the functions that are loaded so far; each folder is tried by writing as much to it."""
    by_folder: dict[str | None, list[Any]] = {}
    for function in _functions:
        by_folder.setdefault(function.stats.cache_path, []).append(function)
    found = []
    for folder, functions in by_folder.items():
        ready, damaged = 0, {}
        for function in functions if folder else ():
            try:
                ready += function._cache.is_ready(function.targetctx)
            except Exception as error:  # noqa: BLE001 - whatever pickle raises
                damaged[function.__name__] = raised(error)
        absent = len(functions) - ready - len(damaged)
        found.append(Kept(folder, ready, damaged, absent, _why_unwritable(folder) if folder else None))
    return found


def _why_unwritable(folder: str) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except OSError as error:
        return error.strerror or str(error)
    return None


# > What numba keeps


class _OfUser(caching.UserWideCacheLocator):
    """The user's cache folder, if there is one."""

    def ensure_cache_path(self) -> None:
        if Path(self.get_cache_path()).is_relative_to(NO_HOME):
            raise FileNotFoundError(self.get_cache_path())
        super().ensure_cache_path()


class _Readable:
    """A folder that need not be written: it may be full, or part of an image."""

    def ensure_cache_path(self) -> None:
        os.scandir(self.get_cache_path()).close()


class _NamedReadable(_Readable, caching.UserProvidedCacheLocator):
    pass


class _BesideReadable(_Readable, caching.InTreeCacheLocator):
    pass


class _Form(caching.CompileResultCacheImpl):
    """Compiled code with its checksum: from damaged code, LLVM would make a crash or a wrong number."""

    _locator_classes = [  # noqa: RUF012 - as numba declares it
        caching.UserProvidedCacheLocator,
        caching.InTreeCacheLocator,
        _OfUser,
        _NamedReadable,
        _BesideReadable,
    ]

    def reduce(self, cres: Any) -> tuple[bytes, bytes]:
        content = caching.dumps(super().reduce(cres))
        return hashlib.sha256(content).digest(), content

    def rebuild(self, target_context: Any, payload: tuple[bytes, bytes]) -> Any:
        return super().rebuild(target_context, pickle.loads(_checked(payload)))


def _checked(payload: tuple[bytes, bytes]) -> bytes:
    checksum, content = payload
    if hashlib.sha256(content).digest() != checksum:
        raise ValueError("the checksum is another one")
    return content


class _Cache(caching.FunctionCache):
    """Does without what cannot be read or written."""

    _impl_class = _Form

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever pickle and LLVM raise
            warn_once(
                f"compiled code in {self.cache_path} cannot be used ({raised(error)}): it is compiled anew"
            )
            with suppress(OSError):
                self.flush()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # noqa: BLE001 - likewise
            why = getattr(error, "strerror", None) or raised(error)
            warn_once(
                f"compiled code cannot be kept in {self.cache_path} ({why}): each process compiles for "
                "itself, which takes seconds; NUMBA_CACHE_DIR names another folder"
            )

    def is_ready(self, target_context: Any) -> bool:
        """Whether something is kept for this processor.

        Raises:
            Exception: It is damaged.
        """
        index = self._cache_file._load_index()
        here = target_context.codegen().magic_tuple()
        names = [name for (_, processor, _), name in index.items() if processor == here]
        with suppress(FileNotFoundError):  # there was no room for it
            for name in names:
                _checked(self._cache_file._load_data(name))
            return bool(names)
        return False
