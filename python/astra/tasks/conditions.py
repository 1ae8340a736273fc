"""The condition of ``astra run --where``: on spectra, their stars, and the rows that a run replaces or fills.

A column is called as in the catalogue of the task, so that one condition chooses the same spectra there and
here: one of the results keeps its name, one of another table is called after that table as well where its
name is taken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import peewee

from astra.errors import UsageError, nearest
from astra.models import FlaggedOutputModel, PipelineOutputModel, Source
from astra.models.base import BaseModel
from astra.models.fields import Kind, kind_of
from astra.models.filters import Column, Filter
from astra.tasks.contract import Task

#: The last columns of the results in a catalogue.
PROVENANCE = ("task_pk", "run_pk", "v_astra", "created", "modified", "tag")

# Columns that are for programs.
_OF_PROGRAMS = {"pk", "created", "modified", "origins"}
_TYPES = {
    Kind.LONG: "bigint",
    Kind.INT: "bigint",
    Kind.DOUBLE: "double precision",
    Kind.LOGICAL: "boolean",
    Kind.TEXT: "text",
    Kind.TIME: "timestamp",
}


@dataclass(frozen=True)
class _Column(Column):
    """A column of one of the tables that a run joins.

    Attributes:
        node: The column; of spectra, that of the first model which has it.
        table: ``spectrum``, ``source`` or ``result``.
    """

    node: peewee.ColumnBase
    table: str

    def of(self, spectra: type[BaseModel]) -> peewee.Node:
        """The column in a query on one model of spectra, joined with their results and sources."""
        node = self.node
        if self.table == "spectrum" and (node := spectra._meta.fields.get(node.name)) is None:
            return peewee.SQL(f"CAST(NULL AS {_TYPES[self.kind]})")
        # Not the field itself: peewee would convert what it is compared with, 2.5 to 2 for an integer.
        return peewee.NodeList((node,))


class Condition(Filter):
    """A condition on what a run takes."""

    def __init__(self, task: Task, text: str, *, on_rows: bool) -> None:
        """Parse a condition.

        Args:
            task: The task.
            text: The condition.
            on_rows: Whether the run chooses among rows: only then a condition on results makes sense, since
                mostly a pending spectrum has none.

        Raises:
            UsageError: It is not a condition on these columns; the message says where, and why.
        """
        super().__init__(text, _columns(task))
        of_results = [column.name for column in self.used if column.table == "result"]
        if of_results and not on_rows:
            raise UsageError(f"--where: {self._refusal(of_results[0])}")

    def on(self, spectra: type[BaseModel]) -> peewee.Node:
        """The condition in a query on one model of spectra, joined with their results and sources."""
        return self.expression(spectra._meta.database, lambda column: column.of(spectra))

    def _refusal(self, name: str) -> str:
        others = [column.name for column in self.columns if column.table != "result"]
        same = [other for other in others if other in (f"source_{name}", f"spectrum_{name}")]
        meant = f"; did you mean {' or '.join(same)}?" if same else nearest(name, others)
        return (
            f"{name} is a column of the results, and a spectrum that is pending mostly has none: give "
            f"--overwrite or --retry with it, or choose by spectra and stars{meant}"
        )


def _columns(task: Task) -> list[_Column]:
    results = task.output_model
    measured = {each.column_name: each for each in measured_fields(results) if kind_of(each)}
    provenance = {name: results._meta.columns[name] for name in PROVENANCE}
    flags = {name: node for name, (node, _) in summarized_flags(results).items()}
    taken = {key.lower() for key in (*results._meta.columns, *flags)}
    keys = [
        ("source_pk", task.spectrum_models[0].source),
        ("spectrum_pk", task.spectrum_models[0].spectrum_pk),
    ]
    found = [_Column(key, key, Kind.LONG, field, "spectrum") for key, field in keys]
    found += [
        _Column(key, key, kind_of(field), field, table)
        for table, fields in (("source", Source._meta.sorted_fields), ("spectrum", _of_spectra(task)))
        for key, field in qualified(table, fields, taken)
        if kind_of(field) and field.column_name not in _OF_PROGRAMS
    ]
    of_results = [(key, kind_of(field), field) for key, field in (measured | provenance).items()]
    of_results += [(key, Kind.LOGICAL, node) for key, node in flags.items()]
    return found + [_Column(key, key, kind, node, "result") for key, kind, node in of_results]


def _of_spectra(task: Task) -> Iterable[peewee.Field]:
    """The columns of all models of spectra, of several with the same name the first."""
    found: dict[str, peewee.Field] = {}
    for model in task.spectrum_models:
        for field in model._meta.sorted_fields:
            if field.name not in ("source", "spectrum_pk"):
                found.setdefault(field.name, field)
    return found.values()


def qualified(
    table: str, fields: Iterable[peewee.Field], taken: set[str]
) -> Iterator[tuple[str, peewee.Field]]:
    """The names of columns beside others: their own, after their table where these are taken.

    Args:
        table: The table that they are called after.
        fields: The columns.
        taken: The names of the others in lower case, to which these are added.
    """
    for field in fields:
        key = field.column_name
        while key.lower() in taken:
            key = f"{table}_{key}"
        taken.add(key.lower())
        yield key, field


def measured_fields(results: type[PipelineOutputModel]) -> Iterator[peewee.Field]:
    """What the results of a task have beyond those of any task."""
    common = PipelineOutputModel._meta.fields
    return (each for each in results._meta.sorted_fields if each.name not in common)


def summarized_flags(results: type[PipelineOutputModel]) -> dict[str, tuple[peewee.ColumnBase, str]]:
    """The flags of results and what several of them make: for each a condition, and its meaning."""
    said = {name: (flag, flag.help_text or "") for name, flag in results.counted_flags().items()}
    if issubclass(results, FlaggedOutputModel):
        for name, (_, text) in results.summaries().items():
            said.setdefault(name, (getattr(results, name), text))
    return said
