"""Which spectra still need which task.

A spectrum is *pending* when it has no row under this minor version, or has changed since its row was made.
When only its source changed, its row is *stale* if the task can derive it again from what is stored, while
the spectrum stays closed; else it is pending. A task that makes no use of sources derives nothing: its rows
only follow their spectra to other sources. A spectrum whose file the system withheld is not pending, but
noted: every run tries it again when all else is done. Keys are streamed in order; nothing loads all spectra.

Each query is of one model of spectra, so that it reads two indexes side by side; ``of_each_model`` makes a
selection for each model of a task. No two spectra, of whichever models, have the same key.
"""

import functools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import peewee

from astra.database.reconnecting import persistent
from astra.database.sql import among
from astra.models.base import BaseModel
from astra.models.pipeline import FlaggedOutputModel, PipelineOutputModel, has_result, of_this_version
from astra.models.source import Source
from astra.tasks.contract import Fill, Task
from astra.tasks.inputs import has_other_source, negated, source_changed, spectrum_changed, was_ahead
from astra.tasks.withheld import is_noted, noted

if TYPE_CHECKING:
    from astra.tasks.conditions import Condition

# So many are found by an index; of more, a chunk is found sooner in the order of the spectra.
_FEW_SOURCES = 1000


@dataclass(frozen=True)
class Selection:
    """What a run works on.

    Attributes:
        task: The task.
        sources: Only spectra of these sources; ``None`` takes all.
        page: ``(I, N)``: only spectra with ``spectrum_pk % N == I - 1``.
        retry_no_result: Also rows whose spectrum gave no result.
        overwrite: All spectra, whether or not they have a row.
        before: Of the rows that one of the last two takes, only those whose inputs were read before this
            time (UTC): so several workers, or several runs, take each of them once.
        tried_before: Instead of what is pending, the spectra whose files were withheld, last tried at this
            time (UTC) or before it.
        since: Of these, not those that were tried after this time (UTC) and have a row that says so.
        models: Only spectra of these models; ``None`` takes all that the task does.
        condition: Only spectra that meet it.
        changed_since: Only spectra that were changed at this time (UTC) or later, or whose stars were.
    """

    task: Task
    sources: tuple[int, ...] | None = None
    page: tuple[int, int] | None = None
    retry_no_result: bool = False
    overwrite: bool = False
    before: datetime | None = None
    tried_before: datetime | None = None
    since: datetime | None = None
    models: tuple[type[BaseModel], ...] | None = None
    condition: "Condition | None" = None
    changed_since: datetime | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether it leaves out spectra that the task takes."""
        parts = (self.sources, self.page, self.models, self.condition, self.changed_since)
        return any(part is not None for part in parts)

    @property
    def spectra(self) -> type[BaseModel]:
        """The model of the spectra, in a selection of one."""
        (model,) = self.models or self.task.spectrum_models
        return model

    def of_each_model(self) -> list["Selection"]:
        """The same selection of each model of spectra alone."""
        return [replace(self, models=(model,)) for model in self.models or self.task.spectrum_models]

    def withheld(self, moment: datetime, since: datetime) -> "Selection":
        """Of the same spectra, those whose files were withheld until a time (UTC).

        Args:
            moment: That time.
            since: When the run began: what another worker has tried twice since then is not tried again.
        """
        return replace(self, tried_before=moment, since=since)


def pending_query(selection: Selection, after: int | None = None) -> peewee.ModelSelect:
    """The keys (``spectrum_pk``) of the pending spectra of one model, in no particular order.

    Args:
        selection: What a run works on, of one model.
        after: Only larger keys.
    """
    spectra, results = selection.spectra, selection.task.output_model
    query = _keys(selection, after)
    if selection.tried_before is None:
        return query.where(_needed(selection), ~is_noted(selection.task, spectra))
    earlier = spectra.spectrum_pk << noted(selection.task, spectra, selection.since)
    without_row = read_before(results, selection.since)
    chosen = spectra.spectrum_pk << noted(selection.task, spectra, selection.tried_before)
    return query.where(chosen, earlier | without_row)


def _needed(selection: Selection) -> peewee.Expression:
    """Which spectra are pending, over a join with their results, if their files were not withheld."""
    spectra, results = selection.spectra, selection.task.output_model
    if selection.overwrite and selection.before is None:
        return peewee.SQL("1 = 1")
    needed = results.task_pk.is_null() | spectrum_changed(results, spectra)
    if selection.task.rederivation is None:
        needed |= source_changed(results, spectra)
    older = read_before(results, selection.before)
    if selection.overwrite:
        return needed | older
    if selection.retry_no_result and issubclass(results, FlaggedOutputModel):
        without = results.flag_no_result
        return needed | (without if selection.before is None else without & older)
    return needed


def stale_query(selection: Selection, after: int | None = None) -> peewee.ModelSelect | None:
    """The keys of rows to derive again from their changed source; ``None`` if the task cannot.

    Args:
        selection: What a run works on, of one model.
        after: Only larger keys.
    """
    rederivation = selection.task.rederivation
    if rederivation is None or selection.overwrite:
        return None
    return _keys(selection, after, peewee.JOIN.INNER, with_source=True).where(_stale(selection))


def _stale(selection: Selection) -> peewee.Expression:
    """Which rows to derive again, over a join with their sources."""
    spectra, results = selection.spectra, selection.task.output_model
    changed = source_changed if selection.task.uses_source else has_other_source
    also = selection.task.rederivation.also_stale()
    return (changed(results, spectra) | also) & negated(spectrum_changed(results, spectra))


def unfilled_query(fill: Fill, selection: Selection, after: int | None = None) -> peewee.ModelSelect:
    """The keys of rows that lack the columns of a fill, and whose inputs are those that they were made from.

    Those with other inputs are pending, or stale, and get the columns with all others.

    Args:
        fill: The fill.
        selection: What a run works on, of one model.
        after: Only larger keys.
    """
    spectra, results = selection.spectra, selection.task.output_model
    lacking = [results._meta.fields[name].is_null() for name in fill.columns]
    unchanged = negated(spectrum_changed(results, spectra))
    query = _keys(selection, after, peewee.JOIN.INNER, with_source=fill.of_spectrum is None)
    query = query.where(has_result(results), unchanged)
    if fill.of_spectrum:
        return query.where(*lacking)
    return query.where(functools.reduce(operator.or_, lacking), negated(_stale(selection)))


def read_before(results: type[PipelineOutputModel], moment: datetime | None) -> peewee.Expression:
    """Whether the inputs of a row were read before a time (UTC), as far as that is known."""
    read = results.inputs_read
    return read.is_null() | (read < moment) | was_ahead(read)


def stream_keys(
    find: Callable[[Selection, int], peewee.ModelSelect | None],
    selection: Selection,
    size: int,
    limit: int | None = None,
) -> Iterator[list[int]]:
    """The keys of a selection, ``size`` at a time, with one query for each chunk.

    So work that other workers finish meanwhile is left out. Keys of one model are in ascending order, and
    stand together.

    Args:
        find: Gives such a query of one model of spectra, as ``stale_query`` does.
        selection: What a run works on.
        size: Keys of a chunk.
        limit: At most this many keys in all.
    """
    left = limit
    for part in selection.of_each_model():
        last = 0
        while left is None or left > 0:
            query = find(part, last)
            if query is None:
                return
            key, count = query.model.spectrum_pk, size if left is None else min(size, left)
            query = query.order_by(key).limit(count)
            chunk = persistent(lambda query=query: [pk for (pk,) in query.clone().tuples()])
            if not chunk:
                break
            yield chunk
            last = chunk[-1]
            left = None if left is None else left - len(chunk)


def count_pending(selection: Selection, limit: int | None = None) -> int:
    """How many spectra are pending or stale; more than a limit are not counted."""
    found = 0
    for part in selection.of_each_model():
        left = None if limit is None else max(0, limit - found)
        found += _needing(part).limit(left).count()
    return found


def _needing(selection: Selection) -> peewee.ModelSelect:
    """The keys of the spectra of one model that are pending or stale."""
    rederivation = selection.task.rederivation
    if rederivation is None or selection.overwrite:
        return pending_query(selection)
    query, is_pending = with_need(selection)
    return query.where(is_pending)


def with_need(selection: Selection) -> tuple[peewee.ModelSelect, peewee.Node]:
    """Spectra of one model, joined with their results and sources; whether each is pending or stale.

    In one pass: each of the two queries reads nearly as much as both together.
    """
    # NOT IN: of what refers to each row, PostgreSQL makes no plan for several processes.
    spectra, query = selection.spectra, _keys(selection, with_source=True)
    pending = _needed(selection) & spectra.spectrum_pk.not_in(noted(selection.task, spectra))
    if selection.task.rederivation is None:
        return query, pending
    return query, pending | _stale(selection)


def anything_pending(selection: Selection) -> bool:
    """Whether a spectrum is pending or stale; cheaper than to count them."""
    stale = map(stale_query, selection.of_each_model())
    return anything_to_process(selection) or any(query is not None and query.exists() for query in stale)


def anything_to_process(selection: Selection) -> bool:
    """Whether a spectrum is pending, or, in a selection of withheld ones, is to be tried again."""
    return any(pending_query(each).exists() for each in selection.of_each_model())


def joined(selection: Selection) -> peewee.ModelSelect:
    """The keys of all spectra of one model that a selection allows, joined with results and sources."""
    return _keys(selection, with_source=True)


def with_sources(model: type[BaseModel]) -> peewee.ModelSelect:
    """Spectra of a model, each with its source in hand (``None`` where it has none)."""
    return _with_source(model.select(model, Source))


def _with_source(spectra: peewee.ModelSelect) -> peewee.ModelSelect:
    same = spectra.model.source == Source.pk
    return spectra.join(Source, peewee.JOIN.LEFT_OUTER, on=same, attr="source")


def _keys(
    selection: Selection,
    after: int | None = None,
    kind: str = peewee.JOIN.LEFT_OUTER,
    *,
    with_source: bool = False,
) -> peewee.ModelSelect:
    """The keys of the spectra that a selection allows, joined with their results of this version.

    Their sources are joined too where that is asked for, or a condition needs them.
    """
    spectra, results = selection.spectra, selection.task.output_model
    key = spectra.spectrum_pk
    same, query = (results.spectrum_pk == key) & of_this_version(results), spectra.select(key)
    if after is not None:
        query = query.where(key > after)
        # PostgreSQL does not conclude this from the other condition, and reads all the rows before it.
        same &= results.spectrum_pk > after
    if selection.sources is not None:
        many = len(selection.sources) > _FEW_SOURCES
        query = query.where(among(spectra._meta.database, spectra.source, selection.sources, many=many))
    if selection.page is not None:
        part, parts = selection.page
        # The remainder by integer division: peewee reads % as LIKE.
        query = query.where(key - key / parts * parts == part - 1)
    query = query.join(results, kind, on=same).switch(spectra)
    if (since := selection.changed_since) is not None:
        query = query.where((spectra.modified >= since) | (Source.modified >= since))
    if selection.condition is not None:
        query = query.where(selection.condition.on(spectra))
    with_source |= since is not None or selection.condition is not None
    return _with_source(query) if with_source or selection.task.rederivation is None else query
