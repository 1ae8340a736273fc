"""Images compressed in tiles are read like others, and what they claim is held against the standard."""

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits
from builders import write_apstar
from fits_fuzzer import TILINGS, tiled

from astra.errors import UnreadableSpectrum
from astra.spectra.apstar import read_combined
from astra.spectra.grid import N_GRID

SIDES = {"ZNAXIS1": N_GRID, "ZNAXIS2": 4, "ZTILE1": N_GRID, "ZTILE2": 1}


@pytest.fixture
def plain(tmp_path):
    """A file whose images are not compressed."""
    return write_apstar(tmp_path / "plain.fits")


def _written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("tiling", TILINGS, ids=lambda tiling: "-".join(map(str, tiling.values())))
def test_a_compressed_file_reads_like_the_file(plain, tmp_path, tiling):
    read = read_combined(_written(tmp_path / "a.fits", tiled(plain.read_bytes(), **tiling)))

    original = read_combined(plain)
    assert np.allclose(read.flux, original.flux, atol=0.2)
    assert np.allclose(read.e_flux, original.e_flux, atol=0.2)
    assert np.array_equal(read.pixel_flags, original.pixel_flags)


def _with_cards(content, cards):
    """The file with other values in cards of its first compressed image."""
    begin = content.index(b"XTENSION")
    for keyword, value in cards.items():
        place = content.index(f"{keyword:<8}= ".encode(), begin)
        content = content[:place] + f"{keyword:<8}= {value:>20}".ljust(80).encode() + content[place + 80 :]
    return content


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"ZNAXIS2": 2**30, "ZTILE2": 2**30}, "claims tiles of 1073741824 x 8575 pixels"),
        ({"ZNAXIS2": 1004, "ZTILE2": 1004}, "claims tiles of 1004 x 8575 pixels"),
        ({"ZTILE1": 0}, "claims tiles of 1 x 0 pixels"),
        ({"ZTILE2": -1}, "claims tiles of -1 x 8575 pixels"),
        ({"ZVAL1": 0}, "claims BLOCKSIZE = 0"),
        ({"ZVAL1": 10**9}, "claims BLOCKSIZE = 1000000000"),
        ({"ZVAL2": 8}, "claims BYTEPIX = 8"),
        ({"ZVAL2": 10**6}, "claims BYTEPIX = 1000000"),
        ({"ZDITHER0": -5}, "claims ZDITHER0 = -5"),
        ({"ZDITHER0": 10**9}, "claims ZDITHER0 = 1000000000"),
        ({"TFIELDS": 2**31}, "claims 2147483648 columns"),
        ({"ZNAXIS1": 2**40}, "is (4, 1099511627776), not (n, 8575)"),
    ],
    ids=str,
)
def test_a_claim_that_no_decoder_can_bear_is_refused(plain, tmp_path, cards, reason):
    content = tiled(plain.read_bytes(), compression_type="RICE_1", quantize_method=1, dither_seed=42)
    path = _written(tmp_path / "a.fits", _with_cards(content, cards))

    with pytest.raises(UnreadableSpectrum) as caught:
        read_combined(path)

    assert f"HDU 1 of {path} {reason}" in str(caught.value)


def _of_one_tile(path, kind, tile, form="1PB", **cards):
    """A file of three images of the same tile."""
    column = np.empty(1, object)
    column[0] = tile
    table = fits.BinTableHDU.from_columns([fits.Column("COMPRESSED_DATA", form, array=column)])
    header = {"ZIMAGE": True, "ZBITPIX": 32, "ZNAXIS": 2, "ZCMPTYPE": kind, **SIDES, "ZNAXIS2": 1} | cards
    table.header.update(header)
    fits.HDUList([fits.PrimaryHDU(), *(table.copy() for _ in range(3))]).writeto(path)
    return path


@pytest.mark.parametrize("kind", ["GZIP_1", "GZIP_2"])
def test_a_tile_that_grows_beyond_its_pixels_is_given_up(tmp_path, kind):
    stream = np.frombuffer(gzip.compress(bytes(10_000_000)), np.uint8)

    with pytest.raises(UnreadableSpectrum, match="^too large: HDU 1 of .* more than 68,600 bytes"):
        read_combined(_of_one_tile(tmp_path / "a.fits", kind, stream))


def test_a_tile_of_other_sides_than_its_header_says_is_refused(tmp_path):
    stream = np.frombuffer(b"\xdd\x99" + np.array([4000, 8575], ">i4").tobytes() + bytes(100), np.uint8)
    sides = {"ZNAXIS2": 4, "ZTILE2": 4}

    with pytest.raises(UnreadableSpectrum, match="claims 4000 x 8575 pixels in a tile of 4 x 8575"):
        read_combined(_of_one_tile(tmp_path / "a.fits", "HCOMPRESS_1", stream, **sides))


@pytest.mark.parametrize("words", [[0, 7, -100, 0, 30000, 0], [0, 7, 30000, 0, 0, 0], [0, -9, 2, 0, 0, 0]])
def test_a_list_longer_than_its_tile_is_refused(tmp_path, words):
    with pytest.raises(UnreadableSpectrum, match="^damaged: HDU 1 of .* words in a tile of"):
        read_combined(_of_one_tile(tmp_path / "a.fits", "PLIO_1", np.array(words, np.int16), "1PI"))


@pytest.mark.parametrize(("count", "offset"), [(-1, 0), (2**31 - 1, 0), (100, 2**31 - 1), (100, -100)])
def test_a_tile_outside_of_its_table_is_refused(plain, tmp_path, count, offset):
    content = bytearray(tiled(plain.read_bytes(), compression_type="RICE_1"))
    with fits.open(io.BytesIO(content)) as hdus:
        place = hdus[1].fileinfo()["datLoc"]
    content[place : place + 8] = np.array([count, offset], ">i4").tobytes()

    with pytest.raises(UnreadableSpectrum, match="^damaged: HDU 1 of .* elements at byte .* for a tile"):
        read_combined(_written(tmp_path / "a.fits", content))
