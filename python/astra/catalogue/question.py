"""A question about the rows of a catalogue: columns, a condition, an order, a number of rows.

Rows are read along their keys, some thousand at a time, so that the first of them come at once, however many
there are, and in the same order on both databases. Only another order needs all of them.
"""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import peewee
from peewee import fn

from astra.catalogue.columns import Column, Kind, columns, empty_table, rows_of
from astra.catalogue.product import find_product
from astra.catalogue.query import Rows
from astra.catalogue.table import Batch, values
from astra.database.sql import all_rows, batches
from astra.errors import UsageError
from astra.models import Distance, filters
from astra.models.filters import Filter, Formulas
from astra.schema.packages import check_task
from astra.tasks.contract import Task
from astra.tasks.installed import installed_tasks

if TYPE_CHECKING:
    from astropy.table import Table

# The columns of the distances that are shown first, and of other results, where they have them.
_OF_DISTANCES = ("obj", "snr", "dist", "e_dist", "m_ks_abs", "a_k_mag", "best_dist", "good", "clean")
_FIRST, _SNR = ("obj", "sdss4_apogee_id", "sdss_id"), ("snr", "spectrum_snr")
_LAST = ("flag_bad", "flag_warn")
_MEASURED = 6

# What stands for several columns: ``all``, or a name with a star at one of its ends, alone between commas.
# Elsewhere a star multiplies.
_PATTERN = re.compile(r"(?<![^,])\s*(all|\*[\w*]*|[\w*]+\*)\s*(?![^,])", re.IGNORECASE)

# What a masked value is below its mask, else 0.
_BLANKS = {Kind.DOUBLE: math.nan, Kind.LOGICAL: False, Kind.TEXT: "", Kind.TIME: ""}

# Keys of the first part, and of the largest; each part has twice those of the last.
_SMALLEST, _LARGEST = 1_000, 32_000


@dataclass(frozen=True)
class Question:
    """What to read.

    Attributes:
        task: A task, its catalogue, or the view or table of its rows.
        columns: Columns, and what is computed from them; ``None`` takes a few.
        condition: The condition on the rows; ``None`` takes all.
        order: Columns, or what is computed from them, with ``asc`` or ``desc``; absent values come last.
            ``None`` orders by spectrum.
        limit: At most this many rows.
    """

    task: str = "astronn_dist"
    columns: str | None = None
    condition: str | None = None
    order: str | None = None
    limit: int | None = None

    @cached_property
    def of(self) -> Task:
        """The task.

        Raises:
            UsageError: There is none of this name.
            ConfigError: The package that offers it is broken.
        """
        for task in installed_tasks().values():
            if isinstance(task, Task) and rows_of(task)._meta.table_name == self.task.lower():
                return task
        return find_product(self.task)

    @cached_property
    def known(self) -> tuple[Column, ...]:
        """All columns that it can name."""
        return columns(self.of, mixed=True)

    @cached_property
    def wanted(self) -> Formulas:
        """The parsed columns.

        Raises:
            UsageError: They are not valid.
        """
        text = ", ".join(self._few()) if self.columns is None else self._expanded(self.columns)
        return Formulas(text, self.known, "--columns", ordering=False)

    @cached_property
    def chosen(self) -> Filter | None:
        """The parsed condition.

        Raises:
            UsageError: It is not valid.
        """
        return None if self.condition is None else Filter(self.condition, self.known)

    @cached_property
    def ordered(self) -> Formulas | None:
        """The parsed order.

        Raises:
            UsageError: It is not valid.
        """
        if self.order is None:
            return None
        # What was given a name can be ordered by it.
        named = (filters.Column(each.name, each.name, each.kind) for each in self.wanted.formulas)
        known = {column.name.lower(): column for column in (*self.known, *named)}
        return Formulas(self.order, list(known.values()), "--order", ordering=True)

    def check(self) -> None:
        """Check it before any work.

        Raises:
            UsageError: There is no such task, column or order, a name is there twice, or the condition is
                not valid.
            ConfigError: The task is broken.
        """
        _ = self.wanted, self.chosen, self.ordered

    def _few(self) -> Iterator[str]:
        """A few columns: who, and what was found."""
        if rows_of(self.of) is Distance:
            yield from _OF_DISTANCES
            return
        kinds = {column.name: column.kind for column in self.known}
        measured = self.of.output_model._meta.columns
        numbers = [name for name in measured if kinds.get(name) in (Kind.DOUBLE, Kind.INT)]
        skipped = {"v_astra", "t_elapsed", "t_overhead"}
        for names in (_FIRST, _SNR):
            yield from [name for name in names if name in kinds][:1]
        yield from [name for name in numbers if name not in skipped][:_MEASURED]
        yield from [name for name in _LAST if name in kinds]

    def _expanded(self, text: str) -> str:
        """The columns, with their names in the place of a pattern."""

        named = {part.strip().lower() for part in text.split(",")}

        def names(found: re.Match) -> str:
            stars = "*" if found[1].lower() == "all" else found[1]
            pattern = re.compile(stars.replace("*", ".*"), re.IGNORECASE)
            fitting = [column.name for column in self.known if pattern.fullmatch(column.name)]
            if not fitting:
                raise UsageError(f"--columns: no column is called like {found[1]}")
            others = [name for name in fitting if name not in named]
            named.update(others)
            return ", ".join(others)

        return _PATTERN.sub(names, text)


