"""The rows of the catalogue as a query, and what is to be known of them before the first is written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee
from peewee import JOIN, fn

from astra.catalogue.columns import Column, Kind
from astra.catalogue.filters import Filter
from astra.catalogue.provenance import Origin
from astra.database.snapshot import all_rows
from astra.database.sql import octets
from astra.models import ApogeeCoaddedSpectrumInApStar as Apogee
from astra.models import Distance, Source, TaskRun

# Rows carry major * 10^6 + minor * 10^3 + patch; those of one minor version are comparable.
_PATCHES = 1000


@dataclass(frozen=True)
class Summary:
    """What is known of the rows before they are read.

    Attributes:
        rows: How many there are.
        stars: Of how many stars.
        newest: When a value last changed; ``None`` if there are no rows.
        true: How many rows have each logical column set, by the key of the column.
        widths: Bytes that the longest value of each column of text needs in ASCII, by its key.
    """

    rows: int
    stars: int
    newest: datetime | None
    true: dict[str, int]
    widths: dict[str, int]


class Rows:
    """The rows that were asked for."""

    def __init__(self, database: peewee.Database, columns: tuple[Column, ...], wanted: Filter | None) -> None:
        self.database = database
        self.columns = columns
        # A condition can be about columns that are not written.
        inner = _joined({column.key: column for column in (*columns, *(wanted.columns if wanted else ()))})
        inner = inner.alias("catalogue")
        self._node = inner.c
        self._where = wanted.expression(database, self._of) if wanted else None
        self._from = inner

    def select(self) -> peewee.Select:
        """All values, in the order of the spectra."""
        chosen = [self._of(column) for column in self.columns]
        return self._query(*chosen).order_by(self._node.spectrum_pk)

    def summary(self) -> Summary:
        """Count the rows, and find the widths of their texts, in one pass."""
        logical = [column for column in self.columns if column.kind is Kind.LOGICAL]
        text = [column for column in self.columns if column.kind is Kind.TEXT]
        wanted = [fn.COUNT(peewee.SQL("*")), fn.COUNT(self._node.source_pk.distinct())]
        wanted.append(fn.MAX(self._node.modified))
        wanted += [fn.SUM(peewee.Case(None, [(self._of(column), 1)], 0)) for column in logical]
        wanted += [fn.MAX(self._width(column)) for column in text]
        [(rows, stars, newest, *rest)] = all_rows(self.database, self._query(*wanted))
        numbers = [int(value or 0) for value in rest]
        return Summary(
            rows=rows,
            stars=stars,
            newest=datetime.fromisoformat(newest) if isinstance(newest, str) else newest,
            true=dict(zip((column.key for column in logical), numbers, strict=False)),
            widths=dict(zip((column.key for column in text), numbers[len(logical) :], strict=True)),
        )

    def origins(self) -> list[Origin]:
        """What the results come from, most rows first; rows without a result come from no weights."""
        runs, version = TaskRun.alias(), self._node.v_astra / _PATCHES
        identity = [getattr(runs, name) for name in TaskRun.IDENTITY]
        joined = peewee.Join(self._from, runs, JOIN.LEFT_OUTER, on=(runs.pk == self._node.run_pk))
        query = (
            self._query(*identity, version, fn.COUNT(peewee.SQL("*")), source=joined)
            .where(peewee.NodeList((peewee.SQL("NOT"), self._node.flag_no_result)))
            .group_by(*identity, version)
        )
        found = [Origin(*values) for values in all_rows(self.database, query)]
        return sorted(found, key=lambda origin: (-origin.rows, str(origin)))

    def _of(self, column: Column) -> peewee.Column:
        return getattr(self._node, column.key)

    def _query(self, *wanted: Any, source: peewee.Node | None = None) -> peewee.Select:
        query = peewee.Select((source or self._from,), wanted)
        return query if self._where is None else query.where(self._where)

    def _width(self, column: Column) -> peewee.Node:
        # A character of n bytes becomes an escape of at most 5 n + 1.
        node = self._of(column)
        return fn.length(node) + 5 * (octets(self.database, node) - fn.length(node))


def _joined(columns: dict[str, Column]) -> peewee.ModelSelect:
    chosen = [column.field.alias(key) for key, column in columns.items()]
    query = Distance.select(*chosen)
    query = query.join(Apogee, on=(Apogee.spectrum_pk == Distance.spectrum_pk)).switch(Distance)
    query = query.join(Source, JOIN.LEFT_OUTER, on=(Source.pk == Distance.source_pk)).switch(Distance)
    if any(column.field.model is TaskRun for column in columns.values()):
        query = query.join(TaskRun, JOIN.LEFT_OUTER, on=(TaskRun.pk == Distance.run_pk))
    return query
