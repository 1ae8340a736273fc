"""Files that the system withholds: a few are noted and tried again by each run, many stop it."""

import os
import signal
from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.database.connection import database, now, writing
from astra.errors import ConfigError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, TaskClaim, TaskWithheld
from astra.running.request import Request
from astra.running.runner import run
from astra.running.runs import Report, refuse_to_mix
from astra.status.overview import status_of
from astra.system.version import V_ASTRA_MAJOR_MINOR
from astra.tasks.contract import Provenance, task
from astra.tasks.pending import Selection, count_pending, pending_query
from astra.tasks.withheld import Withheld, note

REASON = "Permission denied"


@pytest.fixture
def toy(db):
    """A task that measures all spectra but those whose files the system withholds."""

    @task
    def toy_task(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        for spectrum in spectra:
            calls.seen.append(spectrum.spectrum_pk)
            calls.on_spectrum()
            if spectrum.spectrum_pk not in calls.withheld:
                yield AstroNNdist.from_spectrum(spectrum, dist=calls.dist)
                continue
            row = AstroNNdist.from_spectrum(
                spectrum, flag_no_result=True, no_result_reason=f"{REASON}: {spectrum.path}"
            )
            row.file_lost = True
            yield row

    calls = SimpleNamespace(task=toy_task, seen=[], withheld=set(), dist=1.0, on_spectrum=lambda: None)
    return calls


def _run(toy, chunk=30, selection=None, **request):
    toy.seen.clear()
    report = Report(toy.task.name)
    run(Request(Selection(toy.task, **(selection or {})), chunk=chunk, **request), report)
    return report


def _spectra(count):
    with database.atomic():
        return [a_spectrum(a_source()).spectrum_pk for _ in range(count)]


def _noted():
    return [
        pk
        for (pk,) in TaskWithheld.select(TaskWithheld.spectrum_pk).order_by(TaskWithheld.spectrum_pk).tuples()
    ]


def _results():
    return {row.spectrum_pk: None if row.flag_no_result else row.dist for row in AstroNNdist.select()}


def test_a_few_are_tried_twice_and_then_have_rows_and_notes(toy):
    keys = _spectra(5)
    toy.withheld = {keys[0], keys[3]}

    report = _run(toy, chunk=2)

    assert toy.seen == [*keys, keys[0], keys[3]]
    assert (report.outcome, report.exit_code) == ("done", 0)
    assert (report.tally.measured, report.tally.no_result, report.tally.processed) == (3, 2, 5)
    assert _results() == {pk: None if pk in toy.withheld else 1.0 for pk in keys}
    assert _noted() == [keys[0], keys[3]]
    assert TaskClaim.select().count() == 0
    found = report.as_dict()
    assert (found["withheld"], found["withheld_reasons"], found["kept"]) == (2, {REASON: 2}, 0)


def test_what_is_back_at_the_end_of_the_run_is_measured_by_it(toy):
    keys = _spectra(30)
    toy.withheld = set(keys[5:15])
    toy.on_spectrum = lambda: toy.withheld.clear() if len(toy.seen) == 30 else None

    report = _run(toy, chunk=10)

    assert report.tally.measured == 30
    assert set(_results().values()) == {1.0}
    assert (_noted(), report.as_dict()["withheld"]) == ([], 0)


def test_nothing_is_written_about_those_held_back_when_the_run_is_cut_short(toy):
    keys = _spectra(8)
    toy.withheld = set(keys)
    toy.on_spectrum = lambda: os.kill(os.getpid(), signal.SIGTERM) if len(toy.seen) == 4 else None

    report = _run(toy, chunk=2)

    assert report.exit_code == 75
    assert (_results(), _noted()) == ({}, [])


def test_a_stop_while_they_are_tried_again_leaves_nothing_pending(toy):
    keys = _spectra(8)
    toy.withheld = set(keys[:4])
    toy.on_spectrum = lambda: os.kill(os.getpid(), signal.SIGTERM) if len(toy.seen) == 9 else None

    report = _run(toy, chunk=2)

    assert (report.outcome, report.exit_code, report.tally.measured) == ("done", 0, 4)
    assert (_noted(), count_pending(Selection(toy.task))) == (keys[:4], 0)


def test_they_are_not_pending_and_status_counts_them_apart(toy):
    keys = _spectra(5)
    toy.withheld = set(keys[:2])
    _run(toy)

    assert count_pending(Selection(toy.task)) == 0
    found = status_of(toy.task)

    assert (found["pending"], found["done"], found["withheld"]) == (0, 5, 2)
    assert found["withheld_reasons"] == {REASON: 2}
    assert found["no_result_reasons"] == {REASON: 2}


def test_every_run_tries_them_again_after_all_else(toy):
    keys = _spectra(5)
    toy.withheld = set(keys[:3])
    _run(toy)
    new = _spectra(2)
    toy.withheld = set(keys[:2])

    report = _run(toy)

    assert toy.seen == [*new, *keys[:3]]
    assert (report.outcome, report.tally.measured, report.tally.no_result) == ("done", 3, 2)
    assert _noted() == keys[:2]


def test_a_run_of_nothing_else_ends_well_however_many_they_are(toy):
    keys = _spectra(300)
    toy.withheld = set(keys)
    with writing(database):
        note(toy.task, [Withheld(pk, f"{REASON}: /x", now(database)) for pk in keys])

    first, second = _run(toy), _run(toy)

    for report in (first, second):
        assert (report.outcome, report.exit_code, report.as_dict()["withheld"]) == ("done", 0, 300)
    assert toy.seen == keys
    toy.withheld = set()
    assert _run(toy).tally.measured == 300
    assert _run(toy).outcome == "nothing_pending"


def _sources(keys):
    spectra = ApogeeCoaddedSpectrumInApStar
    return [pk for (pk,) in spectra.select(spectra.source).where(spectra.spectrum_pk << keys).tuples()]


def test_a_lost_disk_writes_nothing_and_the_next_run_finishes_the_work(toy):
    keys = _spectra(110)
    toy.withheld = set(keys)

    report = _run(toy)

    assert (report.outcome, report.exit_code) == ("stopped", 75)
    assert f"100 of the last 100 files cannot be read (most often: {REASON})" in report.error
    assert report.error.endswith("run again to go on")
    assert (_results(), _noted(), count_pending(Selection(toy.task))) == ({}, [], 110)
    toy.withheld = set()
    assert _run(toy).tally.processed == 110


def test_new_files_on_a_lost_disk_stop_the_run_whatever_was_noted_before(toy):
    keys = _spectra(9)
    toy.withheld = set(keys)
    _run(toy)
    new = _spectra(20)
    toy.withheld |= set(new)

    assert _run(toy).exit_code == 75
    assert _noted() == keys
    assert set(_results()) == set(keys)


def test_a_result_stays_when_the_file_of_its_changed_spectrum_is_withheld(toy, caplog):
    keys = _spectra(3)
    _run(toy)
    before = AstroNNdist.select().where(AstroNNdist.spectrum_pk == keys[0]).dicts().get()
    _modify(keys[:1])
    assert count_pending(Selection(toy.task)) == 1
    toy.withheld, toy.dist = {keys[0]}, 2.0

    report = _run(toy)

    assert AstroNNdist.select().where(AstroNNdist.spectrum_pk == keys[0]).dicts().get() == before
    assert (report.exit_code, report.tally.processed, report.as_dict()["kept"]) == (0, 0, 1)
    assert (_noted(), count_pending(Selection(toy.task))) == (keys[:1], 0)
    assert (
        f"earlier results kept: 1, because their files cannot be read (most often: {REASON}); "
        "every run tries them again"
    ) in caplog.text
    toy.withheld = set()
    _run(toy)
    assert _results() == {keys[0]: 2.0, keys[1]: 1.0, keys[2]: 1.0}
    assert _noted() == []


def _modify(keys):
    spectra = ApogeeCoaddedSpectrumInApStar
    spectra.update(modified=now(database)).where(spectra.spectrum_pk << keys).execute()


@pytest.mark.parametrize("count", [5, 150])
def test_overwriting_replaces_no_result_by_none_and_says_how_to_go_on(toy, caplog, count):
    keys = _spectra(count)
    _run(toy)
    toy.withheld, toy.dist = set(keys), 2.0
    before = now(database)
    chosen = {"overwrite": True, "before": before}

    report = _run(toy, selection=chosen)

    assert _results() == dict.fromkeys(keys, 1.0)
    go_on = f"run again with --before {before.isoformat(timespec='microseconds')} to go on"
    if count > 100:
        assert (report.exit_code, _noted()) == (75, [])
        assert report.error.endswith(go_on)
    else:
        assert (report.exit_code, report.as_dict()["kept"], _noted()) == (0, 5, keys)
        assert caplog.messages[-1].endswith(go_on)
    toy.withheld = set()
    assert _run(toy, selection=chosen).tally.measured == count
    assert _results() == dict.fromkeys(keys, 2.0)


def test_a_spectrum_whose_file_is_elsewhere_now_is_pending_again(toy):
    keys = _spectra(3)
    toy.withheld = {keys[1]}
    _run(toy)
    toy.withheld = set()

    _modify([keys[1]])

    assert count_pending(Selection(toy.task)) == 1
    assert _run(toy).tally.measured == 1
    assert _noted() == []


def test_a_limit_counts_each_spectrum_once_and_leaves_those_of_before_for_the_end(toy):
    keys = _spectra(5)
    toy.withheld = set(keys[:2])

    first, second = _run(toy, limit=3), _run(toy, limit=2)

    assert (first.tally.measured, first.tally.no_result) == (1, 2)
    assert (second.tally.measured, toy.seen) == (2, keys[3:])


def test_runs_with_a_limit_come_to_every_one_of_them(toy):
    keys = _spectra(6)
    toy.withheld = set(keys[:4])
    _run(toy)

    tried = [pk for _ in range(4) for pk in (_run(toy, limit=1), toy.seen[0])[1:]]

    assert sorted(tried) == keys[:4]


def test_what_another_run_has_tried_twice_meanwhile_is_not_tried_again(toy):
    keys = _spectra(3)
    toy.withheld = {keys[1]}
    began = now(database)
    _run(toy)

    left = Selection(toy.task).withheld(now(database), began)
    assert [*pending_query(left).tuples()] == []
    later = Selection(toy.task).withheld(now(database), now(database))
    assert [*pending_query(later).tuples()] == [(keys[1],)]


def test_a_row_that_waits_for_its_file_does_not_stop_a_run_for_its_weights(toy, caplog):
    other = a_run(task=toy.task.name, seed=0, v_astra_major_minor=V_ASTRA_MAJOR_MINOR)
    waiting, here = (a_spectrum(a_source()) for _ in range(2))
    a_result(waiting, run_pk=other.pk)
    with writing(database):
        note(toy.task, [Withheld(waiting.spectrum_pk, REASON, now(database))])

    refuse_to_mix(toy.task, Provenance(seed=7))

    assert "come from seed 0, and stay until their files can be read" in caplog.text
    a_result(here, run_pk=other.pk)
    with pytest.raises(ConfigError, match="come from seed 0, this run would use 7"):
        refuse_to_mix(toy.task, Provenance(seed=7))


def test_stars_and_pages_choose_among_them(toy):
    keys = _spectra(4)
    toy.withheld = set(keys)
    _run(toy)

    _run(toy, selection={"sources": tuple(_sources(keys[1:2]))})
    assert toy.seen == keys[1:2]
    _run(toy, selection={"page": (1, 2)})
    assert toy.seen == [pk for pk in keys if pk % 2 == 0]


def test_a_note_that_a_fast_clock_dated_hides_no_change_and_is_tried_again(toy):
    keys, began = _spectra(2), now(database)
    ahead = began + timedelta(hours=1)
    with writing(database):
        for spectrum in ApogeeCoaddedSpectrumInApStar.select():
            note(toy.task, [Withheld(spectrum.spectrum_pk, REASON, ahead, spectrum.modified)])
    selection = Selection(toy.task)
    assert count_pending(selection) == 0

    again = pending_query(selection.withheld(now(database), began))
    _modify(keys[:1])

    assert sorted(pk for (pk,) in again.tuples()) == keys[1:]
    assert [pk for (pk,) in pending_query(selection).tuples()] == keys[:1]


def test_each_withheld_file_is_tried_again_once_in_a_run_although_the_clock_was_set_back(toy, monkeypatch):
    keys = _spectra(12)
    _run(toy)
    toy.withheld = set(keys[:4])
    _run(toy, chunk=2, selection={"overwrite": True})
    behind = now(database) - timedelta(hours=1)
    monkeypatch.setattr("astra.running.rows.now", lambda database: behind)

    _run(toy, chunk=2)

    assert sorted(toy.seen) == keys[:4]
