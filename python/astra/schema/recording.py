"""What a migration would execute: its statements, taken down by a stand-in of the database."""

import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import peewee
from playhouse.migrate import SchemaMigrator

from astra.database.connection import database as configured
from astra.database.connection import is_postgresql

# What a migration may read while it is only recorded: the catalogue, and settings.
_CATALOGUE = re.compile(
    r"\s*(SELECT|WITH)\b.*(\bpg_|sqlite_master|information_schema|pragma_|current_setting)"
    r"|\s*PRAGMA \w+(\(|$)",
    re.DOTALL | re.IGNORECASE,
)
# What belongs to no table: transactions, settings, questions about rows.
_SILENT = re.compile(r"\s*(SELECT|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK|SET|RESET)\b", re.IGNORECASE)


def record(database: peewee.Database, module: ModuleType) -> list[str]:
    """The statements of a migration, each on one line, in their order.

    Nothing is changed. What the migration asks of rows has no answer; what it asks of the catalogue has.

    Raises:
        Exception: Whatever a migration raises that does not get by with that.
    """
    stand_in = (_OfPostgresql if is_postgresql(database) else _OfSqlite)(database)
    # A migration may make tables by models of ours.
    bound = configured.obj
    configured.initialize(stand_in)
    try:
        module.up(SchemaMigrator.from_database(stand_in), stand_in)
    finally:
        configured.initialize(bound)
    return stand_in.statements


class _Empty:
    """The answer to a statement that was not executed."""

    description, rowcount, lastrowid = (), 0, None

    def fetchone(self) -> None:
        return None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return []

    def __iter__(self) -> Any:
        return iter(())


class _Recorder:
    def __init__(self, behind: peewee.Database) -> None:
        super().__init__("recorded")
        self._behind = behind
        self.statements: list[str] = []
        self.server_version = behind.server_version

    def execute_sql(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        if _CATALOGUE.match(sql):
            # One that fails leaves the transaction around all of this intact.
            with self._behind.atomic():
                return self._behind.execute_sql(sql, params)
        if not _SILENT.match(sql):
            self.statements.append(" ".join(sql.split()))
        return _Empty()

    def begin(self, *_: Any) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...

    def cursor(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("statements beside execute_sql are not recorded")


class _OfPostgresql(_Recorder, peewee.PostgresqlDatabase):
    pass


class _OfSqlite(_Recorder, peewee.SqliteDatabase):
    pass
