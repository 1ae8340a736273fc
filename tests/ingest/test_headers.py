"""What a header says, also a strange one, and what a name says where no header can be read."""

import os
import subprocess
import sys

import pytest
from astropy.io import fits

from astra.errors import UsageError
from astra.ingest.headers import read_record

OBJ = "2M06154934-0100415"


def test_a_real_header(apstar_files):
    path = next(path for path in apstar_files if "r6-2M06154934" in path.name)

    record = read_record(path)

    assert record.product.product_id == f"apstar/dr13/r6/apo25m/210-08/{OBJ}/ap/s"
    assert record.product.location_id == 4123
    assert (record.sdss_id, record.apogee_id, record.path) == (None, OBJ, str(path))
    assert (record.star["k_mag"], record.star["e_k_mag"], record.star["ra"]) == (12.541, None, 93.955603)
    assert record.spectrum == {
        "n_visits": 6,
        "snr": 58.6237,
        "spectrum_flags": 131588,
        "v_rad": -18.3761,
        "e_v_rad": 0.0424222,
    }
    assert len(record.digest) == 32


def test_cards_without_a_value_say_nothing(apstar):
    path = apstar("apStar-dr17-X.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["K"] = None
        hdus[0].header["FIELD"] = fits.card.UNDEFINED

    record = read_record(path)

    assert (record.star["k_mag"], record.star["j_mag"], record.product.field) == (None, 11.0, "")


def test_a_card_that_is_no_fits_says_nothing(apstar):
    path = apstar("apStar-dr17-X.fits", SNR=55.0)
    content = path.read_bytes()
    place = content.index(b"SNR     =")
    path.write_bytes(content[:place] + b"SNR     = 'a'b'c".ljust(80) + content[place + 80 :])

    record = read_record(path)

    assert record.spectrum["snr"] is None
    assert record.star["k_mag"] == 10.0


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ({"STARFLAG": -1}, "spectrum_flags", None),
        ({"NVISITS": 10**12}, "n_visits", None),
        ({"VHELIO": None, "VHBARY": 5.5}, "v_rad", 5.5),
        ({"VHELIO": 999999.0, "VHBARY": 5.5}, "v_rad", 5.5),
        ({"VRAD": 7.0}, "v_rad", None),
        ({"VERR": 0.0}, "e_v_rad", None),
        ({"SNR": "NaN"}, "snr", None),
    ],
)
def test_values_of_the_spectrum(apstar, header, name, value):
    assert read_record(apstar("apStar-dr17-X.fits", **header)).spectrum[name] == value


@pytest.mark.parametrize("sdss_id", [0, -1, -999, "", None])
def test_a_filler_is_no_sdss_id(apstar, sdss_id):
    assert read_record(apstar("apStar-dr17-X.fits", SDSS_ID=sdss_id)).sdss_id is None


def test_another_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not named like an apStar or asStar file"):
        read_record(tmp_path / "notes.fits")


SCRIPT = """
import sys
from astra.ingest.headers import read_record
record = read_record(sys.argv[1])
print(record.readable, record.product.product_id)
"""


def test_a_file_that_may_not_be_read_is_described_by_its_name(apstar, open_tmp_path, ordinary_user):
    path = open_tmp_path / "apStar-dr17-X.fits"
    path.write_bytes(apstar("apStar-dr17-X.fits").read_bytes())
    os.chmod(path, 0)

    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, path],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        **ordinary_user,
    )

    assert ran.stdout == "False apstar/dr17/dr17/apo25m//X/ap/s\n"
    assert f"Permission denied: {path}" in ran.stderr
