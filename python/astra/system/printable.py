"""Text of others, which may hold anything: names of files, headers, messages."""

import re
import unicodedata
from typing import Any

# What a formula begins with; spreadsheets take wide signs for the same.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# What begins so and is none: a number, or the sign alone.
_NO_FORMULA = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[=+@-])\s*")


def printable(text: object) -> str:
    r"""Text whose characters can be seen, on one line.

    Of others the code stands there, such as ``\x1b``: they would move the cursor, change the colour of what
    follows, turn its direction, or look like another line.
    """
    plain = str(text)
    return plain if plain.isprintable() else "".join(map(_seen, plain))


def in_a_spreadsheet(value: Any) -> Any:
    """A value for a cell of CSV: of text one line that can be seen, and that no spreadsheet computes."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    # As text is entered by hand.
    is_formula = text.lstrip().startswith(_FORMULA) and not _NO_FORMULA.fullmatch(text)
    return f"'{text}" if is_formula else text


def _seen(sign: str) -> str:
    if sign.isprintable() or unicodedata.category(sign) == "Zs":
        return sign
    return sign.encode("unicode_escape").decode("ascii")
