"""Sessions of PostgreSQL: what each is set to, and whether it lasts as long as its connection.

All is set after connecting, since proxies pass on few parameters of a connection. A server tells the number
of the session's process when it connects; a proxy tells another one. So one statement is enough without a
proxy: it sets nothing if the numbers differ. Then it is found out whether connections keep their sessions
before anything is set, for otherwise the settings would reach the sessions of others.
"""

import os
import re
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, ClassVar

import peewee
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, parse_dsn

from astra.database.watching import WatchedCursor
from astra.errors import ConfigError, DatabaseUnreachable
from astra.system.signals import draining

#: What is wrong, and what to do, where a session does not last.
POOLED = (
    "a proxy between astra and PostgreSQL gives each transaction another session (pgbouncer: pool_mode = "
    "transaction); connect to the server itself, or with pool_mode = session"
)

#: Settings that results, locks and times depend on, whatever those of the login and the database are.
PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "default_transaction_isolation": "read committed",
    # All digits of a number; before version 12 only with 3.
    "extra_float_digits": "3",
}

# Both ends notice within 40 s that the other one is gone: by keepalives [s], which are not sent while an
# answer is due, or because that answer does not come [ms].
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 10, "keepalives_count": 3}
_UNANSWERED = {"tcp_user_timeout": 40_000}

# Of a session, unless `options` name them: the limits of a login are for people, not for programs.
_YIELDING = {
    "statement_timeout": 0,
    "lock_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 0,
    "transaction_timeout": 0,
    **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
    **_UNANSWERED,
}
# The first version that has them.
_SINCE = {"idle_session_timeout": 14_00_00, "transaction_timeout": 17_00_00}

_SET_UP = """
SELECT pg_catalog.set_config(name, value, false) FROM (VALUES {values}) AS pinned (name, value) WHERE {own};
SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_schema()
"""
_PID = "SELECT pg_catalog.pg_backend_pid()"
_NAMED = re.compile(r"(?:^|\s)(?:-c\s*|--)([\w.-]+)=")
_DROPPED = """
SELECT string_agg(name, ', ' ORDER BY name) FROM pg_catalog.pg_settings
WHERE lower(name) = ANY(%s) AND source NOT IN ('client', 'session')
"""
# Proxies change it in no session themselves.
_LEFT = "SELECT source = 'session' FROM pg_catalog.pg_settings WHERE name = 'extra_float_digits'"

# A proxy that keeps no sessions gives these connections and the first the same ones in turn: surely where it
# is idle, or has fewer sessions than they are; where it is busy, only chance could keep them apart in all
# rounds.
_OTHERS = 3
_ROUNDS = 5
# A process that is to stop waits so long for a new session, as the server may be frozen: the least that libpq
# takes [s].
_CONNECT_AT_THE_END_S = 2
# How long to wait for another connection, and for its answer while the first one is answered [s].
_CONNECT_S = 10.0
_ANSWER_S = 0.5


class Sessions(peewee.PostgresqlDatabase):
    """A PostgreSQL database whose sessions are all set up alike.

    Args:
        address: Its name or address.
        schema: The schema that the tables are in; it need not exist yet.
        read_only: Let the server refuse every change.
        parameters: Of the connection, for libpq; the address has others.
    """

    # The servers and proxies at which connections keep their sessions, as far as this process has found out.
    _lasting: ClassVar[set[tuple[Any, ...]]] = set()

    def __init__(self, address: str, schema: str, *, read_only: bool = False, **parameters: Any) -> None:
        ours = {"connect_timeout": os.environ.get("PGCONNECT_TIMEOUT", 10), "keepalives": 1}
        said = parse_dsn(address) if "://" in address else {}
        chosen = ours | _KEEPALIVES | _UNANSWERED
        defaults = {name: value for name, value in chosen.items() if name not in said}
        parameters = defaults | {"fallback_application_name": "astra", "client_encoding": "utf8"} | parameters
        super().__init__(address, **parameters)
        self._parameters = self.connect_params
        self._schema = schema
        self._pinned = PINNED | {"search_path": schema}
        if read_only:
            self._pinned["default_transaction_read_only"] = "on"

    def _connect(self) -> Any:
        short = {"connect_timeout": _CONNECT_AT_THE_END_S} if draining.is_set() else {}
        self.connect_params = self._parameters | short
        connection = super()._connect()
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        connection.cursor_factory = partial(WatchedCursor, database=self)
        return connection

    def _prepare(self, connection: Any) -> None:
        asked = named_in(connection.info.options)
        values = self._pinned | {
            name: value
            for name, value in _YIELDING.items()
            if name not in asked and connection.server_version >= _SINCE.get(name, 0)
        }
        info = connection.info
        there = (info.host, info.port, info.dbname, info.user)
        own = "true" if there in self._lasting else f"pg_catalog.pg_backend_pid() = {info.backend_pid}"
        pid, schema = _set_up(connection, values, own)
        if own != "true" and pid != info.backend_pid:
            _refuse_shared(connection)
            _refuse_altered(connection, asked)
            self._lasting.add(there)
            _, schema = _set_up(connection, values, "true")
        if schema not in (None, self._schema):  # None: it does not exist yet, or is hidden from this login
            raise ConfigError(
                f"asked PostgreSQL for the schema {self._schema} and got {schema}: a proxy between astra and "
                "PostgreSQL drops what a session sets; connect to the server itself"
            )


