"""What datasette is told of the tables: every text, unit and flag is that of the models.

The unit of a column is at the end of its text, in brackets. Tables of installed tasks are described by the
models of their packages; whatever else is in the database is shown without words.
"""

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

import peewee

from astra.models import TABLES, Distance, Source, Spectrum, TaskClaim, TaskTrial, TaskWorker
from astra.models.base import BaseModel
from astra.models.fields import BooleanField
from astra.schema.packages import HISTORY
from astra.schema.upstream import VIEWS
from astra.serve.questions import questions
from astra.tasks.contract import Task
from astra.tasks.installed import find_task, installed_tasks

log = logging.getLogger("astra")

#: The kind of facets that are counted together (counting.py).
TOGETHER = "together"

#: Tables that hold keys and locks alone.
_HIDDEN = (Spectrum, TaskWorker, TaskClaim)
#: Texts of which there are few, wherever they are a column.
_CATEGORIES = (
    *("telescope", "release", "filetype", "best_dist_from", "plx_zero_point_origin"),
    *("ebv_origin", "gaia_release", "task", "outcome", "state"),
)
# What is counted first, wherever it is a column.
_FIRST = ("good", "clean", "primary_spectrum", "flag_bad", "flag_warn")
# The best spectra first, then what is newest; what comes first in a table is a column of it.
_SORT = ("snr", "started", "modified", "created")


def described_models() -> dict[str, type[BaseModel]]:
    """The models of all tables and views that are known, by the names of these; those of trials too."""
    tasks = []
    for task in installed_tasks().values():
        if isinstance(task, Task):
            tasks.append(task)
        else:
            log.warning("%s; its tables are shown without words", task)
    of_tasks = [model for task in tasks for model in (*task.spectrum_models, task.output_model)]
    known = {model._meta.table_name: model for model in (Distance, Source, *of_tasks, *TABLES)}
    names = {task.name for task in tasks}
    return known | {
        trial.table_name: find_task(trial.task).output_model
        for trial in TaskTrial.select()
        if trial.task in names
    }


def is_hidden(table: str) -> bool:
    """Whether a table, or a view, is of no use to a reader."""
    known = {model._meta.table_name for model in _HIDDEN} | VIEWS.keys()
    return table in known or f"{table}_".startswith(HISTORY)


def columns_of(database: peewee.Database, table: str) -> list[str]:
    """The columns of a table or a view; those that are generated too."""
    return [column[0] for column in database.execute_sql(f'SELECT * FROM "{table}" LIMIT 0').description]


def facets(model: type[BaseModel], columns: Sequence[str]) -> list[str]:
    """The columns of a table whose values are counted beside it: what is true or false, flags, categories."""
    few = {
        field.column_name
        for field in model._meta.sorted_fields
        if isinstance(field, BooleanField | peewee.BitField) or field.column_name in _CATEGORIES
    }
    first = [column for column in _FIRST if column in few]
    return [column for column in dict.fromkeys([*first, *columns]) if column in few]


def sorting(columns: Sequence[str]) -> str | None:
    """The column that a table is sorted by, the largest value first."""
    return next((column for column in _SORT if column in columns), None)


def description(
    database: peewee.Database, name: str, about: str, models: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """The metadata of datasette.

    Args:
        database: The database.
        name: What datasette calls it.
        about: What it is, for people.
        models: The models of its tables and views, by the names of these.
    """
    there = [*database.get_tables(), *(view.name for view in database.get_views())]
    tables = {table: _described(database, model, table) for table, model in models.items() if table in there}
    tables |= {table: {"hidden": True} for table in there if is_hidden(table)}
    asked = {
        question.name: {"title": question.heading, "description": question.text, "sql": question.sql}
        for question in questions()
    }
    shown = {table: found["description"] for table, found in tables.items() if "hidden" not in found}
    return {
        "title": "Distances from APOGEE spectra",
        "description": about,
        "databases": {
            name: {
                "description_html": f"<p>{escape(about)}</p>{_contents(name, shown)}",
                "tables": tables,
                "queries": asked,
            }
        },
    }


def _contents(name: str, texts: Mapping[str, str]) -> str:
    """HTML: every described table, and what it is."""
    lines = (
        f'<li><a href="/{quote(name)}/{quote(table)}">{escape(table)}</a>: {escape(text)}</li>'
        for table, text in texts.items()
    )
    return f"<ul>{''.join(lines)}</ul>"


def _described(database: peewee.Database, model: type[BaseModel], table: str) -> dict[str, Any]:
    columns = columns_of(database, table)
    texts = {field.column_name: field.help_text for field in model._meta.sorted_fields}
    label = next(_labels(model), None)
    found = {
        "description": _first_sentence(model, table),
        "columns": {name: text for name, text in texts.items() if text and name in columns},
        "facets": [{TOGETHER: column} for column in facets(model, columns)],
        "sort_desc": sorting(columns),
        "label_column": label,
    }
    return {key: value for key, value in found.items() if value}


def _labels(model: type[BaseModel]) -> Iterator[str]:
    """The columns that name a row for people."""
    for field in model._meta.sorted_fields:
        if isinstance(field, peewee.TextField) and field.unique:
            yield field.column_name


def _first_sentence(model: type[BaseModel], table: str) -> str:
    text = " ".join((inspect.getdoc(model) or "").partition("\n\n")[0].split()).replace("``", "")
    is_trial = table != model._meta.table_name
    return f"A trial, beside the results of production. {text}" if is_trial else text
