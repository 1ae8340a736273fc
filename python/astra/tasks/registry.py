"""The tasks that are installed, found by their entry points, and whether their tables are there.

A package offers a task by an entry point in the group ``astra.tasks``; its name is the task's.
"""

import logging
from importlib import metadata

import peewee

from astra.database.connection import is_missing_table, one_line, translated
from astra.errors import ConfigError, DatabaseUnreachable, UsageError
from astra.tasks.contract import Task

ENTRY_POINT_GROUP = "astra.tasks"
log = logging.getLogger("astra")


def task_names() -> list[str]:
    """The names of all installed tasks, loaded or not."""
    return sorted({point.name for point in metadata.entry_points(group=ENTRY_POINT_GROUP)})


def find_task(name: str) -> Task:
    """Load a task by its name.

    Raises:
        UsageError: No installed package offers it.
        ConfigError: The package that offers it is broken.
    """
    points = [point for point in metadata.entry_points(group=ENTRY_POINT_GROUP) if point.name == name]
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
    points = metadata.entry_points(group=ENTRY_POINT_GROUP, name=name)
    return any(point.module.startswith("astra.") for point in points)


def check_tables(task: Task) -> None:
    """Refuse a task whose results or spectra cannot be read.

    Raises:
        ConfigError: A table is missing, lacks a column, or this login may not read it.
        DatabaseUnreachable: The connection was lost.
    """
    for model in (task.spectrum_model, task.output_model):
        try:
            model.select().limit(0).execute()
        except peewee.DatabaseError as error:
            if isinstance(known := translated(error), DatabaseUnreachable):
                raise known from error
            raise ConfigError(f"task {task.name!r}: {_trouble(model._meta.table_name, error)}") from error


def _trouble(table: str, error: peewee.DatabaseError) -> str:
    if is_missing_table(error):
        return (
            f"its table {table} is missing: `astra init` makes only Astra's own, so see the documentation of "
            "its package, or ask the authors"
        )
    return f"its table {table} cannot be read ({one_line(error)})"
