"""A file that cannot be read has a row all the same, and one row only when it can be read at last."""

from datetime import datetime

import numpy as np
import pytest
from astropy.io import fits
from builders import a_result, write_mwmstar

from astra.database.connection import now
from astra.ingest.apstar import ingest_apstar
from astra.ingest.catalog_alone import ingest_catalog
from astra.ingest.mwmstar import ingest_mwmstar
from astra.models import (
    ApogeeCoaddedSpectrumInApStar,
    ApogeeCombinedSpectrum,
    AstroNNdist,
    Source,
    Spectrum,
    TaskWithheld,
)
from astra.pipelines.astronn_dist import astronn_dist
from astra.system.side_by_side import ENOUGH
from astra.tasks.pending import Selection, count_pending

OBJ = "2M06154934-0100415"


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


def test_a_repaired_file_keeps_its_row(db, apstar, the_spectrum, made_old):
    path = apstar("x/apStar-dr17-VESTA.fits", OBJID="2M1", FIELD="hip", TELESCOP="apo1m")
    whole = path.read_bytes()
    path.write_bytes(b"")
    ingest_apstar([path])
    spectrum = the_spectrum()
    a_result(spectrum)
    made_old()
    path.write_bytes(whole)

    counts = ingest_apstar([path])

    row = the_spectrum()
    assert (counts.spectra_updated, counts.spectra_new) == (1, 0)
    assert row.spectrum_pk == spectrum.spectrum_pk
    assert (row.product_id, row.reduction) == ("apstar/dr17/dr17/apo1m/hip/2M1/ap/s", "VESTA")
    assert row.modified.year > 2020
    assert row.source.sdss4_apogee_id == "2M1"
    assert AstroNNdist.select().count() == 1


def test_a_file_that_breaks_later_keeps_what_was_known(db, apstar, table, the_spectrum, the_source):
    path = apstar("x/apStar-dr17-VESTA.fits", OBJID="2M1", FIELD="hip", TELESCOP="apo1m")
    ingest_apstar([path])
    before = the_spectrum().__data__
    path.write_bytes(b"")

    counts = ingest_apstar([path], catalog=table("t.csv", [{"apogee_id": "2M1", "ebv": 0.3}]))

    assert (counts.unreadable, counts.spectra_unchanged, counts.catalog_matched) == (1, 1, 1)
    assert the_spectrum().__data__ == before
    assert the_source().ebv == 0.3


def test_the_stale_row_of_a_file_goes_when_its_product_is_there_already(db, apstar, the_spectrum):
    good = apstar("a/apStar-dr17-X.fits")
    ingest_apstar([good])
    copy = good.parent.parent / good.name
    copy.touch()
    ingest_apstar([copy])
    assert Spectrum.select().count() == 2
    stale = ApogeeCoaddedSpectrumInApStar.get(path=str(copy)).spectrum_pk
    TaskWithheld.create(task="astronn_dist", spectrum_pk=stale, reason="x", tried=now(db))
    copy.write_bytes(good.read_bytes())

    ingest_apstar([copy])

    assert the_spectrum().path == str(copy)
    assert (Spectrum.select().count(), TaskWithheld.select().count()) == (1, 0)


def test_the_name_of_a_broken_file_finds_no_other_star_in_the_catalogue(
    db, apstar, table, the_spectrum, the_source
):
    path = apstar("x/apStar-dr17-VESTA.fits", OBJID="2M1", FIELD="hip", TELESCOP="apo1m")
    ingest_apstar([path])
    path.write_bytes(b"")

    ingest_apstar([path], catalog=table("t.csv", [{"apogee_id": "VESTA", "ebv": 0.3}]))

    assert the_source().sdss4_apogee_id == the_spectrum().source.sdss4_apogee_id == "2M1"
    assert np.isnan(the_source().ebv)


def _wrong_shape(path):
    content = [fits.PrimaryHDU(header=fits.getheader(path)), fits.ImageHDU(np.zeros(10))]
    fits.HDUList(content).writeto(path, overwrite=True)


def _cut_short(path):
    path.write_bytes(path.read_bytes()[: 4 * 2880])


DAMAGES = [_wrong_shape, _cut_short]


def test_damaged_pixels_behind_a_good_header_are_registered_without_them(db, apstar, caplog, the_spectrum):
    path = apstar("apStar-dr17-X.fits", SNR=55.0)
    _wrong_shape(path)

    counts = ingest_apstar([path])

    assert (counts.spectra_new, counts.unreadable) == (1, 0)
    assert (the_spectrum().pixels_digest, the_spectrum().snr) == (None, 55.0)
    assert "registered without its pixels" in caplog.text


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_whose_pixels_are_repaired_is_pending_again(db, apstar, the_spectrum, made_old, damage):
    path = apstar("apStar-dr17-X.fits")
    whole = path.read_bytes()
    damage(path)
    ingest_apstar([path])
    made_old()
    a_result(the_spectrum(), flag_no_result=True, inputs_read=datetime(2020, 1, 2))
    path.write_bytes(whole)

    counts = ingest_apstar([path])

    assert counts.spectra_updated == 1
    assert count_pending(Selection(astronn_dist)) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_pixels_that_break_and_are_the_same_again_are_no_change(db, apstar, the_spectrum, made_old, damage):
    path = apstar("apStar-dr17-X.fits")
    whole = path.read_bytes()
    ingest_apstar([path])
    known = the_spectrum().pixels_digest
    made_old()

    for change in (lambda: damage(path), lambda: path.write_bytes(whole)):
        change()
        ingest_apstar([path])

        assert (the_spectrum().pixels_digest, the_spectrum().modified.year) == (known, 2020)


