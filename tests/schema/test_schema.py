"""Migrated tables equal the models, on both databases; init is safe to repeat and to start twice."""

import math
import subprocess
import sys
from itertools import product

import peewee
import pytest
from builders import a_result, a_run, a_source, a_spectrum, on_postgresql
from playhouse.migrations import MigrationError
from upstream_tables import make_tables

from astra.config import load_settings
from astra.database.connection import bound_to, is_postgresql, open_database
from astra.errors import ConfigError
from astra.models import TABLES, AstroNNdist, Distance, Source, TaskRun, TaskWithheld
from astra.schema import upgrade as schema

ALL = [
    *("0001_tables", "0002_distances", "0003_weights_of_runs", "0004_claims", "0005_parallaxes"),
    *("0006_raw_parallaxes", "0007_withheld", "0008_options_of_runs", "0009_versions_of_inputs"),
    *("0010_combined_spectra", "0011_coverage", "0012_trials", "0013_nights"),
    *("0014_gaia", "0015_clean", "0016_bailer_jones"),
]


def _columns(database, table):
    kinds = {"int": "integer", "int8": "bigint", "double precision": "real"}
    found = {}
    for column in database.get_columns(table):
        kind = column.data_type.lower()
        found[column.name] = (kinds.get(kind, kind), column.null, column.primary_key)
    return found


def _constraints(database, table):
    indexes = {(tuple(index.columns), index.unique) for index in database.get_indexes(table)}
    foreign = {(key.column, key.dest_table, key.dest_column) for key in database.get_foreign_keys(table)}
    return indexes, foreign


def test_migrated_tables_equal_the_models(db):
    migrated = {
        t._meta.table_name: (_columns(db, t._meta.table_name), *_constraints(db, t._meta.table_name))
        for t in TABLES
    }
    for view in db.get_views():
        db.execute_sql(f"DROP VIEW {view.name}")
    db.drop_tables(TABLES)
    db.create_tables(TABLES)

    for model in TABLES:
        name = model._meta.table_name
        assert migrated[name] == (_columns(db, name), *_constraints(db, name))


def _view_columns(database):
    return [column[0] for column in database.execute_sql("SELECT * FROM distances LIMIT 0").description]


def test_the_view_has_the_columns_of_its_model_and_those_of_before_in_the_order_of_before(db):
    made_from_the_model = _view_columns(db)
    schema.runner(db).down("0005_parallaxes")
    schema.runner(db).up("0005_parallaxes")

    before = _view_columns(db)

    assert made_from_the_model[: len(before)] == before
    assert set(made_from_the_model) == {field.column_name for field in Distance._meta.sorted_fields}


def test_the_view_of_the_model_gives_the_rows_of_the_view_of_the_migrations(db):
    sources = [a_source(plx=0.2, e_plx=0.1), a_source(), None]
    for source, snr, flags in product(sources, (90.0, 110.0, math.nan), (0, 1, 2, 4, 2048)):
        a_result(a_spectrum(source, snr=snr, spectrum_flags=flags % 32), result_flags=flags)
    query = "SELECT * FROM distances ORDER BY spectrum_pk"
    of_the_model = db.execute_sql(query).fetchall()
    schema.runner(db).down("0005_parallaxes")
    schema.runner(db).up()

    of_the_migrations = db.execute_sql(query).fetchall()
    assert of_the_migrations == [row[: len(_view_columns(db))] for row in of_the_model]


def test_a_view_that_lacks_a_column_is_made_anew(db):
    columns = _view_columns(db)
    db.execute_sql("DROP VIEW distances")
    db.execute_sql("CREATE VIEW distances AS SELECT sdss_id, sdss4_apogee_id FROM source")

    assert schema.upgrade(db, load_settings()).applied == []

    assert _view_columns(db) == columns


def test_generated_columns_are_generated_in_the_migrated_table(db):
    row = a_result(a_spectrum(a_source()), v_astra=2_003_004)

    with pytest.raises(peewee.DatabaseError, match="generated"):
        db.execute_sql("UPDATE astro_nn_dist SET v_astra_major_minor = 3")
    assert row.v_astra_major_minor == 2003


def test_down_and_up_again_keeps_every_row(db):
    a_result(a_spectrum(a_source()))
    before = Distance.select().dicts().get()

    assert schema.runner(db).down("0002_distances") == ALL[:0:-1]
    with pytest.raises(ConfigError, match="older than this Astra.*astra init"):
        schema.check(db)
    schema.upgrade(db, load_settings())

    schema.check(db)
    assert repr(Distance.select().dicts().get()) == repr(before)


