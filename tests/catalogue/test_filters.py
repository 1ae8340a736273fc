"""Conditions on rows: they mean the same on both databases, and the same as to whoever reads them."""

import math
import operator
import re
from datetime import datetime

import peewee
import pytest
from catalogue_values import from_sql
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from astra.catalogue.columns import Kind, columns
from astra.catalogue.options import Names
from astra.catalogue.query import Rows
from astra.database.connection import is_postgresql
from astra.database.sql import all_rows
from astra.errors import UsageError
from astra.models.filters import Column, Filter, Formulas
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
    known = columns(astronn_dist, names)
    [key] = (column for column in known if column.key == "spectrum_pk")
    return [pk for (pk,) in all_rows(db, Rows(db, astronn_dist, (key,), Filter(text, known)).select())]


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


# > Arithmetic, in Python: every operation gives None for what has no value


def absent_if_any(function):
    return lambda *values: None if None in values else function(*values)


def logarithm(function):
    return absent_if_any(lambda value: function(value) if value > 0 else None)


def among_known(function):
    return lambda *values: function((value for value in values if value is not None), default=None)


def angle(*degrees):
    """By vectors, of which the cross product is exact for small angles."""
    (x, y, z), (u, v, w) = (
        (math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b))
        for a, b in (map(math.radians, degrees[:2]), map(math.radians, degrees[2:]))
    )
    cross = math.hypot(y * w - z * v, z * u - x * w, x * v - y * u)
    return math.degrees(math.atan2(cross, x * u + y * v + z * w))


FUNCTIONS = {
    "abs": (1, absent_if_any(abs)),
    "sqrt": (1, absent_if_any(lambda value: math.sqrt(value) if value >= 0 else None)),
    "ln": (1, logarithm(math.log)),
    "log10": (1, logarithm(math.log10)),
    "exp": (1, absent_if_any(lambda value: math.exp(value) if abs(value) < 200 else None)),
    "least": (2, among_known(min)),
    "greatest": (3, among_known(max)),
    "coalesce": (2, lambda *values: next((value for value in values if value is not None), None)),
}
OPERATIONS = {
    "+": absent_if_any(operator.add),
    "-": absent_if_any(operator.sub),
    "*": absent_if_any(operator.mul),
    "/": absent_if_any(lambda value, divisor: value / divisor if divisor else None),
}


def as_operand(value):
    """A value of a column in arithmetic: a double, without sizes that nothing measured has."""
    if value is None or abs(value) > 1e30:
        return None
    return float(value) if abs(value) >= 1e-30 else 0.0


def chain(first, rest):
    def value(row):
        found = first[1](row)
        for sign, (_, term) in rest:
            found = OPERATIONS[sign](found, term(row))
        return found

    return first[0] + "".join(f" {sign} {text}" for sign, (text, _) in rest), value


def chains(of, signs):
    return st.builds(chain, of, st.lists(st.tuples(st.sampled_from(signs), of), max_size=2))


@st.composite
def calls(draw, of):
    name = draw(st.sampled_from(list(FUNCTIONS)))
    count, function = FUNCTIONS[name]
    values = draw(st.lists(of, min_size=count, max_size=count))
    text = f"{draw(cased)(name)}({', '.join(each for each, _ in values)})"
    return text, lambda row: function(*(value(row) for _, value in values))


def sums(leaves, depth=2):
    """Sums of products, with their functions, of leaves: each with a function of a row."""
    atoms = leaves
    for _ in range(depth):
        inner = chains(chains(atoms, "*/"), "+-")
        opposite = atoms.map(lambda one: (f"- {one[0]}", lambda row: OPERATIONS["-"](0.0, one[1](row))))
        enclosed = inner.map(lambda one: (f"({one[0]})", one[1]))
        atoms = leaves | opposite | enclosed | calls(inner)
    return chains(chains(atoms, "*/"), "+-")


def operands(names):
    constants = st.sampled_from([0, 1, 2, 10, 0.5, 2.5, 1000, 1e-3, 1e20]) | st.floats(0, 1e6)
    return st.sampled_from(names).map(lambda name: (name, lambda row: as_operand(row[name]))) | constants.map(
        lambda value: (repr(value), lambda row: float(value))
    )


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
WHOLE = [column.name for column in ALL if column.kind in (Kind.LONG, Kind.INT)]


@st.composite
def reckoned(draw):
    (left, first), (right, second) = (draw(sums(operands(NUMBERS), depth=1)) for _ in range(2))
    comparison = draw(st.sampled_from(list(COMPARISONS)))
    text = f"1 * ({left}) {comparison} {right}"
    return text, lambda row: compared(first(row), comparison, second(row))


@st.composite
def masked(draw):
    name, bits = draw(st.sampled_from(WHOLE)), draw(st.integers(0, 2**63 - 1) | st.integers(0, 130))
    text = f"{name} & {bits} <> 0"
    return text, lambda row: None if row[name] is None else row[name] & bits != 0


