"""One star is one source, whatever it is called; contradictions are said and have one outcome."""

import itertools

import pytest
from builders import a_result, a_source

from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source

ORDERS = list(itertools.permutations(range(3)))
# Three files of one star: one knows both identifiers, two know one each. (`none` is no name.)
FILES = [
    ("apStar-r5-A.fits", {"OBJID": "A", "K": 12.0}),
    ("apStar-r8-none.fits", {"OBJID": "none", "SDSS_ID": 5, "K": 14.0}),
    ("apStar-dr17-A.fits", {"OBJID": "A", "SDSS_ID": 5, "K": 17.0}),
]


def _sources():
    return sorted((row.sdss_id, row.sdss4_apogee_id) for row in Source.select())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("together", [True, False])
def test_files_that_know_parts_of_the_identifiers_are_one_star(db, apstar, order, together):
    files = [apstar(FILES[index][0], **FILES[index][1]) for index in order]

    counts = [ingest_apstar(files)] if together else [ingest_apstar([file]) for file in files]

    star = Source.get()
    assert (Source.select().count(), star.sdss_id, star.sdss4_apogee_id, star.k_mag) == (1, 5, "A", 17.0)
    assert {row.source_pk for row in ApogeeCoaddedSpectrumInApStar.select()} == {star.pk}
    if together:
        assert counts[0].sources_new == 1


def test_results_follow_a_star_that_turns_out_to_be_another(db, apstar):
    first, second, both = (apstar(name, **header) for name, header in FILES)
    ingest_apstar([first, second])
    for spectrum in ApogeeCoaddedSpectrumInApStar.select():
        a_result(spectrum)

    counts = ingest_apstar([both])

    star = Source.get()
    assert (counts.sources_updated, counts.sources_new) == (1, 0)
    assert {row.source_pk for row in AstroNNdist.select()} == {star.pk}


@pytest.mark.parametrize("order", ORDERS)
def test_two_names_of_one_sdss_id_are_one_star_and_are_said(db, apstar, caplog, order):
    files = [
        apstar("apStar-r8-A.fits", OBJID="A", SDSS_ID=5),
        apstar("apStar-dr17-B.fits", OBJID="B", SDSS_ID=5),
        apstar("apStar-r5-B.fits", OBJID="B"),
    ]
    for index in order:
        ingest_apstar([files[index]])

    assert _sources() == [(5, "A")]
    assert "sdss_id 5 has two APOGEE ids, A and B" in caplog.text


def test_two_sdss_ids_of_one_name_are_two_stars_and_are_said_once(db, apstar, caplog):
    files = [
        apstar(f"apStar-{apred}-A.fits", OBJID="A", SDSS_ID=n)
        for n, apred in [(5, "r5"), (6, "r8"), (6, "r12")]
    ]
    ingest_apstar(files[:1])

    ingest_apstar(files)

    assert Source.get(sdss_id=5).sdss4_apogee_id == "A"
    assert Source.get(sdss_id=6).sdss4_apogee_id is None
    owners = {row.release: row.source.sdss_id for row in ApogeeCoaddedSpectrumInApStar.select()}
    assert owners == {"dr12": 5, "dr14": 6, "dr16": 6}
    assert caplog.text.count("A has two sdss_ids, 5 and 6") == 1


def test_a_source_that_is_there_already_is_used_and_its_blanks_are_filled(db, apstar):
    a_source(sdss_id=None, sdss4_apogee_id="A", k_mag=float("nan"), ebv=0.4)

    counts = ingest_apstar([apstar("apStar-dr17-A.fits", OBJID="A", SDSS_ID=5, K=9.0)])

    star = Source.get()
    assert (counts.sources_updated, star.sdss_id, star.k_mag, star.ebv) == (1, 5, 9.0, 0.4)


def test_a_catalogue_may_bring_the_identifier_that_joins_two_sources(db, apstar, table):
    a_source(sdss_id=5, sdss4_apogee_id=None, k_mag=8.0)

    ingest_apstar(
        [apstar("apStar-r5-A.fits", OBJID="A", K=9.0)],
        catalog=table("t.csv", [{"sdss_id": 5, "apogee_id": "A", "h_mag": 7.0}]),
    )

    assert _sources() == [(5, "A")]
    assert (Source.get().h_mag, Source.get().k_mag) == (7.0, 9.0)
