"""What was done in which night: results and the medians of what a task watches, and how fast the runs were.

A night is from noon to noon UTC, named by the day on which it begins: so a run that starts in the evening, or
at midnight, is of one night until the next noon.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import peewee
from peewee import fn

from astra.database.connection import translated
from astra.database.sql import evening, median
from astra.errors import AstraError, ConfigError, DatabaseUnreachable
from astra.models.base import BaseModel
from astra.models.pipeline import PipelineOutputModel, TaskRun, of_this_version
from astra.status.overview import how_many
from astra.status.places import PLACE, place_columns, the_first
from astra.system.plugins import raised
from astra.tasks.contract import Task, Watched

#: Fewer results than this say nothing of a night: no median of them is shown, and no percentage judged.
FEW = 20

_NOON = time(12)


@dataclass(frozen=True)
class Median:
    """The median of a quantity, and how many results it is of."""

    results: int
    value: float | None


@dataclass(frozen=True)
class OfNight:
    """The results whose spectra were read in one night, at one place.

    Attributes:
        night: The day on which it began.
        place: The texts of the columns that tell places apart.
        results: All results under this version.
        bad: Those with ``flag_bad``.
        no_result: Those with ``flag_no_result``.
        medians: Of each quantity that the task watches, over results without ``flag_bad``.
    """

    night: date
    place: dict[str, str]
    results: int
    bad: int
    no_result: int
    medians: dict[str, Median]


@dataclass(frozen=True)
class Throughput:
    """What the runs of one night did: spectra, and the time in which any of them ran [s]."""

    spectra: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Spectra per second."""
        return self.spectra / self.seconds if self.seconds else 0.0


def night_of(moment: datetime) -> date:
    """The night of a moment (UTC)."""
    return (moment - timedelta(hours=_NOON.hour)).date()


def start_of(night: date) -> datetime:
    """When a night begins (UTC)."""
    return datetime.combine(night, _NOON)


def nights_until(moment: datetime, number: int) -> list[date]:
    """The last nights until a moment, the one that is not over yet among them; the oldest first."""
    return [night_of(moment) - timedelta(days=ago) for ago in reversed(range(number))]


# > Results


def count_by_night(task: Task, nights: Sequence[date], by: Sequence[str] = PLACE) -> list[OfNight]:
    """The results of successive nights, in the order of nights and places.

    Args:
        task: The task.
        nights: The nights; one without results is left out.
        by: The columns of spectra that tell places apart.

    Raises:
        ConfigError: What the task watches cannot be computed.
        DatabaseUnreachable: The connection was lost.
    """
    try:
        return _counted(task, nights, by)
    except AstraError:
        raise
    except Exception as error:  # whatever the functions of a package raise, or what they give
        known = translated(error) if isinstance(error, peewee.PeeweeException) else None
        if isinstance(known, DatabaseUnreachable):
            raise known from error
        said = f"task {task.key!r}: its nights cannot be counted ({known or raised(error)})"
        raise ConfigError(said) from error


def _counted(task: Task, nights: Sequence[date], by: Sequence[str]) -> list[OfNight]:
    results, models = task.output_model, task.spectrum_models
    key = (evening(results._meta.database, results.inputs_read), *place_columns(models, by))
    quantities = [_value(task, each) for each in task.watched.values()]
    counted = [fn.COUNT(results.task_pk), how_many(results, "flag_bad"), how_many(results, "flag_no_result")]
    counted += [fn.COUNT(each).coerce(False) for each in quantities]
    counted += [median(results._meta.database, each) for each in quantities]
    query = _with_spectra(results.select(*key, *counted), models).where(
        of_this_version(results),
        results.inputs_read >= start_of(nights[0]),
        results.inputs_read < start_of(nights[-1]) + timedelta(days=1),
    )
    found = []
    for night, *values in query.group_by(*the_first(len(key))).tuples():
        place, (done, bad, no_result, *numbers) = values[: len(by)], values[len(by) :]
        pairs = zip(numbers[: len(quantities)], numbers[len(quantities) :], strict=True)
        medians = dict(zip(task.watched, (Median(*pair) for pair in pairs), strict=True))
        names = dict(zip(by, map(str, place), strict=True))
        found.append(OfNight(date.fromisoformat(str(night)), names, done, bad, no_result, medians))
    return sorted(found, key=lambda each: (each.night, *each.place.values()))


def _with_spectra(query: peewee.ModelSelect, models: Sequence[type[BaseModel]]) -> peewee.ModelSelect:
    """Results, each with its spectrum of whichever model."""
    results = query.model
    for model in models:
        same = model.spectrum_pk == results.spectrum_pk
        query = query.switch(results).join(model, peewee.JOIN.LEFT_OUTER, on=same)
    return query


def _value(task: Task, watched: Watched) -> peewee.Node:
    """A quantity of the results that are not bad, over ``_with_spectra``."""
    values = [watched.value(model) for model in task.spectrum_models]
    value = fn.COALESCE(*values).coerce(False) if len(values) > 1 else values[0]
    results: type[PipelineOutputModel] = task.output_model
    if not hasattr(results, "flag_bad"):
        return value
    return peewee.Case(None, [(results.flag_bad, peewee.SQL("NULL"))], value)


# > Runs


def throughput_by_night(task: Task, nights: Sequence[date]) -> dict[date, Throughput]:
    """How fast the runs were that started in successive nights, have ended, and processed any spectrum.

    Runs at the same time are one run here, for each worker has a record of its own.
    """
    runs = (
        TaskRun.select(TaskRun.started, TaskRun.finished, TaskRun.processed)
        .where(
            TaskRun.task == task.key,
            TaskRun.started >= start_of(nights[0]),
            TaskRun.started < start_of(nights[-1]) + timedelta(days=1),
            TaskRun.finished.is_null(False),
            TaskRun.processed > 0,
        )
        .order_by(TaskRun.started)
        .tuples()
    )
    found = {}
    for night, some in itertools.groupby(runs, key=lambda run: night_of(run[0])):
        spectra, seconds, until = 0, 0.0, datetime.min
        for started, finished, processed in some:
            spectra += processed
            seconds += max(0.0, (finished - max(started, until)).total_seconds())
            until = max(until, finished)
        found[night] = Throughput(spectra, seconds)
    return found
