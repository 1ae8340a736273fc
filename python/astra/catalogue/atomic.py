"""A file that is there as a whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from astra.errors import StorageError, UsageError


def refuse_to_replace(path: Path, *, overwrite: bool = False) -> None:
    """Stop before the work where something is in the way.

    Raises:
        UsageError: There is a file already, or something else: a folder, a device.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file that can be replaced: name another with --output")
    if not overwrite and os.path.lexists(path):
        raise UsageError(f"{path} exists already: give --overwrite, or another name with --output")


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Write beside the file, and move it there in one step when all of it is on the disk.

    Args:
        path: The file; a link is followed.
        overwrite: Replace the file that is there.

    Yields:
        A stream that can seek. If the block ends with an exception, nothing is left of it.

    Raises:
        UsageError: A file came there in the meantime.
        StorageError: The disk is full, or one may not write there.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        refuse_to_replace(path, overwrite=overwrite)
        os.replace(beside, target)
        _keep_name(target.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; make room, or name another place with --output"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _keep_name(folder: Path) -> None:
    """The name of the file, too, outlives a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
