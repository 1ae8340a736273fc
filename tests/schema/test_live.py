"""Upgrades of a database in use: they give way to others, harm no row, and go on after a kill."""

import contextlib
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from bench_upgrade import Place, fill, new
from builders import on_postgresql

from astra.config import load_settings
from astra.database import waiting
from astra.database.connection import open_database
from astra.database.locks import changing_schema
from astra.database.schemas import build_index, create_schema
from astra.errors import ConfigError, Interrupted
from astra.schema import upgrade as schema
from astra.schema.effects import effect_on
from astra.tasks.installed import find_task

ROOT = Path(__file__).parents[2]
MEANS = {"weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist"}
#: The row that is inserted with a mean of an unknown zero-point: when there are such columns.
RAW = 4


@pytest.fixture
def other(db):
    """A second session of PostgreSQL, called ``psql``, in a transaction."""
    connection = psycopg2.connect(db.database, options="-c search_path=astra", application_name="psql")
    yield connection.cursor()
    connection.close()


# > No migration changes a row that it should not


def test_no_migration_makes_a_row_pending_or_stale_or_changes_what_it_does_not_name(empty_database):
    create_schema(empty_database, load_settings().database.schema_)
    runner, task = schema.runner(empty_database), find_task("astronn_dist")
    names = [migration.name for migration in runner.migrations()]
    runner.up(names[0])
    for number, name in enumerate(names[1:]):
        # Rows of the version before, beside those of all versions before that.
        _insert(empty_database, number)
        corrected = {"astro_nn_dist": MEANS} if name == "0006_raw_parallaxes" else {}
        before, effect = _results(empty_database), effect_on(empty_database, task, corrected)
        assert (effect.kept, effect.pending, effect.stale) == (number + 1, 0, 0)

        runner.up(name)

        assert effect_on(empty_database, task) == effect, name
        for old, after in zip(before, _results(empty_database), strict=True):
            is_corrected = corrected and old["plx_zero_point"] is None and old["gaia_parallax"] is not None
            kept = old.keys() - (MEANS | {"modified"} if is_corrected else set())
            assert {key: after[key] for key in kept} == {key: old[key] for key in kept}, name
    schema.upgrade(empty_database, load_settings())
    assert effect_on(empty_database, task) == effect


def _insert(database, number):
    """One row of each table, with the columns that it has so far."""
    moment, read = "2026-01-01 00:00:00.000000", "2026-01-02 00:00:00.000000"
    rows = {
        "source": {"pk": number + 1, "sdss_id": number, "k_mag": 10, "ebv": 0.1, "modified": moment},
        "spectrum": {"pk": number + 1},
        "apogee_coadded_spectrum_in_apstar": {
            "source_pk": number + 1,
            "spectrum_pk": number + 1,
            "product_id": f"p{number}",
            **dict.fromkeys(("release", "apred", "apstar", "obj", "telescope", "field"), "dr17"),
            "filetype": "apStar",
            "prefix": "ap",
            "reduction": "",
            "commissioning": False,
            "spectrum_flags": 0,
            "modified": moment,
        },
        "astro_nn_dist": {
            "source_pk": number + 1,
            "spectrum_pk": number + 1,
            "v_astra": 1000,
            "modified": read,
            "k_mag": 10,
            "ebv": 0.1,
            "dist": 4919.68 + number,
            "nn_parallax": 0.25,
            "e_nn_parallax": 0.01,
            "gaia_parallax": 0.2,
            "e_gaia_parallax": 0.02,
            "weighted_parallax": 0.21,
            "plx_zero_point": None if number == RAW else -0.03,
            "inputs_read": read,
            "spectrum_modified": moment,
            "source_modified": moment,
            "source_read": read if number % 2 else None,
            "result_flags": 2048 if number % 3 == 0 else 0,
            "no_result_reason": "Permission denied: /x" if number % 3 == 0 else None,
        },
    }
    for table, values in rows.items():
        columns = {column[0] for column in database.execute_sql(f"SELECT * FROM {table} LIMIT 0").description}
        there = {name: value for name, value in values.items() if name in columns}
        places = ", ".join([database.param] * len(there))
        statement = f"INSERT INTO {table} ({', '.join(there)}) VALUES ({places})"
        database.execute_sql(statement, list(there.values()))


def _results(database):
    cursor = database.execute_sql("SELECT * FROM astro_nn_dist ORDER BY task_pk")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_a_large_change_reaches_every_row_once_whatever_the_gaps_between_the_keys(db, monkeypatch):
    monkeypatch.setattr(waiting, "BATCH_KEYS", 3)
    db.execute_sql("CREATE TABLE numbers (pk BIGINT PRIMARY KEY, seen INTEGER DEFAULT 0)")
    keys = [-4, 0, 1, 3, 4, 11, 12, 13, 14]
    db.execute_sql(f"INSERT INTO numbers (pk) VALUES {', '.join(f'({key})' for key in keys)}")

    waiting.in_batches(
        db, "numbers", "pk", f"UPDATE numbers SET seen = seen + {db.param} WHERE {{batch}}", [1]
    )

    assert db.execute_sql("SELECT count(*), min(seen), max(seen) FROM numbers").fetchone() == (
        len(keys),
        1,
        1,
    )


# > Others are in the way


