"""The claims of a FITS file, checked before a library reads it: where its HDUs lie, and what its tiles hold.

A damaged header can send a library into an endless loop or make it ask for all the memory there is. So the
cards that decide on sizes are read here first, as the standard lays them out (FITS standard 4.0, sections
3.3.2, 4.4.1 and 7): blocks of 2880 bytes, cards of 80, mandatory integers from column 11 on.

The length of a file bounds neither an image that is compressed in tiles nor its tiles, and the decoders,
which are written in C, trust the header: the bytes of a pixel, the sides of a tile, a place in a table of
random numbers. These claims are compared with section 10 of the standard.
"""

import functools
import itertools
import math
import re
import struct
from collections.abc import Collection
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from astra.errors import UnreadableSpectrum
from astra.spectra.content import unpacked

if TYPE_CHECKING:
    from astropy.io.fits import CompImageHDU, Header

BLOCK = 2880
CARD = 80
CARDS = BLOCK // CARD
#: The type of a pixel, by BITPIX.
PIXELS = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# The standard sets no limit. A real primary header has half a block for each visit, the others have three
# at most; and the time that a library takes over that of a compressed image grows with its square.
MAX_PRIMARY_BLOCKS = 500
MAX_EXTENSION_BLOCKS = 50
MAX_AXES = MAX_COLUMNS = 999

_KEYWORDS = struct.Struct("8s72x" * CARDS)
_END = b"END     "
# The rest of a long text.
_CONTINUE = b"CONTINUE"


class Hdu(NamedTuple):
    """One HDU.

    Attributes:
        start: Where its data begin, in bytes from the start of the file.
        size: Bytes of its data.
        shape: The shape of an image whose data are nothing but pixels of one type, ``()`` of an empty one;
            ``None`` of anything else: a table, scaled pixels, a header that departs from the standard's form.
        pixel: The type of these pixels.
    """

    start: int
    size: int
    shape: tuple[int, ...] | None = None
    pixel: str = ""


def structure_of(file: BinaryIO, name: str) -> list[Hdu]:
    """Walk from header to header.

    Args:
        file: A file of known or compressed content.
        name: The name of the file in messages.

    Raises:
        UnreadableSpectrum: It is not a FITS file, is truncated, or makes impossible claims.
    """
    hdus: list[Hdu] = []
    claimed, actual = 0, file.seek(0, 2)
    while claimed < actual:
        file.seek(claimed)
        header = _read_header(file, len(hdus), name)
        try:
            claims = _claims_of_extension(header) if hdus else _claims_of(header, _EMPTY_PRIMARY)
        except _ImpossibleClaim as claim:
            raise UnreadableSpectrum(f"damaged: HDU {len(hdus)} of {name} {claim}") from None
        hdus.append(Hdu(claimed + len(header), *claims))
        claimed = hdus[-1].start + math.ceil(hdus[-1].size / BLOCK) * BLOCK
    if not hdus:
        raise UnreadableSpectrum(f"not a readable FITS file: {name} is empty")
    if actual != claimed:
        raise UnreadableSpectrum(f"truncated: {name} has {actual} bytes, its headers claim {claimed}")
    return hdus


def _read_header(file: BinaryIO, number: int, name: str) -> bytes:
    """The blocks of a header."""
    blocks: list[bytes] = []
    first, most = (b"XTENSION", MAX_EXTENSION_BLOCKS) if number else (b"SIMPLE", MAX_PRIMARY_BLOCKS)
    while len(blocks) < most:
        block = file.read(BLOCK)
        if not blocks and not block.startswith(first):
            raise UnreadableSpectrum(
                f"not a readable FITS file: HDU {number} of {name} has no {first.decode()}"
            )
        if len(block) < BLOCK:
            raise UnreadableSpectrum(f"truncated: the header of HDU {number} of {name} has no end")
        blocks.append(block)
        if _END in _KEYWORDS.unpack(block):
            return b"".join(blocks)
    raise UnreadableSpectrum(f"damaged: the header of HDU {number} of {name} has no end within {most} blocks")


