"""An upgrade of a large database by ``astra init``, while others read it and a run of the old version writes.

    python benchmarks/bench_upgrade.py [--rows 1000000] [--postgresql] [--old 859a313] [--stars 400]

The database is made by the old version's own ``astra init``, from ``git archive`` of its commit in a
temporary folder, with this interpreter. The rows (one star, spectrum and result each) are then filled in by
SQL; a tenth of the results has a mean with an unknown zero-point, a hundredth was withheld. The old version's
own ``simulate``, ``ingest`` and ``run`` make the spectra and the results that are written meanwhile.

One copy of the database is upgraded undisturbed but for these; on another, each ``astra init`` is killed
after some time until one comes through. Printed are the times; the longest time of each kind of statement
before the upgrade and during it; on PostgreSQL also the longest wait for a lock, looked at every 20 ms, and
the locks that the upgrade has taken. It ends with 1 if anything was lost, doubled, changed or made stale, if
both copies differ, or if somebody has waited for a lock for more than 2 s.
"""

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import psycopg2

from postgres_server import find_binaries, temporary_server

ROOT = Path(__file__).resolve().parents[1]
#: The schema on PostgreSQL: that of the settings, where nobody has changed it.
SCHEMA = "astra"
LOOK_UP = "SELECT sdss_id, dist, e_dist, good FROM distances WHERE sdss_id = {star}"
AGGREGATE = "SELECT telescope, count(*), avg(dist) FROM distances WHERE good GROUP BY telescope"
#: Locks that somebody else may have to wait for: those of INSERT, UPDATE and SELECT are not.
HEAVY = (
    "'AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock', 'ShareUpdateExclusiveLock'"
)

# > What the database holds

MOMENT, READ = "2026-01-01 00:00:00.000000", "2026-01-02 00:00:00.000000"
_SOURCE = {
    "pk": "n",
    "sdss_id": "1000000000 + n",
    "sdss4_apogee_id": "'2M' || n",
    "k_mag": "8 + (n % 500) / 100.0",
    "e_k_mag": "0.02",
    "ebv": "0.01 + (n % 90) / 100.0",
    "plx": "0.2",
    "e_plx": "0.02",
    "gaia_release": "'dr3'",
    "created": f"'{MOMENT}'",
    "modified": f"'{MOMENT}'",
}
_SPECTRUM = {
    "source_pk": "n",
    "spectrum_pk": "n",
    "product_id": "'apstar/dr17/dr17/apo25m/m67/2M' || n || '/ap/s'",
    "release": "'dr17'",
    "filetype": "'apStar'",
    "apred": "'dr17'",
    "apstar": "'stars'",
    "obj": "'2M' || n",
    "field": "'M67'",
    "prefix": "'ap'",
    "telescope": "CASE n % 3 WHEN 0 THEN 'apo25m' WHEN 1 THEN 'lco25m' ELSE 'apo1m' END",
    "reduction": "''",
    "commissioning": "n < 0",
    "snr": "100",
    "spectrum_flags": "0",
    "created": f"'{MOMENT}'",
    "modified": f"'{MOMENT}'",
}
_IS_RAW, _IS_LOST = "n % 10 = 0", "n % 100 = 7"
_RESULT = {
    "source_pk": "n",
    "spectrum_pk": "n",
    "run_pk": "1",
    "v_astra": "1000",
    "created": f"'{READ}'",
    "modified": f"'{READ}'",
    "inputs_read": f"'{READ}'",
    "source_read": f"'{READ}'",
    "k_mag": "8 + (n % 500) / 100.0",
    "ebv": "0.01 + (n % 90) / 100.0",
    "a_k_mag": "0.3517 * (0.01 + (n % 90) / 100.0)",
    "l_fakemag": "10 + (n % 1000) / 10.0",
    "e_l_fakemag": "1",
    "e_model_l_fakemag": "0.5",
    "dist": "1000 + n % 9000",
    "e_dist": "50",
    "nn_parallax": "1000.0 / (1000 + n % 9000)",
    "e_nn_parallax": "0.05",
    "plx_zero_point": f"CASE WHEN NOT {_IS_RAW} THEN -0.03 END",
    "gaia_parallax": "0.23",
    "e_gaia_parallax": "0.02",
    "weighted_parallax": "0.22",
    "e_weighted_parallax": "0.02",
    "weighted_dist": "1000 / 0.22",
    "e_weighted_dist": "400",
    "result_flags": f"CASE WHEN {_IS_LOST} THEN 2048 ELSE 0 END",
    "no_result_reason": f"CASE WHEN {_IS_LOST} THEN 'Permission denied: /' || n END",
}
TABLES = {
    "source": _SOURCE,
    "spectrum": {"pk": "n"},
    "apogee_coadded_spectrum_in_apstar": _SPECTRUM,
    "astro_nn_dist": _RESULT,
}
_RUN = (
    "INSERT INTO task_run (task, version, v_astra_major_minor, host, pid) "
    "VALUES ('astronn_dist', '0.1.0', 1, 'here', 1)"
)


