"""A condition on the rows of the catalogue, in the syntax of SQL.

Our own grammar parses the text, and the query gets every value as a parameter, so that none of the text is in
the SQL. A condition means the same on SQLite and on PostgreSQL: an absent value is NULL, and a comparison
with it is neither true nor false, so that the row is left out, also after NOT.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee
from lark import Token, Tree

from astra.catalogue.columns import Column, Kind
from astra.catalogue.grammar import fault, moment_of, number_of, parsed, text_of
from astra.database.sql import by_code_point, like
from astra.errors import UsageError

_TYPES = {
    Kind.LONG: "a number",
    Kind.INT: "a number",
    Kind.DOUBLE: "a number",
    Kind.LOGICAL: "true or false",
    Kind.TEXT: "text",
    Kind.TIME: "a moment",
}
_EQUALITY = ("=", "<>", "!=")
# Far below the limits of the databases.
_DEEPEST = 50
_LONGEST = 10_000
_DANGLING = re.compile(r"(?<!\\)(\\\\)*\\$")


@dataclass(frozen=True)
class _Operand:
    type: str
    at: int
    said: str
    column: Column | None = None
    value: Any = None


class Filter:
    """A parsed condition, made without a database."""

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
        self._named = {column.name.lower(): column for column in columns}
        if len(text) > _LONGEST:
            raise UsageError(f"--where: {len(text):,} characters are too many; at most {_LONGEST:,}")
        self._tree = parsed(text)
        # Translated for no database, to find all faults of the text now.
        self.expression(peewee.SqliteDatabase(None), lambda column: peewee.SQL(column.key))

    def expression(self, database: peewee.Database, node: Callable[[Column], peewee.Node]) -> peewee.Node:
        """The condition as a part of a query.

        Args:
            database: The database of the query.
            node: Gives the node of a column in the query.
        """
        return _Translation(database, node, self._named).condition(self._tree)


@dataclass(frozen=True)
class _Translation:
    database: peewee.Database
    node: Callable[[Column], peewee.Node]
    columns: dict[str, Column]

    def condition(self, tree: Tree, depth: int = 0) -> peewee.Node:
        """Translate one part of the condition."""
        if depth > _DEEPEST:
            raise UsageError(f"--where: more than {_DEEPEST} conditions within each other")
        match tree.data:
            case "either" | "both":
                parts = [self.condition(part, depth + 1) for part in tree.children]
                return _chained("OR" if tree.data == "either" else "AND", parts)
            case "negated":
                return _negation(self.condition(tree.children[1], depth + 1))
            case "compared" | "absent" | "between" | "among" | "alike":
                return getattr(self, f"_{tree.data}")(*_split(tree))
            case "bare":
                return self._bare(self._operand(tree.children[0]))
        return self._bare(self._operand(tree))

    def _compared(self, negated: bool, children: list) -> peewee.Node:
        left, operator, right = self._operand(children[0]), str(children[1]), self._operand(children[2])
        if left.column is None and right.column is None:
            raise fault(left.at, "no column is compared here")
        if left.column is None:
            swapped = operator.translate(str.maketrans("<>", "><")) if operator not in _EQUALITY else operator
            left, operator, right = right, swapped, left
        right = _same_type(left, right)
        if operator not in _EQUALITY and left.type == _TYPES[Kind.LOGICAL]:
            raise fault(left.at, f"{left.said} is true or false, so {operator} has no meaning for it")
        operator = "<>" if operator == "!=" else operator
        return peewee.Expression(self._ordered(left), operator, self._side(right))

    def _absent(self, negated: bool, children: list) -> peewee.Node:
        column = self._column_of(children[0])
        return peewee.Expression(self._side(column), "IS NOT" if negated else "IS", peewee.SQL("NULL"))

    def _between(self, negated: bool, children: list) -> peewee.Node:
        column, low, high = self._column_of(children[0]), *map(self._operand, children[1:])
        if column.type == _TYPES[Kind.LOGICAL]:
            raise fault(column.at, f"{column.said} is true or false, so BETWEEN has no meaning for it")
        bounds = (self._side(_same_type(column, low)), self._side(_same_type(column, high)))
        side = self._ordered(column)
        inside = peewee.Expression(
            peewee.Expression(side, ">=", bounds[0]), "AND", peewee.Expression(side, "<=", bounds[1])
        )
        return _negation(inside) if negated else inside

    def _among(self, negated: bool, children: list) -> peewee.Node:
        column, values = self._column_of(children[0]), [self._operand(child) for child in children[1:]]
        listed = peewee.EnclosedNodeList([self._side(_same_type(column, value)) for value in values])
        return peewee.Expression(self._side(column), "NOT IN" if negated else "IN", listed)

    def _alike(self, negated: bool, children: list) -> peewee.Node:
        column, pattern = self._column_of(children[0]), self._operand(children[1])
        for operand in (column, pattern):
            if operand.type != _TYPES[Kind.TEXT] or (operand is pattern and pattern.column):
                raise fault(operand.at, "LIKE compares a column of text with a pattern in quotes")
        if _DANGLING.search(pattern.value):
            raise fault(pattern.at, "a pattern does not end with a single backslash")
        fits = like(self.database, self._side(column), pattern.value)
        return _negation(fits) if negated else fits

    def _bare(self, operand: _Operand) -> peewee.Node:
        if operand.type != _TYPES[Kind.LOGICAL]:
            raise fault(
                operand.at, f"{operand.said} is {operand.type}, not a condition: compare it with something"
            )
        return self._side(operand)

    def _column_of(self, tree: Tree) -> _Operand:
        operand = self._operand(tree)
        if operand.column is None:
            raise fault(operand.at, f"a column is needed here, not {operand.said}")
        return operand

    def _operand(self, tree: Tree) -> _Operand:
        token = tree.children[0]
        at, said = token.start_pos, str(token)
        if tree.data == "column":
            return self._known(at, said)
        if tree.data == "number":
            return _Operand(_TYPES[Kind.INT], at, said, value=number_of(at, said))
        if tree.data == "text":
            return _Operand(_TYPES[Kind.TEXT], at, said, value=text_of(at, said))
        return _Operand(_TYPES[Kind.LOGICAL], at, said, value=said.lower() == "true")

    def _known(self, at: int, name: str) -> _Operand:
        column = self.columns.get(name.lower())
        if column is None:
            if name.lower() == "null":
                raise fault(at, "nothing equals NULL: write IS NULL or IS NOT NULL")
            close = difflib.get_close_matches(name.lower(), self.columns, n=3, cutoff=0.5)
            meant = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(self.columns)}"
            raise fault(at, f"there is no column {name}; {meant}")
        return _Operand(_TYPES[column.kind], at, column.name, column)

    def _side(self, operand: _Operand) -> peewee.Node:
        return peewee.Value(operand.value) if operand.column is None else self.node(operand.column)

    def _ordered(self, operand: _Operand) -> peewee.Node:
        side = self._side(operand)
        return by_code_point(self.database, side) if operand.type == _TYPES[Kind.TEXT] else side


def _split(tree: Tree) -> tuple[bool, list]:
    """Whether the parts contain a NOT, and the other parts."""
    others = [child for child in tree.children if not (isinstance(child, Token) and child.type == "NOT")]
    return len(others) < len(tree.children), others


def _same_type(column: _Operand, other: _Operand) -> _Operand:
    """The other side of a comparison, in the type of the column."""
    if column.type == other.type:
        return other
    if column.type == _TYPES[Kind.TIME] and other.column is None and other.type == _TYPES[Kind.TEXT]:
        return _Operand(column.type, other.at, other.said, value=moment_of(other.at, other.value))
    raise fault(other.at, f"{column.said} is {column.type}, and {other.said} is {other.type}")


def _chained(operator: str, parts: list[peewee.Node]) -> peewee.Node:
    """All parts joined in a balanced tree."""
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [
            pair[0] if len(pair) == 1 else peewee.Expression(pair[0], operator, pair[1]) for pair in pairs
        ]
    return parts[0]


def _negation(part: peewee.Node) -> peewee.Node:
    return peewee.NodeList((peewee.SQL("NOT"), peewee.EnclosedNodeList((part,))))
