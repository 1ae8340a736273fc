"""The server: datasette over a database, for the browsers of this machine.

Nothing can be written through it. A SQLite file is opened anew for reading (``mode=ro``): its log is read as
well, so pages show what a run has just written, and a run neither waits nor fails. ``immutable`` leaves the
log out, and shows damaged pages when it is written back: only a file without one, where none can be made, is
opened so, and no longer shown when it changes.
"""

import os
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import peewee
import uvicorn
from datasette import hookimpl
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm
from datasette.utils.asgi import Response
from datasette.utils.sqlite import sqlite3

from astra.database.connection import described, is_postgresql
from astra.database.functions import SQLITE_FUNCTIONS
from astra.database.sqlite import SQLITE_WAIT_S, address_of, state_of
from astra.errors import UsageError
from astra.models.base import BaseModel
from astra.models.fields import Kind, kind_of
from astra.serve.copying import Copy, copy_database
from astra.serve.counting import CountedTogether
from astra.serve.describing import described_models, description
from astra.serve.rendering import Cells

HOST = "127.0.0.1"
#: That of datasette; another one where it is taken, and none was asked for.
PORT = 8001

_SETTINGS = {
    # A page is made anew whenever it is opened: somebody may be writing.
    "default_cache_ttl": 0,
    # One person waits for it, and asks for nothing twice.
    "sql_time_limit_ms": 60_000,
    "facet_time_limit_ms": 60_000,
    "max_returned_rows": 5_000,
    "max_csv_mb": 0,
    # They would read every one of a hundred columns; what is worth counting is known.
    "suggest_facets": False,
    "allow_download": False,
}
# How a browser calls this machine. Any other name is one that a page elsewhere has given it, to read along.
_NAMES = (HOST, "localhost")
# Seconds in which pages that are being made are finished after Ctrl-C.
_GRACE_S = 1
# Converts a number in a filter to that of a column, as a column of a table does.
_CASTS = {Kind.LOGICAL: "INTEGER", Kind.DOUBLE: "REAL"}


@dataclass(frozen=True)
class Served:
    """What is to be served.

    Attributes:
        path: A SQLite file.
        name: What it is called in addresses.
        metadata: What datasette is told of it.
        models: The models of its tables and views.
        views: Those of ``models`` that are views in this file.
        copy: The copy that was made; ``None`` where the file is the database.
    """

    path: Path
    name: str
    metadata: Mapping[str, Any]
    models: Mapping[str, type[BaseModel]]
    views: frozenset[str]
    copy: Copy | None


#: Shows how far a copy is: entered, it gives a function that takes the rows that are copied, and their total.
Progress = Callable[[], AbstractContextManager[Callable[[int, int | None], None]]]


@contextmanager
def prepared(database: peewee.Database, progress: Progress, *, copied: bool = False) -> Iterator[Served]:
    """What is to be served of an open database: the SQLite file itself, or a copy that is removed at the end.

    Args:
        database: The database, to which the models are bound.
        progress: Shows how far a copy is.
        copied: Make a copy of a SQLite file too.

    Raises:
        DatabaseUnreachable: The connection was lost while it was copied.
        StorageError: It cannot be copied.
    """
    models, about = described_models(), described(database)
    if not (copied or is_postgresql(database)):
        path = Path(database.database)
        views = frozenset(view.name for view in database.get_views()) & models.keys()
        metadata = description(database, path.stem, f"{about}, as it is now", models)
        yield Served(path, path.stem, metadata, models, views, None)
        return
    with tempfile.TemporaryDirectory(prefix="astra-serve-") as folder:
        name = _name_of(database)
        with progress() as update:
            made = copy_database(database, Path(folder) / f"{name}.db", models, update)
        about = f"A copy of the {about}, as it was at {made.moment:%Y-%m-%d %H:%M:%S} UTC"
        yield Served(made.path, name, description(database, name, about, models), models, frozenset(), made)


def _name_of(database: peewee.Database) -> str:
    if is_postgresql(database):
        return database.execute_sql("SELECT current_database()").fetchone()[0].replace("/", "_")
    return Path(database.database).stem


def serve(served: Served, port: int | None, on_ready: Callable[[str], None], *, opened: bool = False) -> None:
    """Serve until Ctrl-C, or until the system asks for the end.

    Args:
        served: What is served.
        port: The port; 0 takes a free one, ``None`` takes 8001 if it is free.
        on_ready: Takes the address, once it answers.
        opened: Open it in the browser.

    Raises:
        UsageError: The port is taken, or may not be used.
    """
    with _socket(port) as listening, site_of(served) as site:
        address = f"http://{HOST}:{listening.getsockname()[1]}{site.urls.database(served.name)}"

        def ready() -> None:
            on_ready(address)
            if opened:
                webbrowser.open(address)

        options = {"log_level": "warning", "log_config": None, "timeout_graceful_shutdown": _GRACE_S}
        interrupt = site.databases[served.name].interrupt
        server = _Server(uvicorn.Config(site.app(), **options), ready, interrupt)
        # The signal that ended the server comes once more.
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


