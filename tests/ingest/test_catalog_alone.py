"""``astra ingest catalog``: it makes of sources what ``--catalog`` makes of them, without their files."""

import math

import pytest
from builders import a_combined_spectrum, a_source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.ingest import catalog_alone
from astra.ingest.catalog_alone import ingest_catalog
from astra.ingest.catalogs.catalog import Catalog
from astra.ingest.catalogs.known_sources import known_sources
from astra.ingest.records import Record, Tally
from astra.ingest.register import register
from astra.models import ApogeeCoaddedSpectrumInApStar, Source, Spectrum
from astra.spectra.identity import identify, parse_path

NAMES = ["2M00000001+0000001", "VESTA"]


def _record(name, sdss_id=None, release="dr17", **star):
    file = f"apStar-{release}-{name}.fits"
    product = identify(parse_path(file), {"obj": name, "field": "M67"}, release=release, what=file)
    return Record(product, f"/data/{file}", sdss_id, star)


def _registered(*records, catalog=None):
    tally = Tally()
    register(records, tally, None if catalog is None else Catalog(catalog, tally))
    return tally.result()


def _sources():
    names = [name for name in Source._meta.fields if name not in ("pk", "created", "modified")]
    rows = Source.select(*(Source._meta.fields[name] for name in names)).order_by(Source.pk).dicts()
    return [{name: value for name, value in row.items() if value == value} for row in rows]


def _pieces_of(rows, monkeypatch):
    monkeypatch.setattr(catalog_alone, "PIECE", rows)


def test_sources_get_the_values_of_the_table_and_nothing_else_happens(db, table):
    _registered(_record("A", k_mag=9.0, h_mag=9.5), _record("B", k_mag=10.0))

    report = ingest_catalog(
        table("t.csv", [{"apogee_id": "A", "k_mag": 8.0}, {"apogee_id": "C", "k_mag": 7.0}])
    )

    assert [(row.sdss4_apogee_id, row.k_mag) for row in Source.select().order_by(Source.pk)] == [
        ("A", 8.0),
        ("B", 10.0),
    ]
    assert Source.get(sdss4_apogee_id="A").h_mag == 9.5
    counts = report.counts
    assert (counts.catalog_matched, counts.catalog_unmatched, counts.catalog_duplicate) == (1, 1, 0)
    assert (counts.sources_new, counts.sources_updated, counts.sources_unchanged) == (0, 1, 0)
    assert (report.matched_by, report.values_changed) == ({"apogee_id": 1}, 1)


def test_what_did_not_change_stays_unmodified(db, table, made_old, modified):
    _registered(_record("A"), _record("B"))
    path = table("t.csv", [{"apogee_id": name, "k_mag": 8.0} for name in "AB"])
    ingest_catalog(path)
    made_old()

    again = ingest_catalog(path)
    assert (again.counts.sources_updated, again.counts.sources_unchanged) == (0, 2)
    assert {moment.year for rows in modified() for moment in rows.values()} == {2020}

    ingest_catalog(table("t.csv", [{"apogee_id": "A", "k_mag": 8.0}, {"apogee_id": "B", "k_mag": 8.5}]))
    assert [row.modified.year > 2020 for row in Source.select().order_by(Source.pk)] == [False, True]


def test_a_star_is_found_by_any_of_its_identifiers_and_by_the_names_of_its_spectra(db, table):
    _registered(_record("A", sdss_id=5), _record("B", sdss_id=5), _record("C", gaia_dr3_source_id=77))
    rows = [{"sdss_id": 5}, {"apogee_id": "B"}, {"gaia_dr3_source_id": 77}]

    for row, by in zip(rows, ("sdss_id", "apogee_id", "gaia_dr3_source_id"), strict=True):
        report = ingest_catalog(table("t.csv", [row | {"k_mag": 8.0}]))
        assert report.matched_by == {by: 1}