def fill(database: "Place", rows: int) -> None:
    """So many stars, each with a spectrum and a result."""
    time_type = "timestamp " if database.is_postgresql else ""
    numbers = f"SELECT n FROM generate_series(1, {rows}) AS n"
    if not database.is_postgresql:
        counted = f"SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {rows}"
        numbers = f"WITH RECURSIVE counted(n) AS ({counted}) SELECT n FROM counted"
    with database.connection() as connection:
        cursor = connection.cursor()
        if database.is_postgresql:
            cursor.execute(
                "SET session_replication_role = replica"
            )  # the foreign keys are right by themselves
        cursor.execute(_RUN)
        for table, columns in TABLES.items():
            types = dict.fromkeys(("created", "modified", "inputs_read", "source_read"), time_type)
            values = ", ".join(types.get(name, "") + value for name, value in columns.items())
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM ({numbers}) AS numbers"
            )
        if database.is_postgresql:
            for table in ("source", "spectrum"):
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'pk'), {rows})")
            cursor.execute("ANALYZE")
        connection.commit()


# > Where it is

_SCHEMA_OF_POSTGRESQL = f"""
SELECT 'column', table_name, column_name, ordinal_position::text, data_type, column_default
FROM information_schema.columns WHERE table_schema = '{SCHEMA}'
UNION ALL SELECT 'index', tablename, indexname, indexdef, indisvalid::text, '' FROM pg_indexes
JOIN pg_index ON indexrelid = indexname::regclass WHERE schemaname = '{SCHEMA}'
UNION ALL SELECT 'view', viewname, definition, '', '', '' FROM pg_views WHERE schemaname = '{SCHEMA}'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
FROM pg_constraint WHERE connamespace = '{SCHEMA}'::regnamespace
UNION ALL SELECT 'comment', relname, objsubid::text, description, '', '' FROM pg_description
JOIN pg_class ON pg_class.oid = objoid WHERE relnamespace = '{SCHEMA}'::regnamespace
UNION ALL SELECT 'history', name, '', '', '', '' FROM schema_migration ORDER BY 1, 2, 3, 4
"""


