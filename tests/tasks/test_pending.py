"""Pending: no row in this version, or modified since it was read; stale: only its source changed."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import pytest
from builders import a_result, a_source, a_spectrum, made_from

from astra import task
from astra.database.connection import now
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source
from astra.models.base import upsert
from astra.pipelines.astronn_dist import astronn_dist
from astra.running.rows import rederive
from astra.tasks.pending import (
    Selection,
    count_pending,
    pending_query,
    stale_query,
    stream_keys,
)

LATER = timedelta(hours=1)


def _pending(**selection):
    chosen = Selection(astronn_dist, **selection)
    return [pk for chunk in stream_keys(pending_query, chosen, 2) for pk in chunk]


def _stale(**selection):
    chosen = Selection(astronn_dist, **selection)
    return [pk for chunk in stream_keys(stale_query, chosen, 2) for pk in chunk]


def _done(db, spectrum, **values):
    """The row of a spectrum from before the versions of inputs were kept."""
    return a_result(spectrum, inputs_read=now(db) + LATER, **values)


def test_a_spectrum_without_a_row_is_pending_until_it_has_one(db):
    done, new = a_spectrum(a_source()), a_spectrum(a_source())
    _done(db, done)

    assert _pending() == [new.spectrum_pk]


def test_a_row_of_another_minor_version_does_not_count(db):
    spectrum = a_spectrum(a_source())
    _done(db, spectrum, v_astra=99_000_000)

    assert _pending() == [spectrum.spectrum_pk]


def test_a_spectrum_modified_at_or_after_its_inputs_were_read_is_pending_again(db):
    spectra = [a_spectrum(a_source()) for _ in range(3)]
    for spectrum, shift in zip(spectra, (-1, 0, 1), strict=True):
        stored = ApogeeCoaddedSpectrumInApStar.get_by_id(spectrum.pk)
        a_result(spectrum, inputs_read=stored.modified + timedelta(microseconds=1000 * shift))

    assert _pending() == [spectra[0].spectrum_pk, spectra[1].spectrum_pk]


def test_a_changed_magnitude_makes_the_row_stale_but_not_pending(db):
    source = a_source()
    spectrum = a_spectrum(source)
    _done(db, spectrum)
    assert _stale() == []

    source.k_mag = 11.0
    source.save()

    assert (_stale(), _pending()) == ([spectrum.spectrum_pk], [])


def _read(db, spectrum, source_read, **values):
    """The row of a spectrum whose star was read at some moment."""
    return _done(db, spectrum, source_read=source_read, **values)


STAR = {
    "plx": 3.0,
    "e_plx": 0.1,
    "e_k_mag": 0.03,
    "e_ebv": 0.02,
    "gaia_release": "dr3",
    "g_mag": 12.0,
    "dec": 1.0,
}


@pytest.mark.parametrize("name", STAR)
@pytest.mark.parametrize("no_result", [False, True])
def test_any_change_of_a_star_makes_its_rows_stale_without_a_result_too(db, name, no_result):
    source = a_source()
    # Else it may have been made in the millisecond in which it is read.
    Source.update(modified=datetime(2020, 1, 1)).execute()
    spectrum = a_spectrum(source)
    absent = {"k_mag": math.nan, "ebv": math.nan} if no_result else {}
    _read(db, spectrum, now(db), flag_no_result=no_result, **absent)
    assert _stale() == []

    setattr(source, name, STAR[name])
    source.save()

    assert (_stale(), _pending()) == ([spectrum.spectrum_pk], [])


def test_a_star_modified_at_or_after_it_was_read_makes_its_row_stale(db):
    spectra = [a_spectrum(a_source()) for _ in range(3)]
    for spectrum, shift in zip(spectra, (-1, 0, 1), strict=True):
        modified = Source.get_by_id(spectrum.source_pk).modified
        _read(db, spectrum, modified + timedelta(microseconds=1000 * shift))

    assert _stale() == [spectra[0].spectrum_pk, spectra[1].spectrum_pk]


@pytest.mark.parametrize("source", [True, False])
def test_a_row_of_an_older_schema_stays_until_its_star_changes_after_its_spectrum_was_read(db, source):
    spectrum = a_spectrum(a_source() if source else None)
    missing = {"k_mag": 0, "ebv": 0, "flag_missing_photometry": True, "flag_missing_extinction": True}
    row = _read(db, spectrum, None, **({} if source else missing))
    assert _stale() == []

    Source.update(modified=row.inputs_read).execute()

    assert _stale() == ([spectrum.spectrum_pk] if source else [])


def test_a_mean_with_an_unknown_zero_point_that_an_older_worker_wrote_is_stale(db):
    read = {"nn_parallax": 0.2, "e_nn_parallax": 0.01, "gaia_parallax": 0.22, "e_gaia_parallax": 0.02}
    kinds = {
        "of both": {"weighted_parallax": 0.204},
        "of Gaia alone": {"weighted_parallax": 0.22, "nn_parallax": math.nan},
        "of the spectrum": {"weighted_parallax": math.nextafter(0.2, 1)},
        "of none": {},
        "with its zero-point": {"weighted_parallax": 0.204, "plx_zero_point": -0.03},
        "without Gaia": {"weighted_parallax": 0.204, "gaia_parallax": math.nan},
    }
    spectra = {kind: a_spectrum(a_source()) for kind in kinds}
    for kind, values in kinds.items():
        _read(db, spectra[kind], now(db), **(read | values))

    assert _stale() == [spectra["of both"].spectrum_pk, spectra["of Gaia alone"].spectrum_pk]


def test_a_magnitude_that_was_changed_by_hand_is_noticed(db):
    source = a_source()
    spectrum = a_spectrum(source)
    _done(db, spectrum)

    Source.update(k_mag=11.0).where(Source.pk == source.pk).execute()

    assert _stale() == [spectrum.spectrum_pk]


@pytest.mark.parametrize("filler", [math.nan, 99.0, 99.99, 999999.0, -1.0, -9999.0, -9999.99])
def test_one_filler_instead_of_another_makes_nothing_stale(db, filler):
    source = a_source(k_mag=99.0, ebv=-5.0)
    _done(db, a_spectrum(source), k_mag=0, ebv=0, flag_missing_photometry=True, flag_missing_extinction=True)

    source.k_mag = source.ebv = filler
    source.save()

    assert _stale() == []


def test_a_magnitude_of_exactly_zero_is_no_missing_magnitude(db):
    source = a_source(k_mag=99.0)
    spectrum = a_spectrum(source)
    _done(db, spectrum, k_mag=0, flag_missing_photometry=True)

    source.k_mag = 0.0
    source.save()

    assert _stale() == [spectrum.spectrum_pk]


def test_a_spectrum_that_finds_its_star_later_is_stale(db):
    spectrum = a_spectrum(None)
    _done(db, spectrum, k_mag=0, ebv=0, flag_missing_photometry=True, flag_missing_extinction=True)
    assert _stale() == []

    Source.insert(sdss_id=7, k_mag=9.0).execute()
    ApogeeCoaddedSpectrumInApStar.update(source=Source.get(sdss_id=7)).execute()

    assert _stale() == [spectrum.spectrum_pk]


def test_a_row_without_a_result_whose_star_is_as_it_was_has_nothing_to_derive_again(db):
    source = a_source()
    _done(db, a_spectrum(source), flag_no_result=True, k_mag=math.nan)

    assert _stale() == []


def test_retry_takes_failed_rows_again_and_overwrite_takes_all(db):
    failed, good = a_spectrum(a_source()), a_spectrum(a_source())
    _done(db, failed, flag_no_result=True)
    _done(db, good)

    assert _pending(retry_no_result=True) == [failed.spectrum_pk]
    assert _pending(overwrite=True) == [failed.spectrum_pk, good.spectrum_pk]


def test_of_rows_taken_again_only_older_ones(db):
    first, second, third = (a_spectrum(a_source()) for _ in range(3))
    for spectrum, day in ((first, 1), (second, 3)):
        row = a_result(spectrum, inputs_read=datetime(2020, 1, day), flag_no_result=True)
        made_from(row, spectrum)
    chosen = {"before": datetime(2020, 1, 2)}

    overwrite, retry = (_pending(**chosen, **{name: True}) for name in ("overwrite", "retry_no_result"))

    assert sorted(overwrite) == sorted(retry) == [first.spectrum_pk, third.spectrum_pk]


def test_pages_are_disjoint_and_leave_nothing_out(db):
    for _ in range(7):
        a_spectrum(a_source())

    pages = [_pending(page=(part, 3)) for part in (1, 2, 3)]

    assert sorted(sum(pages, [])) == _pending()
    assert all(pk % 3 == part for part, page in enumerate(pages) for pk in page)


def test_keys_are_streamed_in_order_and_limited(db):
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(5)]
    selection = Selection(astronn_dist)

    assert list(stream_keys(pending_query, selection, 2)) == [keys[:2], keys[2:4], keys[4:]]
    assert list(stream_keys(pending_query, selection, 2, limit=3)) == [keys[:2], keys[2:3]]


def test_what_others_finish_in_the_meantime_is_not_handed_out_again(db):
    spectra = [a_spectrum(a_source()) for _ in range(4)]
    chunks = stream_keys(pending_query, Selection(astronn_dist), 2)

    next(chunks)
    _done(db, spectra[2])

    assert next(chunks) == [spectra[3].spectrum_pk]


def test_the_count_has_both_pending_and_stale(db):
    a_spectrum(a_source())
    source = a_source()
    _done(db, a_spectrum(source))
    source.ebv = 0.7
    source.save()

    assert count_pending(Selection(astronn_dist)) == 2


# > By the versions of inputs


@pytest.fixture(params=[LATER, -LATER], ids=["clock_ahead", "clock_behind"])
def measured(db, request):
    """A spectrum with a row, made by a machine whose clock is wrong by an hour."""
    spectrum = a_spectrum(a_source())
    moment = now(db) + request.param
    made_from(a_result(spectrum, inputs_read=moment, source_read=moment), spectrum)
    return spectrum


def test_what_did_not_change_is_neither_pending_nor_stale_whatever_the_clock_said(measured):
    assert (_pending(), _stale(), count_pending(Selection(astronn_dist))) == ([], [], 0)


def test_a_change_of_a_spectrum_makes_it_pending_whatever_the_clock_said(measured):
    measured.snr = 7.0
    measured.save()

    assert (_pending(), _stale()) == ([measured.spectrum_pk], [])


def test_a_change_of_a_star_makes_the_row_stale_whatever_the_clock_said(measured):
    measured.source.e_k_mag = 0.5
    measured.source.save()

    assert (_pending(), _stale()) == ([], [measured.spectrum_pk])


def test_a_change_of_both_makes_the_spectrum_pending_alone(measured):
    measured.source.e_k_mag, measured.snr = 0.5, 7.0
    measured.source.save()
    measured.save()

    assert (_pending(), _stale(), count_pending(Selection(astronn_dist))) == ([measured.spectrum_pk], [], 1)


def test_another_star_makes_the_row_stale(measured):
    type(measured).update(source=a_source()).execute()

    assert (_pending(), _stale()) == ([], [measured.spectrum_pk])


def test_overwrite_takes_a_row_whose_clock_was_ahead(db):
    spectrum = a_spectrum(a_source())
    made_from(a_result(spectrum, inputs_read=now(db) + LATER), spectrum)

    assert _pending(overwrite=True, before=now(db)) == [spectrum.spectrum_pk]


def test_changes_within_one_tick_of_the_clock_are_told_apart(db):
    star = a_source()
    seen = [Source.get_by_id(star.pk).modified]
    for k_mag in range(20):
        star.k_mag = float(k_mag)
        star.save()
        seen.append(Source.get_by_id(star.pk).modified)

    assert seen == sorted(set(seen))
    assert star.modified == seen[-1]


def test_a_change_after_one_that_a_fast_clock_dated_moves_on_from_it(db):
    star, future = a_source(), datetime(2999, 1, 1)
    Source.update(modified=future).execute()

    upsert(Source, [{"pk": star.pk, "k_mag": 7.0}], key=("pk",))

    assert future < Source.get().modified < future + timedelta(seconds=1)


@pytest.mark.parametrize("text", ["2026-01-02 03:04:05", "2026-01-02 03:04:05.250", "2026-01-02"])
def test_a_moment_that_was_written_by_hand_is_a_version_as_well(db, text):
    spectrum = a_spectrum(a_source())
    db.execute_sql(f"UPDATE {ApogeeCoaddedSpectrumInApStar._meta.table_name} SET modified = '{text}'")
    stored = ApogeeCoaddedSpectrumInApStar.get_by_id(spectrum.pk)
    made_from(a_result(stored), stored)

    assert (_pending(), _stale()) == ([], [])


@pytest.mark.parametrize(("uses_source", "expected"), [(True, 1), (False, 0)])
def test_without_a_way_to_derive_rows_again_a_changed_star_makes_its_spectra_pending(
    db, uses_source, expected
):
    @task(uses_source=uses_source)
    def some_task(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        yield from ()

    star = a_source()
    spectrum = a_spectrum(star)
    made_from(a_result(spectrum), spectrum)
    selection = Selection(some_task)
    assert count_pending(selection) == 0

    star.plx = 3.0
    star.save()

    assert count_pending(selection) == len(list(stream_keys(pending_query, selection, 2))) == expected


def test_a_row_that_does_not_depend_on_its_star_follows_its_spectrum_to_another_one(db):
    @task(uses_source=False)
    def some_task(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        yield from ()

    spectrum = a_spectrum(None)
    row = a_result(spectrum, dist=7.0)
    made_from(row, spectrum)
    star = a_source()
    type(spectrum).update(source=star).execute()

    keys = [pk for chunk in stream_keys(stale_query, Selection(some_task), 2) for pk in chunk]

    assert keys == [spectrum.spectrum_pk]
    assert rederive(some_task, keys).rederived == 1
    again = AstroNNdist.get()
    assert (again.source_pk, again.source_modified, again.dist) == (star.pk, Source.get().modified, 7.0)
    assert count_pending(Selection(some_task)) == 0


def test_a_row_that_was_saved_by_hand_is_measured_by_the_next_run(db):
    spectrum = a_spectrum(a_source())
    AstroNNdist.from_spectrum(spectrum, dist=7.0).save()

    assert _pending() == [spectrum.spectrum_pk]


def test_a_task_that_does_not_depend_on_sources_derives_nothing_from_them():
    @task(uses_source=False)
    def some_task(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        yield from ()

    with pytest.raises(TypeError, match="uses_source=False says that nothing is derived from a source"):
        some_task.rederived_by()(lambda rows, sources: None)
