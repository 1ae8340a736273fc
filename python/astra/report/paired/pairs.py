"""Spectra that have a row of the same minor version in two tables of results, as arrays."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import peewee

from astra.database.connection import database
from astra.database.sql import all_rows
from astra.models import APOGEE, AstroNNdist, FlaggedOutputModel, PipelineOutputModel, Source
from astra.report.arrays import Arrays, Convert, conversion, keys, numbers, read_arrays
from astra.tasks.contract import Task

_KEYS = ("spectrum_pk", "run_pk", "v_astra")
_OF_STARS = ("l", "b", "j_mag", "ruwe")


class Tables(NamedTuple):
    """The tables that hold the results of production and those of the trial: same columns, same key."""

    production: str
    trial: str


@dataclass(frozen=True)
class Counts:
    """How many spectra there are; all that production has are ``pairs + only_production + other_version``.

    Attributes:
        pairs: With a row of the same minor version in both.
        only_production, only_trial: With rows in one of them alone.
        other_version: With rows in both, but none of the same minor version.
    """

    pairs: int
    only_production: int
    only_trial: int
    other_version: int


@dataclass(frozen=True)
class Pairs:
    """N spectra with a row of the same minor version in both sets, the newest that both have.

    Attributes:
        counts: These spectra, and those that are left out.
        production, trial: The columns of numbers of both rows, their flags, and what they come from, in the
            same order; ``flag_bad`` and ``flag_warn`` if the model has flags.
        stars: Of distances, what the tables of spectra and sources say; empty for another task.
    """

    counts: Counts
    production: Arrays
    trial: Arrays
    stars: dict[str, np.ndarray]

    def __len__(self) -> int:
        return self.counts.pairs


def compared_columns(model: type[PipelineOutputModel]) -> dict[str, peewee.Field]:
    """The columns of numbers that say what was found: no keys, no bits, nothing on how a row was made."""
    return {
        field.name: field
        for field in model._meta.sorted_fields
        if _is_number(field) and field.name not in model.PROVENANCE
    }


def bit_columns(model: type[PipelineOutputModel]) -> list[str]:
    """The columns that hold flags."""
    return [field.name for field in model._meta.sorted_fields if isinstance(field, peewee.BitField)]


def _is_number(field: peewee.Field) -> bool:
    other = (peewee.ForeignKeyField, peewee.BitField)
    is_key = field.primary_key or isinstance(field, other) or field.name == "v_astra_major_minor"
    return not is_key and conversion(field) is not None


def read_pairs(task: Task, names: Tables) -> Pairs:
    """Read the rows that can be compared, in no particular order; only within ``snapshot``.

    Args:
        task: The task.
        names: The tables.
    """
    model = task.output_model
    of_results = _converted(model)
    production, trial = _table(names.production, "production"), _table(names.trial, "trial")
    nodes, convert = [], {}
    for side, table in (("production", production), ("trial", trial)):
        nodes += [getattr(table.c, model._meta.fields[name].column_name) for name in of_results]
        convert |= {f"{side}.{name}": each for name, each in of_results.items()}
    tables: peewee.BaseTable = production.join(trial, on=_same(production, trial))
    if model is AstroNNdist:
        tables, of_stars = _with_stars(tables, production)
        nodes += [node for node, _ in of_stars.values()]
        convert |= {f"stars.{name}": each for name, (_, each) in of_stars.items()}
    query = peewee.Select((tables,), nodes).where(_is_newest_of_both(names, production))
    found = read_arrays(query, convert)

    def part(side: str) -> dict[str, np.ndarray]:
        names = [name for name in found if name.startswith(f"{side}.")]
        return {name.removeprefix(f"{side}."): found.pop(name) for name in names}

    sides = (_with_summaries(model, part("production")), _with_summaries(model, part("trial")))
    return Pairs(_count(names, len(sides[0])), *sides, part("stars"))


def _converted(model: type[PipelineOutputModel]) -> dict[str, Convert]:
    """How each column that is read becomes an array."""
    columns: dict[str, Convert] = dict.fromkeys((*_KEYS, *bit_columns(model)), keys)
    return columns | {name: conversion(field) or numbers for name, field in compared_columns(model).items()}


def _with_summaries(model: type[PipelineOutputModel], values: dict[str, np.ndarray]) -> Arrays:
    if issubclass(model, FlaggedOutputModel):
        for name, (bits, _) in model.summaries().items():
            values[name] = (values["result_flags"] & bits) != 0
    return Arrays(values)


# > The query


def _table(name: str, alias: str) -> peewee.Table:
    return peewee.Table(name, alias=alias)


def _same(one: peewee.Table, other: peewee.Table) -> peewee.Expression:
    version = one.c.v_astra_major_minor == other.c.v_astra_major_minor
    return (one.c.spectrum_pk == other.c.spectrum_pk) & version


def _is_newest_of_both(names: Tables, production: peewee.Table) -> peewee.Expression:
    """Whether a spectrum has no later minor version that is in both tables."""
    one, other = _table(names.production, "newer_production"), _table(names.trial, "newer_trial")
    later = one.c.v_astra_major_minor > production.c.v_astra_major_minor
    both = peewee.Select((one.join(other, on=_same(one, other)),), [peewee.Value(1)])
    return ~peewee.fn.EXISTS(both.where((one.c.spectrum_pk == production.c.spectrum_pk) & later))


def _with_stars(
    tables: peewee.BaseTable, production: peewee.Table
) -> tuple[peewee.BaseTable, dict[str, tuple[peewee.Node, Convert]]]:
    """Join the tables of spectra and sources; give also what is wanted of them."""
    source = _table(Source._meta.table_name, "source")
    tables = tables.left_outer_join(source, on=source.c.pk == production.c.source_pk)
    spectra = [_table(each._meta.table_name, f"spectrum_{place}") for place, each in enumerate(APOGEE)]
    for each in spectra:
        tables = tables.left_outer_join(each, on=each.c.spectrum_pk == production.c.spectrum_pk)
    wanted: dict[str, tuple[peewee.Node, Convert]]
    wanted = {name: (getattr(source.c, name), numbers) for name in _OF_STARS}
    for name, convert in (("snr", numbers), ("spectrum_flags", keys)):
        wanted[name] = peewee.fn.COALESCE(*(getattr(each.c, name) for each in spectra)), convert
    return tables, wanted


def _count(names: Tables, pairs: int) -> Counts:
    production, trial = _table(names.production, "production"), _table(names.trial, "trial")
    there = peewee.Select((trial,), [peewee.Value(1)]).where(trial.c.spectrum_pk == production.c.spectrum_pk)
    both = _spectra_of(production, peewee.fn.EXISTS(there))
    of_production, of_trial = _spectra_of(production), _spectra_of(trial)
    return Counts(pairs, of_production - both, of_trial - both, both - pairs)


def _spectra_of(table: peewee.Table, *conditions: peewee.Node) -> int:
    query = peewee.Select((table,), [peewee.fn.COUNT(table.c.spectrum_pk.distinct())])
    [(number,)] = all_rows(database, query.where(*conditions) if conditions else query)
    return number
