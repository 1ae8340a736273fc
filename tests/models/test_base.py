"""A misspelt column is an error, and no value is lost on the way into the database."""

from datetime import timedelta

import pytest
from builders import a_result, a_source, a_spectrum

from astra.database.connection import now
from astra.models import AstroNNdist, Source, TaskRun


def test_an_unknown_keyword_is_a_type_error(db):
    with pytest.raises(TypeError, match="AstroNNdist has no 'e_distance'"):
        AstroNNdist.from_spectrum(a_spectrum(), e_distance=1.0)
    with pytest.raises(TypeError, match="Source has no 'kmag'"):
        Source.create(kmag=10.0)
    with pytest.raises(TypeError, match="Source has no 'kmag'"):
        Source.insert_many([{"sdss_id": 1, "kmag": 10.0}])


@pytest.mark.parametrize("call", ["insert", "update", "create"])
def test_no_way_of_writing_takes_a_misspelt_column(db, call):
    with pytest.raises(TypeError, match="AstroNNdist has no 'e_distt'"):
        getattr(AstroNNdist, call)(e_distt=1.0)
    with pytest.raises(TypeError, match="AstroNNdist has no 'save'"):
        AstroNNdist(save=1)


def test_rows_can_be_created_in_bulk(db):
    rows = [AstroNNdist.from_spectrum(a_spectrum(), dist=float(number)) for number in range(3)]

    AstroNNdist.bulk_create(rows)

    assert sorted(row.dist for row in AstroNNdist.select()) == [0.0, 1.0, 2.0]
    assert {row.v_astra_major_minor for row in AstroNNdist.select()} == {rows[0].v_astra // 1000}


def test_a_value_that_is_set_to_what_it_was_changes_nothing(db):
    source = Source.get_by_id(a_source(k_mag=float("nan")).pk)
    before = source.modified

    source.k_mag, source.ebv = float("nan"), source.ebv
    source.save()

    assert Source.get_by_id(source.pk).modified == before


def test_a_query_may_still_add_columns_of_its_own(db):
    from peewee import fn

    a_source(k_mag=9.0)

    assert Source.select(fn.COUNT(Source.pk).alias("stars")).get().stars == 1


def test_rows_with_different_keys_keep_all_their_columns(db):
    Source.insert_many([{"sdss_id": 1}, {"sdss_id": 2, "k_mag": 9.0, "cc_flg": "000"}]).execute()

    second = Source.get(sdss_id=2)
    assert (second.k_mag, second.cc_flg) == (9.0, "000")


def test_modified_moves_when_a_value_is_saved_and_created_stays(db):
    source = Source.get_by_id(a_source().pk)
    before = source.created, source.modified

    assert source.save() is False
    source.k_mag = 8.0
    source.save()

    again = Source.get_by_id(source.pk)
    assert again.created == before[0]
    assert again.modified > before[1]


def test_times_are_utc_by_the_clock_of_the_database(db):
    from datetime import UTC, datetime

    here = datetime.now(UTC).replace(tzinfo=None)

    assert abs(now(db) - here) < timedelta(seconds=5)
    assert abs(Source.get_by_id(a_source().pk).created - here) < timedelta(seconds=5)


def test_a_source_and_its_spectra_find_each_other(db):
    source = a_source()
    spectrum = a_spectrum(source)

    assert list(source.apogee_coadded_spectra_in_apstar) == [spectrum]
    assert type(spectrum).get_by_id(spectrum.pk).source == source


def test_a_row_takes_its_identifiers_from_the_spectrum(db):
    spectrum = a_spectrum(a_source())

    row = a_result(spectrum)

    assert (row.spectrum_pk, row.source_pk) == (spectrum.spectrum_pk, spectrum.source_pk)


def test_one_spectrum_has_one_row_in_one_version(db):
    from peewee import IntegrityError

    spectrum = a_spectrum(a_source())
    a_result(spectrum)

    with pytest.raises(IntegrityError):
        a_result(spectrum)
    a_result(spectrum, v_astra=99_000_000)
    assert AstroNNdist.select().count() == 2


def test_nothing_is_opened_at_import(tmp_path):
    import subprocess
    import sys

    code = (
        "import astra.models, astra.running.runner; from astra.models.base import database; "
        "print(database.obj)"
    )
    environment = {"ASTRA_DATABASE_PATH": str(tmp_path / "none.db"), "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    assert (ran.stdout.strip(), ran.returncode) == ("None", 0), ran.stderr
    assert not list(tmp_path.glob("*.db"))


def test_models_open_the_configured_database_when_they_are_first_asked(db):
    from astra.database.connection import database

    TaskRun.create(task="t", version="0", v_astra_major_minor=0, host="h", pid=1)
    database.initialize(None)

    try:
        assert TaskRun.select().count() == 1
    finally:
        database.close()
        database.initialize(db)