def named_in(options: str | None) -> list[str]:
    """The settings that libpq's ``options`` name, in lower case."""
    return [name.lower().replace("-", "_") for name in _NAMED.findall(options or "")]


def _set_up(connection: Any, values: Mapping[str, Any], own: str) -> tuple[int, str | None]:
    marks = ", ".join(["(%s, %s)"] * len(values))
    with connection.cursor() as cursor:
        parameters = [str(part) for pair in values.items() for part in pair]
        cursor.execute(_SET_UP.format(values=marks, own=own), parameters)
        return cursor.fetchone()


def _refuse_altered(connection: Any, asked: list[str]) -> None:
    """Refuse a proxy that drops what ``options`` ask for, or leaves in a session what others have set."""
    with connection.cursor() as cursor:
        cursor.execute(_DROPPED, (asked,))
        (dropped,) = cursor.fetchone()
        cursor.execute(_LEFT)
        (is_left,) = cursor.fetchone()
    if dropped:
        raise ConfigError(
            f"a proxy between astra and PostgreSQL drops {dropped} from `options` of the address, of "
            "PGOPTIONS or of the service: set it with ALTER ROLE instead, or connect to the server itself"
        )
    if is_left:
        raise ConfigError(
            "a proxy between astra and PostgreSQL hands on sessions with the settings and locks of others "
            "(pgbouncer: server_reset_query is empty); set it to DISCARD ALL, or connect to the server itself"
        )


def _refuse_shared(connection: Any) -> None:
    """Refuse a proxy at which a session is not its connection's alone for as long as that is open."""
    with connection.cursor() as first, ExitStack() as stack:
        others = [stack.enter_context(closing(_another(connection))).cursor() for _ in range(_OTHERS)]
        seen: dict[Any, int] = {}
        for cursor, pid in _asked_in_turn(first, others):
            if pid != seen.setdefault(cursor, pid) or len(set(seen.values())) < len(seen):
                raise ConfigError(f"this connection has no session of its own: {POOLED}")


def _asked_in_turn(first: Any, others: list[Any]) -> Iterator[tuple[Any, int]]:
    """The numbers of the processes that answer cursors of several connections, each of them often."""
    for number in range(_ROUNDS):
        # There and back: else a proxy that gives its sessions out in a circle could come round to the same.
        for cursor in [first, *others] if number % 2 else [*reversed(others), first]:
            pid = _pid(cursor, _ANSWER_S)
            if pid is None:
                yield first, _pid(first, 0)
                pid = _pid(cursor, 0)
            if pid is None:
                # The first was served before it, out of turn: it has a session, and no other one is free.
                others.remove(cursor)
            else:
                yield cursor, pid


def _pid(cursor: Any, wait_s: float) -> Any:
    """The number of the process that answers; ``None`` if another connection than the first has to wait."""
    if not cursor.connection.isexecuting():
        cursor.execute(_PID)
    return cursor.fetchone()[0] if _is_ready(cursor.connection, wait_s) else None


def _another(connection: Any) -> Any:
    """One more connection to where this one leads, which waits for nothing by itself."""
    info = connection.info
    parameters = info.dsn_parameters | {"host": info.host, "port": info.port, "password": info.password}
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        if end.family != socket.AF_UNIX:  # of several machines and addresses, the same one
            parameters["hostaddr"] = end.getpeername()[0]
    another = psycopg2.connect(**parameters, async_=True)
    if not _is_ready(another, _CONNECT_S):
        another.close()
        raise DatabaseUnreachable(f"a proxy gives no second connection within {_CONNECT_S:g} s")
    return another


def _is_ready(connection: Any, wait_s: float) -> bool:
    """Whether a connection has done what it was asked for; only those that do not wait can be behind."""
    until = time.monotonic() + wait_s
    while connection.async_ and (state := connection.poll()) != POLL_OK:
        poll = select.poll()  # whatever the number of the file: select.select ends at 1024
        poll.register(connection, select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poll.poll(1000 * max(0.0, until - time.monotonic())):
            return False
    return True
