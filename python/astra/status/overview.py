"""The status of one task: the object that ``astra status`` prints.

Results are counted in one pass over their table. Nothing is written, so that any reader can ask.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import peewee
from peewee import fn

import astra
from astra.database.connection import database, now
from astra.database.locks import liveness_of
from astra.database.sql import until
from astra.errors import ConfigError
from astra.models.base import BaseModel
from astra.models.pipeline import PipelineOutputModel, TaskClaim, TaskRun, TaskWorker, of_this_version
from astra.running.claims import POISON_DEATHS
from astra.running.runs import COUNTED
from astra.schema.packages import check_task
from astra.system.pace import Pace
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, count_pending
from astra.tasks.withheld import count_noted

#: The time over which the rate is measured [s].
RECENT_S = 300.0

COMMON_REASONS = 5

#: The state of a worker: it holds the lock on its key; it does not; this process cannot know.
WORKING, DEAD, UNKNOWN = "working", "dead", "unknown"

#: The number of suspect spectra that are listed.
NAMED_SUSPECTS = 10

RECENT_RUNS = 5

_OF_A_RUN = ("host", "pid", "started", "finished", "outcome", *COUNTED)


def status_of_all(tasks: Mapping[str, Task | ConfigError]) -> list[dict[str, Any]]:
    """The status of each task, or the error that prevents it.

    Args:
        tasks: The tasks by name, with errors for those that cannot be loaded.

    Returns:
        Objects as by ``status_of``, or with the key ``error`` instead of all counts.
    """
    found = []
    for name, task in tasks.items():
        try:
            if isinstance(task, ConfigError):
                raise task
            found.append(status_of(task))
        except ConfigError as error:
            at = {"version": astra.__version__, "at": now(database)}
            found.append({"task": name, **at, "error": str(error)})
    return found


def status_of(task: Task) -> dict[str, Any]:
    """Count the results of a task under this version, its pending spectra and its workers.

    Returns:
        The object that ``--json`` prints. ``spectra_per_s`` is ``None`` without a working worker or recent
        results, ``seconds_left`` if it cannot be known.

    Raises:
        ConfigError: A table of the task is missing, or cannot be read.
    """
    check_task(task)
    results, moment = task.output_model, now(database)
    workers = workers_of(task.key, moment)
    found = count_results(task)
    pending, withheld = count_pending(Selection(task)), count_noted(task)
    reasons = {}
    if found.flags.get("flag_no_result", 1):
        reasons = common_reasons(results, of_this_version(results))
    working = {worker["run_pk"] for worker in workers if worker["state"] == WORKING}
    rate = recent_rate(task, moment) if working else None
    seconds_left = None if rate is None else round(pending / rate, 1)
    return {
        "task": task.key,
        "version": astra.__version__,
        "at": moment,
        "spectra": sum(model.select().count() for model in task.spectrum_models),
        "done": found.done,
        "pending": pending,
        "withheld": sum(withheld.values()),
        "bad": found.bad,
        "warn": found.warn,
        "flags": found.flags,
        "notes": [
            {"name": note.name, "results": number, "text": note.text.format(number)}
            for note, number in zip(task.notes, found.notes, strict=True)
        ],
        "no_result_reasons": reasons,
        "withheld_reasons": withheld,
        "in_hand": sum(worker["in_hand"] for worker in workers),
        "workers": workers,
        "suspects": suspects_of(task.key),
        "spectra_per_s": None if rate is None else round(rate, 3),
        "seconds_left": seconds_left if pending else 0.0,
        "runs": _recent_runs(task, working),
    }


def _recent_runs(task: Task, working: set[int]) -> list[dict[str, Any]]:
    columns = (TaskRun.pk.alias("run_pk"), *(getattr(TaskRun, name) for name in _OF_A_RUN))
    runs = TaskRun.select(*columns).where(TaskRun.task == task.key).order_by(TaskRun.pk.desc())
    return [run | {"working": run["run_pk"] in working} for run in runs.limit(RECENT_RUNS).dicts()]


# > Results


@dataclass
class Counts:
    """The numbers of results under this version.

    Attributes:
        done: All results.
        bad: Results with ``flag_bad``.
        warn: Results with ``flag_warn``.
        flags: Results with each flag.
        notes: Results that each note of the task is about.
    """

    done: int = 0
    bad: int = 0
    warn: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    notes: list[int] = field(default_factory=list)


def count_results(task: Task) -> Counts:
    """Count the results in one pass over their table.

    The database groups the rows by combinations of bits, of which there are few.
    """
    results = task.output_model
    bits = bits_of(results)
    counted = (fn.COUNT(results.task_pk), how_many(results, "flag_bad"), how_many(results, "flag_warn"))
    noted = [_number_of(note.chosen()) for note in task.notes]
    query = results.select(*bits, *noted, *counted).where(of_this_version(results)).group_by(*bits)
    found = Counts(flags=dict.fromkeys(results.flag_names(), 0), notes=[0] * len(task.notes))
    for *values, done, bad, warn in query.tuples():
        found.done, found.bad, found.warn = found.done + done, found.bad + bad, found.warn + warn
        found.notes = [sum(numbers) for numbers in zip(found.notes, values[len(bits) :], strict=True)]
        for name in flags_in(results, values[: len(bits)]):
            found.flags[name] += done
    return found


def bits_of(results: type[PipelineOutputModel]) -> list[peewee.BitField]:
    """The columns of a model that hold flags."""
    return [each for each in results._meta.sorted_fields if isinstance(each, peewee.BitField)]


def flags_in(results: type[PipelineOutputModel], values: Iterable[int | None]) -> list[str]:
    """The flags that are set where the columns of ``bits_of`` have these values."""
    row = results(**{each.name: value for each, value in zip(bits_of(results), values, strict=True)})
    return [name for name in results.flag_names() if getattr(row, name)]


def recent_rate(task: Task, moment: datetime) -> float | None:
    """Results per second in the last minutes before a moment, without pauses; ``None`` if there are none."""
    results, start = task.output_model, moment - timedelta(seconds=RECENT_S)
    chunks = (
        results.select(results.inputs_read, fn.COUNT(results.task_pk))
        .where(of_this_version(results), results.inputs_read >= start)
        .group_by(results.inputs_read)
        .order_by(results.inputs_read)
    )
    in_hand = TaskClaim.select(TaskClaim.token).where(TaskClaim.task == task.key).distinct()
    pace, done = Pace(max(1, in_hand.count())), 0
    for begun, number in chunks.tuples():
        pace.update((begun - start).total_seconds(), done)
        done += number
    pace.update(RECENT_S, done)
    return pace.rate


def common_reasons(results: type[BaseModel], *chosen: peewee.Expression) -> dict[str, int]:
    """The most common reasons of rows without a result, with their numbers.

    Args:
        results: The table or view of results.
        chosen: Conditions on its rows.
    """
    reason = getattr(results, "no_result_reason", None)
    if reason is None:
        return {}
    # A reason has its kind before the first colon, and the file after it.
    kind, number = until(results._meta.database, reason, ":"), fn.COUNT(results.task_pk)
    query = results.select(kind, number).where(reason.is_null(False), *chosen)
    return dict(query.group_by(kind).order_by(number.desc(), kind).limit(COMMON_REASONS).tuples())


def how_many(results: type[PipelineOutputModel], flag: str) -> Any:
    """The number of rows with a flag, in a query; 0 if the model has no such flag."""
    if not hasattr(results, flag):
        return peewee.Value(0)
    return _number_of(getattr(results, flag))


def _number_of(condition: peewee.Expression) -> peewee.Function:
    return fn.SUM(peewee.Case(None, [(condition, 1)], 0))


# > Workers, and the spectra that they hold


def workers_of(task: str, moment: datetime) -> list[dict[str, Any]]:
    """The workers of a task, with the number of spectra that each holds.

    Args:
        task: The key of the task.
        moment: The time by the clock of the database.
    """
    held = (
        TaskClaim.select(TaskClaim.worker_pk, fn.COUNT(TaskClaim.spectrum_pk), fn.MIN(TaskClaim.since))
        .where(TaskClaim.task == task, TaskClaim.worker_pk.is_null(False))
        .group_by(TaskClaim.worker_pk)
    )
    in_hand = {worker: (number, since) for worker, number, since in held.tuples()}
    states = _states(task)
    of_worker = (TaskWorker.run_pk, TaskWorker.host, TaskWorker.pid, TaskWorker.started)
    workers = TaskWorker.select(*of_worker, TaskWorker.pk.alias("worker_pk")).where(TaskWorker.task == task)
    found = []
    for worker in workers.order_by(TaskWorker.pk).dicts():
        number, since = in_hand.get(worker["worker_pk"], (0, None))
        oldest_s = None if since is None else round((moment - since).total_seconds(), 1)
        state = states.get(worker["worker_pk"], WORKING)
        found.append(worker | {"state": state, "in_hand": number, "oldest_s": oldest_s})
    return found


def suspects_of(task: str) -> dict[str, Any]:
    """Spectra that are processed alone because workers died while they held them."""
    suspects = TaskClaim.select(
        TaskClaim.spectrum_pk, TaskClaim.attempts.alias("deaths"), TaskClaim.since, TaskClaim.worker_pk
    ).where((TaskClaim.task == task) & TaskClaim.suspect)
    order = (TaskClaim.attempts.desc(), TaskClaim.spectrum_pk)
    return {
        "waiting": suspects.where(TaskClaim.worker_pk.is_null()).count(),
        "in_hand": suspects.where(TaskClaim.worker_pk.is_null(False)).count(),
        "most_deaths": POISON_DEATHS,
        "spectra": list(suspects.order_by(*order).limit(NAMED_SUSPECTS).dicts()),
    }


def _states(task: str) -> dict[int, str]:
    """The states of the workers that may not be working."""
    liveness = liveness_of(database.opened())
    try:
        dead, in_doubt = liveness.dead(task, 0), liveness.in_doubt(task, 0)
    except OSError:  # on SQLite the locks of workers are files, which may not be readable
        every = TaskWorker.select(TaskWorker.pk).where(TaskWorker.task == task)
        return {pk: UNKNOWN for (pk,) in every.tuples()}
    return dict.fromkeys(dead, DEAD) | dict.fromkeys(in_doubt, UNKNOWN)