def test_a_star_is_found_by_a_name_that_only_its_mwmstar_spectrum_has(db, table):
    a_combined_spectrum(a_source(), obj="2M00000009+0000009")
    for _ in range(2):
        a_combined_spectrum(a_source(sdss4_apogee_id=None), obj="")

    report = ingest_catalog(table("t.csv", [{"apogee_id": "2M00000009+0000009", "k_mag": 8.0}]))

    assert report.matched_by == {"apogee_id": 1}
    assert [row.k_mag for row in Source.select().order_by(Source.pk)] == [8.0, 10.0, 10.0]


def test_sources_without_a_name_are_not_linked_by_that(db):
    for _ in range(2):
        a_combined_spectrum(a_source(sdss4_apogee_id=None), obj="")

    _, names, _ = known_sources().keys

    assert len(names.numbers) == 0


def test_rows_with_different_identifiers_of_one_star_fill_each_other(db, table, made_old, modified):
    _registered(_record("A", sdss_id=5), _record("B", sdss_id=5))
    rows = [{"apogee_id": "A", "k_mag": 8.0, "h_mag": ""}, {"apogee_id": "B", "k_mag": "", "h_mag": 9.0}]
    path = table("t.csv", rows)

    ingest_catalog(path)
    made_old()
    again = ingest_catalog(path)

    (star,) = Source.select()
    assert (star.k_mag, star.h_mag, again.counts.sources_updated) == (8.0, 9.0, 0)


def test_a_blank_in_the_row_of_one_name_withdraws_nothing_that_the_row_of_another_gives(db, table):
    rows = [{"apogee_id": "A", "k_mag": 8.0, "ebv": 0.1, "e_ebv": ""}]
    rows += [{"apogee_id": "B", "k_mag": "", "ebv": 0.3, "e_ebv": 0.05}]
    path, records = table("t.csv", rows), [_record(name, sdss_id=5, k_mag=9.0) for name in "AB"]

    for batches in ([records], [records[:1], records[1:]], [records[1:], records[:1]]):
        for batch in batches:
            _registered(*batch, catalog=path)
        star = Source.get()
        assert (star.k_mag, star.ebv, math.isnan(star.e_ebv)) == (8.0, 0.1, True)
        assert ingest_catalog(path).values_changed == 0


def test_a_row_of_another_sdss_id_is_not_used_and_said(db, table, caplog):
    _registered(_record("A", sdss_id=6))

    report = ingest_catalog(table("t.csv", [{"sdss_id": 5, "apogee_id": "A", "k_mag": 8.0}]))

    assert report.counts.catalog_unmatched == 1
    assert "A has sdss_id 5 here and 6 in the spectra: its row is not used" in caplog.text


@pytest.mark.parametrize("rows_at_once", [1, 2, 100])
def test_the_rows_of_a_star_may_lie_in_different_pieces(db, table, monkeypatch, caplog, rows_at_once):
    _pieces_of(rows_at_once, monkeypatch)
    _registered(_record("A"), _record("B"))
    rows = [
        {"apogee_id": "A", "k_mag": 8.0, "h_mag": ""},
        {"apogee_id": "B", "k_mag": 9.0, "h_mag": 9.5},
        {"apogee_id": "x", "k_mag": 1.0, "h_mag": ""},
        {"apogee_id": "A", "k_mag": 7.0, "h_mag": 8.5},
        {"apogee_id": "x", "k_mag": 2.0, "h_mag": ""},
    ]

    counts = ingest_catalog(table("t.csv", rows)).counts

    star = Source.get(sdss4_apogee_id="A")
    assert (star.k_mag, star.h_mag) == (8.0, 8.5)
    assert (counts.catalog_matched, counts.catalog_unmatched, counts.catalog_duplicate) == (2, 1, 2)
    assert "1 rows contradict an earlier row of the same star, which counts; e.g. apogee_id A" in caplog.text


