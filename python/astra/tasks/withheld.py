"""Spectra whose files the system withheld: noted, tried again by later runs, and forgotten once read.

They are not pending: a few files that nobody can read must not keep a survey from ever being done. A note
holds until its spectrum changes; then it is pending.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import peewee
from peewee import fn

from astra.database.connection import MAX_PARAMETERS
from astra.database.sql import until
from astra.models.base import BaseModel
from astra.models.pipeline import TaskWithheld
from astra.tasks.contract import Task
from astra.tasks.inputs import same_spectrum, was_ahead


@dataclass(frozen=True)
class Withheld:
    """One try to read a file that the system withheld.

    Attributes:
        spectrum_pk: The spectrum.
        reason: What the system said, and the file.
        tried: A moment before it was tried.
        spectrum_modified: The version of the spectrum that was tried.
    """

    spectrum_pk: int
    reason: str
    tried: datetime
    spectrum_modified: datetime | None = None

    @property
    def kind(self) -> str:
        """What the system said, without the file."""
        return self.reason.partition(":")[0]


def is_noted(task: Task, spectra: type[BaseModel]) -> peewee.Expression:
    """Whether a spectrum has a note that holds, in a query on the table of spectra."""
    same = (TaskWithheld.task == task.key) & (TaskWithheld.spectrum_pk == spectra.spectrum_pk)
    return fn.EXISTS(TaskWithheld.select(peewee.Value(1)).where(same, _holds(spectra)))


def noted(task: Task, spectra: type[BaseModel], tried_before: datetime | None = None) -> peewee.ModelSelect:
    """The keys (``spectrum_pk``) of the spectra with a note that holds.

    Args:
        task: The task.
        spectra: The model of the spectra.
        tried_before: Only those that were last tried at this time (UTC) or before it.
    """
    # An alias, because most callers select from the table of spectra, too.
    spectra = spectra.alias("noted")
    query = (
        TaskWithheld.select(TaskWithheld.spectrum_pk)
        .join(spectra, on=(TaskWithheld.spectrum_pk == spectra.spectrum_pk))
        .where(TaskWithheld.task == task.key, _holds(spectra))
    )
    if tried_before is None:
        return query
    return query.where((TaskWithheld.tried <= tried_before) | was_ahead(TaskWithheld.tried))


def _holds(spectra: type[BaseModel]) -> peewee.Node:
    return same_spectrum(TaskWithheld.spectrum_modified, TaskWithheld.tried, spectra)


def noted_among(task: Task, keys: Collection[int]) -> set[int]:
    """Those of some spectra that have a note that holds."""
    some = TaskWithheld.spectrum_pk << list(keys)
    return {pk for model in task.spectrum_models for (pk,) in noted(task, model).where(some).tuples()}


def count_noted(task: Task) -> dict[str, int]:
    """How many spectra have a note that holds, by what the system said, the most common first."""
    kind, number = until(TaskWithheld._meta.database, TaskWithheld.reason, ":"), fn.COUNT(TaskWithheld.task)
    counts: Counter[str] = Counter()
    for model in task.spectrum_models:
        query = TaskWithheld.select(kind, number).where(TaskWithheld.spectrum_pk << noted(task, model))
        counts.update(dict(query.where(TaskWithheld.task == task.key).group_by(kind).tuples()))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def note(task: Task, tries: Iterable[Withheld]) -> None:
    """Note whose files were withheld, within ``writing``."""
    names = ("spectrum_pk", "reason", "tried", "spectrum_modified")
    rows = [(task.key, *(getattr(each, name) for name in names)) for each in tries]
    fields = [TaskWithheld.task, *(getattr(TaskWithheld, name) for name in names)]
    for part in peewee.chunked(sorted(rows), MAX_PARAMETERS // len(fields)):
        TaskWithheld.insert_many(part, fields=fields).on_conflict(
            conflict_target=fields[:2], preserve=fields[2:]
        ).execute()


def forget(task: Task, keys: Collection[int]) -> None:
    """Drop the notes of some spectra, within ``writing``: more is known of them now."""
    same = (TaskWithheld.task == task.key) & (TaskWithheld.spectrum_pk << list(keys))
    TaskWithheld.delete().where(same).execute()
