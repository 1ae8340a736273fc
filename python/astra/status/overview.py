"""The status of one task: the object that ``astra status`` prints."""

from collections.abc import Mapping
from typing import Any

import astra
from astra.database.connection import database, now
from astra.errors import ConfigError
from astra.models.pipeline import TaskRun
from astra.status import counts
from astra.status.in_flight import WORKING, suspects_of, workers_of
from astra.tasks.contract import Task, check_tables
from astra.tasks.pending import Selection, count_pending
from astra.tasks.withheld import count_noted

RECENT_RUNS = 5

_OF_A_RUN = (
    "host",
    "pid",
    "started",
    "finished",
    "outcome",
    "processed",
    "measured",
    "rederived",
    "no_result",
)


def status_of_all(tasks: Mapping[str, Task | ConfigError]) -> list[dict[str, Any]]:
    """The status of each task, or the error that prevents it.

    Args:
        tasks: The tasks by name, with errors for those that cannot be loaded.

    Returns:
        Objects as by ``status_of``, or with the key ``error`` instead of all counts.
    """
    return [_status_or_error(name, task) for name, task in tasks.items()]


def _status_or_error(name: str, task: Task | ConfigError) -> dict[str, Any]:
    try:
        if isinstance(task, ConfigError):
            raise task
        return status_of(task)
    except ConfigError as error:
        return {"task": name, "version": astra.__version__, "at": now(database), "error": str(error)}


def status_of(task: Task) -> dict[str, Any]:
    """Count the results of a task under this version, its pending spectra and its workers.

    Returns:
        The object that ``--json`` prints. ``spectra_per_s`` is ``None`` without a working worker or recent
        results, ``seconds_left`` if it cannot be known.

    Raises:
        ConfigError: A table of the task is missing, or cannot be read.
    """
    check_tables(task)
    moment = now(database)
    workers = workers_of(task.name, moment)
    found = counts.count_results(task, moment)
    pending, withheld = count_pending(Selection(task)), count_noted(task)
    working = any(worker["state"] == WORKING for worker in workers)
    rate = found.recent_per_s if working else None
    return {
        "task": task.name,
        "version": astra.__version__,
        "at": moment,
        "spectra": task.spectrum_model.select().count(),
        "done": found.done,
        "pending": pending,
        "withheld": sum(withheld.values()),
        "bad": found.bad,
        "warn": found.warn,
        "flags": found.flags,
        "notes": [
            {"name": note.name, "results": number, "text": note.text.format(number)}
            for note, number in zip(task.notes, found.notes.values(), strict=True)
        ],
        "no_result_reasons": counts.reasons(task) if found.flags.get("flag_no_result", 1) else {},
        "withheld_reasons": withheld,
        "in_hand": sum(worker["in_hand"] for worker in workers),
        "workers": workers,
        "suspects": suspects_of(task.name),
        "spectra_per_s": None if rate is None else round(rate, 3),
        "seconds_left": _seconds_left(pending, rate),
        "runs": _recent_runs(task, {worker["run_pk"] for worker in workers if worker["state"] == WORKING}),
    }


def _seconds_left(pending: int, rate: float | None) -> float | None:
    if pending == 0:
        return 0.0
    return round(pending / rate, 1) if rate else None


def _recent_runs(task: Task, working: set[int]) -> list[dict[str, Any]]:
    runs = TaskRun.select().where(TaskRun.task == task.name).order_by(TaskRun.pk.desc()).limit(RECENT_RUNS)
    return [
        {"run_pk": run.pk} | {name: getattr(run, name) for name in _OF_A_RUN} | {"working": run.pk in working}
        for run in runs
    ]
