"""Conditions on columns, and what is computed from them, in the syntax of SQL: what ``--where`` takes.

Our own grammar parses the text, and the query gets every value as a parameter, so that none of the text is in
the SQL. A text means the same on SQLite and on PostgreSQL: an absent value is NULL, and a comparison with it
is neither true nor false, so that the row is left out, also after NOT. Arithmetic is that of doubles, also of
integers; what has no value, as a quotient by 0, is NULL.
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

from astra.database import doubles
from astra.database.doubles import Double
from astra.database.sql import by_code_point, like
from astra.errors import UsageError, nearest
from astra.models.fields import Kind

GRAMMAR = r"""
?condition: either
formulas: formula ("," formula)*
formula: either [_AS NAME] [DIRECTION]

?either: both (_OR both)*
?both: inverse (_AND inverse)*
?inverse: NOT inverse -> negated
    | predicate
?predicate: value
    | value COMPARISON value -> compared
    | value _IS [NOT] _NULL -> absent
    | value [NOT] _BETWEEN value _AND value -> between
    | value [NOT] _IN "(" value ("," value)* ")" -> among
    | value [NOT] _LIKE value -> alike
?value: sum
    | value "&" sum -> masked
?sum: product (SIGN product)*
?product: signed (SCALE signed)*
?signed: SIGN signed -> signed
    | atom
?atom: NAME -> column
    | NAME "(" [value ("," value)*] ")" -> computed
    | NUMBER -> number
    | STRING -> text
    | TRUE -> logical
    | FALSE -> logical
    | "(" either ")"

