"""What ``astra status`` counts: results, who has what in hand, how fast it goes."""

import os
import socket
from datetime import datetime, timedelta

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.database.connection import now
from astra.models import AstroNNdist, TaskClaim, TaskWorker
from astra.running.claims import Claims
from astra.status import overview
from astra.status.overview import status_of
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection

LATER = "2999-01-01 00:00:00.000000"


@pytest.fixture
def task():
    return find_task("astronn_dist")


@pytest.fixture
def spectra(db):
    """Ten pending spectra."""
    return [a_spectrum(a_source(), modified=datetime(2026, 1, 1)) for _ in range(10)]


@pytest.fixture
def claims(spectra, task):
    """This process as a worker."""
    with Claims(Selection(task), a_run().pk) as worker:
        yield worker


def a_dead_worker(db, task="astronn_dist", **values):
    """The record of a worker that holds no lock."""
    given = {"task": task, "host": "far", "pid": 7, "run_pk": 3, "started": now(db)}
    return TaskWorker.insert(given | values).execute()


def a_claim(db, pk, **values):
    given = {"task": "astronn_dist", "spectrum_pk": pk, "suspect": False, "attempts": 0, "since": now(db)}
    TaskClaim.insert(given | values).execute()


def done(db, spectra, *, seconds_ago):
    moment = now(db) - timedelta(seconds=seconds_ago)
    for spectrum in spectra:
        a_result(spectrum, inputs_read=moment, source_read=now(db))


# > Results


def test_flags_are_counted_bit_by_bit_and_rows_of_other_versions_are_not(db, task):
    source = a_source()
    for flags in (0, 0, 1, 1 | 4, 4, 2, 2048):
        a_result(a_spectrum(source), result_flags=flags, inputs_read=LATER)
    a_result(a_spectrum(source), result_flags=2048, inputs_read=LATER, v_astra=7_000_000)

    found = status_of(task)

    assert (found["spectra"], found["done"], found["bad"], found["warn"]) == (8, 7, 4, 2)
    assert found["flags"] == {
        "flag_fakemag_unreliable": 2,
        "flag_missing_photometry": 1,
        "flag_missing_extinction": 2,
        "flag_no_result": 1,
    }


def test_the_flags_are_those_that_queries_count(db, task):
    for flags in range(8):
        a_result(a_spectrum(a_source()), result_flags=flags, inputs_read=LATER)

    found = status_of(task)

    assert found["bad"] == AstroNNdist.select().where(AstroNNdist.flag_bad).count()
    assert found["warn"] == AstroNNdist.select().where(AstroNNdist.flag_warn).count()
    for name, count in found["flags"].items():
        assert count == AstroNNdist.select().where(getattr(AstroNNdist, name)).count()


def test_reasons_are_counted_by_what_stands_before_the_file_the_most_common_first(db, task):
    texts = ["truncated: /a.fits has 3 bytes", "truncated: /b.fits", "no usable pixel: /c", "odd"]
    for text in texts:
        row = {"flag_no_result": True, "no_result_reason": text, "inputs_read": LATER}
        a_result(a_spectrum(a_source()), **row)

    assert list(status_of(task)["no_result_reasons"].items()) == [
        ("truncated", 2),
        ("no usable pixel", 1),
        ("odd", 1),
    ]


def test_results_that_leave_gaia_out_are_noted_with_their_number(db, task):
    gaia, known = {"gaia_parallax": 0.2, "e_gaia_parallax": 0.1}, {"plx_zero_point": -0.03}
    for values in (gaia, gaia | {"flag_no_result": True}, gaia | known, {}):
        a_result(a_spectrum(a_source()), inputs_read=LATER, **values)
    a_result(a_spectrum(a_source()), inputs_read=LATER, v_astra=7_000_000, **gaia)

    (note,) = status_of(task)["notes"]

    assert (note["name"], note["results"]) == ("without_zero_point", 2)
    assert note["text"].startswith("weighted_* of 2 results leave Gaia out: no zero-point")


def test_without_a_single_result_all_counts_are_zero(db, task):
    found = status_of(task)

    assert [note["results"] for note in found["notes"]] == [0]
    assert (found["spectra"], found["done"], found["pending"], found["bad"]) == (0, 0, 0, 0)
    assert set(found["flags"].values()) == {0}
    assert (found["spectra_per_s"], found["seconds_left"], found["workers"]) == (None, 0.0, [])


