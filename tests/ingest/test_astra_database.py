"""``ingest_astra``: from the tables of SDSS Astra, made as it makes them, on both databases."""

import json
import math
from datetime import datetime
from pathlib import Path

import pytest
from builders import on_postgresql, on_sqlite
from hypothesis import given
from hypothesis import strategies as st
from upstream_database import COADD, DR17, OBJ, SCHEMA, SDSS5, STAR

from astra.config import load_settings
from astra.errors import ConfigError, StorageError, UsageError
from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.ingest.astra_database import (
    checked_time,
    look_at,
    open_upstream,
    product_of,
)
from astra.ingest.headers import described, read_record
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum

#: Values of every column that upstream has and we have.
VALUES = {
    "gaia_dr3_source_id": 3_123_456_789_012_345_678,
    "healpix": 10_106,
    "ph_qual": "AAA",
    "cc_flg": "0c0",
}
VALUES |= {"ra": 93.5, "dec": -1.0125, "l": 210.25, "b": -8.5, "ebv": 0.25, "e_ebv": 0.03125, "ebv_flags": 9}
VALUES |= {"j_mag": 11.5, "e_j_mag": 0.02, "h_mag": 10.25, "e_h_mag": 0.021, "k_mag": 9.028, "e_k_mag": 0.022}
VALUES |= {"plx": -0.125, "e_plx": 0.025, "pmra": -3.5, "e_pmra": 0.03, "pmde": 4.5, "e_pmde": 0.031}
VALUES |= {"r_med_geo": 4100.5, "r_lo_geo": 3900.25, "r_hi_geo": 4400.5}
VALUES |= {"r_med_photogeo": 4050.5, "r_lo_photogeo": 3950.25, "r_hi_photogeo": 4150.5}
VALUES |= {"ph_qual": "AAA", "g_mag": 14.5, "bp_mag": 15.25, "rp_mag": 13.75}


# > Values


def test_every_value_that_both_know_is_in_its_column(db, upstream, the_source, the_spectrum):
    measured = {"n_visits": 4, "snr": 123.25, "spectrum_flags": 2**16, "v_rad": -18.375, "e_v_rad": 0.0625}
    upstream.add({"sdss_id": 54_321} | VALUES, **DR17, **measured)

    counts = upstream.ingest().counts

    star, spectrum = the_source(), the_spectrum()
    assert {name: getattr(star, name) for name in VALUES} == VALUES
    assert (star.sdss_id, star.sdss4_apogee_id, star.gaia_release) == (54_321, OBJ, "dr3")
    assert {name: getattr(spectrum, name) for name in measured} == measured
    assert spectrum.source_pk == star.pk
    assert (counts.seen, counts.spectra_new, counts.sources_new, counts.skipped) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"ebv": 0.25, "e_ebv": 0.03125, "ebv_flags": 2, "ebv_sfd": 0.5},
            (0.25, 0.03125, 2, "ebv_zhang_2023"),
        ),
        ({"b": -8.5, "ebv_sfd": 0.5, "e_ebv_sfd": 0.0625}, (0.5, 0.0625, 9, "ebv_sfd")),
        ({"h_mag": 10.25, "mag4_5": 9.75, "ebv_sfd": 2.0}, (2.61 * 0.42, math.nan, 16, "RJCE (H, MAG4_5)")),
    ],
)
def test_reddening_is_upstreams_own_or_follows_from_its_other_columns(
    db, upstream, the_source, values, expected
):
    upstream.add({"sdss_id": 54_321} | values)

    upstream.ingest()

    star = the_source()
    assert (star.ebv, star.e_ebv) == pytest.approx(expected[:2], nan_ok=True)
    assert (star.ebv_flags, star.ebv_origin) == expected[2:]


def test_the_name_of_the_star_counts_before_that_of_its_spectrum(db, upstream, the_source):
    upstream.add(STAR, **DR17 | {"obj": "AP00000001+0000001"})

    upstream.ingest()

    assert the_source().sdss4_apogee_id == OBJ


