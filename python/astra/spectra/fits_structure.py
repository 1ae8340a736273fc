"""Where the HDUs of a FITS file lie and what images they hold, found out before a library trusts its headers.

A damaged header can send a library in circles or make it ask for all the memory there is. So the cards
that decide about sizes are read here first, as the standard lays them out (FITS standard 4.0, sections
3.3.2, 4.4.1 and 7): blocks of 2880 bytes, cards of 80, mandatory integers from column 11 on.
"""

import math
import re
from struct import Struct
from typing import BinaryIO, NamedTuple

from astra.errors import UnreadableSpectrum

BLOCK = 2880
CARD = 80
CARDS = BLOCK // CARD
#: The type of a pixel, by BITPIX.
PIXELS = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# The standard sets no limit. A real primary header has half a block for each visit, the others have three
# at most; and the time that a library takes over that of a compressed image grows with its square.
MAX_PRIMARY_BLOCKS = 500
MAX_EXTENSION_BLOCKS = 50
MAX_AXES = 999
MAX_COLUMNS = 999

_KEYWORDS = Struct("8s72x" * CARDS)
_END = b"END     "


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
        name: What messages call it.

    Raises:
        UnreadableSpectrum: It is not a FITS file, is truncated, or claims what cannot be.
    """
    hdus: list[Hdu] = []
    claimed, actual = 0, file.seek(0, 2)
    while claimed < actual:
        file.seek(claimed)
        header, keywords = _read_header(file, len(hdus), name)
        start = claimed + len(header)
        image = _plain_image(header, keywords, start, _IMAGE if hdus else _EMPTY_PRIMARY)
        hdus.append(image or Hdu(start, _data_size(header, keywords, f"HDU {len(hdus)} of {name}")))
        claimed = start + math.ceil(hdus[-1].size / BLOCK) * BLOCK
    if not hdus:
        raise UnreadableSpectrum(f"not a readable FITS file: {name} is empty")
    if actual != claimed:
        raise UnreadableSpectrum(f"truncated: {name} has {actual} bytes, its headers claim {claimed}")
    return hdus


def _read_header(file: BinaryIO, number: int, name: str) -> tuple[bytes, list[bytes]]:
    """The blocks of a header, and the keywords of its cards up to END."""
    blocks: list[bytes] = []
    keywords: list[bytes] = []
    first, most = ("XTENSION", MAX_EXTENSION_BLOCKS) if number else ("SIMPLE", MAX_PRIMARY_BLOCKS)
    while len(blocks) < most:
        block = file.read(BLOCK)
        if not blocks and not block.startswith(first.encode()):
            raise UnreadableSpectrum(f"not a readable FITS file: HDU {number} of {name} has no {first}")
        if len(block) < BLOCK:
            raise UnreadableSpectrum(f"truncated: the header of HDU {number} of {name} has no end")
        blocks.append(block)
        keywords += _KEYWORDS.unpack(block)
        if _END in keywords[-CARDS:]:
            return b"".join(blocks), keywords[: keywords.index(_END)]
    raise UnreadableSpectrum(f"damaged: the header of HDU {number} of {name} has no end within {most} blocks")


def _data_size(header: bytes, keywords: list[bytes], what: str) -> int:
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
            raise UnreadableSpectrum(f"damaged: {what} has no usable {keyword}") from None

    n_axes = integer("NAXIS")
    if not 0 <= n_axes <= MAX_AXES:
        raise UnreadableSpectrum(f"damaged: {what} claims {n_axes} axes")
    n_columns = integer("TFIELDS", 0)
    if not 0 <= n_columns <= MAX_COLUMNS:
        raise UnreadableSpectrum(f"damaged: {what} claims {n_columns} columns")
    axes = [integer(f"NAXIS{axis}") for axis in range(1, n_axes + 1)]
    p_count, g_count, bitpix = integer("PCOUNT", 0), integer("GCOUNT", 1), integer("BITPIX")
    if bitpix not in PIXELS or min(p_count, g_count, *axes) < 0:
        raise UnreadableSpectrum(f"damaged: {what} claims impossible sizes")
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


def _plain_image(header: bytes, keywords: list[bytes], start: int, form: re.Pattern[bytes]) -> Hdu | None:
    """The image of a header, if its mandatory cards alone decide on its pixels."""
    match = form.match(header)
    if not match or not header.isascii() or header[CARD * len(keywords) :].rstrip(b" ") != b"END":
        return None
    rest = b"\n".join([b"", *keywords[match.end() // CARD :]]).upper()
    bitpix, *axes = (int(value) for value in match.groups() if value)
    if any(map(rest.__contains__, _DECISIVE)) or bitpix not in PIXELS or min(axes, default=0) < 0:
        return None
    size = abs(bitpix) // 8 * math.prod(axes) if axes else 0
    return Hdu(start, size, tuple(reversed(axes)), PIXELS[bitpix])
