"""FITS files piece by piece: headers as astropy writes them, kept where many files share them.

Astropy takes most of its time for headers that are the same in every file of a kind.
"""

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from astra.spectra.fits_structure import BLOCK

#: Keyword, value, and perhaps a comment.
Card = tuple[str, Any] | tuple[str, Any, str]

_NO_DATA = (
    ("SIMPLE", True, "In the standard format"),
    ("BITPIX", 8, "Bits of a value"),
    ("NAXIS", 0, "No data here"),
    ("EXTEND", True, "Extensions follow"),
)


def primary(cards: Iterable[Card]) -> bytes:
    """A primary header without data: the mandatory cards, and these."""
    from astropy.io import fits

    return fits.Header([*_NO_DATA, *cards]).tostring().encode("ascii")


def image(array: np.ndarray, cards: tuple[Card, ...]) -> bytes:
    """An image extension.

    Args:
        array: Big-endian numbers.
        cards: What its header has besides the mandatory ones.
    """
    return _image_header(array.shape, array.dtype.str, cards) + _padded(array)


def table(rows: np.ndarray) -> bytes:
    """An extension with a binary table.

    Args:
        rows: Structured, big-endian, packed.
    """
    return _table_header(rows.dtype, len(rows)) + _padded(rows)


@functools.lru_cache(maxsize=256)
def _image_header(shape: tuple[int, ...], kind: str, cards: tuple[Card, ...]) -> bytes:
    from astropy.io import fits

    return fits.ImageHDU(np.zeros(shape, kind), fits.Header([*cards])).header.tostring().encode("ascii")


@functools.lru_cache(maxsize=64)
def _table_header(kind: np.dtype, n_rows: int) -> bytes:
    from astropy.io import fits

    header = fits.BinTableHDU(np.zeros(n_rows, kind)).header
    # Astropy also gives columns of one dimension a TDIM, which the survey's files do not have.
    for keyword in [card.keyword for card in header["TDIM*"].cards if "," not in card.value]:
        del header[keyword]
    return header.tostring().encode("ascii")


def _padded(array: np.ndarray) -> bytes:
    content = array.tobytes()
    return content + bytes(-len(content) % BLOCK)
