"""The arguments of a command as one frozen dataclass: typer shows its fields, and it can be written as words.

A field that is such a dataclass stands for its own fields: so commands share a part of their arguments.
One field may hold further options, which are known only when the command line is read.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def further_options() -> Any:
    """A field for the values, by name, of options that are not fields; those as by default are left out."""
    return field(default_factory=dict, metadata={_DECLARED: None})


def takes(
    arguments: type[T], further: Sequence[inspect.Parameter] = ()
) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Decorator: a command whose parameters are the fields of a dataclass, and that gets them as one.

    Args:
        arguments: The dataclass.
        further: Options beside its fields, for the field made by ``further_options``.
    """
    defaults = {parameter.name: parameter.default for parameter in further}

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**values: Any) -> None:
            given = {name: values[name] for name, default in defaults.items() if values[name] != default}
            command(_gathered(arguments, values, given))

        call.__signature__ = inspect.Signature([*_parameters(arguments), *further])
        return call

    return decorate


def specified(arguments: Any) -> dict[str, Any]:
    """The arguments by name, without those that are absent and the switches that are off."""
    found = {}
    for each, value in _flat(arguments):
        if each.metadata[_DECLARED] is None:
            found |= value
        elif value is not None and value is not False:
            found[each.name] = value
    return found


def command_line(arguments: Any) -> tuple[str, ...]:
    """The words that a command takes as these arguments; what is as by default is left out."""
    words, options = [], []
    for each, value in _flat(arguments):
        declared = each.metadata[_DECLARED]
        if declared is None:
            options += [_word(option_name(name), one) for name, one in value.items()]
            continue
        if value == each.default:
            continue
        if isinstance(declared, ArgumentInfo):
            words += value if isinstance(value, list) else [value]
            continue
        # Where an option has a name of its own, typer keeps it as if it were the default.
        name = declared.default if isinstance(declared.default, str) else option_name(each.name)
        options += [_word(name, one) for one in (value if isinstance(value, list) else [value])]
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


def _word(option: str, value: Any) -> str:
    """An option with its value, as one word; a switch has none."""
    if isinstance(value, bool):
        return option if value else option.replace("--", "--no-", 1)
    return f"{option}={value}"


def _parameters(arguments: type) -> Iterator[inspect.Parameter]:
    for each in fields(arguments):
        if is_dataclass(each.type):
            yield from _parameters(each.type)
        elif each.metadata[_DECLARED] is not None:
            annotation = Annotated[each.type, each.metadata[_DECLARED]]
            default = inspect.Parameter.empty if each.default is MISSING else each.default
            kind = inspect.Parameter.KEYWORD_ONLY
            yield inspect.Parameter(each.name, kind, default=default, annotation=annotation)


def _gathered(arguments: type[T], values: dict[str, Any], further: Mapping[str, Any]) -> T:
    def value_of(each: Field) -> Any:
        if is_dataclass(each.type):
            return _gathered(each.type, values, further)
        if each.metadata[_DECLARED] is None:
            return {name: expanded(value) for name, value in further.items()}
        value = values[each.name]
        several = isinstance(value, list)
        paths = [expanded(item) for item in (value if several else [value])]
        return paths if several else paths[0]

    return arguments(**{each.name: value_of(each) for each in fields(arguments)})


def _flat(arguments: Any) -> Iterator[tuple[Field, Any]]:
    for each in fields(arguments):
        value = getattr(arguments, each.name)
        yield from _flat(value) if is_dataclass(value) else [(each, value)]