def test_fillers_are_absent(db, upstream, the_source):
    fillers = {"sdss_id": 0, "gaia_dr3_source_id": -1, "k_mag": 99.999, "e_k_mag": 8.888, "ebv": math.nan}
    upstream.add(fillers | {"plx": -9999.0, "ph_qual": ""})

    upstream.ingest()

    star = the_source()
    there = {name for name, value in star.__data__.items() if value == value and value not in (None, 0)}
    assert there == {"pk", "sdss4_apogee_id", "created", "modified"}


def test_a_spectrum_without_a_source_is_kept_and_says_nothing_of_its_star(db, upstream, the_source):
    upstream.add(None)

    upstream.ingest()

    assert (the_source().sdss4_apogee_id, the_source().sdss_id) == (OBJ, None)


def test_two_spectra_of_a_star_are_of_one_source_and_a_star_without_a_spectrum_is_left_out(db, upstream):
    upstream.add(**DR17)
    upstream.add(**SDSS5)
    upstream.tables["source"].create(sdss_id=9)

    counts = upstream.ingest().counts

    assert (counts.spectra_new, counts.sources_new) == (2, 1)
    assert Source.select().count() == 1


# > The same product as its file


def _row(product):
    """The columns of upstream for a product, as its migrations fill them."""
    columns = product.columns()
    names = ("release", "apred", "apstar", "obj", "telescope", "healpix", "field", "prefix")
    return {name: columns[name] for name in names} | {"filetype": "apStar"}


NAMES = st.text("0123456789+-2MAPKV_. '", min_size=1, max_size=18).filter(
    lambda text: text.strip(" -.") == text
)
REDUCTIONS = st.sampled_from(["dr17", "1.0", "1.2", "1.3", "daily"])


@given(REDUCTIONS, st.sampled_from(["apo25m", "lco25m", "apo1m"]), NAMES, st.integers(0, 196_607), NAMES)
def test_the_product_of_a_row_is_that_of_its_file(apred, telescope, field, healpix, obj):
    from astropy.io.fits import Header

    prefix = "as" if telescope == "lco25m" else "ap"
    of_dr17 = apred == "dr17"
    place = {"FIELD": field} if of_dr17 else {"HEALPIX": healpix}
    name = f"{prefix}Star-{apred}-{'' if of_dr17 else telescope + '-'}{obj}.fits"
    header = Header([("OBJID", obj), ("TELESCOP", telescope), *place.items()])
    of_file = described(f"/data/{telescope}/{name}", header, release="sdss5").product
    row = {"release": "dr17" if of_dr17 else "sdss5", "apred": apred, "obj": obj, "telescope": telescope}
    row |= {"field": field, "healpix": None} if of_dr17 else {"field": "", "healpix": healpix}

    for given_prefix in (prefix, "", None):
        assert product_of(row | {"prefix": given_prefix}).product_id == of_file.product_id


@on_sqlite
def test_rows_and_files_are_the_same_spectra(db, upstream, apstars):
    records = [read_record(path) for path in apstars]
    for record in records:
        upstream.add({"sdss4_apogee_id": None}, **_row(record.product))
    ingest_apstar(apstars)

    counts = upstream.ingest().counts

    assert (counts.spectra_new, counts.seen) == (0, len(records))
    assert Spectrum.select().count() == len({record.product.product_id for record in records})


def test_a_spectrum_has_the_same_distance_as_from_its_file(
    db, upstream, apstar, measure, tmp_path, monkeypatch
):
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    folder = "dr17/apogee/spectro/redux/dr17/stars/apo25m/210-08"
    file = apstar(f"{folder}/apStar-dr17-{OBJ}.fits", FIELD="210-08", K=9.028)
    upstream.add()
    upstream.ingest()
    measure()
    of_row = AstroNNdist.get()

    ingest_apstar([file])
    measure("--overwrite")

    of_file = AstroNNdist.get()
    assert (of_row.dist, of_row.L_fakemag, of_row.e_dist) == (of_file.dist, of_file.L_fakemag, of_file.e_dist)
    assert of_row.dist > 0


