"""Odd and damaged tables: each gives the right values, or one line that says what to do."""

import bz2
import gzip
import io
import json
import os
import zipfile

import numpy as np
import pyarrow
import pytest
from astropy.table import Table
from pyarrow import parquet

from astra.errors import UsageError
from astra.ingest.apstar import ingest_apstar
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.records import Tally

A, B = {"k_mag": 9.5, "ebv": 0.25}, {"k_mag": 10.25, "ebv": None}
GOOD = "apogee_id,k_mag,ebv\nA,9.5,0.25\nB,10.25,\n"
BLANKS = "# a table of stars\n# apogee_id k_mag ebv\nA    9.5  0.25\nB\t10.25 nan\n"
VIZIER = "#Table\n\nAPOGEE_ID\tKmag\tE(B-V)\n\tmag\tmag\n------\t-----\t----\nA\t9.5\t0.25\nB\t10.25\t \n"
LATIN_1 = "apogee_id,k_mag,ebv,Größe\nA,9.5,0.25,é\nB,10.25,,\n".encode("latin-1")
HTML = "<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"


def _fits(**columns):
    stream = io.BytesIO()
    Table(columns).write(stream, format="fits")
    return stream.getvalue()


def _parquet(**columns):
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def _votable(**columns):
    stream = io.BytesIO()
    Table(columns).write(stream, format="votable")
    return stream.getvalue()


def _zip(text):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", text)
    return stream.getvalue()


def _written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


STARS = {"apogee_id": ["A", "B"], "k_mag": [9.5, 10.25], "ebv": [0.25, np.nan]}

RIGHT = {
    "commas": ("t.csv", GOOD),
    "semicolons": ("t.csv", GOOD.replace(",", ";")),
    "tabs": ("t.tsv", GOOD.replace(",", "\t")),
    "vertical bars": ("t.psv", GOOD.replace(",", "|")),
    "framed by vertical bars": ("t.txt", "|apogee_id|k_mag|ebv|\n|---|---|---|\n|A|9.5|0.25|\n|B|10.25||\n"),
    "blanks, names in a comment": ("t.dat", BLANKS),
    "names in a comment with commas": ("t.dat", BLANKS.replace("id k_mag ebv", "id, k_mag, ebv")),
    "comments, names below": ("t.csv", "# made by hand\n#\n\n" + GOOD),
    "comments among the rows": ("t.csv", GOOD.replace("B,", "# the second\nB,")),
    "blank lines": ("t.csv", GOOD.replace("\n", "\n\n  \n")),
    "blanks around": ("t.csv", " apogee_id , k_mag,ebv\nA , 9.5 ,0.25 \n B,10.25, \n"),
    "no last line end": ("t.csv", GOOD.rstrip("\n")),
    "CRLF": ("t.csv", GOOD.replace("\n", "\r\n")),
    "CR": ("t.csv", GOOD.replace("\n", "\r")),
    "mixed line ends": ("t.csv", GOOD.replace("\n", "\r\n", 1)),
    "byte order mark": ("t.csv", b"\xef\xbb\xbf" + GOOD.encode()),
    "UTF-16": ("t.csv", GOOD.encode("utf-16")),
    "Latin-1": ("t.csv", LATIN_1),
    "sep=": ("t.csv", "sep=;\r\n" + GOOD.replace(",", ";")),
    "quoted": ("t.csv", '"apogee_id","k_mag","ebv"\n"A","9.5","0.25"\n"B","10.25",""\n'),
    "delimiter in quotes": ("t.csv", 'apogee_id,k_mag,ebv,note\nA,9.5,0.25,"a, b;\n""c"""\nB,10.25,,x\n'),
    "decimal commas": ("t.csv", GOOD.replace(",", ";").replace(".", ",")),
    "decimal commas after tabs": ("t.tsv", GOOD.replace(",", "\t").replace(".", ",")),
    "delimiter after each row": ("t.csv", "apogee_id,k_mag,ebv\nA,9.5,0.25,\nB,10.25,,\n"),
    "empty lines of Excel": ("t.csv", GOOD + ",,\n,,\n"),
    "VizieR": ("t.tsv", VIZIER),
    "words for nothing": ("t.csv", GOOD.replace("10.25,", "10.25,NaN")),
    "duplicates not used": ("t.csv", "x,x,apogee_id,k_mag,ebv\n1,2,A,9.5,0.25\n,,B,10.25,\n"),
    "a row twice": ("t.csv", GOOD + "A,9.5,0.25\n"),
    "an index of pandas": ("t.csv", ",apogee_id,k_mag,ebv\n0,A,9.5,0.25\n1,B,10.25,\n"),
    "gzip": ("t.txt.gz", gzip.compress(BLANKS.encode())),
    "gzip in two parts": ("t.csv.gz", gzip.compress(GOOD[:30].encode()) + gzip.compress(GOOD[30:].encode())),
    "gzip without its ending": ("t.csv", gzip.compress(GOOD.encode())),
    "FITS": ("t.fits", _fits(**STARS)),
    "FITS named CSV": ("t.csv", _fits(**STARS)),
    "FITS without an ending": ("table", _fits(**STARS)),
    "gzipped FITS": ("t.fits.gz", gzip.compress(_fits(**STARS))),
    "VOTable named CSV": ("t.csv", _votable(**STARS)),
    "Parquet": ("t.parquet", _parquet(**STARS)),
    "Parquet with nulls": ("t.pq", _parquet(**STARS | {"ebv": [0.25, None]})),
}  # fmt: skip


