"""The status as metrics, which the library of Prometheus reads again."""

from datetime import UTC, timedelta

import guests
import pytest
from builders import a_result, a_source, a_spectrum, on_sqlite
from conftest import ROOT
from prometheus_client.parser import text_string_to_metric_families

from astra.database.connection import now
from astra.errors import ConfigError
from astra.models import TaskClaim, TaskRun, TaskWorker
from astra.status.metrics import MEDIAN, METRICS, exposition
from astra.status.nights import nights_until, start_of
from astra.tasks.installed import find_task, installed_tasks

from nights_survey import LONG_AGO, ODD, fill_nights


def read(tasks=None):
    """The values by metric and by the labels beside the task, without their names."""
    tasks = tasks or {"astronn_dist": find_task("astronn_dist")}
    found = {}
    for family in text_string_to_metric_families(exposition(tasks).decode()):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            labels = tuple(value for name, value in sample.labels.items() if name != "task")
            assert labels not in found.setdefault(sample.name, {})
            found[sample.name][labels] = sample.value
    return found


def seconds(moment):
    return moment.replace(tzinfo=UTC).timestamp()


def test_counts_are_by_release_and_telescope_with_their_odd_characters(db):
    fill_nights(db)

    found = read()

    apo, lco, odd = ("dr17", "apo25m"), ("dr17", "lco25m"), (ODD, "apo25m")
    assert found["astra_spectra"] == {apo: 28, lco: 24, odd: 4}
    assert found["astra_results"] == {apo: 28, lco: 22, odd: 4}
    assert found["astra_pending_spectra"] == {apo: 0, lco: 2, odd: 0}
    assert found["astra_withheld_spectra"] == {apo: 0, lco: 0, odd: 0}
    assert found["astra_bad_results"] == {apo: 3, lco: 1, odd: 0}
    assert found["astra_warn_results"] == {apo: 0, lco: 0, odd: 4}
    flagged = {key: value for key, value in found["astra_flagged_results"].items() if value}
    assert {frozenset(key): value for key, value in flagged.items()} == {
        frozenset((*apo, "flag_no_result")): 3,
        frozenset((*lco, "flag_fakemag_unreliable")): 1,
        frozenset((*odd, "flag_missing_extinction")): 4,
    }


def test_nights_have_their_counts_and_medians_over_what_is_not_bad(db):
    previous, current = map(start_of, nights_until(fill_nights(db), 2))

    found = read()

    apo, lco = ("previous", "dr17", "apo25m"), ("previous", "dr17", "lco25m")
    odd = ("current", ODD, "apo25m")
    assert found["astra_night_results"] == {apo: 23, lco: 22, odd: 4}
    assert found["astra_night_bad_results"] == {apo: 3, lco: 1, odd: 0}
    assert found["astra_night_no_result_spectra"] == {apo: 3, lco: 0, odd: 0}
    assert found["astra_night_median_pull"] == pytest.approx({apo: 1.0, lco: 4.0})
    assert found["astra_night_median_snr"] == {apo: 80.0, lco: 40.0}
    assert found["astra_night_median_relative_e_dist"] == pytest.approx({apo: 0.05, lco: 0.05}, rel=1e-3)
    assert found["astra_night_start_timestamp_seconds"] == {
        ("previous",): seconds(previous),
        ("current",): seconds(current),
    }
    assert found["astra_night_run_results_per_second"] == {("previous",): 0.5}


def test_the_run_that_ended_last_has_its_outcome_times_and_counts(db):
    fill_nights(db)
    run = TaskRun.get(TaskRun.outcome == "done")
    later = {"started": run.finished, "finished": run.finished + timedelta(seconds=7), "outcome": "failed"}
    TaskRun.create(task=run.task, version="0", v_astra_major_minor=1, host="h", pid=2, **later)

    found = read()

    assert found["astra_last_run_outcome"] == {("done",): 0, ("stopped",): 0, ("failed",): 1, ("died",): 0}
    assert found["astra_last_run_duration_seconds"] == {(): 7}
    assert found["astra_last_run_start_timestamp_seconds"] == {(): seconds(run.finished)}
    assert found["astra_last_run_end_timestamp_seconds"] == {(): seconds(later["finished"])}
    assert found["astra_last_success_timestamp_seconds"] == {(): seconds(run.finished)}
    assert found["astra_last_run_spectra"] == {("measured",): 0, ("rederived",): 0, ("no_result",): 0}


