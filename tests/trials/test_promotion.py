"""A trial takes the place of production, and gives it back: nothing is lost, doubled or mixed."""

import json
import subprocess
import sys
import threading
import time

import pytest
from builders import a_result, a_source, a_spectrum, write_apstar
from many_results import OF_PRODUCTION, OF_TRIAL, a_run_with, add_results, two_sets

from astra.database.connection import database, now
from astra.database.locks import changing_inputs
from astra.errors import AstraError, ConfigError
from astra.ingest.references import References
from astra.models import AstroNNdist, Distance, TaskRun, TaskWorker
from astra.models.pipeline import TaskWithheld, of_this_version
from astra.running.claims import Claims
from astra.system.version import V_ASTRA
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection
from astra.tasks.trials import entered, refuse_promoted
from astra.tasks.withheld import Withheld, note
from astra.trials import making
from astra.trials.making import make_trial
from astra.trials.overview import look_up
from astra.trials.promotion import promote, rollback

TRIAL = "trial-x"
OLD, NEW = {OF_PRODUCTION}, {OF_TRIAL}


@pytest.fixture
def sets(db):
    """Ten spectra with results of production and of a trial."""
    two_sets(db, 10)
    return db


def content(database, table="astro_nn_dist"):
    """All rows of a table in the order of their spectra, without what moves with each change."""
    cursor = database.execute_sql(f"SELECT * FROM {table} ORDER BY spectrum_pk")
    names = [each[0] for each in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {row["spectrum_pk"]: row | {"modified": None} for row in rows}


def values(rows):
    return {row["l_fakemag"] for row in rows.values()}


def test_a_trial_that_is_promoted_and_rolled_back_leaves_both_sets_as_they_were(astra, sets):
    AstroNNdist.update(tag="mine").where(AstroNNdist.spectrum_pk == 3).execute()
    before, aside = content(sets), content(sets, "astro_nn_dist_trial_x")
    moved = AstroNNdist.get(AstroNNdist.spectrum_pk == 1).modified

    code, out, err = astra("trials", "promote", TRIAL)

    assert (code, out) == (0, "trial-x is promoted: 10 results replaced, 0 new in production\n"), err
    promoted = content(sets)
    assert (values(promoted), values(content(sets, "astro_nn_dist_trial_x"))) == (NEW, OLD)
    assert AstroNNdist.get(AstroNNdist.spectrum_pk == 1).modified > moved
    for name in ("task_pk", "created", "tag"):
        assert [row[name] for row in promoted.values()] == [row[name] for row in before.values()]
    assert {distance.L_fakemag for distance in Distance.select()} == NEW

    code, out, err = astra("trials", "rollback", TRIAL)

    assert (code, out) == (0, "trial-x is rolled back: 10 results restored, 0 moved into the trial\n"), err
    assert content(sets) == before
    assert content(sets, "astro_nn_dist_trial_x") == aside


def test_spectra_without_a_result_of_production_get_one_and_lose_it_again(astra, sets):
    AstroNNdist.delete().where(AstroNNdist.spectrum_pk > 7).execute()
    before, aside = content(sets), content(sets, "astro_nn_dist_trial_x")

    swap = json.loads(astra("trials", "promote", TRIAL, "--json")[1])
    assert (swap["swapped"], swap["moved"]) == (7, 3)
    assert (len(content(sets)), values(content(sets))) == (10, NEW)
    assert len(content(sets, "astro_nn_dist_trial_x")) == 7
    back = json.loads(astra("trials", "rollback", TRIAL, "--json")[1])

    assert (back["swapped"], back["moved"], back["since"]) == (7, 3, 0)
    assert content(sets) == before
    changed = {"task_pk": None, "created": None}
    after = content(sets, "astro_nn_dist_trial_x")
    assert {pk: row | changed for pk, row in after.items()} == {
        pk: row | changed for pk, row in aside.items()
    }


def test_what_production_has_made_since_moves_out_with_a_rollback_and_is_pending_again(astra, sets):
    astra("trials", "promote", TRIAL)
    spectrum = a_spectrum(a_source())
    a_result(spectrum, run_pk=a_run_with("new"), L_fakemag=OF_TRIAL, inputs_read=now(sets))

    code, _, err = astra("trials", "rollback", TRIAL)

    assert code == 0
    assert "of these, 1 were made since the promotion; their spectra are pending again" in err
    assert (values(content(sets)), len(content(sets))) == (OLD, 10)
    assert (values(content(sets, "astro_nn_dist_trial_x")), len(content(sets, "astro_nn_dist_trial_x"))) == (
        NEW,
        11,
    )


def test_a_mixture_is_refused_with_its_size_and_left_as_it_was_if_it_is_accepted(astra, sets):
    sets.execute_sql("DELETE FROM astro_nn_dist_trial_x WHERE spectrum_pk > 6")
    before = content(sets)

    code, _, err = astra("trials", "promote", TRIAL)
    assert code == 78
    assert "4 results of production would stay beside those of trial-x" in err
    assert content(sets) == before

    code, _, err = astra("trials", "promote", TRIAL, "--allow-mixed")
    assert code == 0
    assert "4 results of production stayed" in err
    assert "4 spectra were pending in the trial" in err
    assert values(content(sets)) == OLD | NEW
    assert astra("trials", "rollback", TRIAL)[0] == 0
    assert content(sets) == before


def test_a_file_that_was_withheld_is_tried_again_wherever_its_row_goes(astra, sets):
    task = find_task("astronn_dist")

    def noted():
        query = TaskWithheld.select(TaskWithheld.spectrum_pk, TaskWithheld.task, TaskWithheld.reason)
        return sorted(query.tuples())

    sets.execute_sql("DELETE FROM astro_nn_dist_trial_x WHERE spectrum_pk = 4")
    sets.execute_sql("DELETE FROM astro_nn_dist WHERE spectrum_pk = 3")
    with entered(task, TRIAL) as within:
        note(within, [Withheld(pk, "Input/output error: trial", now(sets)) for pk in (1, 2, 3)])
        trial = within.key
    note(task, [Withheld(pk, "Input/output error: production", now(sets)) for pk in (2, 4, 5)])
    before = noted()

    astra("trials", "promote", TRIAL, "--allow-mixed")

    other = {task.key: trial, trial: task.key}
    stays = {4: task.key}
    assert noted() == sorted((pk, stays.get(pk, other[key]), said) for pk, key, said in before)
    astra("trials", "rollback", TRIAL)
    assert noted() == before


def test_a_result_that_is_lost_to_a_row_without_one_is_said(astra, sets):
    sets.execute_sql("UPDATE astro_nn_dist_trial_x SET result_flags = 2048 WHERE spectrum_pk = 1")

    assert "1 results were replaced by rows without a result" in astra("trials", "promote", TRIAL)[2]


@pytest.mark.parametrize("key", ["astronn_dist", "astronn_dist@trial-x"])
def test_as_long_as_a_worker_of_either_set_lives_nothing_changes_places(astra, sets, key):
    task = find_task("astronn_dist")
    before = content(sets)
    with entered(task, TRIAL) as within:
        worker = Claims(Selection(task if key == task.key else within), a_run_with("old").pk)
        with worker:
            pass
        worker._join()
    try:
        code, _, err = astra("trials", "promote", TRIAL)

        assert code == 75
        assert f"a worker of {key} lives" in err
        assert content(sets) == before
    finally:
        worker.release()
    assert astra("trials", "promote", TRIAL)[0] == 0


def test_what_a_dead_worker_held_cannot_be_written_after_a_promotion(astra, sets):
    worker = {"task": "astronn_dist", "host": "there", "pid": 1, "started": now(sets)}
    TaskWorker.insert(worker).execute()

    code, _, err = astra("trials", "promote", TRIAL)

    assert code == 0, err
    assert TaskWorker.select().count() == 0


def test_trials_are_rolled_back_in_the_opposite_order(astra, sets):
    trial = make_trial(find_task("astronn_dist"), "trial-y")
    add_results(sets, trial.table_name, a_run_with("newer", "astronn_dist@trial-y"), 30.0, 1, 10)
    assert [astra("trials", "promote", name)[0] for name in (TRIAL, "y")] == [0, 0]
    assert values(content(sets)) == {30.0}

    code, _, err = astra("trials", "rollback", TRIAL)
    assert (code, "trial-y was promoted after trial-x: roll that one back first" in err) == (78, True)
    assert [astra("trials", "rollback", name)[0] for name in ("y", TRIAL)] == [0, 0]
    assert values(content(sets)) == OLD


def test_promoted_trials_are_dropped_in_their_order(astra, sets):
    AstroNNdist.delete().where(AstroNNdist.spectrum_pk > 8).execute()
    trial = make_trial(find_task("astronn_dist"), "trial-y")
    add_results(sets, trial.table_name, a_run_with("newer", "astronn_dist@trial-y"), 30.0, 1, 10)
    assert [astra("trials", "promote", name)[0] for name in (TRIAL, "y")] == [0, 0]

    code, _, err = astra("trials", "drop", "y", "--yes")
    assert (code, "trial-x was promoted before trial-y" in err) == (78, True)
    # The results of trial-y alone would have stayed in production with this rollback.
    assert astra("trials", "drop", TRIAL, "--yes")[0] == 0
    assert astra("trials", "rollback", "y")[0] == 0
    assert values(content(sets)) == NEW
    assert astra("trials", "drop", "y", "--yes")[0] == 0


def test_a_trial_of_another_version_is_not_promoted(astra, sets):
    sets.execute_sql(f"UPDATE astro_nn_dist_trial_x SET v_astra = {V_ASTRA + 1000}")

    code, _, err = astra("trials", "promote", TRIAL)

    assert code == 78
    assert "trial-x was made by version" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("promote", "trial-z"), 2, "no task has a trial-z"),
        (("promote", "nothing@trial-x"), 2, "unknown task 'nothing'"),
        (("promote", "Trial X"), 2, "cannot name a trial"),
        (("rollback", TRIAL), 78, "trial-x is not promoted"),
        (("new", "astronn_dist", TRIAL), 2, "has a trial-x already"),
        (("new", "astronn_dist", "x" * 60), 2, "is too long, by"),
        # As from a variable of the shell that is not set.
        (("new", "astronn_dist", "z", "--ebv-from", ""), 2, "--ebv-from '': neither a column"),
        (("drop", TRIAL), 2, "trial-x has 10 results: give --yes"),
    ],
)
def test_what_cannot_be_done_is_one_line(astra, sets, words, code, said):
    found, _, err = astra("trials", *words)

    assert (found, said in err, "Traceback" in err) == (code, True, False), err


