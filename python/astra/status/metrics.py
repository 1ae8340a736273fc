"""The status of tasks as metrics, in the text format of Prometheus.

Every metric is a gauge: each call counts anew, and a count may fall. Moments are given as such, not as ages,
which would stand still when nobody writes the metrics any more.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import fn
from prometheus_client import Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily

import astra
from astra.database.connection import database, now
from astra.errors import ConfigError
from astra.models.pipeline import TaskRun, of_this_version
from astra.schema.packages import check_task
from astra.status.nights import FEW, OfNight, count_by_night, nights_until, start_of, throughput_by_night
from astra.status.overview import (
    DEAD,
    UNKNOWN,
    WORKING,
    recent_rate,
    suspects_of,
    workers_of,
)
from astra.status.places import PLACE, Place, count_by_place
from astra.tasks.contract import Task

log = logging.getLogger("astra")

#: How a worker's run may end, as ``task_run`` has it.
OUTCOMES = ("done", "stopped", "failed", "died")

#: The nights that have metrics, by their labels: the one that is not over, and the last that is.
NIGHTS = {"previous": -2, "current": -1}

#: What stands before the name of a quantity that a task watches.
MEDIAN = "astra_night_median_"

#: The name and the help of every metric but the medians.
METRICS = {
    "astra_task_up": "Whether the task could be counted; if not, it has no other metric.",
    "astra_task_info": "Version of Astra, and the weights of the newest run in it.",
    "astra_metrics_timestamp_seconds": "When these metrics were made, by the clock of the database.",
    "astra_spectra": "Spectra that the task takes.",
    "astra_results": "Spectra with a result row in this version of Astra.",
    "astra_pending_spectra": "Spectra that are pending, or whose rows are to be derived again.",
    "astra_withheld_spectra": "Spectra whose files cannot be read; every run tries them again.",
    "astra_bad_results": "Results with flag_bad.",
    "astra_warn_results": "Results with flag_warn.",
    "astra_flagged_results": "Results with each flag; flag_no_result is one of them.",
    "astra_oldest_pending_timestamp_seconds": "Since when the oldest pending spectrum waits, if any does.",
    "astra_claimed_spectra": "Spectra that workers have in hand.",
    "astra_oldest_claim_timestamp_seconds": "When the oldest claim was made; absent if there is none.",
    "astra_suspect_spectra": "Spectra that are taken alone because a worker died that had them.",
    "astra_workers": "Workers by state; of an unknown one, this host cannot tell whether it lives.",
    "astra_recent_results_per_second": "Results per second in the last minutes; 0 if no worker works.",
    "astra_last_run_outcome": "How the run that ended last did so: 1 for its outcome, 0 for others.",
    "astra_last_run_start_timestamp_seconds": "When the run of a worker that ended last began.",
    "astra_last_run_end_timestamp_seconds": "When the run of a worker that ended last did so.",
    "astra_last_run_duration_seconds": "How long the run of a worker that ended last took.",
    "astra_last_run_spectra": "Spectra of the run of a worker that ended last, by what became of them.",
    "astra_last_success_timestamp_seconds": "When a run of a worker last ended well.",
    "astra_night_start_timestamp_seconds": "When the night began, at noon UTC.",
    "astra_night_results": "Results whose spectra were read in the night.",
    "astra_night_bad_results": "Of these, results with flag_bad.",
    "astra_night_no_result_spectra": "Of these, spectra without a result (flag_no_result).",
    "astra_night_run_results_per_second": "Throughput of the runs that began in the night and have ended.",
}


def exposition(tasks: Mapping[str, Task | ConfigError]) -> bytes:
    """The metrics of all tasks.

    Args:
        tasks: The tasks by name, with errors for those that cannot be loaded.
    """
    families = _Families()
    moment = now(database)
    families.add("astra_metrics_timestamp_seconds", moment)
    for name, task in tasks.items():
        try:
            if isinstance(task, ConfigError):
                raise task
            found = _of_task(task, moment)
        except ConfigError as error:
            log.warning("%s", error)
            families.add("astra_task_up", 0, task=name)
        else:
            families.add("astra_task_up", 1, task=name)
            families.update(found)
    return generate_latest(families)


@dataclass
class _Families:
    """Metrics with their samples, in the order in which they came."""

    known: dict[str, Metric] = field(default_factory=dict)

    def add(self, name: str, value: float | datetime | None, help_text: str = "", **labels: str) -> None:
        """Add a sample, if there is a value; a moment (UTC) counts in seconds since 1970."""
        if value is None:
            return
        if isinstance(value, datetime):
            value = value.replace(tzinfo=UTC).timestamp()
        if name not in self.known:
            self.known[name] = GaugeMetricFamily(name, help_text or METRICS[name], labels=list(labels))
        self.known[name].add_metric(list(labels.values()), value)

    def update(self, other: "_Families") -> None:
        """Add the samples of others."""
        for name, family in other.known.items():
            self.known.setdefault(
                name, Metric(name, family.documentation, family.type)
            ).samples += family.samples

    def collect(self) -> Iterable[Metric]:
        """What the library asks for."""
        return self.known.values()


def _of_task(task: Task, moment: datetime) -> _Families:
    """The metrics of one task.

    Raises:
        ConfigError: It cannot be counted.
    """
    check_task(task)
    families = _Families()
    for place in count_by_place(task):
        _add_place(families, task, place)
    _add_workers(families, task, moment)
    _add_runs(families, task)
    _add_nights(families, task, moment)
    return families


def _add_place(families: _Families, task: Task, place: Place) -> None:
    labels = {"task": task.key, "release": place.release, "telescope": place.telescope}
    families.add("astra_spectra", place.spectra, **labels)
    families.add("astra_results", place.results, **labels)
    families.add("astra_pending_spectra", place.pending, **labels)
    families.add("astra_withheld_spectra", place.withheld, **labels)
    families.add("astra_bad_results", place.bad, **labels)
    families.add("astra_warn_results", place.warn, **labels)
    for flag in task.output_model.flag_names():
        families.add("astra_flagged_results", place.flags[flag], **labels, flag=flag)
    families.add("astra_oldest_pending_timestamp_seconds", place.since, **labels)


def _add_workers(families: _Families, task: Task, moment: datetime) -> None:
    workers, suspects = workers_of(task.key, moment), suspects_of(task.key)
    states = [worker["state"] for worker in workers]
    for state in (WORKING, DEAD, UNKNOWN):
        families.add("astra_workers", states.count(state), task=task.key, state=state)
    families.add("astra_claimed_spectra", sum(each["in_hand"] for each in workers), task=task.key)
    ages = [worker["oldest_s"] for worker in workers if worker["oldest_s"] is not None]
    oldest = moment - timedelta(seconds=max(ages)) if ages else None
    families.add("astra_oldest_claim_timestamp_seconds", oldest, task=task.key)
    families.add("astra_suspect_spectra", suspects["waiting"] + suspects["in_hand"], task=task.key)
    rate = recent_rate(task, moment) if WORKING in states else None
    families.add("astra_recent_results_per_second", rate or 0.0, task=task.key)


def _add_runs(families: _Families, task: Task) -> None:
    runs = TaskRun.select().where(TaskRun.task == task.key)
    newest = runs.where(of_this_version(TaskRun)).order_by(TaskRun.pk.desc()).first()
    weights = {name: getattr(newest, name, None) or "" for name in ("weights_name", "weights_sha256")}
    families.add("astra_task_info", 1, task=task.key, version=astra.__version__, **weights)
    ended = runs.where(TaskRun.finished.is_null(False))
    success = ended.where(TaskRun.outcome == "done").select(fn.MAX(TaskRun.finished)).scalar()
    families.add("astra_last_success_timestamp_seconds", success, task=task.key)
    last = ended.order_by(TaskRun.finished.desc(), TaskRun.pk.desc()).first()
    if last is None:
        return
    for outcome in OUTCOMES:
        families.add("astra_last_run_outcome", last.outcome == outcome, task=task.key, outcome=outcome)
    families.add("astra_last_run_start_timestamp_seconds", last.started, task=task.key)
    families.add("astra_last_run_end_timestamp_seconds", last.finished, task=task.key)
    seconds = (last.finished - last.started).total_seconds()
    families.add("astra_last_run_duration_seconds", seconds, task=task.key)
    for kind in ("measured", "rederived", "no_result"):
        families.add("astra_last_run_spectra", getattr(last, kind), task=task.key, kind=kind)


def _add_nights(families: _Families, task: Task, moment: datetime) -> None:
    nights = nights_until(moment, len(NIGHTS))
    found, rates = count_by_night(task, nights, PLACE), throughput_by_night(task, nights)
    for label, index in NIGHTS.items():
        night, labels = nights[index], {"task": task.key, "night": label}
        families.add("astra_night_start_timestamp_seconds", start_of(night), **labels)
        rate = rates[night].per_s if night in rates else None
        families.add("astra_night_run_results_per_second", rate, **labels)
        for each in found:
            if each.night == night:
                _add_night(families, task, each, labels | each.place)


def _add_night(families: _Families, task: Task, found: OfNight, labels: dict[str, Any]) -> None:
    families.add("astra_night_results", found.results, **labels)
    families.add("astra_night_bad_results", found.bad, **labels)
    families.add("astra_night_no_result_spectra", found.no_result, **labels)
    for watched in task.watched.values():
        median = found.medians[watched.name]
        if median.results >= FEW:
            name = f"{MEDIAN}{watched.name}{watched.unit and '_'}{watched.unit}"
            text = f"Median over the results of the night that are not bad: {watched.text}"
            families.add(name, median.value, text, **labels)
