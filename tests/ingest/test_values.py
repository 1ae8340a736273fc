"""Fillers become absent, true values stay as they are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.ingest.values import INTEGERS, RANGES, clean, clean_column, unreadable

FILLERS = [
    999999.0,
    -9999,
    -9999.99,
    -999999.0,
    "NaN",
    "",
    " ",
    None,
    math.nan,
    math.inf,
    -math.inf,
    True,
    "x",
]


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("name", sorted(RANGES))
def test_a_filler_is_absent(name, filler):
    assert clean(name, filler) is None


@pytest.mark.parametrize("filler", [99, 99.99, 99.999, "99.99"])
@pytest.mark.parametrize("name", ["k_mag", "e_k_mag", "ebv", "g_mag"])
def test_99_is_no_magnitude(name, filler):
    assert clean(name, filler) is None


def test_a_ks_of_exactly_0_stands_for_none_in_tables_of_results():
    assert clean_column("k_mag", [0.0, 0.001, "0"]) == [None, 0.001, None]
    assert clean("ebv", 0.0) == 0.0


@pytest.mark.parametrize("error", [8.888, 9.995, 9.996, 9.997, 9.998, 9.999, 0.0, -0.02])
def test_the_fillers_of_2mass_errors_are_absent(error):
    assert clean("e_k_mag", error) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k_mag", -0.9),
        ("k_mag", 11.344),
        ("ebv", 0.0),
        ("ebv", -0.02),
        ("plx", -3.2),
        ("pmde", 10_362.4),
        ("ra", 0.0),
    ],
)
def test_a_true_value_stays(name, value):
    assert clean(name, value) == value


def test_a_number_of_4_bytes_gets_the_digits_that_it_was_written_with():
    digits = [9.028, 109.949, -167.574, 0.368387]

    assert clean_column("v_rad", np.array(digits, ">f4")) == digits
    assert [clean("v_rad", value) for value in np.array(digits, "f4")] == digits


def test_an_identifier_of_19_digits_keeps_them_all():
    assert clean("gaia_dr3_source_id", "4295806720123456789") == 4295806720123456789
    assert clean("gaia_dr3_source_id", b"4295806720123456789 ") == 4295806720123456789
    assert clean("sdss_id", 12345678.0) == 12345678


@pytest.mark.parametrize("value", [0, -1, -999, "", "none", 2**70, 1.5, "12a", "--5", "1" * 5000, True])
def test_what_is_no_identifier_is_absent(value):
    assert clean("sdss_id", value) is None


def test_a_number_that_its_column_cannot_hold_is_absent():
    assert clean("n_visits", 2**40) is None
    assert clean("spectrum_flags", 2**40) == 2**40


@pytest.mark.parametrize("value", ["", "  ", "none", "NaN", "N/A", "\0\0", b"None    ", None, np.ma.masked])
def test_words_for_nothing_are_absent(value):
    assert clean("ph_qual", value) is None


def test_text_loses_what_a_table_pads_it_with():
    assert clean("ph_qual", b"AAA  \0") == "AAA"
    assert clean("cc_flg", "000") == "000"


def test_masked_values_are_absent():
    assert clean_column("k_mag", np.ma.array([9.0, 8.0], mask=[False, True])) == [9.0, None]
    assert clean_column("sdss_id", np.ma.array([9, 8], mask=[False, True])) == [9, None]


@pytest.mark.parametrize("name", ["k_mag", "sdss_id"])
def test_text_that_is_neither_a_number_nor_a_word_for_nothing_is_told(name):
    masked = np.ma.array(["9.9x", "y"], mask=[False, True])

    assert unreadable(name, ["9.9x", b"2m", "", "NaN", "none", "-9999.99", "1e3", None, 9]) == ["9.9x", "2m"]
    assert unreadable(name, masked) == ["9.9x"]
    assert unreadable(name, np.array([9.0, np.nan])) == unreadable("ph_qual", ["AAA"]) == []


@given(
    st.sampled_from(sorted(RANGES)),
    st.floats() | st.text(max_size=8) | st.none() | st.booleans() | st.integers(),
)
def test_a_number_is_absent_or_finite(name, value):
    found = clean(name, value)
    assert found is None or math.isfinite(found)


@given(st.sampled_from(sorted(INTEGERS)), st.floats() | st.text(max_size=8) | st.none() | st.integers())
def test_an_integer_is_absent_or_fits_its_column(name, value):
    found = clean(name, value)
    low, high = INTEGERS[name]
    assert found is None or (isinstance(found, int) and low <= found <= high)


@given(st.sampled_from(sorted(RANGES)), st.lists(st.floats(), min_size=1))
def test_a_column_is_cleaned_as_its_values_are(name, values):
    assert clean_column(name, np.array(values)) == [clean(name, value) for value in values]