class Place:
    """A database: a file, or one on a PostgreSQL server."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_postgresql = "://" in address

    @contextlib.contextmanager
    def connection(self) -> Iterator:
        """A connection of the driver."""
        if self.is_postgresql:
            made = psycopg2.connect(self.address, options=f"-c search_path={SCHEMA}")
        else:
            made = sqlite3.connect(self.address, timeout=60)
            made.create_function("log10", 1, lambda value: None)
        with contextlib.closing(made) as connection:
            yield connection

    @property
    def environment(self) -> dict[str, str]:
        """That of a command that uses it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ASTRA_")}
        return kept | {"ASTRA_DATABASE_URL" if self.is_postgresql else "ASTRA_DATABASE_PATH": self.address}

    def ask(self, query: str) -> list[tuple]:
        """The rows of a query."""
        with self.connection() as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return cursor.fetchall()

    def copy(self, server: object, folder: Path) -> "Place":
        """A second one, with the same rows."""
        if not self.is_postgresql:
            with self.connection() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Place(str(shutil.copyfile(self.address, folder / f"copy-{random.getrandbits(32)}.db")))
        name = self.address.rpartition("/")[2]
        other = f"copy_{random.getrandbits(32)}"
        with contextlib.closing(psycopg2.connect(server.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {other} TEMPLATE {name}")
        return Place(server.url(other))

    def digest(self, table: str, columns: list[str], rows: int) -> tuple:
        """How many of the filled rows there are, and a sum over what is in them."""
        listed, key = ", ".join(columns), "pk" if table == "source" else "spectrum_pk"
        if self.is_postgresql:
            number = f"('x' || substr(md5(ROW({listed})::text), 1, 15))::bit(60)::bigint"
            return self.ask(f"SELECT count(*), sum({number}) FROM {table} WHERE {key} <= {rows}")[0]
        found, digest = 0, hashlib.sha256()
        with self.connection() as connection:
            for row in connection.execute(
                f"SELECT {listed} FROM {table} WHERE {key} <= {rows} ORDER BY {key}"
            ):
                found += 1
                digest.update(repr(row).encode())
        return found, digest.hexdigest()

    def schema(self) -> list[tuple]:
        """All that the schema consists of."""
        if not self.is_postgresql:
            return self.ask("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        return self.ask(_SCHEMA_OF_POSTGRESQL)


# > The old version

TIMED = """
import json, sys, time
import peewee

stream = open(sys.argv.pop(1), "w", buffering=1)

def timed(method, text):
    def call(self, *arguments, **keywords):
        start = time.time()
        try:
            return method(self, *arguments, **keywords)
        finally:
            stream.write(json.dumps([start, time.time() - start, text or arguments[0][:60]]) + chr(10))
    return call

for name in ("begin", "commit"):
    for database in (peewee.Database, peewee.SqliteDatabase, peewee.PostgresqlDatabase):
        if name in vars(database):
            setattr(database, name, timed(vars(database)[name], name.upper()))
peewee.Database.execute_sql = timed(peewee.Database.execute_sql, None)

from astra.cli import main
sys.exit(main(sys.argv[1:]))
"""


class OldVersion:
    """A commit of this repository, unpacked elsewhere."""

    def __init__(self, commit: str, folder: Path) -> None:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        folder.mkdir()
        subprocess.run(["tar", "x", "-C", folder], input=archive, check=True)
        self._path = folder / "python"
        (self._path / "astra" / "migrations").symlink_to(folder / "migrations")
        # What pip would leave of it; then this package was called astra.
        metadata = self._path / "astra-0.1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: astra\nVersion: 0.1.0\n")
        task = "astronn_dist = astra.pipelines.astronn_dist:astronn_dist"
        (metadata / "entry_points.txt").write_text(f"[astra.tasks]\n{task}\n")
        self._timed = folder / "timed_astra.py"
        self._timed.write_text(TIMED)

    def start(self, database: Place, *arguments: str, timing: Path | None = None) -> subprocess.Popen:
        """Start a command of it."""
        command = ["-m", "astra"] if timing is None else [str(self._timed), str(timing)]
        environment = database.environment | {"PYTHONPATH": str(self._path)}
        return subprocess.Popen([sys.executable, *command, *arguments], env=environment)

    def run(self, database: Place, *arguments: str) -> None:
        """Run a command of it to its end."""
        if code := self.start(database, *arguments).wait():
            raise SystemExit(f"the old astra {' '.join(arguments)} ended with {code}")


def new(database: Place, *arguments: str) -> subprocess.Popen:
    """Start a command of this version."""
    environment = database.environment | {"PYTHONPATH": str(ROOT / "python")}
    return subprocess.Popen([sys.executable, "-m", "astra", *arguments], env=environment)


# > Who uses the database meanwhile


def read(database: Place, query: str, rows: int, pause: float, path: Path) -> None:
    """Ask the same question again and again, and write down how long each took."""
    with database.connection() as connection, path.open("w", buffering=1) as stream:
        while True:
            text = query.format(star=1_000_000_000 + random.randint(1, rows))
            start = time.time()
            cursor = connection.cursor()
            cursor.execute(text)
            cursor.fetchall()
            connection.rollback()
            stream.write(json.dumps([start, time.time() - start, query[:60]]) + "\n")
            time.sleep(pause)


class Locks(threading.Thread):
    """Looks at the locks of a PostgreSQL database, every 20 ms."""

    _WAITING = """SELECT pid, left(query, 60), query_start FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()"""
    _TAKEN = f"""SELECT DISTINCT mode, relation::regclass::text FROM pg_locks
        WHERE granted AND locktype = 'relation'
        AND mode IN ({HEAVY}) AND relation::regclass::text ~ '[a-z]'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

    def __init__(self, database: Place) -> None:
        super().__init__(daemon=True)
        self._database, self.ended = database, threading.Event()
        self.waits: dict[tuple, float] = {}
        self.taken: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Look until ``ended`` is set."""
        since: dict[tuple, float] = {}
        with self._database.connection() as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            while not self.ended.wait(0.02):
                cursor.execute(self._WAITING)
                now = time.time()
                waiting = [tuple(row) for row in cursor.fetchall()]
                since = {each: since.get(each, now) for each in waiting}
                for each, start in since.items():
                    self.waits[each] = now - start
                cursor.execute(self._TAKEN)
                self.taken |= set(cursor.fetchall())


def timings(*paths: Path) -> list[tuple[float, float, str]]:
    """All that was written down: when, how long [s], what."""
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [tuple(json.loads(line)) for line in lines if line.endswith("]")]


# > The measurement


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000, help="results that are there")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--old", default="859a313", help="the commit that the database is of")
    parser.add_argument("--stars", type=int, default=400, help="spectra that the old run measures")
    parser.add_argument("--kills", type=int, default=5, help="how often the upgrade of the copy is killed")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="astra-upgrade-")))
        server, database = None, Place(str(folder / "astra.db"))
        if arguments.postgresql:
            server = stack.enter_context(temporary_server(find_binaries()))
            database = Place(server.url(stack.enter_context(server.database())))
        old = OldVersion(arguments.old, folder / "old")
        made = prepare(database, old, folder, arguments.rows, arguments.stars)
        print(f"{arguments.rows:,} rows made by {arguments.old} and SQL in {made:.0f} s", flush=True)
        before = contents(database, arguments.rows)
        other = database.copy(server, folder)
        problems = upgrade_in_use(database, old, folder, arguments.rows)
        problems += check(database, before, arguments.rows, arguments.stars)
        killed = upgrade_killed(other, arguments.kills)
        print(f"killed after {', '.join(f'{seconds:.2f}' for seconds in killed)} s, and repeated", flush=True)
        if database.schema() != other.schema():
            problems.append("the schema after the kills is another")
        if results(database, arguments.rows) != results(other, arguments.rows):
            problems.append("the rows after the kills are others")
        if killed_problems := check(other, before, arguments.rows, 0):
            problems += [f"after the kills: {each}" for each in killed_problems]
    print("\n".join(problems) or "nothing lost, doubled, changed or stale; the same after kills")
    raise SystemExit(bool(problems))