def test_it_is_said_if_runs_of_production_need_other_options_from_now_on(astra, db, toy_weights, tmp_path):
    a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-1.fits"))
    run = ("run", "astronn_dist", "--weights", toy_weights)
    assert astra(*run, "--seed", 1, "--into", TRIAL)[0] == 0

    said = astra("trials", "promote", TRIAL)[2]

    assert "a run of production without options would end with 78: " in said
    assert "come from seed 1, this run would use 0" in said
    assert astra("run", "astronn_dist")[0] == 78
    assert astra("run", "astronn_dist", "--seed", 1)[0] == 0


def test_a_promoted_trial_takes_no_runs_and_is_not_promoted_twice(astra, sets):
    astra("trials", "promote", TRIAL)

    assert "is promoted already, since" in astra("trials", "promote", TRIAL)[2]
    code, _, err = astra("run", "astronn_dist", "--into", TRIAL)
    assert (code, "its table holds what production had before" in err) == (78, True)


def test_a_run_that_had_passed_the_rule_of_weights_before_a_promotion_writes_nothing(
    astra, db, toy_weights, tmp_path, monkeypatch
):
    spectra = [a_spectrum(a_source(), write_apstar(tmp_path / f"apStar-dr17-{n}.fits")) for n in range(3)]
    run = ("run", "astronn_dist", "--weights", toy_weights)
    assert astra(*run, "--limit", 1)[0] == 0
    assert astra(*run, "--seed", 1, "--into", TRIAL)[0] == 0
    join, joined = Claims._join, []

    def promoted_before(claims):
        if not joined:
            joined.append(astra("trials", "promote", TRIAL)[0])
        join(claims)

    monkeypatch.setattr(Claims, "_join", promoted_before)
    code, _, err = astra(*run)

    assert (joined, code) == ([0], 78)
    assert "come from seed 1, this run would use 0" in err
    rows = list(AstroNNdist.select().where(of_this_version(AstroNNdist)))
    seeds = {run.pk: run.seed for run in TaskRun.select()}
    assert [seeds[row.run_pk] for row in rows] == [1] * len(spectra)
    assert TaskWorker.select().count() == 0