_OR.2: /or\b/i
_AND.2: /and\b/i
NOT.2: /not\b/i
_IS.2: /is\b/i
_NULL.2: /null\b/i
_BETWEEN.2: /between\b/i
_IN.2: /in\b/i
_LIKE.2: /like\b/i
_AS.2: /as\b/i
DIRECTION.2: /(asc|desc)\b/i
TRUE.2: /true\b/i
FALSE.2: /false\b/i
COMPARISON: "<=" | ">=" | "<>" | "!=" | "=" | "<" | ">"
// Not two of them: that begins a comment in SQL.
SIGN: /\+|-(?!-)/
SCALE: "*" | "/"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
NUMBER: /([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/
STRING: /'([^'\x00-\x1f]|'')*'/
%ignore /[ \t\r\n]+/
"""

# How messages call the values of a column, and which values can be compared with each other.
_NUMBER, _LOGICAL, _TEXT, _TIME = "a number", "true or false", "text", "a moment"
_TYPES = {Kind.LOGICAL: _LOGICAL, Kind.TEXT: _TEXT, Kind.TIME: _TIME}
_KINDS = {_NUMBER: Kind.DOUBLE, _LOGICAL: Kind.LOGICAL, _TEXT: Kind.TEXT, _TIME: Kind.TIME}
_SWAPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}

#: The functions of numbers, and how many arguments each takes: least and most.
FUNCTIONS: dict[str, tuple[Callable[..., Double], int, float]] = {
    "abs": (doubles.absolute, 1, 1),
    "sqrt": (doubles.square_root, 1, 1),
    "ln": (doubles.logarithm, 1, 1),
    "log10": (doubles.decimal_logarithm, 1, 1),
    "exp": (doubles.exponential, 1, 1),
    "least": (doubles.least, 2, math.inf),
    "greatest": (doubles.greatest, 2, math.inf),
    "coalesce": (doubles.first_known, 2, math.inf),
    "separation": (doubles.separation, 4, 4),
}
# Their arguments are in the SQL more than once.
_OF_COLUMNS = {"separation"}

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
    """A part of the text that has a value, as ``said`` at the character ``at``.

    Attributes:
        type: How messages call its values.
        column: The column that it is, if it is one.
        value: The constant that it is, if it is one.
        node: Its SQL, if it is computed.
        double: The same of arithmetic.
        is_whole: Whether it is an integer.
        names_column: Whether it depends on the row.
    """

    type: str
    at: int
    said: str
    column: Column | None = None
    value: Any = None
    node: peewee.Node | None = None
    double: Double | None = None
    is_whole: bool = False
    names_column: bool = True


@dataclass(frozen=True)
class Formula:
    """A column, or what is computed from some.

    Attributes:
        name: What it is called: what follows AS, else its text.
        kind: The kind of its values.
        column: The column, where it is no more than that.
        descends: Whether DESC follows.
        node: Its SQL.
    """

    name: str
    kind: Kind
    column: Column | None
    descends: bool
    node: peewee.Node


class _Parsed:
    """A text that was parsed, and checked without a database.

    Attributes:
        text: The text.
        columns: The columns that it can name.
        used: Those that it names.
    """

    def __init__(self, text: str, columns: Sequence[Column], option: str, start: str) -> None:
        self.text, self.columns = text, tuple(columns)
        try:
            if len(text) > _LONGEST:
                raise _Fault(None, f"{len(text):,} characters are too many; at most {_LONGEST:,}")
            self._tree = _parsed(text, start)
            # Translated for no database, to find all faults of the text now.
            used: list[Column] = []
            self._plain = self._translate(
                peewee.SqliteDatabase(None), lambda column: used.append(column) or peewee.SQL(column.key)
            )
        except _Fault as fault:
            place = "" if fault.at is None else f"at character {fault.at + 1}: "
            raise UsageError(f"{option}: {place}{fault}") from None
        self.used = tuple(used)

    def _translate(self, database: peewee.Database, node: Callable[[Column], peewee.Node]) -> Any:
        raise NotImplementedError

    def _translation(
        self, database: peewee.Database, node: Callable[[Column], peewee.Node]
    ) -> "_Translation":
        named = {column.name.lower(): column for column in self.columns}
        return _Translation(self.text, database, node, named)


class Filter(_Parsed):
    """A parsed condition, made without a database."""

    def __init__(self, text: str, columns: Sequence[Column]) -> None:
        """Parse a condition.

        Args:
            text: The condition.
            columns: The columns that it can name, in upper or lower case.

        Raises:
            UsageError: It is not a condition on these columns; the message says where, and why.
        """
        super().__init__(text, columns, "--where", "condition")

    def expression(self, database: peewee.Database, node: Callable[[Column], peewee.Node]) -> peewee.Node:
        """The condition as a part of a query.

        Args:
            database: The database of the query.
            node: Gives the node of a column in the query.
        """
        return self._translate(database, node)

    def _translate(self, database: peewee.Database, node: Callable[[Column], peewee.Node]) -> peewee.Node:
        return self._translation(database, node).condition(self._tree)


class Formulas(_Parsed):
    """Columns, and what is computed from them, between commas.

    Attributes:
        formulas: They, for no database.
    """

    def __init__(self, text: str, columns: Sequence[Column], option: str, *, ordering: bool) -> None:
        """Parse them.

        Args:
            text: The text.
            columns: The columns that it can name, in upper or lower case.
            option: Where it comes from, for messages.
            ordering: Whether ASC or DESC may follow each of them, or else AS and a name.

        Raises:
            UsageError: It is no list of such; the message says where, and why.
        """
        self._ordering = ordering
        super().__init__(text, columns, option, "formulas")
        self.formulas: tuple[Formula, ...] = self._plain

    def __call__(
        self, database: peewee.Database, node: Callable[[Column], peewee.Node]
    ) -> tuple[Formula, ...]:
        """The parts of a query, in their order.

        Args:
            database: The database of the query.
            node: Gives the node of a column in the query.
        """
        return self._translate(database, node)

    def _translate(
        self, database: peewee.Database, node: Callable[[Column], peewee.Node]
    ) -> tuple[Formula, ...]:
        translation, found = self._translation(database, node), {}
        for each in self._tree.children:
            formula = translation.formula(each, ordering=self._ordering)
            if formula.name in found and not self._ordering:
                what = f"{formula.name} is there twice: leave one out, or write {formula.name} as NAME"
                raise _Fault(each.meta.start_pos, what)
            found[formula.name] = formula
        return tuple(found.values())


@dataclass(frozen=True)
class _Translation:
    """From the syntax tree to the query: each kind of node in the grammar has a method of its name."""

    text: str
    database: peewee.Database
    node: Callable[[Column], peewee.Node]
    columns: dict[str, Column]

    def condition(self, tree: Tree) -> peewee.Node:
        """Translate a condition."""
        return self._condition(tree, 0)

    def formula(self, tree: Tree, *, ordering: bool) -> Formula:
        """Translate one of several formulas."""
        value, name, direction = tree.children
        for wrong in (direction,) if not ordering else (name,):
            if wrong is not None:
                raise _Fault(wrong.start_pos, f"{str(wrong)!r} was not expected here")
        operand = self._operand(value, 0)
        if not operand.names_column:
            raise _Fault(operand.at, f"a column is needed here, not {operand.said}")
        kind = operand.column.kind if operand.column else _KINDS[operand.type]
        kind = Kind.LONG if operand.is_whole and not operand.column else kind
        said = operand.column.name if operand.column else " ".join(self._said(value).split())
        descends = direction is not None and direction.lower() == "desc"
        node = self._ordered(operand) if ordering else self._side(operand)
        return Formula(str(name or said), kind, operand.column, descends, node)

    # > True or false

    def _condition(self, tree: Tree, depth: int) -> peewee.Node:
        operand = self._operand(tree, depth)
        if operand.type != _LOGICAL:
            what = f"{operand.said} is {operand.type}, not a condition"
            raise _Fault(operand.at, f"{what}: compare it with something")
        return self._side(operand)

    def _either(self, tree: Tree, depth: int) -> _Operand:
        return self._joined(tree, "OR", depth)

    def _both(self, tree: Tree, depth: int) -> _Operand:
        return self._joined(tree, "AND", depth)

    def _joined(self, tree: Tree, operator: str, depth: int) -> _Operand:
        return self._predicate(
            tree, _chained(operator, [self._condition(part, depth) for part in tree.children])
        )

    def _negated(self, tree: Tree, depth: int) -> _Operand:
        return self._predicate(tree, _negation(self._condition(tree.children[1], depth)))

    def _compared(self, tree: Tree, depth: int) -> _Operand:
        first, comparison, second = tree.children
        left, operator, right = self._operand(first, depth), str(comparison), self._operand(second, depth)
        if not (left.names_column or right.names_column):
            raise _Fault(left.at, "no column is compared here")
        if not left.names_column:
            left, operator, right = right, _SWAPPED.get(operator, operator), left
        left, right = self._alike_typed(left, right)
        if operator in _SWAPPED and left.type == _LOGICAL:
            raise _Fault(left.at, f"{left.said} is true or false, so {operator} has no meaning for it")
        operator = "<>" if operator == "!=" else operator
        return self._predicate(tree, peewee.Expression(self._ordered(left), operator, self._side(right)))

    def _absent(self, tree: Tree, depth: int) -> _Operand:
        value, negated = tree.children
        side = self._side(self._of_row(value, depth))
        return self._predicate(
            tree, peewee.Expression(side, "IS NOT" if negated else "IS", peewee.SQL("NULL"))
        )

    def _between(self, tree: Tree, depth: int) -> _Operand:
        value, negated, first, second = tree.children
        middle, low, high = self._alike_typed(
            self._of_row(value, depth), self._operand(first, depth), self._operand(second, depth)
        )
        if middle.type == _LOGICAL:
            raise _Fault(middle.at, f"{middle.said} is true or false, so BETWEEN has no meaning for it")
        side = self._ordered(middle)
        above = peewee.Expression(side, ">=", self._side(low))
        below = peewee.Expression(side, "<=", self._side(high))
        inside = peewee.Expression(above, "AND", below)
        return self._predicate(tree, _negation(inside) if negated else inside)

    def _among(self, tree: Tree, depth: int) -> _Operand:
        value, negated, *others = tree.children
        one, *several = self._alike_typed(
            self._of_row(value, depth), *(self._operand(other, depth) for other in others)
        )
        listed = peewee.EnclosedNodeList([self._side(each) for each in several])
        return self._predicate(
            tree, peewee.Expression(self._side(one), "NOT IN" if negated else "IN", listed)
        )

    def _alike(self, tree: Tree, depth: int) -> _Operand:
        value, negated, other = tree.children
        text, pattern = self._of_row(value, depth), self._operand(other, depth)
        for operand in (text, pattern):
            if operand.type != _TEXT or (operand is pattern and pattern.names_column):
                raise _Fault(operand.at, "LIKE compares a column of text with a pattern in quotes")
        if _DANGLING.search(pattern.value):
            raise _Fault(pattern.at, "a pattern does not end with a single backslash")
        fits = like(self.database, self._side(text), pattern.value)
        return self._predicate(tree, _negation(fits) if negated else fits)

    def _predicate(self, tree: Tree, node: peewee.Node) -> _Operand:
        return _Operand(_LOGICAL, tree.meta.start_pos, self._said(tree), node=node)

    # > Numbers

    def _sum(self, tree: Tree, depth: int) -> _Operand:
        return self._reckoned(tree, depth)

    def _product(self, tree: Tree, depth: int) -> _Operand:
        return self._reckoned(tree, depth)

    def _reckoned(self, tree: Tree, depth: int) -> _Operand:
        """A chain of operations of one rank, from left to right."""
        first, *rest = tree.children
        operators, others = rest[::2], rest[1::2]
        depth += len(operators)
        left = self._operand(first, depth)
        for operator, other in zip(operators, others, strict=True):
            right = self._operand(other, depth)
            left = self._arithmetic(tree, str(operator), left, right)
        return left

    def _signed(self, tree: Tree, depth: int) -> _Operand:
        sign, value = tree.children
        operand = self._operand(value, depth)
        at, said = tree.meta.start_pos, self._said(tree)
        if operand.type == _NUMBER and not operand.names_column and operand.double is None:
            value = -operand.value if sign == "-" else operand.value
            return _Operand(_NUMBER, at, said, value=value, is_whole=operand.is_whole, names_column=False)
        return self._arithmetic(tree, str(sign), operand)

    def _arithmetic(self, tree: Tree, operator: str, *operands: _Operand) -> _Operand:
        return self._of_doubles(tree, _OPERATIONS[operator, len(operands)], operands)

    def _computed(self, tree: Tree, depth: int) -> _Operand:
        name, *arguments = tree.children
        if name.lower() not in FUNCTIONS:
            raise _Fault(name.start_pos, f"there is no function {name}{nearest(name, FUNCTIONS)}")
        function, least, most = FUNCTIONS[name.lower()]
        operands = [self._operand(each, depth) for each in arguments if each is not None]
        if not least <= len(operands) <= most:
            needed = f"{least} or more" if most == math.inf else f"{least}"
            values = "value" if needed == "1" else "values"
            raise _Fault(name.start_pos, f"{name} takes {needed} {values}, not {len(operands)}")
        for operand in operands if name.lower() in _OF_COLUMNS else ():
            if operand.double is not None:
                raise _Fault(operand.at, f"{name} takes columns and numbers, not {operand.said}")
        return self._of_doubles(tree, function, operands)

    def _of_doubles(
        self, tree: Tree, function: Callable[..., Double], operands: Sequence[_Operand]
    ) -> _Operand:
        at, said = tree.meta.start_pos, self._said(tree)
        try:
            made = function(*map(self._double, operands))
        except OverflowError:
            raise _Fault(at, f"{said} could be too large or too small for a number") from None
        named = any(operand.names_column for operand in operands)
        return _Operand(_NUMBER, at, said, node=made.node, double=made, names_column=named)

    def _masked(self, tree: Tree, depth: int) -> _Operand:
        """Bits that two integers have in common."""
        operands = [self._operand(part, depth) for part in tree.children]
        for operand in operands:
            if not operand.is_whole:
                raise _Fault(operand.at, f"& takes integers, and {operand.said} is not one")
        left, right = (peewee.Cast(self._side(operand), "bigint") for operand in operands)
        named = any(operand.names_column for operand in operands)
        node = peewee.Expression(left, "&", right)
        return _Operand(
            _NUMBER, tree.meta.start_pos, self._said(tree), node=node, is_whole=True, names_column=named
        )

    def _double(self, operand: _Operand) -> Double:
        """A number as a double."""
        if operand.type != _NUMBER:
            raise _Fault(operand.at, f"{operand.said} is {operand.type}, and a number is needed here")
        if operand.double is not None:
            return operand.double
        if operand.node is None and operand.column is None:
            return doubles.constant(self.database, operand.value)
        convert = doubles.of_integers if operand.is_whole else doubles.of_floats
        return convert(self.database, self._side(operand))

    # > Columns and constants

    def _column(self, tree: Tree, depth: int) -> _Operand:
        [name] = tree.children
        column = self._named(name.start_pos, str(name))
        is_whole = column.kind in (Kind.LONG, Kind.INT)
        kind = _TYPES.get(column.kind, _NUMBER)
        return _Operand(kind, name.start_pos, column.name, column, is_whole=is_whole)

    def _named(self, at: int, name: str) -> Column:
        if column := self.columns.get(name.lower()):
            return column
        if name.lower() == "null":
            raise _Fault(at, "nothing equals NULL: write IS NULL or IS NOT NULL")
        quoted = f"; a text stands in quotes, as '{name}'"
        names = "all names: `astra query TASK --columns all --limit 0 --csv`"
        meant = nearest(name, self.columns, None)
        raise _Fault(at, f"there is no column {name}{meant or f'{quoted}; {names}'}")

    def _number(self, tree: Tree, depth: int) -> _Operand:
        value = _value_of(tree.children[0])
        return self._constant(tree, _NUMBER, value, is_whole=isinstance(value, int))

    def _text(self, tree: Tree, depth: int) -> _Operand:
        return self._constant(tree, _TEXT, _unquoted(tree.children[0]))

    def _logical(self, tree: Tree, depth: int) -> _Operand:
        return self._constant(tree, _LOGICAL, tree.children[0].lower() == "true")

    def _constant(self, tree: Tree, kind: str, value: Any, *, is_whole: bool = False) -> _Operand:
        [token] = tree.children
        return _Operand(kind, token.start_pos, str(token), value=value, is_whole=is_whole, names_column=False)

    # > Operands

    def _operand(self, tree: Tree, depth: int) -> _Operand:
        if depth > _DEEPEST:
            raise _Fault(None, f"more than {_DEEPEST} operations within each other")
        return getattr(self, f"_{tree.data}")(tree, depth + 1)

    def _of_row(self, tree: Tree, depth: int) -> _Operand:
        operand = self._operand(tree, depth)
        if not operand.names_column:
            raise _Fault(operand.at, f"a column is needed here, not {operand.said}")
        return operand

    def _alike_typed(self, first: _Operand, *others: _Operand) -> list[_Operand]:
        """The sides of a comparison, in the type of the first; all as doubles where one is computed."""
        operands = [first, *(_same_type(first, other) for other in others)]
        if all(operand.double is None for operand in operands):
            return operands
        return [
            _Operand(_NUMBER, operand.at, operand.said, node=self._double(operand).node)
            for operand in operands
        ]

    def _side(self, operand: _Operand) -> peewee.Node:
        if operand.node is not None:
            return operand.node
        return peewee.Value(operand.value) if operand.column is None else self.node(operand.column)

    def _ordered(self, operand: _Operand) -> peewee.Node:
        side = self._side(operand)
        return by_code_point(self.database, side) if operand.type == _TEXT else side

    def _said(self, tree: Tree) -> str:
        return self.text[tree.meta.start_pos : tree.meta.end_pos]


_OPERATIONS: dict[tuple[str, int], Callable[..., Double]] = {
    ("+", 2): Double.__add__,
    ("-", 2): Double.__sub__,
    ("*", 2): Double.__mul__,
    ("/", 2): Double.__truediv__,
    ("-", 1): Double.__neg__,
    ("+", 1): lambda value: value,
}


def _same_type(first: _Operand, other: _Operand) -> _Operand:
    """The other side of a comparison, in the type of the first."""
    if first.type == other.type:
        return other
    if first.type == _TIME and not other.names_column and other.type == _TEXT:
        moment = _moment(other.at, other.value)
        return _Operand(_TIME, other.at, other.said, value=moment, names_column=False)
    raise _Fault(other.at, f"{first.said} is {first.type}, and {other.said} is {other.type}")


def _chained(operator: str, parts: list[peewee.Node]) -> peewee.Node:
    """All parts joined in a balanced tree."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return peewee.Expression(_chained(operator, parts[:middle]), operator, _chained(operator, parts[middle:]))