# > Texts of headers: no column has a length, but an index of PostgreSQL has one

# Of random characters, since PostgreSQL compresses others.
LONG = "".join(np.random.default_rng(3).choice(list("abcdefghijklmnopqrstuvwxyz0123456789"), 9000))


@pytest.mark.parametrize("keyword", ["FIELD", "OBJID", "TELESCOP", "PH_QUAL"])
@pytest.mark.parametrize("length", [201, 3000, 9000])
def test_a_text_that_is_too_long_is_refused_for_its_file_alone(db, apstar, caplog, keyword, length):
    good = apstar("x/apStar-dr17-2M1.fits", OBJID="2M1")
    apstar("x/apStar-dr17-2M2.fits", **{"OBJID": "2M2", keyword: LONG[:length]})

    counts = ingest_apstar([good.parent])

    assert (counts.spectra_new, counts.unreadable) == (2, 1)
    assert sorted(row.obj for row in ApogeeCoaddedSpectrumInApStar.select()) == ["2M1", "2M2"]
    assert f"damaged: {keyword} has {length:,} characters, more than 200: " in caplog.text


@pytest.mark.parametrize("where", ["card", "column"])
def test_in_an_mwmstar_file_too(db, tmp_path, caplog, where):
    write_mwmstar(tmp_path / "mwmStar-0.6.0-1.fits", {"sdss_id": 1}, header={"SDSS_ID": 1})
    row, cards = ({"obj": LONG}, {}) if where == "column" else ({}, {"APOGEEID": LONG})
    write_mwmstar(tmp_path / "mwmStar-0.6.0-2.fits", {"sdss_id": 2, **row}, header={"SDSS_ID": 2, **cards})

    counts = ingest_mwmstar(tmp_path)

    assert (counts.spectra_new, counts.unreadable) == (1, 1)
    assert ApogeeCombinedSpectrum.select().count() == 1
    assert "has 9,000 characters" in caplog.text


def test_a_version_that_is_damaged_is_refused_for_its_file_alone(db, tmp_path, caplog):
    for number, version in enumerate(("0.6.0", "\x01.6.0", "0.2.0"), start=1):
        path = tmp_path / f"mwmStar-0.6.0-{number}.fits"
        write_mwmstar(path, {"sdss_id": number, "v_astra": version}, header={"SDSS_ID": number})

    counts = ingest_mwmstar(tmp_path)

    assert (counts.spectra_new, counts.unreadable) == (1, 2)
    assert "damaged: its version is '0.2.0', and 0.6.0 in its name: " in caplog.text


def test_in_a_table_such_a_text_counts_as_absent_and_that_is_said(db, apstar, table, caplog, the_source):
    ingest_apstar([apstar("apStar-dr17-2M1.fits", OBJID="2M1")])
    rows = [{"apogee_id": "2M1", "ph_qual": LONG[:300], "k_mag": 9.5}, {"apogee_id": LONG, "k_mag": 9.0}]

    ingest_catalog(table("t.csv", rows))

    assert (the_source().k_mag, the_source().ph_qual) == (9.5, None)
    assert "values have more than 200 characters and count as absent" in caplog.text


@pytest.mark.parametrize("raw", [b"a\0b", b"a\xff\xfeb", b"a\xed\xa0\x80b", b"a\x1b[31mb"])
@pytest.mark.parametrize("keyword", ["FIELD", "OBJID", "PH_QUAL"])
def test_bytes_in_a_header_that_are_no_text_stop_no_batch(db, apstar, keyword, raw):
    good = apstar("x/apStar-dr17-2M1.fits", OBJID="2M1", PH_QUAL="AAA")
    bad = apstar("x/apStar-dr17-2M2.fits", **{"OBJID": "2M2", "PH_QUAL": "AAA", keyword: "XXXXXXXX"})
    bad.write_bytes(bad.read_bytes().replace(b"XXXXXXXX", raw.ljust(8), 1))

    counts = ingest_apstar([good.parent])

    assert counts.spectra_new == Source.select().count() == 2


def test_several_processes_register_what_one_does_and_say_the_same(db, apstar, caplog):
    paths = [apstar(f"apStar-dr17-2M{number:08d}+1.fits", OBJID=f"2M{number:08d}+1") for number in range(4)]
    paths += [paths[0].with_name(f"apStar-dr17-2M{number:08d}+2.fits") for number in range(ENOUGH)]
    for path in paths[4:]:
        path.write_text("no FITS")
    said, seen = [], []

    for processes in 1, 2:
        caplog.clear()
        counts = ingest_apstar(paths[0].parent, processes=processes)
        rows = ApogeeCoaddedSpectrumInApStar.select().order_by(ApogeeCoaddedSpectrumInApStar.product_id)
        seen.append((counts.seen, counts.unreadable, [(row.product_id, row.pixels_digest) for row in rows]))
        said.append(caplog.messages)
        for model in ApogeeCoaddedSpectrumInApStar, Spectrum, Source:
            model.delete().execute()

    assert seen[0] == seen[1]
    assert said[0] == said[1]
    assert len(said[0]) == ENOUGH
