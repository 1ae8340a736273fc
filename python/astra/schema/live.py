"""Migrations of tables that others use: one transaction each, which never waits long for a lock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType

import peewee
from playhouse.migrations import Runner

from astra.database.connection import is_postgresql
from astra.database.waiting import BREATH_S, MANY_LOCKS_TIMEOUT_S, patiently
from astra.schema.upstream import views_aside


class LiveRunner(Runner):
    """Migrations, each of which gives way where others have its tables, and is tried again as a whole.

    One that says ``atomic = False`` is not a transaction: started again, it goes on where it ended.

    Attributes:
        timeout_s: How long one statement waits for a lock [s].
    """

    timeout_s = MANY_LOCKS_TIMEOUT_S
    _pause_s = 0.0

    def up(self, target: str | None = None, fake: bool = False) -> list[str]:
        """As in peewee; nobody waits for two migrations in a row, nor for none."""
        if target is None and all(each.applied or each.path is None for each in self.status()):
            return []
        self._pause_s = BREATH_S if self.applied() and is_postgresql(self.database) else 0.0
        return super().up(target, fake)

    def _run(self, name: str, module: ModuleType, direction: str, fake: bool = False) -> None:
        patiently(
            self.database, name, lambda: self._once(name, module, direction, fake), timeout_s=self.timeout_s
        )
        time.sleep(self._pause_s)

    def _once(self, name: str, module: ModuleType, direction: str, fake: bool) -> None:
        is_one = getattr(module, "atomic", True) and not is_postgresql(self.database)
        with _immediate(self.database) if is_one else nullcontext():
            super()._run(name, module, direction, fake)


@contextmanager
def _immediate(database: peewee.Database) -> Iterator[None]:
    """A transaction of SQLite that has the lock for writing from its beginning, without foreign keys.

    Within it, upstream's names are not in the way of a table that is built anew.
    """
    # In a transaction, this setting would have no effect: a table that is built anew would take rows with it.
    enforced = database.pragma("foreign_keys")
    database.pragma("foreign_keys", 0)
    try:
        with database.atomic("IMMEDIATE"), views_aside(database):
            yield
    finally:
        database.pragma("foreign_keys", enforced)