@contextmanager
def site_of(served: Served) -> Iterator[Datasette]:
    """Datasette over what is served; at the end its connections are closed."""
    # Imported only now: before datasette.app, it would not find its own plugins.
    from datasette import handle_exception

    # The page says what is wrong with a query; the terminal need not show it with all variables of datasette.
    handle_exception.rich = None
    plugin = _Plugin(served.models)
    pm.register(plugin)
    site = Datasette(
        files=[str(served.path)],
        metadata=served.metadata,
        settings=_SETTINGS,
        static_mounts=[("look", str(Path(__file__).parent / "static"))],
    )
    # In place of the one that datasette makes of the file.
    for name in [name for name in site.databases if not name.startswith("_")]:
        site.remove_database(name)
    database = _ReadOnly(site, served)
    site.add_database(database, name=served.name)
    try:
        yield site
    finally:
        pm.unregister(plugin)
        site.executor.shutdown(cancel_futures=True)
        database.close()


def _socket(port: int | None) -> socket.socket:
    listening = socket.socket()
    # As uvicorn does by itself: the port of one that has just ended is free.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, PORT if port is None else port))
    except OSError as error:
        if port is not None:
            listening.close()
            raise UsageError(
                f"--port {port}: {error.strerror}; name another one, or 0 for any that is free"
            ) from error
        listening.bind((HOST, 0))
    return listening


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, remove what there is to remove, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def terminate(number: int, frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGTERM, end), (signal.SIGHUP, terminate))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Says when it answers, and gives up queries when it is to end."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], interrupt: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready, self._interrupt = ready, interrupt

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._interrupt()
        await super().shutdown(sockets)


class _ReadOnly(Database):
    """A SQLite file that can only be read."""

    def __init__(self, site: Datasette, served: Served) -> None:
        super().__init__(site, path=str(served.path))
        self._address, self._state = address_of(served.path)
        self._casts = [_cast(name, served.models[name]) for name in sorted(served.views)]

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """A connection for one thread; there is none to write."""
        made = sqlite3.connect(self._address, uri=True, check_same_thread=False, timeout=SQLITE_WAIT_S)
        for name, function in SQLITE_FUNCTIONS.items():
            made.create_function(name, 1, function, deterministic=True)
        for statement in self._casts:
            made.execute(statement)
        self._all_file_connections.append(made)
        return made

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], Any]) -> Any:
        """What a function finds, unless somebody changes a file that is open as one that nobody changes."""
        if self._state not in (None, state_of(Path(self.path))):
            raise sqlite3.OperationalError(f"{self.path} was changed since: start `astra serve` again")
        return await super().execute_fn(fn)

    async def attached_databases(self) -> list[Any]:
        """None: where the views with types are is nobody's business."""
        return []

    def interrupt(self) -> None:
        """Give up the queries that are going on."""
        for connection in self._all_file_connections:
            connection.interrupt()


def _cast(view: str, model: type[BaseModel]) -> str:
    """SQL for a view of one connection that takes the place of another, with types for what is computed.

    An address has only texts. SQLite compares a text with a column of numbers as a number; what a view
    computes is not a column, and any number would be less than any text.
    """
    types = {column: _CASTS.get(kind_of(field)) for column, field in model._meta.columns.items()}
    columns = [
        f'CAST("{name}" AS {type_}) AS "{name}"' if type_ else f'"{name}"' for name, type_ in types.items()
    ]
    return f'CREATE TEMP VIEW "{view}" AS SELECT {", ".join(columns)} FROM main."{view}"'


class _Plugin:
    """What datasette asks of this package, which stands in its list of plugins."""

    __name__ = "astra"

    def __init__(self, models: Mapping[str, type[BaseModel]]) -> None:
        self._cells = Cells(models)

    @hookimpl
    def register_facet_classes(self) -> Iterable[type]:
        return [CountedTogether]

    @hookimpl
    def extra_css_urls(self) -> list[str]:
        return ["/look/serve.css"]

    @hookimpl
    def render_cell(
        self, value: Any, column: str, table: str | None, database: str, datasette: Datasette
    ) -> Any:
        return self._cells.shown(value, column, table, database, datasette)

    @hookimpl
    def asgi_wrapper(self) -> Callable[[Any], Any]:
        return _for_this_machine


def _for_this_machine(app: Any) -> Any:
    """Answer only what was asked of this machine by its own name."""

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope.get("headers") or ()).get(b"host", b"").decode("latin-1")
        refused = Response.text("astra serve answers to 127.0.0.1 and localhost alone", status=403)
        if scope["type"] == "http" and host.rpartition(":")[0] not in _NAMES and host not in _NAMES:
            await refused.asgi_send(send)
        else:
            await app(scope, receive, send)

    return checked
