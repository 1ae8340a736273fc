"""A session of PostgreSQL is what was asked for, behind PgBouncer and whatever a login or a database sets."""

import contextlib
import socket
import socketserver
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg2
import pytest
from builders import a_source, a_spectrum, on_postgresql, write_apstar
from conftest import CI
from fake_runs import FakeRuns

from astra.config import load_settings
from astra.database.connection import bound_to, database, open_database
from astra.database.reconnecting import persistent
from astra.database.sessions import Sessions
from astra.errors import ConfigError
from astra.models import AstroNNdist, TaskRun

from pooler import pgbouncer
from roles import sql

IGNORING = {"ignore_startup_parameters": "options"}
SHARED = "this connection has no session of its own"


@pytest.fixture(autouse=True)
def nothing_is_known_of_proxies(monkeypatch):
    """Each test begins as a new process does."""
    monkeypatch.setattr(Sessions, "_lasting", set())


@pytest.fixture
def behind(postgres, monkeypatch):
    """Puts PgBouncer before a database, which is also the configured one then; gives its address."""
    with contextlib.ExitStack() as stack:

        def start(url, pool_mode, **settings):
            pooler = stack.enter_context(pgbouncer(postgres, pool_mode, install_it=CI, **settings))
            address = pooler.url(urlsplit(url).path[1:])
            monkeypatch.setenv("ASTRA_DATABASE_URL", address)
            return address

        yield start


@pytest.fixture
def empty(postgres):
    """The address of a database without tables."""
    with postgres.database() as dbname:
        yield postgres.url(dbname)


@pytest.fixture
def stars(db, tmp_path):
    """Spectra of 24 stars, whose magnitudes have all digits that a number can have."""
    path = write_apstar(tmp_path / "apStar-dr17-x.fits")
    with database.atomic():
        return [a_spectrum(a_source(k_mag=10 + number / 7, ebv=0.1 / 3), path) for number in range(24)]


def _setting(name):
    with contextlib.closing(open_database(load_settings())) as opened:
        return opened.execute_sql("SELECT current_setting(%s)", (name,)).fetchone()[0]


# > Proxies that keep sessions


@pytest.mark.postgres
def test_all_commands_work_behind_a_proxy_that_keeps_sessions(empty, behind, astra, simulated, tmp_path):
    behind(empty, "session")

    assert astra("init")[0] == 0
    assert astra("ingest", "apstar", simulated)[0] == 0
    runs = FakeRuns(tmp_path)
    assert runs.run("--workers", "2", "--batch-size", "4") == 0, runs.errors
    create = ["create", "astraAllStarAstroNNdist", "--output", tmp_path / "all.fits"]
    for words in (["status"], ["query"], create):
        assert astra(*words)[0] == 0, words
    code, out, _ = astra("doctor")
    assert (code, "schema astra, as postgres, through a proxy that keeps sessions" in out) == (0, True)
    assert sql(empty, "SELECT count(*) FROM astro_nn_dist") == [(16,)]


@pytest.mark.postgres
def test_the_tables_are_in_their_schema_where_a_proxy_ignores_options(empty, behind, astra, monkeypatch):
    behind(empty, "session", **IGNORING)

    for schema in ("one", "two"):
        monkeypatch.setenv("ASTRA_DATABASE_SCHEMA", schema)
        assert astra("init")[0] == 0

    query = "SELECT schemaname, count(*) > 5 FROM pg_stat_user_tables GROUP BY 1 ORDER BY 1"
    assert sql(empty, query) == [("one", True), ("two", True)]


@on_postgresql
def test_a_proxy_with_one_session_is_enough_for_one_connection(db, behind, astra):
    behind(db.database, "session", default_pool_size=1)

    assert astra("status")[0] == 0


@on_postgresql
@pytest.mark.parametrize("pool_mode", [None, "session"])
def test_a_new_session_after_a_lost_one_is_set_up_like_the_first(db, behind, pool_mode):
    if pool_mode:
        behind(db.database, pool_mode)
    with bound_to(open_database(load_settings())) as opened:
        (pid,) = opened.execute_sql("SELECT pg_backend_pid()").fetchone()
        sql(db.database, f"SELECT pg_terminate_backend({pid})")
        query = "SELECT pg_backend_pid(), current_schema(), current_setting('extra_float_digits')"

        now, *others = persistent(lambda: opened.execute_sql(query).fetchone())

    assert now != pid
    assert others == ["astra", "3"]


