"""Tables of results on the terminal."""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def table(title: str | None, heads: Sequence[str], words: Collection[int]) -> "Table":
    """An empty table.

    Args:
        title: Above it.
        heads: Of the columns.
        words: Indices of the columns that hold words; the others hold numbers.
    """
    from rich.table import Table

    made = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        made.add_column(text(head), no_wrap=place in words, justify="left" if place in words else "right")
    return made


def text(content: str) -> "Text":
    """Text as it is: rich would take a unit in brackets for a colour."""
    from rich.text import Text

    return Text(content)


def number(value: float, form: str) -> str:
    """A number; a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"
