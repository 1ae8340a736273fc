"""Whether an image that is compressed in tiles can be unpacked within bounds, found out before it is tried.

The length of a file bounds neither such an image nor its tiles, and the decoders, which are written in C,
believe what they are told: the bytes of a pixel, the sides of a tile, a place in a table of random numbers.
What a damaged header or tile could tell them is compared with the standard here (FITS standard 4.0,
section 10).
"""

import math
import struct
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from astra.errors import UnreadableSpectrum
from astra.spectra.content import unpacked

if TYPE_CHECKING:
    from astropy.io.fits import CompImageHDU, Header

#: Pixels that are unpacked together: a thousand rows of an apStar image.
MAX_PIXELS = 8_600_000
_WIDEST_PIXEL = 8
_RICE = {"bytepix": (1, 2, 4), "blocksize": (16, 32)}
_SEEDS = range(1, 10_001)
# Bytes of one element of a tile, by the last letter of the format of its column.
_WIDTHS = {"B": 1, "I": 2, "J": 4}


def check_tiles(hdu: "CompImageHDU", file: BinaryIO, what: str) -> None:
    """Check what the first row of an image is unpacked from.

    Args:
        hdu: The image, not empty.
        file: The file that holds it.
        what: What messages call it.

    Raises:
        UnreadableSpectrum: It claims what cannot be.
    """
    from astropy.io import fits

    if len(hdu.tile_shape) != len(hdu.shape) or min(hdu.tile_shape) < 1:
        raise _damaged(what, f"tiles of {_sides(hdu.tile_shape)} pixels")
    tile = [min(sides) for sides in zip(hdu.tile_shape, hdu.shape, strict=True)]
    if math.prod(tile[:-1]) * hdu.shape[-1] > MAX_PIXELS:
        raise _damaged(what, f"tiles of {_sides(tile)} pixels")
    place = hdu.fileinfo()
    file.seek(place["hdrLoc"])
    header = fits.Header.fromfile(file)
    table = hdu.compressed_data
    _check_settings(header, "ZSCALE" in table.names, what)
    heap = place["datLoc"] + header.get("THEAP", table.nbytes)
    for row in range(math.ceil(hdu.shape[-1] / tile[-1])):
        kind, column = hdu.compression_type, "COMPRESSED_DATA"
        if not _elements(table, column, row)[0] and "GZIP_COMPRESSED_DATA" in table.names:
            kind, column = "GZIP_1", "GZIP_COMPRESSED_DATA"
        count, offset = _elements(table, column, row)
        width = _WIDTHS.get(table.columns[column].format.partition("(")[0][-1], _WIDEST_PIXEL)
        if min(count, offset) < 0 or heap + offset + count * width > place["datLoc"] + place["datSpan"]:
            raise _damaged(what, f"{count:,} elements at byte {offset:,} for a tile")
        file.seek(heap + offset)
        _check_stream(kind, file.read(count * width), tile, what)


def _elements(table: np.ndarray, column: str, row: int) -> tuple[int, int]:
    """How many elements a tile has in its compressed form, and where in the heap they begin."""
    count, offset = np.asarray(table)[column][row].tolist()
    return count, offset


def _check_settings(header: "Header", quantized: bool, what: str) -> None:
    """Compare what a header tells the decoders with what they can bear."""
    for number in range(1, len(header)):
        if f"ZNAME{number}" not in header:
            break
        name, value = header[f"ZNAME{number}"].lower(), header[f"ZVAL{number}"]
        if value not in _RICE.get(name, (value,)):
            raise _damaged(what, f"{name.upper()} = {value}")
    method, seed = header.get("ZQUANTIZ", "NO_DITHER"), header.get("ZDITHER0")
    if quantized and method != "NO_DITHER" and seed not in _SEEDS:
        raise _damaged(what, f"ZDITHER0 = {seed}")


def _check_stream(kind: str, stream: bytes, tile: list[int], what: str) -> None:
    """Compare what a compressed tile says of itself with what it is said to be."""
    if kind.startswith("GZIP"):
        unpacked(BytesIO(stream), math.prod(tile) * _WIDEST_PIXEL, what)
    elif kind == "HCOMPRESS_1":
        sides = struct.unpack_from(">2x2i", stream)
        if list(sides) != [side for side in tile if side != 1]:
            raise _damaged(what, f"{_sides(sides)} pixels in a tile of {_sides(tile)}")
    elif kind == "PLIO_1":
        _, first, short, low, high = struct.unpack_from(">5h", stream)
        length = short if short > 0 else (high << 15) + low
        if first < 0 or 2 * length > len(stream):
            raise _damaged(what, f"{length:,} words in a tile of {len(stream):,} bytes")


def _sides(shape: list[int]) -> str:
    return " x ".join(str(side) for side in shape)


def _damaged(what: str, claim: str) -> UnreadableSpectrum:
    return UnreadableSpectrum(f"damaged: {what} claims {claim}")