def test_the_runs_so_far_stay_as_they_were_when_their_weights_get_new_columns(db):
    a_result(a_spectrum(a_source()), run_pk=a_run(weights_name="old", measured=1).pk)
    assert schema.runner(db).down("0003_weights_of_runs") == ALL[:1:-1]
    tables = ("task_run", "astro_nn_dist", "distances")
    before = {table: _only_row(db, table) for table in tables}

    assert schema.runner(db).up() == ALL[2:]

    after = {table: _only_row(db, table) for table in tables}
    for table in tables:
        assert before[table].items() <= after[table].items()
    new = {"weights_origin", "weights_range", "options"}
    assert set(after["task_run"]) - set(before["task_run"]) == new
    assert {after["task_run"][name] for name in new} == {None}


def test_going_back_and_forth_forgets_the_options_of_runs_and_nothing_else(db):
    a_result(a_spectrum(a_source()), run_pk=a_run(options='{"backend": "astra"}', seed=3).pk)
    before = _only_row(db, "task_run")

    assert schema.runner(db).down("0008_options_of_runs") == ALL[:6:-1]
    assert _only_row(db, "task_run").items() == {k: v for k, v in before.items() if k != "options"}.items()
    schema.runner(db).up()

    assert _only_row(db, "task_run") == before | {"options": None}


def _only_row(database, table):
    cursor = database.execute_sql(f"SELECT * FROM {table}")
    (row,) = cursor.fetchall()
    return dict(zip((column[0] for column in cursor.description), row, strict=True))


def test_the_results_so_far_keep_their_numbers_when_errors_and_parallaxes_are_added(db):
    a_result(a_spectrum(a_source(plx=0.2)), run_pk=a_run().pk, dist=4919.68, flag_missing_extinction=True)
    schema.runner(db).down("0005_parallaxes")
    before = {table: _only_row(db, table) for table in ("astro_nn_dist", "distances")}

    schema.runner(db).up()

    for table, row in before.items():
        added = {name: value for name, value in _only_row(db, table).items() if name not in row}
        assert row.items() <= _only_row(db, table).items()
        assert "weighted_parallax" in added
        assert set(added.values()) == {None}


def test_gaia_is_taken_out_of_exactly_the_means_with_an_unknown_zero_point(db):
    both = {"nn_parallax": 0.25, "e_nn_parallax": 0.0125, "gaia_parallax": 0.2, "e_gaia_parallax": 0.02}
    raw = both | {"weighted_parallax": 0.21, "e_weighted_parallax": 0.01, "weighted_dist": 4761.9}
    kinds = {
        "raw": raw,
        "raw and negative": raw | {"weighted_parallax": -0.01, "weighted_dist": None},
        "raw, and the spectrum does not count": raw | {"flag_fakemag_unreliable": True},
        "raw, and without a distance of the spectrum": raw | {"nn_parallax": math.nan},
        "corrected": raw | {"plx_zero_point": -0.03},
        "without Gaia": raw | {"gaia_parallax": math.nan},
        "raw, of no mean": both,
    }
    read = {"inputs_read": "2026-01-01 00:00:00.000000"}
    rows = {kind: a_result(a_spectrum(a_source()), **values, **read) for kind, values in kinds.items()}
    schema.runner(db).down("0006_raw_parallaxes")

    schema.runner(db).up()

    columns = ("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist")
    after = {kind: AstroNNdist.get_by_id(row.task_pk) for kind, row in rows.items()}
    means = {kind: [getattr(row, column) for column in columns] for kind, row in after.items()}
    of_the_spectrum, none = [0.25, 0.0125, 4000.0, 200.0], [math.nan] * 4
    assert means["raw"] == means["raw and negative"] == of_the_spectrum
    for kind in ("raw, and the spectrum does not count", "raw, and without a distance of the spectrum"):
        assert repr(means[kind]) == repr(none)
    for kind, row in after.items():
        is_corrected = kind.startswith("raw") and kind != "raw, of no mean"
        assert (row.modified > rows[kind].modified) == is_corrected
        kept = set(row.__data__) - ({*columns, "modified"} if is_corrected else set())
        assert {name: repr(getattr(row, name)) for name in kept} == {
            name: repr(getattr(rows[kind], name)) for name in kept
        }


def test_results_that_the_system_withheld_before_are_noted(db):
    reasons = {"Permission denied: /a.fits": True, "truncated: /b.fits has 3 bytes": False, None: False}
    read = {"inputs_read": "2999-01-01 00:00:00.000000"}
    rows = {
        reason: a_result(a_spectrum(a_source()), flag_no_result=True, no_result_reason=reason, **read)
        for reason in reasons
    }
    schema.runner(db).down("0007_withheld")

    schema.runner(db).up()

    noted = {row.spectrum_pk: row.reason for row in TaskWithheld.select()}
    assert noted == {rows[reason].spectrum_pk: reason for reason, is_noted in reasons.items() if is_noted}


