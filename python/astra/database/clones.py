"""Tables that are like another one: its columns, indexes, foreign keys and rights, but not its rows."""

import re

import peewee

from astra.database.connection import is_postgresql
from astra.errors import StorageError

_NAME = r'(?:"[^"]*"|\[[^\]]*\]|`[^`]*`|[^\s(]+)'
_SQLITE_TABLE = re.compile(rf"CREATE TABLE\s+{_NAME}", re.IGNORECASE)
_SQLITE_INDEX = re.compile(rf"CREATE (UNIQUE )?INDEX\s+{_NAME}\s+ON\s+{_NAME}", re.IGNORECASE)

_FOREIGN_KEYS = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype = 'f' ORDER BY conname
"""
_RIGHTS = """
SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
       string_agg(privilege_type, ', ')
FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner GROUP BY grantee
"""
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def clone_table(database: peewee.Database, table: str, clone: str) -> None:
    """Make an empty table like another one, within a transaction.

    On PostgreSQL both take their keys from one sequence where the first has one, so that no key is in both.

    Args:
        database: The open database.
        table: The table that is there.
        clone: The name of the new one.
    """
    if not is_postgresql(database):
        _clone_in_sqlite(database, table, clone)
        return
    database.execute_sql(f'CREATE TABLE "{clone}" (LIKE "{table}" INCLUDING ALL)')
    for (definition,) in database.execute_sql(_FOREIGN_KEYS, (f'"{table}"',)).fetchall():
        database.execute_sql(f'ALTER TABLE "{clone}" ADD {definition}')
    copy_rights(database, table, clone)


def _clone_in_sqlite(database: peewee.Database, table: str, clone: str) -> None:
    query = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL ORDER BY name"
    ((sql,),) = database.execute_sql(query, (table, "table"))
    database.execute_sql(_SQLITE_TABLE.sub(f'CREATE TABLE "{clone}"', sql, count=1))
    indexes = database.execute_sql(query, (table, "index")).fetchall()
    for number, (sql,) in enumerate(indexes, 1):
        head = rf'CREATE \g<1>INDEX "{clone}_{number}" ON "{clone}"'
        database.execute_sql(_SQLITE_INDEX.sub(lambda m, head=head: m.expand(head), sql, count=1))


def copy_rights(database: peewee.Database, table: str, other: str) -> None:
    """Give everybody the rights on a table or view that they have on another; SQLite has none."""
    if not is_postgresql(database):
        return
    for grantee, _ in database.execute_sql(_RIGHTS, (f'"{other}"',)).fetchall():
        database.execute_sql(f'REVOKE ALL ON "{other}" FROM {grantee}')
    for grantee, rights in database.execute_sql(_RIGHTS, (f'"{table}"',)).fetchall():
        database.execute_sql(f'GRANT {rights} ON "{other}" TO {grantee}')


def missing_columns(database: peewee.Database, table: str, clone: str) -> list[tuple[str, str]]:
    """The columns that a table has got since it was cloned: their names and types."""
    if is_postgresql(database):
        of_table, of_clone = (
            dict(database.execute_sql(_COLUMNS, (f'"{name}"',)).fetchall()) for name in (table, clone)
        )
    else:
        of_table, of_clone = (
            {column.name: column.data_type for column in database.get_columns(name)}
            for name in (table, clone)
        )
    return [(name, kind) for name, kind in of_table.items() if name not in of_clone]


def refuse_others(database: peewee.Database, table: str) -> None:
    """Let nobody but the owner of a table go on; SQLite has no owners.

    Raises:
        StorageError: This login is not the owner, nor a member of that role.
    """
    if not is_postgresql(database):
        return
    query = (
        "SELECT current_user, pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE') "
        "FROM pg_class WHERE oid = %s::regclass"
    )
    user, owner, may = database.execute_sql(query, (f'"{table}"',)).fetchone()
    if not may:
        raise StorageError(f"the login {user} does not own the table {table}: let {owner} do this")
