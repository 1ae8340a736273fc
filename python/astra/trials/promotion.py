"""The results of a trial and those of production swap places in one transaction, and swap back.

A reader sees one set or the other. Keys, labels and the times of creation stay where they are, and
``modified`` moves on. While it lasts, nobody becomes a worker of either set; whoever becomes one afterwards
checks again that its weights are those of what is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import peewee
from peewee import fn

from astra.database.clones import refuse_others
from astra.database.connection import database, now
from astra.database.locks import changing_claims, changing_inputs
from astra.database.swapping import Swapped
from astra.errors import ConfigError
from astra.models.pipeline import FlaggedOutputModel, TaskTrial, TaskWithheld, has_result
from astra.running.going_on import settle
from astra.running.runs import refuse_to_mix
from astra.system.version import V_ASTRA_MAJOR_MINOR
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, count_pending
from astra.tasks.trials import entered, key_of
from astra.trials.guarding import refuse_workers

# A row keeps these where it is, and one that moves gets them anew.
_OF_A_PLACE = {"task_pk", "created", "modified"}


@dataclass
class Swap:
    """What changed places.

    Attributes:
        trial: The name of the trial.
        swapped: Results that took the places of others.
        moved: Results that moved to where their spectra had none: into production, or back out of it.
        since: Of those that moved out of it, what its runs have made since the promotion.
        left: Results of production that stayed because the trial has nothing of their spectra.
        lost: Results of production whose places were taken by rows without a result.
        pending: Spectra that the trial has not dealt with.
    """

    trial: str
    swapped: int = 0
    moved: int = 0
    since: int = 0
    left: int = 0
    lost: int = 0
    pending: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)


def promote(task: Task, trial: TaskTrial, *, allow_mixed: bool = False) -> Swap:
    """Give production the results of a trial, and the trial those of production.

    Args:
        task: The task.
        trial: The trial.
        allow_mixed: Whether results may stay in production of whose spectra the trial has nothing.

    Raises:
        ConfigError: The trial is promoted already, has nothing of this version, has another E(B-V) than runs
            of production take, or would leave a mixture.
        Interrupted: A worker of production or of the trial lives.
        StorageError: This login does not own the tables, or the database refused it.
    """
    if trial.ebv_from is not None:
        raise ConfigError(
            f"{trial.name} has E(B-V) from {trial.ebv_from}, and runs of production would derive its results "
            "again from source.ebv: bring these values there (`astra ingest catalog`), and run production"
        )
    with entered(task, trial.name) as within:
        swap = Swap(trial.name, pending=count_pending(Selection(within)))
    with _alone(task, trial) as found:
        if found.state == TaskTrial.PROMOTED:
            raise ConfigError(f"{trial.name} is promoted already, since {found.promoted:%Y-%m-%d %H:%M} UTC")
        _refuse_other_version(found)
        swap.left, swap.lost = _left(task, found), _lost(task, found)
        if swap.left and not allow_mixed:
            raise ConfigError(
                f"{swap.left:,} results of production would stay beside those of {trial.name}, which has "
                f"nothing of their spectra: `astra run {task.name} --into {trial.name}` goes on with it, "
                "or give --allow-mixed"
            )
        tables = _tables(task, found, V_ASTRA_MAJOR_MINOR)
        _swap_notes(task, found, V_ASTRA_MAJOR_MINOR)
        swap.swapped, swap.moved = tables.swap(), tables.move_back()
        found.state, found.promoted, found.rolled_back = TaskTrial.PROMOTED, now(database), None
        found.promoted_version = V_ASTRA_MAJOR_MINOR
        found.save()
    return swap


def rollback(task: Task, trial: TaskTrial) -> Swap:
    """Give production and a promoted trial back what they had.

    What runs of production have made since then, where the trial has nothing, moves into the trial: these
    spectra are pending again.

    Raises:
        ConfigError: The trial is not promoted, or another was promoted after it.
        Interrupted: A worker of production or of the trial lives.
        StorageError: This login does not own the tables, or the database refused it.
    """
    with _alone(task, trial) as found:
        if found.state != TaskTrial.PROMOTED:
            raise ConfigError(f"{trial.name} is not promoted")
        later = (TaskTrial.state == TaskTrial.PROMOTED) & (TaskTrial.promoted > found.promoted)
        if other := TaskTrial.get_or_none(TaskTrial.task == task.name, later):
            raise ConfigError(f"{other.name} was promoted after {trial.name}: roll that one back first")
        tables, swap = _tables(task, found, found.promoted_version), Swap(trial.name)
        swap.swapped = tables.swap()
        read = f"inputs_read >= {database.param}"
        moment = TaskTrial.promoted.db_value(found.promoted)
        swap.since = tables.move(read, moment)
        runs = f"SELECT pk FROM task_run WHERE task = {database.param} AND started >= {database.param}"
        made = TaskTrial.created.db_value(found.created)
        came = tables.move(f"run_pk IN ({runs})", key_of(task.name, trial.name), made)
        swap.moved = swap.since + came
        _swap_notes(task, found, found.promoted_version)
        found.state, found.rolled_back = TaskTrial.OPEN, now(database)
        found.save()
    return swap


def what_differs(task: Task) -> str | None:
    """Why a run of production without options would refuse to go on; ``None`` if it would not."""
    try:
        refuse_to_mix(task, settle(task, {}).provenance)
    except ConfigError as error:
        return str(error)
    return None


@contextmanager
def _alone(task: Task, trial: TaskTrial) -> Iterator[TaskTrial]:
    """One transaction in which nobody works on production or on a trial; gives the trial as it is now.

    Nor does anybody ingest: rows would be given the source that they had before theirs was merged.
    """
    refuse_others(database, task.output_model._meta.table_name)
    keys = (task.key, key_of(task.name, trial.name))
    with changing_inputs(database), changing_claims(database, keys[0]), changing_claims(database, keys[1]):
        refuse_workers(task)
        with entered(task, trial.name) as within:
            refuse_workers(within)
        yield TaskTrial.get(TaskTrial.task == trial.task, TaskTrial.name == trial.name)


def _tables(task: Task, trial: TaskTrial, version: int) -> Swapped:
    results = task.output_model
    moved = [each.column_name for each in results.written_fields() if each.name not in _OF_A_PLACE]
    swapped = [name for name in moved if name not in {"spectrum_pk", "tag"}]
    return Swapped(database.opened(), results._meta.table_name, trial.table_name, version, swapped, moved)


def _swap_notes(task: Task, trial: TaskTrial, version: int) -> None:
    """Let notes of withheld files go with the rows of which the trial has one, so that they are tried again.

    Before it is promoted, or after it is rolled back: then it has all that changes places.
    """
    table = peewee.Table(trial.table_name, _database=database)
    mine = TaskWithheld.spectrum_pk << table.select(table.c.spectrum_pk).where(
        table.c.v_astra_major_minor == version
    )
    key = key_of(task.name, trial.name)
    aside = key_of(key, "aside")
    for old, new in ((task.key, aside), (key, task.key), (aside, key)):
        TaskWithheld.update(task=new).where(TaskWithheld.task == old, mine).execute()


def _refuse_other_version(trial: TaskTrial) -> None:
    table = peewee.Table(trial.table_name, _database=database)
    query = table.select(fn.MAX(table.c.v_astra_major_minor), fn.COUNT(table.c.task_pk))
    mine = table.c.v_astra_major_minor == V_ASTRA_MAJOR_MINOR
    if query.where(mine).tuples().first()[1]:
        return
    other, rows = query.tuples().first()
    if not rows:
        raise ConfigError(f"{trial.name} has no results: `astra run {trial.task} --into {trial.name}`")
    major, minor = divmod(other, 1000)
    raise ConfigError(
        f"{trial.name} was made by version {major}.{minor} of Astra: run into it again, or drop it"
    )


def _left(task: Task, trial: TaskTrial) -> int:
    """How many results of production there are of whose spectra the trial has nothing."""
    results, table = task.output_model, peewee.Table(trial.table_name, _database=database)
    counterpart = table.select(peewee.Value(1)).where(_same(results, table))
    mine = results.v_astra_major_minor == V_ASTRA_MAJOR_MINOR
    return results.select().where(mine, has_result(results), ~fn.EXISTS(counterpart)).count()


def _lost(task: Task, trial: TaskTrial) -> int:
    """How many results of production the trial has a row for that has no result."""
    results, table = task.output_model, peewee.Table(trial.table_name, _database=database)
    if not issubclass(results, FlaggedOutputModel):
        return 0
    without = table.c.result_flags.bin_and(FlaggedOutputModel.flag_no_result.value) != 0
    mine = results.v_astra_major_minor == V_ASTRA_MAJOR_MINOR
    query = results.select().join(table, on=_same(results, table))
    return query.where(mine, has_result(results), without).count()


def _same(results: Any, table: peewee.Table) -> peewee.Expression:
    return (table.c.spectrum_pk == results.spectrum_pk) & (
        table.c.v_astra_major_minor == results.v_astra_major_minor
    )
