"""The checksums of FITS, chunk by chunk (FITS standard 4.0, section 4.4.2.7 and appendix J)."""

import numpy as np

BLOCK = 2880
_MODULUS = 2**32
# The encoded sum has no punctuation: these lie between digits and letters, and between the two cases.
_EXCLUDED = set(range(0x3A, 0x41)) | set(range(0x5B, 0x61))
_OFFSET = 0x30


class Checksum:
    """A sum of 32-bit words in ones' complement that grows as the bytes are written."""

    def __init__(self) -> None:
        self.length = 0
        self._total = 0
        self._rest = b""

    def add(self, content: bytes) -> None:
        """Add what comes next."""
        self.length += len(content)
        content = self._rest + content
        whole = len(content) - len(content) % 4
        self._rest = content[whole:]
        words = np.frombuffer(content, ">u4", count=whole // 4)
        self._total = _folded(self._total + int(words.sum(dtype=np.uint64)))

    @property
    def value(self) -> int:
        """The sum so far, as if zeros followed up to the next word."""
        return _folded(self._total + int.from_bytes(self._rest.ljust(4, b"\0"), "big"))


def encoded(value: int) -> str:
    """The value of the card CHECKSUM that makes the sum of its HDU all ones.

    Args:
        value: The sum of the HDU with sixteen zeros in that card.

    Returns:
        Sixteen letters and digits.
    """
    complement = (_MODULUS - 1 - value).to_bytes(4, "big")
    columns = [_four(byte) for byte in complement]
    letters = bytes(columns[place][row] for row in range(4) for place in range(4))
    # The value of a card begins in the second byte of a word.
    return (letters[-1:] + letters[:-1]).decode("ascii")


def _four(byte: int) -> list[int]:
    """Four letters or digits whose codes above that of zero add up to a byte."""
    quarter, rest = divmod(byte, 4)
    codes = [_OFFSET + quarter + (rest if place == 0 else 0) for place in range(4)]
    while any(code in _EXCLUDED for code in codes):
        for first in (0, 2):
            if codes[first] in _EXCLUDED or codes[first + 1] in _EXCLUDED:
                codes[first] += 1
                codes[first + 1] -= 1
    return codes


def _folded(value: int) -> int:
    while value >= _MODULUS:
        value = (value & (_MODULUS - 1)) + (value >> 32)
    return value
