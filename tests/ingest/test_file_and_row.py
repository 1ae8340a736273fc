"""The same product from a file and from a row of a table is one row, whichever comes first."""

import pytest

from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.models import Spectrum

OBJ = "2M06154934-0100415"
ROW = {
    "FILE": f"apStar-r5-{OBJ}.fits",
    "APOGEE_ID": OBJ,
    "TELESCOPE": "apo25m",
    "LOCATION_ID": 4123,
    "FIELD": "210-08",
    "COMMISS": 0,
    "K": 12.541,
    "SFD_EBV": 0.5,
    "SNR": 58.6237,
    "STARFLAG": 512,
}


@pytest.fixture
def both(apstar, table, tmp_path, monkeypatch):
    """A file where it was published, and its row of the table."""
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    header = {"FIELD": "210-08", "LOCID": 4123, "K": 12.541, "SNR": 58.6237, "NVISITS": 6, "STARFLAG": 131588}
    path = "dr12/apogee/spectro/redux/r5/stars/apo25m/4123"
    file = apstar(f"{path}/apStar-r5-{OBJ}.fits", **header, VHELIO=-18.3761, VERR=0.0424222)
    return {"file": lambda: ingest_apstar([file]), "row": lambda: ingest_allstar(table("t.fits", [ROW]))}


@pytest.mark.parametrize("order", [("file", "row"), ("row", "file")])
def test_a_file_and_a_row_are_one_product_whichever_comes_first(db, both, order, the_spectrum, the_source):
    for kind in order:
        both[kind]()

    row, star = the_spectrum(), the_source()
    assert row.product_id == f"apstar/dr12/r5/apo25m/210-08/{OBJ}/ap/s"
    assert row.path == f"dr12/apogee/spectro/redux/r5/stars/apo25m/4123/apStar-r5-{OBJ}.fits"
    assert (row.snr, row.spectrum_flags, row.v_rad) == (58.6237, 131588, -18.3761)
    assert row.pixels_digest is not None
    assert (star.k_mag, star.ebv, star.j_mag) == (12.541, 0.5, 11.0)
    assert Spectrum.select().count() == 1


def test_ingesting_both_again_modifies_nothing(db, both, made_old, modified):
    both["row"]()
    both["file"]()
    made_old()
    before = modified()

    counts = [both[kind]() for kind in ("row", "file", "row")]

    assert modified() == before
    assert all(count.spectra_unchanged == count.sources_unchanged == 1 for count in counts)


def test_a_file_elsewhere_keeps_its_path_when_its_row_comes(db, apstar, table, the_spectrum):
    path = apstar(f"flat/apStar-r5-{OBJ}.fits", FIELD="210-08")
    ingest_apstar([path])

    ingest_allstar(table("t.fits", [ROW]))

    assert the_spectrum().path == str(path)


def test_another_root_moves_the_spectra_of_a_table(db, table, tmp_path, the_spectrum):
    ingest_allstar(table("t.fits", [ROW]))

    counts = ingest_allstar(table("t.fits", [ROW]), spectra_root=tmp_path / "mirror")

    assert counts.spectra_updated == 1
    assert the_spectrum().path.startswith(str(tmp_path / "mirror/dr12/"))


def test_a_file_known_by_its_name_only_gets_the_identity_that_its_row_has(
    db, apstar, table, tmp_path, monkeypatch, the_spectrum
):
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    path = apstar(f"dr12/apogee/spectro/redux/r5/stars/apo25m/4123/apStar-r5-{OBJ}.fits")
    path.write_bytes(b"")
    ingest_apstar([path])

    counts = ingest_allstar(table("t.fits", [ROW]))

    assert counts.spectra_updated == 1
    assert the_spectrum().product_id == f"apstar/dr12/r5/apo25m/210-08/{OBJ}/ap/s"
