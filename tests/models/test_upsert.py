"""Many rows at once: what comes back is what was written, whatever it looks like."""

import math

import pytest
from builders import a_result, a_source, a_spectrum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.models import AstroNNdist
from astra.models.upsert import upsert
from astra.system.version import V_ASTRA

KEY = {"key": ("spectrum_pk", "v_astra_major_minor")}


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


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_no_rows_are_no_work(db):
    upsert(AstroNNdist, [], **KEY)

    assert AstroNNdist.select().count() == 0
