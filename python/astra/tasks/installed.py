"""Which tasks are installed: a package offers one by an entry point in the group ``astra.tasks``.

The name of the entry point is the task's.
"""

import logging
from importlib.metadata import EntryPoint
from typing import Any

from astra.errors import ConfigError, UsageError, nearest
from astra.system.plugins import FOREIGN, TASKS_GROUP, entry_points, load, misspelt, raised
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
    points = points_of(name)
    if not points:
        raise UsageError(f"unknown task {name!r}{nearest(name, task_names(), 'installed tasks:')}")
    if len({point.value for point in points}) > 1:
        places = " and ".join(sorted(f"{point.dist.name} ({point.value})" for point in points))
        raise ConfigError(f"two packages offer the task {name!r}: {places}; uninstall one")
    try:
        found = load(points[0])
    except FOREIGN as error:
        log.debug("loading %s failed", points[0].value, exc_info=True)
        # Where an entry point names nothing, its package is all that is known.
        place = points[0].value or points[0].dist.name
        raise ConfigError(f"task {name!r} cannot be loaded from {place} ({raised(error)})") from error
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
    return any(map(_is_ours, entry_points(TASKS_GROUP).select(name=name)))


def points_of(name: str) -> list[EntryPoint]:
    """The entry points that count for a task: our own, where another package takes its name."""
    points = list(entry_points(TASKS_GROUP).select(name=name))
    return [point for point in points if _is_ours(point)] or points


def without_effect() -> list[str]:
    """A line for whatever a package offers in vain: a task with a name of ours, or in a misspelt group."""
    taken = [
        f"package {point.dist.name} offers a task {point.name!r} too ({point.value}), which is left out: "
        "that of this package is in force"
        for point in entry_points(TASKS_GROUP)
        if point not in points_of(point.name)
    ]
    groups = {(point.dist.name, point.group, meant) for point, meant in misspelt()}
    return taken + [
        f"package {package} has entry points in the group {group!r}; the group of "
        f"{meant.rpartition('.')[2]} is {meant!r}"
        for package, group, meant in sorted(groups)
    ]


def _is_ours(point: EntryPoint) -> bool:
    return point.value.startswith("astra.")
