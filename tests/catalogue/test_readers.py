"""Every program that opens a format reads what SQL says, without an argument and without a warning."""

import subprocess
from datetime import datetime
from functools import cache

import debian_packages
import duckdb
import numpy as np
import pandas
import peewee
import polars
import pytest
from astropy import units
from astropy.table import Table
from builders import a_result, a_source, a_spectrum, on_sqlite
from catalogue_values import from_sql, of_sqlite
from conftest import CI
from full_survey import fill

from astra.catalogue.columns import columns
from astra.catalogue.options import Format
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.pipelines.astronn_dist import astronn_dist

#: What pandas and polars cannot know of CSV: docs/catalogue.md.
PANDAS_CSV = {"dtype_backend": "numpy_nullable", "dtype": {"cc_flg": "string"}}
PANDAS_CSV |= {"keep_default_na": False, "na_values": ""}
POLARS_CSV = {"infer_schema_length": None, "schema_overrides": {"cc_flg": polars.String}}


def by_astropy(path):
    read = Table.read(path)
    return {name: np.ma.asarray(read[name]).tolist() for name in read.colnames}


def by_stilts(path):
    return by_astropy(copied(path))


def by_pandas(path):
    read = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path, **PANDAS_CSV)
    return {name: [None if pandas.isna(value) else value for value in read[name].tolist()] for name in read}


def by_polars(path):
    read = polars.read_parquet(path) if path.suffix == ".parquet" else polars.read_csv(path, **POLARS_CSV)
    return read.to_dict(as_series=False)


def by_duckdb(path):
    read = duckdb.sql(f"SELECT * FROM '{path}'")
    rows = read.fetchall()
    return {name: [row[place] for row in rows] for place, name in enumerate(read.columns)}


@cache
def copied(path):
    """What STILTS, and so TOPCAT, reads from a file, as a VOTable, which keeps all of it."""
    debian_packages.needed("stilts", "starlink-ecsv-java", install_it=CI)
    copy = path.with_name(f"{path.name}.copy.vot")
    # Astropy cannot read parameters that are several texts, as the comments of FITS are.
    words = ["stilts", "tpipe", f"in={path}", "cmd=clearparams *", "ofmt=votable", f"out={copy}"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    return copy


def plain(value):
    """A value as the catalogue has it: text for moments, ``None`` where it is absent."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    text = value.decode() if isinstance(value, bytes) else value
    return None if text == "" or text != text else text


def cell(file_format, reader, mark=()):
    return pytest.param(file_format, reader, marks=mark, id=f"{file_format}-{reader.__name__}")


@of_sqlite
@pytest.mark.parametrize(
    ("file_format", "reader"),
    [
        cell(Format.FITS, by_astropy),
        cell(Format.FITS, by_stilts, pytest.mark.heavy),
        cell(Format.VOTABLE, by_astropy),
        cell(Format.VOTABLE, by_stilts, pytest.mark.heavy),
        cell(Format.ECSV, by_astropy),
        cell(Format.ECSV, by_stilts, pytest.mark.slow),
        cell(Format.PARQUET, by_pandas),
        cell(Format.PARQUET, by_polars),
        cell(Format.PARQUET, by_duckdb),
        cell(Format.CSV, by_pandas),
        cell(Format.CSV, by_polars),
        cell(Format.CSV, by_duckdb),
        cell(Format.CSV, by_stilts, pytest.mark.slow),
    ],
)
def test_values_absences_and_types_are_those_of_sql(survey, written, in_sql, file_format, reader):
    expected = in_sql(survey)

    read = reader(written(file_format).path)

    assert list(read) == [column.name for column in columns(astronn_dist)]
    for column in columns(astronn_dist):
        found = [plain(value) for value in read[column.name]]
        wanted = from_sql(column, expected[column.key])
        assert found == wanted, column.name
        assert list(map(type, found)) == list(map(type, wanted)), column.name


@of_sqlite
@pytest.mark.parametrize(
    "file_format",
    [
        pytest.param(Format.FITS, marks=pytest.mark.heavy),
        pytest.param(Format.VOTABLE, marks=pytest.mark.heavy),
        pytest.param(Format.ECSV, marks=pytest.mark.slow),
    ],
)
def test_topcat_has_the_units_and_the_descriptions(survey, written, file_format):
    read = Table.read(copied(written(file_format).path))

    for column in columns(astronn_dist):
        found = read[column.name]
        assert found.unit == (units.Unit(column.unit) if column.unit else None), column.name
        assert found.description == column.description


@on_sqlite
@pytest.mark.parametrize("name", ["c.fits.gz", "c.xml"])
def test_other_endings_are_opened_as_well(db, create, name):
    a_result(a_spectrum(a_source(sdss_id=2**60 + 1)))

    assert list(Table.read(create(name).path)["sdss_id"]) == [2**60 + 1]


@on_sqlite
@pytest.mark.parametrize("name", ["c.txt", "c.ecsv.gz"])
def test_text_is_ecsv(db, create, name):
    a_result(a_spectrum(a_source(sdss_id=2**60 + 1)))

    read = Table.read(create(name).path, format="ascii.ecsv")

    assert list(read["sdss_id"]) == [2**60 + 1]
    assert read["dist"].unit == units.pc


@on_sqlite
@pytest.mark.parametrize("read", [pandas.read_csv, polars.read_csv, duckdb.read_csv])
def test_csv_is_opened_compressed_as_well(db, create, read):
    a_result(a_spectrum(a_source(sdss_id=2**60 + 1)))

    read_back = read(str(create("c.csv.gz").path))

    assert list(read_back.columns)[:2] == ["sdss_id", "sdss4_apogee_id"]


@on_sqlite
@pytest.mark.parametrize("reader", [by_pandas, by_polars, by_duckdb])
def test_csv_that_looks_like_numbers_at_first_is_text(db, create, reader):
    fill(db, 120)
    last = Source.select(peewee.fn.MAX(Source.pk)).scalar()
    Source.update(cc_flg="000", healpix=None).where(Source.pk != last).execute()
    Source.update(cc_flg="0c0", healpix=7).where(Source.pk == last).execute()
    ApogeeCoaddedSpectrumInApStar.update(field="NA").execute()

    read = reader(create("c.csv").path)

    assert (read["cc_flg"][0], read["cc_flg"][-1], read["field"][0]) == ("000", "0c0", "NA")
    assert (plain(read["healpix"][0]), read["healpix"][-1]) == (None, 7)
