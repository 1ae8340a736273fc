"""Packages that only some commands need: one wording where one is missing."""

import sys
from importlib import import_module
from importlib.util import find_spec

from astra.errors import ConfigError


def require(package: str, what: str, extra: str, otherwise: str = "") -> None:
    """Check that a package is installed, or that a module of it can be imported.

    Args:
        package: Its name, which is not loaded; or with dots that of the module, which is.
        what: What needs it, as a person calls it.
        extra: The extra of this distribution that installs it.
        otherwise: What does without it, in a few words.

    Raises:
        ConfigError: It is not there; the message says how to install it.
    """
    name, dot, _ = package.partition(".")
    why = ""
    try:
        there = import_module(package) if dot else _is_installed(package)
    except ImportError as error:
        there, why = None, f" ({error})"
    if not there:
        remedy = f"pip install 'astra-distances[{extra}]'" + (f", or {otherwise}" if otherwise else "")
        raise ConfigError(f"{what} needs {name}{why}: {remedy}")


def _is_installed(package: str) -> bool:
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None
