"""SQL that the two databases spell differently."""

import re

import peewee

from astra.database.connection import is_postgresql


def locked(query: peewee.ModelSelect) -> peewee.ModelSelect:
    """The query, with its rows locked until the transaction ends; SQLite has one writer at a time anyway."""
    return query.for_update() if is_postgresql(query.model._meta.database) else query


def until(database: peewee.Database, text: peewee.Field, separator: str) -> peewee.Expression:
    """The part of a text before a separator; all of it where there is none."""
    if is_postgresql(database):
        return peewee.fn.split_part(text, separator, 1)
    return peewee.fn.substr(text, 1, peewee.fn.instr(text.concat(separator), separator) - 1)


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
    parts = re.findall(r"\\?.", pattern, re.DOTALL)
    return peewee.Expression(
        text, "GLOB", peewee.Value("".join(wild.get(part) or _literal(part) for part in parts))
    )


def _literal(part: str) -> str:
    return f"[{part[-1]}]" if part[-1] in "*?[" else part[-1]


def next_key(database: peewee.Database) -> peewee.SQL | None:
    """What to insert as a primary key that the database shall choose."""
    return peewee.SQL("DEFAULT") if is_postgresql(database) else None


def differs(database: peewee.Database, one: str, other: str) -> str:
    """SQL for whether two values differ; two that are absent do not."""
    return f"{one} {'IS DISTINCT FROM' if is_postgresql(database) else 'IS NOT'} {other}"
