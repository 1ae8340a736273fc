"""A task that takes spectra of several models works on all of them as if they were in one table."""

import json

import pytest
from builders import a_combined_spectrum, a_result, a_run, a_source, a_spectrum

from astra.database.connection import now
from astra.models import ApogeeCombinedSpectrum, AstroNNdist, Spectrum
from astra.running.claims import Claims
from astra.tasks.installed import find_task
from astra.tasks.pending import (
    Selection,
    anything_pending,
    count_pending,
    pending_query,
    stale_query,
    stream_keys,
)
from astra.tasks.withheld import Withheld, count_noted, note, noted_among


@pytest.fixture
def both(db):
    """Two spectra of each model, by turns, and the task."""
    spectra = [make(a_source()) for _ in range(2) for make in (a_spectrum, a_combined_spectrum)]
    return find_task("astronn_dist"), [spectrum.spectrum_pk for spectrum in spectra]


def _streamed(find, selection, size=3, limit=None):
    return list(stream_keys(find, selection, size, limit))


def test_all_are_pending_one_model_after_the_other(both):
    task, (a, b, c, d) = both

    assert count_pending(Selection(task)) == 4
    assert _streamed(pending_query, Selection(task)) == [[a, c], [b, d]]
    assert _streamed(pending_query, Selection(task), limit=3) == [[a, c], [b]]
    assert _streamed(pending_query, Selection(task, models=(ApogeeCombinedSpectrum,))) == [[b, d]]


def test_a_query_of_several_models_at_once_is_a_mistake(both):
    task, _ = both

    with pytest.raises(ValueError, match="too many values"):
        pending_query(Selection(task))


def test_rows_of_each_model_become_stale_and_pending(both, db):
    task, keys = both
    for key in keys:
        spectrum = Spectrum(pk=key).resolve()
        row = a_result(spectrum)
        row.made_from(spectrum, now(db))
        row.save()
    assert not anything_pending(Selection(task))

    for key in keys[:2]:
        source = Spectrum(pk=key).resolve().source
        source.plx = 0.3
        source.save()
    changed = Spectrum(pk=keys[3]).resolve()
    changed.snr = 50.0
    changed.save()

    assert _streamed(stale_query, Selection(task)) == [[keys[0]], [keys[1]]]
    assert _streamed(pending_query, Selection(task)) == [[keys[3]]]
    assert count_pending(Selection(task)) == 3


def test_chunks_are_claimed_of_one_model_after_the_other_and_none_twice(both):
    task, (a, b, c, d) = both
    with Claims(Selection(task), a_run().pk) as claims:
        taken = [claims.take(2) for _ in range(3)]

        assert [chunk and chunk.keys for chunk in taken] == [[a, c], [b, d], None]
        assert not claims.anything_left()


def test_what_another_worker_gives_back_is_found_again_in_whichever_model(both):
    task, (a, b, c, d) = both
    with Claims(Selection(task), a_run().pk) as mine:
        with Claims(Selection(task), a_run().pk) as other:
            assert other.take(1).keys == [a]
            assert mine.take(3).keys == [c]
            assert mine.take(1).keys == [b]
            assert other.take(5).keys == [d]
        assert mine.anything_left()
        assert sorted(mine.take(5).keys + mine.take(5).keys) == [a, d]
        assert mine.take(5) is None


def test_files_that_the_system_withheld_are_noted_of_each_model(both, db):
    task, keys = both
    moment = now(db)
    versions = {key: Spectrum(pk=key).resolve().modified for key in keys[:3]}
    note(task, [Withheld(key, f"Input/output error: {key}", moment, versions[key]) for key in versions])

    assert count_noted(task) == {"Input/output error": 3}
    assert noted_among(task, keys) == set(keys[:3])
    assert _streamed(pending_query, Selection(task)) == [[keys[3]]]
    again = Selection(task).withheld(now(db), moment)
    assert sorted(sum(_streamed(pending_query, again), [])) == sorted(keys[:3])


@pytest.fixture
def counted(astra, toy_weights):
    """Runs the task; gives the exit code and what it counted."""

    def run(*words):
        code, out, err = astra("run", "astronn_dist", *words, "--weights", toy_weights, "--json")
        return code, json.loads(out), err

    return run


def test_a_run_takes_all_models_or_that_which_is_named(both, counted, astra):
    _, keys = both

    code, found, _ = counted("ApogeeCombinedSpectrum", "--dry-run", "--count")
    assert (code, found["pending"]) == (0, 2)
    code, found, _ = counted("mwm.ApogeeCombinedSpectrum")
    assert (code, found["processed"]) == (0, 2)
    assert sorted(row.spectrum_pk for row in AstroNNdist) == [keys[1], keys[3]]
    code, found, _ = counted()
    assert (code, AstroNNdist.select().count()) == (0, 4)
    code, _, err = counted("ApogeeVisitSpectrum")
    assert code == 2
    assert "spectra (ApogeeCoaddedSpectrumInApStar or ApogeeCombinedSpectrum), not on visits" in err


def test_the_status_counts_spectra_of_all_models(both, astra):
    code, out, _ = astra("status", "astronn_dist", "--json")

    (found,) = json.loads(out)["tasks"]
    assert (code, found["spectra"], found["pending"]) == (0, 4, 4)


def test_a_star_is_found_by_the_name_that_only_its_combined_spectrum_has(db, counted):
    a_spectrum(a_source())
    a_combined_spectrum(a_source(), obj="2M00000009+0000000")

    code, found, _ = counted("2M00000009+0000000", "--dry-run", "--count")

    assert (code, found["pending"]) == (0, 1)