# > In hand


def test_a_worker_is_shown_with_what_it_has_in_hand(claims, task):
    claims.take(4)

    found = status_of(task)

    (worker,) = found["workers"]
    assert (worker["host"], worker["pid"]) == (socket.gethostname(), os.getpid())
    assert (worker["state"], worker["in_hand"], found["in_hand"]) == ("working", 4, 4)
    assert 0 <= worker["oldest_s"] < 60
    assert found["pending"] == 10


def test_a_worker_with_empty_hands_is_shown_too(claims, task):
    (worker,) = status_of(task)["workers"]

    assert (worker["in_hand"], worker["oldest_s"]) == (0, None)


def test_a_worker_without_its_lock_seems_dead(db, claims, spectra, task):
    key = a_dead_worker(db)
    a_claim(db, spectra[0].spectrum_pk, worker_pk=key, since=now(db) - timedelta(hours=2))

    mine, dead = status_of(task)["workers"]

    assert (mine["state"], dead["state"], dead["worker_pk"]) == ("working", "dead", key)
    assert dead["oldest_s"] == pytest.approx(7200, abs=60)


def test_looking_reaps_no_dead_worker(db, spectra, task):
    key = a_dead_worker(db)
    a_claim(db, spectra[0].spectrum_pk, worker_pk=key)

    status_of(task)

    assert TaskWorker.get().pk == TaskClaim.get().worker_pk == key


def test_whoever_may_not_look_at_the_locks_is_told_so(db, task, monkeypatch):
    class Closed:
        def dead(self, task, me):
            raise PermissionError(13, "Permission denied")

    a_dead_worker(db)
    monkeypatch.setattr(overview, "liveness_of", lambda database: Closed())

    (worker,) = status_of(task)["workers"]

    assert worker["state"] == "unknown"


def test_workers_of_other_tasks_are_not_shown(db, task):
    a_dead_worker(db, "other_task")

    assert status_of(task)["workers"] == []


def test_spectra_that_are_taken_alone_are_shown_with_their_deaths(db, spectra, task):
    one, two, three = (spectrum.spectrum_pk for spectrum in spectra[:3])
    a_claim(db, one, suspect=True)
    a_claim(db, two, suspect=True, attempts=2)
    a_claim(db, three, suspect=True, attempts=1, worker_pk=a_dead_worker(db))

    suspects = status_of(task)["suspects"]

    assert (suspects["waiting"], suspects["in_hand"], suspects["most_deaths"]) == (2, 1, 3)
    assert [(each["spectrum_pk"], each["deaths"]) for each in suspects["spectra"]] == [
        (two, 2),
        (three, 1),
        (one, 0),
    ]


# > How fast


def test_the_rate_is_that_of_the_last_minutes_and_gives_the_time_to_finish(db, claims, spectra, task):
    done(db, spectra[:2], seconds_ago=4000)
    done(db, spectra[2:6], seconds_ago=100)

    found = status_of(task)

    assert found["spectra_per_s"] == pytest.approx(4 / 100, rel=0.1)
    assert found["pending"] == 4
    assert found["seconds_left"] == pytest.approx(100, rel=0.1)


def test_a_row_that_is_made_again_counts_for_the_rate_though_nothing_in_it_changed(db, claims, spectra, task):
    done(db, spectra, seconds_ago=4000)
    AstroNNdist.update(inputs_read=now(db) - timedelta(seconds=50)).execute()

    assert status_of(task)["spectra_per_s"] == pytest.approx(10 / 50, rel=0.1)


def test_where_nobody_works_no_rate_is_known(db, spectra, task):
    a_dead_worker(db)
    done(db, spectra[:2], seconds_ago=10)

    found = status_of(task)

    assert (found["spectra_per_s"], found["seconds_left"]) == (None, None)


def test_before_the_first_chunk_is_done_no_rate_is_known(claims, task):
    found = status_of(task)

    assert (found["spectra_per_s"], found["seconds_left"]) == (None, None)


def test_a_run_is_running_while_its_worker_works(claims, task):
    a_run()

    newest, mine = status_of(task)["runs"]

    assert (newest["working"], mine["working"]) == (False, True)