def cards_among(header: bytes, keywords: Collection[str]) -> bytes:
    """The cards of a header with some keywords, in their order.

    Args:
        header: The blocks of a header, ASCII.
        keywords: In capitals; those of more than eight characters are in cards HIERARCH.
    """
    chosen, is_chosen = [], False
    for number, field in enumerate(itertools.chain.from_iterable(_KEYWORDS.iter_unpack(header))):
        if field == _END:
            break
        if field != _CONTINUE:
            keyword = _keyword(field)
            is_chosen = keyword in keywords or keyword == "HIERARCH"
        if is_chosen:
            chosen.append(header[CARD * number : CARD * (number + 1)])
    return b"".join([*chosen, _END.ljust(CARD)])


@functools.lru_cache(maxsize=4096)
def _keyword(field: bytes) -> str:
    """The keyword of a card by its first eight bytes, as astropy takes it where the sign stands too early."""
    return field.partition(b"=")[0].strip().upper().decode()


class _ImpossibleClaim(Exception):
    """What a header claims and cannot be, as the end of a sentence about its HDU."""


class _Claims(NamedTuple):
    """What a header says of its data, as in :class:`Hdu`."""

    size: int
    shape: tuple[int, ...] | None = None
    pixel: str = ""


def _claims_of(header: bytes, form: re.Pattern[bytes]) -> _Claims:
    """What a header says of its data; ``form`` is what its mandatory cards look like in plain images."""
    keywords = list(itertools.chain.from_iterable(_KEYWORDS.iter_unpack(header)))
    keywords = keywords[: keywords.index(_END)]
    return _plain_image(header, keywords, form) or _Claims(_data_size(header, keywords))


@functools.lru_cache(maxsize=512)
def _claims_of_extension(header: bytes) -> _Claims:
    """The claims of the header of an extension, of which a survey has few that differ."""
    return _claims_of(header, _IMAGE)


def _data_size(header: bytes, keywords: list[bytes]) -> int:
    """Bytes of the data that follow a header; of each keyword the first card counts."""
    text = header.decode("latin-1")
    ends = range(CARD * len(keywords), 0, -CARD)
    cards = {text[end - CARD : end - CARD + 8].rstrip(): text[end - CARD + 10 : end] for end in ends}

    def integer(keyword: str, default: int | None = None) -> int:
        if keyword not in cards and default is not None:
            return default
        try:
            return int(cards[keyword].partition("/")[0])
        except (KeyError, ValueError):
            raise _ImpossibleClaim(f"has no usable {keyword}") from None

    n_axes = integer("NAXIS")
    if not 0 <= n_axes <= MAX_AXES:
        raise _ImpossibleClaim(f"claims {n_axes} axes")
    n_columns = integer("TFIELDS", 0)
    if not 0 <= n_columns <= MAX_COLUMNS:
        raise _ImpossibleClaim(f"claims {n_columns} columns")
    axes = [integer(f"NAXIS{axis}") for axis in range(1, n_axes + 1)]
    p_count, g_count, bitpix = integer("PCOUNT", 0), integer("GCOUNT", 1), integer("BITPIX")
    if bitpix not in PIXELS or min(p_count, g_count, *axes) < 0:
        raise _ImpossibleClaim("claims impossible sizes")
    return abs(bitpix) // 8 * g_count * (p_count + (math.prod(axes) if axes else 0))


# > Images that need no library


def _cards(**values: str) -> str:
    """A pattern of cards in the fixed format of the standard, with or without comments."""
    cards = ((f"{keyword:<8}= ", value) for keyword, value in values.items())
    return "".join(rf"{start}{value}(?<={start}.{{20}})(?: /.{{48}}| {{50}})" for start, value in cards)


