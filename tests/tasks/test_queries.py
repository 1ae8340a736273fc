"""``generate_queries_for_task``, which upstream's users know, and the arguments that it takes."""

import re

import numpy as np
import pytest
from builders import a_result, a_source, a_spectrum

from astra import generate_queries_for_task
from astra.database.connection import now
from astra.errors import UsageError
from astra.models import ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum, Source
from astra.pipelines.astronn_dist import astronn_dist


def test_upstreams_generator_of_queries_gives_spectra_with_their_sources(db):
    source = a_source()
    spectra = [a_spectrum(source), a_spectrum(None), a_spectrum(source)]

    for task in ("astronn_dist", astronn_dist):
        (model, query), (other, nothing) = generate_queries_for_task(task, limit=2)

        assert (model, other) == (ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum)
        assert (list(query), list(nothing)) == (spectra[:2], [])
        assert [spectrum.source for spectrum in query] == [source, None]


@pytest.mark.parametrize(
    "model",
    [
        ApogeeCoaddedSpectrumInApStar,
        "ApogeeCoaddedSpectrumInApStar",
        "apogee.ApogeeCoaddedSpectrumInApStar",
        "astra.models.apogee.ApogeeCoaddedSpectrumInApStar",
    ],
)
def test_a_model_of_spectra_may_be_given_by_its_name_or_its_path(db, model):
    spectrum = a_spectrum(a_source())

    ((found, query),) = generate_queries_for_task("astronn_dist", model)

    assert (found, list(query)) == (ApogeeCoaddedSpectrumInApStar, [spectrum])
    assert list(generate_queries_for_task("astronn_dist", Source)) == []


def test_limits_and_pages_may_be_numbers_of_numpy(db):
    spectra = [a_spectrum(a_source()) for _ in range(4)]
    page = [number(2) for number in (int, np.int64)]

    (_, some), _ = generate_queries_for_task("astronn_dist", limit=np.int64(3))
    (_, half), _ = generate_queries_for_task("astronn_dist", page=page)
    (_, none), _ = generate_queries_for_task("astronn_dist", limit=0)

    assert [list(query) for query in (some, none)] == [spectra[:3], []]
    assert list(half) == [spectrum for spectrum in spectra if spectrum.spectrum_pk % 2 == 1]


def test_a_page_may_be_a_number_of_limits_of_what_is_pending(db):
    first, *spectra = [a_spectrum(a_source()) for _ in range(6)]
    a_result(first, inputs_read=now(db))

    pages = [next(generate_queries_for_task("astronn_dist", limit=2, page=page))[1] for page in (1, 2, 3, 4)]

    assert [list(query) for query in pages] == [spectra[:2], spectra[2:4], spectra[4:], []]


@pytest.mark.parametrize("collected", [list, tuple, set, np.array])
def test_only_the_stars_that_are_named_are_asked_for(db, collected):
    spectra = [a_spectrum(source) for source in (a_source(sdss_id=n) for n in (3, 4, 5)) for _ in "ab"]
    a_spectrum(None)

    (_, query), _ = generate_queries_for_task("astronn_dist", None, collected([3, 5, 404]))
    (_, page), _ = generate_queries_for_task("astronn_dist", sdss_ids=collected([3, 5]), limit=2, page=2)

    assert list(query) == [*spectra[:2], *spectra[4:]]
    assert list(page) == spectra[4:]


def test_no_stars_are_none_and_any_number_of_them_may_be_named(db):
    spectrum = a_spectrum(a_source(sdss_id=100_001))

    (_, none), _ = generate_queries_for_task("astronn_dist", sdss_ids=[])
    (_, many), _ = generate_queries_for_task("astronn_dist", sdss_ids=[2**80, *range(200_000)])

    assert (list(none), list(many)) == ([], [spectrum])


STARS = [117514892, 54392283]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((None,), TypeError, "task: give a task or its name, not None"),
        ((len,), TypeError, "task: give a task or its name, not <built-in"),
        (("astronn_dst",), UsageError, "unknown task 'astronn_dst'"),
        (
            ("astronn_dist", STARS),
            TypeError,
            "input_model: give a model of spectra or its name, not [117514892,",
        ),
        (("astronn_dist", 10), TypeError, "input_model: give a model of spectra or its name, not 10"),
        (
            ("astronn_dist", "ApogeeSpectrum"),
            UsageError,
            "unknown model 'ApogeeSpectrum'; did you mean ApogeeCombinedSpectrum or ApogeeCoadded",
        ),
        (
            ("astronn_dist", None, 10),
            TypeError,
            "sdss_ids: give a list of them or None, not 10; a limit is limit=10",
        ),
        (("astronn_dist", None, "10"), TypeError, "sdss_ids: give a list of integers or None, not '10'"),
        (("astronn_dist", None, [1, "2"]), TypeError, "sdss_ids: give a list of integers or None, not '2'"),
        (
            ("astronn_dist", None, None, STARS),
            TypeError,
            "limit: give a number of spectra or None, not [117514892,",
        ),
        (("astronn_dist", None, None, "10"), TypeError, "limit: give a number of spectra or None, not '10'"),
        (("astronn_dist", None, None, 1.0), TypeError, "limit: give a number of spectra or None, not 1.0"),
        (("astronn_dist", None, None, True), TypeError, "limit: give a number of spectra or None, not True"),
        (("astronn_dist", None, None, -1), UsageError, "limit -1: give 0 or more"),
        (
            ("astronn_dist", None, None, None, 2),
            UsageError,
            "page 2: a number needs a limit=, or give",
        ),
        (("astronn_dist", None, None, 5, 0), UsageError, "page 0: pages are counted from 1"),
        (("astronn_dist", None, None, 5, (1, 2, 3)), TypeError, "page: give a pair (I, N)"),
        (("astronn_dist", None, None, 5, "12"), TypeError, "page: give a pair (I, N)"),
        (("astronn_dist", None, None, 5, (True, 2)), TypeError, "page: give a pair (I, N)"),
        (("astronn_dist", None, None, 5, (0, 2)), UsageError, "page (0, 2): give (I, N) with 1 <= I <= N"),
        (("astronn_dist", None, None, 5, (3, 2)), UsageError, "page (3, 2): give (I, N) with 1 <= I <= N"),
    ],
    ids=str,
)
def test_what_stands_in_the_wrong_place_is_an_error_that_names_the_argument(arguments, error, said):
    with pytest.raises(error, match=f"^{re.escape(said)}"):
        generate_queries_for_task(*arguments)
