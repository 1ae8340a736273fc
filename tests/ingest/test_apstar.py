"""``ingest_apstar``: what becomes of files, on both databases."""

import itertools
import os
import threading
from datetime import datetime

import numpy as np
import pytest
from astropy.io import fits
from builders import a_result

from astra.errors import StorageError, UsageError
from astra.ingest import apstar as module
from astra.ingest import spectra as spectra_module
from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum

OBJ = "2M06154934-0100415"


def _spectra():
    return {row.product_id: row for row in ApogeeCoaddedSpectrumInApStar.select()}


def _the_spectrum():
    (row,) = ApogeeCoaddedSpectrumInApStar.select()
    return row


def _the_source():
    (row,) = Source.select()
    return row


def _modified(model):
    return dict(model.select(model.pk, model.modified).tuples())


def _made_old():
    """Set all times back, so that a change is seen whatever the clock's resolution."""
    for model in (Source, ApogeeCoaddedSpectrumInApStar):
        model.update(modified=datetime(2020, 1, 1)).execute()


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
    blank_in_the_table = Source.get(sdss4_apogee_id="2M03122509+0021585")
    assert np.isnan(blank_in_the_table.ebv)


def test_repeating_modifies_nothing(db, apstar_files, targets):
    ingest_apstar(apstar_files, catalog=targets)
    _made_old()
    before = _modified(Source), _modified(ApogeeCoaddedSpectrumInApStar)

    counts = ingest_apstar(apstar_files, catalog=targets)

    assert (counts.spectra_unchanged, counts.sources_unchanged) == (22, 21)
    assert counts.spectra_new == counts.spectra_updated == counts.sources_new == counts.sources_updated == 0
    assert (_modified(Source), _modified(ApogeeCoaddedSpectrumInApStar)) == before
    assert Spectrum.select().count() == 22


def test_a_changed_magnitude_in_the_catalogue_updates_that_star_only(db, apstar_files, targets, tmp_path):
    ingest_apstar(apstar_files, catalog=targets)
    _made_old()
    changed = tmp_path / "changed.csv"
    changed.write_text(targets.read_text().replace(",9.347,", ",9.5,"))

    counts = ingest_apstar(apstar_files, catalog=changed)

    assert (counts.sources_updated, counts.spectra_updated) == (1, 0)
    moved = Source.select().where(Source.modified > datetime(2021, 1, 1))
    assert [(row.sdss4_apogee_id, row.k_mag) for row in moved] == [("2M17334253-1654573", 9.5)]