def prepare(database: Place, old: OldVersion, folder: Path, rows: int, stars: int) -> float:
    """Make the database of the old version; return the time that took [s]."""
    start = time.perf_counter()
    old.run(database, "init")
    fill(database, rows)
    files = folder / "spectra"
    old.run(database, "simulate", str(files), "--n", str(stars))
    old.run(database, "ingest", "apstar", str(files), "--catalog", str(files / "targets.csv"))
    return time.perf_counter() - start


def contents(database: Place, rows: int) -> dict[str, tuple]:
    """What may not change in the filled rows: all but the means, and the moment of their correction."""
    means = ("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist", "modified")
    kept = [name for name in _RESULT if name not in means]
    others = {
        table: list(columns)
        for table, columns in TABLES.items()
        if table not in ("spectrum", "astro_nn_dist")
    }
    return {
        table: database.digest(table, columns, rows)
        for table, columns in (others | {"astro_nn_dist": kept}).items()
    }


def results(database: Place, rows: int) -> list[tuple]:
    """The filled rows of results and notes after an upgrade."""
    kept = [name for name in _RESULT if name != "modified"]
    noted = ["task", "spectrum_pk", "reason", "tried"]
    return [database.digest("astro_nn_dist", kept, rows), database.digest("task_withheld", noted, rows)]


def upgrade_in_use(database: Place, old: OldVersion, folder: Path, rows: int) -> list[str]:
    """Upgrade while others use the database, and print what they have noticed."""
    paths = [folder / name for name in ("look-up", "aggregate", "worker")]
    readers = [
        multiprocessing.Process(target=read, args=(database, query, rows, pause, path), daemon=True)
        for query, pause, path in ((LOOK_UP, 0.01, paths[0]), (AGGREGATE, 0.2, paths[1]))
    ]
    locks = Locks(database) if database.is_postgresql else None
    worker = old.start(
        database, "run", "astronn_dist", "--batch-size", "10", "--allow-mixed", timing=paths[2]
    )
    for reader in readers:
        reader.start()
    _until(lambda: database.ask("SELECT count(*) FROM astro_nn_dist")[0][0] > rows, worker)
    time.sleep(10)
    start = time.time()
    if locks:
        locks.start()
    code = new(database, "init").wait()
    end = time.time()
    problems = [f"astra init ended with {code}"] if code else []
    if worker.poll() is not None:
        problems.append("the old run ended before the upgrade: give it more --stars")
    time.sleep(2)
    again = time.time()
    new(database, "init").wait()
    print(f"upgraded in {end - start:.1f} s, again in {time.time() - again:.1f} s", flush=True)
    if code := worker.wait():
        problems.append(f"the old run ended with {code}")
    for reader in readers:
        reader.terminate()
        reader.join()
    report(timings(*paths), start, end)
    if locks:
        locks.ended.set()
        locks.join()
        for (pid, query, _), seconds in sorted(locks.waits.items(), key=lambda each: -each[1])[:8]:
            print(f"  waited for a lock {seconds:6.2f} s  process {pid}: {' '.join(query.split())}")
        for mode, table in sorted(locks.taken):
            print(f"  taken: {mode} on {table}")
        others = [seconds for (_, query, _), seconds in locks.waits.items() if _is_of_a_user(query)]
        print(f"longest wait of a reader or writer for a lock: {max(others, default=0):.2f} s", flush=True)
        if max(others, default=0) > 2:
            problems.append("somebody has waited for more than 2 s")
    return problems


