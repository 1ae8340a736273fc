"""``ingest_apstar``: what becomes of files, on both databases."""

import itertools
import os
import threading
from datetime import datetime

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.errors import StorageError, UsageError
from astra.ingest import files as module
from astra.ingest import register
from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar, Source, Spectrum

OBJ = "2M06154934-0100415"


def _spectra():
    return {row.product_id: row for row in ApogeeCoaddedSpectrumInApStar.select()}


# > Real files


def test_real_files_become_spectra_and_stars(db, apstar_files, targets):
    counts = ingest_apstar([apstar_files[0].parent], catalog=targets)

    assert (counts.seen, counts.spectra_new, counts.sources_new) == (22, 22, 21)
    assert (counts.catalog_matched, counts.catalog_duplicate, counts.catalog_unmatched) == (21, 1, 0)
    assert Spectrum.select().count() == ApogeeCoaddedSpectrumInApStar.select().count() == 22
    star = Source.get(sdss4_apogee_id="2M19463571+3919069")
    assert (star.k_mag, star.ebv, star.e_ebv) == (11.344, 0.2071, 0.0090)
    spectra = {row.release: row for row in star.apogee_coadded_spectra_in_apstar}
    assert {release: row.snr for release, row in spectra.items()} == {"dr12": 167.256, "dr14": 110.925}
    assert spectra["dr14"].product_id == "apstar/dr14/r8/apo25m/n6819/2M19463571+3919069/ap/s"
    assert (spectra["dr14"].v_rad, spectra["dr14"].n_visits) == (-58.562, 6)
    assert Source.select().where(Source.plx.is_null(False)).count() > 10
    blank_in_the_table = Source.get(sdss4_apogee_id="2M03122509+0021585")
    assert np.isnan(blank_in_the_table.ebv)


# > A survey


#: Stars of the simulated and of the real files, by the number of files.
STARS = {16: 16, 22: 21}


def test_repeating_modifies_nothing(db, apstars, made_old, modified):
    targets = apstars[0].with_name("targets.csv")
    ingest_apstar(apstars, catalog=targets)
    made_old()
    before = modified()

    counts = ingest_apstar(apstars, catalog=targets)

    assert (counts.spectra_unchanged, counts.sources_unchanged) == (len(apstars), STARS[len(apstars)])
    assert counts.spectra_new == counts.spectra_updated == counts.sources_new == counts.sources_updated == 0
    assert modified() == before
    assert Spectrum.select().count() == len(apstars)


def test_a_changed_magnitude_in_the_catalogue_updates_that_star_only(db, apstars, tmp_path, made_old):
    before = apstars[0].with_name("targets.csv")
    targets = Table.read(before)
    ingest_apstar(apstars, catalog=before)
    made_old()
    targets["k_mag"][3] = 9.5
    targets.write(tmp_path / "changed.csv")

    counts = ingest_apstar(apstars, catalog=tmp_path / "changed.csv")

    assert (counts.sources_updated, counts.spectra_updated) == (1, 0)
    moved = Source.select().where(Source.modified > datetime(2021, 1, 1))
    assert [(row.sdss4_apogee_id, row.k_mag) for row in moved] == [(targets["apogee_id"][3], 9.5)]


