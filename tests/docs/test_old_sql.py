"""SQL for upstream's names, and SQL of PostgreSQL alone."""

import math

import pytest

from astra.models import AstroNNdist
from astra.schema import runner

from documents import blocks, statements

on_postgresql = pytest.mark.parametrize(
    "filled", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
on_sqlite = pytest.mark.parametrize("filled", ["sqlite"], indirect=True)


def _run(db, block):
    """What the last statement of a block gives."""
    for statement in statements(block.text):
        cursor = db.execute_sql(statement)
    return cursor.fetchall() if cursor.description else []


@pytest.fixture
def upstream(survey):
    """The view of upstream's names, as its page makes it."""
    first, second = blocks("docs/upstream.md", "sql")
    _run(survey, first)
    return survey, second


def test_old_sql_with_quoted_names_finds_the_values_of_the_columns(upstream):
    db, _ = upstream
    names = '"A_k_mag", "L_fakemag", "e_L_fakemag", "L_fakemag_err", dist, e_dist, dist_err, result_flags'

    found = db.execute_sql(f"SELECT {names} FROM astro_nn_dist_upstream ORDER BY task_pk")

    rows = AstroNNdist.select().order_by(AstroNNdist.task_pk)
    for old, row in zip(found.fetchall(), rows, strict=True):
        errors = (row.e_L_fakemag, row.e_L_fakemag, row.dist, row.e_dist, row.e_dist)
        now = (row.A_k_mag, row.L_fakemag, *errors, row.result_flags)
        assert [math.nan if value is None else value for value in old] == pytest.approx(
            list(now), nan_ok=True
        )


def test_every_column_of_upstreams_table_is_in_the_view(upstream):
    db, _ = upstream
    upstreams = (
        "task_pk source_pk spectrum_pk v_astra created modified t_elapsed t_overhead tag k_mag ebv A_k_mag"
    )
    upstreams += " L_fakemag e_L_fakemag dist e_dist result_flags"

    names = [name for name, *_ in db.execute_sql("SELECT * FROM astro_nn_dist_upstream").description]

    assert set(upstreams.split()) <= set(names)


def test_migrations_pass_by_the_view_of_old_names(upstream):
    """It rests on no view of ours, which migrations make anew."""
    db, _ = upstream

    runner(db).down()
    applied = runner(db).up()

    assert len(applied) == 1
    assert db.execute_sql('SELECT "L_fakemag" FROM astro_nn_dist_upstream').fetchone()


@on_postgresql
def test_old_sql_finds_its_table_by_the_search_path(upstream):
    db, block = upstream

    assert len(_run(db, block)) == AstroNNdist.select().count()


@on_sqlite
def test_on_sqlite_old_names_need_no_view(survey):
    assert survey.execute_sql('SELECT "A_k_mag", "L_fakemag" FROM astro_nn_dist').fetchone()


@on_postgresql
def test_rights_are_given_and_taken_as_the_page_on_operations_says(survey):
    (name,) = survey.execute_sql("SELECT current_database()").fetchone()
    roles = [block for block in blocks("docs/operations.md", "sql") if "roles" in block.heading]
    said = [statement for block in roles for statement in statements(block.text)]
    given = [statement.replace("DATABASE survey", f"DATABASE {name}") for statement in said]

    for role in ("astra_writer", "astra_reader"):
        survey.execute_sql(f"CREATE ROLE {role}")
    for statement in given:
        survey.execute_sql(statement)

    member = "SELECT pg_has_role(%s, 'astra_writer', 'member')"
    assert survey.execute_sql(member, ("pipeline",)).fetchone() == (True,)
    assert survey.execute_sql(member, ("ana",)).fetchone() == (False,)
    assert len(given) == 6
