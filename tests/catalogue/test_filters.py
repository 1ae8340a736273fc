"""Conditions on rows: they mean the same on both databases, and the same as to whoever reads them."""

import operator
import re
from datetime import datetime

import peewee
import pytest
from catalogue_values import from_sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.catalogue.columns import Kind, columns
from astra.catalogue.options import Names
from astra.catalogue.query import Rows
from astra.database.sql import all_rows
from astra.errors import UsageError
from astra.models.filters import Filter
from astra.pipelines.astronn_dist import astronn_dist

ALL = columns(astronn_dist)
BY_NAME = {column.name: column for column in ALL}
NUMBERS = [column.name for column in ALL if column.kind in (Kind.LONG, Kind.INT, Kind.DOUBLE)]
TEXTS = [column.name for column in ALL if column.kind is Kind.TEXT]
LOGICAL = [column.name for column in ALL if column.kind is Kind.LOGICAL]
TIMES = [column.name for column in ALL if column.kind is Kind.TIME]
COMPARISONS = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def keys_of(db, text, names=Names.ASTRA):
    """The spectra of the rows that meet a condition."""
    chosen = columns(astronn_dist, names)
    rows = Rows(db, astronn_dist, chosen, Filter(text, chosen))
    place = [column.key for column in chosen].index("spectrum_pk")
    return [row[place] for row in all_rows(db, rows.select())]


# > Conditions, each with a function that says of one row whether it is true, false, or neither (None)


def compared(left, comparison, right):
    return None if left is None or right is None else COMPARISONS[comparison](left, right)


def both(first, second):
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def inverse(value):
    return None if value is None else not value


def either(first, second):
    return inverse(both(inverse(first), inverse(second)))


def is_like(text, pattern):
    parts = re.findall(r"\\?.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return None if text is None else re.fullmatch(expression, text, re.DOTALL) is not None


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


whole = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 130) | st.integers(50_000_000, 50_000_400)
broken = st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: float(repr(value)))
some_text = st.sampled_from(["apo25m", "lco25m", "M67", "", "dr3", "120+12-O'Neil", "a%", "Δ"]) | st.text(
    "aAm%_*[?2\\'Δé 6M", max_size=5
)
pattern = st.text("%_aA2Mm[*?]6p'", max_size=5) | st.sampled_from(["%25m", "M__", r"120+12-O\'Neil", "%"])
moments = st.datetimes(datetime(2026, 10, 30), datetime(2026, 12, 1))
cased = st.sampled_from([str.lower, str.upper, str.title])


@st.composite
def comparisons(draw):
    kind, values = draw(st.sampled_from([(NUMBERS, whole | broken), (TEXTS, some_text.map(quoted))]))
    name, comparison = draw(st.sampled_from(kind)), draw(st.sampled_from(list(COMPARISONS)))
    said = draw(values)
    value = said[1:-1].replace("''", "'") if isinstance(said, str) else said
    text = f"{draw(cased)(name)} {comparison} {said}"
    if draw(st.booleans()):
        text = f"{said} {MIRRORED.get(comparison, comparison)} {name}"
    return text, lambda row: compared(row[name], comparison, value)


@st.composite
def others(draw):
    which = draw(st.sampled_from(["bare", "null", "between", "in", "like", "columns", "time", "truth"]))
    negated = draw(st.booleans())
    word = " NOT" if negated else ""
    turned = inverse if negated else (lambda value: value)
    if which == "bare":
        name = draw(st.sampled_from(LOGICAL))
        return name, lambda row: row[name]
    if which == "truth":
        name, value = draw(st.sampled_from(LOGICAL)), draw(st.booleans())
        return f"{name} = {str(value).lower()}", lambda row: compared(row[name], "=", value)
    if which == "null":
        name = draw(st.sampled_from([column.name for column in ALL]))
        return f"{name} is{word} null", lambda row: (row[name] is None) is not negated
    if which == "between":
        name, low, high = draw(st.sampled_from(NUMBERS)), draw(whole | broken), draw(whole | broken)
        return f"{name}{word} between {low} and {high}", lambda row: turned(
            both(compared(row[name], ">=", low), compared(row[name], "<=", high))
        )
    if which == "in":
        name, values = draw(st.sampled_from(TEXTS)), draw(st.lists(some_text, min_size=1, max_size=3))
        return f"{name}{word} IN ({', '.join(map(quoted, values))})", lambda row: turned(
            None if row[name] is None else row[name] in values
        )
    if which == "like":
        name, value = draw(st.sampled_from(TEXTS)), draw(pattern)
        return f"{name}{word} like {quoted(value)}", lambda row: turned(is_like(row[name], value))
    if which == "columns":
        first, second = draw(st.sampled_from(DOUBLES)), draw(st.sampled_from(DOUBLES))
        comparison = draw(st.sampled_from(list(COMPARISONS)))
        return f"{first}{comparison}{second}", lambda row: compared(row[first], comparison, row[second])
    name, value = draw(st.sampled_from(TIMES)), draw(moments).isoformat(timespec="microseconds")
    comparison = draw(st.sampled_from(list(COMPARISONS)))
    return f"{name} {comparison} '{value}'", lambda row: compared(row[name], comparison, value)


