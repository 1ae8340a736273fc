"""A condition on columns, in the syntax of SQL: what ``--where`` takes.

Our own grammar parses the text, and the query gets every value as a parameter, so that none of the text is in
the SQL. A condition means the same on SQLite and on PostgreSQL: an absent value is NULL, and a comparison
with it is neither true nor false, so that the row is left out, also after NOT.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import peewee
from lark import Lark, Token, Tree, UnexpectedInput

from astra.database.sql import by_code_point, like
from astra.errors import UsageError, nearest
from astra.models.fields import Kind

GRAMMAR = r"""
?start: either
?either: both (_OR both)*
?both: inverse (_AND inverse)*
?inverse: NOT inverse -> negated
    | predicate
?predicate: value COMPARISON value -> compared
    | value _IS [NOT] _NULL -> absent
    | value [NOT] _BETWEEN value _AND value -> between
    | value [NOT] _IN "(" value ("," value)* ")" -> among
    | value [NOT] _LIKE value -> alike
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

# How messages call the values of a column, and which values can be compared with each other.
_NUMBER, _LOGICAL, _TEXT, _TIME = "a number", "true or false", "text", "a moment"
_TYPES = {Kind.LOGICAL: _LOGICAL, Kind.TEXT: _TEXT, Kind.TIME: _TIME}
_SWAPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
# Far below the limits of the databases.
_DEEPEST = 50
_LONGEST = 10_000
_DANGLING = re.compile(r"(?<!\\)(\\\\)*\\$")
_LARGEST, _DIGITS = 2**63 - 1, 30


@dataclass(frozen=True)
class Column:
    """A column that a condition can name.

    Attributes:
        name: Its name in the condition.
        key: Its name in the database.
        kind: The kind of its values.
    """

    name: str
    key: str
    kind: Kind


@dataclass(frozen=True)
class _Operand:
    """A column or a value of the condition, as ``said`` at the character ``at``."""

    type: str
    at: int
    said: str
    column: Column | None = None
    value: Any = None


class Filter:
    """A parsed condition, made without a database.

    Attributes:
        text: The condition.
        columns: The columns that it can name.
        used: Those that it names.
    """

    def __init__(self, text: str, columns: Sequence[Column]) -> None:
        """Parse a condition.

        Args:
            text: The condition.
            columns: The columns that it can name, in upper or lower case.

        Raises:
            UsageError: It is not a condition on these columns; the message says where, and why.
        """
        self.text = text
        self.columns = tuple(columns)
        if len(text) > _LONGEST:
            raise UsageError(f"--where: {len(text):,} characters are too many; at most {_LONGEST:,}")
        self._tree = _parsed(text)
        # Translated for no database, to find all faults of the text now.
        used: list[Column] = []
        self.expression(
            peewee.SqliteDatabase(None), lambda column: used.append(column) or peewee.SQL(column.key)
        )
        self.used = tuple(used)

    def expression(self, database: peewee.Database, node: Callable[[Column], peewee.Node]) -> peewee.Node:
        """The condition as a part of a query.

        Args:
            database: The database of the query.
            node: Gives the node of a column in the query.
        """
        named = {column.name.lower(): column for column in self.columns}
        return _Translation(database, node, named).condition(self._tree)


