"""The query for the rows of the catalogue, their summary, and the origins of the results."""

import functools
import json
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee
from peewee import JOIN, fn

from astra.catalogue.columns import Column, Kind, columns, identity, rows_of
from astra.catalogue.options import Names
from astra.database.sql import all_rows, octets
from astra.errors import ConfigError
from astra.models import Distance, FlaggedOutputModel, Source, TaskRun
from astra.models.base import BaseModel
from astra.models.filters import Filter
from astra.models.pipeline import is_newest
from astra.tasks.contract import Task

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
        task: The task.
    """

    weights_name: str | None
    weights_sha256: str | None
    seed: int | None
    n_draws: int | None
    precision: str | None
    options: str | None
    version: int
    rows: int
    task: Task = field(repr=False)

    @property
    def identity(self) -> tuple:
        """All that the numbers depend on, which the name of the weights is not."""
        options = tuple(self.task.options_of(self.options).items())
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
        # A run whose options are known may have no weights.
        weights = "unknown weights" if self.options is None else ""
        if self.weights_sha256 is not None:
            weights = f"weights {self.weights_name} (sha256 {self.weights_sha256[:12]})"
        seed = "" if self.seed is None else f"seed {self.seed}"
        draws = "" if self.n_draws is None else f"{self.n_draws} draws"
        facts = (f"version {self.minor_version}", weights, seed, draws, self.precision, self.settings)
        return ", ".join(filter(None, facts))


class Rows:
    """The newest result of each spectrum that meets the condition, with its star."""

    def __init__(
        self, database: peewee.Database, task: Task, columns: tuple[Column, ...], chosen: Filter | None
    ) -> None:
        """Choose rows.

        Args:
            database: The database.
            task: The task that made them.
            columns: What ``select`` gives of each, and ``summary`` counts.
            chosen: The condition on them, which may be about other columns, too.
        """
        self.database, self.columns = database, columns
        self._task, self._from = task, _joined(task).alias("catalogue")
        self._node = self._from.c
        self._where = chosen.expression(database, self.of) if chosen else None

    def select(self) -> peewee.Select:
        """All values, in the order of the spectra."""
        chosen = [self.of(column) for column in self.columns]
        return self.query(*chosen).order_by(self._node.spectrum_pk)

    def summary(self) -> Summary:
        """Count the rows, and find the widths of their texts, in one pass."""
        logical = [column for column in self.columns if column.kind is Kind.LOGICAL]
        text = [column for column in self.columns if column.kind is Kind.TEXT]
        wanted = [fn.COUNT(peewee.SQL("*")), fn.COUNT(self._node.source_pk.distinct())]
        wanted.append(fn.MAX(self._node.modified))
        wanted += [fn.SUM(peewee.Case(None, [(self.of(column), 1)], 0)) for column in logical]
        wanted += [fn.MAX(self._width(column)) for column in text]
        [(rows, stars, newest, *rest)] = all_rows(self.database, self.query(*wanted))
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
        same = [*map(self.of, identity(self._task)), self._node.v_astra / PATCHES]
        query = self.query(*same, fn.COUNT(peewee.SQL("*"))).group_by(*same)
        if issubclass(self._task.output_model, FlaggedOutputModel):
            query = query.where(peewee.NodeList((peewee.SQL("NOT"), self._node.flag_no_result)))
        found = [Origin(*values, self._task) for values in all_rows(self.database, query)]
        return sorted(found, key=lambda origin: (-origin.rows, str(origin)))

    def of(self, column: Column) -> peewee.Column:
        """A column in the query."""
        return self._node[column.key]

    def query(self, *wanted: Any) -> peewee.Select:
        """What is wanted of the rows, in no particular order."""
        query = peewee.Select((self._from,), wanted)
        return query if self._where is None else query.where(self._where)

    def _width(self, column: Column) -> peewee.Node:
        # A character of n bytes becomes an escape of at most 5 n + 1.
        node = self.of(column)
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
    by = ", ".join(column.name for column in identity(origins[0].task)[1:])
    raise ConfigError(
        f"the results are a mixture: {'; '.join(listed)}{more}. Give --mixed to take all, with columns "
        f"that say which is which; or choose with --where by {by}, run_pk or v_astra; or make all anew with "
        f"`astra run {origins[0].task.name} --overwrite`"
    )


def _joined(task: Task) -> peewee.ModelSelect:
    """All columns, of rows of the newest minor version that a spectrum has."""
    if rows_of(task) is not task.output_model:
        # A view has chosen the rows already, and has the columns of their spectra.
        return _with_source_and_run(task)
    first, *others = (_of_spectra(task, model) for model in task.spectrum_models)
    return functools.reduce(operator.add, others, first)  # UNION ALL


def _of_spectra(task: Task, spectra: type[BaseModel]) -> peewee.ModelSelect:
    """The rows of the spectra of one model."""
    rows = task.output_model
    query = _with_source_and_run(task, spectra).where(is_newest(rows))
    return query.join_from(rows, spectra, on=(spectra.spectrum_pk == rows.spectrum_pk))


def _with_source_and_run(task: Task, spectra: type[BaseModel] | None = None) -> peewee.ModelSelect:
    rows = rows_of(task)
    known = {column.key: column for name in _names_of(task) for column in columns(task, name, mixed=True)}
    nodes = {key: _node_of(column, task, spectra) for key, column in known.items()}
    query = rows.select(*(node.alias(key) for key, node in nodes.items()))
    query = query.join(Source, JOIN.LEFT_OUTER, on=(Source.pk == rows.source_pk))
    return query.join_from(rows, TaskRun, JOIN.LEFT_OUTER, on=(TaskRun.pk == rows.run_pk))


def _names_of(task: Task) -> Iterable[Names]:
    """The names that the columns of a task can have; each kind of names may have columns of its own."""
    return Names if rows_of(task) is Distance else (Names.ASTRA,)


def _node_of(column: Column, task: Task, spectra: type[BaseModel] | None) -> peewee.ColumnBase:
    """What a column is of; one of the first model of spectra is of the same name in the others."""
    is_of_spectra = spectra and getattr(column.node, "model", None) is task.spectrum_models[0]
    return spectra._meta.columns[column.node.column_name] if is_of_spectra else column.node