class Answer:
    """The rows that a question is about, within ``snapshot``.

    Attributes:
        columns: What its rows have, in their order.
    """

    def __init__(self, question: Question, database: peewee.Database) -> None:
        """Look for the table.

        Raises:
            UsageError: The question is not valid.
            ConfigError: The table of the task is missing, or the task is broken.
        """
        question.check()
        check_task(question.of)
        self._question, self._database = question, database
        self._rows = Rows(database, question.of, (), question.chosen)
        self._formulas = question.wanted(database, self._rows.of)
        self._key = self._rows.of(next(each for each in question.known if each.key == "spectrum_pk"))
        self.columns = tuple(map(_described, self._formulas))

    @cached_property
    def batches(self) -> Iterator[Batch]:
        """The rows, which can be read once."""
        found = self._in_order() if self._question.ordered else self._by_key()
        return (values(batch, self.columns) for batch in found if batch)

    def count(self, seconds: float | None = None) -> tuple[int, bool]:
        """How many rows there are, without a limit.

        Args:
            seconds: Stop about then.

        Returns:
            Their number, and whether all were counted.
        """
        started, found = time.monotonic(), 0
        for part in self._parts():
            if seconds is not None and time.monotonic() - started > seconds:
                return found, False
            query = self._rows.query(fn.COUNT(peewee.SQL("*"))).where(*part)
            [(count,)] = all_rows(self._database, query)
            found += count
        return found, True

    @property
    def is_narrowed(self) -> bool:
        """Whether there is a condition."""
        return self._question.chosen is not None

    def _in_order(self) -> Iterator[list[tuple]]:
        keys = [
            peewee.NodeList((each.node, peewee.SQL("DESC NULLS LAST" if each.descends else "ASC NULLS LAST")))
            for each in self._question.ordered(self._database, self._of)
        ]
        query = self._select().order_by(*keys, self._key).limit(self._question.limit)
        return batches(self._database, query)

    def _by_key(self) -> Iterator[list[tuple]]:
        left = self._question.limit
        for part in self._parts():
            query = self._select().where(*part).order_by(self._key).limit(left)
            for batch in batches(self._database, query):
                left = None if left is None else left - len(batch)
                yield batch
            if left == 0:
                return

    def _of(self, column: filters.Column) -> peewee.Node:
        if isinstance(column, Column):
            return self._rows.of(column)
        return next(each.node for each in self._formulas if each.name == column.name)

    def _select(self) -> peewee.Select:
        return self._rows.query(*(formula.node for formula in self._formulas))

    def _parts(self) -> Iterator[tuple[peewee.Expression, ...]]:
        """Conditions on the key, of one part of the rows after the other."""
        results, after, size = self._question.of.output_model, 0, _SMALLEST
        key = results.spectrum_pk
        while True:
            last = results.select(key).where(key > after).order_by(key).limit(1).offset(size - 1)
            found = all_rows(self._database, last)
            if not found:
                yield (self._key > after,)
                return
            [(end,)] = found
            yield self._key > after, self._key <= end
            after, size = end, min(2 * size, _LARGEST)


def _described(formula: Any) -> Column:
    """A column as its readers see it."""
    if formula.column is not None:
        return replace(formula.column, name=formula.name)
    return Column(formula.name, formula.name, formula.kind, None, formula.name, "", True, formula.node)


def table_of(answer: Answer) -> "Table":
    """All rows as a table of astropy, masked where they are absent, with units and descriptions."""
    from astropy.table import MaskedColumn, Table

    rows: Batch = [[] for _ in answer.columns]
    for batch in answer.batches:
        for found, more in zip(rows, batch, strict=True):
            found.extend(more)
    empty, columns = empty_table(answer.columns), []
    for column, found in zip(answer.columns, rows, strict=True):
        known, blank = empty[column.name], _BLANKS.get(column.kind, 0)
        # A text is as wide as the longest needs.
        dtype = known.dtype if known.dtype.kind != "U" or not found else None
        mask = [value is None for value in found]
        filled = [blank if value is None else value for value in found]
        described = {"unit": known.unit, "description": known.description, "name": column.name}
        columns.append(MaskedColumn(filled, dtype=dtype, mask=mask, **described))
    return Table(columns)
