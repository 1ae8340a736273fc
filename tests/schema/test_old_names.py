"""The views with upstream's names: they are there, read only, and in nobody's way."""

import json
import shutil
from pathlib import Path

import peewee
import pytest
from builders import a_result, a_source, a_spectrum, on_postgresql, on_sqlite

from astra import migrations
from astra.config import load_settings
from astra.schema import upgrade as schema
from astra.schema.upstream import VIEWS

#: What people made by hand before `astra init` did.
BY_HAND = """
CREATE VIEW astro_nn_dist_upstream AS
SELECT source_pk, spectrum_pk, task_pk, v_astra, created, modified, t_elapsed, t_overhead,
       COALESCE(tag, '') AS tag,
       k_mag, ebv, a_k_mag AS "A_k_mag",
       l_fakemag AS "L_fakemag", e_l_fakemag AS "e_L_fakemag", dist, e_dist, result_flags,
       e_l_fakemag AS "L_fakemag_err", e_model_l_fakemag AS "L_fakemag_model_err", e_dist AS dist_err,
       dist AS nn_dist, e_dist AS nn_dist_err, e_model_dist AS nn_dist_model_err,
       nn_parallax, e_nn_parallax AS nn_parallax_err, e_model_nn_parallax AS nn_parallax_model_err,
       gaia_parallax AS gdr3_parallax_w_zp, e_gaia_parallax AS gdr3_parallax_err,
       plx_zero_point AS gdr3_zeropoint,
       weighted_parallax, e_weighted_parallax AS weighted_parallax_err,
       weighted_dist, e_weighted_dist AS weighted_dist_err
FROM astro_nn_dist
"""

ANEW = """
def up(migrator, db):
    db.execute_sql("DROP VIEW distances")
    db.execute_sql("CREATE TABLE other AS SELECT * FROM apogee_coadded_spectrum_in_apstar")
    db.execute_sql("DROP TABLE apogee_coadded_spectrum_in_apstar")
    db.execute_sql("ALTER TABLE other RENAME TO apogee_coadded_spectrum_in_apstar")
"""


def _columns(db, view):
    return [name for name, *_ in db.execute_sql(f"SELECT * FROM {view} LIMIT 0").description]


def test_the_table_of_spectra_has_upstreams_name_and_only_columns_of_upstream(db, shared):
    spectrum = a_spectrum(a_source(), v_rad=33.9)
    theirs = json.loads((shared / "data" / "datamodel" / "astra_database.json").read_text())

    found = db.execute_sql("SELECT spectrum_pk, source_pk, v_rad FROM apogee_coadded_spectrum_in_ap_star")

    assert found.fetchall() == [(spectrum.spectrum_pk, spectrum.source_pk, 33.9)]
    name = "apogee_coadded_spectrum_in_ap_star"
    there = set(_columns(db, "apogee_coadded_spectrum_in_apstar"))
    assert set(_columns(db, name)) == there & theirs[name]["columns"].keys()
    results = set(_columns(db, "astro_nn_dist_upstream"))
    assert theirs["astro_nn_dist"]["columns"].keys() <= results


def test_a_tag_is_an_empty_text_in_the_view_alone(db):
    a_result(a_spectrum(a_source()))

    assert db.execute_sql("SELECT tag FROM astro_nn_dist_upstream").fetchall() == [("",)]
    assert db.execute_sql("SELECT tag FROM astro_nn_dist").fetchall() == [(None,)]


@pytest.mark.parametrize(
    "name", ['"A_k_mag"', "a_k_mag", "A_k_mag", "l_fakemag", "e_L_fakemag", "fake_k_mag"]
)
def test_names_are_found_with_quotes_and_without(db, name):
    row = a_result(a_spectrum(a_source()), A_k_mag=0.03, L_fakemag=20.0, e_L_fakemag=1.0)

    (found,) = db.execute_sql(f"SELECT {name} FROM astro_nn_dist_upstream").fetchone()

    assert found == {"a": row.A_k_mag, "l": row.L_fakemag, "e": 1.0, "f": 20.0}[name.strip('"')[0].lower()]


@pytest.mark.parametrize(
    ("zero_point", "origin", "is_exact"),
    [
        (-0.04, "nu_eff", True),
        (-0.04, "pseudocolour", True),
        (-0.04, None, True),  # made by a version that did not say what it is made from
        (-0.04, "bp_rp", False),
        (-0.0523, "dr2", False),
        (None, None, False),
    ],
)
def test_names_that_mean_gaia_dr3_hold_exact_zero_points_of_it_alone(db, zero_point, origin, is_exact):
    gaia = {"plx_zero_point": zero_point, "gaia_parallax": 0.3, "e_gaia_parallax": 0.02}
    a_result(a_spectrum(a_source()), plx_zero_point_origin=origin, **gaia)

    found = db.execute_sql(
        "SELECT gdr3_zeropoint, gdr3_parallax_w_zp, gdr3_parallax_err FROM astro_nn_dist_upstream"
    ).fetchone()

    assert found == ((zero_point, 0.3, 0.02) if is_exact else (None, None, None))


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_written_through_a_view(db, view):
    a_result(a_spectrum(a_source()))

    for statement in (f"DELETE FROM {view}", f"UPDATE {view} SET spectrum_pk = 1"):
        with pytest.raises(peewee.DatabaseError, match="cannot (delete|update|modify)"), db.atomic():
            db.execute_sql(statement)


