"""Headers that lie about sizes are found out at once, before astropy believes them."""

import io

import pytest
from astropy.io import fits
from builders import write_apstar
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.errors import UnreadableSpectrum
from astra.spectra.fits_structure import BLOCK, structure_of


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a good file."""
    return write_apstar(tmp_path_factory.mktemp("fits") / "good.fits").read_bytes()


def _with_card(content, keyword, value, hdu):
    """The file with another value in a card of one HDU; each image here has its cards once."""
    position = -1
    for _ in range(hdu + 1):
        position = content.index(f"{keyword:<8}= ".encode(), position + 1)
    return content[: position + 10] + f"{value:>20}".encode() + content[position + 30 :]


def test_the_data_of_each_hdu_are_found(content, apstars):
    for whole in (content, *(path.read_bytes() for path in apstars)):
        found = structure_of(io.BytesIO(whole), "good.fits")

        with fits.open(io.BytesIO(whole)) as hdus:
            assert [hdu.start for hdu in found] == [hdu.fileinfo()["datLoc"] for hdu in hdus]
            assert [hdu.size for hdu in found] == [hdu.size for hdu in hdus]
            shapes = [hdu.shape if hdu.is_image else None for hdu in hdus]
            assert [hdu.shape for hdu in found] == shapes


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("NAXIS", -1),
        ("NAXIS", 5),
        ("NAXIS", 123456789),
        ("NAXIS", "two"),
        ("BITPIX", 7),
        ("BITPIX", -32000),
        ("NAXIS1", -8575),
        ("NAXIS1", 10**15),
        ("NAXIS2", -4),
        ("PCOUNT", -100000),
        ("GCOUNT", -1),
        ("GCOUNT", 0),
    ],
)
def test_a_card_that_cannot_be_true_is_refused(content, keyword, value):
    hdu = 1 if keyword in ("NAXIS", "BITPIX") else 0

    with pytest.raises(UnreadableSpectrum, match=r"^(damaged|truncated|not a readable FITS file): .*x\.fits"):
        structure_of(io.BytesIO(_with_card(content, keyword, value, hdu)), "x.fits")


@pytest.mark.parametrize("size", [1, 80, BLOCK - 1, BLOCK, 5 * BLOCK + 7])
def test_a_file_that_ends_too_early_or_too_late_is_refused(content, size):
    for changed in (content[:-size], content + bytes(size)):
        with pytest.raises(UnreadableSpectrum, match=r"x\.fits"):
            structure_of(io.BytesIO(changed), "x.fits")


@given(st.lists(st.tuples(st.integers(0, 7 * 80), st.sampled_from(b"0123456789-+ .TE\x00\xff")), min_size=1))
@settings(max_examples=300)
def test_damaged_headers_are_walked_in_finite_time(content, flips):
    damaged = bytearray(content)
    start = content.index(b"XTENSION")
    for position, value in flips:
        damaged[start + position] = value

    try:
        structure_of(io.BytesIO(damaged), "x.fits")
        reason = ""
    except UnreadableSpectrum as error:
        reason = str(error)

    assert "\n" not in reason
