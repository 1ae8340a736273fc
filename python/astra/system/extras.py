"""Packages that only some commands need: one wording where one is missing."""

from importlib import import_module

from astra.errors import ConfigError


def require(package: str, what: str, extra: str, otherwise: str = "") -> None:
    """Check that a package can be imported.

    Args:
        package: Its name, as it is imported.
        what: What needs it, as a person calls it.
        extra: The extra of this distribution that installs it.
        otherwise: What does without it, in a few words.

    Raises:
        ConfigError: It cannot; the message says how to install it.
    """
    try:
        import_module(package)
    except ImportError as error:
        raise missing(package, what, extra, otherwise, error) from error


def missing(
    package: str, what: str, extra: str, otherwise: str = "", error: ImportError | None = None
) -> ConfigError:
    """The error of a package that is not there, or of which a part is not."""
    # Where it is there, and what it needs itself is not.
    broken = f" ({error})" if error is not None and getattr(error, "name", None) != package else ""
    remedy = f"pip install 'astra-distances[{extra}]'" + (f", or {otherwise}" if otherwise else "")
    return ConfigError(f"{what} needs {package}{broken}: {remedy}")
