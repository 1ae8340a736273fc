"""Files that are complete or do not exist."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from astra.errors import StorageError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse_to_replace(path: Path, *, overwrite: bool = False, option: str = "--output") -> None:
    """Check, before any work, that a file can be written.

    Args:
        path: The file; a link is followed.
        overwrite: Whether it may replace an existing file.
        option: The option that names it.

    Raises:
        UsageError: The path exists, is a folder or a device, or has no folder.
    """
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} for {path}: make it, or name another with {option}")
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot replace {path}: it is not a file; name another with {option}")
    if not overwrite and os.path.lexists(path):
        raise UsageError(f"{path} exists already: give --overwrite, or another name with {option}")


@contextmanager
def output_file(path: Path, *, overwrite: bool, option: str = "--output") -> Iterator[BinaryIO]:
    """Write the output file of a command, complete or not at all.

    Args:
        path: The file; a link is followed.
        overwrite: Whether it may replace an existing file.
        option: The option that names it.

    Yields:
        A stream that can seek; if the block raises, no file is left.

    Raises:
        UsageError: Another process has made the file in the meantime.
        StorageError: The disk is full, or the folder cannot be written.
    """
    try:
        with replaced(Path(os.path.realpath(path))) as stream:
            yield stream
            _flush(stream)
            refuse_to_replace(path, overwrite=overwrite, option=option)
    except OSError as error:
        remedy = "make room, or name" if error.errno in _FULL else "name"
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; {remedy} another place with {option}"
        ) from error


@contextmanager
def replaced(path: Path, part: Path | None = None) -> Iterator[BinaryIO]:
    """Write a new file beside this one, and move it here in one step when all of it is on the disk.

    Args:
        path: The file; a link is replaced.
        part: The new file; what an earlier process has left of it is overwritten. ``None`` takes a name that
            no other process has, here or on another host that sees the same folder.

    Yields:
        A stream that can seek; if the block raises, the file stays as it was.
    """
    beside = part or path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    with beside.open("wb" if part else "xb") as stream:
        try:
            yield stream
            _flush(stream)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
    # The name, too, has to outlive a loss of power. A folder that may be written but not read does not open.
    with suppress(PermissionError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
