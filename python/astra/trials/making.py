"""Making a trial, opening one for a run, and dropping it."""

import getpass
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import peewee
from peewee import fn

from astra.database.connection import database, is_postgresql, translated
from astra.database.locks import changing_claims, changing_inputs, changing_schema
from astra.errors import ConfigError, StorageError, UsageError
from astra.models.pipeline import TaskClaim, TaskTrial, TaskWithheld
from astra.running.going_on import settle
from astra.running.runs import refuse_to_mix
from astra.schema.packages import check_task
from astra.schema.trial_tables import drop_tables, make_tables, table_in
from astra.tasks.contract import Task
from astra.tasks.trials import entered, find_trial, key_of, refuse_promoted, trial_name, trial_table
from astra.trials.guarding import refuse_workers
from astra.trials.other_ebv import read_ebv_from, take_over, take_values

if TYPE_CHECKING:
    from astra.running.arguments import SharedArguments

log = logging.getLogger("astra")


def make_trial(task: Task, name: str, ebv_from: str | None = None, *, exist_ok: bool = False) -> TaskTrial:
    """Make a trial, with an empty table; with an E(B-V) of its own, it gets what production has.

    Args:
        task: The task.
        name: The name of the trial, as ``trial_name`` gives it.
        ebv_from: A column of the table of sources, or a table of stars.
        exist_ok: Give the trial that is there already, as another process may have made it meanwhile.

    Raises:
        UsageError: It is there already, and is not to be, or an argument cannot be used.
        ConfigError: The tables of the task are not those of its package.
        StorageError: This login may not make tables.
    """
    check_task(task)
    table = trial_table(task.output_model._meta.table_name, name)
    if ebv_from is not None:
        ebv_from = read_ebv_from(task, ebv_from)
    with changing_schema(database):
        if (there := find_trial(task, name)) is not None:
            if exist_ok:
                return there
            raise UsageError(f"task {task.name} has a {name} already; `astra trials drop` removes it")
        trial = TaskTrial(
            task=task.name,
            name=name,
            table_name=table,
            ebv_from=ebv_from,
            state=TaskTrial.OPEN,
            made_by=_who_am_i(),
        )
        with _said_who_may(f"make the table {table}", f"astra trials new {task.name} {name}"):
            make_tables(database, trial)
        if (path := table_in(ebv_from)) is not None:
            take_values(trial, path)
        # A trial that is not on record was not made: what a killed process has left of it is made anew.
        with changing_inputs(database):
            taken = take_over(task, trial) if ebv_from else 0
            trial.save(force_insert=True)
    if taken:
        log.info("%s: %d results of production were taken over, to be derived again", name, taken)
    return trial


@contextmanager
def opened_for(task: Task, asked: "SharedArguments", *, may_make: bool) -> Iterator[Task]:
    """The task of a run: within its trial if it is to write into one.

    Args:
        task: The task.
        asked: The trial, and what it is to be made with.
        may_make: Whether a trial that is not there is made.

    Raises:
        UsageError: There is no such trial where none is to be made, or an argument cannot be used.
        ConfigError: The trial is promoted, or has another E(B-V).
        StorageError: The trial is not there, and this login may not make it.
    """
    if asked.into is None:
        if asked.ebv_from is not None:
            raise UsageError("--ebv-from is for a trial: give --into trial-NAME with it")
        yield task
        return
    name = trial_name(asked.into)
    trial = find_trial(task, name)
    if trial is None and may_make:
        if asked.ebv_from is not None and not asked.allow_mixed:
            # What is taken over has the luminosities of production.
            refuse_to_mix(task, settle(task, task.checked(asked.of_task)).provenance)
        trial = make_trial(task, name, asked.ebv_from, exist_ok=True)
    if trial is not None and asked.ebv_from is not None:
        _refuse_other_ebv(task, trial, asked.ebv_from)
    with entered(task, name) as within:
        refuse_promoted(within)
        yield within


def drop_trial(task: Task, trial: TaskTrial, *, also_results: bool = False) -> None:
    """Remove a trial with its table, its claims and its notes; the records of its runs stay.

    Args:
        task: The task.
        trial: The trial.
        also_results: Whether the table may have rows.

    Raises:
        UsageError: The table has rows, and they were not to be dropped.
        ConfigError: It is promoted, and so is another from before it, which could not be rolled back then.
        Interrupted: A worker of the trial lives, or others use the tables for too long.
        StorageError: This login may not drop the table.
    """
    table = peewee.Table(trial.table_name, _database=database)
    rows = table.select(fn.COUNT(peewee.SQL("*"))).scalar()
    if rows and not also_results:
        of = "results that production had before" if trial.state == TaskTrial.PROMOTED else "results"
        raise UsageError(f"{trial.name} has {rows:,} {of}: give --yes to remove them for ever")
    key = key_of(trial.task, trial.name)
    with changing_schema(database):
        _refuse_later(trial)
        with entered(task, trial.name) as within, changing_claims(database, key):
            refuse_workers(within)
            with _said_who_may(f"drop the table {trial.table_name}", f"astra trials drop {trial.name}"):
                drop_tables(database, trial)
            for model in (TaskClaim, TaskWithheld):
                model.delete().where(model.task == key).execute()


def _refuse_later(trial: TaskTrial) -> None:
    """Keep what a rollback of an earlier trial needs: what came with this one would be left behind."""
    promoted = (TaskTrial.task == trial.task) & (TaskTrial.state == TaskTrial.PROMOTED)
    earlier = TaskTrial.select().where(promoted, TaskTrial.promoted < trial.promoted)
    if trial.state == TaskTrial.PROMOTED and (first := earlier.order_by(TaskTrial.promoted).first()):
        raise ConfigError(
            f"{first.name} was promoted before {trial.name}, and could not be rolled back without it: roll "
            f"{trial.name} back, or drop {first.name} first"
        )


def _refuse_other_ebv(task: Task, trial: TaskTrial, ebv_from: str) -> None:
    if read_ebv_from(task, ebv_from) != trial.ebv_from:
        was = trial.ebv_from or "source.ebv"
        raise ConfigError(
            f"{trial.name} was made with E(B-V) from {was}: leave out --ebv-from, or name another trial"
        )


@contextmanager
def _said_who_may(what: str, command: str) -> Iterator[None]:
    try:
        yield
    except peewee.PeeweeException as error:
        known = translated(error, f"refused to {what}")
        remedy = f"; only the owner of the tables may: let them run `{command}`"
        raise type(known)(f"{known}{remedy if isinstance(known, StorageError) else ''}") from error


def _who_am_i() -> str:
    if is_postgresql(database):
        return database.execute_sql("SELECT current_user").fetchone()[0]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return f"uid {os.getuid()}"
