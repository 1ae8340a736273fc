"""A file that is there as a whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from astra.errors import StorageError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse_to_replace(path: Path, *, overwrite: bool = False) -> None:
    """Stop before the work where a file could not be written.

    Args:
        path: The file; a link is followed.
        overwrite: It may replace the file that is there.

    Raises:
        UsageError: There is a file already, or something else: a folder, a device; or no folder for it.
    """
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} for {path}: make it, or name another with --output")
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
    # Never the name of another process, here or on another host that sees the same folder.
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with beside.open("xb") as stream, _removed_on_failure(beside):
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            refuse_to_replace(path, overwrite=overwrite)
            os.replace(beside, target)
        _keep_name(target.parent)
    except OSError as error:
        remedy = "make room, or name" if error.errno in _FULL else "name"
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; {remedy} another place with --output"
        ) from error


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _keep_name(folder: Path) -> None:
    """The name of the file, too, outlives a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