def _is_of_a_user(query: str) -> bool:
    mine = ("ALTER", "CREATE", "COMMENT", "DROP", "/*", "GRANT")
    return not query.lstrip().startswith(mine)


def report(found: list[tuple[float, float, str]], start: float, end: float) -> None:
    """Print for each kind of statement how long it took before the upgrade and during it."""
    kinds: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for moment, seconds, text in found:
        if moment < end and moment + seconds > start - 15:
            kinds[text][moment + seconds > start].append(seconds)
    print(f"  {'before: median, longest':>26} {'during: longest [s]':>20}")
    rows = sorted(kinds.items(), key=lambda each: -max(each[1][1], default=0))
    for text, (normal, during) in rows[:10]:
        typical, longest = (median(normal), max(normal)) if normal else (float("nan"), float("nan"))
        print(f"  {typical:17.3f} {longest:8.3f} {max(during, default=0):20.3f}  {' '.join(text.split())}")
    above = [max(during) - median(normal) for normal, during in kinds.values() if normal and during]
    print(f"longest statement above its median before: {max(above, default=0):.2f} s", flush=True)


def check(database: Place, before: dict[str, tuple], rows: int, stars: int) -> list[str]:
    """What is wrong after an upgrade, if anything."""
    problems = [
        f"rows of {table} have changed"
        for table, value in contents(database, rows).items()
        if value != before[table]
    ]
    counts = database.ask("SELECT count(*), count(DISTINCT spectrum_pk) FROM astro_nn_dist")[0]
    if counts != (rows + stars, rows + stars):
        problems.append(f"{counts} results and spectra with one, instead of {rows + stars}")
    raw = (
        "SELECT count(*) FROM astro_nn_dist WHERE gaia_parallax IS NOT NULL AND plx_zero_point IS NULL "
        "AND abs(weighted_parallax - nn_parallax) > 1e-9 * nn_parallax AND spectrum_pk"
    )
    if wrong := database.ask(f"{raw} <= {rows}")[0][0]:
        problems.append(f"{wrong} means with an unknown zero-point are left")
    noted = database.ask("SELECT count(*) FROM task_withheld")[0][0]
    expected = len(range(7, rows + 1, 100))
    if noted != expected:
        problems.append(f"{noted} spectra are noted as withheld, instead of {expected}")
    script = (
        "from astra.cli.console import database_session\n"
        "from astra.tasks.installed import find_task\n"
        "from astra.tasks.pending import Selection, count_pending\n"
        "with database_session():\n    print(count_pending(Selection(find_task('astronn_dist'))))"
    )
    environment = database.environment | {"PYTHONPATH": str(ROOT / "python")}
    start = time.perf_counter()
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    print(f"counted what is pending or stale in {time.perf_counter() - start:.1f} s: {found}", flush=True)
    # A mean that the old run wrote after its correction is noticed, and made again.
    written = f"{raw} > {rows}" if stars else f"SELECT count(*) FROM spectrum WHERE pk > {rows}"
    left = database.ask(written)[0][0]
    if int(found) != left:
        problems.append(f"{found} spectra are pending or stale, instead of {left}")
    return problems


def upgrade_killed(database: Place, kills: int) -> list[float]:
    """Upgrade, killed again and again; return after how long each time [s]."""
    generator, times = random.Random(1), []
    for number in range(kills):
        # Later and later, so that each part is hit.
        seconds = 0.6 + number * 1.5 + generator.random()
        process = new(database, "init")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        times.append(seconds)
    if code := new(database, "init").wait():
        raise SystemExit(f"after {len(times)} kills, astra init ended with {code}")
    return times


def _until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"the old run ended with {process.returncode} before it wrote anything")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
