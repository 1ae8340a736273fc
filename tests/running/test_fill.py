"""Filling columns of rows that are there: from files or stars, without measuring, and nothing is lost."""

import json
import math
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import guests
import numpy as np
import pytest
from builders import (
    ZERO_POINT,
    a_result,
    a_run,
    a_source,
    a_spectrum,
    made_from,
    slow_on_sqlite,
    write_apstar,
)

from astra.database.connection import database, now, writing
from astra.errors import MissingSpectrum, UnreadableSpectrum
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, TaskRun, TaskTrial
from astra.pipelines.astronn_dist import astronn_dist
from astra.pipelines.astronn_dist.distances.best import BEST
from astra.running.ending import reporting
from astra.running.fill import carry_out
from astra.running.request import Request
from astra.running.rows import rederive
from astra.running.runs import Report
from astra.spectra.apstar import read_combined
from astra.spectra.coverage import Coverage, coverage_of
from astra.tasks.contract import task
from astra.tasks.pending import Selection, anything_pending, count_pending
from astra.tasks.withheld import Withheld, note

FILLED = {*Coverage._fields, "modified"}


@pytest.fixture
def toy(db):
    """A task whose fill notes what it reads, and of which a test says what it finds."""

    @task
    def toy_task(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        raise AssertionError("a fill measures nothing")

    @toy_task.filled_by("coverage", columns=Coverage._fields)
    def cover(spectrum):
        calls.read.append(spectrum.spectrum_pk)
        return calls.make(spectrum)

    calls = SimpleNamespace(task=toy_task, read=[], make=lambda spectrum: (0.9, 0.8, 0.7, 0.6))
    return calls


def _rows(count, path=None, **values):
    """Rows of so many spectra that are as they were when the rows were made."""
    rows = []
    with database.atomic():
        for _ in range(count):
            spectrum = a_spectrum(a_source(), path)
            rows.append(a_result(spectrum, **({"inputs_read": now(database)} | values)))
            made_from(rows[-1], spectrum)
    return rows


def _fill(the_task, name="coverage", on_progress=lambda report: None, selection=None, **request):
    report = Report(the_task.name)
    asked = Request(Selection(the_task, **(selection or {})), fill=the_task.fill(name), **request)
    with reporting(report) as stop:
        carry_out(asked, report, stop, lambda report: on_progress(stop))
    return report


def _covered():
    return {row.spectrum_pk for row in AstroNNdist.select() if row.coverage == row.coverage}


def _stored(*left_out):
    names = [field for field in AstroNNdist._meta.sorted_fields if field.name not in left_out]
    return list(AstroNNdist.select(*names).order_by(AstroNNdist.task_pk).tuples())


# > From files


def test_a_fill_gives_what_a_run_stores_and_changes_nothing_else(astra, db, tmp_path, toy_weights):
    for number in range(3):
        flux = np.full(8575, 100.0)
        flux[300 : 400 + 100 * number] = np.nan
        a_spectrum(a_source(), write_apstar(tmp_path / f"{number}.fits", flux))
    assert astra("run", "astronn_dist", "--weights", toy_weights)[0] == 0
    measured, others = _stored("modified"), _stored(*FILLED)
    row = AstroNNdist.select().order_by(AstroNNdist.spectrum_pk).first()
    stored = [getattr(row, name) for name in Coverage._fields]
    assert stored == list(coverage_of(read_combined(tmp_path / "0.fits")))
    assert stored[1] < stored[0] < stored[3] == 1
    AstroNNdist.update(dict.fromkeys(Coverage._fields)).execute()

    code, out, _ = astra("run", "astronn_dist", "--fill", "coverage", "--json")

    found = json.loads(out)
    assert (code, found["outcome"], found["fill"], found["filled"]) == (0, "done", "coverage", 3)
    assert (_stored("modified"), _stored(*FILLED)) == (measured, others)
    assert TaskRun.select().count() == 1
    assert all(after.modified > row.modified for after in AstroNNdist.select())
    again = astra("run", "astronn_dist", "--fill", "coverage")
    assert again[:2] == (0, "nothing is left to fill (coverage) for astronn_dist\n")


def test_only_rows_with_a_result_of_unchanged_spectra_are_read_and_each_once(toy):
    plain, failed, changed, old, filled = _rows(5)
    failed.flag_no_result = True
    old.v_astra = 0
    filled.coverage = 0.5
    for row in (failed, old, filled):
        row.save()
    spectrum = ApogeeCoaddedSpectrumInApStar.get(spectrum_pk=changed.spectrum_pk)
    spectrum.snr = 7
    spectrum.save()

    report = _fill(toy.task)

    assert toy.read == [plain.spectrum_pk]
    assert (report.exit_code, report.tally.filled, report.tally.done) == (0, 1, 1)
    assert _covered() == {plain.spectrum_pk, filled.spectrum_pk}


def test_what_cannot_be_read_stays_unknown_and_is_said_and_the_others_are_filled(toy):
    lost, damaged, silent, fine = (row.spectrum_pk for row in _rows(4))

    def make(spectrum):
        if spectrum.spectrum_pk == lost:
            raise MissingSpectrum("Permission denied: /x")
        if spectrum.spectrum_pk == damaged:
            raise UnreadableSpectrum("truncated: /y")
        return [math.nan] * 4 if spectrum.spectrum_pk == silent else [1.0] * 4

    toy.make = make

    for filled in (1, 0):
        report = _fill(toy.task)

        assert (report.outcome, report.exit_code, report.tally.filled) == ("done", 0, filled)
        assert report.tally.withheld == {"Permission denied": 1, "truncated": 1}
        assert _covered() == {fine}


def test_a_lost_disk_ends_it_after_a_hundred_files_but_not_those_that_are_lost_for_long(toy):
    keys = [row.spectrum_pk for row in _rows(110)]

    def make(spectrum):
        raise MissingSpectrum("No such file or directory: /x")

    toy.make = make
    lost = _fill(toy.task, chunk=30)
    read = len(toy.read)
    with writing(database):
        note(toy.task, [Withheld(pk, "No such file or directory: /x", now(database)) for pk in keys])
    noted = _fill(toy.task)

    assert (lost.outcome, lost.exit_code, read) == ("stopped", 75, 110)
    assert "100 of the last 100 files cannot be read" in lost.error
    assert (noted.outcome, noted.exit_code, noted.tally.withheld.total()) == ("done", 0, 110)


# > Others at the same time


def test_a_row_that_is_made_anew_while_its_file_is_read_stays_as_it_is(toy):
    anew, changed, plain = _rows(3)

    def make(spectrum):
        if spectrum.spectrum_pk == anew.spectrum_pk:
            AstroNNdist.update(run_pk=a_run().pk, L_fakemag=7).where(
                AstroNNdist.task_pk == anew.task_pk
            ).execute()
        if spectrum.spectrum_pk == changed.spectrum_pk:
            spectrum.snr = 7
            spectrum.save()
        return [1.0] * 4

    toy.make = make
    report = _fill(toy.task)

    assert len(toy.read) == 3
    assert (report.exit_code, report.tally.filled, _covered()) == (0, 1, {plain.spectrum_pk})


def test_of_two_fills_at_once_each_row_is_filled_by_the_first(toy):
    _rows(4)

    def make(spectrum):
        toy.make = lambda spectrum: [0.25] * 4
        other.append(_fill(toy.task, chunk=2))
        return [0.75] * 4

    toy.make, other = make, []
    report = _fill(toy.task, chunk=2)

    assert (report.tally.filled, other[0].tally.filled) == (0, 4)
    assert {row.coverage for row in AstroNNdist.select()} == {0.25}


# > Parts, stops, processes


def test_stopped_in_the_middle_it_reads_what_is_left_when_it_is_repeated(toy):
    keys = [row.spectrum_pk for row in _rows(10)]

    stopped = _fill(toy.task, on_progress=lambda stop: setattr(stop, "reason", "SIGTERM"), chunk=4)
    first = list(toy.read)
    late = _fill(toy.task, max_runtime=0.0)
    part = _fill(toy.task, chunk=4, limit=3)
    rest = _fill(toy.task, chunk=4)

    assert (stopped.outcome, stopped.exit_code, stopped.tally.filled) == ("stopped", 75, 4)
    assert stopped.error == "stopped before the end (SIGTERM); run again to go on"
    assert (late.exit_code, late.tally.filled) == (75, 0)
    assert (first, part.tally.filled, rest.tally.filled) == (keys[:4], 3, 3)
    assert toy.read == keys


def test_pages_and_stars_are_filled_alone_and_counted_before(toy):
    keys = [row.spectrum_pk for row in _rows(6)]
    star = Source.select().order_by(Source.pk).first().pk

    counted = _fill(toy.task, dry_run=True, selection={"page": (1, 2)})
    alone = _fill(toy.task, selection={"sources": (star,)})
    page = _fill(toy.task, count=True, selection={"page": (1, 2)})

    half = [pk for pk in keys if pk % 2 == 0]
    assert (counted.outcome, counted.to_do, alone.tally.filled) == ("dry_run", 3, 1)
    assert (page.to_do, page.tally.filled) == (len({*half} - {keys[0]}),) * 2
    assert _covered() == {keys[0], *half}


@slow_on_sqlite
def test_processes_share_it_and_one_that_dies_costs_one_row(astra, db, tmp_path, monkeypatch):
    code = guests.GOOD + (
        '@count_pixels.filled_by("brightness", columns=["brightness"])\n'
        "def brightness(spectrum):\n"
        "    import os, signal\n"
        "    if spectrum.spectrum_pk == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return [spectrum.spectrum_pk / 2]\n"
    )
    column = "    brightness = FloatField(help_text='Its own')\n\n    class Meta"
    code = code.replace("    class Meta", column)
    guests.make_table(db, "pixels DOUBLE PRECISION, brightness DOUBLE PRECISION")
    guests.install(tmp_path / "guest", monkeypatch, code, "count_pixels")
    for _ in range(30):
        a_spectrum(a_source())
    assert astra("run", "count_pixels")[0] == 0

    words = ("--fill", "brightness", "--workers", 2, "--batch-size", 4, "--json")
    code, out, err = astra("run", "count_pixels", *words)

    found = json.loads(out)
    assert (code, found["filled"], found["withheld_reasons"]) == (0, 29, {"its worker died": 1}), err
    rows = database.execute_sql("SELECT spectrum_pk, brightness FROM guest_result ORDER BY 1").fetchall()
    assert [brightness for _, brightness in rows] == [pk / 2 if pk != 5 else None for pk, _ in rows]


# > From stars


def test_columns_of_later_are_derived_and_only_they_and_only_where_the_star_is_as_it_was(db):
    columns = astronn_dist.fills["distances"].columns
    rows = _rows(3, dist=1.0)
    star, changed, _ = (Source.get_by_id(row.source_pk) for row in rows)
    for source in (star, changed):
        source.plx, source.e_plx = 0.2, 0.1
        for name, value in ZERO_POINT.items():
            setattr(source, name, value)
        source.save()
    spectra = ApogeeCoaddedSpectrumInApStar.select().order_by(ApogeeCoaddedSpectrumInApStar.pk)
    for row, spectrum in zip(rows, spectra, strict=True):
        made_from(row, spectrum)
    changed.k_mag = 9
    changed.save()
    before = _stored(*columns, "modified")

    report, again = _fill(astronn_dist, "distances"), _fill(astronn_dist, "distances")

    found, left, without_gaia = AstroNNdist.select().order_by(AstroNNdist.task_pk)
    assert (report.exit_code, report.tally.filled) == (0, 2)
    assert (again.exit_code, again.tally.filled) == (0, 0)
    assert _stored(*columns, "modified") == before
    assert math.isnan(left.dist_lo)
    assert without_gaia.dist_lo < without_gaia.dist_hi
    filled = [getattr(found, name) for name in columns]
    assert not any(value is None or value != value for value in filled)
    assert found.plx_zero_point_origin == "nu_eff"
    AstroNNdist.update(source_modified=None, source_read=None).where(
        AstroNNdist.task_pk == found.task_pk
    ).execute()
    rederive(astronn_dist, [found.spectrum_pk])
    assert filled == [getattr(AstroNNdist.get_by_id(found.task_pk), name) for name in columns]


def test_a_row_from_before_is_not_stale_and_gets_the_zero_point_that_can_be_estimated(db):
    (row,) = _rows(1)
    astronomy = {"plx": 0.2, "e_plx": 0.1, "gaia_release": "edr3", "ra": 10.0, "dec": 20.0}
    astronomy |= {"g_mag": 13.0, "bp_mag": 13.6, "rp_mag": 12.4}
    star = Source.get_by_id(row.source_pk)
    for name, value in astronomy.items():
        setattr(star, name, value)
    star.save()
    rederive(astronn_dist, [row.spectrum_pk])
    # As the version before it made the row: without a zero-point the spectrum stood alone.
    later = ("plx_zero_point", "plx_zero_point_origin", "parallax_pull", *BEST)
    (now,) = AstroNNdist.select()
    before = {"gaia_parallax": 1.0, "e_gaia_parallax": 0.1, "weighted_parallax": now.nn_parallax}
    AstroNNdist.update(before | dict.fromkeys(later)).execute()

    stale = anything_pending(Selection(astronn_dist))
    report = _fill(astronn_dist, "distances")

    (found,) = AstroNNdist.select()
    assert (stale, report.tally.filled) == (False, 1)
    assert found.plx_zero_point_origin == "bp_rp"
    assert [getattr(found, name) for name in later] == [getattr(now, name) for name in later]
    assert (found.e_gaia_parallax, found.weighted_parallax) == (now.e_gaia_parallax, now.weighted_parallax)


def test_reasons_of_old_rows_are_filled_and_derived_again_once_their_coverage_is_known(db, tmp_path):
    path = write_apstar(tmp_path / "whole.fits")
    old, covered = _rows(2, path, tag="old")
    AstroNNdist.update(dict.fromkeys(Coverage._fields, 0.9)).where(
        AstroNNdist.task_pk == covered.task_pk
    ).execute()
    assert count_pending(Selection(astronn_dist)) == 0

    assert _fill(astronn_dist, "distances").tally.filled == 2
    without, whole = AstroNNdist.select().order_by(AstroNNdist.task_pk)
    assert without.flag_not_clean_coverage
    assert without.flag_not_checked_coverage
    assert not whole.flag_not_clean_coverage
    assert not whole.flag_not_checked_coverage
    assert count_pending(Selection(astronn_dist)) == 0

    _fill(astronn_dist, "coverage")
    assert count_pending(Selection(astronn_dist)) == 1
    rederive(astronn_dist, [old.spectrum_pk])

    found = AstroNNdist.get_by_id(old.task_pk)
    assert not found.flag_not_clean_coverage
    assert not found.flag_not_checked_coverage
    assert count_pending(Selection(astronn_dist)) == 0


# > What is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fill", "colour"], "task astronn_dist has no --fill colour; it has distances, coverage"),
        (["--fill", "coverage", "--overwrite", "--retry=no_result"], "go with --overwrite, --retry"),
        (["--fill", "coverage", "--weights=x", "--n-draws=5"], "go with --weights, --n-draws"),
        (["--fill", "coverage", "--allow-mixed", "--job=7"], "go with --allow-mixed, --job"),
        (["--fill", "coverage", "--before=2026-01-01", "--seed=1"], "go with --before, --seed"),
        (["--fill", "coverage", "--into=trial-x", "--ebv-from=ebv"], "go with --ebv-from"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_read(astra, words, said):
    code, out, err = astra("run", "astronn_dist", *words)

    assert (code, out) == (2, "")
    assert said in err


def test_a_trial_that_is_not_there_is_not_made_for_a_fill(astra, db):
    code, out, err = astra("run", "astronn_dist", "--fill", "coverage", "--into", "trial-typo")

    assert (code, out) == (2, "")
    assert "task astronn_dist has no trial-typo" in err
    assert not TaskTrial.select().exists()


def test_a_task_that_fills_nothing_says_so(astra, tmp_path, monkeypatch):
    guests.install(tmp_path, monkeypatch, guests.GOOD, "count_pixels")

    code, _, err = astra("run", "count_pixels", "--fill", "pixels")

    assert (code, err.splitlines()[0]) == (
        2,
        "astra: error: task count_pixels has no columns to fill: --fill pixels",
    )


def test_a_fill_of_columns_that_no_row_can_lack_is_refused_where_it_is_declared(toy):
    for columns in (["colour"], ["spectrum_pk"]):
        with pytest.raises(TypeError, match="AstroNNdist has no column '.*' that may be NULL"):
            toy.task.filled_by("other", columns=columns)(lambda spectrum: [1])
    with pytest.raises(TypeError, match="two fills called 'coverage'"):
        toy.task.filled_by("coverage", columns=["coverage"])(lambda spectrum: [1])


def test_a_fill_that_breaks_its_contract_names_the_task_and_the_spectrum(toy):
    (row,) = _rows(1)

    toy.make = lambda spectrum: [1.0]
    short = _fill(toy.task)
    toy.make = lambda spectrum: 1 / 0
    broken = _fill(toy.task)

    assert (short.exit_code, short.error) == (
        70,
        "task toy_task gave 1 values for the 4 columns of coverage",
    )
    assert f"failed to fill coverage of the spectrum {row.spectrum_pk}: ZeroDivisionError" in broken.error