@on_sqlite
def test_the_path_is_that_of_upstreams_template(db, upstream, the_spectrum):
    upstream.add(**SDSS5 | {"telescope": "apo25m", "prefix": "ap"})

    upstream.ingest()

    folder = "sdsswork/mwm/apogee/spectro/redux/1.3/stars/apo25m/10/10105"
    assert the_spectrum().path == f"{folder}/apStar-1.3-apo25m-{OBJ}.fits"


@on_sqlite
@pytest.mark.parametrize(
    ("template", "path"),
    [
        (
            "{release}/{telescope}/{healpix_group}/{healpix}/{filetype}-{obj}.fits",
            f"sdss5/lco25m/10/10105/asStar-{OBJ}.fits",
        ),
        ("$SURVEY/{apred}/{obj}.fits", f"/data/1.3/{OBJ}.fits"),
        (
            "/data/{field}/{obj}.fits",
            f"sdsswork/mwm/apogee/spectro/redux/1.3/stars/lco25m/10/10105/asStar-1.3-lco25m-{OBJ}.fits",
        ),
    ],
)
def test_the_settings_may_say_where_files_lie(
    db, upstream, the_spectrum, monkeypatch, tmp_path, template, path
):
    monkeypatch.setenv("SURVEY", "/data")
    (tmp_path / "paths.yml").write_text(json.dumps({"apstar_path": template}))
    monkeypatch.setenv("ASTRA_CONFIG", str(tmp_path / "paths.yml"))
    upstream.add(**SDSS5)

    upstream.ingest()

    assert the_spectrum().path == path


@on_sqlite
def test_a_spectrum_without_its_pixel_has_no_path_and_that_is_said(db, upstream, the_spectrum, caplog):
    upstream.add(**SDSS5 | {"healpix": None})

    upstream.ingest()

    assert the_spectrum().path is None
    assert "HEALPix pixel or field is absent in some rows" in caplog.text


@on_sqlite
def test_the_release_of_the_command_counts_where_the_reduction_does_not_tell(db, upstream):
    upstream.add(**SDSS5)
    upstream.add(**DR17)

    upstream.ingest(release="dr19")

    assert {row.release for row in ApogeeCoaddedSpectrumInApStar.select()} == {"dr17", "dr19"}


# > Again


@on_postgresql
def test_a_file_of_sqlite_goes_into_postgresql(db, upstream_on_sqlite, made_old, modified, the_source):
    _goes_across(upstream_on_sqlite, made_old, modified, the_source)


@pytest.mark.postgres
@on_sqlite
def test_a_database_of_postgresql_goes_into_a_file(
    db, upstream_on_postgresql, made_old, modified, the_source
):
    _goes_across(upstream_on_postgresql, made_old, modified, the_source)


def _goes_across(upstream, made_old, modified, the_source):
    upstream.add({"sdss_id": 54_321} | VALUES, **DR17, snr=123.456)
    upstream.ingest()
    made_old()
    before = modified()

    counts = upstream.ingest(since=datetime(2020, 1, 1)).counts

    assert modified() == before
    assert (counts.seen, counts.spectra_unchanged) == (1, 1)
    assert {name: getattr(the_source(), name) for name in VALUES} == VALUES


def test_what_is_read_again_is_not_modified(db, upstream, made_old, modified):
    upstream.add({"sdss_id": 54_321} | VALUES, **DR17, snr=123.456)
    upstream.add({"sdss_id": 54_321}, **SDSS5)
    upstream.add(None, **DR17 | {"obj": "VESTA"})
    upstream.ingest()
    made_old()
    before = modified()

    counts = upstream.ingest().counts

    assert modified() == before
    assert (counts.spectra_unchanged, counts.sources_unchanged) == (3, 2)


