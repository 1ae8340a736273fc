"""A file that one process at a time has locked, and that is gone when nobody has it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock


@contextmanager
def locked_file(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock on a file, which is made for it, and removed at the end.

    Args:
        path: The file.
        timeout: How long to wait for another process [s].

    Raises:
        Timeout: Another process has it, and kept it.
        OSError: The file cannot be made.
    """
    with FileLock(path, timeout=timeout):
        try:
            yield
        finally:
            # Still locked: whoever waits for it takes the lock of a file without a name, sees that, and makes
            # another one.
            with suppress(OSError):
                path.unlink()