@on_postgresql  # SQLite has no rights, and finds what a view rests on by its name
def test_views_and_rights_on_the_view_outlive_its_new_columns(db):
    schema.runner(db).down("0005_parallaxes")
    db.execute_sql("GRANT SELECT ON distances TO PUBLIC")
    db.execute_sql("CREATE VIEW mine AS SELECT sdss_id, dist FROM distances WHERE good")

    schema.upgrade(db, load_settings())

    assert db.execute_sql("SELECT count(*) FROM mine").fetchone() == (0,)
    (rights,) = db.execute_sql("SELECT relacl::text FROM pg_class WHERE relname = 'distances'").fetchone()
    assert "=r/" in rights


def test_tables_with_rows_are_not_dropped(db):
    source = a_source()
    schema.runner(db).down("0002_distances")

    with pytest.raises(ValueError, match="table source holds 1 rows"):
        schema.runner(db).down()

    assert Source.select(Source.pk).get().pk == source.pk


def test_empty_tables_go_down_and_come_up_again(db):
    schema.runner(db).down("0001_tables")
    schema.runner(db).up()

    schema.check(db)
    assert TaskRun.select().count() == 0


def test_init_says_what_it_applied_and_repeats_without_harm(empty_database):
    settings = load_settings()

    assert schema.upgrade(empty_database, settings).applied == ALL
    assert schema.upgrade(empty_database, settings).applied == []


@pytest.mark.heavy
def test_two_inits_at_once_make_one_schema(database_url, monkeypatch):
    variable = "ASTRA_DATABASE_URL" if "://" in database_url else "ASTRA_DATABASE_PATH"
    monkeypatch.setenv(variable, database_url)
    command = [sys.executable, "-m", "astra", "init"]

    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in started]

    assert [code for *_, code in ended] == [0] * 4, ended
    assert sum("schema is ready" in out for out, *_ in ended) == 1
    with bound_to(open_database(load_settings())) as database:
        schema.check(database)


def test_a_missing_schema_names_the_remedy(empty_database):
    with pytest.raises(ConfigError, match="run `astra init` first"):
        schema.check(empty_database)


def test_a_newer_schema_is_refused(db):
    schema.runner(db).History.create(name="9999_from_the_future")

    with pytest.raises(ConfigError, match="newer than this Astra.*9999_from_the_future"):
        schema.check(db)
    with pytest.raises(ConfigError, match="newer than this Astra"):
        schema.upgrade(db, load_settings())


def test_unknown_targets_of_a_migration_are_refused(db):
    with pytest.raises(MigrationError):
        schema.runner(db).up("0003_none")


@on_postgresql  # SQLite has no place for comments
def test_postgresql_shows_the_help_texts_beside_the_columns(db):
    query = (
        "SELECT col_description('astro_nn_dist'::regclass, attnum) FROM pg_attribute WHERE attname = 'dist'"
    )

    assert ("Heliocentric distance [pc]",) in db.execute_sql(query).fetchall()


# > The tables of SDSS Astra


def test_init_leaves_the_tables_of_sdss_astra_alone_and_says_where_to_go(
    empty_database, database_url, astra, published, monkeypatch
):
    if is_postgresql(empty_database):
        schema_name, source, place = "astra_080", "… --schema …", "ASTRA_DATABASE_SCHEMA"
        monkeypatch.setenv(place, schema_name)
    else:
        schema_name, source, place = None, database_url, "ASTRA_DATABASE_PATH"
    upstream = make_tables(empty_database, published("astra_database"), schema_name)
    upstream["source"].create(sdss_id=1)
    before = _everything(empty_database)
    # As SQLite makes a file; SDSS Astra's own program keeps its journal otherwise.
    journal = _journal(empty_database)

    code, _, err = astra("init")

    assert code == 78
    assert "the tables astro_nn_dist, source, spectrum are there, and `astra init` has not made them" in err
    assert f"{place}); from there, `astra ingest astra --from {source}` reads these" in err
    assert err.count("\n") == 1
    assert _everything(empty_database) == before
    assert _journal(empty_database) == journal


def _journal(database):
    return None if is_postgresql(database) else database.pragma("journal_mode")


def _everything(database):
    """What there is in a database, whatever its schema."""
    if is_postgresql(database):
        return database.execute_sql("SELECT oid FROM pg_class ORDER BY oid").fetchall()
    return database.execute_sql("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_a_schema_of_its_own_beside_that_of_sdss_astra_is_made(empty_database, astra, published):
    if is_postgresql(empty_database):
        make_tables(empty_database, published("astra_database"), "astra_080")

    assert astra("init")[0] == astra("init")[0] == 0
