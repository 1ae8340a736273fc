"""With what a run works: where its caller leaves the weights open, with those that made the rows so far.

This is decided once for a run, before the request goes down, so that all its processes agree.
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import peewee

from astra.config import Settings
from astra.database.connection import bound_to, is_missing_table, open_database
from astra.errors import ConfigError, DatabaseUnreachable
from astra.models.pipeline import TaskRun
from astra.running import runs
from astra.tasks.contract import Provenance, Task
from astra.tasks.trials import left

log = logging.getLogger("astra")

#: How weights were chosen that made the rows so far.
OF_THE_ROWS = "the weights of the rows so far"


@dataclass(frozen=True)
class Settled:
    """With what a run works.

    Attributes:
        options: Options of the task, all that are not as by default.
        provenance: What its numbers depend on.
        from_rows: Those among the options that the rows so far have decided.
        note: What is to be said once, e.g. that there is a newer default.
    """

    options: Mapping[str, Any]
    provenance: Provenance
    from_rows: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


def settle(task: Task, options: Mapping[str, Any]) -> Settled:
    """With what a run with these options works, given the rows that are there.

    In a trial without rows, those of production count: nothing differs from them but what is asked for.

    Raises:
        ConfigError: The weights cannot be used, or those of the rows are not there any more.
    """
    newest = runs.newest(task)
    if newest is None:
        with left(task):
            newest = runs.newest(task)
    return _settled(task, options, newest)


def settle_on(task: Task, settings: Settings) -> Settled:
    """With what the next run on the configured database works; without a database, a first run.

    Raises:
        ConfigError: As :func:`settle`.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(bound_to(open_database(settings)))
            newest = runs.newest(task)
        except (ConfigError, DatabaseUnreachable, peewee.PeeweeException) as error:
            newest = None
            if not isinstance(error, ConfigError) and not _has_no_tables(error):
                log.warning("with which weights a run would go on is not known: %s", error)
        return _settled(task, {}, newest)


def _has_no_tables(error: Exception) -> bool:
    return isinstance(error, peewee.PeeweeException) and is_missing_table(error)


def _settled(task: Task, options: Mapping[str, Any], newest: TaskRun | None) -> Settled:
    found = None
    if newest is not None and task.go_on is not None:
        found = task.go_on(newest, **task.checked(options))
    if found is None:
        return Settled(options, task.provenance(options))
    every = {**options, **found.options}
    provenance = replace(task.provenance(every), weights_origin=OF_THE_ROWS)
    return Settled(every, provenance, found.options, found.note)