def is_refused(text):
    """Whether a text is not a condition only because no column is in it, or a result has no range."""
    try:
        Filter(text, ALL)
    except UsageError as error:
        if not re.search("could be too|no column is compared", str(error)):
            raise
        return True
    return False


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
@given(condition=st.recursive(comparisons() | others() | reckoned() | masked(), grown, max_leaves=5))
def test_a_condition_chooses_the_rows_for_which_it_is_true(survey, rows, condition):
    text, is_true = condition
    assume(not is_refused(text))

    chosen = keys_of(survey, text)

    assert chosen == [row["spectrum_pk"] for row in rows if is_true(row) is True]


# Of every size, and every kind of nothing.
SIZES = [None, 0.0, 1.0, -1.0, 0.1, -2.5, 3.0, 1e-31, -1e-29, 1e31, -9e29, 5e-324, 1.7e308, 12345.678]
INTEGERS = [None, 0, 1, -1, 7, 2**31 - 1, -(2**31), 2**53 + 1, -(2**63), 2**63 - 1]
EXTREMES = [
    {"x": SIZES[n % len(SIZES)], "y": SIZES[(5 * n + n // 14) % len(SIZES)], "n": INTEGERS[n % len(INTEGERS)]}
    for n in range(42)
]
OF_EXTREMES = [Column("x", "x", Kind.DOUBLE), Column("y", "y", Kind.DOUBLE), Column("n", "n", Kind.LONG)]


@pytest.fixture
def extremes(survey):
    """A table with these rows, which is gone with the connection."""
    kinds = "place bigint, x double precision, y double precision, n bigint"
    survey.execute_sql(f"CREATE TEMPORARY TABLE extremes ({kinds})")
    mark = "%s" if is_postgresql(survey) else "?"
    for place, row in enumerate(EXTREMES):
        survey.execute_sql(f"INSERT INTO extremes VALUES ({', '.join([mark] * 4)})", (place, *row.values()))
    return survey


def computed(db, text):
    """What a database computes from the extremes."""
    read = Formulas(text, OF_EXTREMES, "--columns", ordering=False)
    [formula] = read(db, lambda column: peewee.SQL(column.key))
    query = peewee.Select((peewee.Table("extremes"),), (formula.node,)).order_by(peewee.SQL("place"))
    return [value for (value,) in all_rows(db, query)]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(formula=sums(operands(["x", "y", "n"])))
def test_arithmetic_is_that_of_doubles_whatever_the_database(extremes, formula):
    text, value = formula
    try:
        # A column alone is not arithmetic.
        found = computed(extremes, f"1 * ({text})")
    except UsageError as error:
        assume(not re.search("could be too|a column is needed", str(error)))
        raise

    assert found == [value(row) for row in EXTREMES]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ra=st.integers(-(36 * 10**7), 36 * 10**7), dec=st.integers(-(9 * 10**7), 9 * 10**7))
def test_a_separation_is_an_angle_on_the_sky(survey, rows, ra, dec):
    ra, dec = ra / 1e6, dec / 1e6
    text = f"separation(ra, dec, {ra!r}, {dec!r}) < 45"
    places = [(row["ra"], row["dec"], row["spectrum_pk"]) for row in rows]
    known = [(angle(a, b, ra, dec), pk) for a, b, pk in places if None not in (a, b)]
    assume(all(abs(found - 45) > 1e-9 for found, _ in known))

    assert keys_of(survey, text) == [pk for found, pk in known if found < 45]


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
        (
            "good and qqqq > 1",
            "at character 10: there is no column qqqq; a text stands in quotes, as 'qqqq'; all names: "
            "`astra query TASK --columns all --limit 0 --csv`",
        ),
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
        ("not " * 60 + "good", "more than 50 operations within each other"),
        ("dist > " + "1 + " * 60 + "1", "more than 50 operations within each other"),
        ("dist * telescope > 5", "at character 8: telescope is text, and a number is needed here"),
        ("modified + 1 > 5", "modified is a moment, and a number is needed here"),
        ("(dist > 5) + 1 = 2", "dist > 5 is true or false, and a number is needed here"),
        ("dist / snr", "dist / snr is a number, not a condition"),
        ("1 + 1 < 2 * 3", "at character 1: no column is compared here"),
        ("sqr(dist) < 5", "at character 1: there is no function sqr; did you mean sqrt"),
        ("frobnicate(dist) < 5", "there is no function frobnicate; there are abs, sqrt, "),
        ("sqrt(dist, 5) < 5", "sqrt takes 1 value, not 2"),
        ("least(dist) < 5", "least takes 2 or more values, not 1"),
        ("separation(ra, dec, ra + 1, dec) < 1", "separation takes columns and numbers, not ra + 1"),
        ("dist & 8 = 8", "at character 1: & takes integers, and dist is not one"),
        ("spectrum_flags & 8", "is a number, not a condition"),
        ("dist > " + "snr * " * 12 + "snr", "could be too large or too small for a number"),
        ("dist > snr * 1e-310", "could be too large or too small for a number"),
        ("dist < 5 -- 3", "at character 10: '--' was not expected here"),
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
