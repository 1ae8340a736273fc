"""The bytes of one file: what keeps them from being read is the system's fault, what they say is the file's.

The two are told apart where they arise. Whatever the operating system answers to ``stat``, ``open`` and
``read`` instead of bytes is a :class:`MissingSpectrum`, for whatever reason; so a library that is given the
bytes has no error of the system in hand that it could take for damage.
"""

import gzip
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from astra.errors import MissingSpectrum, UnreadableSpectrum

GZIP_MAGIC = b"\x1f\x8b"
#: The largest file, as it is and when unpacked; a real one has 230 kB for each visit of its star.
MAX_SIZE = 128 * 2**20
_STEP = 2**20


@contextmanager
def content_of(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, or what it holds if it is compressed with gzip.

    Raises:
        MissingSpectrum: The operating system does not give the file.
        UnreadableSpectrum: It is not a file, or larger than any spectrum.
    """
    with io.BufferedReader(_SystemFile(path)) as file:
        is_packed = file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        yield unpacked(file, MAX_SIZE, str(path)) if is_packed else file


def unpacked(file: BinaryIO, most: int, name: str) -> io.BytesIO:
    """What a gzip stream holds.

    Args:
        file: The stream.
        most: As many bytes as it may hold; a small stream can hold a thousand times its size.
        name: What messages call it.

    Raises:
        UnreadableSpectrum: It holds more.
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
        with self._asked():
            found = path.stat()
        # A named pipe would keep us waiting, and a device never ends.
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableSpectrum(f"not a file: {path}")
        if found.st_size > MAX_SIZE:
            raise UnreadableSpectrum(f"too large: {path} has {found.st_size:,} bytes, more than {MAX_SIZE:,}")
        with self._asked():
            self._file = path.open("rb", buffering=0)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> MissingSpectrum:
        return MissingSpectrum(f"{error.strerror or error}: {self._path}")

    def readable(self) -> bool:
        """As in ``io.RawIOBase``."""
        return True

    def seekable(self) -> bool:
        """As in ``io.RawIOBase``."""
        return True

    def tell(self) -> int:
        """As in ``io.RawIOBase``."""
        return self._file.tell()

    def readinto(self, buffer: bytearray) -> int | None:
        """As in ``io.RawIOBase``."""
        try:  # not by _asked: it is called for each few kilobytes
            return self._file.readinto(buffer)
        except OSError as error:
            raise self._refused(error) from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As in ``io.RawIOBase``; where a place cannot be, the bytes have asked for it."""
        if whence == os.SEEK_END:
            with self._asked():
                return self._file.seek(offset, whence)
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """As in ``io.RawIOBase``."""
        if not self.closed:
            super().close()
            with self._asked():
                self._file.close()
