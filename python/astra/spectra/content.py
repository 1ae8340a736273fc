"""The bytes of one file; an error of the operating system is kept apart from damage in the file.

Whatever the operating system answers to ``stat``, ``open`` and ``read`` instead of bytes is a
:class:`MissingSpectrum`, for whatever reason. A library that reads the bytes never sees such an error, and so
cannot take it for damage.
"""

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from astra.damage import unfit
from astra.errors import MissingSpectrum, UnreadableSpectrum

GZIP_MAGIC = b"\x1f\x8b"
#: The largest file, as it is and when unpacked; a real one has 230 kB for each visit of its star.
MAX_SIZE = 128 * 2**20
_STEP = 2**20


@contextmanager
def content_of(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, or what it holds if it is compressed with gzip.

    Raises:
        MissingSpectrum: The operating system refuses the file.
        UnreadableSpectrum: It is not a regular file, or is larger than any spectrum.
    """
    with io.BufferedReader(_SystemFile(path)) as file:
        is_packed = file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        yield unpacked(file, MAX_SIZE, str(path)) if is_packed else file


def unpacked(file: BinaryIO, most: int, name: str) -> io.BytesIO:
    """What a gzip stream holds.

    Args:
        file: The stream.
        most: The largest number of bytes; a small stream can unpack to a thousand times its size.
        name: The name of the stream in messages.

    Raises:
        UnreadableSpectrum: The stream holds more.
    """
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=file) as packed:
        while step := packed.read(min(_STEP, most + 1)):
            content.write(step)
            if content.tell() > most:
                raise UnreadableSpectrum(f"too large: {name} holds more than {most:,} bytes when unpacked")
    content.seek(0)
    return content


class _SystemFile(io.RawIOBase):
    """A regular file, unbuffered."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: BinaryIO = io.BytesIO()  # for close(), which is called even if nothing was opened
        with self._asked():
            why = unfit(path, MAX_SIZE)
        if why:
            raise UnreadableSpectrum(f"{why} ({path})")
        with self._asked():
            self._file = path.open("rb", buffering=0)
        self.readable, self.seekable, self.tell = self._file.readable, self._file.seekable, self._file.tell

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> MissingSpectrum:
        return MissingSpectrum(f"{error.strerror or error}: {self._path}")

    def readinto(self, buffer: bytearray) -> int | None:
        """As in ``io.RawIOBase``."""
        try:  # without _asked, which is slow: this is called for every few kilobytes
            return self._file.readinto(buffer)
        except OSError as error:
            raise self._refused(error) from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As in ``io.RawIOBase``; an impossible place comes from the bytes, and is not the system's error."""
        if whence != os.SEEK_END:
            return self._file.seek(offset, whence)
        with self._asked():
            return self._file.seek(offset, whence)

    def close(self) -> None:
        """As in ``io.RawIOBase``."""
        super().close()
        with self._asked():
            self._file.close()
