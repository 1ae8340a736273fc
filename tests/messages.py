"""Errors that end a command, and warnings, read from the source: texts with ``…`` for what is filled in."""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

Known = dict[str, list[ast.expr]]

#: What ends a command, and is for an operator to act on; also all that is derived from these.
FOR_OPERATORS = {"ConfigError", "DatabaseUnreachable", "ArchiveUnreachable", "StorageError", "Interrupted"}

#: Numbers, signals and roles, which stand in samples as they are.
NUMBERS = re.compile(r"\d[\d.:T-]*|SIG[A-Z]+|\"astra_\w+\"")

# Their warnings are about single rows and files of the inputs, and say what is made of those: they are the
# answer to a question about the data, not a fault of the ground that a run stands on.
_OF_INPUTS = ("ingest", "modelling")

# What a class says before what it is given.
_BEGUN = {"StoppedWaiting": "stopped while waiting for "}

# Where one part of a message ends and the next one begins.
_BREAK = re.compile(r"(?=: |; |, | \()")


def messages(package: Path) -> dict[str, list[str]]:
    """What each message can say, by its place; those without own words pass another on, and are left out."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(package.rglob("*.py"))}
    kinds = _derived(trees.values())
    found = {}
    for path, tree in trees.items():
        room = path.relative_to(package).parts[0]
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            known = _assigned(function)
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args):
                if _warns(call.func, room) or _makes(call.func, kinds, known):
                    begun = _BEGUN.get(ast.unparse(call.func), "")
                    texts = [plain(begun + text) for text in _texts(call.args[0], known)]
                    place = f"{path.relative_to(package)}:{call.lineno}"
                    # A function in another one knows less than that, which comes before it.
                    found.setdefault(place, [text for text in texts if re.search("[a-z]", text)])
    return {place: texts for place, texts in found.items() if texts}


def beginning(text: str, others: Iterable[str]) -> str:
    """What of a text tells it from others: to the end of one of its parts, or all of it."""
    for end in (at.start() for at in _BREAK.finditer(text)):
        if re.search("[a-z]{2}", text[:end]) and not any(map(pattern_of(text[:end]).match, others)):
            return text[:end]
    return text


def plain(text: str) -> str:
    """A text with one ``…`` for all that is filled in at one place, numbers among it."""
    text = re.sub(r"%\.?\d*[sdfr]", "…", " ".join(text.split()))
    return re.sub(r"…(?:\.?…)+", "…", NUMBERS.sub("…", text))


def pattern_of(text: str) -> re.Pattern[str]:
    """A pattern of a text, in which anything may stand for ``…``."""
    return re.compile(".*?".join(map(re.escape, text.split("…"))))


def _derived(trees: Iterable[ast.AST]) -> set[str]:
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    kinds = set(FOR_OPERATORS)
    while more := {each.name for each in classes if kinds & set(map(ast.unparse, each.bases))} - kinds:
        kinds |= more
    return kinds


def _assigned(function: ast.FunctionDef) -> Known:
    known: Known = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            known.setdefault(ast.unparse(node.targets[0]), []).append(node.value)
        elif isinstance(node, ast.NamedExpr):
            known.setdefault(node.target.id, []).append(node.value)
    return known


def _warns(called: ast.expr, room: str) -> bool:
    return ast.unparse(called) == "log.warning" and room not in _OF_INPUTS


def _makes(called: ast.expr, kinds: set[str], known: Known) -> bool:
    """Whether one of these classes is called: by name, as one of two, by a variable, or as a type."""
    match called:
        case ast.Name(id=name) if name in kinds:
            return True
        case ast.Name(id=name):
            return any(_makes(each, kinds, {}) for each in known.get(name, ()) if isinstance(each, ast.IfExp))
        case ast.IfExp(body=one, orelse=other):
            return _makes(one, kinds, known) or _makes(other, kinds, known)
        case ast.Call(func=ast.Name(id="type")):
            return True
    return False


def _texts(said: ast.expr, known: Known) -> Iterator[str]:
    """All that an expression can say, as far as it is fixed."""
    match said:
        case ast.Constant(value=value):
            yield str(value)
        case ast.JoinedStr(values=values):
            yield from map("".join, itertools.product(*(tuple(_texts(each, known)) for each in values)))
        case ast.FormattedValue(value=ast.Name() as name):
            yield from _texts(name, known)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, known)
            yield from _texts(other, known)
        case ast.Name(id=name) if name in known:
            others = {key: value for key, value in known.items() if key != name}
            for each in known[name]:
                yield from _texts(each, others)
        case ast.BinOp(left=one, op=ast.Add(), right=other):
            yield from map("".join, itertools.product(tuple(_texts(one, known)), tuple(_texts(other, known))))
        case _:
            yield "…"
