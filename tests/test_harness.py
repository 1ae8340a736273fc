"""What conftest.py promises to every other test."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from peewee import SqliteDatabase
from playhouse.db_url import connect

from postgres_server import NoServer, Server, find_binaries, parse_server


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_has_an_empty_database_of_its_own(database_url, turn):
    postgresql = database_url.startswith("postgresql://")
    with connect(database_url) if postgresql else SqliteDatabase(database_url) as database:
        assert database.get_tables() == []

        database.execute_sql("CREATE TABLE left_behind (pk INTEGER)")


@pytest.mark.postgres
def test_a_database_can_be_a_copy_of_another_and_is_dropped_though_in_use(postgres):
    with postgres.database() as original:
        first = psycopg2.connect(postgres.url(original))
        with first, first.cursor() as cursor:
            cursor.execute("CREATE TABLE copied (pk INTEGER)")
        with postgres.database(template=original) as copy:
            second = psycopg2.connect(postgres.url(copy))
            with second.cursor() as cursor:
                cursor.execute("SELECT pk FROM copied")
        with pytest.raises(psycopg2.OperationalError, match="does not exist"):
            psycopg2.connect(postgres.url(copy))


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("INSERT INTO astra.source (ebv) SELECT 0", True),
        ("ALTER TABLE astra.source ADD COLUMN colour text", False),
        ("DELETE FROM astra.schema_migration", False),
    ],
)
def test_a_copy_in_which_only_rows_were_changed_is_used_again(postgres, postgres_pool, change, again):
    with postgres_pool.database() as name, psycopg2.connect(postgres.url(name)) as connection:
        connection.cursor().execute(change)
    connection.close()

    with postgres_pool.database() as next_name:
        assert (next_name == name) == again


def test_the_address_of_a_running_server_is_checked():
    assert parse_server("db.example.org:5433:me") == Server("db.example.org", 5433, "me")
    with pytest.raises(ValueError, match="ASTRA_TEST_PG='localhost' is not of the form host:port:user"):
        parse_server("localhost")


def test_a_folder_without_a_server_is_named(tmp_path):
    with pytest.raises(NoServer, match=str(tmp_path)):
        find_binaries(str(tmp_path))


def test_settings_and_home_are_the_tests_own(tmp_path):
    assert Path.home().is_relative_to(tmp_path)
    assert Path(os.environ["XDG_CONFIG_HOME"]).is_relative_to(tmp_path)
    assert [name for name in os.environ if name.startswith("ASTRA_")] == ["ASTRA_CONFIG"]
    assert not {"SAS_BASE_DIR", "MWM_ASTRA", "PGHOST"} & os.environ.keys()


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_starts_from_the_same_random_numbers(turn):
    assert np.random.random() == np.random.RandomState(20260101).random_sample()


def test_an_ordinary_user_is_stopped_by_permissions(ordinary_user, open_tmp_path):
    closed = open_tmp_path / "closed"
    closed.mkdir(mode=0o555)
    script = "import pathlib; pathlib.Path.home().joinpath('mine').touch(); open('closed/new', 'w')"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=open_tmp_path, capture_output=True, text=True, **ordinary_user
    )

    assert (open_tmp_path / "home" / "mine").exists()
    assert "PermissionError: [Errno 13] Permission denied: 'closed/new'" in done.stderr


def test_the_oracle_of_distances_needs_no_tensorflow(fakemag_to_pc):
    distance, error = fakemag_to_pc([10.0], [5.0], [1.0])

    assert (distance.value[0], error.value[0]) == pytest.approx((1000.0, 100.0))
