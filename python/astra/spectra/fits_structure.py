"""Whether a FITS file is as long as its headers claim, found out before a library trusts these claims.

A damaged header can send a library in circles or make it ask for all the memory there is. So the cards
that decide about sizes are read here first, as the standard lays them out (FITS standard 4.0, sections
3.3.2, 4.4.1 and 7): blocks of 2880 bytes, cards of 80, mandatory integers from column 11 on.
"""

import math
from typing import BinaryIO

from astra.errors import UnreadableSpectrum

BLOCK = 2880
CARD = 80
BITPIX = {8, 16, 32, 64, -32, -64}
# The standard sets no limit. A real primary header has half a block for each visit, the others have three
# at most; and the time that a library takes over that of a compressed image grows with its square.
MAX_PRIMARY_BLOCKS = 500
MAX_EXTENSION_BLOCKS = 50
MAX_AXES = 999
MAX_COLUMNS = 999

_DECISIVE = {f"{name:<8}" for name in ("BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS")}
_END = f"{'END':<8}"


def check_structure(file: BinaryIO, name: str) -> None:
    """Walk from header to header; leaves the file at its end.

    Args:
        file: A file of known or compressed content, at its start.
        name: What messages call it.

    Raises:
        UnreadableSpectrum: It is no FITS file, is truncated, or claims what cannot be.
    """
    number, claimed = 0, 0
    actual = file.seek(0, 2)
    while claimed < actual:
        file.seek(claimed)
        cards = _read_header(file, number, name)
        size = _data_size(cards, number, name)
        claimed = file.tell() + math.ceil(size / BLOCK) * BLOCK
        number += 1
    if not number:
        raise UnreadableSpectrum(f"not a readable FITS file: {name} is empty")
    if actual != claimed:
        raise UnreadableSpectrum(f"truncated: {name} has {actual} bytes, its headers claim {claimed}")


def _read_header(file: BinaryIO, number: int, name: str) -> dict[str, str]:
    """The first card of each keyword that decides about sizes, as the text of its value."""
    cards: dict[str, str] = {}
    first, most = ("XTENSION", MAX_EXTENSION_BLOCKS) if number else ("SIMPLE", MAX_PRIMARY_BLOCKS)
    for count in range(most):
        block = file.read(BLOCK)
        if not count and not block.startswith(first.encode()):
            raise UnreadableSpectrum(f"not a readable FITS file: HDU {number} of {name} has no {first}")
        if len(block) < BLOCK:
            raise UnreadableSpectrum(f"truncated: the header of HDU {number} of {name} has no end")
        text = block.decode("latin-1")
        for start in range(0, BLOCK, CARD):
            keyword = text[start : start + 8]
            if keyword in _DECISIVE or keyword.startswith("NAXIS"):
                value = text[start + 10 : start + CARD].partition("/")[0]
                cards.setdefault(keyword.rstrip(), value)
            elif keyword == _END:
                return cards
    raise UnreadableSpectrum(f"damaged: the header of HDU {number} of {name} has no end within {most} blocks")


def _data_size(cards: dict[str, str], number: int, name: str) -> int:
    """Bytes of the data that follow a header."""

    def integer(keyword: str, default: int | None = None) -> int:
        if keyword not in cards and default is not None:
            return default
        try:
            return int(cards[keyword])
        except (KeyError, ValueError):
            raise UnreadableSpectrum(f"damaged: HDU {number} of {name} has no usable {keyword}") from None

    n_axes = integer("NAXIS")
    if not 0 <= n_axes <= MAX_AXES:
        raise UnreadableSpectrum(f"damaged: HDU {number} of {name} claims {n_axes} axes")
    n_columns = integer("TFIELDS", 0)
    if not 0 <= n_columns <= MAX_COLUMNS:
        raise UnreadableSpectrum(f"damaged: HDU {number} of {name} claims {n_columns} columns")
    axes = [integer(f"NAXIS{axis}") for axis in range(1, n_axes + 1)]
    counts = {"PCOUNT": integer("PCOUNT", 0), "GCOUNT": integer("GCOUNT", 1)}
    if integer("BITPIX") not in BITPIX or min([*axes, *counts.values()], default=0) < 0:
        raise UnreadableSpectrum(f"damaged: HDU {number} of {name} claims impossible sizes")
    pixels = math.prod(axes) if axes else 0
    return abs(integer("BITPIX")) // 8 * counts["GCOUNT"] * (counts["PCOUNT"] + pixels)
