"""SQL that the two databases spell differently: parts of queries, and many rows inserted, updated or read."""

import functools
import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import peewee

from astra.database.connection import MAX_PARAMETERS, is_postgresql, translated
from astra.database.functions import MEDIAN

#: Rows of one INSERT on PostgreSQL, whose size is limited by memory alone.
ROWS = 5000

#: Rows of a query that are in memory at once.
BATCH = 5_000
_CURSOR = "astra_rows"


# > Parts of queries


def locked(query: peewee.ModelSelect) -> peewee.ModelSelect:
    """The query, with its rows locked until the transaction ends; SQLite has one writer at a time anyway."""
    return query.for_update() if is_postgresql(query.model._meta.database) else query


def kept_there(query: peewee.ModelSelect) -> peewee.ModelSelect:
    """The query, of whose rows none is deleted until the transaction ends; they can be changed meanwhile."""
    return query.for_update("FOR KEY SHARE") if is_postgresql(query.model._meta.database) else query


def until(database: peewee.Database, text: peewee.Field, separator: str) -> peewee.Expression:
    """The part of a text before a separator; all of it where there is none."""
    if is_postgresql(database):
        return peewee.fn.split_part(text, separator, 1)
    return peewee.fn.substr(text, 1, peewee.fn.instr(text.concat(separator), separator) - 1)


def median(database: peewee.Database, value: peewee.Node) -> peewee.Node:
    """The median of a number over the rows of a group; those where it is absent are left out."""
    if is_postgresql(database):
        return peewee.NodeList(
            (peewee.SQL("percentile_cont(0.5) WITHIN GROUP (ORDER BY"), value, peewee.SQL(")"))
        )
    return getattr(peewee.fn, MEDIAN)(value).coerce(False)


def evening(database: peewee.Database, moment: peewee.Field) -> peewee.Node:
    """The date (UTC) on which the night of a moment began: a night is from noon to noon."""
    if is_postgresql(database):
        shifted = peewee.NodeList((moment, peewee.SQL("- interval '12 hours'")))
        return peewee.Cast(shifted, "date")
    # To the second: SQLite rounds to milliseconds, and so the last microsecond of a night to the next one.
    return peewee.fn.date(peewee.fn.substr(moment, 1, 19), "-12 hours").coerce(False)


def octets(database: peewee.Database, text: peewee.Node) -> peewee.Node:
    """How many bytes a text has in UTF-8."""
    if is_postgresql(database):
        return peewee.fn.octet_length(text)
    return peewee.fn.length(peewee.Cast(text, "BLOB"))


def by_code_point(database: peewee.Database, text: peewee.Node) -> peewee.Node:
    """A text that is ordered by the numbers of its characters, whatever the language of the database."""
    return peewee.NodeList((text, peewee.SQL('COLLATE "C"'))) if is_postgresql(database) else text


def like(database: peewee.Database, text: peewee.Node, pattern: str) -> peewee.Expression:
    """Whether a text is like a pattern (``%``, ``_``, and a backslash before what stands for itself).

    Upper and lower case are different on both databases.
    """
    if is_postgresql(database):
        return peewee.Expression(text, "LIKE", peewee.Value(pattern))
    wild = {"%": "*", "_": "?"}
    literal = {special: f"[{special}]" for special in "*?["}
    parts = re.findall(r"\\?.", pattern, re.DOTALL)
    glob = "".join(wild.get(part) or literal.get(part[-1], part[-1]) for part in parts)
    return peewee.Expression(text, "GLOB", peewee.Value(glob))


def among(
    database: peewee.Database,
    key: peewee.Field,
    values: Iterable[int] | Iterable[str],
    *,
    many: bool = False,
) -> peewee.Expression:
    """Whether a column has one of any number of integers or texts, which travel as one parameter.

    Args:
        database: The database.
        key: The column.
        values: The integers or texts.
        many: Whether they are so many that rows are gone through in the order of the query, rather than
            found by an index of this column and then sorted.
    """
    # A larger integer is in no column, and either database would stumble over it.
    some = [value for value in values if isinstance(value, str) or abs(value) < 2**63]
    if is_postgresql(database):
        kind = "text" if any(isinstance(value, str) for value in some) else "bigint"
        found = key << peewee.SQL(f"(SELECT unnest(%s::{kind}[]))", [_array(some)])
        # So it is a filter, which looks up a hash, and no join.
        return peewee.NodeList((found, peewee.SQL("IS TRUE"))) if many else found
    # With a sign SQLite takes no index for it.
    column = peewee.NodeList((peewee.SQL("+"), key), glue="") if many else key
    return peewee.Expression(column, "IN", peewee.SQL("(SELECT value FROM json_each(?))", [json.dumps(some)]))


def differs(database: peewee.Database, one: str, other: str) -> str:
    """SQL for whether two values differ; two that are absent do not."""
    return f"{one} {'IS DISTINCT FROM' if is_postgresql(database) else 'IS NOT'} {other}"


# > Many rows inserted or updated


