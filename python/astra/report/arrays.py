"""The columns of a query as arrays, streamed; and the results of any task."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import peewee

from astra.database.connection import database
from astra.database.sql import batches
from astra.models import FlaggedOutputModel, Source
from astra.models.pipeline import is_newest
from astra.system.telling import is_heard, tell
from astra.tasks.contract import Task

#: Makes an array of some values of a column, as the driver gives them.
Convert = Callable[[Iterable[Any]], np.ndarray]

#: Begins the names of columns of the source, which a model of results may have as well.
OF_SOURCE = "source."
_COORDINATES = ("ra", "dec", "l", "b")


@dataclass(frozen=True)
class Arrays:
    """N results; arrays of shape (N,), NaN where a number is absent, 0 for an absent key.

    Attributes:
        values: Columns by their names.
    """

    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.values["spectrum_pk"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]


def read_arrays(query: peewee.Select, columns: Mapping[str, Convert]) -> dict[str, np.ndarray]:
    """The columns of a query, in their order, by the names that they get; only within ``snapshot``."""
    pieces = {name: [convert(())] for name, convert in columns.items()}
    done, total = 0, query.count(database) if is_heard() else None
    for batch in batches(database, query):
        done += len(batch)
        tell("rows", done, total)
        for name, column in zip(pieces, zip(*batch, strict=True), strict=True):
            pieces[name].append(columns[name](column))
    return {name: np.concatenate(pieces.pop(name)) for name in list(pieces)}


def numbers(column: Iterable[Any]) -> np.ndarray:
    """Floats, NaN where there is none."""
    return np.array(column, float)


def keys(column: Iterable[Any]) -> np.ndarray:
    """Integers, 0 where there is none."""
    return np.array([key or 0 for key in column], np.int64)


def truths(column: Iterable[Any]) -> np.ndarray:
    """True or false."""
    return np.array(column, bool)


def moments(column: Iterable[Any]) -> np.ndarray:
    """Times in UTC."""
    return np.array(column, "datetime64[us]")


# > Of any task


def read_results(task: Task) -> Arrays:
    """The newest result of each spectrum, in no particular order; only within ``snapshot``.

    Returns:
        All columns of numbers of the model of results, ``modified``, ``flag_bad`` and ``flag_warn`` if it has
        flags, and the coordinates of the source as ``source.ra``, ``source.dec``, ``source.l``, ``source.b``.
    """
    results = task.output_model
    columns = {field.name: (field, conversion(field)) for field in results._meta.sorted_fields}
    columns |= {"modified": (results.modified, moments)}
    if issubclass(results, FlaggedOutputModel):
        columns |= {name: (getattr(results, name), truths) for name in ("flag_bad", "flag_warn")}
    columns |= {OF_SOURCE + name: (getattr(Source, name), numbers) for name in _COORDINATES}
    columns = {name: column for name, column in columns.items() if column[1] is not None}
    query = (
        results.select(*(node for node, _ in columns.values()))
        .join(Source, peewee.JOIN.LEFT_OUTER, on=(results.source_pk == Source.pk))
        .where(is_newest(results))
    )
    return Arrays(read_arrays(query, {name: convert for name, (_, convert) in columns.items()}))


def conversion(field: peewee.Field) -> Convert | None:
    """Makes an array of a column of numbers; ``None`` for any other column."""
    is_key = isinstance(field, peewee.ForeignKeyField)
    kind = field.rel_field if is_key else field
    if isinstance(kind, (peewee.FloatField, peewee.IntegerField, peewee.BooleanField)):
        is_whole = isinstance(kind, peewee.BitField) or (
            isinstance(kind, peewee.IntegerField) and not field.null
        )
        return keys if is_key or is_whole else numbers
    return None