def test_batches_do_not_show(db, apstar_files, targets, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    progress = []

    counts = ingest_apstar(apstar_files, catalog=targets, on_progress=lambda *done: progress.append(done))

    assert (counts.seen, counts.spectra_new, counts.sources_new, counts.catalog_matched) == (22, 22, 21, 21)
    assert progress == [(number, 22) for number in range(1, 23)]


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


def test_the_catalogue_goes_before_headers_that_come_later(db, apstar, table):
    catalog = table("targets.csv", [{"apogee_id": OBJ, "k_mag": 9.0, "h_mag": ""}])
    ingest_apstar([apstar("apStar-r5-X.fits", K=12.0, H=12.5)], catalog=catalog)

    ingest_apstar([apstar("apStar-dr17-X.fits", K=17.0, H=17.5, J=18.0)])

    star = _the_source()
    assert (star.k_mag, star.h_mag, star.j_mag) == (9.0, 17.5, 18.0)


def test_extinction_in_a_header_is_not_used(db, apstar):
    ingest_apstar([apstar("apStar-r8-X.fits", AKTARG=0.05, SFD_EBV=0.2)])

    assert np.isnan(_the_source().ebv)


# > Products


def test_commissioning_data_are_a_product_of_their_own_of_the_same_star(db, apstar):
    counts = ingest_apstar([apstar("apStar-r5-X.fits"), apstar("apStarC-r5-X.fits")])

    assert (counts.spectra_new, counts.sources_new) == (2, 1)
    assert sorted(row.commissioning for row in _spectra().values()) == [False, True]


def test_an_sdss_5_file(db, apstar):
    header = dict.fromkeys(("J", "H", "K", "FIELD", "TELESCOP"))
    header |= {"KMAG": 9.1, "KERR": 0.02, "HMAG": "NaN", "VHBARY": -12.5, "VERR": 0.0, "HEALPIX": 103456}
    header |= {"SDSS_ID": 71234567, "APRED": "1.3", "V_APRED": "8f2c1aa"}
    path = apstar(f"1.3/stars/lco25m/103/103456/apStar-1.3-lco25m-{OBJ}.fits", **header)

    ingest_apstar([path.parent], release="sdss5")

    row, star = _the_spectrum(), _the_source()
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


def test_a_star_without_any_name_has_no_source(db, apstar):
    ingest_apstar([apstar("apStar-dr17-none.fits", OBJID=" ")])

    assert _the_spectrum().source is None
    assert Source.select().count() == 0


def test_a_name_that_is_no_text_is_registered(db, apstar):
    path = apstar("apStar-dr17-X.fits", OBJID=None)
    strange = os.fsencode(path).replace(b"X.fits", b"\xff.fits")
    os.rename(path, strange)

    counts = ingest_apstar([path.parent])

    assert counts.spectra_new == 1
    assert _the_spectrum().obj == r"\udcff"


# > What counts as a change


def test_changed_pixels_make_a_spectrum_modified_and_no_other(db, apstar):
    files = [apstar(f"apStar-dr17-{name}.fits", OBJID=name) for name in "AB"]
    ingest_apstar(files)
    _made_old()
    apstar("apStar-dr17-B.fits", level=101.0, OBJID="B")

    counts = ingest_apstar(files)

    assert (counts.spectra_updated, counts.spectra_unchanged, counts.sources_updated) == (1, 1, 0)
    moved = {row.obj: row.modified.year > 2020 for row in _spectra().values()}
    assert moved == {"A": False, "B": True}


def test_a_moved_file_is_found_again_and_is_not_modified(db, apstar):
    path = apstar("old/apStar-dr17-X.fits")
    ingest_apstar([path])
    _made_old()
    moved = path.parent.parent / path.name
    path.rename(moved)

    counts = ingest_apstar([moved])

    assert counts.spectra_unchanged == 1
    assert (_the_spectrum().path, _the_spectrum().modified.year) == (str(moved), 2020)


def test_pixels_that_become_known_are_no_change(db, apstar):
    path = apstar("apStar-dr17-X.fits")
    ingest_apstar([path])
    known = _the_spectrum().pixels_digest
    ApogeeCoaddedSpectrumInApStar.update(pixels_digest=None).execute()
    _made_old()

    counts = ingest_apstar([path])

    row = _the_spectrum()
    assert (counts.spectra_unchanged, row.pixels_digest, row.modified.year) == (1, known, 2020)


def test_two_copies_of_a_product_are_one_and_the_last_path_counts(db, apstar):
    files = [apstar(f"{folder}/apStar-dr17-X.fits") for folder in "ab"]

    counts = ingest_apstar(reversed(files))

    assert (counts.seen, counts.spectra_new, counts.spectra_unchanged) == (2, 1, 1)
    assert _the_spectrum().path == str(files[1])


def test_two_copies_that_differ_are_said(db, apstar, caplog):
    ingest_apstar([apstar("a/apStar-dr17-X.fits"), apstar("b/apStar-dr17-X.fits", level=1.0)])

    assert "the same product with other pixels" in caplog.text


# > Files that cannot be read


def _broken_link(path):
    path.symlink_to(path.parent / "gone")


def _truncated(path):
    path.write_bytes(path.with_name("good").read_bytes()[:5000])


BROKEN = {
    "missing": _broken_link,
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("no FITS"),
    "truncated": _truncated,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_cannot_be_read_is_registered_from_its_name(db, apstar, caplog, kind, named):
    apstar("x/good")
    path = apstar("x/apStar-dr17-good.fits", OBJID="good").with_name(f"apStar-dr17-{OBJ}.fits")
    BROKEN[kind](path)

    counts = ingest_apstar([path] if named else [path.parent])

    assert (counts.unreadable, counts.spectra_new) == (1, 1 if named else 2)
    row = ApogeeCoaddedSpectrumInApStar.get(obj=OBJ)
    assert row.product_id == f"apstar/dr17/dr17/apo25m//{OBJ}/ap/s"
    assert (row.path, row.source.sdss4_apogee_id, row.pixels_digest) == (str(path), OBJ, None)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("registered from its name only")
    assert str(path) in message


def test_a_repaired_file_keeps_its_row(db, apstar):
    path = apstar("x/apStar-dr17-VESTA.fits", OBJID="2M1", FIELD="hip", TELESCOP="apo1m")
    whole = path.read_bytes()
    path.write_bytes(b"")
    ingest_apstar([path])
    spectrum = _the_spectrum()
    a_result(spectrum)
    _made_old()
    path.write_bytes(whole)

    counts = ingest_apstar([path])

    row = _the_spectrum()
    assert (counts.spectra_updated, counts.spectra_new) == (1, 0)
    assert row.spectrum_pk == spectrum.spectrum_pk
    assert (row.product_id, row.reduction) == ("apstar/dr17/dr17/apo1m/hip/2M1/ap/s", "VESTA")
    assert row.modified.year > 2020
    assert row.source.sdss4_apogee_id == "2M1"
    assert AstroNNdist.select().count() == 1


def test_a_file_that_breaks_later_keeps_what_was_known(db, apstar, table):
    path = apstar("x/apStar-dr17-VESTA.fits", OBJID="2M1", FIELD="hip", TELESCOP="apo1m")
    ingest_apstar([path])
    before = _the_spectrum().__data__
    path.write_bytes(b"")

    counts = ingest_apstar([path], catalog=table("t.csv", [{"apogee_id": "2M1", "ebv": 0.3}]))

    assert (counts.unreadable, counts.spectra_unchanged, counts.catalog_matched) == (1, 1, 1)
    assert _the_spectrum().__data__ == before
    assert _the_source().ebv == 0.3


def test_the_stale_row_of_a_file_goes_when_its_product_is_there_already(db, apstar):
    good = apstar("a/apStar-dr17-X.fits")
    ingest_apstar([good])
    copy = good.parent.parent / good.name
    copy.touch()
    ingest_apstar([copy])
    assert len(_spectra()) == 2
    copy.write_bytes(good.read_bytes())

    ingest_apstar([copy])

    assert _the_spectrum().path == str(copy)
    assert Spectrum.select().count() == 1


def test_damaged_pixels_behind_a_good_header_are_registered_without_them(db, apstar, caplog):
    path = apstar("apStar-dr17-X.fits", SNR=55.0)
    header = fits.getheader(path)
    fits.HDUList([fits.PrimaryHDU(header=header), fits.ImageHDU(np.zeros(10))]).writeto(path, overwrite=True)

    counts = ingest_apstar([path])

    assert (counts.spectra_new, counts.unreadable) == (1, 0)
    assert (_the_spectrum().pixels_digest, _the_spectrum().snr) == (None, 55.0)
    assert "registered without its pixels" in caplog.text


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

    monkeypatch.setattr(spectra_module, "upsert", fail)
    with pytest.raises(StorageError):
        ingest_apstar([path])
    monkeypatch.undo()

    assert Spectrum.select().count() == Source.select().count() == 0


def test_no_files_at_all_are_said(db, tmp_path, caplog):
    counts = ingest_apstar(tmp_path)

    assert counts.seen == 0
    assert f"no apStar or asStar file in {tmp_path}" in caplog.text
