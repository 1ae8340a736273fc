"""Tables of other packages that refer to sources and spectra: an ingest looks after their rows."""

import pytest
from builders import a_source, on_postgresql

from astra.database.schemas import read_foreign_keys
from astra.ingest import files, references
from astra.ingest.apstar import ingest_apstar
from astra.models import TABLES, ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum


@pytest.fixture
def guest(db):
    """Makes a table of another package; gives what reads all of it, ordered."""

    def make(columns: str, name: str = "guest"):
        db.execute_sql(f"CREATE TABLE {name} ({columns})")
        return lambda: db.execute_sql(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()

    return make


@pytest.fixture
def joined(db, apstar):
    """Makes two sources, and a file that says that they are one; the first is the one that is kept."""

    def make():
        kept, lost = a_source(sdss_id=5, sdss4_apogee_id=None), a_source(sdss_id=None, sdss4_apogee_id="A")
        return kept.pk, lost.pk, apstar("apStar-dr17-A.fits", OBJID="A", SDSS_ID=5)

    return make


# > Sources


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE"])
def test_rows_of_another_package_follow_a_star_that_turns_out_to_be_another(db, guest, joined, action):
    rows = guest(f"name TEXT, source_pk BIGINT REFERENCES source (pk) {action}")
    kept, lost, file = joined()
    db.execute_sql(f"INSERT INTO guest VALUES ('a', {kept}), ('b', {lost}), ('c', NULL)")

    counts = ingest_apstar([file])

    assert (counts.spectra_new, Source.get().pk) == (1, kept)
    assert rows() == [("a", kept), ("b", kept), ("c", None)]


def test_where_both_sources_have_the_only_row_that_one_may_have_both_rows_stay(db, guest, joined, caplog):
    rows = guest("name TEXT, source_pk BIGINT UNIQUE REFERENCES source (pk)")
    others = guest("name TEXT, source_pk BIGINT REFERENCES source (pk)", "other_guest")
    kept, lost, file = joined()
    for name in ("guest", "other_guest"):
        db.execute_sql(f"INSERT INTO {name} VALUES ('a', {kept}), ('b', {lost})")

    counts = ingest_apstar([file])

    assert counts.spectra_new == 1
    assert rows() == [("a", kept), ("b", lost)]
    assert others() == [("a", kept), ("b", kept)]
    named = {source.pk: (source.sdss_id, source.sdss4_apogee_id) for source in Source.select()}
    assert named == {kept: (5, "A"), lost: (None, None)}
    (said,) = (line for line in caplog.messages if "one star" in line)
    assert "cannot be given to the other in table guest (" in said
    assert ingest_apstar([file]).sources_unchanged == 1


@on_postgresql  # SQLite has no schemas
def test_a_table_in_a_schema_of_its_own_is_found(db, guest, joined):
    db.execute_sql('CREATE SCHEMA "The guest"')
    rows = guest("name TEXT, source_pk BIGINT REFERENCES source (pk)", '"The guest".guest')
    kept, lost, file = joined()
    db.execute_sql(f"INSERT INTO \"The guest\".guest VALUES ('b', {lost})")

    ingest_apstar([file])

    assert rows() == [("b", kept)]


# > Spectra


@pytest.fixture
def known_by_its_name(db, apstar):
    """A broken file, registered from its name, that is repaired: its product is there already."""
    good = apstar("a/apStar-dr17-X.fits")
    copy = good.parent.parent / good.name
    copy.touch()
    ingest_apstar([good, copy])
    copy.write_bytes(good.read_bytes())
    lost, kept = (
        ApogeeCoaddedSpectrumInApStar.get(ApogeeCoaddedSpectrumInApStar.path == str(file)).spectrum_pk
        for file in (copy, good)
    )
    return lost, kept, copy


def test_what_refers_to_a_spectrum_that_goes_goes_with_it_however_far_away(db, guest, known_by_its_name):
    lost, kept, file = known_by_its_name
    AstroNNdist.insert_many([{"spectrum_pk": pk, "v_astra": 1000} for pk in (lost, kept)]).execute()
    results = {row.spectrum_pk: row.task_pk for row in AstroNNdist.select()}
    direct = guest("pk BIGINT PRIMARY KEY, spectrum_pk BIGINT REFERENCES spectrum")
    far = guest("pk BIGINT, result BIGINT REFERENCES astro_nn_dist (task_pk)", "far_guest")
    farther = guest("pk BIGINT, guest BIGINT REFERENCES GUEST", "farther_guest")
    free = guest("pk BIGINT, spectrum_pk BIGINT REFERENCES spectrum (pk) ON DELETE SET NULL", "free_guest")
    pair = guest(
        "pk BIGINT, spectrum_pk BIGINT, version BIGINT, FOREIGN KEY (spectrum_pk, version) "
        "REFERENCES astro_nn_dist (spectrum_pk, v_astra_major_minor)",
        "pair_guest",
    )
    for number, pk in enumerate((lost, kept)):
        db.execute_sql(f"INSERT INTO guest VALUES ({number}, {pk})")
        db.execute_sql(f"INSERT INTO far_guest VALUES ({number}, {results[pk]})")
        db.execute_sql(f"INSERT INTO farther_guest VALUES ({number}, {number})")
        db.execute_sql(f"INSERT INTO free_guest VALUES ({number}, {pk})")
        db.execute_sql(f"INSERT INTO pair_guest VALUES ({number}, {pk}, 1)")

    ingest_apstar([file])

    assert Spectrum.get().pk == kept
    assert [row.task_pk for row in AstroNNdist.select()] == [results[kept]]
    assert (direct(), far(), farther()) == ([(1, kept)], [(1, results[kept])], [(1, 1)])
    assert free() == [(0, None), (1, kept)]
    assert pair() == [(1, kept, 1)]


def test_a_spectrum_that_a_table_does_not_let_go_stays_and_the_batch_is_written(
    db, guest, known_by_its_name, apstar, caplog
):
    lost, kept, file = known_by_its_name
    AstroNNdist.insert(spectrum_pk=lost).execute()
    rows = guest(
        "pk BIGINT PRIMARY KEY, spectrum_pk BIGINT REFERENCES spectrum, root BIGINT REFERENCES guest"
    )
    db.execute_sql(f"INSERT INTO guest VALUES (1, {lost}, NULL), (2, {kept}, 1)")

    counts = ingest_apstar([file, apstar("apStar-dr17-Y.fits", OBJID="Y")])

    assert counts.spectra_new == 1
    assert {row.pk for row in Spectrum.select()} > {lost, kept}
    assert rows() == [(1, lost, None), (2, kept, 1)]
    assert AstroNNdist.get().spectrum_pk == lost
    (said,) = (line for line in caplog.messages if "stays, without a path" in line)
    assert "cannot be deleted in table guest (" in said


# > Where nothing refers


def test_foreign_keys_are_read_once_in_an_ingest_and_only_if_they_are_needed(db, apstar, monkeypatch):
    read = []
    monkeypatch.setattr(references, "read_foreign_keys", lambda database: read.append(1) or [])
    monkeypatch.setattr(files, "BATCH", 1)
    paths = []
    for number in (5, 6):
        Source.insert(sdss_id=number).execute()
        Source.insert(sdss4_apogee_id=f"A{number}").execute()
        paths.append(apstar(f"apStar-dr17-{number}.fits", OBJID=f"A{number}", SDSS_ID=number))

    ingest_apstar([apstar("apStar-dr17-X.fits")])
    assert read == []
    ingest_apstar(paths)

    assert (read, Source.select().count()) == ([1], 3)


def test_the_foreign_keys_of_our_own_tables_are_those_of_the_models(db):
    found = {
        (str(key.table), key.columns, str(key.referred), key.referred_columns)
        for key in read_foreign_keys(db)
    }

    assert found == {
        (model._meta.table_name, (field.column_name,), other._meta.table_name, ("pk",))
        for model in TABLES
        for field, other in model._meta.refs.items()
    }
