"""What a database refuses while its rows are read is told like what it refuses at the start."""

import sqlite3

import peewee
import pytest

from astra.database.connection import open_database

READ = {
    "iterated": list,
    "fetchall": lambda cursor: cursor.fetchall(),
    "fetchmany": lambda cursor: cursor.fetchmany(100_000),
    "fetchone": lambda cursor: list(iter(cursor.fetchone, None)),
}


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """A SQLite file with 10,000 rows, of which those in the second half cannot be read."""
    file = tmp_path / "damaged.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE star (name TEXT)")
        connection.executemany("INSERT INTO star VALUES (?)", [(f"star {i:0100}",) for i in range(10_000)])
    connection.close()
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 2)
        opened.write(b"\xff" * (size // 4))
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(file))
    opened = open_database()
    yield opened
    opened.close()


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_damage_that_is_met_amid_the_rows_is_a_database_error(damaged, read):
    cursor = damaged.execute_sql("SELECT name FROM star")

    with pytest.raises(peewee.DatabaseError, match="malformed"):
        read(cursor)
