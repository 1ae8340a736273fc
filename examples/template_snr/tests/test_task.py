"""Runs on simulated spectra, from nothing to rows, and the step from version 0.1 to 0.2."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from playhouse.migrations import Runner

from astra.cli import main
from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.models import ApogeeCoaddedSpectrumInApStar, TaskRun

import template_snr.migrations
from template_snr.results import TemplateSnr
from template_snr.template import PIXEL, line_depths


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """A folder with three simulated spectra, none of a cool giant, whose own lines are as deep."""
    folder = tmp_path_factory.mktemp("simulated") / "spectra"
    assert main(["simulate", str(folder), "--n", "3", "--min-snr", "50", "--seed", "5"]) == 0
    return folder


@pytest.fixture
def spectra(simulated, tmp_path, monkeypatch) -> list[Path]:
    """Copies of them that are registered in a new database, which has not got the table of this task yet."""
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "astra.db"))
    folder = Path(shutil.copytree(simulated, tmp_path / "spectra"))
    assert main(["init"]) == 0
    assert main(["ingest", "apstar", str(folder)]) == 0
    with bound_to(open_database(load_settings())):
        yield sorted(folder.glob("*.fits"))


@pytest.fixture
def run(spectra, capsys):
    """Runs the task; gives what the run says of itself."""

    def call(*options):
        capsys.readouterr()
        main(["run", "template_snr", "--json", *options])
        return json.loads(capsys.readouterr().out)

    return call


def _add_lines(path, shift):
    """Cut hydrogen lines that are shifted by a velocity [km/s] into the spectrum of a file."""
    with fits.open(path, mode="update") as hdus:
        places = np.arange(hdus[1].data.shape[-1])
        hdus[1].data *= 1 - 0.4 * line_depths(places - shift / PIXEL)


def test_lines_are_found_where_they_are(run, spectra):
    for path, shift in zip(spectra, (-100, 0, 100), strict=True):
        _add_lines(path, shift)

    assert run()["measured"] == 3

    paths = {row.spectrum_pk: row.path for row in ApogeeCoaddedSpectrumInApStar.select()}
    found = {paths[row.spectrum_pk]: row for row in TemplateSnr.select()}
    rows = [found[str(path)] for path in spectra]
    assert [row.v_shift for row in rows] == pytest.approx([-100, 0, 100], abs=10)
    assert all(row.ccf_snr > 5 and row.ccf_height > 0.5 for row in rows)
    assert not any(row.flag_bad or row.flag_warn for row in rows)


def test_lines_outside_the_searched_range_are_bad(run, spectra):
    for path in spectra:
        _add_lines(path, 300)

    done = run("--max-shift", "200")

    assert done["flags"]["flag_peak_at_edge"] == done["bad"] == 3


def test_a_damaged_and_an_empty_file_are_rows_that_say_so_and_the_third_is_measured(run, spectra):
    spectra[0].write_bytes(b"not FITS")
    with fits.open(spectra[1], mode="update") as hdus:
        hdus[1].data[:] = 0

    done = run()

    assert (done["measured"], done["no_result"]) == (1, 2)
    reasons = {row.no_result_reason.split(":")[0] for row in TemplateSnr.select() if row.flag_no_result}
    assert len(reasons) == 2
    assert "no usable pixel" in reasons


def test_the_range_changes_numbers_and_the_number_at_once_does_not(run):
    run("--limit", "1", "--at-once", "1")
    run("--limit", "1", "--at-once", "7")

    assert TaskRun.select(TaskRun.options).distinct().tuples()[:] == [('{"max_shift": 300.0}',)]
    assert run("--max-shift", "200")["exit_code"] == 78
    assert run("--max-shift", "200", "--overwrite")["measured"] == 3


def test_a_database_of_version_0_1_is_upgraded_and_keeps_its_rows(run, spectra, tmp_path, capsys):
    database = TemplateSnr._meta.database
    _as_version_0_1_left_it(database, tmp_path)
    assert "missing 0002_height): run `astra init`" in run()["error"]

    assert main(["init"]) == 0

    assert "applied 0002_height of template_snr" in capsys.readouterr().err
    (row,) = TemplateSnr.select()
    assert (row.ccf_snr, row.v_shift, np.isnan(row.ccf_height)) == (12.0, 3.0, True)
    assert run()["measured"] == 2
    assert run("--overwrite")["measured"] == 3
    assert not any(np.isnan(row.ccf_height) for row in TemplateSnr.select())


def _as_version_0_1_left_it(database, tmp_path):
    """Only the first migration was applied, and one spectrum was analysed."""
    database.execute_sql("DROP TABLE template_snr")
    database.execute_sql("DELETE FROM schema_migration_template_snr")
    folder = tmp_path / "migrations"
    folder.mkdir()
    shutil.copy(Path(template_snr.migrations.__file__).with_name("0001_table.py"), folder)
    assert Runner(database, str(folder), "schema_migration_template_snr").up() == ["0001_table"]
    pk = ApogeeCoaddedSpectrumInApStar.get().spectrum_pk
    columns = "spectrum_pk, v_astra, result_flags, ccf_snr, v_shift, inputs_read"
    query = f"INSERT INTO template_snr ({columns}) SELECT ?, ?, 0, 12, 3, strftime('%Y-%m-%d %H:%M:%f000')"
    database.execute_sql(query, (pk, TemplateSnr.v_astra.default))
