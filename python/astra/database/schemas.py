"""What is in a database, apart from rows: schemas, comments, views that keep their rights, indexes, keys.

The foreign keys are those that the database itself knows: the ones of other packages' tables are among them,
whether or not these packages are installed.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import peewee

from astra.database import waiting
from astra.database.connection import is_postgresql
from astra.errors import ConfigError

#: An index waits so long for the transactions that began before it [s]; nobody waits for the index.
INDEX_TIMEOUT_S = 30.0

_COMMENTS = """
SELECT attname, description FROM pg_attribute
JOIN pg_description ON objoid = attrelid AND objsubid = attnum AND classoid = 'pg_class'::regclass
JOIN pg_class AS commented ON commented.oid = attrelid
WHERE relnamespace = current_schema()::regnamespace AND relname = %s
"""
_SEARCHED = """
SELECT pg_has_role(datdba, 'USAGE'), quote_ident(datname), EXISTS (
    SELECT 1 FROM pg_db_role_setting, unnest(setconfig) AS setting
    WHERE setdatabase = pg_database.oid AND setrole = 0 AND starts_with(setting, 'search_path=')
)
FROM pg_database WHERE datname = current_database()
"""
_INVALID = """
SELECT 1 FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace AND relname = %s AND NOT indisvalid
"""
# Not from the information schema: it hides the keys of tables that somebody else owns.
_COLUMNS = (
    "ARRAY(SELECT attname::text FROM unnest(key.{numbers}) WITH ORDINALITY AS part (number, place) "
    "JOIN pg_attribute ON attrelid = key.{table} AND attnum = part.number ORDER BY place)"
)
_OF_POSTGRESQL = f"""
SELECT NULLIF(there.nspname, current_schema()), referring.relname,
       {_COLUMNS.format(numbers="conkey", table="conrelid")},
       NULLIF(here.nspname, current_schema()), referred.relname,
       {_COLUMNS.format(numbers="confkey", table="confrelid")},
       key.confdeltype IN ('c', 'n', 'd')
