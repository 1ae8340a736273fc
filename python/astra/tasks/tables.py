"""Whether the tables that a task works on are there, and are what its models say."""

import peewee

from astra.database.connection import is_missing_table, one_line, translated
from astra.errors import ConfigError, DatabaseUnreachable
from astra.tasks.contract import Task


def check_tables(task: Task) -> None:
    """Refuse a task whose results or spectra cannot be read.

    Raises:
        ConfigError: A table is missing, lacks a column, or this login may not read it.
        DatabaseUnreachable: The connection was lost.
    """
    for model in (task.spectrum_model, task.output_model):
        try:
            model.select().limit(0).execute()
        except peewee.DatabaseError as error:
            if isinstance(known := translated(error), DatabaseUnreachable):
                raise known from error
            raise ConfigError(f"task {task.name!r}: {_trouble(model._meta.table_name, error)}") from error


def _trouble(table: str, error: peewee.DatabaseError) -> str:
    if is_missing_table(error):
        return (
            f"its table {table} is missing: `astra init` makes only Astra's own, so see the documentation of "
            "its package, or ask the authors"
        )
    return f"its table {table} cannot be read ({one_line(error)})"
