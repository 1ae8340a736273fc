"""One run: its sum, its stops, its refusals, and that nothing is lost or doubled on the way."""

import math
import os
import signal
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import SimpleNamespace

import pytest
from builders import a_chunk, a_source, a_spectrum

from astra.database.connection import now
from astra.ingest.references import References
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, TaskClaim, TaskRun, TaskWorker
from astra.running.request import Request
from astra.running.runner import run
from astra.running.runs import Report
from astra.tasks.contract import Provenance, task
from astra.tasks.pending import Selection, pending_query


@pytest.fixture
def toy():
    """A task that measures every spectrum, and that a test tells what else to do."""

    @task
    def toy_task(
        spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, weights: str = "A", seed: int = 0
    ) -> Iterator[AstroNNdist]:
        for spectrum in spectra:
            calls.seen.append(spectrum.spectrum_pk)
            yield calls.make(spectrum)

    calls = SimpleNamespace(
        task=toy_task, seen=[], make=lambda s: AstroNNdist.from_spectrum(s, L_fakemag=7.0)
    )
    toy_task.identified_by(
        lambda weights="A", seed=0: Provenance(weights, weights * 64, seed, 100, "float32")
    )
    return calls


def _run(toy, selection=None, on_progress=lambda report: None, **request):
    report = Report(toy.task.name)
    run(Request(Selection(toy.task, **(selection or {})), **request), report, on_progress)
    return report


def _spectra(count):
    return [a_spectrum(a_source()) for _ in range(count)]


def test_everything_pending_is_run_once(db, toy):
    keys = [spectrum.spectrum_pk for spectrum in _spectra(5)]

    first, second = _run(toy, chunk=2), _run(toy, chunk=2)

    assert toy.seen == keys
    assert [row.spectrum_pk for row in AstroNNdist.select().order_by(AstroNNdist.task_pk)] == keys
    assert (first.outcome, first.exit_code, first.tally.processed) == ("done", 0, 5)
    assert (second.outcome, second.exit_code, second.tally.processed) == ("nothing_pending", 0, 0)


def test_what_the_dead_have_left_is_cleared_away_even_if_nothing_is_pending(db, toy):
    spectra = _spectra(2)
    _run(toy)
    dead = TaskWorker.create(task="toy_task", host="here", pid=1, started=now(db))
    a_chunk([spectra[0].spectrum_pk], "toy_task")
    TaskClaim.update(worker_pk=dead.pk).execute()

    assert _run(toy).outcome == "nothing_pending"

    assert (TaskWorker.select().count(), TaskClaim.select().count()) == (0, 0)


def test_a_limit_leaves_the_rest_pending(db, toy):
    _spectra(22)

    report = _run(toy, limit=5, chunk=2, count=True)

    assert report.tally.processed == 5
    assert report.as_dict()["pending"] == 17
    assert pending_query(Selection(toy.task)).count() == 17


def test_a_dry_run_counts_and_does_nothing(db, toy):
    _spectra(3)

    report = _run(toy, dry_run=True)

    assert (report.outcome, report.as_dict()["pending"]) == ("dry_run", 3)
    assert (toy.seen, AstroNNdist.select().count(), TaskRun.select().count()) == ([], 0, 0)


def test_every_row_points_to_the_run_that_made_it(db, toy):
    _spectra(3)

    report = _run(toy, chunk=2, arguments={"limit": 3})

    record = TaskRun.get_by_id(report.run_pk)
    assert {row.run_pk for row in AstroNNdist.select()} == {record.pk}
    assert (record.task, record.outcome, record.processed, record.measured) == ("toy_task", "done", 3, 3)
    assert (record.weights_name, record.weights_sha256, record.seed, record.n_draws) == (
        "A",
        "A" * 64,
        0,
        100,
    )
    assert (record.pid, record.arguments) == (os.getpid(), '{"limit": 3}')
    assert record.started <= record.finished


def test_a_batch_led_by_a_failure_keeps_the_columns_of_the_others(db, toy):
    _spectra(3)

    def make(spectrum):
        if len(toy.seen) == 1:
            return AstroNNdist.from_spectrum(spectrum, flag_no_result=True, no_result_reason="bad")
        return AstroNNdist.from_spectrum(spectrum, dist=5.0, e_dist=1.0, k_mag=9.0, tag="x")

    toy.make = make
    report = _run(toy)

    failed, *others = AstroNNdist.select().order_by(AstroNNdist.spectrum_pk)
    assert failed.flag_no_result
    assert math.isnan(failed.dist)
    assert [(row.dist, row.e_dist, row.k_mag, row.tag) for row in others] == [(5.0, 1.0, 9.0, "x")] * 2
    assert (report.tally.measured, report.tally.no_result, report.tally.processed) == (2, 1, 3)
    assert report.as_dict()["flags"]["flag_no_result"] == 1