@pytest.fixture
def measure(astra, toy_weights):
    """Runs the task; gives how many results were derived again, and how many spectra read."""

    def run(*options: str) -> tuple[int, int]:
        _, out, _ = astra("run", "astronn_dist", "--weights", toy_weights, "--json", *options)
        return json.loads(out)["rederived"], json.loads(out)["processed"]

    return run


def test_one_star_changed_there_is_one_modified_here_and_its_distance_alone_derived_again(
    db, upstream, apstar, measure, tmp_path, monkeypatch, modified
):
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    folder = "dr17/apogee/spectro/redux/dr17/stars/apo25m/210-08"
    objects = [f"2M0615493{number}-0100415" for number in range(3)]
    files = [apstar(f"{folder}/apStar-dr17-{obj}.fits", OBJID=obj, FIELD="210-08") for obj in objects]
    for number, obj in enumerate(objects, 1):
        upstream.add({"sdss_id": number, "k_mag": 10.0, "ebv": 0.1}, **DR17, obj=obj)
    upstream.ingest()
    assert measure() == (0, 3)
    before, dist = modified(), {row.source_pk: row.dist for row in AstroNNdist.select()}
    for file in files:
        file.unlink()

    source = upstream.tables["source"]
    source.update(k_mag=12.5).where(source.sdss_id == 2).execute()
    counts = upstream.ingest().counts

    changed = Source.get(sdss_id=2)
    assert (counts.sources_updated, counts.spectra_updated) == (1, 0)
    assert [pk for old, new in zip(before, modified(), strict=True) for pk in new if new[pk] != old[pk]] == [
        changed.pk
    ]
    assert measure() == (1, 0)
    after = {row.source_pk: row.dist for row in AstroNNdist.select()}
    assert after == dist | {changed.pk: pytest.approx(dist[changed.pk] * 10**0.5)}


def test_only_what_was_modified_since_then_is_read(db, upstream):
    for number in (1, 2, 3):
        upstream.add({"sdss_id": number}, **DR17, obj=f"2M0615493{number}-0100415")
    for table in ("source", COADD):
        upstream.change(table, since=datetime(2026, 1, 1))
    first = upstream.ingest()
    assert (first.counts.seen, first.modified_until) == (3, "2026-01-01 00:00:00")
    later = datetime(2026, 3, 1, 12, 0, 0, 5)
    source, spectrum = upstream.tables["source"], upstream.tables[COADD]
    source.update(modified=later, k_mag=9.0).where(source.sdss_id == 1).execute()
    spectrum.update(modified=later, snr=9.0).where(spectrum.obj.startswith("2M06154932")).execute()

    second = upstream.ingest(since=checked_time("2026-03-01 12:00:00.000005"))

    counts = second.counts
    assert (counts.seen, counts.sources_updated, counts.spectra_updated) == (2, 1, 1)
    assert second.modified_until == str(later)
    third = upstream.ingest(since=datetime(2026, 4, 1))
    assert (third.counts.seen, third.modified_until) == (0, "2026-04-01 00:00:00")


def test_a_value_that_upstream_takes_back_is_withdrawn(db, upstream, the_source):
    upstream.add()
    upstream.ingest()
    upstream.change("source", ebv=None, ebv_flags=0)

    upstream.ingest()

    star = the_source()
    assert star.ebv != star.ebv
    assert (star.ebv_flags, star.k_mag) == (0, 9.028)


def test_upstream_goes_before_an_allstar_table_of_the_same_release_and_neither_withdraws_the_other(
    db, upstream, table, the_source
):
    row = {"FILE": f"apStar-dr17-{OBJ}.fits", "APOGEE_ID": OBJ, "TELESCOPE": "apo25m", "FIELD": "210-08"}
    allstar = table("t.fits", [row | {"COMMISS": 0, "K": 9.5, "SFD_EBV": 0.5, "J": 11.0}])
    upstream.add({"sdss_id": 54_321, "k_mag": 9.028})

    for ingest in (upstream.ingest, lambda: ingest_allstar(allstar), upstream.ingest):
        ingest()

        assert the_source().k_mag == 9.028
    assert (the_source().ebv, the_source().j_mag) == (pytest.approx(0.884 * 0.5), 11.0)