def test_a_run_that_has_entered_a_trial_before_its_promotion_writes_nothing(
    astra, db, toy_weights, tmp_path, monkeypatch
):
    a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-1.fits"))
    into = ("run", "astronn_dist", "--weights", toy_weights, "--into", TRIAL)
    assert astra(*into)[0] == 0
    a_spectrum(a_source(), write_apstar(tmp_path / "apStar-dr17-2.fits"))
    join, joined = Claims._join, []

    def promoted_before(claims):
        if not joined:
            # This process is within the trial.
            promote = [sys.executable, "-m", "astra", "trials", "promote", TRIAL]
            joined.append(subprocess.run(promote, check=False, capture_output=True).returncode)
        join(claims)

    monkeypatch.setattr(Claims, "_join", promoted_before)
    code, _, err = astra(*into)

    assert (joined, code) == ([0], 78)
    assert "its table holds what production had before" in err
    assert (len(content(db)), content(db, "astro_nn_dist_trial_x")) == (1, {})


def test_a_run_that_begins_while_its_trial_is_dropped_has_nothing_in_hand(sets, monkeypatch):
    drop_tables, joined, said = making.drop_tables, threading.Event(), []
    with entered(find_task("astronn_dist"), TRIAL) as within:
        pass

    def begin():
        try:
            with Claims(Selection(within), None, lambda: refuse_promoted(within)):
                joined.set()
        except ConfigError as error:
            said.append(str(error))
        finally:
            database.close()

    run = threading.Thread(target=begin)

    def drop(*arguments):
        run.start()
        assert not joined.wait(1)
        drop_tables(*arguments)

    monkeypatch.setattr(making, "drop_tables", drop)
    making.drop_trial(*look_up(TRIAL), also_results=True)
    run.join(60)

    assert said == ["task astronn_dist has no trial-x any more"]
    assert TaskWorker.select().count() == 0


