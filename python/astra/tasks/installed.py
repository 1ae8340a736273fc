"""Which tasks are installed: a package offers one by an entry point in the group ``astra.tasks``.

The name of the entry point is the task's.
"""

import logging
from typing import Any

from astra.errors import ConfigError, UsageError
from astra.system.plugins import TASKS_GROUP, entry_points
from astra.tasks.contract import Task

log = logging.getLogger("astra")


def task_names() -> list[str]:
    """The names of all installed tasks, loaded or not."""
    return sorted({point.name for point in entry_points(TASKS_GROUP)})


def is_named(thing: Any, name: str) -> bool:
    """Whether a model is meant by its name, or by the end of its dotted path (``apogee.Something``)."""
    return _ends_with(f"{thing.__module__}.{thing.__qualname__}", name)


def _ends_with(path: str, name: str) -> bool:
    return f".{path}".endswith(f".{name}")


def short_name(task: str) -> str:
    """The name of an installed task, by itself or by its dotted path, e.g. ``astra.pipelines.x.y``.

    What names no installed task is given back.
    """
    points = entry_points(TASKS_GROUP) if "." in task else ()
    found = {point.name for point in points if _ends_with(point.value.replace(":", "."), task)}
    return found.pop() if len(found) == 1 else task


def find_task(name: str) -> Task:
    """Load a task by its name, or by its dotted path.

    Raises:
        UsageError: No installed package offers it.
        ConfigError: The package that offers it is broken.
    """
    name = short_name(name)
    points = [point for point in entry_points(TASKS_GROUP) if point.name == name]
    if not points:
        raise UsageError(f"unknown task {name!r}; installed tasks: {', '.join(task_names()) or 'none'}")
    if len({point.value for point in points}) > 1:
        places = " and ".join(sorted(point.value for point in points))
        raise ConfigError(f"two packages offer the task {name!r}: {places}; uninstall one")
    try:
        found = points[0].load()
    except Exception as error:  # whatever a foreign package raises on import
        log.debug("loading %s failed", points[0].value, exc_info=True)
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"task {name!r} cannot be loaded from {points[0].value} ({reason})") from error
    if not isinstance(found, Task):
        raise ConfigError(f"task {name!r}: {points[0].value} is not decorated with @astra.task")
    return found


def installed_tasks() -> dict[str, Task | ConfigError]:
    """All installed tasks by their names; in the place of one that cannot be loaded, why."""
    found: dict[str, Task | ConfigError] = {}
    for name in task_names():
        try:
            found[name] = find_task(name)
        except ConfigError as error:
            found[name] = error
    return found


def comes_with_astra(name: str) -> bool:
    """Whether a task is one of this package."""
    points = entry_points(TASKS_GROUP).select(name=name)
    return any(point.module.startswith("astra.") for point in points)