@on_postgresql  # on SQLite, nobody who reads is in the way
def test_an_upgrade_gives_way_and_says_to_whom_and_goes_on_when_they_end(db, other, monkeypatch, caplog):
    schema.runner(db).down("0009_versions_of_inputs")
    other.execute("SELECT pg_backend_pid() FROM astro_nn_dist RIGHT JOIN (SELECT 1) AS one ON TRUE")
    (pid,) = other.fetchone()
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)

    with pytest.raises(
        Interrupted, match=rf"0009_\w+ has waited \d s for process {pid} \(psql, user postgres.*"
    ):
        schema.upgrade(db, load_settings())

    assert schema.runner(db).status()[-1].applied is None
    # Nothing of ours waits in the way of others.
    other.execute("LOCK TABLE astro_nn_dist IN ACCESS EXCLUSIVE MODE NOWAIT")
    monkeypatch.setattr(waiting, "PATIENCE_S", 60.0)
    monkeypatch.setattr("tenacity.sleep_using_event", lambda _: lambda seconds: other.connection.rollback())
    assert "0009_versions_of_inputs" in schema.upgrade(db, load_settings()).applied
    (record,) = caplog.records
    assert "idle in transaction" in record.getMessage()
    assert f"process {pid}" in record.getMessage()
    assert "which has " in record.getMessage()


@on_postgresql  # on SQLite, a second init that has nothing to do writes nothing
def test_a_repeated_init_waits_for_nobody_who_could_be_in_the_way(db, other, monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    tables = [*db.get_tables(), *(view.name for view in db.get_views())]
    # As an index that is being built, and a run that writes.
    other.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE UPDATE EXCLUSIVE MODE")

    assert schema.upgrade(db, load_settings()).lines() == []


@on_postgresql
def test_a_view_of_another_definition_is_replaced_though_its_columns_are_the_same(db):
    (definition,) = db.execute_sql("SELECT pg_get_viewdef('distances'::regclass)").fetchone()
    db.execute_sql(f"CREATE OR REPLACE VIEW distances AS {definition.rstrip(';')} LIMIT 1")

    schema.upgrade(db, load_settings())

    assert db.execute_sql("SELECT pg_get_viewdef('distances'::regclass)").fetchone() == (definition,)


def test_a_second_init_ends_with_75_where_the_first_does_not_end(db, monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    second = open_database(load_settings())

    with changing_schema(second), pytest.raises(Interrupted, match="the schema has been changed by "):
        schema.upgrade(db, load_settings())
    second.close()

    assert schema.upgrade(db, load_settings()).lines() == []


@on_postgresql
def test_an_index_that_a_kill_has_left_unusable_is_built_again(db):
    name = "astronndist_inputs_read"
    db.execute_sql(f"UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = '{name}'::regclass")
    history = schema.runner(db).History
    history.delete().where(history.name == "0013_nights").execute()

    assert schema.upgrade(db, load_settings()).applied == ["0013_nights"]

    query = f"SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = '{name}'::regclass"
    assert db.execute_sql(query).fetchone() == (True, True)


def test_an_index_is_refused_within_a_transaction(db):
    with db.atomic(), pytest.raises(ConfigError, match="says `atomic = False`"):
        build_index(db, "source", ["ebv"], "source_ebv")


# > Kills


def test_an_upgrade_that_is_killed_again_and_again_ends_as_one_undisturbed(
    database_url, empty_database, request, tmp_path
):
    create_schema(empty_database, load_settings().database.schema_)
    schema.runner(empty_database).up("0005_parallaxes")
    empty_database.close()
    killed = Place(database_url)
    fill(killed, 3 * waiting.BATCH_KEYS)
    with contextlib.ExitStack() as stack:
        if killed.is_postgresql:
            server = request.getfixturevalue("postgres")
            undisturbed = Place(
                server.url(stack.enter_context(server.database(database_url.rpartition("/")[2])))
            )
        else:
            undisturbed = killed.copy(None, tmp_path)
        corrected = "SELECT 1 FROM astro_nn_dist WHERE weighted_parallax = nn_parallax LIMIT 1"
        for query in (corrected, "SELECT 1 FROM schema_migration WHERE name LIKE '0009%'"):
            process = new(killed, "init")
            while process.poll() is None and not killed.ask(query):
                pass
            process.kill()
            process.wait()

        assert [new(each, "init").wait() for each in (killed, undisturbed)] == [0, 0]

        for table in ("astro_nn_dist", "task_withheld"):
            columns = [name for name in _columns(killed, table) if name != "modified"]
            digests = [each.digest(table, columns, 10**9) for each in (killed, undisturbed)]
            assert digests[0] == digests[1]
        assert killed.schema() == undisturbed.schema()


def _columns(place, table):
    with place.connection() as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column[0] for column in cursor.description]


@pytest.mark.slow
@pytest.mark.parametrize("where", [[], pytest.param(["--postgresql"], marks=pytest.mark.postgres)])
def test_the_benchmark_of_upgrades_finds_nothing_lost_and_nobody_who_waits(where):
    commit = ["git", "cat-file", "-e", "859a313"]
    if subprocess.run(commit, cwd=ROOT, check=False, capture_output=True).returncode:
        pytest.skip("needs the history of the repository")
    command = [
        sys.executable,
        "benchmarks/bench_upgrade.py",
        "--rows",
        "4000",
        "--stars",
        "150",
        "--kills",
        "2",
    ]

    done = subprocess.run([*command, *where], cwd=ROOT, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
