"""Locks between processes: one at a time changes the schema, claims work, or changes inputs.

On PostgreSQL they are advisory locks. SQLite has one writer at a time anyway; there, only a change of the
schema, which takes several transactions, takes a locked file beside the database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import peewee
from filelock import FileLock

from astra.database.connection import is_postgresql, now, writing
from astra.errors import StorageError

_SCHEMA_LOCK = 0x61737472_696E6974
# Of whoever changes inputs, and of whoever asks for a settled moment.
_INPUTS_LOCK = 0x61737472_61696E70
# Of whoever claims, of each schema and task its own. A process that is halted while it has it (Ctrl-Z, a
# frozen machine) would keep all others waiting: after a while the server ends its session.
_CLAIM_LOCK = (
    "SELECT set_config('idle_in_transaction_session_timeout', %s, true), "
    "pg_advisory_xact_lock(hashtext('astra claim ' || current_schema()), hashtext(%s))"
)

#: How long a transaction that claims may be idle [s].
CLAIM_IDLE_S = 30


@contextmanager
def changing_schema(database: peewee.Database) -> Iterator[None]:
    """One at a time changes the schema, or who may use it.

    Raises:
        StorageError: This user may not write beside the file of the database.
    """
    # Not one transaction around all of it: each migration has its own, and is kept when it is done.
    if is_postgresql(database):
        database.execute_sql("SELECT pg_advisory_lock(%s)", (_SCHEMA_LOCK,))
        try:
            yield
        finally:
            database.execute_sql("SELECT pg_advisory_unlock(%s)", (_SCHEMA_LOCK,))
        return
    file = Path(database.database)
    try:
        with FileLock(file.with_name(f".{file.name}.init.lock")):
            yield
    except OSError as error:
        raise StorageError(f"cannot write beside the database {file}: {error.strerror}") from error


@contextmanager
def changing_claims(database: peewee.Database, task: str) -> Iterator[None]:
    """One transaction, as of ``writing``, that sees what all claims of a task before it have changed."""
    with writing(database):
        if is_postgresql(database):
            database.execute_sql(_CLAIM_LOCK, (f"{CLAIM_IDLE_S}s", task))
        yield


@contextmanager
def changing_inputs(database: peewee.Database) -> Iterator[None]:
    """One transaction, as of ``writing``, that changes sources or spectra (see ``settled_now``).

    What it has read stays true until it has written.
    """
    with writing(database):
        if is_postgresql(database):
            database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_INPUTS_LOCK,))
        yield


def settled_now(database: peewee.Database) -> datetime:
    """A moment before which every change of inputs is visible.

    A transaction that changes a spectrum stamps the change when it is made, and others see it when
    it commits. Work that reads between the two would take the old spectrum for the newer one, so
    this waits for such transactions, and those that follow carry later stamps.
    """
    if is_postgresql(database):
        with database.atomic():
            database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_INPUTS_LOCK,))
            return now(database)
    with database.atomic("IMMEDIATE"):
        return now(database)
