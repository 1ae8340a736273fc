"""Queries for what a task has not analysed yet, asked for as upstream Astra does."""

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any

import peewee

from astra.database.sql import among
from astra.errors import UsageError, nearest
from astra.models.base import BaseModel
from astra.models.source import Source
from astra.tasks.contract import Task
from astra.tasks.installed import find_task, installed_tasks, is_named
from astra.tasks.pending import Selection, pending_query, with_sources


def generate_queries_for_task(
    task: Task | str,
    input_model: type[BaseModel] | str | None = None,
    sdss_ids: Iterable[int] | None = None,
    limit: int | None = None,
    page: tuple[int, int] | int | None = None,
) -> Iterator[tuple[type[BaseModel], peewee.ModelSelect]]:
    """The spectra that a task has not analysed yet, as upstream Astra offers it.

    Args:
        task: A task, its name, or its dotted path.
        input_model: Only this model of spectra, if the task takes it: the model, its name, or its dotted
            path, e.g. ``"apogee.ApogeeCoaddedSpectrumInApStar"``.
        sdss_ids: Only spectra of these stars; one that is not in the database has none.
        limit: At most this many spectra of each model.
        page: ``(I, N)``: the I-th of N disjoint parts, which stay the same while rows are written. Or a
            number N together with a limit: of the spectra that are pending when the query runs, the N-th
            ``limit``, counted from 1.

    Returns:
        Pairs, as many as there are models of spectra: the model, and a query that selects the spectra with
        their sources.

    Raises:
        TypeError: An argument is of another type, e.g. a list of stars in the place of ``limit``.
        UsageError: There is no such task, model, limit or page.
    """
    if not isinstance(task, Task | str):
        raise TypeError(f"task: give a task or its name, not {task!r}")
    task = find_task(task) if isinstance(task, str) else task
    stars, limit = _checked_stars(sdss_ids), _checked_limit(limit)
    part, number = _checked_page(page, limit)
    wanted = None if input_model is None else _found_model(input_model, task)
    found = []
    for selection in Selection(task, page=part).of_each_model():
        model = selection.spectra
        if wanted not in (None, model):
            continue
        keys = pending_query(selection)
        query = with_sources(model).where(model.spectrum_pk << keys).order_by(model.spectrum_pk)
        if stars is not None:
            query = query.where(among(model._meta.database, Source.sdss_id, stars))
        found.append((model, query.limit(limit) if number is None else query.paginate(number, limit)))
    return iter(found)


def _found_model(wanted: type[BaseModel] | str, task: Task) -> type[BaseModel]:
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return wanted
    if not isinstance(wanted, str):
        raise TypeError(f"input_model: give a model of spectra or its name, not {wanted!r}")
    tasks = (task, *(other for other in installed_tasks().values() if isinstance(other, Task)))
    models = dict.fromkeys(model for each in tasks for model in each.spectrum_models)
    for model in models:
        if is_named(model, wanted):
            return model
    known = sorted(model.__name__ for model in models)
    raise UsageError(f"unknown model {wanted!r}{nearest(wanted, known, 'models of spectra:')}")


def _checked_stars(sdss_ids: Iterable[int] | None) -> list[int] | None:
    if sdss_ids is None:
        return None
    if _is_integer(sdss_ids):
        raise TypeError(
            f"sdss_ids: give a list of them or None, not {sdss_ids!r}; a limit is limit={sdss_ids}"
        )
    stars = list(sdss_ids) if isinstance(sdss_ids, Iterable) and not isinstance(sdss_ids, str) else [sdss_ids]
    for star in stars:
        if not _is_integer(star):
            raise TypeError(f"sdss_ids: give a list of integers or None, not {star!r}")
    return [int(star) for star in stars]


def _checked_limit(limit: int | None) -> int | None:
    if limit is None:
        return None
    if not _is_integer(limit):
        raise TypeError(f"limit: give a number of spectra or None, not {limit!r}")
    # SQLite takes a negative limit for no limit.
    if limit < 0:
        raise UsageError(f"limit {limit}: give 0 or more")
    return int(limit)


def _checked_page(
    page: tuple[int, int] | int | None, limit: int | None
) -> tuple[tuple[int, int] | None, int | None]:
    """A page as a part of all, or as a number of upstream's; one of the two is ``None``."""
    if page is None:
        return None, None
    if _is_integer(page):
        if limit is None:
            raise UsageError(f"page {page}: a number needs a limit=, or give a pair (I, N)")
        if page < 1:
            raise UsageError(f"page {page}: pages are counted from 1")
        return None, int(page)
    if not (isinstance(page, Sequence) and len(page) == 2 and all(map(_is_integer, page))):
        raise TypeError(f"page: give a pair (I, N) of numbers, a number or None, not {page!r}")
    part, parts = map(int, page)
    if not 1 <= part <= parts:
        raise UsageError(f"page {(part, parts)}: give (I, N) with 1 <= I <= N")
    return (part, parts), None


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
