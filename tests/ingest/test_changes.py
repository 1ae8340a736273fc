"""What makes a spectrum modified, and what does not."""

from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar


def test_changed_pixels_make_a_spectrum_modified_and_no_other(db, apstar, made_old):
    files = [apstar(f"apStar-dr17-{name}.fits", OBJID=name) for name in "AB"]
    ingest_apstar(files)
    made_old()
    apstar("apStar-dr17-B.fits", level=101.0, OBJID="B")

    counts = ingest_apstar(files)

    assert (counts.spectra_updated, counts.spectra_unchanged, counts.sources_updated) == (1, 1, 0)
    moved = {row.obj: row.modified.year > 2020 for row in ApogeeCoaddedSpectrumInApStar.select()}
    assert moved == {"A": False, "B": True}


def test_a_moved_file_is_found_again_and_is_not_modified(db, apstar, the_spectrum, made_old):
    path = apstar("old/apStar-dr17-X.fits")
    ingest_apstar([path])
    made_old()
    moved = path.parent.parent / path.name
    path.rename(moved)

    counts = ingest_apstar([moved])

    assert counts.spectra_unchanged == 1
    assert (the_spectrum().path, the_spectrum().modified.year) == (str(moved), 2020)


def test_pixels_that_become_known_are_a_change(db, apstar, the_spectrum, made_old):
    path = apstar("apStar-dr17-X.fits")
    ingest_apstar([path])
    known = the_spectrum().pixels_digest
    ApogeeCoaddedSpectrumInApStar.update(pixels_digest=None).execute()
    made_old()

    counts = ingest_apstar([path])

    row = the_spectrum()
    assert (counts.spectra_updated, row.pixels_digest) == (1, known)
    assert row.modified.year > 2020


def test_two_copies_of_a_product_are_one_and_the_last_path_counts(db, apstar, the_spectrum):
    files = [apstar(f"{folder}/apStar-dr17-X.fits") for folder in "ab"]

    counts = ingest_apstar(reversed(files))

    assert (counts.seen, counts.spectra_new, counts.spectra_unchanged) == (2, 1, 1)
    assert the_spectrum().path == str(files[1])


def test_two_copies_that_differ_are_said(db, apstar, caplog):
    ingest_apstar([apstar("a/apStar-dr17-X.fits"), apstar("b/apStar-dr17-X.fits", level=1.0)])

    assert "the same product with other pixels" in caplog.text
