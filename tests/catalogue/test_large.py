"""The catalogue at 100,000 rows: as right, as valid, and in no more memory."""

import io
import os
import subprocess
import sys

import pytest
from astropy.io import fits
from astropy.io.votable import parse, validate
from astropy.table import Table
from catalogue_values import from_array, from_sql
from full_survey import fill

from astra.catalogue.columns import columns
from astra.catalogue.options import Format
from astra.pipelines.astronn_dist import astronn_dist

STARS, SPECTRA = 75_000, 100_000
PRODUCT = "astraAllStarAstroNNdist"


def peak_mb(*words):
    """Write a catalogue in a process of its own; gives the peak of its memory."""
    command = [sys.executable, "-m", "astra", "create", PRODUCT, *map(str, words)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_those_of_sql_and_pass_every_checker(db, create, in_sql, verified):
    assert fill(db, STARS) == SPECTRA
    path = create().path

    assert verified(path) == "0 warning(s) and 0 error(s)."
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        assert [(hdu.verify_checksum(), hdu.verify_datasum()) for hdu in hdus] == [(1, 1)] * 2
    read, expected = Table.read(path), in_sql(db)
    for column in columns(astronn_dist):
        # As a truth value: no one reads the difference of two columns of 100,000.
        equal = from_array(read[column.name]) == from_sql(column, expected[column.key])
        assert equal, column.name


OUTPUTS = [
    *((file_format, f"{{}}.{file_format.extension}") for file_format in Format),
    (Format.FITS, "{}.fits.gz"),
    *((file_format, "-") for file_format in Format),
]


@pytest.mark.slow
@pytest.mark.parametrize(("file_format", "output"), OUTPUTS)
def test_memory_does_not_grow_with_the_rows(db, file_format, output, tmp_path, monkeypatch):
    fill(db, STARS)
    monkeypatch.chdir(tmp_path)
    words = ("--format", file_format.value, "--output")

    few = peak_mb(*words, output.format("few"), "--where", f"spectrum_pk <= {SPECTRA // 10}")
    many = peak_mb(*words, output.format("many"))

    # Parquet keeps the values of one group of rows.
    assert many - few < (150 if file_format is Format.PARQUET else 15)


@pytest.mark.slow
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_votable_of_a_hundred_thousand_rows_passes_the_validator(db, create):
    fill(db, STARS)
    report = io.StringIO()

    path = create("catalogue.vot", format=Format.VOTABLE).path

    assert validate(str(path), output=report)
    assert len(parse(path, verify="exception").get_first_table().array) == SPECTRA
