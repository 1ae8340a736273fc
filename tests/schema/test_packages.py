"""Other packages: their tables are made and upgraded by init, and what is wrong with one harms no other."""

import importlib
import json

import guests
import pytest
from builders import a_source, a_spectrum, on_postgresql

from astra.cli.json_output import keys_of
from astra.config import load_settings
from astra.database.connection import now
from astra.errors import ConfigError
from astra.models import PipelineOutputModel, Spectrum
from astra.schema import upgrade as schema

#: The columns that all results share.
SHARED = {field.column_name for field in PipelineOutputModel._meta.sorted_fields}

FIRST, SECOND = guests.MIGRATIONS.values()
BROKEN = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE half_made (pk INTEGER)")
    raise ValueError("out of luck")
"""
WITH_SPECTRA = '''
from collections.abc import Iterable, Iterator
from astra import fields, task
from astra.models import PipelineOutputModel, Source, Spectrum
from astra.models.base import BaseModel

class GuestSpectrum(BaseModel):
    """A spectrum of another kind."""
    pk = fields.AutoField()
    source = fields.ForeignKeyField(Source, null=True, lazy_load=False, column_name="source_pk")
    spectrum_pk = fields.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    modified = fields.StampField(help_text="When it was changed")

class GuestWidth(PipelineOutputModel):
    """A result of it."""
    width = fields.FloatField(help_text="Width of something [Angstrom]")

    class Meta:
        indexes = (PipelineOutputModel.UNIQUE,)

@task
def widths(spectra: Iterable[GuestSpectrum]) -> Iterator[GuestWidth]:
    for spectrum in spectra:
        yield GuestWidth.from_spectrum(spectrum, width=1.0)
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package with a task ``count_pixels``; gives its folder."""

    def call(code=guests.GOOD, *tasks, **more):
        folder = tmp_path / more.get("package", "guest_package")
        guests.install(folder, monkeypatch, code, *(tasks or ("count_pixels",)), **more)
        return folder

    return call


def _defaults(database, table):
    return {
        column.name: column.default
        for column in database.get_columns(table)
        if column.name in SHARED - {"task_pk"}
    }


def _constraints(database, table):
    indexes = {(tuple(index.columns), index.unique) for index in database.get_indexes(table)}
    foreign = {(key.column, key.dest_table, key.dest_column) for key in database.get_foreign_keys(table)}
    return indexes, foreign


# > Tables made from the models


