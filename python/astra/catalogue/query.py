"""The query for the rows of the catalogue, their summary, and the origins of the results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee
from peewee import JOIN, fn

from astra.catalogue.columns import Column, Kind
from astra.catalogue.filters import Filter
from astra.database.sql import all_rows, octets
from astra.errors import ConfigError
from astra.models import ApogeeCoaddedSpectrumInApStar as Apogee
from astra.models import Distance, Source, TaskRun
from astra.pipelines.astronn_dist import astronn_dist

#: Rows carry major * 10^6 + minor * 10^3 + patch; those of one minor version are comparable.
PATCHES = 1000

# Mixtures that a message lists.
_LISTED = 5


@dataclass(frozen=True)
class Summary:
    """Counts and widths, needed before the first row is written.

    Attributes:
        rows: The number of rows.
        stars: The number of stars.
        newest: When a value last changed; ``None`` if there are no rows.
        true: The number of rows in which each logical column is true, by the key of the column.
        widths: The bytes that the longest value of each text column needs in ASCII, by its key.
    """

    rows: int
    stars: int
    newest: datetime | None
    true: dict[str, int]
    widths: dict[str, int]


@dataclass(frozen=True)
class Origin:
    """The weights, settings and version that some of the results come from.

    Attributes:
        weights_name: Name of the weights.
        weights_sha256: Checksum of the weights; ``None`` where the run is not known.
        seed: Seed of the dropout masks.
        n_draws: Number of dropout draws.
        precision: Arithmetic of the network.
        options: Options of the task that change numbers, as the run has recorded them.
        version: Major and minor version of Astra: major * 1000 + minor.
        rows: Number of results.
    """

    weights_name: str | None
    weights_sha256: str | None
    seed: int | None
    n_draws: int | None
    precision: str | None
    options: str | None
    version: int
    rows: int

    @property
    def identity(self) -> tuple:
        """All that the numbers depend on, which the name of the weights is not."""
        options = tuple(astronn_dist.options_of(self.options).items())
        return (self.weights_sha256, self.seed, self.n_draws, self.precision, options, self.version)

    @property
    def minor_version(self) -> str:
        """The version in words, e.g. ``0.2``."""
        return "{}.{}".format(*divmod(self.version, PATCHES))

    @property
    def settings(self) -> str:
        """The options in words, e.g. ``backend astra``; empty where none are recorded."""
        return ", ".join(f"{name} {value}" for name, value in json.loads(self.options or "{}").items())

    def __str__(self) -> str:
        weights = "unknown weights"
        if self.weights_sha256 is not None:
            weights = f"weights {self.weights_name} (sha256 {self.weights_sha256[:12]})"
        facts = [f"version {self.minor_version}", weights, f"seed {self.seed}", f"{self.n_draws} draws"]
        return ", ".join(filter(None, [*facts, self.precision or "unknown precision", self.settings]))


class Rows:
    """The rows that meet the condition."""

    def __init__(self, database: peewee.Database, columns: tuple[Column, ...], chosen: Filter | None) -> None:
        self.database = database
        self.columns = columns
        # A condition can be about columns that are not written.
        known = {column.key: column for column in (*columns, *(chosen.columns if chosen else ()))}
        self._from = _joined(known).alias("catalogue")
        self._node = self._from.c
        self._where = chosen.expression(database, self._of) if chosen else None

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
        """The origins of the results, most rows first; rows without a result have none."""
        runs, version = TaskRun.alias(), self._node.v_astra / PATCHES
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


def is_mixed(origins: Sequence[Origin]) -> bool:
    """Whether the results come from different weights, seeds, draws, precisions, options or versions."""
    return len({origin.identity for origin in origins}) > 1


def refuse_mixture(origins: Sequence[Origin]) -> None:
    """Refuse to mix results of different weights, seeds, draws, precisions, options or versions.

    Raises:
        ConfigError: They would mix; the message lists the origins and their numbers of rows.
    """
    if not is_mixed(origins):
        return
    listed = [f"{origin} ({origin.rows:,} rows)" for origin in origins[:_LISTED]]
    more = f"; and {len(origins) - _LISTED} more" if len(origins) > _LISTED else ""
    raise ConfigError(
        f"the results are a mixture: {'; '.join(listed)}{more}. Give --mixed to take all, with columns "
        "that say which is which; or choose with --where by weights_sha256, seed, n_draws, precision, "
        "options, run_pk or v_astra; or make all anew with `astra run … --overwrite`"
    )


def _joined(columns: dict[str, Column]) -> peewee.ModelSelect:
    chosen = [column.field.alias(key) for key, column in columns.items()]
    query = Distance.select(*chosen)
    query = query.join(Apogee, on=(Apogee.spectrum_pk == Distance.spectrum_pk)).switch(Distance)
    query = query.join(Source, JOIN.LEFT_OUTER, on=(Source.pk == Distance.source_pk)).switch(Distance)
    if any(column.field.model is TaskRun for column in columns.values()):
        query = query.join(TaskRun, JOIN.LEFT_OUTER, on=(TaskRun.pk == Distance.run_pk))
    return query
