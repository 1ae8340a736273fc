"""The catalogue in every format: the same values, and what the format can say about them."""

import csv
import io
import sys

import pytest
from astropy import units
from astropy.io.votable import parse, validate
from astropy.table import Table
from builders import a_result, a_source, a_spectrum, on_sqlite
from catalogue_values import SPECTRA, from_array, from_sql, moments, of_sqlite
from pyarrow import parquet

from astra.catalogue.columns import Kind, columns
from astra.catalogue.options import Format
from astra.errors import ConfigError
from astra.pipelines.astronn_dist import astronn_dist
from astra.system.printable import printable


def by_parquet(path):
    read = parquet.read_table(path).to_pydict()
    times = {column.name for column in columns(astronn_dist) if column.kind is Kind.TIME}
    return {name: moments(values) if name in times else values for name, values in read.items()}


def by_votable(path):
    table = parse(path, verify="exception").get_first_table().to_table()
    return {name: from_array(table[name]) for name in table.colnames}


def by_ecsv(path):
    table = Table.read(path, format="ascii.ecsv")
    return {name: from_array(table[name]) for name in table.colnames}


def by_csv(path):
    truth = {"True": True, "False": False}
    kinds = {Kind.LONG: int, Kind.INT: int, Kind.DOUBLE: float, Kind.LOGICAL: truth.get}
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    read = {}
    for column in columns(astronn_dist):
        convert = kinds.get(column.kind, str)
        read[column.name] = [convert(row[column.name]) if row[column.name] else None for row in rows]
    return read


READERS = {"parquet": by_parquet, "votable": by_votable, "ecsv": by_ecsv, "csv": by_csv}


@pytest.mark.parametrize("name", READERS)
def test_every_value_is_that_of_sql(survey, written, in_sql, name):
    made = written(Format(name))
    expected = in_sql(survey)

    read = READERS[name](made.path)

    assert list(read) == [column.name for column in columns(astronn_dist)]
    for column in columns(astronn_dist):
        found = [None if value == "" else value for value in read[column.name]]
        assert found == from_sql(column, expected[column.key]), column.name


@of_sqlite
def test_the_votable_passes_the_validator_without_a_word(survey, create):
    made = create("catalogue.vot", format=Format.VOTABLE, condition="good or dist < 1")

    report = io.StringIO()
    assert validate(str(made.path), output=report)
    assert "found no violations" in report.getvalue()


@of_sqlite
def test_a_votable_has_units_ucds_descriptions_and_facts(survey, written):
    document = parse(written(Format.VOTABLE).path, verify="exception")

    fields = document.get_first_table().fields
    for column, field in zip(columns(astronn_dist), fields, strict=True):
        assert (field.name, field.ucd) == (column.name, column.ucd)
        assert field.description == column.description
        assert field.unit == (units.Unit(column.unit) if column.unit else None)
    facts = {info.name: info.value for info in document.infos}
    assert (facts["WEIGHTS"], facts["SEED"], facts["NSPECTRA"]) == ("survey", "7", str(SPECTRA))


@of_sqlite
def test_parquet_has_units_ucds_descriptions_and_facts(survey, written):
    schema = parquet.read_schema(written(Format.PARQUET).path)

    for column in columns(astronn_dist):
        found = {key.decode(): value.decode() for key, value in schema.field(column.name).metadata.items()}
        unit = {"unit": column.unit} if column.unit else {}
        assert found == {"description": column.description, "ucd": column.ucd} | unit
    assert schema.metadata[b"astra.WEIGHTS"] == b"survey"


@of_sqlite
def test_parquet_has_moments_as_moments(survey, written, in_sql):
    read = parquet.read_table(written(Format.PARQUET).path)

    assert str(read.schema.field("modified").type) == "timestamp[us]"
    assert moments(read["modified"].to_pylist()) == moments(in_sql(survey)["modified"])


@of_sqlite
@pytest.mark.parametrize("condition", [None, "dist < 0 and dist > 0"], ids=["rows", "no rows"])
def test_parquet_is_read_by_astropy_without_a_warning(survey, create, condition):
    made = create("catalogue.parquet", format=Format.PARQUET, condition=condition)

    read = Table.read(made.path)

    assert len(read) == made.table.summary.rows
    for column in columns(astronn_dist):
        found = read[column.name]
        assert (found.description, found.meta["ucd"]) == (column.description, column.ucd)
        assert found.unit == (units.Unit(column.unit) if column.unit else None)


@of_sqlite
def test_parquet_has_a_votable_without_rows_as_voparquet_wants_it(survey, written):
    found = parquet.read_schema(written(Format.PARQUET).path).metadata

    assert found[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    content = found[b"IVOA.VOTable-Parquet.content"]
    assert b"<DATA>" not in content
    assert validate(io.BytesIO(content), output=(report := io.StringIO())), report.getvalue()
    table = parse(io.BytesIO(content), verify="exception").get_first_table()
    assert [field.name for field in table.fields] == [column.name for column in columns(astronn_dist)]
    assert [field.ucd for field in table.fields] == [column.ucd for column in columns(astronn_dist)]


@of_sqlite
def test_ecsv_has_units_ucds_descriptions_and_facts(survey, written):
    read = Table.read(written(Format.ECSV).path)

    for column in columns(astronn_dist):
        found = read[column.name]
        assert (found.description, found.meta["ucd"]) == (column.description, column.ucd)
        assert found.unit == (units.Unit(column.unit) if column.unit else None)
    assert (read.meta["WEIGHTS"], read.meta["SEED"], read.meta["NSPECTRA"]) == ("survey", 7, SPECTRA)


@on_sqlite
@pytest.mark.parametrize("name", READERS)
def test_no_rows_make_an_empty_table(db, create, name):
    made = create(f"catalogue.{name}", format=Format(name))

    assert READERS[name](made.path) == {column.name: [] for column in columns(astronn_dist)}


@on_sqlite
@pytest.mark.parametrize("name", ["parquet", "ecsv", "csv"])
def test_text_comes_back_as_it_was_where_the_format_can_hold_it(db, create, name):
    odd = 'größe, "Δ🌟"'
    # Astropy takes all breaks of lines for the same.
    reason = "one line\nand another" if name == "ecsv" else "one line\nand another\rand\r\nmore"
    a_result(a_spectrum(a_source(), field=odd), no_result_reason=reason)

    read = READERS[name](create(f"catalogue.{name}", format=Format(name)).path)

    # CSV is for people as well: a line of it is a row.
    expected = printable(reason) if name == "csv" else reason
    assert (read["field"], read["no_result_reason"]) == ([odd], [expected])


@pytest.mark.parametrize("name", READERS)
def test_the_same_database_gives_the_same_file_byte_for_byte(survey, written, create, name):
    first, second = written(Format(name)), create(f"catalogue.{name}", format=Format(name))

    assert first.path.read_bytes() == second.path.read_bytes()


@on_sqlite
def test_without_pyarrow_parquet_is_refused_before_any_work(db, create, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'astra-distances\[parquet\]'"):
        create("catalogue.parquet", format=Format.PARQUET)