def insert_columns(
    database: peewee.Database, table: str, columns: Mapping[str, list[Any]], conflict: str = ""
) -> list[tuple[Any, ...]]:
    """Insert many rows by few statements.

    On PostgreSQL every column travels as one array: a statement of few parameters, which needs no table on
    the side. ``execute_values`` of psycopg2 takes 2.4 times as long for 5,000 results, inserted or updated.

    Args:
        database: The database.
        table: The table.
        columns: Values for the database, by column; all of the same length.
        conflict: What to do with a row that is there already, ``ON CONFLICT …``, or what to return.

    Returns:
        What ``RETURNING …`` asks for, in no particular order.
    """
    returned: list[tuple[Any, ...]] = []
    listed = _listed(columns)
    for rows, parameters in _parts(database, table, columns):
        cursor = database.execute_sql(f'INSERT INTO "{table}" ({listed}) {rows} {conflict}', parameters)
        if cursor.description:
            returned += cursor.fetchall()
    return returned


def insert_new(
    database: peewee.Database, table: str, columns: Mapping[str, list[Any]], returning: Collection[str]
) -> list[tuple[Any, ...]]:
    """Insert many rows of which none is there yet, within a transaction of ``writing``.

    Args:
        database: The database.
        table: The table, whose primary key the database chooses.
        columns: As of ``insert_columns``.
        returning: The columns whose values in the database are wanted.

    Returns:
        These values, in no particular order.
    """
    wanted = _listed(returning)
    if is_postgresql(database):
        return insert_columns(database, table, columns, f"RETURNING {wanted}")
    # RETURNING came with SQLite 3.35. New rows have larger keys, and nobody else writes meanwhile.
    (last,) = database.execute_sql(f'SELECT COALESCE(MAX(rowid), 0) FROM "{table}"').fetchone()
    insert_columns(database, table, columns)
    return database.execute_sql(f'SELECT {wanted} FROM "{table}" WHERE rowid > ?', (last,)).fetchall()


def new_keys(database: peewee.Database, table: str, key: str, count: int) -> list[int]:
    """Insert rows of which only the primary key matters, and give their keys."""
    if is_postgresql(database):
        rows = ", ".join(["(DEFAULT)"] * count)
        found = database.execute_sql(f'INSERT INTO "{table}" ("{key}") VALUES {rows} RETURNING "{key}"')
    else:
        found = insert_new(database, table, {key: [None] * count}, [key])
    return [pk for (pk,) in found]


def update_columns(
    database: peewee.Database, table: str, key: str, columns: Mapping[str, list[Any]], also: str
) -> None:
    """Update many rows by few statements, as ``insert_columns`` inserts them.

    Args:
        database: The database.
        table: The table.
        key: The column that says which row it is.
        columns: Values for the database, by column, the key among them; all of the same length.
        also: A further part of ``SET``.
    """
    sets = ", ".join([*(f'"{column}" = new."{column}"' for column in columns if column != key), also])
    for rows, parameters in _parts(database, table, columns):
        database.execute_sql(
            f"WITH new ({_listed(columns)}) AS ({rows}) "
            f'UPDATE "{table}" SET {sets} FROM new WHERE "{table}"."{key}" = new."{key}"',
            parameters,
        )


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _parts(
    database: peewee.Database, table: str, columns: Mapping[str, list[Any]]
) -> Iterator[tuple[str, list]]:
    """Rows as a query, with its parameters: as many at a time as one statement takes."""
    if is_postgresql(database):
        source, size = _arrays, ROWS
    else:
        source, size = _values, max(1, MAX_PARAMETERS // len(columns))
    for start in range(0, len(next(iter(columns.values()))), size):
        yield source(
            database,
            table,
            {column: values[start : start + size] for column, values in columns.items()},
        )


def _values(database: peewee.Database, table: str, columns: Mapping[str, list[Any]]) -> tuple[str, list]:
    """Rows with one parameter for each value."""
    rows = list(zip(*columns.values(), strict=True))
    places = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows))
    return f"VALUES {places}", list(itertools.chain.from_iterable(rows))


def _arrays(database: peewee.Database, table: str, columns: Mapping[str, list[Any]]) -> tuple[str, list]:
    """Rows with one parameter for each column, for PostgreSQL."""
    types = _types(database, table)
    if not columns.keys() <= types.keys():
        # Read before a migration.
        _types.cache_clear()
        types = _types(database, table)
    arrays = ", ".join(f"%s::{types[column]}[]" for column in columns)
    return f"SELECT * FROM unnest({arrays})", [_array(values) for values in columns.values()]


def _array(values: list[Any]) -> str:
    """The text of an array of PostgreSQL, which writes numbers and null as JSON does, but not texts.

    NaN is null, as in SQLite.
    """
    if any(isinstance(value, str) for value in values):
        return "{" + ",".join("NULL" if value is None else _quoted(value) for value in values) + "}"
    return "{" + json.dumps(values, default=_text).replace("NaN", "NULL")[1:-1] + "}"


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else _text(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(value: Any) -> str:
    """A date, a decimal number, bytes … as PostgreSQL reads it."""
    # psycopg2 wraps bytes.
    value = getattr(value, "adapted", value)
    is_bytes = isinstance(value, (bytes, bytearray, memoryview))
    return rf"\x{bytes(value).hex()}" if is_bytes else str(value)


@functools.cache
def _types(database: peewee.Database, table: str) -> dict[str, str]:
    """The type of each column, as the database calls it."""
    types = {column.name: column.data_type for column in database.get_columns(table)}
    # The name alone means a single character.
    return {name: "bpchar" if kind == "character" else kind for name, kind in types.items()}


# > Many rows read at one moment


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
        while True:
            # A row that cannot be read shows only now.
            with peewee.__exception_wrapper__:
                rows = cursor.fetchmany(size)
            if not rows:
                return
            yield rows
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