def test_a_rerun_updates_the_row_and_keeps_when_it_was_made(db, toy):
    _spectra(1)
    _run(toy)
    before = AstroNNdist.get()

    _run(toy, {"overwrite": True})
    same = AstroNNdist.get()
    toy.make = lambda spectrum: AstroNNdist.from_spectrum(spectrum, L_fakemag=8.0)
    _run(toy, {"overwrite": True})
    changed = AstroNNdist.get()

    assert (same.task_pk, same.created, same.modified) == (before.task_pk, before.created, before.modified)
    assert same.run_pk != before.run_pk
    assert (changed.task_pk, changed.created, changed.L_fakemag) == (before.task_pk, before.created, 8.0)
    assert changed.modified > before.modified


def test_a_rerun_keeps_the_label_that_somebody_gave_a_row(db, toy):
    _spectra(1)
    _run(toy)
    AstroNNdist.update(tag="mine").execute()

    _run(toy, {"overwrite": True})

    assert AstroNNdist.get().tag == "mine"


def test_a_part_that_is_overwritten_with_other_weights_is_a_mixture(db, toy):
    _spectra(3)
    _run(toy)

    refused = _run(toy, {"overwrite": True}, limit=1, options={"weights": "B"})

    assert refused.exit_code == 78
    assert "--allow-mixed" in refused.error
    assert _run(toy, {"overwrite": True}, limit=1, options={"weights": "B"}, allow_mixed=True).exit_code == 0


def test_inputs_are_stamped_before_they_are_read(db, toy):
    (spectrum,) = _spectra(1)

    def make(spectrum):
        touched = ApogeeCoaddedSpectrumInApStar.get_by_id(spectrum.pk)
        touched.snr = 3.0
        touched.save()
        return AstroNNdist.from_spectrum(spectrum)

    toy.make = make
    _run(toy)

    assert [pk for (pk,) in pending_query(Selection(toy.task)).tuples()] == [spectrum.spectrum_pk]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_finishes_the_batch_in_hand_and_says_to_run_again(db, toy, number):
    _spectra(6)

    def make(spectrum):
        if len(toy.seen) == 3:
            os.kill(os.getpid(), number)
        return AstroNNdist.from_spectrum(spectrum)

    toy.make = make
    report = _run(toy, chunk=2)

    assert (report.outcome, report.exit_code) == ("stopped", 75)
    assert number.name in report.error
    assert AstroNNdist.select().count() == report.tally.processed == 4
    assert TaskRun.get().outcome == "stopped"
    assert _run(toy).tally.processed == 2


def test_a_second_ctrl_c_stops_at_once_and_loses_the_batch_in_hand_alone(db, toy):
    _spectra(6)

    def make(spectrum):
        if len(toy.seen) == 3:
            # The batch before is written meanwhile, and would be in hand until then.
            while AstroNNdist.select().count() < 2:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return AstroNNdist.from_spectrum(spectrum)

    toy.make = make
    report = _run(toy, chunk=2)

    assert (report.outcome, report.exit_code) == ("stopped", 130)
    assert AstroNNdist.select().count() == 2


def test_signals_are_given_back_after_the_run(db, toy):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    _run(toy)

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_no_batch_is_begun_after_the_maximum_runtime(db, toy):
    _spectra(4)

    report = _run(toy, chunk=2, max_runtime=0.0)

    assert (report.outcome, report.exit_code, report.tally.processed) == ("stopped", 75, 0)
    assert "--max-runtime 0 s" in report.error


def test_a_run_that_is_complete_when_its_time_is_up_is_done(db, toy):
    _spectra(2)

    report = _run(toy, chunk=2, max_runtime=3600.0)

    assert (report.outcome, report.exit_code) == ("done", 0)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"weights": "B"}, "weights A .sha256 AAAAAAAAAAAA., this run would use B"),
        ({"seed": 1}, "seed 0, this run would use 1"),
    ],
    ids=["weights", "seed"],
)
def test_results_that_depend_on_something_else_do_not_mix(db, toy, other, word):
    import re

    _spectra(1)
    _run(toy)
    _spectra(1)

    refused = _run(toy, options=other)

    assert (refused.outcome, refused.exit_code) == ("failed", 78)
    assert re.search(word, refused.error)
    # What it would have used is in its report.
    assert refused.as_dict()["weights"]["sha256"] is not None
    assert _run(toy, options=other, dry_run=True).error == refused.error
    assert AstroNNdist.select().count() == 1
    assert _run(toy, options=other, allow_mixed=True).tally.processed == 1


def test_overwriting_all_changes_the_weights(db, toy):
    _spectra(2)
    _run(toy)

    assert _run(toy, {"overwrite": True}, options={"weights": "B"}).tally.processed == 2
    assert _run(toy, options={"weights": "B"}).outcome == "nothing_pending"


