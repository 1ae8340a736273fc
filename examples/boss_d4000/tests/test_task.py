"""A run on made-up spectra, from files to rows."""

import json

import numpy as np
import pytest

from astra.cli import main

from boss_d4000.ingest import ingest
from boss_d4000.results import D4000
from boss_d4000.simulate import write_spec


@pytest.fixture
def run(database, folder, capsys):
    """Registers the files and runs the task; gives what the run says of itself."""

    def call(*options):
        ingest([folder])
        capsys.readouterr()
        main(["run", "d4000", "--json", *options])
        return json.loads(capsys.readouterr().out)

    return call


def test_every_break_is_measured_within_its_error(run, folder):
    strengths = {number: 1.2 + 0.1 * number for number in range(1, 6)}
    for number, strength in strengths.items():
        write_spec(folder, number, strength=strength)

    assert run()["measured"] == 5

    rows = list(D4000.select().order_by(D4000.spectrum_pk))
    pulls = [(row.d4000 - true) / row.e_d4000 for row, true in zip(rows, strengths.values(), strict=True)]
    assert np.abs(pulls).max() < 4
    assert not any(row.flag_bad or row.flag_warn for row in rows)


def test_a_doubtful_redshift_is_a_warning(run, folder):
    write_spec(folder, 1, ZWARNING=4)

    done = run()

    assert (done["warn"], done["bad"], done["flags"]["flag_redshift_doubtful"]) == (1, 0, 1)


def test_a_break_outside_the_spectrum_has_no_value(run, folder):
    write_spec(folder, 1, first=3.65)

    assert run()["flags"]["flag_not_covered"] == 1

    row = D4000.get()
    assert np.isnan(row.d4000)
    assert row.flag_bad


def test_a_file_that_was_reduced_again_is_measured_again(run, folder):
    write_spec(folder, 1, strength=1.5)
    run()
    write_spec(folder, 1, strength=1.9)

    assert run()["measured"] == 1

    assert D4000.get().d4000 == pytest.approx(1.9, abs=0.1)


def test_a_damaged_file_is_a_row_that_says_so_and_a_repaired_one_is_taken_again(run, folder):
    write_spec(folder, 2)
    path = write_spec(folder, 1)
    content = path.read_bytes()
    run("--dry-run")
    path.write_bytes(b"not FITS")

    done = run()

    assert (done["measured"], done["no_result"], done["bad"]) == (1, 1, 1)
    path.write_bytes(content)
    assert run("--retry", "no_result")["measured"] == 1


def test_breaks_of_two_definitions_do_not_mix(run, folder):
    write_spec(folder, 1)
    run()
    write_spec(folder, 2)

    assert run("--definition", "broad")["exit_code"] == 78
    assert run("--definition", "broad", "--overwrite")["measured"] == 2