def test_what_waits_and_what_is_in_hand_have_the_moments_since_when(db):
    moment = fill_nights(db)
    worker = {"task": "astronn_dist", "host": "far", "pid": 7, "run_pk": 3, "started": moment}
    held = {"worker_pk": TaskWorker.insert(worker).execute(), "since": moment - timedelta(hours=2)}
    claim = {"task": "astronn_dist", "spectrum_pk": 1, "suspect": True, "attempts": 1}
    TaskClaim.insert(claim | held).execute()

    found = read()

    waiting = found["astra_oldest_pending_timestamp_seconds"]
    assert waiting == {("dr17", "lco25m"): seconds(moment - timedelta(days=3))}
    assert found["astra_workers"] == {("working",): 0, ("dead",): 1, ("unknown",): 0}
    assert found["astra_claimed_spectra"] == found["astra_suspect_spectra"] == {(): 1}
    assert found["astra_oldest_claim_timestamp_seconds"] == {
        (): pytest.approx(seconds(held["since"]), abs=0.2)
    }
    assert found["astra_recent_results_per_second"] == {(): 0}
    assert found["astra_metrics_timestamp_seconds"] == {(): pytest.approx(seconds(now(db)), abs=60)}


@pytest.mark.parametrize("what", ["spectrum", "source"])
def test_a_result_whose_inputs_changed_waits_since_that_change(db, what):
    changed = now(db) - timedelta(hours=5)
    times = {"spectrum": LONG_AGO, "source": LONG_AGO} | {what: changed}
    spectrum = a_spectrum(a_source(modified=times["source"]), modified=times["spectrum"], created=LONG_AGO)
    a_result(spectrum, inputs_read=LONG_AGO + timedelta(days=1))

    found = read()["astra_oldest_pending_timestamp_seconds"]

    assert found == {("dr17", "apo25m"): seconds(changed)}


def test_of_an_empty_database_there_is_what_does_not_need_rows(db):
    found = read()

    assert found["astra_task_up"] == {(): 1}
    assert found["astra_claimed_spectra"] == {(): 0}
    assert not {"astra_spectra", "astra_night_results", "astra_last_run_outcome"} & found.keys()


def test_the_weights_are_those_of_the_newest_run_of_this_version(db):
    fill_nights(db)
    TaskRun.update(v_astra_major_minor=0).execute()

    (labels,) = read()["astra_task_info"]

    assert {"survey", "ab" * 32} - set(labels)


# > Tasks of other packages

WATCHED = (
    guests.GOOD
    + '''
@count_pixels.watched_by("Pixels of a spectrum", "pixels")
def number(spectra):
    """The number."""
    return GuestResult.pixels
'''
)


@pytest.fixture
def guest(db, tmp_path, monkeypatch):
    """Installs a package with this code, with its table and a result of each of so many spectra."""

    def install(code, number=0):
        guests.install(tmp_path / "guest", monkeypatch, code, "count_pixels", "missing")
        guests.make_table(db)
        task = find_task("count_pixels")
        for each in range(number):
            spectrum = a_spectrum(a_source(modified=LONG_AGO), modified=LONG_AGO)
            task.output_model.from_spectrum(spectrum, pixels=each, inputs_read=now(db)).save()
        return task

    return install


def test_a_task_of_a_package_has_metrics_and_those_that_it_registers(guest):
    task = guest(WATCHED, 21)

    found = read({"count_pixels": task})

    assert found["astra_results"] == {("dr17", "apo25m"): 21}
    assert found["astra_bad_results"] == {("dr17", "apo25m"): 0}
    assert found["astra_night_median_number_pixels"] == {("current", "dr17", "apo25m"): 10}


@pytest.mark.parametrize(
    "fault", ["raise KeyError", "return GuestResult.nowhere", "return __import__('peewee').SQL('nowhere')"]
)
def test_what_cannot_be_counted_is_down_and_harms_no_other_task(guest, fault):
    guest(WATCHED.replace("return GuestResult.pixels", fault))

    tasks = installed_tasks()
    families = text_string_to_metric_families(exposition(tasks).decode())
    found = [
        (each.name, each.labels.get("task"), each.value) for family in families for each in family.samples
    ]

    assert isinstance(tasks["missing"], ConfigError)
    up = {task: value for name, task, value in found if name == "astra_task_up"}
    assert up == {"astronn_dist": 1, "count_pixels": 0, "missing": 0}
    assert {task for name, task, _ in found if name == "astra_workers"} == {"astronn_dist"}


@pytest.mark.parametrize(("name", "unit"), [("Number", ""), ("_number", ""), ("number", "km/s")])
def test_a_name_or_unit_that_no_metric_may_have_is_refused_at_import(name, unit):
    code = WATCHED.replace("number(", f"{name}(").replace('"pixels")', f'"{unit}")')

    with pytest.raises(TypeError, match="count_pixels: name and unit of what is watched"):
        exec(code, {"__name__": "guest"})


# > The page


@on_sqlite
def test_the_page_says_what_every_metric_is(db):
    page = (ROOT / "docs" / "watching.md").read_text()
    names = [*METRICS, *(f"{MEDIAN}{name}" for name in find_task("astronn_dist").watched)]

    assert [name for name in names if f"`{name}`" not in page] == []
