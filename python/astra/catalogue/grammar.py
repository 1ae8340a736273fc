"""The language of conditions: its grammar, its numbers, texts and moments."""

import math
from datetime import UTC, datetime
from functools import cache

from lark import Lark, Tree, UnexpectedInput

from astra.errors import UsageError

GRAMMAR = r"""
?start: either
?either: both (_OR both)*
?both: inverse (_AND inverse)*
?inverse: NOT inverse -> negated
    | predicate
?predicate: value COMPARISON value -> compared
    | value _IS NOT? _NULL -> absent
    | value NOT? _BETWEEN value _AND value -> between
    | value NOT? _IN "(" value ("," value)* ")" -> among
    | value NOT? _LIKE value -> alike
    | value -> bare
    | "(" either ")"
?value: NAME -> column
    | NUMBER -> number
    | STRING -> text
    | TRUE -> logical
    | FALSE -> logical

_OR.2: /or\b/i
_AND.2: /and\b/i
NOT.2: /not\b/i
_IS.2: /is\b/i
_NULL.2: /null\b/i
_BETWEEN.2: /between\b/i
_IN.2: /in\b/i
_LIKE.2: /like\b/i
TRUE.2: /true\b/i
FALSE.2: /false\b/i
COMPARISON: "<=" | ">=" | "<>" | "!=" | "=" | "<" | ">"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
NUMBER: /[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/
STRING: /'([^'\x00-\x1f]|'')*'/
%ignore /[ \t\r\n]+/
"""

_LARGEST, _DIGITS = 2**63 - 1, 30


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True)


def parsed(text: str) -> Tree:
    """The syntax tree of a condition.

    Raises:
        UsageError: The text does not follow the grammar; the message says where.
    """
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        place = error.pos_in_stream
        if place is None or place < 0 or getattr(getattr(error, "token", None), "type", None) == "$END":
            raise UsageError("--where: the condition ends too early, after its last character") from None
        raise fault(place, f"{text[place:].split(' ')[0][:30]!r} was not expected here") from None


def fault(at: int, what: str) -> UsageError:
    """The error with the place and the reason of a fault."""
    return UsageError(f"--where: at character {at + 1}: {what}")


def number_of(at: int, said: str) -> int | float:
    """A number; an integer that 8 bytes cannot hold becomes a float."""
    is_integer = said.lstrip("+-").isdigit() and len(said) < _DIGITS
    value = int(said) if is_integer and abs(int(said)) <= _LARGEST else float(said)
    if not math.isfinite(value):
        raise fault(at, f"{said[:30]} is larger than any value of a column")
    return value


def text_of(at: int, said: str) -> str:
    """A text without its quotes."""
    if not said.isprintable():
        raise fault(at, "text may hold printable characters only")
    return said[1:-1].replace("''", "'")


def moment_of(at: int, said: str) -> str:
    """A moment in the form of SQLite, which PostgreSQL understands."""
    try:
        value = datetime.fromisoformat(said)
    except ValueError:
        raise fault(at, f"not a moment: {said!r}; write 2026-11-25 or 2026-11-25T20:15:00 (UTC)") from None
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat(sep=" ", timespec="microseconds")
