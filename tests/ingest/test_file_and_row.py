"""The same product from a file and from a row of a table is one row, whichever comes first."""

import pytest

from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar, Spectrum

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
    assert (star.k_mag, star.ebv, star.j_mag) == (12.541, 0.442, 11.0)
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


# > Disagreements: one file is one spectrum

SDSS5 = {"J": None, "H": None, "K": None, "FIELD": None, "TELESCOP": None, "APRED": "1.3"}
ROW5 = {
    "file": f"apStar-1.3-apo25m-{OBJ}.fits",
    "apogee_id": OBJ,
    "telescope": "apo25m",
    "healpix": 103456,
    "snr": 9.0,
}


@pytest.fixture
def disagreeing(apstar, table, tmp_path, monkeypatch):
    """A file whose header names another HEALPix pixel than its folder and its row of the table."""
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    folder = "dr19/spectro/apogee/redux/1.3/stars/apo25m/103/103456"
    file = apstar(f"{folder}/apStar-1.3-apo25m-{OBJ}.fits", **SDSS5, HEALPIX=103457)
    return {
        "file": lambda: ingest_apstar([file], release="dr19"),
        "row": lambda: ingest_allstar(table("t.fits", [ROW5]), release="dr19"),
    }


@pytest.mark.parametrize("order", [("file", "row"), ("row", "file"), ("row", "file", "row", "file")])
def test_a_file_about_which_header_folder_and_table_disagree_is_one_spectrum(
    db, disagreeing, order, the_spectrum, caplog
):
    for kind in order:
        disagreeing[kind]()

    assert the_spectrum().product_id == f"apstar/dr19/1.3/apo25m/103457/{OBJ}/ap/s"
    assert Spectrum.select().count() == 1
    assert "header, folder and table disagree; files: 1; the header counts" in caplog.text


def test_a_disagreement_is_said_once_for_all_files(db, apstar, caplog):
    files = [
        apstar(f"stars/apo25m/M{number}/apStar-dr17-{number}.fits", FIELD="M67", OBJID=str(number))
        for number in range(3)
    ]

    ingest_apstar(files)

    assert caplog.messages == [
        "header, folder and table disagree; files: 3; the header counts, then the table; e.g. "
        f"{files[0]}: field M67, not M0"
    ]


def test_a_file_that_took_the_place_of_another_product_leaves_that_one_without_a_path(db, apstar):
    first = apstar(f"a/apStar-dr17-{OBJ}.fits", FIELD="A")
    second = apstar(f"b/apStar-dr17-{OBJ}.fits", FIELD="B", level=1.0)
    ingest_apstar([first, second])
    second.write_bytes(first.read_bytes())
    first.unlink()

    ingest_apstar([second])

    paths = {row.field: row.path for row in ApogeeCoaddedSpectrumInApStar.select()}
    assert paths == {"A": str(second), "B": None}


def test_two_rows_of_a_table_with_one_file_are_one_spectrum_also_with_that_file(
    db, both, table, the_spectrum
):
    rows = table("two.fits", [ROW | {"FIELD": "OTHER"}, ROW | {"FIELD": "THIRD"}])

    for ingest in (lambda: ingest_allstar(rows), both["file"], lambda: ingest_allstar(rows), both["file"]):
        ingest()
        assert Spectrum.select().count() == 1

    assert the_spectrum().product_id == f"apstar/dr12/r5/apo25m/210-08/{OBJ}/ap/s"
