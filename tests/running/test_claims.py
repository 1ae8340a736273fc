"""Many workers share the work: nothing is lost, nothing is done by two."""

import threading
import time

import pytest
from builders import ZERO_POINT, a_chunk, a_result, a_run, on_postgresql

from astra.database.connection import database, now
from astra.errors import ConfigError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, TaskClaim, TaskRun, TaskWorker
from astra.running.claims import POISON_DEATHS, Claims
from astra.running.loop import measure, store
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection


def _result(pk):
    row = AstroNNdist(spectrum_pk=pk, L_fakemag=7.0, t_elapsed=0.0, t_overhead=0.0)
    row.made_from(ApogeeCoaddedSpectrumInApStar.get(spectrum_pk=pk), now(database))
    return row


def _store(chunk):
    return store(find_task("astronn_dist"), chunk, [_result(pk) for pk in chunk.keys])


def _done():
    return sorted(row.spectrum_pk for row in AstroNNdist.select())


def test_what_one_worker_has_in_hand_no_other_gets(claims, holding, spectra):
    other = holding(4)

    mine = claims.take(100)

    assert other.chunks[0][0] == spectra[:4]
    assert mine.keys == spectra[4:]
    assert claims.take(100) is None


def test_a_chunk_that_is_written_is_in_nobodys_hand(claims, spectra):
    chunk = claims.take(4)

    result = _store(chunk)

    assert result.tally.processed == 4
    assert _done() == spectra[:4]
    assert TaskClaim.select().count() == 0
    assert claims.take(100).keys == spectra[4:]


def test_who_leaves_in_good_order_gives_back_what_it_had(claims, holding, spectra):
    holding(4).leave()

    assert TaskWorker.select().count() == 1
    assert claims.take(100).keys == spectra


def test_who_is_about_to_leave_is_not_taken_for_dead(claims, spectra):
    gone, run = threading.Event(), a_run()

    def come_and_leave():
        with Claims(Selection(find_task("astronn_dist")), run.pk) as other:
            release = other._liveness.release

            def slowly(worker):
                release(worker)
                gone.set()
                time.sleep(0.3)

            other._liveness.release = slowly
        database.close()

    thread = threading.Thread(target=come_and_leave)
    thread.start()
    gone.wait(10)
    try:
        assert claims.take(100).keys == spectra
    finally:
        thread.join()
    assert TaskRun.get_by_id(run.pk).outcome is None


def test_what_a_dead_worker_had_is_taken_one_by_one(claims, holding, spectra):
    other = holding(3, 2)
    other.kill()

    chunks = [claims.take(100) for _ in range(6)]

    assert [chunk.keys for chunk in chunks] == [[pk] for pk in spectra[:5]] + [spectra[5:]]
    assert [chunk.alone for chunk in chunks] == [True] * 5 + [False]
    assert {claim.attempts for claim in TaskClaim.select()} == {0}
    assert TaskWorker.select().count() == 1


def test_the_run_of_a_dead_worker_is_closed(claims, holding):
    other = holding(3)
    run_pk = TaskWorker.select(TaskWorker.run_pk).order_by(TaskWorker.pk.desc()).scalar()
    other.kill()

    claims.take(1)

    run = TaskRun.get_by_id(run_pk)
    assert (run.outcome, run.finished is None) == ("died", False)


def test_a_spectrum_over_which_workers_die_gets_no_result_and_its_neighbours_theirs(claims, holding, spectra):
    Source.update(plx=0.5, e_plx=0.1, **ZERO_POINT).execute()
    holding(3).kill()
    for deaths in range(POISON_DEATHS):
        other = holding(3)
        assert other.chunks == [[spectra[:1], other.chunks[0][1], True]]
        other.kill()
        for neighbour in spectra[1:3] if deaths == 0 else ():
            chunk = claims.take(100)
            assert chunk.keys == [neighbour]
            _store(chunk)

    chunk = claims.take(100)

    assert chunk.keys == spectra[3:]
    row = AstroNNdist.get(AstroNNdist.flag_no_result)
    assert (row.spectrum_pk, row.flag_no_result, row.flag_bad) == (spectra[0], True, True)
    path = ApogeeCoaddedSpectrumInApStar.get(spectrum_pk=spectra[0]).path
    assert row.no_result_reason == f"its worker died 3 times over this spectrum alone: {path}"
    # What Gaia says of the star is not lost with the spectrum.
    assert (row.weighted_parallax, row.source_read) == (row.gaia_parallax, row.inputs_read)
    assert 0.5 < row.gaia_parallax < 0.56
    assert claims.quarantined.no_result == 1
    assert TaskClaim.get_or_none(spectrum_pk=spectra[0]) is None


@pytest.mark.slow
def test_who_dies_again_and_again_for_another_reason_blames_no_spectrum_thrice(claims, holding, spectra):
    holding(3).kill()
    for _ in range(3 * (POISON_DEATHS - 1)):
        holding(3).kill()

    claims.take(1)

    assert AstroNNdist.select().count() == 0
    assert [claim.attempts for claim in TaskClaim.select()] == [POISON_DEATHS - 1] * 3


def test_a_death_with_two_chunks_in_hand_is_no_spectrums_fault(claims, holding, spectra):
    holding(2).kill()
    holding(100, 100).kill()

    claims.take(100)

    assert {claim.attempts for claim in TaskClaim.select()} == {0}


def test_what_waits_for_its_disk_hides_no_culprit_and_is_no_suspect(claims, spectra):
    """Rows of lost files are held back; their spectra stay in hand meanwhile."""
    lost = claims.take(3)
    claims.hold_back(lost.keys)
    alone = claims.take(1)
    TaskClaim.update(suspect=True).where(TaskClaim.token == alone.token).execute()

    claims.orphan([lost, alone])

    assert [(claim.spectrum_pk, claim.attempts) for claim in TaskClaim.select()] == [(alone.keys[0], 1)]


