"""What there is of a task by release and telescope, and since when which of it is pending."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee
from peewee import fn

from astra.models.base import BaseModel
from astra.models.source import Source
from astra.status.overview import bits_of, flags_in, how_many
from astra.tasks.contract import Task
from astra.tasks.pending import Selection, with_need
from astra.tasks.withheld import noted

#: What tells places apart, if a model of spectra has such a column.
PLACE = ("release", "telescope")


@dataclass
class Place:
    """The spectra of one release and telescope, and their results under this version.

    Attributes:
        release: The release, empty where spectra have none.
        telescope: The telescope, likewise.
        spectra: All spectra.
        results: Those with a result row.
        pending: Those that are pending or stale.
        withheld: Those whose files the system withholds.
        bad: Results with ``flag_bad``.
        warn: Results with ``flag_warn``.
        flags: Results with each flag.
        since: Since when the oldest that is pending has waited.
    """

    release: str
    telescope: str
    spectra: int = 0
    results: int = 0
    pending: int = 0
    withheld: int = 0
    bad: int = 0
    warn: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    since: datetime | None = None


def place_columns(models: Iterable[type[BaseModel]], names: Iterable[str] = PLACE) -> list[peewee.Node]:
    """For each name, the text in the first of some joined models that has it; empty where none has."""
    found = []
    for name in names:
        columns = [model._meta.fields.get(name) for model in models]
        texts = [each for each in columns if isinstance(each, (peewee.CharField, peewee.TextField))]
        found.append(fn.COALESCE(*texts, "") if texts else peewee.Value(""))
    return found


def the_first(number: int) -> list[peewee.SQL]:
    """The first columns of a query, to group by: named by their place, they are computed once."""
    return [peewee.SQL(str(place)) for place in range(1, number + 1)]


def count_by_place(task: Task) -> list[Place]:
    """Count spectra and results in one pass over the tables of each model of spectra."""
    found: dict[tuple[str, str], Place] = {}
    for model in task.spectrum_models:
        _count_spectra(task, model, found)
        _count_withheld(task, model, found)
    return [found[key] for key in sorted(found)]


def _count_spectra(task: Task, model: type[BaseModel], found: dict[tuple[str, str], Place]) -> None:
    results, bits = task.output_model, bits_of(task.output_model)
    query, is_pending = with_need(Selection(task, models=(model,)))
    key = (*place_columns([model]), *bits, is_pending)
    counted = (
        fn.COUNT(model.spectrum_pk),
        fn.COUNT(results.task_pk),
        how_many(results, "flag_bad"),
        how_many(results, "flag_warn"),
        fn.MIN(_waits_since(task, model)).converter(model.modified.python_value),
    )
    for row in query.select(*key, *counted).group_by(*the_first(len(key))).tuples():
        *of_bits, pending, spectra, number, bad, warn, since = row[len(PLACE) :]
        place = _place(found, row)
        place.spectra, place.results = place.spectra + spectra, place.results + number
        place.bad, place.warn = place.bad + bad, place.warn + warn
        if number:
            place.flags.update(dict.fromkeys(flags_in(results, of_bits), number))
        if pending:
            place.pending += spectra
            place.since = min(since, place.since or since)


def _count_withheld(task: Task, model: type[BaseModel], found: dict[tuple[str, str], Place]) -> None:
    key = place_columns([model])
    chosen = model.spectrum_pk << noted(task, model)
    query = model.select(*key, fn.COUNT(model.spectrum_pk)).where(chosen).group_by(*the_first(len(key)))
    for row in query.tuples():
        _place(found, row).withheld += row[-1]


def _place(found: dict[tuple[str, str], Place], row: tuple[Any, ...]) -> Place:
    release, telescope = map(str, row[: len(PLACE)])
    return found.setdefault((release, telescope), Place(release, telescope))


def _waits_since(task: Task, model: type[BaseModel]) -> peewee.Node:
    """Since when a pending spectrum has waited, over the join of ``with_need``.

    Without a result, since it was registered; with one, since it or its source changed last.
    """
    changed = peewee.Case(None, [(Source.modified > model.modified, Source.modified)], model.modified)
    registered = model._meta.fields.get("created", model.modified)
    return peewee.Case(None, [(task.output_model.task_pk.is_null(), registered)], changed)
