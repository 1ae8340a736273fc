"""One star is one source, whatever it is called; contradictions are said and have one outcome."""

import itertools
from datetime import datetime

import pytest
from builders import a_result, a_source, made_from

from astra.ingest.allstar import ingest_allstar
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
    moment = datetime(2999, 1, 1)
    Source.update(modified=moment).execute()  # as of sources that were made by one statement
    for spectrum in ApogeeCoaddedSpectrumInApStar.select():
        made_from(a_result(spectrum), spectrum)

    counts = ingest_apstar([both])

    star = Source.get()
    assert (counts.sources_updated, counts.sources_new) == (1, 0)
    assert {row.source_pk for row in AstroNNdist.select()} == {star.pk}
    # So that each of them is derived again.
    assert {row.source_modified for row in AstroNNdist.select()} == {moment}
    assert star.modified > moment


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


def test_many_stars_with_two_names_are_counted_not_listed(db, table, caplog):
    rows = [{"sdss_id": n, "apogee_id": f"{name}{n}"} for n in range(1, 14) for name in "AB"]
    rows = [row | {"file": f"apStar-1.3-apo25m-{row['apogee_id']}.fits", "healpix": 7} for row in rows]

    ingest_allstar(table("allStar-1.3-apo25m.fits", rows), release="dr19")

    assert caplog.text.count("WARNING") == 11
    assert "3 more like this: sdss_id 13 has two APOGEE ids, A13 and B13: taken as one star" in caplog.text


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


# > Two names in a catalogue

TWO_NAMES = "sdss_id,apogee_id,k_mag,ebv\n77,A,9,0.1\n77,B,,\n"


def _ingest_with(text, path, files):
    path.write_text(text)
    return ingest_apstar(files, catalog=path)


@pytest.mark.parametrize("split", [["AB"], ["A", "B"], ["B", "A"]])
@pytest.mark.parametrize("known_before", [False, True])
def test_a_catalogue_with_two_names_of_one_star_makes_one_source(db, apstar, tmp_path, split, known_before):
    files = {name: apstar(f"apStar-dr17-{name}.fits", OBJID=name) for name in "AB"}
    if known_before:
        ingest_apstar(files.values())

    counts = [_ingest_with(TWO_NAMES, tmp_path / "t.csv", [files[name] for name in names]) for names in split]

    assert _sources() == [(77, "A")]
    assert (Source.get().k_mag, Source.get().ebv) == (9.0, 0.1)
    assert {row.source_pk for row in ApogeeCoaddedSpectrumInApStar.select()} == {Source.get().pk}
    assert sum(count.sources_new for count in counts) == (0 if known_before else 1)


def test_a_star_of_two_names_keeps_its_spectra_when_a_catalogue_lists_one_of_them(db, apstar, tmp_path):
    files = [apstar(f"apStar-dr17-{name}.fits", OBJID=name) for name in "AB"]
    _ingest_with(TWO_NAMES, tmp_path / "t.csv", files)
    star = Source.get(sdss_id=77)

    counts = _ingest_with("sdss_id,apogee_id,k_mag\n77,A,9\n", tmp_path / "t.csv", files[1:])

    assert (counts.spectra_unchanged, counts.sources_unchanged) == (1, 1)
    assert {row.source_pk for row in ApogeeCoaddedSpectrumInApStar.select()} == {star.pk}
    assert Source.get().ebv == 0.1


def test_rows_of_a_catalogue_that_give_one_name_to_two_stars_move_no_spectrum(db, apstar, tmp_path):
    path = apstar("apStar-dr17-A.fits", OBJID="A", SDSS_ID=6)

    _ingest_with("sdss_id,apogee_id,k_mag\n,A,9\n5,A,\n6,A,8\n", tmp_path / "t.csv", [path])

    assert _sources() == [(6, "A")]
    assert Source.get().k_mag == 8.0
