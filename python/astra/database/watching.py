"""Statements that are executed now: none waits for long without a word, for ever, or when it is to stop.

SQLite waits in short pieces, between which Python has its turn. PostgreSQL's answer comes when it comes: a
thread looks after those who wait for one, asks in another session what is in the way, and cancels.
"""

import logging
import os
import queue
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import peewee
import psycopg2
import psycopg2.errors
import psycopg2.extensions

from astra.config import DatabaseSettings, load_settings
from astra.database import holding
from astra.errors import AstraError, StoppedWaiting, TryAgain
from astra.system.signals import draining

log = logging.getLogger("astra")

#: How long SQLite waits for other processes that write to the file [s].
SQLITE_WAIT_S = 60.0

#: The same, where a statement is not to wait so long.
at_most: ContextVar[float] = ContextVar("at_most", default=SQLITE_WAIT_S)

# One piece of that, and how often the thread looks [s].
_PIECE_S = 0.1
# What is waited for is said after the first, and again after the second [s].
_SAY_AFTER_S, _SAY_AGAIN_S = 5.0, 60.0
# A process that is to stop waits so long for what others will give back soon [s].
_GRACE_S = 0.3
# A server that does not say within this time who is in the way is frozen, or cannot be reached [s].
_ANSWER_S = 2.0

_AN_ANSWER = "an answer of the database"


class Statement:
    """One that is executed now.

    Args:
        connection: On which.
        obstacle: Finds out what is in its way, in words; ``None`` if nothing is.

    Attributes:
        ending: Why it is to end before it is done.
        is_unanswered: The server did not answer when it was asked last.
    """

    def __init__(self, connection: Any, obstacle: Callable[[], str | None]) -> None:
        self.connection, self._obstacle = connection, obstacle
        self.ending: AstraError | None = None
        self.is_unanswered = False
        self._started = time.monotonic()
        self._say_at = self._started + _SAY_AFTER_S
        self._end_at: float | None = None

    def look(self) -> bool:
        """Say what it waits for, if it has waited for long; gives whether it is to end."""
        moment = time.monotonic()
        if self.ending is not None:
            self._found()
        elif draining.is_set():
            if self._end_at is None:
                self._end_at = moment + _GRACE_S
            if moment >= self._end_at:
                self._end_at = moment + _GRACE_S
                self.ending = (found := self._found()) and StoppedWaiting(found)
        elif moment >= self._say_at:
            found, patience = self._found(), _patience_s()
            self._say_at = moment + (_SAY_AGAIN_S if found else _SAY_AFTER_S)
            if found and self.waited_s() >= patience:
                self.ending = TryAgain(f"waited {self.waited_s():.0f} s for {found}: see `astra doctor`")
            elif found:
                self._say_at = min(self._say_at, self._started + patience)
                log.warning("waiting for %s (%.0f s so far)", found, self.waited_s())
        return self.ending is not None

    def _found(self) -> str | None:
        self.is_unanswered = False
        try:
            return self._obstacle()
        except TimeoutError:
            self.is_unanswered = True
            return _AN_ANSWER

    def interrupt(self) -> None:
        """Let it end, whatever it waits for."""
        self.ending = self.ending or StoppedWaiting(_AN_ANSWER)
        if isinstance(self.connection, sqlite3.Connection):
            with suppress(sqlite3.Error):  # it is closed meanwhile
                self.connection.interrupt()

    def waited_s(self) -> float:
        """How long it has taken so far [s]."""
        return time.monotonic() - self._started


def _patience_s() -> float:
    try:
        return load_settings().database.patience
    except AstraError:  # they are being edited, or their disk is away
        return DatabaseSettings.model_fields["patience"].default


# By the number of the thread.
_now: dict[int, Statement] = {}


@contextmanager
def _watched(connection: Any, obstacle: Callable[[], str | None]) -> Iterator[Statement]:
    """Within this context, a statement is executed."""
    thread, before = threading.get_ident(), None
    statement, before = Statement(connection, obstacle), _now.get(thread)
    _now[thread] = statement
    try:
        yield statement
    finally:
        if before is None:
            del _now[thread]
        else:
            _now[thread] = before


def interrupt(thread: threading.Thread) -> None:
    """End the statement that another thread waits for, if it does."""
    if (statement := _now.get(thread.ident)) is not None:
        statement.interrupt()


