"""Packages that offer tasks: they name them by entry points."""

import functools
import logging
import sys
from importlib import metadata

#: The group of their entry points.
TASKS_GROUP = "astra.tasks"

log = logging.getLogger("astra")


def entry_points(group: str) -> metadata.EntryPoints:
    """The entry points of a group; those of one path are read once, as this takes milliseconds each time."""
    return _read_once(tuple(sys.path)).select(group=group)


@functools.lru_cache(maxsize=1)
def _read_once(path: tuple[str, ...]) -> metadata.EntryPoints:
    return metadata.entry_points()


def load_all() -> None:
    """Import every package that offers a task, so that its models are known.

    One that cannot be imported harms nobody here: ``astra status`` and ``astra doctor`` name it.
    """
    for point in entry_points(TASKS_GROUP):
        try:
            point.load()
        except Exception:  # noqa: BLE001 - whatever a foreign package raises on import
            log.debug("loading %s failed", point.value, exc_info=True)
