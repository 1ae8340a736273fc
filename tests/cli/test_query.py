"""``astra query``: rows of results on the terminal and for programs; nothing can be changed by it."""

import csv
import io
import json
import sys
from itertools import pairwise

import peewee
import pytest
from astropy.table import Table
from builders import on_sqlite
from numpy.ma import masked

from astra.catalogue import question
from astra.cli import main
from astra.config import load_settings
from astra.database.connection import open_database
from astra.database.sql import batches, snapshot
from astra.models import Distance, Source

from small_survey import fill_survey

DEFAULT = ["obj", "snr", "dist", "e_dist", "m_ks_abs", "a_k_mag", "best_dist", "good", "clean"]


@pytest.fixture
def m67(db):
    fill_survey()
    return db


@pytest.fixture
def rows(m67, astra):
    """The rows that a query prints as JSON."""

    def call(*arguments):
        code, out, err = astra("query", *arguments, "--json")
        assert (code, err) == (0, ""), err
        return json.loads(out)

    return call


def test_without_words_it_shows_the_results_in_a_table_that_fits_80_columns(m67, astra):
    code, out, err = astra("query")

    head, units, *lines = out.splitlines()
    assert (code, err) == (0, "9 rows\n")
    assert head.split() == DEFAULT
    assert units.split() == ["pc", "pc", "mag", "mag", "pc"]
    assert len(lines) == 9
    assert max(map(len, out.splitlines())) <= 80
    assert any("NULL" in line for line in lines)


def test_a_table_says_how_many_rows_there_are_in_all(m67, astra):
    assert astra("query", "--limit", 2, "--where", "good")[2] == "2 of 6 rows; --limit shows more\n"
    assert astra("query", "--where", "dist > 1e9")[2] == "no row meets the condition\n"
    assert astra("query", "--where", "good", "--count") == (0, "6\n", "")


def test_rows_are_those_of_the_view_in_the_order_of_their_spectra(rows):
    found = rows("--columns", "all")

    expected = Distance.select().order_by(Distance.spectrum_pk)
    assert [row["spectrum_pk"] for row in found] == [each.spectrum_pk for each in expected]
    for row, each in zip(found, expected, strict=True):
        own = {name: value for name, value in each.__data__.items() if name.lower() in row}
        absent = {name for name, value in own.items() if value is None or value != value}
        assert {name.lower() for name in absent} == {
            name.lower() for name in own if row[name.lower()] is None
        }
        assert all(row[name.lower()] == own[name] for name in own.keys() - absent - {"created", "modified"})


def test_columns_can_be_computed_and_named_and_chosen_by_a_pattern(rows):
    columns = "obj, e_dist / dist as relative, best_*, Snr"

    [row] = rows("--columns", columns, "--where", "good", "--limit", 1)

    assert list(row) == [
        *("obj", "relative", "best_dist", "best_dist_lo", "best_dist_hi", "best_dist_from", "snr")
    ]
    assert row["relative"] == pytest.approx(0.05)

    ordered = rows("--columns", "snr, dist / snr as ratio", "--order", "ratio desc", "--where", "dist > 0")
    assert [row["ratio"] for row in ordered] == sorted((row["ratio"] for row in ordered), reverse=True)


@pytest.mark.parametrize("descends", [False, True])
def test_absent_values_come_last_in_either_order(rows, descends):
    direction = "desc" if descends else "asc"

    found = [row["dist"] for row in rows("--columns", "dist, good", "--order", f"dist {direction}, good")]

    known = [dist for dist in found if dist is not None]
    assert found == sorted(known, reverse=descends) + [None] * (len(found) - len(known))
    assert len(known) < len(found)


def test_a_limit_and_a_condition_hold_in_any_order(rows):
    near = rows("--where", "good and e_dist / dist < 0.1", "--order", "-dist", "--limit", 3)

    assert len(near) == 3
    assert all(one["dist"] >= other["dist"] for one, other in pairwise(near))


@pytest.fixture
def piped(monkeypatch):
    """The bytes that a command line writes to a pipe."""

    def call(*arguments):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
        assert main(list(arguments)) == 0
        return written.getvalue()

    return call


def test_csv_and_fits_hold_the_same_rows(rows, piped):
    columns = ("--columns", "sdss_id, dist, good, no_result_reason, modified, dist / 1000 as kpc")
    expected = rows(*columns)

    written = list(csv.DictReader(io.StringIO(piped("query", *columns, "--csv").decode())))
    table = Table.read(io.BytesIO(piped("query", *columns, "--format", "fits")))

    assert [{name: value or None for name, value in row.items()} for row in written] == [
        {name: None if value is None else str(value) for name, value in row.items()} for row in expected
    ]
    assert table["dist"].unit == "pc"
    for row, other in zip(table, expected, strict=True):
        for name, value in other.items():
            assert (
                row[name] is masked or row[name] == value if value is not None else row[name] in (masked, "")
            )


@pytest.mark.parametrize("statement", ["DELETE FROM source", "CREATE TABLE x (a int)", "DROP VIEW distances"])
def test_nothing_can_be_changed_through_a_connection_for_reading(db, statement):
    Source.create(sdss_id=1)
    reading = open_database(load_settings(), read_only=True)

    with pytest.raises(peewee.DatabaseError, match="read-?only"):
        reading.execute_sql(statement)

    reading.close()
    assert Source.select().count() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--columns", "dst"], "--columns: at character 1: there is no column dst; did you mean dist"),
        (["--columns", "zz*"], "--columns: no column is called like zz*"),
        (["--columns", "dist, dist"], "at character 7: dist is there twice: leave one out"),
        (["--columns", "5"], "--columns: at character 1: a column is needed here, not 5"),
        (["--columns", "dist desc"], "--columns: at character 6: 'desc' was not expected here"),
        (["--order", "dist as d"], "--order: at character 9: 'd' was not expected here"),
        (["--order", "dist,"], "--order: the text ends too early"),
        (["--where", "dist"], "dist is a number, not a condition"),
        (["--json", "--csv"], "--format json and --format csv: give one of them"),
        (["nothing"], "there is no task or product nothing"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(astra, arguments, said):
    code, out, err = astra("query", *arguments)

    assert (code, out) == (2, "")
    assert said in err.splitlines()[0]


def test_the_rows_of_a_task_go_by_its_names(m67, rows):
    assert rows("distances") == rows("astronn_dist") == rows("astraAllStarAstroNNdist") == rows()


@on_sqlite
def test_what_is_too_wide_for_a_terminal_has_a_line_for_each_value(m67, astra, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    code, out, _ = astra("query", "--columns", "all", "--limit", 2, "--order", "dist")

    lines = out.splitlines()
    assert code == 0
    assert [line for line in lines if line.startswith("row ")] == ["row 1", "row 2"]
    assert [line.split()[1] for line in lines if line.split()[:1] == ["best_dist_from"]] == ["weighted"] * 2


def test_rows_come_before_all_are_read(m67, monkeypatch):
    monkeypatch.setattr(question, "_SMALLEST", 2)
    asked = []
    monkeypatch.setattr(question, "batches", lambda db, query: asked.append(query) or batches(db, query))

    with snapshot(m67):
        [first] = question.Answer(question.Question(columns="obj", limit=1), m67).batches
        few = len(asked)
        rest = list(question.Answer(question.Question(columns="obj"), m67).batches)

    assert few == 1
    assert rest[0] == first
    assert len(rest) > 2