def test_batches_do_not_show(db, apstars, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    progress, files = [], len(apstars)

    targets = apstars[0].with_name("targets.csv")
    counts = ingest_apstar(apstars, catalog=targets, on_progress=lambda *done: progress.append(done))

    stars = STARS[files]
    assert (counts.seen, counts.spectra_new, counts.sources_new) == (files, files, stars)
    assert counts.catalog_matched == stars
    assert progress == [(number, files) for number in range(1, files + 1)]


# > Which value wins

RELEASES = [("r5", 12.0), ("r8", 14.0), ("dr17", 17.0)]


@pytest.mark.parametrize("together", [True, False])
def test_the_newest_release_wins_in_any_order(db, apstar, together):
    for number, order in enumerate(itertools.permutations(RELEASES)):
        files = [
            apstar(f"{number}/apStar-{apred}-S{number}.fits", OBJID=f"S{number}", K=k) for apred, k in order
        ]
        for paths in [files] if together else [[file] for file in files]:
            ingest_apstar(paths)

    assert {row.k_mag for row in Source.select()} == {17.0}
    assert Source.select().count() == 6


def test_a_filler_in_the_newest_release_leaves_the_next_one(db, apstar):
    for number, order in enumerate(itertools.permutations([("r5", 12.0), ("r8", 14.0), ("dr17", -9999.99)])):
        for apred, k in order:
            ingest_apstar([apstar(f"{number}/apStar-{apred}-S{number}.fits", OBJID=f"S{number}", K=k)])

    assert {row.k_mag for row in Source.select()} == {14.0}


def test_the_catalogue_goes_before_headers_that_come_later(db, apstar, table, the_source):
    catalog = table("targets.csv", [{"apogee_id": OBJ, "k_mag": 9.0, "h_mag": ""}])
    ingest_apstar([apstar("apStar-r5-X.fits", K=12.0, H=12.5)], catalog=catalog)

    ingest_apstar([apstar("apStar-dr17-X.fits", K=17.0, H=17.5, J=18.0)])

    star = the_source()
    assert (star.k_mag, star.h_mag, star.j_mag) == (9.0, 17.5, 18.0)


@pytest.mark.parametrize(("plx", "warned"), [(44.8, False), (45.8, True)])
def test_a_catalogue_that_does_not_say_the_release_of_gaia_keeps_the_known_one(
    db, apstar, table, the_source, made_old, caplog, plx, warned
):
    path = apstar("apStar-dr17-X.fits", PLX=44.8, EPLX=0.02, GRELEASE="gaia_dr3")
    catalog = table("t.csv", [{"apogee_id": OBJ, "plx": plx, "e_plx": 0.01}])
    ingest_apstar([path])

    for _ in range(2):
        ingest_apstar([path], catalog=catalog)
        assert (the_source().plx, the_source().e_plx, the_source().gaia_release) == (plx, 0.01, "dr3")
    made_old()
    ingest_apstar([path])

    assert (the_source().gaia_release, the_source().modified.year) == ("dr3", 2020)
    assert ("does not say their release, are taken for those of dr3" in caplog.text) == warned


_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["r3", "r5", "r6", "r8", "r12", "dr17"]),
        st.sampled_from(["", "C"]),
        st.sampled_from(["M15", "M67"]),
        st.sampled_from([None, 8.0, 9.0, -9999.99]),
        st.sampled_from([None, 1.0, 2.0, "NaN"]),
    ),
    min_size=2,
    max_size=5,
    unique_by=lambda header: header[:3],
)
_numbers = itertools.count()


@given(headers=_HEADERS, random=st.randoms(use_true_random=False), split=st.integers(0, 5))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_the_order_nor_the_commands_matter(db, apstar, headers, random, split):
    outcomes = []
    for order in (headers, random.sample(headers, len(headers))):
        star = f"S{next(_numbers)}"
        files = [
            apstar(f"{star}/{field}/apStar{c}-{apred}-{star}.fits", OBJID=star, FIELD=field, K=k, H=h)
            for apred, c, field, k, h in order
        ]
        for part in (files[:split], files[split:]):
            if part:
                ingest_apstar(part)
        row = Source.get(sdss4_apogee_id=star)
        origins = row.origins.replace(star, "")
        outcomes.append((np.nan_to_num([row.k_mag, row.h_mag, row.j_mag]).tolist(), origins))

    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("header", "preference", "expected"),
    [
        ({}, "auto", (None, 0, None)),
        ({"AKTARG": 0.3517, "AKMETHOD": "RJCE_IRAC"}, "auto", (1.0, 2**4, "AKTARG (RJCE_IRAC)")),
        ({"AKTARG": 0.3517, "AKMETHOD": "SFD", "SFD_EBV": 0.2}, "auto", (1.0, 2**3, "AKTARG (SFD)")),
        ({"AKTARG": 0.3517, "SFD_EBV": 0.2, "GLAT": 0.0}, "sfd", (0.1768, 2**3 | 1, "0.884 SFD_EBV")),
        ({"SFD_EBV": 0.2, "GLAT": -30.1}, "auto", (0.1768, 2**3, "0.884 SFD_EBV")),
        ({"SFD_EBV": 0.2, "GLAT": -29.9}, "auto", (0.1768, 2**3 | 1, "0.884 SFD_EBV")),
        ({"AKTARG": -9999.99, "SFD_EBV": 0.2}, "ak_targ_sfd", (0.2, 2**3, "SFD_EBV")),
        ({"AKTARG": -9999.99, "SFD_EBV": 0.2}, "ak_targ", (None, 0, None)),
        (
            {"AKTARG": -0.03517, "AKMETHOD": "RJCE_WISE_OPS", "SFD_EBV": 0.2},
            "auto",
            (-0.1, 2**5, "AKTARG (RJCE_WISE_OPS)"),
        ),
        ({"AKTARG": "NaN", "SFD_EBV": -99.0}, "auto", (None, 0, None)),
    ],
)
def test_extinction_in_a_header_follows_the_rule_for_tables(
    db, apstar, the_source, header, preference, expected
):
    ingest_apstar([apstar("apStar-r8-X.fits", **header)], extinction=preference)

    star = the_source()
    assert star.ebv == pytest.approx(np.nan if expected[0] is None else expected[0], nan_ok=True)
    assert (star.ebv_flags, star.ebv_origin) == expected[1:]


