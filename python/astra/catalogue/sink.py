"""Where the bytes of a catalogue go: to a file, compressed or not, or to standard output."""

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from astra.catalogue.options import STDOUT, is_compressed
from astra.errors import StorageError
from astra.system.atomic import output_file

# Of 9; the last three take three times as long for 3 % of the size.
_LEVEL = 6


class OneWay(io.RawIOBase):
    """A stream that cannot seek: what was written stays.

    Attributes:
        length: The bytes written so far.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Write to this stream, which stays open."""
        self._stream, self.length = stream, 0

    def writable(self) -> bool:
        """It can be written to, which pyarrow asks."""
        return True

    def write(self, content: bytes) -> int:
        """Write the next bytes; give back their number."""
        self._stream.write(content)
        size = memoryview(content).nbytes
        self.length += size
        return size


@contextmanager
def sink(path: Path, *, overwrite: bool) -> Iterator[BinaryIO | OneWay]:
    """Open what a catalogue is written to: a file that is complete or not there, or standard output.

    Args:
        path: The file, compressed if its name says so; ``-`` for standard output.
        overwrite: Whether it may replace an existing file.

    Yields:
        A stream, which can seek if it is a file that is not compressed.

    Raises:
        UsageError: Another process has made the file in the meantime.
        StorageError: The disk is full, or the folder cannot be written.
    """
    if path == STDOUT:
        with _standard_output() as stream:
            yield stream
    elif is_compressed(path):
        # Without name and time, so that the same rows make the same file.
        with (
            output_file(path, overwrite=overwrite) as file,
            gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
        ):
            yield OneWay(packed)
    else:
        with output_file(path, overwrite=overwrite) as file:
            yield file


@contextmanager
def _standard_output() -> Iterator[OneWay]:
    try:
        yield OneWay(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write to standard output: {error.strerror or error}") from error