# > Readers


class Reader(threading.Thread):
    """Looks at the view again and again, over a connection of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over, self.seen = threading.Event(), []

    def run(self):
        while not self.over.is_set():
            query = "SELECT l_fakemag, count(*) FROM distances GROUP BY 1"
            self.seen.append(tuple(database.execute_sql(query).fetchall()))
        database.close()

    def looks_again(self):
        """Wait until it has looked after now."""
        seen, deadline = len(self.seen), time.monotonic() + 60
        while len(self.seen) < seen + 2:
            assert self.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_readers_never_see_a_mixture(db):
    two_sets(db, 5000)
    readers = [Reader(), Reader()]
    for reader in readers:
        reader.start()
    for change in (promote, rollback) * 3:
        change(*look_up(TRIAL))
        for reader in readers:
            reader.looks_again()
    for reader in readers:
        reader.over.set()
        reader.join(60)

    for reader in readers:
        assert set(reader.seen) == {((OF_PRODUCTION, 5000),), ((OF_TRIAL, 5000),)}


# > Ingest


def test_a_promotion_waits_for_an_ingest_that_merges_stars(sets):
    ended, outcome = threading.Event(), []

    def change():
        try:
            promote(*look_up(TRIAL))
            outcome.append((values(content(sets)), ended.is_set()))
        except AstraError as error:
            outcome.append(error)
        finally:
            database.close()

    meanwhile = threading.Thread(target=change)
    with changing_inputs(sets):
        References().move(1, 2)
        sets.execute_sql("UPDATE apogee_coadded_spectrum_in_apstar SET source_pk = 2 WHERE source_pk = 1")
        sets.execute_sql("DELETE FROM source WHERE pk = 1")
        meanwhile.start()
        # If it did not wait, it would have come to the rows by then.
        time.sleep(1)
        ended.set()
    meanwhile.join(60)

    assert outcome == [(NEW, True)]
    for table in ("astro_nn_dist", "astro_nn_dist_trial_x"):
        assert content(sets, table)[1]["source_pk"] == 2