_INTEGER = r" *(-?\d+)"
_1D = _cards(NAXIS=" *1", NAXIS1=_INTEGER)
_2D = _cards(NAXIS=" *2", NAXIS1=_INTEGER, NAXIS2=_INTEGER)
_BEGIN = _cards(XTENSION="'IMAGE   ' *", BITPIX=_INTEGER)
_IMAGE = re.compile(f"{_BEGIN}(?:{_1D}|{_2D}){_cards(PCOUNT=' *0', GCOUNT=' *1')}".encode(), re.S)
_EMPTY_PRIMARY = re.compile(_cards(SIMPLE=" *T", BITPIX=_INTEGER, NAXIS=" *0", EXTEND=" *T").encode(), re.S)
# What else may decide on the pixels, in the keywords of the cards that follow; lower case counts as well.
_DECISIVE = b"SIMPLE XTENSION EXTEND BITPIX NAXIS PCOUNT GCOUNT GROUPS BSCALE BZERO BLANK \nEND".split(b" ")


def _plain_image(header: bytes, keywords: list[bytes], form: re.Pattern[bytes]) -> _Claims | None:
    """The image of a header, if its mandatory cards alone decide on its pixels."""
    match = form.match(header)
    if not match or not header.isascii() or header[CARD * len(keywords) :].rstrip(b" ") != b"END":
        return None
    rest = b"\n".join([b"", *keywords[match.end() // CARD :]]).upper()
    bitpix, *axes = (int(value) for value in match.groups() if value)
    if any(map(rest.__contains__, _DECISIVE)) or bitpix not in PIXELS or min(axes, default=0) < 0:
        return None
    size = abs(bitpix) // 8 * math.prod(axes) if axes else 0
    return _Claims(size, tuple(reversed(axes)), PIXELS[bitpix])


# > Images that are compressed in tiles


#: Pixels that are unpacked together: a thousand rows of an apStar image.
MAX_PIXELS = 8_600_000
_WIDEST_PIXEL = 8
_RICE = {"BYTEPIX": (1, 2, 4), "BLOCKSIZE": (16, 32)}
# Bytes of one element of a tile, by the last letter of the format of its column.
_WIDTHS = {"B": 1, "I": 2, "J": 4}


def check_tiles(hdu: "CompImageHDU", file: BinaryIO, what: str) -> None:
    """Check the tiles from which the first row of an image is unpacked.

    Args:
        hdu: The image, not empty.
        file: The file that holds it.
        what: The name of the image in messages.

    Raises:
        UnreadableSpectrum: It makes impossible claims.
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
    # The elements of each tile in its compressed form: how many they are, and where in the heap they begin.
    tiles = np.asarray(table)
    for row in range(math.ceil(hdu.shape[-1] / tile[-1])):
        kind, column = hdu.compression_type, "COMPRESSED_DATA"
        if not tiles[column][row][0] and "GZIP_COMPRESSED_DATA" in table.names:
            kind, column = "GZIP_1", "GZIP_COMPRESSED_DATA"
        count, offset = tiles[column][row].tolist()
        width = _WIDTHS.get(table.columns[column].format.partition("(")[0][-1], _WIDEST_PIXEL)
        if min(count, offset) < 0 or heap + offset + count * width > place["datLoc"] + place["datSpan"]:
            raise _damaged(what, f"{count:,} elements at byte {offset:,} for a tile")
        file.seek(heap + offset)
        _check_stream(kind, file.read(count * width), tile, what)


def _check_settings(header: "Header", quantized: bool, what: str) -> None:
    """Check the settings of the decoders in a header."""
    for number in range(1, len(header)):
        if f"ZNAME{number}" not in header:
            break
        name, value = header[f"ZNAME{number}"].upper(), header[f"ZVAL{number}"]
        if value not in _RICE.get(name, (value,)):
            raise _damaged(what, f"{name} = {value}")
    method, seed = header.get("ZQUANTIZ", "NO_DITHER"), header.get("ZDITHER0")
    if quantized and method != "NO_DITHER" and seed not in range(1, 10_001):
        raise _damaged(what, f"ZDITHER0 = {seed}")


def _check_stream(kind: str, stream: bytes, tile: list[int], what: str) -> None:
    """Compare the claims of a compressed tile with those of the header."""
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
    return " x ".join(map(str, shape))


def _damaged(what: str, claim: str) -> UnreadableSpectrum:
    return UnreadableSpectrum(f"damaged: {what} claims {claim}")