@dataclass(frozen=True)
class _Translation:
    """From the syntax tree to the query: each kind of predicate in the grammar has a method of its name."""

    database: peewee.Database
    node: Callable[[Column], peewee.Node]
    columns: dict[str, Column]

    def condition(self, tree: Tree, depth: int = 0) -> peewee.Node:
        """Translate one part of the condition."""
        if depth > _DEEPEST:
            raise UsageError(f"--where: more than {_DEEPEST} conditions within each other")
        if tree.data in ("either", "both"):
            parts = [self.condition(part, depth + 1) for part in tree.children]
            return _chained("OR" if tree.data == "either" else "AND", parts)
        if tree.data == "negated":
            return _negation(self.condition(tree.children[1], depth + 1))
        return getattr(self, f"_{tree.data}")(*tree.children)

    def _compared(self, first: Tree, comparison: Token, second: Tree) -> peewee.Node:
        left, operator, right = self._operand(first), str(comparison), self._operand(second)
        if left.column is None and right.column is None:
            raise _fault(left.at, "no column is compared here")
        if left.column is None:
            left, operator, right = right, _SWAPPED.get(operator, operator), left
        right = _same_type(left, right)
        if operator in _SWAPPED and left.type == _LOGICAL:
            raise _fault(left.at, f"{left.said} is true or false, so {operator} has no meaning for it")
        operator = "<>" if operator == "!=" else operator
        return peewee.Expression(self._ordered(left), operator, self._side(right))

    def _absent(self, value: Tree, negated: Token | None) -> peewee.Node:
        column = self._side(self._column(value))
        return peewee.Expression(column, "IS NOT" if negated else "IS", peewee.SQL("NULL"))

    def _between(self, value: Tree, negated: Token | None, first: Tree, second: Tree) -> peewee.Node:
        column, low, high = self._column(value), self._operand(first), self._operand(second)
        if column.type == _LOGICAL:
            raise _fault(column.at, f"{column.said} is true or false, so BETWEEN has no meaning for it")
        side = self._ordered(column)
        above = peewee.Expression(side, ">=", self._side(_same_type(column, low)))
        below = peewee.Expression(side, "<=", self._side(_same_type(column, high)))
        inside = peewee.Expression(above, "AND", below)
        return _negation(inside) if negated else inside

    def _among(self, value: Tree, negated: Token | None, *others: Tree) -> peewee.Node:
        column, values = self._column(value), [self._operand(other) for other in others]
        listed = peewee.EnclosedNodeList([self._side(_same_type(column, value)) for value in values])
        return peewee.Expression(self._side(column), "NOT IN" if negated else "IN", listed)

    def _alike(self, value: Tree, negated: Token | None, other: Tree) -> peewee.Node:
        column, pattern = self._column(value), self._operand(other)
        for operand in (column, pattern):
            if operand.type != _TEXT or (operand is pattern and pattern.column):
                raise _fault(operand.at, "LIKE compares a column of text with a pattern in quotes")
        if _DANGLING.search(pattern.value):
            raise _fault(pattern.at, "a pattern does not end with a single backslash")
        fits = like(self.database, self._side(column), pattern.value)
        return _negation(fits) if negated else fits

    def _bare(self, value: Tree) -> peewee.Node:
        operand = self._operand(value)
        if operand.type != _LOGICAL:
            what = f"{operand.said} is {operand.type}, not a condition"
            raise _fault(operand.at, f"{what}: compare it with something")
        return self._side(operand)

    def _column(self, tree: Tree) -> _Operand:
        operand = self._operand(tree)
        if operand.column is None:
            raise _fault(operand.at, f"a column is needed here, not {operand.said}")
        return operand

    def _operand(self, tree: Tree) -> _Operand:
        [token] = tree.children
        at, said = token.start_pos, str(token)
        match tree.data:
            case "column":
                column = self._named(at, said)
                return _Operand(_TYPES.get(column.kind, _NUMBER), at, column.name, column)
            case "number":
                return _Operand(_NUMBER, at, said, value=_number(at, said))
            case "text":
                return _Operand(_TEXT, at, said, value=_text(at, said))
        return _Operand(_LOGICAL, at, said, value=said.lower() == "true")

    def _named(self, at: int, name: str) -> Column:
        if column := self.columns.get(name.lower()):
            return column
        if name.lower() == "null":
            raise _fault(at, "nothing equals NULL: write IS NULL or IS NOT NULL")
        raise _fault(at, f"there is no column {name}{nearest(name, self.columns)}")

    def _side(self, operand: _Operand) -> peewee.Node:
        return peewee.Value(operand.value) if operand.column is None else self.node(operand.column)

    def _ordered(self, column: _Operand) -> peewee.Node:
        side = self._side(column)
        return by_code_point(self.database, side) if column.type == _TEXT else side


def _same_type(column: _Operand, other: _Operand) -> _Operand:
    """The other side of a comparison, in the type of the column."""
    if column.type == other.type:
        return other
    if column.type == _TIME and other.column is None and other.type == _TEXT:
        return _Operand(_TIME, other.at, other.said, value=_moment(other.at, other.value))
    raise _fault(other.at, f"{column.said} is {column.type}, and {other.said} is {other.type}")


def _chained(operator: str, parts: list[peewee.Node]) -> peewee.Node:
    """All parts joined in a balanced tree."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return peewee.Expression(_chained(operator, parts[:middle]), operator, _chained(operator, parts[middle:]))


def _negation(part: peewee.Node) -> peewee.Node:
    return peewee.NodeList((peewee.SQL("NOT"), peewee.EnclosedNodeList((part,))))


# > The text: its syntax, its values, its faults


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True)


def _parsed(text: str) -> Tree:
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        place = error.pos_in_stream
        if place is None or place < 0 or getattr(getattr(error, "token", None), "type", None) == "$END":
            raise UsageError("--where: the condition ends too early, after its last character") from None
        raise _fault(place, f"{text[place:].split(' ')[0][:30]!r} was not expected here") from None


def _fault(at: int, what: str) -> UsageError:
    return UsageError(f"--where: at character {at + 1}: {what}")


def _number(at: int, said: str) -> int | float:
    """A number; an integer that 8 bytes cannot hold becomes a float."""
    is_integer = said.lstrip("+-").isdigit() and len(said) < _DIGITS
    value = int(said) if is_integer and abs(int(said)) <= _LARGEST else float(said)
    if not math.isfinite(value):
        raise _fault(at, f"{said[:30]} is larger than any value of a column")
    return value


def _text(at: int, said: str) -> str:
    """A text without its quotes."""
    if not said.isprintable():
        raise _fault(at, "text may hold printable characters only")
    return said[1:-1].replace("''", "'")


def _moment(at: int, said: str) -> str:
    """A moment in the form of SQLite, which PostgreSQL understands."""
    try:
        value = datetime.fromisoformat(said)
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _fault(at, f"not a moment: {said!r}; write 2026-11-25 or 2026-11-25T20:15:00 (UTC)") from None
    return value.isoformat(sep=" ", timespec="microseconds")