DOUBLES = [column.name for column in ALL if column.kind is Kind.DOUBLE]


def negated(one):
    return f"not ({one[0]})", lambda row: inverse(one[1](row))


def joined(first, word, second):
    decide = both if word == "AND" else either
    return f"({first[0]}) {word} ({second[0]})", lambda row: decide(first[1](row), second[1](row))


def grown(conditions):
    words = st.sampled_from(["AND", "or"])
    return conditions.map(negated) | st.builds(joined, conditions, words, conditions)


@pytest.fixture
def rows(survey, in_sql):
    """What SQL gives, row by row; an empty text is a value there, unlike in FITS."""
    found = in_sql(survey)
    plain = [
        # Texts as they are.
        found[column.key] if column.kind is Kind.TEXT else from_sql(column, found[column.key])
        for column in ALL
    ]
    return [dict(zip(BY_NAME, values, strict=True)) for values in zip(*plain, strict=True)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=st.recursive(comparisons() | others(), grown, max_leaves=5))
def test_a_condition_chooses_the_rows_for_which_it_is_true(survey, rows, condition):
    text, is_true = condition

    chosen = keys_of(survey, text)

    assert chosen == [row["spectrum_pk"] for row in rows if is_true(row) is True]


def test_a_name_means_the_column_that_has_it_in_the_file(survey, in_sql):
    expected = in_sql(survey)
    magnitudes = zip(expected["spectrum_pk"], expected["source_k_mag"], strict=True)
    faint = [pk for pk, k_mag in magnitudes if k_mag is not None and k_mag > 1]

    assert keys_of(survey, "k_mag > 1", Names.DR19) == faint == keys_of(survey, "source_k_mag > 1")


def test_moments_are_utc_unless_they_say_otherwise(survey):
    elsewhere = keys_of(survey, "modified >= '2026-11-20T01:00:00+01:00'")

    assert elsewhere == keys_of(survey, "modified >= '2026-11-20'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dst < 5", "at character 1: there is no column dst; did you mean dist"),
        ("good and qqqq > 1", "at character 10: there is no column qqqq; there are sdss_id, "),
        ("dist <", "ends too early"),
        ("", "ends too early"),
        ("(good", "ends too early"),
        ("dist < 5 5", "at character 10: '5' was not expected here"),
        ("dist\u00a0< 5", "at character 5: "),
        ("good; drop table source", "at character 5: ';'"),
        ("dist < 5 -- so", "at character 10: '--'"),
        ("dist < 'five'", "at character 8: dist is a number, and 'five' is text"),
        ("telescope = 5", "telescope is text, and 5 is a number"),
        ("good = 1", "good is true or false, and 1 is a number"),
        ("good < true", "good is true or false, so < has no meaning for it"),
        ("good between true and false", "BETWEEN has no meaning"),
        ("snr", "snr is a number, not a condition"),
        ("not 'x'", "not a condition"),
        ("1 < 2", "at character 1: no column is compared here"),
        ("dist = null", "at character 8: nothing equals NULL: write IS NULL"),
        ("5 is null", "a column is needed here, not 5"),
        ("dist like '5%'", "LIKE compares a column of text with a pattern in quotes"),
        ("field like obj", "LIKE compares a column of text with a pattern in quotes"),
        (r"field like 'a\'", "a pattern does not end with a single backslash"),
        ("dist in (1, 'a')", "dist is a number, and 'a' is text"),
        ("dist < 1e999", "larger than any value"),
        ("dist < " + "9" * 5000, "larger than any value"),
        ("modified > 'yesterday'", "not a moment: 'yesterday'; write 2026-11-25"),
        ("field = 'a\x00b'", "was not expected here"),
        ("field = 'a\ud800'", "printable"),
        ("not " * 60 + "good", "more than 50 conditions within each other"),
        ("x" * 10_001, "10,001 characters are too many"),
    ],
)
def test_what_is_no_condition_is_said_in_one_line(text, said):
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        Filter(text, ALL)

    assert str(caught.value).startswith("--where: ")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused_and_nothing_else(text):
    try:
        understood = Filter(text, ALL).text == text
    except UsageError as error:
        understood = str(error).startswith("--where: ")

    assert understood


@settings(max_examples=30)
@given(st.text(max_size=10).filter(str.isprintable))
def test_no_value_gets_into_the_text_of_a_query(value):
    wanted = Filter(f"field = {quoted(value)} and obj like {quoted(value.replace(chr(92), '') + '%')}", ALL)

    expression = wanted.expression(peewee.SqliteDatabase(None), lambda column: peewee.SQL(column.key))

    sql, parameters = peewee.Context().sql(expression).query()
    assert sql == "((field = ?) AND (obj GLOB ?))"
    assert parameters[0] == value
