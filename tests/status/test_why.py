"""``astra status --why``: each state of a spectrum, and the reason for it; what a run would take."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

import pytest
from builders import a_combined_spectrum, a_result, a_run, a_source, a_spectrum, made_from
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra import task
from astra.database.connection import now
from astra.database.locks import liveness_of
from astra.models import (
    ApogeeCoaddedSpectrumInApStar,
    AstroNNdist,
    Source,
    TaskClaim,
    TaskWithheld,
    TaskWorker,
)
from astra.pipelines.astronn_dist import astronn_dist
from astra.status.why import why
from astra.tasks.pending import Selection, count_pending
from astra.tasks.star_names import sources_of

LONG_AGO = datetime(2020, 1, 1)
DENIED = "Permission denied: /disk/apStar-1.fits"


@task
def from_stars(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
    """A task of apStar spectra alone, which cannot derive a row again."""
    yield from ()


def measured(**values):
    """A star, its spectrum, and a row as a run would have written it."""
    star = a_source(**values)
    spectrum = a_spectrum(star)
    row = a_result(spectrum, inputs_read=LONG_AGO, source_read=LONG_AGO)
    astronn_dist.rederivation.apply([row], [star])
    made_from(row, spectrum)
    return star, spectrum, row


def star_changes(star, **values):
    for name, value in values.items():
        setattr(star, name, value)
    star.save()


def note(spectrum, **values):
    stored = ApogeeCoaddedSpectrumInApStar.get_by_id(spectrum.pk)
    given = {"task": "astronn_dist", "spectrum_pk": spectrum.spectrum_pk, "reason": DENIED}
    TaskWithheld.create(**given, tried=LONG_AGO, spectrum_modified=stored.modified, **values)


def claim(db, spectrum, **values):
    given = {"task": "astronn_dist", "spectrum_pk": spectrum.spectrum_pk, "since": LONG_AGO}
    TaskClaim.insert({"suspect": False, "held_back": False, "attempts": 0} | given | values).execute()


def worker(db, *, lives):
    given = {"task": "astronn_dist", "host": "node1", "pid": 4711, "run_pk": 33, "started": now(db)}
    key = TaskWorker.insert(given).execute()
    if lives:
        liveness_of(db).hold(key)
    return key


# > The situations: each prepares a star, and gives its name


def never_tried(db):
    return a_spectrum(a_source()).source


def row_of_an_older_version(db):
    spectrum = a_spectrum(a_source())
    a_result(spectrum, v_astra=0, run_pk=a_run().pk)
    return spectrum.source


def spectrum_changed(db):
    star, spectrum, _ = measured()
    spectrum.snr = 7.0
    spectrum.save()
    return star


def saved_by_hand(db):
    spectrum = a_spectrum(a_source())
    AstroNNdist.from_spectrum(spectrum, dist=7.0).save()
    return spectrum.source


def magnitude_changed(db):
    star, *_ = measured(k_mag=10.2)
    star_changes(star, k_mag=10.3)
    return star


def reddening_lost(db):
    star, *_ = measured()
    star_changes(star, ebv=float("nan"))
    return star


def place_changed(db):
    star, *_ = measured()
    star_changes(star, healpix=7)
    return star


def changed_by_hand(db):
    star, *_ = measured()
    Source.update(ebv=0.3).where(Source.pk == star.pk).execute()
    return star


def other_star(db):
    _, spectrum, _ = measured()
    another = a_source()
    type(spectrum).update(source=another).where(type(spectrum).pk == spectrum.pk).execute()
    return another


def found_its_star_later(db):
    spectrum = a_spectrum(None)
    made_from(a_result(spectrum), spectrum)
    star = a_source()
    type(spectrum).update(source=star).where(type(spectrum).pk == spectrum.pk).execute()
    return star


def from_before_versions_were_kept(db):
    spectrum = a_spectrum(a_source())
    a_result(spectrum, inputs_read=datetime(2999, 1, 1), source_read=LONG_AGO)
    return spectrum.source


def both_changed(db):
    star, spectrum, _ = measured()
    spectrum.snr = 7.0
    spectrum.save()
    star_changes(star, k_mag=9.0)
    return star


def done(db):
    return measured()[0]


def done_by_a_run_with_a_flag(db):
    star, _, row = measured(ebv=float("nan"))
    row.run_pk = a_run(weights_name="survey", weights_sha256="5f" * 32, seed=3, n_draws=100).pk
    row.save()
    return star


def no_result(db):
    star, _, row = measured()
    row.flag_no_result, row.no_result_reason = True, "truncated: /disk/apStar-2.fits"
    row.save()
    return star


def withheld(db):
    spectrum = a_spectrum(a_source())
    note(spectrum)
    return spectrum.source


def withheld_with_a_result(db):
    star, spectrum, _ = measured()
    note(spectrum)
    return star


def withheld_before_it_changed(db):
    spectrum = a_spectrum(a_source())
    note(spectrum)
    spectrum.snr = 7.0
    spectrum.save()
    return spectrum.source


def withheld_and_stale(db):
    star, spectrum, _ = measured()
    note(spectrum)
    star_changes(star, k_mag=9.0)
    return star


def in_hand(db):
    spectrum = a_spectrum(a_source())
    claim(db, spectrum, worker_pk=worker(db, lives=True), token=1)
    return spectrum.source


def in_hand_of_a_dead_worker(db):
    spectrum = a_spectrum(a_source())
    claim(db, spectrum, worker_pk=worker(db, lives=False), token=1)
    return spectrum.source


def waits_alone(db):
    spectrum = a_spectrum(a_source())
    claim(db, spectrum, suspect=True, attempts=2)
    return spectrum.source


def poison(db):
    spectrum = a_spectrum(a_source())
    claim(db, spectrum, suspect=True, attempts=3)
    return spectrum.source


def no_spectra(db):
    return a_source()


SITUATIONS = {
    never_tried: ("pending", "it was never tried"),
    row_of_an_older_version: ("pending", "its row under version 0.0 (run 1) does not count for this one"),
    spectrum_changed: ("pending", "the spectrum was changed at 20"),
    saved_by_hand: ("pending", "its row does not say from which state, but that was read at an unknown time"),
    magnitude_changed: ("stale", "k_mag 10.2 → 10.3"),
    reddening_lost: ("stale", "flag_missing_extinction set"),
    place_changed: ("stale", "no value of it changes"),
    changed_by_hand: ("stale", "values were changed by hand, or a version of before wrote it"),
    other_star: ("stale", "its row is of source "),
    found_its_star_later: ("stale", "its row is of no source"),
    from_before_versions_were_kept: ("stale", "but that was read at 2020-01-01 00:00:00 UTC"),
    both_changed: ("pending", "what was changed of it is not on record"),
    done: ("done", "its spectrum and its star are as they were when its row was made"),
    done_by_a_run_with_a_flag: ("done", "as they were when its row was made"),
    no_result: ("no result", "there is no result: truncated: /disk/apStar-2.fits"),
    withheld: ("withheld", f"{DENIED}; last tried 2020-01-01 00:00:00 UTC, and every run tries it again"),
    withheld_with_a_result: ("withheld", f"the system does not give its file: {DENIED}"),
    withheld_before_it_changed: ("pending", "before it was changed, the system did not give its file"),
    withheld_and_stale: ("stale", f"the system does not give its file: {DENIED}"),
    in_hand: ("pending", "on node1, process 4711, run 33 has it in hand since 2020-01-01 00:00:00 UTC"),
    in_hand_of_a_dead_worker: ("pending", "seems dead: the next `astra run` takes over what it had"),
    waits_alone: ("pending", "to be taken alone, because a worker died that had it in hand; 2 of 3"),
    poison: ("pending", "no worker takes it any more: 3 of 3 workers died"),
    no_spectra: (None, ""),
}


def counted(found):
    """What `--dry-run` would count, as far as the states say."""
    return sum(each["state"] in ("pending", "stale") for each in found["spectra"])


def test_each_situation_is_told_as_the_run_sees_it(db):
    said, expected = {}, {}
    for prepare, (state, reason) in SITUATIONS.items():
        star = prepare(db)
        found = why(astronn_dist, str(star.sdss_id))
        explained = found["spectra"][0] if found["spectra"] else {"state": None, "reasons": []}
        text = "\n".join(explained["reasons"])
        taken = count_pending(Selection(astronn_dist, sources=(star.pk,)))
        said[prepare.__name__] = (explained["state"], reason if reason in text else text, counted(found))
        expected[prepare.__name__] = (state, reason, taken)

    assert said == expected


def test_a_row_is_described_with_what_it_rests_on(db, astra):
    star = done_by_a_run_with_a_flag(db)
    row = AstroNNdist.get()

    code, said, _ = astra("status", "astronn_dist", "--why", star.sdss4_apogee_id)

    assert code == 0
    assert "(spectrum 1), dr17, apo25m, S/N 100\n    done: " in said
    weights = "weights survey (sha256 5f5f5f5f5f5f), seed 3, draws 100, version"
    assert f"row: of run {row.run_pk}, inputs read 2020-01-01 00:00:00 UTC, {weights}" in said
    assert "values: k_mag 10, ebv 0, A_k_mag 0, L_fakemag 20 ± 1, dist 5000 ± 250" in said
    assert "flag_missing_extinction: Missing extinction" in said
    assert (
        f"source 1: sdss_id {star.sdss_id}, sdss4_apogee_id {star.sdss4_apogee_id}, k_mag 10; changed" in said
    )


def test_spectra_of_all_models_are_told_also_those_that_the_task_does_not_take(db):
    star, spectrum, _ = measured()
    combined = a_combined_spectrum(star)

    every, one = why(astronn_dist, str(star.sdss_id)), why(from_stars, str(star.sdss_id))

    assert [each["state"] for each in every["spectra"]] == ["done", "pending"]
    assert [each["spectrum_pk"] for each in one["spectra"]] == [spectrum.spectrum_pk]
    assert [each["spectrum_pk"] for each in one["of_other_models"]] == [combined.spectrum_pk]


def test_a_task_that_derives_nothing_takes_the_spectrum_of_a_changed_star(db):
    star = magnitude_changed(db)

    (explained,) = why(from_stars, str(star.sdss_id))["spectra"]

    assert (explained["state"], explained["reasons"][1]) == (
        "pending",
        "from_stars cannot derive a row again, so that the spectrum is taken anew",
    )


def test_a_spectrum_without_a_star_is_found_by_the_name_that_it_carries(db, astra):
    a_spectrum(None, obj="2M00000000+0000000")

    code, said, _ = astra("status", "astronn_dist", "--why", "2M00000000+0000000")

    assert code == 0
    assert "it has no star in the database" in said


def test_all_tasks_are_asked_and_programs_get_an_object(db, astra):
    star = no_result(db)

    code, said, _ = astra("status", "--why", str(star.sdss_id), "--json")

    (found,) = json.loads(said)["tasks"]
    (explained,) = found["spectra"]
    assert (code, found["task"], explained["state"]) == (0, "astronn_dist", "no result")
    assert explained["row"]["values"]["k_mag"] == 10.0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--why", "2M1"), "no star 2M1 in the database; ingest its spectra first"),
        (
            ("--why", "7", "--watch"),
            "--why explains one star: give it without --check, --watch and --metrics",
        ),
        (("--why", "7", "--metrics", "-"), "--why explains one star"),
    ],
)
def test_a_question_that_has_no_answer_is_wrong_usage(db, astra, words, error):
    code, _, said = astra("status", *words)

    assert code == 2
    assert error in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(st.lists(st.sampled_from(list(SITUATIONS)), min_size=1, max_size=4), st.data())
def test_what_is_called_pending_or_stale_is_what_a_dry_run_counts(db, prepared, data):
    with db.atomic() as transaction:
        stars = [prepare(db) for prepare in prepared if prepare not in (in_hand, in_hand_of_a_dead_worker)]
        if stars:
            # All their spectra become those of one star.
            for spectrum in ApogeeCoaddedSpectrumInApStar.select():
                if data.draw(st.booleans()):
                    spectrum.source = stars[0]
                    spectrum.save()
            for star in stars:
                name = str(star.sdss_id)
                assert counted(why(astronn_dist, name)) == count_pending(
                    Selection(astronn_dist, sources=sources_of([name]))
                )
        transaction.rollback()