@pytest.mark.parametrize("what", RIGHT)
def test_an_odd_table_gives_its_values(tmp_path, what):
    name, content = RIGHT[what]

    catalog = Catalog(_written(tmp_path / name, content), Tally())

    assert [catalog.match(None, [star]).values for star in "AB"] == [A, B]


DUPLICATES = _fits(**STARS).replace(b"'ebv     '", b"'k_mag   '")
SHEET = _zip("<worksheet/>")
CUT_OFF = gzip.compress(GOOD.encode() * 100)[:60]
OF_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)

REFUSED = {
    "empty": ("t.csv", "", "it has no lines"),
    "blank": ("t.csv", "\n\n \n", "it has no lines"),
    "a comment": ("t.csv", "# apogee_id,k_mag\n", "it has comments only"),
    "no names": ("t.csv", "A,9.5,0.25\nB,10.25,0.1\n", "no line names the columns: write one .*_id,k_mag"),
    "no identifiers": ("t.csv", "k_mag,ebv\n9.5,0.25\n", "no identifiers .* --column names one of them"),
    "a short row": ("t.csv", GOOD + "C,9.5\n", "line 4 has 2 fields, but 3 columns have names"),
    "too many fields": ("t.csv", GOOD + "C,9.5,1,2\n", "line 4 has 4 fields, but 3 columns have names"),
    "two delimiters": ("t.csv", GOOD + "C;9.5;1\n", "line 4 has 1 fields, but 3 columns have names"),
    "prose": ("t.txt", "The stars\nof this table are\nall in a row\n", "none of commas.* divides its lines"),
    "duplicate names": ("t.csv", "apogee_id,k_mag,k_mag\nA,9.5,9\n", "2 .* have the name k_mag: rename"),
    "duplicate names in FITS": ("t.fits", DUPLICATES, "2 .* have the name k_mag: rename"),
    "a quote too many": ("t.csv", GOOD + 'C,9.5,"1\n', "line 4: unexpected end .* quotes must come in pairs"),
    "text after a quote": ("t.csv", GOOD + '"C"x,9.5,1\n', "line 4: .* expected .* must come in pairs"),
    "commas between thousands": ("t.csv", GOOD + 'C,"1,234.5",\n', "column k_mag .*1,234.5 in line 4"),
    "quoted decimal commas": ("t.csv", GOOD + 'C,"9,5",\n', "column k_mag .* commas .*9,5 in line 4"),
    "points and commas": ("t.csv", "apogee_id;k_mag\nA;9.5\nB;1,234\n", "column k_mag .*1,234 in line 3"),
    "zero bytes": ("t.csv", GOOD + "C,\0\0,\n", "it holds zero bytes"),
    "late zero bytes": ("t.csv", GOOD + "C,9.5,\n" * 1000 + "D,\0,\n", "line 1004 holds zero bytes"),
    "rubbish": ("t.csv", bytes(range(256)) * 20, "it holds zero bytes"),
    "UTF-16 cut off": ("t.csv", GOOD.encode("utf-16")[:-1], "cannot read the table"),
    "a web page": ("t.csv", HTML, "it is a web page or .*: download the table itself"),
    "a web page for FITS": ("t.fits", HTML, "it is a web page or .*: download the table itself"),
    "JSON": ("t.csv", json.dumps([STARS | {"ebv": None}]), "it is JSON: save the table as CSV"),
    "xlsx": ("t.csv", SHEET, "it is an Excel file, or another ZIP archive: save the table as CSV"),
    "xls": ("t.csv", OF_EXCEL, "it is an Excel file: save the table as CSV"),
    "HDF5": ("t.csv", HDF5, "it is HDF5: save the table as Parquet or FITS"),
    "bzip2": ("t.csv", bz2.compress(GOOD.encode()), "it is compressed in another way than gzip: unpack it"),
    "gzip twice": ("t.csv.gz", gzip.compress(CUT_OFF), "it is compressed twice: unpack it"),
    "gzip cut off": ("t.csv.gz", CUT_OFF, "Compressed file ended before"),
    "gzipped Parquet": ("t.parquet.gz", gzip.compress(_parquet(**STARS)), "compressed with gzip: unpack it"),
    "Parquet cut off": ("t.parquet", _parquet(**STARS)[:-20], "cannot read the table .*t.parquet: "),
    "CSV named Parquet": ("t.parquet", GOOD, "cannot read the table .*t.parquet: "),
    "CSV named FITS": ("t.fits", GOOD, "not a FITS file: "),
    "CSV named ECSV": ("t.ecsv", GOOD, "cannot read the table .*t.ecsv: "),
    "another ending": ("t.tbl", GOOD, "unknown kind of catalogue: .*t.tbl; its name must end in .csv, "),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_table_that_cannot_be_read_is_refused_on_one_line(tmp_path, what):
    name, content, reason = REFUSED[what]

    with pytest.raises(UsageError, match=reason) as caught:
        Catalog(_written(tmp_path / name, content), Tally())

    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_what_is_not_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path, reason in ((tmp_path, "a folder"), (tmp_path / "pipe.csv", "a named pipe")):
        with pytest.raises(UsageError, match=f"cannot read the table {path}: .*{reason}"):
            Catalog(path, Tally())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_without_the_right_to_read_it_is_refused(tmp_path):
    _written(tmp_path / "t.csv", GOOD).chmod(0)

    with pytest.raises(UsageError, match="Permission denied"):
        Catalog(tmp_path / "t.csv", Tally())


@pytest.mark.parametrize("content", ["apogee_id,k_mag\n", "# stars\napogee_id k_mag\n\n"])
def test_a_table_without_rows_is_said_and_gives_nothing(tmp_path, caplog, content):
    catalog = Catalog(_written(tmp_path / "t.txt", content), Tally())

    assert catalog.match(None, ["A"]) is None
    assert "no rows in the catalogue" in caplog.text


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("Latin-1", "not in UTF-8: read as Latin-1"),
        ("comments among the rows", "1 lines among the rows begin with # and are left out as comments"),
        ("decimal commas", "commas are taken for decimal points in the columns: ebv, k_mag"),
    ],
)
def test_a_guess_that_can_be_wrong_is_said(tmp_path, caplog, what, said):
    name, content = RIGHT[what]

    Catalog(_written(tmp_path / name, content), Tally())

    assert said in caplog.text


def test_of_two_delimiters_that_fit_the_one_with_more_columns_is_taken_and_that_is_said(tmp_path, caplog):
    text = "apogee_id|k_mag|bands,used\nA|9.5|J,K\nB|9|H,K\n"

    assert Catalog(_written(tmp_path / "t.txt", text), Tally()).match(None, ["A"]).values == {"k_mag": 9.5}
    assert "divided by vertical bars, though commas divide them as well" in caplog.text


def test_an_unused_column_with_unclear_commas_does_no_harm(tmp_path):
    path = _written(tmp_path / "t.csv", 'apogee_id,k_mag,pages\nA,9.5,"1,234"\n')

    assert Catalog(path, Tally()).match(None, ["A"]).values == {"k_mag": 9.5}


def test_odd_tables_fill_the_database(db, tmp_path, apstar, the_source):
    spectrum = apstar("apStar-dr17-X.fits", OBJID="B")

    ingest_apstar([spectrum], catalog=_written(tmp_path / "t.txt", BLANKS))

    assert the_source().k_mag == 10.25