def test_an_unknown_preference_of_extinction_is_refused(db, apstar):
    with pytest.raises(UsageError, match="unknown extinction: 'best'; it is one of auto, ak_targ, rjce, sfd"):
        ingest_apstar([apstar("apStar-r8-X.fits")], extinction="best")


# > Products


def test_commissioning_data_are_a_product_of_their_own_of_the_same_star(db, apstar):
    counts = ingest_apstar([apstar("apStar-r5-X.fits"), apstar("apStarC-r5-X.fits")])

    assert (counts.spectra_new, counts.sources_new) == (2, 1)
    assert sorted(row.commissioning for row in _spectra().values()) == [False, True]


def test_an_sdss_5_file(db, apstar, the_spectrum, the_source):
    header = dict.fromkeys(("J", "H", "K", "FIELD", "TELESCOP"))
    header |= {"KMAG": 9.1, "KERR": 0.02, "HMAG": "NaN", "VHBARY": -12.5, "VERR": 0.0, "HEALPIX": 103456}
    header |= {"SDSS_ID": 71234567, "APRED": "1.3", "V_APRED": "8f2c1aa"}
    path = apstar(f"1.3/stars/lco25m/103/103456/apStar-1.3-lco25m-{OBJ}.fits", **header)

    ingest_apstar([path.parent], release="sdss5")

    row, star = the_spectrum(), the_source()
    assert row.product_id == f"apstar/sdss5/1.3/lco25m/103456/{OBJ}/ap/s"
    assert (row.v_rad, row.healpix, row.field) == (-12.5, 103456, "")
    assert np.isnan(row.e_v_rad)
    assert np.isnan(star.h_mag)
    assert (star.k_mag, star.e_k_mag, star.sdss_id, star.healpix) == (9.1, 0.02, 71234567, 103456)


def test_an_unknown_reduction_asks_for_the_release(db, apstar):
    path = apstar("apStar-1.3-apo25m-X.fits")

    with pytest.raises(UsageError, match=f"{path}.*'1.3'.*--release") as caught:
        ingest_apstar([path])

    assert caught.value.exit_code == 2
    assert Spectrum.select().count() == 0


def test_paths_under_sas_base_dir_are_relative(db, apstar, tmp_path, monkeypatch):
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "sas"))

    ingest_apstar([apstar("sas/dr17/apStar-dr17-X.fits"), apstar("else/apStar-r8-X.fits")])

    paths = {row.release: row.path for row in _spectra().values()}
    assert paths == {"dr17": "dr17/apStar-dr17-X.fits", "dr14": str(tmp_path / "else/apStar-r8-X.fits")}


def test_a_star_without_any_name_has_no_source(db, apstar, the_spectrum):
    ingest_apstar([apstar("apStar-dr17-none.fits", OBJID=" ")])

    assert the_spectrum().source is None
    assert Source.select().count() == 0


def test_a_name_that_is_no_text_is_registered(db, apstar, the_spectrum):
    path = apstar("apStar-dr17-X.fits", OBJID=None)
    strange = os.fsencode(path).replace(b"X.fits", b"\xff.fits")
    os.rename(path, strange)

    counts = ingest_apstar([path.parent])

    assert counts.spectra_new == 1
    assert the_spectrum().obj == r"\udcff"


# > Two at once, and failures


def test_two_ingests_at_once_make_no_row_twice(db, apstar):
    files = [apstar(f"apStar-dr17-S{number}.fits", OBJID=f"S{number}") for number in range(12)]
    results, start = [], threading.Barrier(3)

    def work():
        start.wait()
        results.append(ingest_apstar(files))
        db.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(counts.spectra_new for counts in results) == [0, 0, 12]
    assert Spectrum.select().count() == len(_spectra()) == Source.select().count() == 12


def test_a_refused_write_leaves_nothing_behind(db, apstar, monkeypatch):
    path = apstar("apStar-dr17-X.fits")

    def fail(*args, **kwargs):
        raise StorageError("the disk is full")

    monkeypatch.setattr(register, "upsert", fail)
    with pytest.raises(StorageError):
        ingest_apstar([path])
    monkeypatch.undo()

    assert Spectrum.select().count() == Source.select().count() == 0


def test_no_files_at_all_are_said(db, tmp_path, caplog):
    counts = ingest_apstar(tmp_path)

    assert counts.seen == 0
    assert f"no apStar or asStar file in {tmp_path}" in caplog.text