def test_values_that_the_table_no_longer_has_are_withdrawn_and_counted(db, table):
    _registered(_record("A", h_mag=9.5))
    ingest_catalog(
        table("t.csv", [{"apogee_id": "A", "k_mag": 8.0, "ebv": 15.0, "ebv_flags": 8, "h_mag": ""}])
    )

    report = ingest_catalog(
        table("t.csv", [{"apogee_id": "A", "k_mag": 8.0, "ebv": "", "ebv_flags": "", "h_mag": ""}])
    )

    (star,) = Source.select()
    assert (star.k_mag, star.h_mag, star.ebv_flags) == (8.0, 9.5, 0)
    assert star.ebv != star.ebv
    assert (report.counts.values_withdrawn, report.values_changed) == (1, 1)


def test_a_dry_run_says_what_would_change_and_writes_nothing(db, table, made_old, modified):
    _registered(_record("A", plx=1.0), _record("B"))
    made_old()
    before = _sources()
    path = table(
        "t.csv", [{"apogee_id": "A", "MyPlx": "", "plx": 2.0}, {"apogee_id": "C", "MyPlx": "", "plx": 3.0}]
    )

    report = ingest_catalog(path, dry_run=True)

    assert _sources() == before
    assert {moment.year for rows in modified() for moment in rows.values()} == {2020}
    assert report.counts.sources_updated == 1
    assert [tuple(each) for each in report.examples] == [("apogee_id A", "plx", 1.0, 2.0)]
    assert [tuple(each) for each in report.columns] == [
        ("apogee_id", "apogee_id", None, 1.0, 2),
        ("plx", "plx", None, 1.0, 2),
    ]
    done = ingest_catalog(path)
    assert (done.counts, done.matched_by, done.examples) == (
        report.counts,
        report.matched_by,
        report.examples,
    )


def test_a_table_without_identifiers_is_refused_and_positions_are_offered(db, table):
    with pytest.raises(UsageError, match="no identifiers in .*: --match-radius 1$"):
        ingest_catalog(table("t.csv", [{"ra": 10.0, "dec": 20.0, "k_mag": 8.0}]))
    with pytest.raises(UsageError, match=r"no identifiers in .*(?<!--match-radius 1)$"):
        ingest_catalog(table("t.csv", [{"k_mag": 8.0}]))


@pytest.mark.parametrize("radius", [0, -1, 61, float("nan")])
def test_a_radius_that_makes_no_sense_is_refused(table, radius):
    with pytest.raises(UsageError, match="give arcseconds above 0, and at most 60"):
        ingest_catalog(table("t.csv", [{"apogee_id": "A"}]), match_radius=radius)


def test_without_sources_there_is_nothing_to_do(db, table):
    with pytest.raises(UsageError, match="there are no sources"):
        ingest_catalog(table("t.csv", [{"apogee_id": "A", "k_mag": 8.0}]))


def test_a_table_without_rows_changes_nothing_and_is_said(db, tmp_path, caplog):
    _registered(_record("A"))
    path = tmp_path / "t.csv"
    path.write_text("apogee_id,k_mag\n")

    counts = ingest_catalog(path).counts

    assert (counts.catalog_matched, counts.catalog_unmatched, counts.sources_unchanged) == (0, 0, 0)
    assert "no rows in the catalogue" in caplog.text


def test_values_that_are_no_numbers_are_said_once_for_all_pieces(db, table, caplog, monkeypatch):
    _pieces_of(1, monkeypatch)
    _registered(_record("A"), _record("B"), _record("C"))
    rows = [{"apogee_id": name, "k_mag": text} for name, text in zip("ABC", ("9.9x", "", "?"), strict=True)]

    ingest_catalog(table("t.csv", rows))

    said = "column k_mag: 2 of 3 values are not numbers and count as absent, e.g. '9.9x'"
    assert [message for message in caplog.messages if "k_mag" in message][0].endswith(said)


def test_a_table_of_other_stars_is_noticed(db, table, caplog):
    _registered(_record("A"))

    ingest_catalog(table("t.csv", [{"apogee_id": "X", "k_mag": 8.0}]))

    assert "t.csv lists no source; its rows: apogee_id X, …; sources: apogee_id A, …" in caplog.text


# > By position


def _at(table, name="t.csv", **columns):
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return table(name, rows)


