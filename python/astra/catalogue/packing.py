"""Batches of rows, as lists of values and as the records of FITS and VOTable."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from astra.catalogue.columns import Column, Kind
from astra.errors import AstraError

if TYPE_CHECKING:
    import numpy as np

#: Characters of a moment: 2026-11-25T20:15:00.123456.
TIME_WIDTH = 26
#: Stands for an absent integer in a FITS file, smaller than any value.
ABSENT = {Kind.LONG: -(2**63), Kind.INT: -(2**31)}
_TRUTH = {None: b"\0", False: b"F", True: b"T"}

#: The values of each column: int, float, bool, text, and moments as text; ``None`` where absent.
Batch = list[list[Any]]


def values(rows: Sequence[tuple], columns: Sequence[Column]) -> Batch:
    """The columns of rows from the driver, with the same values on both databases."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    for place, column in enumerate(columns):
        if column.kind is Kind.LOGICAL:
            turned[place] = [None if value is None else bool(value) for value in turned[place]]
        elif column.kind is Kind.TIME:
            turned[place] = [_moment(value) for value in turned[place]]
    return turned


def _moment(value: datetime | str | None) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value and value.replace(" ", "T")


class Records:
    """The layout of packed rows: numbers big-endian, text and moments in ASCII with a fixed width."""

    def __init__(self, columns: Sequence[Column], widths: dict[str, int]) -> None:
        """Choose the layout.

        Args:
            columns: The columns in the order of the file.
            widths: The bytes that the longest text of each column needs, by its key.
        """
        import numpy as np

        self.columns = columns
        fixed = {Kind.LONG: ">i8", Kind.INT: ">i4", Kind.DOUBLE: ">f8", Kind.LOGICAL: "S1"}
        fixed[Kind.TIME] = f"S{TIME_WIDTH}"
        types = [fixed.get(column.kind) or f"S{max(1, widths[column.key])}" for column in columns]
        self.dtype = np.dtype([(column.key, one) for column, one in zip(columns, types, strict=True)])

    def width(self, column: Column) -> int:
        """The bytes of a column."""
        return self.dtype[column.key].itemsize

    def pack(self, batch: Batch) -> "np.ndarray":
        """The records of a batch."""
        import numpy as np

        packed = np.empty(len(batch[0]), self.dtype)
        for column, content in zip(self.columns, batch, strict=True):
            packed[column.key] = self._packed(column, content)
        return packed

    def _packed(self, column: Column, content: list) -> Any:
        import numpy as np

        if column.kind is Kind.DOUBLE:
            return np.array(content, dtype=float)
        if column.kind is Kind.LOGICAL:
            return [_TRUTH[value] for value in content]
        if column.kind in ABSENT:
            return self._integers(column, content)
        return self._texts(column, [value or "" for value in content])

    def _texts(self, column: Column, content: list[str]) -> list[str] | list[bytes]:
        together = "".join(content)
        plain = together.isascii() and together.isprintable()
        texts = content if plain else [ascii_of(value) for value in content]
        if (longest := max(map(len, texts))) > self.width(column):
            raise AstraError(
                f"column {column.name}: a text of {longest} characters, where the longest was shorter"
            )
        return texts

    def _integers(self, column: Column, content: list) -> list[int]:
        absent = ABSENT[column.kind]
        if absent in content:
            raise AstraError(f"column {column.name}: a value is {absent}, which stands for absent values")
        return [absent if value is None else value for value in content] if None in content else content


def ascii_of(text: str) -> bytes:
    """Text in ASCII: other characters become Python's escapes, control characters spaces."""
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    plain = "".join(" " if character < " " or character == "\x7f" else character for character in text)
    return plain.encode("ascii", "backslashreplace")
