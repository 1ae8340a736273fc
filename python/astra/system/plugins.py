"""Packages that offer tasks: they name them by entry points."""

import logging
from importlib import metadata

#: The group of their entry points.
TASKS_GROUP = "astra.tasks"

log = logging.getLogger("astra")


def load_all() -> None:
    """Import every package that offers a task, so that its models are known.

    One that cannot be imported harms nobody here: ``astra status`` and ``astra doctor`` name it.
    """
    for point in metadata.entry_points(group=TASKS_GROUP):
        try:
            point.load()
        except Exception:  # noqa: BLE001 - whatever a foreign package raises on import
            log.debug("loading %s failed", point.value, exc_info=True)