def test_rows_without_identifiers_are_found_by_position(db, table):
    _registered(_record("A", ra=10.0, dec=20.0), _record("B", ra=50.0, dec=-20.0))
    path = _at(
        table, apogee_id=["", "B", ""], ra=[10.0001, 10.0, 50.0], dec=[20.0] * 2 + [-20.0], k_mag=[7, 8, 9.5]
    )

    report = ingest_catalog(path, match_radius=1)

    rows = [(row.k_mag, row.ra) for row in Source.select().order_by(Source.pk)]
    assert rows == [(7.0, 10.0), (8.0, 10.0)]  # of the row that was found by its name, the position counts
    assert report.matched_by == {"apogee_id": 1, "position": 1}
    assert (report.counts.catalog_matched, report.counts.catalog_unmatched) == (2, 1)


def test_rows_at_one_position_are_rows_of_one_star(db, table):
    _registered(_record("A", ra=10.0, dec=20.0))
    path = _at(table, ra=[10.00001] * 2, dec=[20.0] * 2, k_mag=["", 8.0], h_mag=[9.0, 7.0])

    counts = ingest_catalog(path, match_radius=1).counts

    (star,) = Source.select()
    assert (star.k_mag, star.h_mag, counts.catalog_matched, counts.catalog_duplicate) == (8.0, 9.0, 1, 1)


def test_rows_at_one_position_with_other_motions_are_rows_of_one_star(db, table):
    _registered(_fast())
    path = _at(
        table, ra=[150.0] * 2, dec=[60.0] * 2, pmra=[0.0] * 2, pmdec=[0.1, 0.1000001], k_mag=[8.0, 7.0]
    )

    counts = ingest_catalog(path, match_radius=1, epoch=2016).counts

    assert (counts.catalog_matched, counts.catalog_duplicate, Source.get().k_mag) == (1, 1, 8.0)


def test_a_radius_does_no_harm_where_there_are_no_positions(db, table):
    _registered(_record("A"))

    report = ingest_catalog(table("t.csv", [{"apogee_id": "A", "pmra": 1.0, "ra": 5.0}]), match_radius=1)

    assert report.matched_by == {"apogee_id": 1}


def test_of_two_at_hand_the_nearest_counts_and_equally_near_ones_do_not(db, table, caplog):
    _registered(
        _record("A", ra=10.0, dec=0.0),
        _record("B", ra=20.0, dec=0.0),
        _record("C", ra=30.0, dec=0.0),
        _record("D", ra=30.0002, dec=0.0),
    )
    path = _at(
        table,
        ra=[10.0001, 10.0002, 20.0001, 19.9999, 30.00005],
        dec=[0.0] * 5,
        k_mag=[1.0, 2.0, 3.0, 4.0, 5.0],
    )

    report = ingest_catalog(path, match_radius=1)

    found = {row.sdss4_apogee_id: row.k_mag for row in Source.select() if row.k_mag == row.k_mag}
    assert found == {"A": 1.0, "C": 5.0}
    assert report.counts.catalog_unmatched == 3
    assert "1 rows are near more than one source, and 2 sources near more than one row" in caplog.text
    assert "the nearest counts; 1 that are equally near are not used" in caplog.text


#: A star of 5 arcsec in 16 years; its position in 2MASS is that of its name.
FAST = {"ra": 150.0, "dec": 60.0}


def _fast(**star):
    return _record("2M10000000+6000000", **{**FAST, **star})


def test_the_motion_between_two_known_epochs_is_applied(db, table, caplog):
    _registered(_fast())
    moved = {"ra": [150.0 + 5 / 3600 / 0.5], "dec": [60.0], "k_mag": [8.0]}

    still = ingest_catalog(_at(table, **moved), match_radius=1)
    assert still.counts.catalog_matched == 0
    assert "the epoch of the positions of 1 of 1 rows (--epoch states it) is not known" in caplog.text

    motion = {"pmra": [5000 / 16], "pmdec": [0.0]}
    by_table = ingest_catalog(_at(table, **moved, **motion, ref_epoch=[2016.0]), match_radius=1, dry_run=True)
    by_user = ingest_catalog(_at(table, **moved, **motion), match_radius=1, epoch=2016, dry_run=True)
    assert by_table.matched_by == by_user.matched_by == {"position": 1}