def _negation(part: peewee.Node) -> peewee.Node:
    return peewee.NodeList((peewee.SQL("NOT"), peewee.EnclosedNodeList((part,))))


# > The text: its syntax, its values, its faults


class _Fault(Exception):
    """What is wrong with a text, and at which character, from 0; ``None`` where it is all of it."""

    def __init__(self, at: int | None, what: str) -> None:
        super().__init__(what)
        self.at = at


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True, start=["condition", "formulas"])


def _parsed(text: str, start: str) -> Tree:
    try:
        return _parser().parse(text, start=start)
    except UnexpectedInput as error:
        place = error.pos_in_stream
        if place is None or place < 0 or getattr(getattr(error, "token", None), "type", None) == "$END":
            what = "the condition" if start == "condition" else "the text"
            raise _Fault(None, f"{what} ends too early, after its last character") from None
        raise _Fault(place, f"{text[place:].split(' ')[0][:30]!r} was not expected here") from None


def _value_of(token: Token) -> int | float:
    """A number; an integer that 8 bytes cannot hold becomes a float."""
    is_integer = token.isdigit() and len(token) < _DIGITS
    value = int(token) if is_integer and int(token) <= _LARGEST else float(token)
    if not math.isfinite(value):
        raise _Fault(token.start_pos, f"{token[:30]} is larger than any value of a column")
    return value


def _unquoted(token: Token) -> str:
    """A text without its quotes."""
    if not token.isprintable():
        raise _Fault(token.start_pos, "text may hold printable characters only")
    return token[1:-1].replace("''", "'")


def _moment(at: int, said: str) -> str:
    """A moment in the form of SQLite, which PostgreSQL understands."""
    try:
        value = datetime.fromisoformat(said)
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _Fault(at, f"not a moment: {said!r}; write 2026-11-25 or 2026-11-25T20:15:00 (UTC)") from None
    return value.isoformat(sep=" ", timespec="microseconds")
