"""Reading much at one moment: one transaction that sees no later change, and rows that come in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peewee

from astra.database.connection import is_postgresql, translated

#: Rows that are in memory at once.
BATCH = 5_000
_CURSOR = "astra_rows"


@contextmanager
def snapshot(database: peewee.Database) -> Iterator[None]:
    """One read-only transaction in which every query sees the database as it was at the first.

    Raises:
        DatabaseUnreachable: The connection was lost.
        StorageError: The database refused to read.
    """
    try:
        # SQLite: the first query of a plain transaction fixes what all others see.
        with database.atomic():
            if is_postgresql(database):
                database.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    except peewee.PeeweeException as error:
        raise translated(error, "refused to read") from error


def batches(database: peewee.Database, query: peewee.Select, size: int = BATCH) -> Iterator[list[tuple]]:
    """The rows of a query, as the driver gives them, some at a time; only within ``snapshot``.

    Args:
        database: The database.
        query: The query.
        size: Rows of a batch; the last one may have fewer.
    """
    if not is_postgresql(database):
        cursor = database.execute(query)
        while rows := cursor.fetchmany(size):
            yield rows
        return
    # All rows will be fetched: a plan that is quick for the first of them is not what is wanted.
    database.execute_sql("SET LOCAL cursor_tuple_fraction = 1")
    sql, parameters = database.get_sql_context().sql(query).query()
    database.execute_sql(f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {sql}", parameters)
    while rows := database.execute_sql(f"FETCH FORWARD {size} FROM {_CURSOR}").fetchall():
        yield rows
    database.execute_sql(f"CLOSE {_CURSOR}")


def all_rows(database: peewee.Database, query: peewee.Select) -> list[tuple[Any, ...]]:
    """The rows of a query that has few, as the driver gives them."""
    return database.execute(query).fetchall()