def interrupt_all() -> None:
    """End all statements that threads of this process wait for."""
    for statement in list(_now.values()):
        statement.interrupt()


# > SQLite


def repeated(connection: sqlite3.Connection, execute: Callable[[], Any]) -> Any:
    """Execute a statement of SQLite again and again while other processes are in its way.

    Raises:
        StoppedWaiting: This process is to stop.
        TryAgain: They stayed for longer than the patience of the settings.
        sqlite3.OperationalError: They stayed for too long.
    """
    with _watched(connection, lambda: f"the database, to which {_writers(connection)} writes") as statement:
        while True:
            amid = connection.in_transaction
            try:
                return execute()
            except sqlite3.OperationalError as error:
                # The others, such as a snapshot that is too old, will not be better later.
                if error.sqlite_errorcode not in _BUSY or connection.in_transaction != amid:
                    raise
                if statement.look() and statement.ending:
                    raise statement.ending from error
                if statement.waited_s() > at_most.get():
                    raise sqlite3.OperationalError(f"{error} by {_writers(connection)}") from error


# SQLITE_BUSY, _RECOVERY and _TIMEOUT; Python has names only for those that its SQLite knows.
_BUSY = (5, 261, 773)


def piece(timeout: float) -> float:
    """How long SQLite itself is to wait, of the time that a caller gives it [s]."""
    return min(timeout, _PIECE_S)


def _writers(connection: sqlite3.Connection) -> str:
    (_, _, name), *_ = sqlite3.Connection.cursor(connection).execute("PRAGMA database_list")
    return holding.writers_of(Path(name)) or "another process"


# > PostgreSQL


class _Asker(threading.Thread):
    """Asks in a session of its own who is in the way; nobody looks after what it waits for."""


class WatchedCursor(psycopg2.extensions.cursor):
    """A cursor whose statements the thread looks after.

    Args:
        arguments: As of psycopg2.
        database: The database, where the thread has a session of its own to ask.
        named: As of psycopg2.
    """

    def __init__(self, *arguments: Any, database: peewee.Database, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._database = database

    def execute(self, query: Any, vars: Any = None) -> None:
        """As of psycopg2.

        Raises:
            StoppedWaiting: Others are in the way, and this process is to stop.
            TryAgain: They stayed for longer than the patience of the settings.
        """
        if isinstance(threading.current_thread(), _Asker):
            super().execute(query, vars)
            return
        _look_after_them()
        with _watched(self.connection, self._obstacle) as statement:
            try:
                super().execute(query, vars)
            except psycopg2.Error as error:
                if statement.ending is None:
                    raise
                raise statement.ending from error

    def _obstacle(self) -> str | None:
        answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        _Asker(target=lambda: answers.put(self._ask()), name="astra-asking", daemon=True).start()
        try:
            return answers.get(timeout=_ANSWER_S)
        except queue.Empty:
            raise TimeoutError from None

    def _ask(self) -> str | None:
        try:
            found = holding.waits(self._database, self.connection.get_backend_pid())
            return found[0].what if found else None
        except (peewee.PeeweeException, psycopg2.Error, AstraError) as error:
            return f"{_AN_ANSWER} (who is in the way cannot be asked: {' '.join(str(error).split())})"
        finally:
            with suppress(peewee.PeeweeException):
                self._database.close()


_starting = threading.Lock()
_thread: threading.Thread | None = None


def _look_after_them() -> None:
    global _thread
    if _thread is None:
        with _starting:
            if _thread is None:
                _thread = threading.Thread(target=_go, name="astra-watching", daemon=True)
                _thread.start()


def _go() -> None:
    end = threading.Event()
    while not end.wait(_PIECE_S):
        for thread, statement in list(_now.items()):
            on_postgresql = isinstance(statement.connection, psycopg2.extensions.connection)
            if on_postgresql and statement.look() and _now.get(thread) is statement:
                _cancel(statement)


def _cancel(statement: Statement) -> None:
    connection = statement.connection
    with suppress(psycopg2.Error, OSError):  # it is closed meanwhile
        if not statement.is_unanswered:
            connection.cancel()
            return
        # A frozen server takes no request to cancel, either; psycopg2 would let no thread go on till then.
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
