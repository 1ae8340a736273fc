"""From a star to its spectra, from a spectrum to the row of its kind, and to a row of results."""

import guests
import peewee
import pytest
from builders import a_source, a_spectrum

from astra.models import (
    ApogeeCoaddedSpectrumInApStar,
    AstroNNdist,
    PipelineOutputModel,
    Source,
    Spectrum,
    TaskRun,
    fields,
)
from astra.models.base import BaseModel


class VisitForTest(BaseModel):
    """Another kind of spectra, as a package may bring it."""

    pk = fields.AutoField()
    star = fields.ForeignKeyField(Source, null=True, column_name="source_pk")
    spectrum_pk = fields.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")


@pytest.fixture
def visits(db):
    VisitForTest.create_table()


def test_a_star_gives_its_spectra_of_every_kind(db, visits):
    source = a_source()
    combined = [a_spectrum(source), a_spectrum(source)]
    visit = VisitForTest.create(star=source, spectrum_pk=Spectrum.create())
    a_spectrum(a_source())
    AstroNNdist.from_spectrum(combined[0]).save(force_insert=True)

    assert list(source.spectra) == [*combined, visit]


def test_kinds_without_a_table_and_broken_packages_harm_no_star(db, tmp_path, monkeypatch):
    guests.install(tmp_path / "guests", monkeypatch, "raise RuntimeError('broken')", "broken")
    spectrum = a_spectrum(source := a_source())

    assert list(source.spectra) == [spectrum]


def test_a_spectrum_gives_the_row_of_its_kind(db, visits):
    combined, visit = a_spectrum(), VisitForTest.create(spectrum_pk=Spectrum.create())

    found = [Spectrum.get_by_id(each.spectrum_pk).resolve() for each in (combined, visit)]

    assert found == [combined, visit]
    with pytest.raises(Spectrum.DoesNotExist, match=r"^spectrum \d+ is in no table of spectra"):
        Spectrum.create().resolve()


def test_a_row_of_results_may_name_the_keys_of_its_spectrum_again(db):
    spectrum = a_spectrum(source := a_source())
    keys = {"spectrum_pk": spectrum.spectrum_pk, "source_pk": source.pk}

    row = AstroNNdist.from_spectrum(spectrum, **keys, dist=5.0)

    assert (row.spectrum_pk, row.source_pk, row.dist) == (spectrum.spectrum_pk, source.pk, 5.0)


@pytest.mark.parametrize("name", ["spectrum_pk", "source_pk"])
def test_other_keys_than_those_of_the_spectrum_are_an_error_that_names_both(db, name):
    spectrum = a_spectrum(a_source())
    own = getattr(spectrum, name)

    with pytest.raises(ValueError, match=f"{name}=77, but that of the spectrum is {own}: leave it out"):
        AstroNNdist.from_spectrum(spectrum, **{name: 77})


# > Tables that somebody makes by hand


class ResultForTest(PipelineOutputModel):
    """A model of results without indexes of its own."""

    number = fields.IntegerField(null=True)


@pytest.fixture
def in_memory():
    """A database in memory, with the tables of these models, as a notebook or a test makes it."""
    models = [Source, Spectrum, ApogeeCoaddedSpectrumInApStar, TaskRun, ResultForTest]
    opened = peewee.SqliteDatabase(":memory:", pragmas={"foreign_keys": 1})
    with opened.bind_ctx(models, bind_refs=False, bind_backrefs=False):
        opened.create_tables(models)
        yield opened


def test_in_memory_a_spectrum_has_one_result_under_one_minor_version(in_memory):
    source, spectrum = Source.create(), Spectrum.create()
    row = ResultForTest.create(source_pk=source, spectrum_pk=spectrum)

    for star in (source, None):
        with pytest.raises(peewee.IntegrityError, match="UNIQUE"):
            ResultForTest.create(source_pk=star, spectrum_pk=spectrum)
    for newer in (row.v_astra + 10**3, row.v_astra + 10**6):
        ResultForTest.create(spectrum_pk=spectrum, v_astra=newer)

    assert ResultForTest.select().where(ResultForTest.created == ResultForTest.modified).count() == 3


def test_in_memory_a_second_result_may_replace_the_first(in_memory):
    spectrum = Spectrum.create()
    key = [ResultForTest.spectrum_pk, ResultForTest.v_astra_major_minor]
    preserved = [ResultForTest.number]

    for number in (1, 2):
        ResultForTest.insert(spectrum_pk=spectrum, number=number).on_conflict(
            conflict_target=key, preserve=preserved
        ).execute()

    assert [row.number for row in ResultForTest.select()] == [2]


def test_a_table_made_by_hand_takes_its_times_from_the_clock_of_the_database(db):
    ResultForTest.create_table()
    row = ResultForTest.create(spectrum_pk=a_spectrum().spectrum_pk)

    stored = ResultForTest.get_by_id(row.task_pk)
    assert stored.created <= stored.modified
    with pytest.raises(peewee.IntegrityError), db.atomic():
        ResultForTest.create(spectrum_pk=row.spectrum_pk)


def test_a_database_in_memory_is_no_setting(monkeypatch):
    from astra.config import load_settings
    from astra.database.connection import open_database
    from astra.errors import ConfigError

    monkeypatch.setenv("ASTRA_DATABASE_PATH", ":memory:")

    with pytest.raises(ConfigError, match="database.path :memory: is gone when a command ends"):
        open_database(load_settings(), create=True)
