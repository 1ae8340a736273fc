"""A lost connection is made again, for as long as the settings say, and not for a process that shall stop."""

import os
import threading
import time

import peewee
import pytest
from builders import on_postgresql

from astra.database.connection import database
from astra.database.reconnecting import draining, persistent
from astra.errors import DatabaseUnreachable, StorageError


@pytest.fixture(autouse=True)
def patient():
    """Whatever a test asks for, the next one starts with patience."""
    yield
    draining.clear()


def _failing(times, error):
    calls = []

    def operation():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    return operation


@pytest.mark.parametrize(
    "error", [DatabaseUnreachable("away"), peewee.InterfaceError("connection already closed")]
)
def test_what_failed_for_want_of_a_connection_is_done_again(db, caplog, error):
    assert persistent(_failing(2, error)) == 3
    assert [record.getMessage().split(";")[1][:17] for record in caplog.records] == [" trying again in "] * 2


def test_a_refusal_is_not_repeated(db):
    operation = _failing(1, StorageError("full"))

    with pytest.raises(StorageError, match="full"):
        persistent(operation)

    assert operation() == 2


def test_a_server_that_stays_away_is_not_waited_for_for_ever(db, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PATIENCE", "0.5")

    with pytest.raises(DatabaseUnreachable, match="away"):
        persistent(_failing(1000, DatabaseUnreachable("away")))


def test_a_process_that_shall_stop_waits_for_no_server(db):
    threading.Timer(0.3, draining.set).start()
    started = time.monotonic()

    with pytest.raises(DatabaseUnreachable, match="away"):
        persistent(_failing(1000, DatabaseUnreachable("away")))

    assert time.monotonic() - started < 5


@on_postgresql  # SQLite has no sessions
def test_a_session_that_the_server_ended_is_followed_by_another_one(db):
    (pid,) = database.execute_sql("SELECT pg_backend_pid()").fetchone()
    import psycopg2

    other = psycopg2.connect(os.environ["ASTRA_DATABASE_URL"])
    other.cursor().execute("SELECT pg_terminate_backend(%s)", (pid,))
    other.close()

    assert persistent(lambda: database.execute_sql("SELECT pg_backend_pid()").fetchone()) != (pid,)
