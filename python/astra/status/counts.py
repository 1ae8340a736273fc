"""The results of a task by flag, and the reasons of those without a result."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import peewee
from peewee import fn

from astra.database.sql import until
from astra.models.base import BaseModel
from astra.models.pipeline import PipelineOutputModel, of_this_version
from astra.tasks.contract import Task

#: The time over which the rate is measured [s].
RECENT_S = 300.0

COMMON_REASONS = 5


@dataclass
class Counts:
    """The numbers of results under this version.

    Attributes:
        done: All results.
        bad: Results with ``flag_bad``.
        warn: Results with ``flag_warn``.
        flags: Results with each flag.
        notes: Results that each note of the task is about, by its name.
        recent_per_s: Results per second in the last minutes; ``None`` if there are none.
    """

    done: int = 0
    bad: int = 0
    warn: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    recent_per_s: float | None = None


def count_results(task: Task, moment: datetime) -> Counts:
    """Count the results in one pass over their table.

    The database groups the rows by combinations of bits, of which there are few.

    Args:
        task: The task.
        moment: Now, by the clock of the database.
    """
    results = task.output_model
    bits = [each for each in results._meta.sorted_fields if isinstance(each, peewee.BitField)]
    since = results.inputs_read >= moment - timedelta(seconds=RECENT_S)
    recent = peewee.Case(None, [(since, results.inputs_read)])
    counted = (
        fn.COUNT(results.task_pk),
        _how_many(results, "flag_bad"),
        _how_many(results, "flag_warn"),
        fn.COUNT(recent),
        fn.MIN(recent).converter(results.inputs_read.python_value),
    )
    noted = [_number_of(note.chosen()) for note in task.notes]
    query = results.select(*bits, *noted, *counted).where(of_this_version(results)).group_by(*bits)
    found = Counts(
        flags=dict.fromkeys(results.flag_names(), 0),
        notes=dict.fromkeys((note.name for note in task.notes), 0),
    )
    latest, firsts = 0, []
    for *values, done, bad, warn, late, first in query.tuples():
        found.done, found.bad, found.warn = found.done + done, found.bad + bad, found.warn + warn
        of_bits, of_notes = values[: len(bits)], values[len(bits) :]
        row = results(**{each.name: value for each, value in zip(bits, of_bits, strict=True)})
        for name, number in zip(found.notes, of_notes, strict=True):
            found.notes[name] += number
        for name in found.flags:
            found.flags[name] += done * bool(getattr(row, name))
        latest += late
        firsts += [first] if late else []
    if latest and (seconds := (moment - min(firsts)).total_seconds()) > 0:
        found.recent_per_s = latest / seconds
    return found


def reasons(task: Task) -> dict[str, int]:
    """The most common reasons of rows without a result under this version, with their numbers."""
    return common_reasons(task.output_model, of_this_version(task.output_model))


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


def _how_many(results: type[PipelineOutputModel], flag: str) -> Any:
    """The number of rows with a flag that the model computes; 0 if it has no such flag."""
    if not hasattr(results, flag):
        return peewee.Value(0)
    return _number_of(getattr(results, flag))


def _number_of(condition: peewee.Expression) -> peewee.Function:
    return fn.SUM(peewee.Case(None, [(condition, 1)], 0))
