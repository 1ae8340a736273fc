"""How long the promotion and the rollback of a trial take, and how long readers wait meanwhile.

    python benchmarks/bench_trials.py [--rows 200000] [--postgresql]

Both sets of results are made by SQL: on SQLite in a file of a temporary folder, else on a PostgreSQL server
of its own. Two readers ask the view for some hundred results again and again, and check that all are of one
set.
"""

import argparse
import contextlib
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from many_results import two_sets

from astra.config import load_settings
from astra.database.connection import bound_to, database, open_database
from astra.schema.upgrade import upgrade
from astra.trials.overview import look_up
from astra.trials.promotion import promote, rollback

from postgres_server import find_binaries, temporary_server

SOME = 300


class Reader(threading.Thread):
    """Asks the view again and again; keeps the longest time that it waited for an answer [s]."""

    def __init__(self, rows: int) -> None:
        super().__init__(daemon=True)
        self.rows, self.longest, self.looks, self.over = rows, 0.0, 0, threading.Event()

    def run(self) -> None:
        """Ask until it is over."""
        while not self.over.is_set():
            first = random.randrange(self.rows - SOME)
            query = "SELECT count(DISTINCT l_fakemag), count(*) FROM distances WHERE spectrum_pk"
            started = time.perf_counter()
            (found,) = database.execute_sql(f"{query} BETWEEN {first + 1} AND {first + SOME}").fetchall()
            self.longest = max(self.longest, time.perf_counter() - started)
            self.looks += 1
            if found != (1, SOME):
                raise AssertionError(f"a mixture: {found}")
        database.close()


def main() -> None:
    """Read the arguments, fill a database, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgresql", action="store_true")
    arguments = parser.parse_args()
    with _opened(postgresql=arguments.postgresql):
        if arguments.postgresql:  # what is made here refers to what is there: no need to check it
            database.execute_sql("SET session_replication_role = replica")
        _timed("make both sets", lambda: two_sets(database, arguments.rows))
        if arguments.postgresql:
            database.execute_sql("SET session_replication_role = DEFAULT")
        readers = [Reader(arguments.rows) for _ in range(2)]
        for reader in readers:
            reader.start()
        for change in (promote, rollback):
            for reader in readers:
                reader.longest = 0.0
            _timed(change.__name__, lambda change=change: change(*look_up("trial-x")))
            print(f"  longest wait of a reader {max(reader.longest for reader in readers):8.3f} s")
        for reader in readers:
            reader.over.set()
            reader.join()
        print(f"{sum(reader.looks for reader in readers):,} looks, none at a mixture")


@contextlib.contextmanager
def _opened(*, postgresql: bool) -> Iterator[None]:
    """A new database with all tables."""
    with contextlib.ExitStack() as stack:
        if postgresql:
            server = stack.enter_context(temporary_server(find_binaries()))
            os.environ["ASTRA_DATABASE_URL"] = server.url(stack.enter_context(server.database()))
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            os.environ["ASTRA_DATABASE_PATH"] = str(folder / "astra.db")
        settings = load_settings()
        opened = stack.enter_context(bound_to(open_database(settings, create=True)))
        upgrade(opened, settings)
        yield


def _timed(what: str, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    print(f"{what:<26} {time.perf_counter() - started:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