FROM pg_constraint AS key
JOIN pg_class AS referring ON referring.oid = key.conrelid
JOIN pg_namespace AS there ON there.oid = referring.relnamespace
JOIN pg_class AS referred ON referred.oid = key.confrelid
JOIN pg_namespace AS here ON here.oid = referred.relnamespace
WHERE key.contype = 'f' AND key.conparentid = 0
ORDER BY 1, 2, key.conname
"""
_OF_SQLITE = """
SELECT referring.name, key.id, key."table", key."from", key."to", key.on_delete
FROM sqlite_master AS referring JOIN pragma_foreign_key_list(referring.name) AS key
WHERE referring.type = 'table' ORDER BY referring.name, key.id, key.seq
"""


def create_schema(database: peewee.Database, name: str) -> None:
    """Create the configured schema if it is not there; SQLite has none."""
    if not is_postgresql(database):
        return
    # PostgreSQL wants the right to create even where IF NOT EXISTS finds nothing to do.
    found = database.execute_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone()
    if not found:
        database.execute_sql(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
        for statement in letting_find(database, name):
            database.execute_sql(statement)


def letting_find(database: peewee.Database, schema: str) -> list[str]:
    """The statement by which SQL of any login finds the tables of a schema without its name, after others.

    It is not a setting of the roles: a login has none of what is set for roles that it is a member of. There
    is no statement where the database has a setting already, or has another owner.
    """
    may, name, is_set = database.execute_sql(_SEARCHED).fetchone()
    path = f'"$user", public, "{schema}"'
    return [f"ALTER DATABASE {name} SET search_path = {path}"] if may and not is_set else []


def refuse_hidden_schema(database: peewee.Database) -> None:
    """PostgreSQL shows a schema that this login may not use as if it were not there.

    Raises:
        ConfigError: The configured schema is one of these.
    """
    if not is_postgresql(database):
        return
    query = (
        "SELECT nspname, current_user FROM pg_namespace "
        "WHERE nspname = current_setting('search_path') AND NOT has_schema_privilege(oid, 'USAGE')"
    )
    if found := database.execute_sql(query).fetchone():
        schema, user = found
        raise ConfigError(
            f"the login {user} may not use the schema {schema}: let its owner grant it a role of "
            "`astra init --roles`"
        )


def comment(database: peewee.Database, table: str, texts: Mapping[str, str]) -> None:
    r"""Write texts beside the columns of a table, where ``\d+`` in psql shows them; SQLite has no place.

    Those that are there already are left alone, without a lock on the table.
    """
    if not is_postgresql(database):
        return
    there = dict(database.execute_sql(_COMMENTS, (table,)).fetchall())
    others = {column: text for column, text in texts.items() if text != (there.get(column) or "")}
    if others:
        waiting.patiently(database, f"the help texts of {table}", lambda: _comment(database, table, others))


def _comment(database: peewee.Database, table: str, texts: Mapping[str, str]) -> None:
    with database.atomic():
        for column, text in texts.items():
            literal = text.replace("'", "''").replace("%", "%%")
            database.execute_sql(f"""COMMENT ON COLUMN "{table}"."{column}" IS '{literal}'""")


def is_view_of(database: peewee.Database, name: str, query: str) -> bool:
    """Whether a view is there, and is exactly that of a query whose tables are there."""
    known = {view.name: view.sql for view in database.get_views()}
    if not is_postgresql(database):
        return known.get(name) == _making_view(name, query)
    if name not in known:
        return False
    other = f"{name}_compared"
    with database.atomic() as transaction:
        # The database writes a query in its own way: so it has to write both.
        database.execute_sql(_making_view(other, query))
        definitions = "SELECT pg_get_viewdef(%s::regclass) = pg_get_viewdef(%s::regclass)"
        (same,) = database.execute_sql(definitions, (f'"{name}"', f'"{other}"')).fetchone()
        transaction.rollback()
    return same


def replace_view(database: peewee.Database, name: str, query: str) -> None:
    """Define a view anew, with the columns of before and perhaps others after them.

    On PostgreSQL it is never dropped, so that rights on it and views that rest on it stay.
    """
    if is_postgresql(database):
        database.execute_sql(f"CREATE OR REPLACE VIEW {name} AS {query}")
        return
    with database.atomic("IMMEDIATE"):
        database.execute_sql(f"DROP VIEW IF EXISTS {name}")
        database.execute_sql(_making_view(name, query))


def _making_view(name: str, query: str) -> str:
    return f"CREATE VIEW {name} AS {query}"


def build_index(
    database: peewee.Database, table: str, columns: Sequence[str], name: str, *, unique: bool = False
) -> None:
    """Build an index in a migration, if it is not there: on PostgreSQL while others write to the table.

    What a kill, or a refusal, has left of it on PostgreSQL is dropped, and built again.

    Args:
        database: The open database.
        table: The table.
        columns: Its columns.
        name: Its name; peewee's is the model's class in lower case, then the columns, joined by ``_``.
        unique: Whether no two rows may have the same values.

    Raises:
        ConfigError: A transaction is open: the migration has to say ``atomic = False``.
    """
    if database.in_transaction():
        raise ConfigError(f"index {name}: a migration that builds one says `atomic = False`")
    kind = "UNIQUE INDEX" if unique else "INDEX"
    concurrently = "CONCURRENTLY " if is_postgresql(database) else ""
    listed = ", ".join(f'"{column}"' for column in columns)
    with waiting.short_waits(database, INDEX_TIMEOUT_S):
        if concurrently and database.execute_sql(_INVALID, (name,)).fetchone():
            database.execute_sql(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
        database.execute_sql(f'CREATE {kind} {concurrently}IF NOT EXISTS "{name}" ON "{table}" ({listed})')


# > Foreign keys: which tables refer to which others


class TableName(NamedTuple):
    """The name of a table, and its schema if that is not the configured one."""

    name: str
    schema: str | None = None

    def __str__(self) -> str:
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    def of(self, database: peewee.Database) -> peewee.Table:
        """The table, for queries."""
        return peewee.Table(self.name, schema=self.schema, _database=database)


@dataclass(frozen=True)
class ForeignKey:
    """Columns of one table that refer to columns of another.

    Attributes:
        table: The table that refers.
        columns: Its columns.
        referred: The table that it refers to.
        referred_columns: The columns there, in the same order.
        acts_on_delete: Whether the database itself deals with the rows here when one there is deleted: it
            deletes them, or takes their reference away.
    """

    table: TableName
    columns: tuple[str, ...]
    referred: TableName
    referred_columns: tuple[str, ...]
    acts_on_delete: bool


def read_foreign_keys(database: peewee.Database) -> list[ForeignKey]:
    """All foreign keys of a database, also those that this login may not use."""
    if not is_postgresql(database):
        return _of_sqlite(database)
    return [
        ForeignKey(TableName(name, schema), tuple(columns), TableName(other, its_schema), tuple(theirs), acts)
        for schema, name, columns, its_schema, other, theirs, acts in database.execute_sql(_OF_POSTGRESQL)
    ]


def _of_sqlite(database: peewee.Database) -> list[ForeignKey]:
    # A key may spell the name of a table in another case than the table does.
    spelled = {name.lower(): name for name in database.get_tables()}
    found = []
    rows = database.execute_sql(_OF_SQLITE).fetchall()
    for (name, _), parts in itertools.groupby(rows, key=lambda row: row[:2]):
        _, _, others, columns, theirs, actions = zip(*parts, strict=True)
        other = spelled.get(others[0].lower(), others[0])
        if None in theirs:
            theirs = database.get_primary_keys(other)
        acts = actions[0] in ("CASCADE", "SET NULL", "SET DEFAULT")
        found.append(ForeignKey(TableName(name), columns, TableName(other), tuple(theirs), acts))
    return found
