"""A misspelt column is an error, and no value is lost on the way into the database."""

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import peewee
import pytest
from builders import a_result, a_source, a_spectrum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.database.connection import now
from astra.errors import StorageError
from astra.models import AstroNNdist, PipelineOutputModel, Source, TaskRun
from astra.models.base import upsert
from astra.system.version import V_ASTRA

KEY = {"key": ("spectrum_pk", "v_astra_major_minor")}


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


def test_an_upsert_moves_modified_only_where_a_counted_value_changed(db):
    spectrum = a_spectrum(a_source())
    row = a_result(spectrum)
    values = {"spectrum_pk": spectrum.spectrum_pk, "v_astra": row.v_astra, "dist": row.dist, "t_elapsed": 9.0}
    key = {"key": ("spectrum_pk", "v_astra_major_minor"), "uncounted": ("t_elapsed", "v_astra")}

    upsert(AstroNNdist, [values], **key)
    same = AstroNNdist.get_by_id(row.task_pk)
    upsert(AstroNNdist, [values | {"dist": 1.0}], **key)
    changed = AstroNNdist.get_by_id(row.task_pk)

    assert (same.t_elapsed, same.modified, same.created) == (9.0, row.modified, row.created)
    assert (changed.dist, changed.created) == (1.0, row.created)
    assert changed.modified > row.modified


# PostgreSQL takes no character 0, and neither database half of a pair of surrogates.
texts = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
numbers = st.floats(width=64)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(texts, numbers), min_size=1, max_size=5))
def test_texts_and_numbers_come_back_as_they_were(db, values):
    rows = [
        {
            "spectrum_pk": a_spectrum().spectrum_pk,
            "v_astra": V_ASTRA,
            "tag": text,
            "dist": number,
            "result_flags": 0,
        }
        for text, number in values
    ]

    upsert(AstroNNdist, rows, **KEY)

    for row, (text, number) in zip(rows, values, strict=True):
        found = AstroNNdist.get(AstroNNdist.spectrum_pk == row["spectrum_pk"])
        assert found.tag == text
        assert found.dist == number if math.isfinite(number) else math.isnan(found.dist)


@pytest.mark.parametrize(
    "text", ["NULL", "null", "", "{}", "a,b", 'say "no"', "back\\slash", "two\nlines", " "]
)
def test_a_text_that_means_something_to_a_database_is_a_text(db, text):
    row = {"spectrum_pk": a_spectrum().spectrum_pk, "v_astra": V_ASTRA, "tag": text, "result_flags": 0}

    upsert(AstroNNdist, [row], **KEY)

    assert AstroNNdist.get().tag == text


def test_more_rows_than_one_statement_takes_are_all_written(db, monkeypatch):
    monkeypatch.setattr("astra.database.sql.ROWS", 3)
    monkeypatch.setattr("astra.database.sql.MAX_PARAMETERS", 12)
    keys = [a_spectrum().spectrum_pk for _ in range(8)]

    upsert(
        AstroNNdist,
        [{"spectrum_pk": pk, "v_astra": V_ASTRA, "dist": float(pk), "result_flags": 0} for pk in keys],
        **KEY,
    )

    written = AstroNNdist.select(AstroNNdist.spectrum_pk, AstroNNdist.dist).order_by(AstroNNdist.spectrum_pk)
    assert list(written.tuples()) == [(pk, float(pk)) for pk in keys]


class GuestMeasurement(PipelineOutputModel):
    """A result with fields of plain peewee."""

    day = peewee.DateField(null=True)
    begun = peewee.DateTimeField(null=True)
    at = peewee.TimeField(null=True)
    step = peewee.DecimalField(null=True)
    number = peewee.DoubleField(null=True)
    content = peewee.BlobField(null=True)
    arm = peewee.FixedCharField(null=True, max_length=4)

    class Meta:
        indexes = (PipelineOutputModel.UNIQUE,)


def test_results_may_have_fields_of_plain_peewee(db):
    GuestMeasurement.create_table()
    values = {
        "day": date(2026, 1, 2),
        "begun": datetime(2026, 1, 2, 3, 4, 5, 600),
        "at": time(3, 4, 5),
        "step": Decimal("-0.25"),
        "number": 0.1,
        "content": b'\x00\\"{,}\xff',
        "arm": "blue",
    }
    absent = dict.fromkeys(values) | {"number": math.nan}
    rows = [
        {"spectrum_pk": a_spectrum().spectrum_pk, "v_astra": V_ASTRA, **each} for each in (values, absent)
    ]

    upsert(GuestMeasurement, rows, **KEY)

    full, empty = GuestMeasurement.select().order_by(GuestMeasurement.spectrum_pk)
    assert {name: getattr(full, name) for name in values} | {"content": bytes(full.content)} == values
    assert {name: getattr(empty, name) for name in values} == dict.fromkeys(values)


def test_a_text_with_the_character_nul_is_refused_on_both_databases(db):
    row = {"spectrum_pk": a_spectrum().spectrum_pk, "v_astra": V_ASTRA, "tag": "a\0b", "result_flags": 0}

    with pytest.raises(StorageError, match=r"AstroNNdist.tag cannot hold the character NUL: 'a\\x00b'"):
        upsert(AstroNNdist, [row], **KEY)


def test_no_rows_are_no_work(db):
    upsert(AstroNNdist, [], **KEY)

    assert AstroNNdist.select().count() == 0
