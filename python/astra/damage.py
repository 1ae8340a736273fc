"""What is wrong with a file that was made elsewhere, whichever library reads it: the one place that knows.

Of bytes that are damaged, or made to do harm, libraries raise almost anything, seldom what they document:

    gzip          EOFError, zlib.error, and BadGzipFile, which is an OSError
    astropy       its own errors, struct.error, and what its code stumbles over: TypeError, AttributeError, …
    ECSV, YAML    YAMLError; ValueError of a date, AttributeError of a tag, RecursionError of brackets
    VOTable       ExpatError, URLError
    Parquet       ArrowException, OSError without a number
    HDF5          OSError without a number, KeyError, RuntimeError
    safetensors   SafetensorError; a panic of Rust, which is no Exception
    checkpoints   UnpicklingError, RuntimeError, EOFError, KeyError, IndexError
    numpy         ValueError, BadZipFile
    all of them   MemoryError of sizes that are claimed, UnicodeDecodeError, OverflowError

So whatever is raised while such bytes are read counts as damage, but for what is not their fault: our own
errors, which say already what is wrong; a library that cannot be imported; and whatever stops the process.
"""

import errno
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from astra.errors import AstraError, ConfigError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# A library may quote a whole file.
_LONGEST = 200
# Deeper than the settings and the head of any table, and so many values in them that nothing is too large.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_DEEPEST, _MOST_VALUES = 50, 1_000_000


# > Before a file is opened


def unfit(path: Path, most: int | None = None) -> str | None:
    """Why a file is not opened at all; ``None`` if it can be.

    A named pipe would keep us waiting, and a device never ends.

    Args:
        path: The file; a link is followed.
        most: The largest number of bytes that such a file can have.

    Raises:
        OSError: The operating system does not know, e.g. because nothing is there.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return f"not a file, but {_KINDS.get(stat.S_IFMT(found.st_mode), 'something else')}"
    if most is not None and found.st_size > most:
        return f"too large: {found.st_size:,} bytes, more than {most:,}"
    return None


def check_file(path: Path, most: int | None = None) -> None:
    """Refuse a path that :func:`unfit` speaks against.

    Raises:
        OSError: It does, or the operating system.
    """
    if why := unfit(path, most):
        raise OSError(errno.EINVAL, why, str(path))


# > While it is read


@contextmanager
def damage(fault: Callable[[str], Exception]) -> Iterator[None]:
    """Turn whatever goes wrong while the bytes of a file are read into one error.

    Args:
        fault: Makes the error of what is wrong, a few words on one line.

    Raises:
        AstraError: Our own error, as it was raised.
        ConfigError: A library is not installed, or cannot be imported.
        Exception: What ``fault`` made.
    """
    try:
        yield
    except AstraError:
        raise
    except ImportError as error:
        raise _broken(error.name or "", error) from error
    except Exception as error:  # noqa: BLE001 - as said above
        raise fault(reason(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise fault(reason(error)) from error


def reason(error: BaseException) -> str:
    """What an exception says, on one line, with its type where that says more."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"it has no {error.args[0]}"
    said = " ".join(str(error).split())[:_LONGEST]
    if isinstance(error, MemoryError):
        return f"more memory is asked for than there is{said and f' ({said})'}"
    return said if said.count(" ") > 1 else f"{type(error).__name__}{said and f': {said}'}"


@contextmanager
def importing(library: str) -> Iterator[None]:
    """Import a library that this distribution needs.

    Of a broken installation the operating system may be the first to complain, by an OSError.

    Raises:
        ConfigError: It cannot be imported.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever its own code raises
        raise _broken(library, error) from error


def _broken(library: str, error: Exception) -> ConfigError:
    name = library.partition(".")[0]
    what, remedy = (f"the package {name}", f" {name}") if name else ("a package", " …")
    return ConfigError(f"{what} cannot be imported ({reason(error)}): pip install --force-reinstall{remedy}")


# > YAML


def check_yaml(text: str) -> None:
    """Refuse YAML that takes a reader for ever, before it is read, or that holds what is no text.

    References to references can stand for more values than fit into any memory.

    Raises:
        yaml.YAMLError: It is refused, or not YAML.
    """
    import yaml

    def refuse(why: str) -> None:
        raise yaml.MarkedYAMLError(problem=why, problem_mark=event.start_mark)

    sizes: dict[str | None, int] = {}
    within: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            within.append((anchor, 1))
            if len(within) > _DEEPEST:
                refuse("nested too deeply")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = within.pop()
            sizes[anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            # What has no size yet holds itself.
            size = sizes.get(anchor, _MOST_VALUES)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[anchor] = size = 1
            if _NO_TEXT.search(event.value):
                refuse("a character that no text has")
        else:
            continue
        outer, before = within[-1]
        within[-1] = outer, before + size
        if before + size > _MOST_VALUES:
            refuse("references that hold each other, or stand for too many values")
