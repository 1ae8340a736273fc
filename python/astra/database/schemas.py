"""What a migration cannot do alike on both databases: schemas, comments, and views that keep their rights."""

from collections.abc import Mapping

import peewee

from astra.database.connection import is_postgresql
from astra.errors import ConfigError


def create_schema(database: peewee.Database, name: str) -> None:
    """Create the configured schema if it is not there; SQLite has none."""
    if not is_postgresql(database):
        return
    # PostgreSQL wants the right to create even where IF NOT EXISTS finds nothing to do.
    found = database.execute_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone()
    if not found:
        database.execute_sql(f'CREATE SCHEMA IF NOT EXISTS "{name}"')


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
    r"""Write texts beside the columns of a table, where ``\d+`` in psql shows them; SQLite has no place."""
    if not is_postgresql(database):
        return
    for column, text in texts.items():
        literal = text.replace("'", "''").replace("%", "%%")
        database.execute_sql(f"""COMMENT ON COLUMN "{table}"."{column}" IS '{literal}'""")


def replace_view(database: peewee.Database, name: str, query: str) -> None:
    """Define a view anew, with the columns of before and perhaps others after them.

    On PostgreSQL it is never dropped, so that rights on it and views that rest on it stay.
    """
    if is_postgresql(database):
        database.execute_sql(f"CREATE OR REPLACE VIEW {name} AS {query}")
        return
    with database.atomic("IMMEDIATE"):
        database.execute_sql(f"DROP VIEW IF EXISTS {name}")
        database.execute_sql(f"CREATE VIEW {name} AS {query}")
