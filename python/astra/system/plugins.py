"""Packages that offer tasks: they name them by entry points."""

import difflib
import functools
import logging
import sys
from importlib import metadata

#: The groups of their entry points.
TASKS_GROUP, MIGRATIONS_GROUP = "astra.tasks", "astra.migrations"

#: Whatever a foreign package raises on import: one that exits is broken too.
FOREIGN = (Exception, SystemExit)

# How much like a group of ours one has to be that is taken for a misspelt one; `astra.task` is 0.95.
_LIKE = 0.85

log = logging.getLogger("astra")


def entry_points(group: str) -> metadata.EntryPoints:
    """The entry points of a group; those of one path are read once, as this takes milliseconds each time."""
    return _read_once(tuple(sys.path)).select(group=group)


def unreadable() -> dict[str, str]:
    """The distributions whose entry points cannot be read, each with what was raised.

    One is enough to stop pydantic, numba and torch, which look for their own among those of all.
    """
    found = {}
    for each in metadata.distributions():
        try:
            each.entry_points  # noqa: B018 - reads the file
        except Exception as error:  # noqa: BLE001 - whatever the parser raises
            found[str(each.name)] = raised(error)
    return found


def misspelt() -> list[tuple[metadata.EntryPoint, str]]:
    """Entry points in a group whose name is nearly one of ours, each with the name that is meant."""
    points, known = _read_once(tuple(sys.path)), (TASKS_GROUP, MIGRATIONS_GROUP)
    return [
        (point, meant)
        for group in sorted(points.groups - {*known})
        for meant in difflib.get_close_matches(group.lower(), known, 1, _LIKE)
        for point in points.select(group=group)
    ]


def load(point: metadata.EntryPoint) -> object:
    """Load what an entry point names.

    Raises:
        ValueError: It names nothing.
        BaseException: One of ``FOREIGN``.
    """
    if not point.pattern.match(point.value):
        raise ValueError(f"{point.value!r} names nothing: write {point.name} = MODULE:FUNCTION")
    return point.load()


@functools.lru_cache(maxsize=1)
def _read_once(path: tuple[str, ...]) -> metadata.EntryPoints:
    return metadata.entry_points()


def load_all() -> None:
    """Import every package that offers a task, so that its models are known.

    One that cannot be imported harms nobody here: ``astra status`` and ``astra doctor`` name it.
    """
    for point in entry_points(TASKS_GROUP):
        try:
            load(point)
        except FOREIGN:
            log.debug("loading %s failed", point.value, exc_info=True)


def raised(error: BaseException) -> str:
    """The type and the message of what a foreign package raised, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
