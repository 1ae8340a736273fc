"""SQL for upstream's names, and SQL of PostgreSQL alone."""

import math

import pytest

from astra.models import AstroNNdist

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


#: What upstream's columns are called here; all others have the same name.
RENAMED = {
    "fake_k_mag": "L_fakemag",
    "fake_k_mag_err": "e_L_fakemag",
    "L_fakemag_err": "e_L_fakemag",
    "L_fakemag_model_err": "e_model_L_fakemag",
    "dist_err": "e_dist",
    "nn_dist": "dist",
    "nn_dist_err": "e_dist",
    "nn_dist_model_err": "e_model_dist",
    "nn_parallax_err": "e_nn_parallax",
    "nn_parallax_model_err": "e_model_nn_parallax",
    "gdr3_parallax_w_zp": "gaia_parallax",
    "gdr3_parallax_err": "e_gaia_parallax",
    "gdr3_zeropoint": "plx_zero_point",
    "weighted_parallax_err": "e_weighted_parallax",
    "weighted_dist_err": "e_weighted_dist",
}
SAME = "k_mag ebv A_k_mag L_fakemag e_L_fakemag dist e_dist nn_parallax weighted_parallax weighted_dist"


@pytest.mark.parametrize("old", [*SAME.split(), *RENAMED])
def test_old_sql_with_quoted_names_finds_the_values_of_the_columns(survey, old):
    field = AstroNNdist._meta.fields[RENAMED.get(old, old)]

    found = survey.execute_sql(f'SELECT "{old}" FROM astro_nn_dist_upstream ORDER BY task_pk').fetchall()

    now = AstroNNdist.select(field).order_by(AstroNNdist.task_pk).tuples()
    assert [math.nan if value is None else value for (value,) in found] == pytest.approx(
        [value for (value,) in now], nan_ok=True
    )


def test_every_other_column_of_upstreams_table_is_in_the_view(survey):
    others = "task_pk source_pk spectrum_pk v_astra created modified t_elapsed t_overhead tag result_flags"

    names = [name for name, *_ in survey.execute_sql("SELECT * FROM astro_nn_dist_upstream").description]

    again = {name.lower() for name in names if name != name.lower()}
    assert set(names) - again == {
        *others.split(),
        *SAME.split(),
        *RENAMED,
        "v_astra_major_minor",
    }


def test_migrations_make_the_view_of_distances_anew_beside_that_of_old_names(survey):
    """PostgreSQL drops no view that another one rests on."""
    survey.execute_sql("DROP VIEW distances")

    assert survey.execute_sql('SELECT "L_fakemag" FROM astro_nn_dist_upstream').fetchone()


@on_postgresql
def test_old_sql_finds_its_table_by_the_search_path(survey):
    (block,) = (each for each in blocks("docs/upstream.md", "sql") if "CREATE SCHEMA upstream" in each.text)

    assert len(_run(survey, block)) == AstroNNdist.select().count()


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
