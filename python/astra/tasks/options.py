"""The options of a task: its keyword-only parameters, with their types, limits, defaults and help."""

import inspect
import math
import numbers
import os
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from astra.errors import UsageError

#: The values that Python has of each.
_NUMBERS = {int: numbers.Integral, float: numbers.Real, bool: bool}

#: How a message calls what a type takes.
_WORDS = {int: "an integer", float: "a finite number", bool: "True or False", str: "a text", Path: "a path"}


@dataclass(frozen=True)
class Option:
    """What ``Annotated[type, Option(…)]`` says of an option of a task.

    Attributes:
        help: What it means, with its unit; ``None`` takes the entry under ``Args:`` in the docstring.
        min: The least value of a number.
        max: The largest value of a number.
        changes_numbers: Whether results depend on it: then those made with different values do not mix.
    """

    help: str | None = None
    min: float | None = None
    max: float | None = None
    changes_numbers: bool = True


@dataclass(frozen=True)
class TaskOption:
    """An option as its task has it.

    Attributes:
        name: Name of the parameter.
        type: ``int``, ``float``, ``bool``, ``str``, ``Path``, a ``Literal`` of texts or a ``StrEnum``.
        may_be_none: Whether ``None`` is a value too.
        default: The value where none is given.
        declared: Its limits and its help.
    """

    name: str
    type: Any
    may_be_none: bool
    default: Any
    declared: Option

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it takes, if these are few."""
        if _is_enum(self.type):
            return tuple(member.value for member in self.type)
        return typing.get_args(self.type)

    @property
    def wanted(self) -> str:
        """What it takes, in words: its type, its limits or choices, and ``None``."""
        low, high = self.declared.min, self.declared.max
        wanted = _WORDS.get(self.type) or f"one of {', '.join(self.choices)}"
        limits = [f"{sign} {limit}" for sign, limit in ((">=", low), ("<=", high)) if limit is not None]
        parts = (wanted, " and ".join(limits), "or None" if self.may_be_none else "")
        return " ".join(filter(None, parts))

    def checked(self, value: Any) -> Any:
        """The value in the type that the task declares.

        Raises:
            UsageError: It has another type, or is outside the limits or the choices.
        """
        if value is None and self.may_be_none:
            return None
        low, high = self.declared.min, self.declared.max
        try:
            found = self._converted(value)
            is_allowed = (low is None or found >= low) and (high is None or found <= high)
        except (TypeError, ValueError, OverflowError):
            is_allowed = False
        if not is_allowed:
            said = f" ({self.declared.help})" if self.declared.help else ""
            raise UsageError(f"{self.name}={value!r}: give {self.wanted}{said}")
        return found

    def plain(self, value: Any) -> Any:
        """A value as JSON has it."""
        value = self.checked(value)
        return str(value) if isinstance(value, (StrEnum, Path)) else value

    def _converted(self, value: Any) -> Any:
        """The value in the type of the option; ``TypeError`` or ``ValueError`` if it has none."""
        if self.choices:
            if value not in self.choices:
                raise ValueError
            return self.type(value) if _is_enum(self.type) else str(value)
        if self.type in (str, Path):
            return self.type(os.fspath(value))
        # For Python, a bool is a number.
        if isinstance(value, bool) != (self.type is bool) or not isinstance(value, _NUMBERS[self.type]):
            raise TypeError
        found = self.type(value)
        # JSON has neither infinity nor NaN, and the record of a run is JSON.
        if self.type is float and not math.isfinite(found):
            raise ValueError
        return found


def declared_options(function: Callable) -> dict[str, TaskOption]:
    """The options of a task by their names, in the order of its parameters.

    Raises:
        TypeError: A keyword-only parameter has no default, a type that no option has, or limits that its
            default does not meet.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    documented = _documented(function)
    parameters = inspect.signature(function).parameters.values()
    return {
        each.name: _option(function.__name__, each, hints.get(each.name), documented.get(each.name))
        for each in parameters
        if each.kind is each.KEYWORD_ONLY
    }


def _option(task: str, parameter: inspect.Parameter, hint: Any, documented: str | None) -> TaskOption:
    what = f"task {task}: its option {parameter.name}"
    if parameter.default is parameter.empty:
        raise TypeError(f"{what} has no default: give it one")
    declared = Option()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *notes = typing.get_args(hint)
        declared = next((note for note in notes if isinstance(note, Option)), declared)
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    without_none = [kind for kind in kinds if kind is not types.NoneType]
    if len(without_none) != 1 or not _is_known(without_none[0]):
        said = "not annotated" if hint is None else f"annotated as {inspect.formatannotation(hint)}"
        raise TypeError(
            f"{what} is {said}: take int, float, bool, str, Path, a Literal of texts or a StrEnum, "
            "each also `| None`"
        )
    (kind,) = without_none
    if kind not in (int, float) and (declared.min, declared.max) != (None, None):
        raise TypeError(f"{what} has min or max, which are for numbers: leave them out")
    if declared.help is None:
        declared = replace(declared, help=documented)
    option = TaskOption(parameter.name, kind, len(kinds) > 1, parameter.default, declared)
    try:
        option.checked(parameter.default)
    except UsageError as error:
        raise TypeError(f"{what} has a default that it refuses: {error}") from None
    return option


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def _is_known(kind: Any) -> bool:
    if typing.get_origin(kind) is Literal:
        return all(isinstance(choice, str) for choice in typing.get_args(kind))
    return kind in _WORDS or _is_enum(kind)


def _documented(function: Callable) -> dict[str, str]:
    """The entries under ``Args:`` in a docstring of Google's style, by the names of the parameters."""
    _, _, after = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    entries = re.split(r"^\S", after, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"^ {4}(\w[\w, ]*): (.+(?:\n {5,}.+)*)", entries, re.MULTILINE)
    return {
        name: " ".join(text.replace("``", "`").split()) for names, text in found for name in names.split(", ")
    }
