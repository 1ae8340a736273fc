"""Absent is NULL in SQL and NaN in Python, and every column says what it holds."""

import math

import numpy as np
import pytest
from astropy import units
from builders import a_result, a_run, a_source, a_spectrum
from hypothesis import given
from hypothesis import strategies as st
from peewee import fn

from astra.models import TABLES, AstroNNdist, Distance, Source
from astra.models.fields import FloatField, GeneratedField

NOT_NUMBERS = [math.nan, math.inf, -math.inf, None, np.float32("nan"), np.float64("inf"), "NaN"]


@pytest.mark.parametrize("absent", NOT_NUMBERS, ids=str)
def test_what_is_no_number_is_null_in_sql_and_nan_in_python(db, absent):
    made = a_source(k_mag=absent)
    Source.insert_many([{"sdss_id": 1, "k_mag": absent}]).execute()
    Source.insert_many([(2, absent)], fields=[Source.sdss_id, Source.k_mag]).execute()

    (nulls,) = db.execute_sql("SELECT COUNT(*) FROM source WHERE k_mag IS NULL").fetchone()
    assert nulls == 3
    assert math.isnan(Source.get_by_id(made.pk).k_mag)
    assert all(math.isnan(row["k_mag"]) for row in Source.select(Source.k_mag).dicts())
    assert all(math.isnan(k_mag) for (k_mag,) in Source.select(Source.k_mag).tuples())


def test_comparing_with_nan_in_a_query_means_is_null(db):
    without, with_k = a_source(k_mag=math.nan), a_source(k_mag=9.5)

    assert list(Source.select().where(Source.k_mag == math.nan)) == [without]
    assert list(Source.select().where(Source.k_mag != math.nan)) == [with_k]
    assert list(Source.select().where(Source.k_mag > 0)) == [with_k]


@pytest.mark.parametrize("absent", [np.float32("nan"), np.float64("nan")], ids=["float32", "float64"])
def test_nan_of_any_type_means_is_null(db, absent):
    without = a_source(k_mag=math.nan)
    a_source(k_mag=9.5)

    assert list(Source.select().where(Source.k_mag == absent)) == [without]


@pytest.mark.parametrize("operator", ["__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"])
def test_a_comparison_with_infinity_is_refused_and_not_silently_empty(operator):
    with pytest.raises(ValueError, match="k_mag cannot be compared with inf"):
        getattr(Source.k_mag, operator)(math.inf)


def test_an_average_leaves_out_what_is_absent(db):
    for k_mag in (math.nan, 8.0, math.inf, 10.0):
        a_source(k_mag=k_mag)

    assert Source.select(fn.AVG(Source.k_mag)).scalar() == 9.0


@pytest.mark.parametrize("value", [1e39, 1e-300, 5e-324, -1.7976931348623157e308, 0.1])
def test_floats_keep_all_their_digits(db, value):
    made = a_source(k_mag=value)

    assert Source.get_by_id(made.pk).k_mag == value


@given(st.one_of(st.none(), st.floats()))
def test_no_nan_and_no_infinity_ever_reaches_the_database(value):
    stored = Source.k_mag.db_value(value)

    assert stored is None or math.isfinite(stored)


def test_text_in_a_column_of_numbers_is_refused_by_name(db):
    with pytest.raises(ValueError, match=r"Source.k_mag takes a number, not 'bright'"):
        a_source(k_mag="bright")


@pytest.mark.parametrize("model", [*TABLES, Distance], ids=lambda model: model.__name__)
def test_every_column_has_a_help_text_and_a_lower_case_name(model):
    for field in model._meta.sorted_fields:
        assert field.help_text, field.name
        assert field.column_name == field.column_name.lower()


@pytest.mark.parametrize("model", [*TABLES, Distance], ids=lambda model: model.__name__)
def test_every_unit_is_one_that_astropy_reads(model):
    for field in model._meta.sorted_fields:
        if field.unit:
            units.Unit(field.unit)


def test_every_physical_quantity_has_a_unit():
    shares = {"coverage", "coverage_blue", "coverage_green", "coverage_red"}
    without = {"ruwe", "snr", "parallax_pull"} | shares  # pure numbers
    for model in (*TABLES, Distance):
        for field in model._meta.sorted_fields:
            if isinstance(field, FloatField) and field.name not in without:
                assert field.unit, f"{model.__name__}.{field.name}"


def test_every_flag_says_what_it_means():
    for model in TABLES:
        for name in (name for name in dir(model) if name.startswith("flag_")):
            if hasattr(flag := getattr(model, name), "value"):
                assert flag.help_text, f"{model.__name__}.{name}"


def test_generated_columns_are_never_written(db):
    row = a_result(a_spectrum(a_source()), run_pk=a_run())
    assert isinstance(AstroNNdist.v_astra_major_minor, GeneratedField)

    row.tag, row.v_astra_major_minor = "seen", 99
    row.save()

    again = AstroNNdist.get_by_id(row.task_pk)
    assert again.tag == "seen"
    assert again.v_astra_major_minor == again.v_astra // 1000