def test_rows_without_a_result_bind_nobody_to_their_weights(db, toy):
    _spectra(1)
    toy.make = lambda spectrum: AstroNNdist.from_spectrum(spectrum, flag_no_result=True)
    _run(toy)

    assert _run(toy, {"retry_no_result": True}, options={"weights": "B"}).outcome == "done"


def test_a_batch_that_cannot_be_written_stops_the_run_with_its_reason(db, toy):
    _spectra(4)

    def make(spectrum):
        row = AstroNNdist.from_spectrum(spectrum)
        if len(toy.seen) == 3:
            row.v_astra = None  # the column is NOT NULL
        return row

    toy.make = make
    report = _run(toy, chunk=2)

    assert (report.outcome, report.exit_code) == ("failed", 74)
    assert "the database refused to write" in report.error
    assert "null" in report.error.lower()
    assert AstroNNdist.select().count() == 2
    assert TaskRun.get().outcome == "failed"


@pytest.mark.parametrize("broken", ["too few", "in another order"])
def test_a_task_that_breaks_its_contract_writes_nothing(db, broken):
    @task
    def bad(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        rows = [AstroNNdist.from_spectrum(spectrum) for spectrum in spectra]
        yield from rows[1:] if broken == "too few" else rows[::-1]

    _spectra(2)
    report = _run(SimpleNamespace(task=bad))

    assert report.exit_code == 70
    assert AstroNNdist.select().count() == 0


def test_a_fault_of_a_task_is_said_with_its_name_and_where(db, toy):
    keys = [spectrum.spectrum_pk for spectrum in _spectra(2)]
    toy.make = lambda spectrum: 1 / 0

    report = _run(toy)

    assert (report.outcome, report.exit_code) == ("failed", 70)
    where = f"task toy_task failed on the spectra {keys[0]} to {keys[1]}: ZeroDivisionError: division by zero"
    assert where in report.error
    assert TaskRun.get().outcome == "failed"


def test_a_fault_of_the_program_is_reported_and_raised(db, toy):
    _spectra(1)
    toy.task.prepared_by(lambda **options: 1 / 0)
    report = Report("toy_task")

    with pytest.raises(ZeroDivisionError):
        run(Request(Selection(toy.task)), report)

    assert (report.outcome, report.exit_code) == ("failed", 70)


def test_relative_paths_without_sas_base_dir_stop_the_run_before_the_first(db, toy, monkeypatch, tmp_path):
    a_spectrum(a_source(), path="dr17/apogee/x.fits")

    for value in (None, str(tmp_path / "not-there"), str(tmp_path / "empty")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        if value:
            monkeypatch.setenv("SAS_BASE_DIR", value)
        report = _run(toy)

        assert (report.exit_code, toy.seen) == (78, [])
        assert "SAS_BASE_DIR" in report.error
    assert AstroNNdist.select().count() == 0


def test_absolute_paths_need_no_sas_base_dir(db, toy):
    _spectra(1)

    assert _run(toy).outcome == "done"


def test_what_changes_while_it_is_measured_is_pending_again(db, toy):
    first, second = _spectra(2)

    def make(spectrum):
        if spectrum.spectrum_pk == first.spectrum_pk:
            # As an ingest would that began before the run, and ends within it.
            ApogeeCoaddedSpectrumInApStar.update(snr=7.0, modified=datetime(2020, 1, 1)).where(
                ApogeeCoaddedSpectrumInApStar.pk == first.pk
            ).execute()
        return AstroNNdist.from_spectrum(spectrum, L_fakemag=7.0)

    toy.make = make

    assert (_run(toy).tally.processed, _run(toy).tally.processed) == (2, 1)
    assert toy.seen == [first.spectrum_pk, second.spectrum_pk, first.spectrum_pk]


def test_a_source_that_is_made_one_with_another_while_its_spectrum_is_measured_stops_nothing(db, toy):
    spectra = _spectra(3)
    lost, kept, deleted = spectra[0].source, spectra[1].source, spectra[2]

    def make(spectrum):
        if spectrum.spectrum_pk == deleted.spectrum_pk:
            References().move(lost.pk, kept.pk)
            Source.delete().where(Source.pk == lost.pk).execute()
            References().delete_spectrum(deleted.spectrum_pk)
        return AstroNNdist.from_spectrum(spectrum, L_fakemag=7.0)

    toy.make = make
    report = _run(toy)

    assert (report.exit_code, report.tally.processed) == (0, 2)
    assert [row.source_pk for row in AstroNNdist.select().order_by(AstroNNdist.spectrum_pk)] == [kept.pk] * 2
    assert TaskClaim.select().count() == 0