# > What is not as expected


@pytest.mark.parametrize("name", ["source", COADD])
def test_a_table_that_is_not_there_is_one_line(db, upstream, name):
    upstream.database.execute_sql(f"ALTER TABLE {_named(upstream, name)} RENAME TO other")

    with pytest.raises(ConfigError, match=rf"no table \S*{name}; it takes a login that may read"):
        upstream.ingest()


def _named(upstream, table):
    return f"{upstream.schema}.{table}" if upstream.schema else table


@on_postgresql
def test_another_schema_that_has_the_tables_is_named(db, upstream):
    upstream.schema = "elsewhere"

    with pytest.raises(
        ConfigError, match=rf"no table elsewhere.{COADD}; they are in {SCHEMA}: name one with"
    ):
        upstream.ingest()


@pytest.mark.parametrize(("name", "column"), [("source", "sdss_id"), (COADD, "healpix")])
def test_a_column_that_it_takes_and_that_is_not_there_is_one_line(db, upstream, name, column):
    upstream.database.execute_sql(f"ALTER TABLE {_named(upstream, name)} RENAME COLUMN {column} TO other")

    with pytest.raises(ConfigError, match=rf"table {_named(upstream, name)} has no column {column}; "):
        upstream.ingest()


def test_columns_that_it_can_do_without_are_said_once(db, upstream, the_source, caplog):
    upstream.add(STAR | {"plx": 1.0})
    for column in ("plx", "ebv"):
        upstream.database.execute_sql(
            f"ALTER TABLE {_named(upstream, 'source')} RENAME COLUMN {column} TO old_{column}"
        )

    upstream.ingest()

    assert (the_source().k_mag, the_source().gaia_release) == (9.028, None)
    (said,) = (record.message for record in caplog.records)
    assert said.endswith(f"table {_named(upstream, 'source')} has no column plx, ebv")


def test_a_database_of_this_package_is_refused(db):
    opened = open_upstream(load_settings())

    with pytest.raises(UsageError, match="not of SDSS Astra, but of this package"):
        look_at(opened)
    opened.close()


@on_sqlite
def test_a_damaged_file_is_one_line(db, upstream):
    rows = [DR17 | {"apstar": "stars", "obj": f"2M{number:08d}-0100415"} for number in range(3000)]
    upstream.tables[COADD].insert_many(rows).execute()
    path = Path(upstream.address)
    upstream.database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    upstream.database.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2].ljust(len(content), b"x"))

    with pytest.raises(
        StorageError, match=r"SQLite file \S*upstream.db: the database refused to read: .*malformed"
    ):
        upstream.ingest()


@on_postgresql
def test_a_login_that_may_not_read_is_told_what_it_takes(db, upstream, postgres, prefix):
    upstream.add()
    login = f"{prefix}_reader"
    upstream.database.execute_sql(f"CREATE ROLE {login} LOGIN")
    upstream.database.execute_sql(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {login}")
    owner, upstream.address = upstream.address, upstream.address.replace(f"{postgres.user}@", f"{login}@")

    with pytest.raises(ConfigError, match=rf"permission denied for table {COADD}; it takes a login"):
        upstream.ingest()

    for table in ("source", COADD):
        upstream.database.execute_sql(f"GRANT SELECT ON {SCHEMA}.{table} TO {login}")
    assert upstream.ingest().counts.spectra_new == 1
    upstream.database.execute_sql(f"DROP OWNED BY {login}")
    upstream.address = owner


@pytest.mark.parametrize(
    ("text", "said"), [("yesterday", "not a time"), ("2026-03-01T12:00:00+01:00", "without a time zone")]
)
def test_a_time_that_is_not_one_of_upstreams_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        checked_time(text)
