"""SQL for the tests of roles, in a session of its own, as whom an address names."""

import contextlib

import psycopg2


def sql(url: str, *statements: str) -> list[tuple]:
    """Executes statements, each for itself; gives the rows of the last."""
    with contextlib.closing(psycopg2.connect(url, options="-c search_path=astra")) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def quoted(name: str) -> str:
    """An identifier in quotes."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
