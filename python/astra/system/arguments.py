"""The arguments of a command as one frozen dataclass: typer shows its fields, and it can be written as words.

A field is annotated as typer wants a parameter to be. A field that is such a dataclass itself stands for its
own fields: so commands share a part of their arguments.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any, TypeVar

from typer.models import ArgumentInfo

T = TypeVar("T")


def takes(arguments: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Decorator: a command whose parameters are the fields of a dataclass, and that gets them as one."""

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**values: Any) -> None:
            command(_gathered(arguments, values))

        call.__signature__ = inspect.Signature(list(_parameters(arguments)))
        return call

    return decorate


def given(arguments: Any) -> dict[str, Any]:
    """The arguments by name, without those that are absent and the switches that are off."""
    found = {parameter.name: value for parameter, value in _flat(arguments)}
    return {name: value for name, value in found.items() if value is not None and value is not False}


def command_line(arguments: Any) -> tuple[str, ...]:
    """The words that a command takes as these arguments; what is as by default is left out."""
    words, options = [], []
    for parameter, value in _flat(arguments):
        (declared,) = parameter.annotation.__metadata__
        if value == parameter.default:
            continue
        if isinstance(declared, ArgumentInfo):
            words += value if isinstance(value, list) else [value]
            continue
        # typer keeps the name of an option, where it is given, as if it were the default.
        name = declared.default if isinstance(declared.default, str) else option_name(parameter.name)
        options.append(name if value is True else f"{name}={value}")
    return (*words, *options)


def option_name(name: str) -> str:
    """How the command line spells the name of a parameter."""
    return f"--{name.replace('_', '-')}"


def _fields(arguments: type) -> Iterator[inspect.Parameter]:
    yield from inspect.signature(arguments).parameters.values()


def _parameters(arguments: type) -> Iterator[inspect.Parameter]:
    for field in _fields(arguments):
        yield from _parameters(field.annotation) if is_dataclass(field.annotation) else [field]


def _gathered(arguments: type[T], values: dict[str, Any]) -> T:
    def value_of(field: inspect.Parameter) -> Any:
        part = field.annotation
        return _gathered(part, values) if is_dataclass(part) else values[field.name]

    return arguments(**{field.name: value_of(field) for field in _fields(arguments)})


def _flat(arguments: Any) -> Iterator[tuple[inspect.Parameter, Any]]:
    for field in _fields(type(arguments)):
        value = getattr(arguments, field.name)
        yield from _flat(value) if is_dataclass(value) else [(field, value)]
