"""Trials: sets of results of a task beside those of production, each in a table of its own.

A trial is entered by a whole process: the model of results has its table from then on, and, if the trial has
an E(B-V) of its own, the model of sources reads a view that gives this one. So whatever works on production
works on a trial. Runs, workers, claims and notes of a trial name it by the key ``TASK@trial-NAME``.
"""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager

from astra.database.reconnecting import persistent
from astra.errors import ConfigError, UsageError
from astra.models.base import BaseModel
from astra.models.pipeline import TaskTrial
from astra.models.source import Source
from astra.tasks.contract import Task
from astra.tasks.installed import find_task, short_name

_PREFIX = "trial-"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Not the end of any table of a trial: their names have single hyphens alone.
_OF_SOURCES = "__source"
# PostgreSQL would cut off a longer name.
_LONGEST = 63


def trial_name(text: str) -> str:
    """The name of a trial, ``trial-NAME``, also if it was given without its beginning.

    Raises:
        UsageError: It cannot name one.
    """
    short = text.removeprefix(_PREFIX)
    if not _NAME.fullmatch(short):
        raise UsageError(f"{text!r} cannot name a trial: give trial-NAME, of a-z, 0-9 and single hyphens")
    return _PREFIX + short


def trial_table(production: str, name: str) -> str:
    """The table of the results of a trial, by that of production and the name of the trial.

    Raises:
        UsageError: The name is too long.
    """
    table = production + _suffix(name)
    if (excess := len(table + _OF_SOURCES) - _LONGEST) > 0:
        raise UsageError(f"the name {name} is too long, by {excess} characters")
    return table


def production_table(trial: TaskTrial) -> str:
    """The table of the results of production beside a trial."""
    return trial.table_name.removesuffix(_suffix(trial.name))


def sources_of_trial(trial: TaskTrial) -> str:
    """The view of sources with the E(B-V) of a trial that has its own."""
    return trial.table_name + _OF_SOURCES


def _suffix(name: str) -> str:
    return "_" + name.replace("-", "_")


def key_of(task: str, name: str) -> str:
    """By what runs, workers, claims and notes name a trial of a task."""
    return f"{task}@{name}"


def find_trial(task: Task, name: str) -> TaskTrial | None:
    """A trial of a task, as it is in the database."""
    return TaskTrial.get_or_none(TaskTrial.task == task.name, TaskTrial.name == name)


def refuse_promoted(task: Task) -> None:
    """Let no run go into a trial that is promoted, or gone; nothing is said of production.

    Raises:
        ConfigError: The task is within such a trial.
    """
    _, _, name = task.key.partition("@")
    if not name:
        return
    trial = find_trial(task, name)
    if trial is None:
        raise ConfigError(f"task {task.name} has no {name} any more")
    if trial.state == TaskTrial.PROMOTED:
        raise ConfigError(
            f"{name} is promoted, and its table holds what production had before: run without --into, or "
            f"take it back first (`astra trials rollback {name}`)"
        )


@contextmanager
def entered(task: Task, name: str) -> Iterator[Task]:
    """Work on a trial of a task instead of on production, in this process, until the end of the context.

    Yields:
        The task, whose ``key`` is that of the trial, and whose model of results has the trial's table.

    Raises:
        UsageError: There is no such trial.
        ValueError: This process is within a trial of the task already.
    """
    trial = persistent(lambda: find_trial(task, name))
    if trial is None:
        raise UsageError(f"task {task.name} has no {name}; `astra trials list` shows what there is")
    if trial_table(task.output_model._meta.table_name, name) != trial.table_name:
        raise ValueError(f"{task.key} cannot be entered: this process is within another set of results")
    within = copy.copy(task)
    within.key = key_of(task.name, name)
    with _with_table(task.output_model, trial.table_name):
        if trial.ebv_from is None:
            yield within
            return
        with _with_table(Source, sources_of_trial(trial)):
            yield within


@contextmanager
def task_of(key: str) -> Iterator[Task]:
    """A task by its name, or entered in a trial of it by ``TASK@trial-NAME``.

    Raises:
        UsageError: No installed package offers the task, or it has no such trial.
        ConfigError: The package that offers it is broken.
    """
    name, at, trial = key.partition("@")
    task = find_task(short_name(name))
    if not at:
        yield task
        return
    with entered(task, trial_name(trial)) as within:
        yield within


@contextmanager
def left(task: Task) -> Iterator[None]:
    """Look at production for a moment, from within a trial; of a task in production, nothing changes."""
    _, _, name = task.key.partition("@")
    table = task.output_model._meta.table_name
    with _with_table(task.output_model, table.removesuffix(_suffix(name)) if name else table):
        yield


@contextmanager
def _with_table(model: type[BaseModel], table: str) -> Iterator[None]:
    before = model._meta.table_name
    model._meta.set_table_name(table)
    try:
        yield
    finally:
        model._meta.set_table_name(before)
