"""Tables of any format read back what was written, as a whole and in pieces, whatever columns are wanted."""

import csv
import gzip
import io
import math
import sys

import numpy as np
import pyarrow
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from astra.errors import ConfigError, UsageError
from astra.ingest.tables.table_files import tables_in

SETTINGS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# Names that are no numbers, and differ in more than their capitals.
NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=2, max_size=5, unique=True)
# A row begins with a letter, or it could be a comment; commas in numbers are a matter of their own.
FIRST = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}", fullmatch=True)
TEXTS = st.text(st.sampled_from("aé \"',;|\n.-+#=x"), max_size=6)
INTEGERS = st.integers(-(2**63), 2**63 - 1).map(str)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(repr)


@st.composite
def _texts(draw):
    names = draw(NAMES)
    kinds = [FIRST, *(draw(st.sampled_from([TEXTS, INTEGERS, NUMBERS])) for _ in names[1:])]
    return names, draw(st.lists(st.tuples(*kinds), min_size=3, max_size=8))


@SETTINGS
@given(
    content=_texts(),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    packed=st.booleans(),
    data=st.data(),
)
def test_a_text_table_reads_back_what_csv_has_written(
    tmp_path, content, delimiter, quoting, encoding, line_end, packed, data
):
    names, rows = content
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerows([names, *rows])
    written = stream.getvalue().encode(encoding)
    path = tmp_path / "t.csv"
    path.write_bytes(gzip.compress(written) if packed else written)
    columns = data.draw(st.lists(st.sampled_from(names), unique=True))

    (table,) = tables_in(path)
    pieces = list(table.pieces(columns, 3))

    assert (len(table), list(table.units)) == (len(rows), names)
    for name in columns:
        expected = [row[names.index(name)].strip(" ") for row in rows]
        assert [text.strip(" ") for piece in pieces for text in piece[name]] == expected
        assert [text.strip(" ") for text in table.read([name])[name]] == expected
    assert all(len(values) <= 3 for piece in pieces for values in piece.values())


@SETTINGS
@given(
    rows=st.lists(st.tuples(FIRST, NUMBERS, INTEGERS), min_size=1, max_size=8),
    gaps=st.lists(st.sampled_from([" ", "   ", "\t", " \t "]), min_size=1, max_size=3),
    header=st.sampled_from(["name x n", "# name x n", "#a table\n#name, x, n", '"name" x\tn']),
)
def test_columns_between_blanks_are_read_whatever_their_number(tmp_path, rows, gaps, header):
    lines = [header, *(gaps[number % len(gaps)].join(row) for number, row in enumerate(rows))]
    (tmp_path / "t.dat").write_text("\n".join(lines))

    (table,) = tables_in(tmp_path / "t.dat")

    assert list(table.units) == ["name", "x", "n"]
    assert list(zip(*table.read(["name", "x", "n"]).values(), strict=True)) == rows


WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
REAL = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
WORD = st.from_regex(r"[A-Za-z0-9+]{1,8}", fullmatch=True)


def _write(path, columns):
    absent = {name: [value is None for value in values] for name, values in columns.items()}
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
        return
    filled = {name: [0 if value is None else value for value in values] for name, values in columns.items()}
    masked = {name: MaskedColumn(values, mask=absent[name]) for name, values in filled.items()}
    masked["n"].fill_value = -(2**63)
    Table(masked).write(path, overwrite=True, **({"format": "votable"} if path.suffix == ".vot" else {}))


def _as_python(value):
    value = value.item() if isinstance(value, np.generic) else value
    value = value.decode() if isinstance(value, bytes) else value
    is_absent = value is np.ma.masked or (isinstance(value, float) and math.isnan(value))
    return None if is_absent else value


@SETTINGS
@given(
    suffix=st.sampled_from([".parquet", ".fits", ".ecsv", ".vot"]),
    rows=st.lists(st.tuples(WORD, WHOLE.filter(lambda n: n != -(2**63)), REAL), min_size=1, max_size=8),
    columns=st.lists(st.sampled_from("snx"), unique=True, min_size=1),
)
def test_other_formats_read_back_what_astropy_and_pyarrow_have_written(tmp_path, suffix, rows, columns):
    content = dict(zip("snx", map(list, zip(*rows, strict=True)), strict=True))
    if all(value is None for value in content["n"]) or all(value is None for value in content["x"]):
        content |= {"n": [1] * len(rows), "x": [0.5] * len(rows)}
    path = tmp_path / f"t{suffix}"
    _write(path, content)

    (table,) = tables_in(path)
    pieces = list(table.pieces(columns, 3))

    for name in columns:
        assert [_as_python(value) for piece in pieces for value in piece[name]] == content[name]
        assert [_as_python(value) for value in table.read([name])[name]] == content[name]
    assert len(table) == len(rows)
    assert all(len(values) <= 3 for piece in pieces for values in piece.values())


# > Parquet


def test_units_of_parquet_are_known_from_our_catalogue_and_from_astropy(tmp_path):
    field = pyarrow.field("plx", pyarrow.float64(), metadata={"unit": "arcsec"})
    parquet.write_table(pyarrow.table([[1.0]], schema=pyarrow.schema([field])), tmp_path / "ours.parquet")
    table = Table({"plx": [1.0], "name": ["A"]}, units={"plx": "arcsec"})
    table.write(tmp_path / "astropy.parquet", format="parquet")

    (ours,), (astropys,) = tables_in(tmp_path / "ours.parquet"), tables_in(tmp_path / "astropy.parquet")

    assert (ours.units, astropys.units) == ({"plx": "arcsec"}, {"plx": "arcsec", "name": None})


def test_texts_of_any_kind_and_decimals_are_read_and_lists_are_left_alone(tmp_path):
    texts = pyarrow.array(["a", None])
    columns = {
        "text": texts,
        "category": texts.dictionary_encode(),
        "large": texts.cast(pyarrow.large_string()),
        "exact": pyarrow.array([1, None]).cast(pyarrow.decimal128(20, 1)),
        "list": pyarrow.array([[1], []]),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.pq")

    (table,) = tables_in(tmp_path / "t.pq")

    found = {name: values.tolist() for name, values in table.read(list(table.units)).items()}
    assert found == dict.fromkeys(("text", "category", "large"), ["a", None]) | {"exact": ["1.0", None]}


def test_without_pyarrow_parquet_is_refused_with_what_to_install(tmp_path, monkeypatch):
    parquet.write_table(pyarrow.table({"x": [1]}), tmp_path / "t.pq")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"t.pq needs pyarrow: pip install 'astra-distances\[parquet\]'"):
        tables_in(tmp_path / "t.pq")


# > MRT


def test_a_table_of_a_journal_is_read_with_its_units(shared):
    path = shared / "data" / "catalogs" / "meszaros2013_aj485195t4_mrt_withheader.txt"
    if not path.exists():
        pytest.skip(f"needs {path}")

    (table,) = tables_in(path)

    assert (len(table), table.units["Kmag"]) == (559, "mag")
    assert table.read(["2MASS", "Kmag"])["Kmag"][0] == 12.247


def test_a_damaged_row_of_a_text_is_found_before_anything_is_read(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 50_000 + "1\n")

    with pytest.raises(UsageError, match="line 50002 has 1 fields"):
        tables_in(tmp_path / "t.csv")
