"""Damages FITS files in the ways that disks, transfers and programs do, and in worse ones; by seed."""

import gzip
import io
import itertools
import random

import numpy as np
from astropy.io import fits

BLOCK, CARD = 2880, 80

STRUCTURE = "SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 PCOUNT GCOUNT BSCALE BZERO END".split()
TABLES = "TFIELDS THEAP TFORM1 TTYPE1 TFORM3 TTYPE3".split()
TILES = "ZIMAGE ZBITPIX ZNAXIS ZNAXIS1 ZNAXIS2 ZTILE1 ZTILE2 ZCMPTYPE ZVAL1 ZVAL2 ZQUANTIZ ZDITHER0".split()
VALUES = "-1 0 1 8 7 -32 999 2147483648 99999999999999999999 1E400 NaN T '' 'x'".split()
SIZES = "8575000000 2147483647 9223372036854775807 123456789012".split()
SIZED = "NAXIS1 NAXIS2 PCOUNT GCOUNT NAXIS ZNAXIS1 ZNAXIS2 ZTILE1 ZTILE2 TFIELDS THEAP".split()

#: How the images of a file can be compressed in tiles: arguments of ``fits.CompImageHDU``.
TILINGS = (
    {"compression_type": "RICE_1"},
    {"compression_type": "RICE_1", "quantize_method": 1, "dither_seed": 42},
    {"compression_type": "RICE_1", "tile_shape": (1, 1000)},
    {"compression_type": "GZIP_1"},
    {"compression_type": "GZIP_2", "quantize_level": 0},
    {"compression_type": "HCOMPRESS_1", "tile_shape": (4, 8575)},
    {"compression_type": "PLIO_1"},
)


def tiled(content: bytes, **tiling: object) -> bytes:
    """A file with its first three images, of four rows each, compressed in tiles."""
    with fits.open(io.BytesIO(content)) as hdus:
        images = [np.resize(np.atleast_2d(hdu.data), (4, 8575)) for hdu in hdus[1:4]]
        changed = [fits.PrimaryHDU(header=hdus[0].header)]
        for image in images:
            is_mask = image.dtype.kind == "i"
            # It is for masks alone, of no more than 24 bits.
            chosen = {} if tiling["compression_type"] == "PLIO_1" and not is_mask else tiling
            changed.append(fits.CompImageHDU(image & 0x7FFF if is_mask else image, **chosen))
        written = io.BytesIO()
        fits.HDUList(changed).writeto(written)
    return written.getvalue()


def damaged(content: bytes, seed: int) -> bytes:
    """One damaged form of a file."""
    rng = random.Random(seed)
    ways = (_flipped, _flipped_header, _truncated, _edited, _swapped, _absurd, _overwritten, _compressed)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(ways)(bytearray(content), rng)
    return bytes(content)


def _flipped(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 10, 1000)) if content else 0):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _flipped_header(content: bytearray, rng: random.Random) -> bytearray:
    cards = _cards(content)
    for _ in range(rng.choice((1, 5, 50)) if cards else 0):
        content[rng.choice(cards) + rng.randrange(CARD)] ^= 1 << rng.randrange(8)
    return content


def _truncated(content: bytearray, rng: random.Random) -> bytearray:
    place = rng.randrange(len(content) + 1)
    return content[: place - place % rng.choice((1, BLOCK))]


def _edited(content: bytearray, rng: random.Random) -> bytearray:
    return _set(content, rng, STRUCTURE + TABLES + TILES, VALUES)


def _absurd(content: bytearray, rng: random.Random) -> bytearray:
    return _set(content, rng, SIZED, SIZES)


def _swapped(content: bytearray, rng: random.Random) -> bytearray:
    """Blocks, from the begin of one header to that of another, in another order."""
    starts = [place for place in range(0, len(content), BLOCK) if _begins_header(content, place)]
    parts = [content[begin:end] for begin, end in itertools.pairwise([*starts, len(content)])]
    rng.shuffle(parts)
    return bytearray().join(parts[: rng.choice((1, len(parts), len(parts)))])


def _begins_header(content: bytearray, place: int) -> bool:
    return content[place : place + 8] in (b"XTENSION", b"SIMPLE  ")


def _overwritten(content: bytearray, rng: random.Random) -> bytearray:
    begin = rng.randrange(len(content) + 1)
    length = min(rng.choice((CARD, BLOCK, 10 * BLOCK)), len(content) - begin)
    content[begin : begin + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return content


def _compressed(content: bytearray, rng: random.Random) -> bytearray:
    packed = bytearray(gzip.compress(content[:500_000], 1, mtime=0))
    return packed if rng.random() < 0.3 else _flipped(packed, rng)


def _cards(content: bytearray) -> list[int]:
    """Where the cards of the first headers begin."""
    found, inside = [], True
    for place in range(0, min(len(content), 400 * BLOCK) - CARD, CARD):
        name = bytes(content[place : place + 8])
        inside |= place % BLOCK == 0 and _begins_header(content, place)
        if inside:
            found.append(place)
        if name == b"END     ":
            inside = False
    return found


def _set(content: bytearray, rng: random.Random, names: list[str], values: list[str]) -> bytearray:
    wanted = {name.encode().ljust(8) for name in names}
    cards = [place for place in _cards(content) if bytes(content[place : place + 8]) in wanted]
    if cards:
        place = rng.choice(cards)
        name = content[place : place + 8].decode()
        content[place : place + CARD] = f"{name}= {rng.choice(values):>20}".ljust(CARD).encode()
    return content