# > Proxies that do not

MODES = ("transaction", "statement")
POOLS = {
    "one session": {"default_pool_size": 1},
    "two in a circle": {"default_pool_size": 2, "server_round_robin": 1},
    "four in a circle": {"default_pool_size": 4, "server_round_robin": 1},
    "twenty": {"default_pool_size": 20},
    "twenty in a circle": {"default_pool_size": 20, "server_round_robin": 1},
}
SOME, MANY = 20, 200


def _starts(number):
    """How that many starts end, always two of them at once."""
    settings = load_settings()

    def start(_):
        try:
            open_database(settings).close()
        except ConfigError as error:
            return str(error).partition(":")[0]
        return "not noticed"

    with ThreadPoolExecutor(2) as two:
        return Counter(two.map(start, range(number)))


@contextlib.contextmanager
def _busy(address, clients):
    """Meanwhile other clients have short transactions all the time."""
    over = threading.Event()

    def go_on(number):
        with contextlib.closing(psycopg2.connect(address)) as connection:
            connection.autocommit = True
            while not over.is_set():
                connection.cursor().execute("SELECT pg_sleep(%s)", (0.001 * (number % 3),))

    with ThreadPoolExecutor(max(1, clients)) as pool:
        others = [pool.submit(go_on, number) for number in range(clients)]
        try:
            yield
        finally:
            over.set()
    for other in others:
        other.result()


@on_postgresql
@pytest.mark.parametrize("clients", [0, 8], ids=["idle", "busy"])
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
@pytest.mark.parametrize("pool_mode", MODES)
@pytest.mark.parametrize("number", [SOME, pytest.param(MANY, marks=pytest.mark.slow)])
def test_every_start_behind_a_proxy_that_shares_sessions_is_refused(
    db, behind, pool_mode, pool, clients, number
):
    address = behind(db.database, pool_mode, **pool)

    with _busy(address, clients):
        assert _starts(number) == {SHARED: number}


@on_postgresql
@pytest.mark.parametrize("pool_mode", MODES)
def test_a_proxy_that_shares_sessions_is_78_and_nothing_was_set_or_written(
    stars, db, behind, pool_mode, astra
):
    address = behind(db.database, pool_mode, default_pool_size=1, **IGNORING)

    def left():
        with contextlib.closing(psycopg2.connect(address, application_name="left")) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name")
            return cursor.fetchall()

    before = left()
    for words in (["init"], ["status"], ["run", "astronn_dist"], ["doctor"]):
        code, out, err = astra(*words)
        assert (code, SHARED in out + err, "pgbouncer: pool_mode = transaction" in out + err) == (
            78,
            True,
            True,
        )
    assert left() == before
    assert (AstroNNdist.select().count(), TaskRun.select().count()) == (0, 0)


# > What addresses, the environment and services ask for


