"""One line for whatever is wrong with a file that a simulator is made from."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astra.errors import ConfigError, SpectrumError

# What numpy, gzip and astropy raise for a file that is absent, damaged, or another one.
_ERRORS = (OSError, ValueError, LookupError, EOFError, TypeError, AttributeError)
_ERRORS += (zipfile.BadZipFile, zlib.error, SpectrumError)


@contextmanager
def reading(what: str, path: Path, remedy: str) -> Iterator[None]:
    """Turn errors in this context into those of a file.

    Args:
        what: What the file is.
        path: The file.
        remedy: What to do, e.g. "give the published files".

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    try:
        yield
    except _ERRORS as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
        raise ConfigError(f"{what}: {path}: {reason[:200]}; {remedy}") from error
