"""What is served: a file that others go on writing, or a copy that is equal to the database."""

import sqlite3
import threading
from pathlib import Path

import pytest
from builders import a_result, a_source, a_spectrum, on_postgresql, on_sqlite

from astra.errors import StorageError
from astra.models import TABLES, AstroNNdist, Distance, Source
from astra.serve.serving import prepared

from served_pages import opened, uncounted

# > A file that others write to


@on_sqlite
def test_what_is_written_meanwhile_is_on_the_next_page(survey):
    with prepared(survey, uncounted) as served, opened(served) as pages:
        before = pages.json("/distances.json")["filtered_table_rows_count"]
        a_result(a_spectrum(a_source()))
        # In the log alone: the file itself has not changed.
        assert Path(f"{survey.database}-wal").stat().st_size > 0

        assert pages.json("/distances.json")["filtered_table_rows_count"] == before + 1


@on_sqlite
def test_whoever_writes_does_not_wait_for_a_page(survey):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, source) SELECT max(i) FROM n"
    with prepared(survey, uncounted) as served, opened(served) as pages:
        reading = threading.Thread(target=pages.get, args=(f".json?sql={endless}&_timelimit=600",))
        reading.start()
        writer = sqlite3.connect(survey.database, timeout=0)
        for number in range(20):
            with writer:
                writer.execute("UPDATE source SET k_mag = ?", (number,))
        writer.close()
        reading.join()
        ((checked,),) = survey.execute_sql("PRAGMA integrity_check").fetchall()

    assert checked == "ok"
    assert {source.k_mag for source in Source.select()} == {19.0}


@on_sqlite
def test_a_file_is_left_as_it_was(survey, tmp_path):
    file = Path(survey.database)
    survey.close()
    content = file.read_bytes()
    beside = sorted(file.parent.iterdir())
    survey.connect()

    with prepared(survey, uncounted) as served, opened(served) as pages:
        assert pages.get("/distances").status_code == 200
    survey.close()

    assert file.read_bytes() == content
    assert sorted(file.parent.iterdir()) == beside


@on_sqlite
def test_a_name_may_have_characters_that_mean_something_in_an_address(survey, tmp_path):
    file = tmp_path / "50% #1? done.db"
    survey.execute_sql(f"VACUUM INTO '{file}'")
    survey.close()
    survey.init(str(file))

    with prepared(survey, uncounted) as served, opened(served) as pages:
        assert pages.json("/distances.json?good=1")["filtered_table_rows_count"] == 6


# > A copy


def test_a_copy_is_equal_to_the_database_row_by_row(survey):
    with prepared(survey, uncounted, copied=True) as served:
        copy = sqlite3.connect(f"file:{served.path}?mode=ro", uri=True)
        for model in (*TABLES, Distance):
            fields = model._meta.sorted_fields
            listed = ", ".join(f'"{field.column_name}"' for field in fields)
            query = f'SELECT {listed} FROM "{model._meta.table_name}"'
            theirs = sorted(map(str, map(plain, survey.execute_sql(query).fetchall())))
            assert sorted(map(str, map(plain, copy.execute(query).fetchall()))) == theirs, model
        copy.close()
    assert AstroNNdist.select().count() == 10


def plain(row):
    """Booleans as numbers, moments as texts."""
    return [int(value) if isinstance(value, bool) else _text(value) for value in row]


def _text(value):
    return value.isoformat(sep=" ", timespec="microseconds") if hasattr(value, "isoformat") else value


def test_a_copy_is_of_one_moment_says_its_size_and_is_removed(survey, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    there = sorted(tmp_path.iterdir())
    told = []

    with prepared(survey, lambda: _telling(told), copied=True) as served, opened(served) as pages:
        a_result(a_spectrum(a_source()))

        assert pages.json("/distances.json")["filtered_table_rows_count"] == 9
        assert served.copy.bytes == served.path.stat().st_size
        assert f"as it was at {served.copy.moment:%Y-%m-%d}" in pages.get("").text
        assert served.copy.rows == told[-1][0] == told[-1][1] > 30

    assert not served.path.exists()
    assert [path for path in sorted(tmp_path.iterdir()) if path.is_dir()] == [p for p in there if p.is_dir()]


def _telling(told):
    from contextlib import nullcontext

    return nullcontext(lambda done, total: told.append((done, total)))


@on_postgresql
def test_a_table_that_this_login_may_not_read_is_left_out_and_said(survey):
    survey.execute_sql("CREATE TABLE private (x integer)")
    survey.execute_sql("CREATE TABLE open_to_all (x numeric, y jsonb, z bytea)")
    survey.execute_sql("""INSERT INTO open_to_all VALUES (1.5, '{"a": 1}', 'x')""")
    survey.execute_sql("CREATE ROLE serve_reader")
    survey.execute_sql("GRANT USAGE ON SCHEMA astra TO serve_reader")
    survey.execute_sql("GRANT SELECT ON ALL TABLES IN SCHEMA astra TO serve_reader")
    survey.execute_sql("REVOKE ALL ON private FROM serve_reader")
    try:
        survey.execute_sql("SET ROLE serve_reader")
        with prepared(survey, uncounted) as served, opened(served) as pages:
            assert served.copy.left_out == ["private"]
            assert pages.json("/open_to_all.json")["rows"][0][1:3] == [1.5, '{"a": 1}']
            assert pages.get("/private").status_code == 404
    finally:
        survey.execute_sql("RESET ROLE")
        survey.execute_sql("DROP OWNED BY serve_reader")
        survey.execute_sql("DROP ROLE serve_reader")


@on_sqlite
def test_a_disk_without_room_is_one_line_that_names_another_place(survey, monkeypatch):
    monkeypatch.setattr("astra.serve.copying.sqlite3.connect", _full)

    with (
        pytest.raises(StorageError, match="TMPDIR names another folder"),
        prepared(survey, uncounted, copied=True),
    ):
        pass


def _full(*arguments, **keywords):
    connection = _connect(*arguments, **keywords)
    connection.execute("PRAGMA max_page_count = 2")
    return connection


_connect = sqlite3.connect