def test_a_suspect_that_is_given_back_stays_a_suspect(claims, holding, spectra):
    holding(2).kill()
    holding(100).leave()

    chunk = claims.take(100)

    assert (chunk.keys, chunk.alone) == (spectra[:1], True)
    assert TaskClaim.get(spectrum_pk=spectra[0]).attempts == 0


def test_what_others_have_taken_over_is_not_written(claims, holding, spectra):
    """As of a worker that was cut off, given up for dead, and comes back."""
    chunk = claims.take(4)
    TaskClaim.update(token=chunk.token + 1).where(TaskClaim.spectrum_pk << spectra[:2]).execute()

    result = _store(chunk)

    assert _done() == spectra[2:4]
    assert result.tally.processed == 2
    assert TaskClaim.select().count() == 2


def test_a_commit_that_was_not_confirmed_is_counted_once_and_not_repeated(claims, spectra, monkeypatch):
    from astra.errors import DatabaseUnreachable
    from astra.running import loop as module

    chunk, calls = claims.take(4), []
    rows = measure(find_task("astronn_dist"), chunk, {}, a_run().pk)
    before = module.write_claimed

    def unconfirmed(*arguments):
        found = before(*arguments)
        calls.append(found)
        if len(calls) == 1:
            raise DatabaseUnreachable("lost")
        return found

    monkeypatch.setattr(module, "write_claimed", unconfirmed)
    for row in rows:
        row.file_lost = False
    result = store(find_task("astronn_dist"), chunk, rows)

    assert len(calls) == 2
    assert result.tally.processed == 4
    assert _done() == spectra[:4]


def test_one_star_does_not_take_the_suspects_of_others(claims, holding, spectra):
    holding(2).kill()
    claims.release()
    source = ApogeeCoaddedSpectrumInApStar.get(spectrum_pk=spectra[1]).source_pk
    task = find_task("astronn_dist")

    with Claims(Selection(task, sources=(source,)), a_run().pk) as mine:
        assert mine.take(100).keys == [spectra[1]]
        assert mine.take(100) is None


def test_another_task_has_its_own_claims(claims, spectra):
    a_chunk(spectra[:2], "other")

    assert claims.take(100).keys == spectra


def test_what_is_done_already_is_not_claimed(claims, spectra):
    a_result(ApogeeCoaddedSpectrumInApStar.get(spectrum_pk=spectra[0]), inputs_read=now(database))

    assert claims.take(100).keys == spectra[1:]


@on_postgresql  # SQLite has no connections to lose
def test_a_worker_that_lost_its_connection_keeps_what_it_has(claims, spectra):
    chunk = claims.take(4)

    database.close()
    following = claims.take(2)

    assert following.keys == spectra[4:6]
    assert TaskWorker.select().count() == 1
    assert _store(chunk).tally.processed == 4


@on_postgresql  # SQLite has no connections to lose
def test_a_death_that_was_none_is_no_spectrums_fault(claims, holding, spectra):
    """Cut off with a suspect in hand, it was taken for dead, and comes back."""
    holding(1).kill()
    assert claims.take(100).alone
    database.close()
    other = holding(100)
    assert other.chunks[0][0] == spectra[:1]
    assert TaskClaim.get(spectrum_pk=spectra[0]).attempts == 1

    claims.take(1)

    assert TaskClaim.get(spectrum_pk=spectra[0]).attempts == 0


def test_the_same_token_gives_the_same_chunk(claims, spectra):
    """For whoever does not know whether the first attempt was committed."""
    first = claims.take(4, token=17)

    assert claims.take(4, token=17) == first
    assert claims.take(100).keys == spectra[4:]


@on_postgresql  # no proxy stands before SQLite
def test_a_proxy_that_shares_out_sessions_is_noticed(claims):
    database.execute_sql("SELECT pg_advisory_unlock_all()")

    with pytest.raises(ConfigError, match="pool_mode = session"):
        claims.take(1)


@on_postgresql  # SQLite has no server
def test_the_server_notices_a_dead_host_within_a_minute(claims):
    names = ("idle", "interval", "count")
    shown = [database.execute_sql(f"SHOW tcp_keepalives_{name}").fetchone()[0] for name in names]

    assert shown == ["10", "10", "3"]


def test_what_others_give_back_is_taken_in_the_end(claims, holding, spectra):
    other = holding(5)
    assert claims.take(100).keys == spectra[5:]

    other.leave()

    assert claims.anything_left()
    assert claims.take(100).keys == spectra[:5]


@on_postgresql  # SQLite has no connections to lose
def test_leaving_after_a_lost_connection_leaves_nothing_behind(claims, spectra):
    with Claims(Selection(find_task("astronn_dist")), a_run().pk) as other:
        other.take(4)
        database.connection().close()

    assert TaskClaim.select().count() == 0
    assert TaskWorker.select().count() == 1


@on_postgresql  # SQLite has no schemas
def test_workers_of_another_schema_are_others(claims, spectra):
    """Each schema counts its workers from 1."""
    query = "SELECT classid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    (mine,) = {row for (row,) in database.execute_sql(query)}
    database.execute_sql("CREATE SCHEMA other")
    database.execute_sql("SET search_path = other")
    (theirs,) = database.execute_sql("SELECT hashtext('astra worker ' || current_schema())::oid").fetchone()
    database.execute_sql("SET search_path = astra")

    assert mine != theirs