def _in_the_address(url, monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_DATABASE_URL", f"{url}?options=-c%20statement_timeout%3D4321ms")


def _in_the_environment(url, monkeypatch, tmp_path):
    monkeypatch.setenv("PGOPTIONS", "--statement-timeout=4321ms")


def _in_a_service(url, monkeypatch, tmp_path):
    there = urlsplit(url)
    lines = ["[survey]", f"host={there.hostname}", f"port={there.port}", f"user={there.username}"]
    lines += [f"dbname={there.path[1:]}", "options=-c statement_timeout=4321ms"]
    file = tmp_path / "services.conf"
    file.write_text("\n".join(lines))
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("ASTRA_DATABASE_URL", "postgresql:///?service=survey")


ASKED = (_in_the_address, _in_the_environment, _in_a_service)


@on_postgresql
@pytest.mark.parametrize("ask", ASKED)
def test_options_keep_their_meaning(db, ask, monkeypatch, tmp_path):
    ask(db.database, monkeypatch, tmp_path)

    with contextlib.closing(open_database(load_settings())) as opened:
        query = (
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_schema()"
        )
        assert opened.execute_sql(query).fetchone() == ("4321ms", "0", "astra")
        opened.execute_sql("SELECT 1 FROM source")


@on_postgresql
@pytest.mark.parametrize("read_only", [False, True])
def test_of_several_hosts_the_one_that_can_be_written_is_taken(db, postgres, monkeypatch, read_only):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        hosts = f"127.0.0.1:{nobody.getsockname()[1]},{postgres.host}:{postgres.port}"
    name = urlsplit(db.database).path
    url = f"postgresql://{postgres.user}@{hosts}{name}?target_session_attrs=read-write"
    monkeypatch.setenv("ASTRA_DATABASE_URL", url)

    with contextlib.closing(open_database(load_settings(), read_only=read_only)) as opened:
        shown = opened.execute_sql("SHOW transaction_read_only").fetchone()

    assert shown == ("on" if read_only else "off",)


@on_postgresql
def test_what_the_address_says_of_the_connection_has_priority(db, monkeypatch):
    said = {"connect_timeout": "7", "keepalives_idle": "77", "application_name": "mine"}
    address = "&".join(f"{name}={value}" for name, value in said.items())
    monkeypatch.setenv("ASTRA_DATABASE_URL", f"{db.database}?{address}")

    with contextlib.closing(open_database(load_settings())) as opened:
        parameters = opened.connection().info.dsn_parameters

    assert {name: parameters[name] for name in said} == said


# > Proxies that alter what was asked for


@contextlib.contextmanager
def _relay(server, altered):
    """The port of a proxy that alters what it passes on to a server."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection((server.host, server.port)) as there:
                back = threading.Thread(target=_copy, args=(there, self.request, bytes))
                back.start()
                _copy(self.request, there, altered)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.02,))
        thread.start()
        yield relay.server_address[1]
        relay.shutdown()
        thread.join()


def _copy(source, target, altered):
    while data := source.recv(65536):
        target.sendall(altered(data))
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@on_postgresql
def test_another_schema_than_the_one_asked_for_is_78(db, postgres, monkeypatch, astra):
    with _relay(postgres, lambda data: data.replace(b"'search_path'", b"'sea.ch_path'")) as port:
        url = db.database.replace(f":{postgres.port}/", f":{port}/")
        monkeypatch.setenv("ASTRA_DATABASE_URL", url)

        code, _, err = astra("status")

    assert (code, "asked PostgreSQL for the schema astra and got public" in err) == (78, True)


@on_postgresql
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "unsupported startup parameter: options: the proxy passes on no `options`"),
        (IGNORING, "drops statement_timeout, work_mem from `options`"),
    ],
    ids=["refused", "dropped"],
)
def test_options_that_a_proxy_does_not_pass_on_are_78(db, behind, settings, said, monkeypatch, astra):
    behind(db.database, "session", **settings)
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=9MB -cstatement_timeout=4321")

    code, _, err = astra("status")

    assert (code, said in err) == (78, True), err


@on_postgresql
def test_a_proxy_that_hands_on_what_others_have_set_is_78(db, behind, astra, monkeypatch):
    behind(db.database, "session", server_reset_query="")
    assert astra("status")[0] == 0
    monkeypatch.setattr(Sessions, "_lasting", set())

    code, _, err = astra("status")

    assert (code, "server_reset_query is empty" in err) == (78, True), err


# > Logins and databases with settings of their own

#: What each is under astra, and what a login or a database may have instead.
HOSTILE = {
    "default_transaction_isolation": ("read committed", ("repeatable read", "serializable")),
    "extra_float_digits": ("3", ("0", "-15")),
    "DateStyle": ("ISO, MDY", ("SQL, DMY", "German")),
    "IntervalStyle": ("postgres", ("iso_8601", "sql_standard")),
    "TimeZone": ("UTC", ("Pacific/Apia", "America/New_York")),
    "client_encoding": ("UTF8", ("LATIN1", "SQL_ASCII")),
    "search_path": ("astra", ("public", "pg_catalog, public")),
    "statement_timeout": ("0", ("300ms",)),
    "lock_timeout": ("0", ("20ms",)),
    "idle_in_transaction_session_timeout": ("0", ("2s",)),
    "idle_session_timeout": ("0", ("2s",)),
    "tcp_keepalives_idle": ("10", ("600",)),
    # Left as they are: nothing depends on them.
    "bytea_output": (None, ("escape",)),
    "standard_conforming_strings": (None, ("off",)),
    "transform_null_equals": (None, ("on",)),
    "default_transaction_deferrable": (None, ("on",)),
    "client_min_messages": (None, ("debug5",)),
    "enable_indexscan": (None, ("off",)),
    "work_mem": (None, ("64kB",)),
    "row_security": (None, ("off",)),
    "synchronous_commit": (None, ("off",)),
}
EACH = [(name, value) for name, (_, values) in HOSTILE.items() for value in values]
ALL = [(name, values[-1]) for name, (_, values) in HOSTILE.items()]
OF_WHOM = ("ROLE", "DATABASE")


@pytest.fixture
def hostile(db, postgres, prefix, monkeypatch):
    """Gives a login, or the whole database, settings; the configured login has them then."""
    login = f"{prefix}_owner"
    sql(db.database, f'CREATE ROLE "{login}" LOGIN SUPERUSER')
    name = urlsplit(db.database).path[1:]

    def change(of_whom, settings):
        whom = {"ROLE": login, "DATABASE": name}[of_whom]
        listed = ("search_path", "DateStyle")
        given = [(key, value if key in listed else f"'{value}'") for key, value in settings]
        sql(db.database, *(f'ALTER {of_whom} "{whom}" SET {key} = {value}' for key, value in given))
        monkeypatch.setenv("ASTRA_DATABASE_URL", db.database.replace(f"{postgres.user}@", f"{login}@"))

    yield change
    sql(postgres.url("postgres"), f'ALTER ROLE "{login}" RESET ALL')


@on_postgresql
@pytest.mark.parametrize("of_whom", OF_WHOM)
@pytest.mark.parametrize("pool_mode", [None, "session"])
def test_what_results_and_locks_depend_on_is_set_in_each_session(db, hostile, behind, of_whom, pool_mode):
    hostile(of_whom, ALL)
    if pool_mode:
        behind(db.database, pool_mode)

    pinned = {name: value for name, (value, _) in HOSTILE.items() if value}
    assert {name: _setting(name) for name in pinned} == pinned


def _rows():
    query = AstroNNdist.select().order_by(AstroNNdist.spectrum_pk)
    return [(row.spectrum_pk, row.k_mag, row.ebv, row.L_fakemag, row.dist, row.e_dist) for row in query]


@on_postgresql
@pytest.mark.parametrize(
    ("of_whom", "settings"),
    [
        pytest.param("ROLE", ALL, id="all"),
        pytest.param("DATABASE", ALL, marks=pytest.mark.slow, id="all, of the database"),
        *(pytest.param("ROLE", [pair], marks=pytest.mark.slow, id="=".join(pair)) for pair in EACH),
    ],
)
def test_parallel_runs_end_with_0_and_the_same_numbers_whatever_a_login_sets(
    stars, tmp_path, hostile, of_whom, settings
):
    runs = FakeRuns(tmp_path)
    assert runs.run() == 0, runs.errors
    before = _rows()
    assert [row[1] for row in before] == [10 + number / 7 for number in range(24)]
    hostile(of_whom, settings)

    several = [runs.start("--overwrite", "--batch-size", "2") for _ in range(4)]

    assert [process.wait(120) for process in several] == [0] * 4, runs.errors
    assert _rows() == before
    made = TaskRun.select().count()
    assert runs.run() == 0, runs.errors
    assert TaskRun.select().count() == made  # nothing was pending


@on_postgresql
@pytest.mark.parametrize("of_whom", OF_WHOM)
def test_a_login_that_may_only_read_is_found_by_the_doctor(stars, hostile, of_whom, astra, toy_weights):
    hostile(of_whom, [("default_transaction_read_only", "on")])

    code, out, _ = astra("doctor")

    assert (code, "default_transaction_read_only is on" in out) == (74, True)
    assert astra("run", "astronn_dist", "--weights", toy_weights)[0] == 74
