"""`astra init --plan`: what an upgrade would do, without doing it."""

import json
from datetime import datetime

import guests
import pytest
from builders import a_result, a_source, a_spectrum, on_postgresql, on_sqlite

from astra.config import load_settings
from astra.database.connection import is_postgresql
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.schema import upgrade as schema
from astra.schema.effects import effect_on
from astra.schema.plan import plan
from astra.tasks.installed import find_task
from astra.trials.making import make_trial

BEYOND = """
def up(migrator, db):
    db.cursor().execute("DELETE FROM guest_result")
"""
FILLING = """
FILLED_BY = "astra run count_pixels --fill width"
ROWS = "no row changes"

def up(migrator, db):
    db.execute_sql("ALTER TABLE guest_result ADD COLUMN width REAL")
    db.execute_sql("ALTER TABLE guest_result ALTER COLUMN pixels TYPE REAL")
"""

WIDENING = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE guest_result ADD COLUMN width REAL")
"""


@pytest.fixture
def older(db):
    """A database of an older version with one result, one stale row, and one spectrum that is pending."""
    spectra = [a_spectrum(a_source()) for _ in range(3)]
    for model in (Source, ApogeeCoaddedSpectrumInApStar):
        model.update(modified=datetime(2020, 1, 1)).execute()
    for spectrum in spectra[:2]:
        a_result(spectrum, inputs_read=datetime(2021, 1, 1))
    Source.update(modified=datetime(2022, 1, 1)).where(Source.pk == spectra[1].source_pk).execute()
    schema.runner(db).down("0006_raw_parallaxes")
    return db


def _everything(database):
    if is_postgresql(database):
        query = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'astra'::regnamespace ORDER BY oid"
        return database.execute_sql(query).fetchall()
    return database.execute_sql("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_a_plan_changes_nothing_and_names_what_init_then_applies(astra, older):
    before = _everything(older)

    code, out, _ = astra("init", "--plan", "--json")

    planned = json.loads(out)
    assert (code, _everything(older)) == (0, before)
    names = [part["name"] for part in planned["parts"] if part["name"][0] == "0"]
    assert names == schema.upgrade(older, load_settings()).applied
    assert plan(older).parts == []


def test_the_rows_of_a_plan_are_those_after_the_upgrade(astra, older):
    (planned,) = plan(older).effects
    assert (planned.kept, planned.stale, planned.pending) == (2, 1, 1)

    schema.upgrade(older, load_settings())

    assert effect_on(older, find_task("astronn_dist")) == planned


def test_a_new_minor_version_takes_all_spectra_and_keeps_all_rows(older, monkeypatch):
    monkeypatch.setattr("astra.models.pipeline.V_ASTRA_MAJOR_MINOR", 2)

    (effect,) = plan(older).effects

    assert (effect.kept, effect.stale, effect.pending, effect.earlier) == (0, 0, 3, 2)
    assert "2 of other versions" in effect.line()
    assert "(this is a new minor version)" in effect.line()


@on_postgresql
def test_a_plan_for_people_says_what_waits_for_what(astra, older):
    code, out, _ = astra("init", "--plan")

    assert code == 0
    for said in (
        "ALTER TABLE astro_nn_dist ADD COLUMN spectrum_modified TIMESTAMP\n"
        "        ACCESS EXCLUSIVE on astro_nn_dist, blocks readers and writers, for a moment",
        "        ROW EXCLUSIVE on astro_nn_dist, blocks who writes the same rows, for one part, "
        "5,000 keys at a time",
        "        SHARE UPDATE EXCLUSIVE on astro_nn_dist, blocks nobody",
        "        SHARE ROW EXCLUSIVE on source, spectrum, blocks writers, for a moment",
        "astronn_dist: 1 rows stay, but for columns named above; 1 rows are stale, 1 spectra are pending",
        "NULL in old rows until a run makes the row again: astro_nn_dist.spectrum_modified, ",
        "A run of the last version that starts afterwards ends with 78",
    ):
        assert said in out


def test_migrations_of_packages_are_in_the_plan_also_one_that_cannot_be_known(
    astra, db, tmp_path, monkeypatch
):
    folder = tmp_path / "guest_package"
    guests.install(folder, monkeypatch, guests.GOOD, "count_pixels", migrations=guests.MIGRATIONS)
    planned = plan(db)
    assert [(part.name, part.package) for part in planned.parts] == [
        ("0001_table", "guest"),
        ("0002_pixels", "guest"),
    ]
    assert planned.parts[1].steps[0].blocks != "not known"
    assert astra("init")[0] == 0
    guests.add_migrations(folder, {"0003_width": FILLING, "0004_beyond": BEYOND})

    filling, beyond = plan(db).parts

    assert filling.rows == "no row changes"
    assert filling.seconds is None
    assert plan(db).unknown_until == {"guest_result.width": "astra run count_pixels --fill width"}
    assert (beyond.steps, beyond.seconds) == (None, None)
    assert "not recorded" in beyond.problem
    assert "its statements are not known" in astra("init", "--plan")[1]


def test_columns_that_tables_of_trials_get_are_in_the_plan(astra, db, tmp_path, monkeypatch):
    folder = tmp_path / "guest_package"
    guests.install(folder, monkeypatch, guests.GOOD, "count_pixels", migrations=guests.MIGRATIONS)
    assert astra("init")[0] == 0
    for task in ("astronn_dist", "count_pixels"):
        make_trial(find_task(task), "trial-x")
    db.execute_sql("ALTER TABLE astro_nn_dist_trial_x DROP COLUMN coverage")
    guests.add_migrations(folder, {"0003_width": WIDENING})

    planned = [part for part in plan(db).parts if part.name.startswith("the table")]
    added = schema.upgrade(db, load_settings()).columns

    assert added == ["astro_nn_dist_trial_x.coverage", "guest_result_trial_x.width"]
    assert [part.name for part in planned] == [f"the table {column.partition('.')[0]}" for column in added]
    assert [part.steps[0].blocks != "nobody" for part in planned] == [True, True]
    assert plan(db).parts == []


@on_sqlite
def test_the_table_of_an_installed_task_is_in_the_plan(db, tmp_path, monkeypatch):
    guests.install(tmp_path / "guest_package", monkeypatch, guests.GOOD, "count_pixels")
    a_spectrum(a_source())

    found = plan(db)

    assert [part.name for part in found.parts] == ["the table guest_result of count_pixels"]
    assert {effect.task: effect.pending for effect in found.effects} == {"astronn_dist": 1, "count_pixels": 1}


def test_a_plan_refuses_what_init_refuses(astra, db):
    schema.runner(db).History.create(name="9999_from_the_future")

    code, _, err = astra("init", "--plan")

    assert (code, "newer than this Astra" in err) == (78, True)
    assert astra("init", "--plan", "--roles")[0] == 2
