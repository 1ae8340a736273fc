"""The arguments of a command as one frozen dataclass: typer shows its fields, and it can be written as words.

A field that is such a dataclass stands for its own fields: so commands share a part of their arguments.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from typer import Argument, Option
from typer.models import ArgumentInfo

from astra.errors import ConfigError, UsageError

T = TypeVar("T")

_DECLARED = "declared"


def argument(default: Any = MISSING, **declared: Any) -> Any:
    """A field that is a positional argument, declared by what ``typer.Argument`` takes."""
    return field(default=default, metadata={_DECLARED: Argument(**declared)})


def option(*names: str, default: Any = None, **declared: Any) -> Any:
    """A field that is an option, declared by what ``typer.Option`` takes."""
    return field(default=default, metadata={_DECLARED: Option(*names, **declared)})


def takes(arguments: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Decorator: a command whose parameters are the fields of a dataclass, and that gets them as one."""

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**values: Any) -> None:
            command(_gathered(arguments, values))

        call.__signature__ = inspect.Signature(list(_parameters(arguments)))
        return call

    return decorate


def specified(arguments: Any) -> dict[str, Any]:
    """The arguments by name, without those that are absent and the switches that are off."""
    found = {each.name: value for each, value in _flat(arguments)}
    return {name: value for name, value in found.items() if value is not None and value is not False}


def command_line(arguments: Any) -> tuple[str, ...]:
    """The words that a command takes as these arguments; what is as by default is left out."""
    words, options = [], []
    for each, value in _flat(arguments):
        declared = each.metadata[_DECLARED]
        if value == each.default:
            continue
        if isinstance(declared, ArgumentInfo):
            words += value if isinstance(value, list) else [value]
            continue
        # Where an option has a name of its own, typer keeps it as if it were the default.
        name = declared.default if isinstance(declared.default, str) else option_name(each.name)
        options.append(name if value is True else f"{name}={value}")
    return (*words, *options)


def option_name(name: str) -> str:
    """How the command line spells the name of a parameter."""
    return f"--{name.replace('_', '-')}"


def expanded(value: T) -> T:
    """The value of a parameter; if it is a path, with ``~`` and variables replaced.

    Raises:
        UsageError: A variable is not set.
    """
    if not isinstance(value, Path):
        return value
    from astra.config import expand_path  # which loads what `--help` can do without

    try:
        return Path(expand_path(value))
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _parameters(arguments: type) -> Iterator[inspect.Parameter]:
    for each in fields(arguments):
        if is_dataclass(each.type):
            yield from _parameters(each.type)
        else:
            annotation = Annotated[each.type, each.metadata[_DECLARED]]
            default = inspect.Parameter.empty if each.default is MISSING else each.default
            kind = inspect.Parameter.KEYWORD_ONLY
            yield inspect.Parameter(each.name, kind, default=default, annotation=annotation)


def _gathered(arguments: type[T], values: dict[str, Any]) -> T:
    def value_of(each: Field) -> Any:
        if is_dataclass(each.type):
            return _gathered(each.type, values)
        value = values[each.name]
        several = isinstance(value, list)
        paths = [expanded(item) for item in (value if several else [value])]
        return paths if several else paths[0]

    return arguments(**{each.name: value_of(each) for each in fields(arguments)})


def _flat(arguments: Any) -> Iterator[tuple[Field, Any]]:
    for each in fields(arguments):
        value = getattr(arguments, each.name)
        yield from _flat(value) if is_dataclass(value) else [(each, value)]