def test_the_view_that_was_made_by_hand_is_replaced(db):
    made = _columns(db, "astro_nn_dist_upstream")
    db.execute_sql("DROP VIEW astro_nn_dist_upstream")
    db.execute_sql(BY_HAND)

    schema.upgrade(db, load_settings())

    assert _columns(db, "astro_nn_dist_upstream") == made


@on_postgresql  # SQLite has no rights, and finds what a view rests on by its name
def test_rights_on_a_view_made_by_hand_and_what_rests_on_it_stay(db):
    db.execute_sql("DROP VIEW astro_nn_dist_upstream")
    db.execute_sql(BY_HAND)
    db.execute_sql("GRANT SELECT ON astro_nn_dist_upstream TO PUBLIC")
    db.execute_sql('CREATE VIEW mine AS SELECT "L_fakemag" FROM astro_nn_dist_upstream')

    schema.upgrade(db, load_settings())

    assert db.execute_sql("SELECT count(*) FROM mine").fetchone() == (0,)
    query = "SELECT relacl::text FROM pg_class WHERE relname = 'astro_nn_dist_upstream'"
    assert "=r/" in db.execute_sql(query).fetchone()[0]
    assert "v_astra_major_minor" in _columns(db, "astro_nn_dist_upstream")


def test_a_view_with_other_columns_is_replaced_too(db):
    made = _columns(db, "astro_nn_dist_upstream")
    db.execute_sql("DROP VIEW astro_nn_dist_upstream")
    db.execute_sql("CREATE VIEW astro_nn_dist_upstream AS SELECT dist AS d, spectrum_pk FROM astro_nn_dist")

    schema.upgrade(db, load_settings())

    assert _columns(db, "astro_nn_dist_upstream") == made


@on_postgresql
def test_a_view_that_cannot_be_replaced_stays_and_is_one_line(astra, db):
    db.execute_sql("DROP VIEW astro_nn_dist_upstream")
    db.execute_sql("CREATE VIEW astro_nn_dist_upstream AS SELECT dist AS d FROM astro_nn_dist")
    db.execute_sql("CREATE VIEW mine AS SELECT d FROM astro_nn_dist_upstream")

    code, _, err = astra("init")

    assert (code, err.count("\n")) == (0, 1)
    assert "the view astro_nn_dist_upstream cannot be made anew (cannot drop view" in err
    assert _columns(db, "mine") == ["d"]


def test_a_table_of_that_name_stays_and_is_one_line(astra, db):
    db.execute_sql("DROP VIEW astro_nn_dist_upstream")
    db.execute_sql("CREATE TABLE astro_nn_dist_upstream (dist REAL)")
    db.execute_sql("DROP VIEW apogee_coadded_spectrum_in_ap_star")

    code, _, err = astra("init")

    assert (code, err.count("\n")) == (0, 1)
    assert "a table is called astro_nn_dist_upstream, so there is no view" in err
    assert _columns(db, "astro_nn_dist_upstream") == ["dist"]
    assert "snr" in _columns(db, "apogee_coadded_spectrum_in_ap_star")


def test_migrations_go_back_and_forth_beside_the_views(db):
    """Both databases refuse to drop a column that a view uses."""
    columns = {view: _columns(db, view) for view in VIEWS}

    schema.runner(db).down("0005_parallaxes")
    assert not {view.name for view in db.get_views()} & VIEWS.keys()
    schema.upgrade(db, load_settings())

    assert {view: _columns(db, view) for view in VIEWS} == columns


@on_sqlite  # on PostgreSQL a table gets new columns in its place
def test_a_later_migration_may_build_a_table_anew(db, tmp_path, monkeypatch):
    """A table that is renamed while a view uses it would be an error."""
    spectrum = a_spectrum(a_source())
    folder = shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
    (folder / "9999_anew.py").write_text(ANEW)
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))

    assert schema.upgrade(db, load_settings()).applied == ["9999_anew"]

    found = db.execute_sql("SELECT spectrum_pk FROM apogee_coadded_spectrum_in_ap_star").fetchall()
    assert found == [(spectrum.spectrum_pk,)]


def test_init_that_has_nothing_to_do_leaves_the_views_alone(db, monkeypatch):
    monkeypatch.setattr("astra.schema.upstream.replace_view", None)

    schema.upgrade(db, load_settings())


@on_sqlite
def test_a_name_that_is_taken_otherwise_is_a_warning(db, astra):
    db.execute_sql("DROP VIEW astro_nn_dist_upstream")
    db.execute_sql("CREATE INDEX astro_nn_dist_upstream ON astro_nn_dist (dist)")

    code, _, err = astra("init")

    assert (code, err.count("\n")) == (0, 1)
    assert "the view astro_nn_dist_upstream cannot be made anew (" in err