def test_a_table_made_by_hand_is_as_our_own_and_takes_results(astra, db, install):
    install()
    spectrum, results = a_spectrum(a_source()), importlib.import_module("guest_package").GuestResult

    results.create_table()

    assert _defaults(db, "guest_result") == _defaults(db, "astro_nn_dist")
    assert _constraints(db, "guest_result") == _constraints(db, "astro_nn_dist")
    before = now(db)
    code, out, err = astra("run", "count_pixels", "--json")
    assert (code, json.loads(out)["measured"]) == (0, 1), err
    row = results.get()
    assert (row.spectrum_pk, row.v_astra_major_minor) == (spectrum.spectrum_pk, row.v_astra // 1000)
    assert before <= min(row.created, row.modified) <= max(row.created, row.modified) <= now(db)


def test_init_makes_the_tables_of_installed_tasks_and_says_so_once(astra, db, install):
    install()
    install(WITH_SPECTRA, "widths", package="other_guest")

    first, second = astra("init", "--json"), astra("init", "--json")

    done, again = json.loads(first[1]), json.loads(second[1])
    assert (first[0], second[0]) == (0, 0)
    assert done["tables"] == ["guest_result", "guest_spectrum", "guest_width"]
    assert "made the table guest_width" in first[2]
    assert (again["tables"], second[2]) == ([], "")
    assert {key for key in keys_of("init") if "." not in key} <= again.keys()
    assert astra("init")[1].endswith(": schema was up to date\n")
    for task in ("count_pixels", "widths"):
        assert astra("run", task)[0] == 0


@on_postgresql  # SQLite has no place for comments
def test_postgresql_shows_the_help_texts_of_other_packages_beside_their_columns(astra, db, install):
    install(WITH_SPECTRA, "widths")

    astra("init")

    query = (
        "SELECT col_description('guest_width'::regclass, attnum) FROM pg_attribute WHERE attname = 'width'"
    )
    assert db.execute_sql(query).fetchall() == [("Width of something [Angstrom]",)]


def test_a_table_with_other_columns_is_refused_and_stays_as_it_is(astra, db, install):
    install()
    install(WITH_SPECTRA, "widths", package="other_guest")
    db.execute_sql("CREATE TABLE guest_result (other TEXT)")

    code, out, err = astra("init", "--json")

    assert code == json.loads(out)["exit_code"] == 78
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert line.startswith("astra: error: task 'count_pixels': its table guest_result cannot be read (")
    assert json.loads(out)["tables"] == ["guest_spectrum", "guest_width"]
    assert [column.name for column in db.get_columns("guest_result")] == ["other"]


# > Migrations


def test_init_applies_the_migrations_of_a_package_in_a_history_of_its_own(astra, db, install):
    folder = install(migrations={"0001_table": FIRST})
    code, out, _ = astra("init", "--json")
    # Its model is ahead of its table.
    assert (code, json.loads(out)["applied_of"]) == (78, {"guest": ["0001_table"]})
    guests.add_migrations(folder, guests.MIGRATIONS)
    assert "older than it (missing 0002_pixels): run `astra init`" in astra("run", "count_pixels")[2]

    code, _, err = astra("init")

    assert (code, err) == (0, "applied 0002_pixels of guest\n")
    assert db.execute_sql("SELECT name FROM schema_migration_guest ORDER BY name").fetchall() == [
        ("0001_table",),
        ("0002_pixels",),
    ]
    a_spectrum(a_source())
    assert astra("run", "count_pixels")[0] == 0
    assert astra("status", "count_pixels")[0] == 0
    schema.check(db)


def test_a_package_with_pending_migrations_is_refused_alone(astra, db, install):
    install(migrations=guests.MIGRATIONS)

    code, _, err = astra("run", "count_pixels")

    assert code == 78
    assert err == (
        "astra: error: task 'count_pixels': the tables of package 'guest' are older than it "
        "(missing 0001_table, 0002_pixels): run `astra init`\n"
    )
    assert astra("srun", "count_pixels", "--dry-run")[::2] == (code, err)
    assert astra("run", "astronn_dist")[1] == "nothing is pending for astronn_dist\n"
    code, out, _ = astra("status")
    assert (code, "run `astra init`" in out, "astronn_dist (version" in out) == (0, True, True)


def test_a_table_of_results_gets_the_columns_that_all_results_have_got_since(astra, db, install):
    install()
    guests.make_table(db)
    added = ("spectrum_modified", "source_modified")
    for name in added:
        db.execute_sql(f"ALTER TABLE guest_result DROP COLUMN {name}")
    missing = (
        "task 'count_pixels': its table guest_result cannot be read (it lacks spectrum_modified, "
        "source_modified): run `astra init`"
    )
    assert missing in astra("run", "count_pixels")[2]

    code, out, err = astra("init")

    assert (code, err.splitlines()) == (0, [f"added the column guest_result.{name}" for name in added])
    assert astra("run", "count_pixels")[0] == 0
    assert astra("init")[2] == ""


def test_a_package_that_is_older_than_its_tables_is_refused_alone(astra, db, install):
    folder = install(migrations=guests.MIGRATIONS)
    astra("init")
    (folder / "guest_migrations" / "0002_pixels.py").unlink()

    ran, upgraded = astra("run", "count_pixels"), astra("init")

    assert ran[0] == upgraded[0] == 78
    said = "package 'guest' are newer than what is installed of it (they have 0002_pixels): upgrade guest-"
    assert said in ran[2]
    assert said in upgraded[2]
    assert astra("run", "astronn_dist")[0] == 0


def test_a_broken_migration_is_one_line_and_stops_no_other_package(astra, db, install):
    install(migrations=guests.MIGRATIONS | {"0003_broken": BROKEN, "0004_never": SECOND})
    install(WITH_SPECTRA, "widths", package="other_guest")

    code, out, err = astra("init", "--json")

    done = json.loads(out)
    assert (code, done["exit_code"]) == (78, 78)
    assert done["applied_of"] == {"guest": ["0001_table", "0002_pixels"]}
    assert done["refused"] == ["package 'guest': its migration 0003_broken: ValueError: out of luck"]
    assert f"astra: error: {done['refused'][0]}\n" in err
    assert done["tables"] == ["guest_spectrum", "guest_width"]
    assert "half_made" not in db.get_tables()
    assert astra("run", "widths")[0] == astra("run", "astronn_dist")[0] == 0


def test_a_migration_that_the_database_refuses_is_one_line_with_the_reason(astra, db, install):
    install(migrations={"0001_wrong": SECOND})

    code, _, err = astra("init")

    assert (code, err.count("\n")) == (74, 1)
    assert err.startswith("astra: error: package 'guest': its migration 0001_wrong: the database refused: ")


def test_no_table_is_made_from_a_model_where_a_migration_has_yet_to_make_it(astra, db, install):
    folder = install(migrations={"0001_table": BROKEN})
    assert astra("init")[0] == 78
    assert "guest_result" not in db.get_tables()

    guests.add_migrations(folder, guests.MIGRATIONS)

    assert astra("init")[0] == 0


def test_a_package_without_its_migrations_or_its_module_is_refused_alone(astra, empty_database, install):
    folder = install(code="import not_there", migrations={})
    install(WITH_SPECTRA, "widths", package="other_guest")

    code, _, err = astra("init")

    assert code == 78
    assert "package 'guest': no migrations found in guest_migrations (it is not a package)" in err
    assert "made the table guest_width" in err
    guests.add_migrations(folder, {"0001_first": "def up(migrator, db): pass"})
    importlib.invalidate_caches()
    assert "task 'count_pixels' cannot be loaded from guest_package:count_pixels" in astra("init")[2]
    assert astra("run", "astronn_dist")[0] == 0


def test_two_packages_with_one_history_are_both_refused(astra, db, install):
    install(migrations=guests.MIGRATIONS)
    install(WITH_SPECTRA, "widths", package="guest")

    code, _, err = astra("init")

    assert code == 78
    both = "two packages have the history 'guest': guest and guest-package; uninstall one"
    assert err == f"astra: error: {both}\n"


def test_a_name_that_is_too_long_for_a_history_is_refused(astra, db, install):
    name = "a" * 47
    install(package=name)

    code, _, err = astra("init")

    assert code == 78
    assert err.startswith(f"astra: error: package {name}: '{name}' cannot name its history; give up to 46")


FROZEN = """
from astra.fields import AutoField, ForeignKeyField, StampField
from astra.models import BaseModel, Source, Spectrum

def up(migrator, db):
    class GuestSpectrum(BaseModel):
        pk = AutoField()
        source = ForeignKeyField(Source, null=True, column_name="source_pk")
        spectrum_pk = ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
        modified = StampField()

    db.create_tables([GuestSpectrum])
"""


def test_the_copy_of_a_model_in_a_migration_is_no_second_kind_of_spectra(astra, db, install):
    install(WITH_SPECTRA, "widths", migrations={"0001_spectra": FROZEN})
    assert astra("init")[0] == 0
    model, source = importlib.import_module("guest_package").GuestSpectrum, a_source()

    model.create(source=source, spectrum_pk=Spectrum.create().pk)

    # The package is imported anew by each test, so that there are several models of this name.
    assert {type(each).__qualname__ for each in source.spectra} == {"GuestSpectrum"}
    assert type(Spectrum.get().resolve()).__qualname__ == "GuestSpectrum"


# > Packages that are not installed


@pytest.mark.parametrize(
    "migrations", [None, guests.MIGRATIONS], ids=["without migrations", "with migrations"]
)
def test_a_package_that_is_not_installed_is_one_line(astra, db, install, monkeypatch, migrations):
    folder, name = install(migrations=migrations), "guest" if migrations else "guest_package"
    a_spectrum(a_source())
    assert (astra("init")[0], astra("run", "count_pixels")[0]) == (0, 0)
    assert json.loads(astra("status", "--json")[1])["packages_not_installed"] == []

    guests.uninstall(folder, monkeypatch)

    said = f"package '{name}' is not installed here; its tables in the database stay"
    code, out, err = astra("status")
    assert (code, err, out.splitlines()[-1]) == (0, "", said)
    assert json.loads(astra("status", "--json")[1])["packages_not_installed"] == [name]
    assert f"ok    tasks          {said}" in astra("doctor")[1]
    assert astra("init")[0] == astra("run", "astronn_dist", "--dry-run")[0] == 0
    assert db.execute_sql("SELECT count(*) FROM guest_result").fetchone() == (1,)


def test_a_package_that_has_got_migrations_since_is_not_taken_for_an_absent_one(
    astra, db, install, monkeypatch
):
    folder = install()
    astra("init")
    guests.uninstall(folder, monkeypatch)
    guests.install(
        folder.with_name("next"), monkeypatch, guests.GOOD, "count_pixels", migrations={"0001_table": FIRST}
    )

    code, _, err = astra("init")

    assert (code, err) == (0, "applied 0001_table of guest\n")
    assert json.loads(astra("status", "--json")[1])["packages_not_installed"] == []


@pytest.mark.parametrize("name", ["0001_guest", "0007_guest", "first"])
def test_what_a_package_left_in_our_own_history_is_a_warning_that_names_it(astra, db, name):
    schema.runner(db).History.create(name=name)

    code, _, err = astra("status")

    assert (code, err.count("\n")) == (0, 1)
    assert f"schema_migration has migrations that are not Astra's ({name}): another package" in err
    assert astra("init")[0] == 0


@pytest.mark.parametrize("name", ["0016_other", "0017_next"])
def test_what_may_be_of_a_newer_astra_is_refused(db, name):
    schema.runner(db).History.create(name=name)

    with pytest.raises(ConfigError, match=f"newer than this Astra .it has {name}"):
        schema.check(db)
    with pytest.raises(ConfigError, match="newer than this Astra"):
        schema.upgrade(db, load_settings())
