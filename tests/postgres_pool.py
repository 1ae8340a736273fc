"""Copies of a PostgreSQL database that tests use one after the other.

To copy a database takes a fifth of a second, to empty its tables a tenth of that. A copy is used again only
if nothing but rows was changed in it: tables, columns, rights, comments, settings and the record of
migrations are compared with those of a new copy. The template's own settings are in none.
"""

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2.sql import SQL, Identifier

from postgres_server import Server

# What a test may have changed besides rows; numbers of objects are the same in all copies.
_FINGERPRINT = """
    SELECT md5(string_agg(line, ';' ORDER BY line)) FROM (
        SELECT concat_ws(' ', 'class', c.oid, relname, relkind, relnamespace, relowner, relacl) AS line
            FROM pg_class c JOIN own ON own.oid = relnamespace
        UNION ALL SELECT concat_ws(' ', 'column', attrelid, attname, atttypid, attnotnull, atthasdef, attacl)
            FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN own ON own.oid = relnamespace
        UNION ALL SELECT concat_ws(' ', 'schema', oid, nspname, nspowner, nspacl) FROM own
        UNION ALL SELECT concat_ws(' ', 'constraint', oid, conname) FROM pg_constraint
        UNION ALL SELECT concat_ws(' ', 'trigger', oid, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat_ws(' ', 'function', oid) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'default', oid, defaclacl) FROM pg_default_acl
        UNION ALL SELECT concat_ws(' ', 'comment', objoid, objsubid, description) FROM pg_description
            WHERE objoid >= 16384
        UNION ALL SELECT concat_ws(' ', 'setting', setrole, setconfig) FROM pg_db_role_setting, this
            WHERE setdatabase = this.oid
        UNION ALL SELECT concat_ws(' ', 'database', datacl, datconnlimit) FROM this
    ) AS lines
"""
_OWN = """
    WITH own AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
        this AS (SELECT * FROM pg_database WHERE datname = current_database())
"""
_TABLES = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
"""
_ALONE = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Pool:
    """Copies of one template.

    Args:
        server: Where they are.
        template: Its name. Tables of it that have rows are compared, all others are emptied.
    """

    def __init__(self, server: Server, template: str) -> None:
        self._server, self._template = server, template
        self._copies = contextlib.ExitStack()
        self._idle = [self._copy()]
        with self._cursor(self._idle[0]) as cursor:
            tables = _tables(cursor)
            self._kept = [table for table in tables if _rows(cursor, table)]
            self._emptied = [table for table in tables if table not in self._kept]
            self._expected = self._fingerprint(cursor)

    def close(self) -> None:
        """Drop all copies."""
        self._copies.close()

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The name of a copy as good as new; another test gets it afterwards."""
        name = self._idle.pop() if self._idle else self._copy()
        yield name
        with self._cursor(name) as cursor:
            cursor.execute(_ALONE)
            if self._fingerprint(cursor) == self._expected:
                cursor.execute(SQL("TRUNCATE {} RESTART IDENTITY").format(SQL(", ").join(self._emptied)))
                self._idle.append(name)

    def _copy(self) -> str:
        return self._copies.enter_context(self._server.database(self._template))

    def _fingerprint(self, cursor) -> list:
        cursor.execute(_OWN + _FINGERPRINT)
        return [cursor.fetchone(), *(_rows(cursor, table) for table in self._kept)]

    @contextlib.contextmanager
    def _cursor(self, name: str) -> Iterator:
        connection = psycopg2.connect(self._server.url(name))
        try:
            connection.autocommit = True
            yield connection.cursor()
        finally:
            connection.close()


def _tables(cursor) -> list[Identifier]:
    cursor.execute(_TABLES)
    return [Identifier(*names) for names in cursor.fetchall()]


def _rows(cursor, table: Identifier) -> list[tuple]:
    cursor.execute(SQL("SELECT * FROM {} ORDER BY 1").format(table))
    return cursor.fetchall()