def test_the_motion_of_the_source_counts_where_the_row_has_none(db, table):
    _registered(_fast(pmra=5000 / 16, pmde=0.0))
    moved = {"ra": [150.0 + 5 / 3600 / 0.5], "dec": [60.0], "k_mag": [8.0]}

    assert ingest_catalog(_at(table, **moved), match_radius=1, epoch=2016).matched_by == {"position": 1}


def test_the_epoch_of_a_position_that_is_not_that_of_the_name_is_not_guessed(db, table, caplog):
    _registered(_fast(ra=150.01, pmra=1000.0, pmde=0.0))

    report = ingest_catalog(_at(table, ra=[150.01], dec=[60.0], k_mag=[8.0]), match_radius=1, epoch=2016)

    assert report.matched_by == {"position": 1}
    assert (
        "of 1 sources is not known: from 2000 to 2016 a star moves by 16 arcsec in the median, and 1 of 1"
        in caplog.text
    )


# > The same as with --catalog

_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "k_mag": st.sampled_from([8.0, 9.0]),
        "ebv": st.sampled_from([0.1, 0.2]),
        "e_ebv": st.just(0.01),
        "ebv_flags": st.sampled_from([1, 8]),
        "plx": st.sampled_from([1.0, 2.0]),
        "gaia_release": st.sampled_from(["dr2", "dr3"]),
    },
)


#: Names, sdss_ids and identifiers of Gaia. Where a star has two names, or only some of its files and rows
#: have an identifier, what comes out depends on the order of files, with --catalog.
_STARS = st.sampled_from([(NAMES[0], 5, 77), (NAMES[1], 6, 78)])


@st.composite
def _records(draw):
    knows_id = draw(st.booleans())
    records = []
    for name, sdss_id, gaia_id in draw(st.lists(_STARS, min_size=1, max_size=4)):
        values = draw(_VALUES) | ({"gaia_dr3_source_id": gaia_id} if draw(st.booleans()) else {})
        values |= {"gaia_release": "dr3" if "plx" in values else None}
        release = draw(st.sampled_from(["dr14", "dr17"]))
        records.append((name, sdss_id if knows_id else None, release, values))
    return records


@st.composite
def _rows(draw):
    kinds = draw(st.sampled_from([(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]))
    stars = draw(st.lists(_STARS, min_size=1, max_size=5))
    ids = [(sdss_id, name, gaia_id) for name, sdss_id, gaia_id in stars]
    shown = [
        (each if is_there else None for each, is_there in zip(of_star, kinds, strict=True)) for of_star in ids
    ]
    return [(*of_star, draw(_VALUES)) for of_star in shown]


def _written(path, rows):
    ids = ("sdss_id", "apogee_id", "gaia_dr3_source_id")
    cells = [dict(zip(ids, row[:3], strict=True)) | row[3] for row in rows]
    names = dict.fromkeys(name for row in cells for name in row)
    lines = [",".join("" if row.get(name) is None else str(row[name]) for name in names) for row in cells]
    path.write_text("\n".join([",".join(names), *lines, ""]))
    return path


@given(records=_records(), first=_rows(), second=_rows(), pieces=st.integers(1, 3))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_and_then_the_table_are_like_files_with_the_table(db, tmp_path, records, first, second, pieces):
    def outcomes(*, alone):
        for model in (ApogeeCoaddedSpectrumInApStar, Spectrum, Source):
            model.delete().execute()
        for rows in (first, second):
            path = _written(tmp_path / "t.csv", rows)
            made = [_record(name, sdss_id, release, **star) for name, sdss_id, release, star in records]
            if alone and rows is second:
                ingest_catalog(path)
            # After the second table, headers give what it has withdrawn.
            _registered(*made, catalog=None if alone else path)
            if alone and rows is first:
                ingest_catalog(path)
            yield _sources()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog_alone, "PIECE", pieces)
        assert list(outcomes(alone=True)) == list(outcomes(alone=False))
