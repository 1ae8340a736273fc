"""The standard streams of a process: full, closed, or without a reader, they end no work."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Output(io.FileIO):
    """Standard output. The first write that fails raises an error, and later ones go nowhere."""

    lost: OSError | None = None

    def write(self, content: bytes) -> int | None:
        if self.lost is None:
            try:
                return super().write(content)
            except OSError as error:
                self.lost = error
                raise
        return memoryview(content).nbytes


class _Messages(io.FileIO):
    """Standard error. What cannot be written there goes nowhere, whoever writes it."""

    def write(self, content: bytes) -> int | None:
        try:
            return super().write(content)
        except OSError:
            return memoryview(content).nbytes


def open_streams() -> None:
    """Make all three streams usable, also those that this process began without.

    Else the next file that is opened would be where libraries write their messages. To standard output that
    is closed nothing can be written, as to a full one.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout, sys.stderr = _text(_Output(1, "w", closefd=False)), _text(_Messages(2, "w", closefd=False))


def stdout_lost() -> OSError | None:
    """Why something could not be written to standard output, if that is so."""
    return getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "lost", None)


def is_of_lost_stdout(error: BaseException | None) -> bool:
    """Whether an error comes from that, and from nothing else."""
    lost = stdout_lost()
    while error is not None and error is not lost:
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def ignore_lost_output() -> Iterator[None]:
    """Go on where something cannot be written to standard output."""
    try:
        yield
    except OSError as error:
        if error is not stdout_lost():
            raise


def _text(raw: io.FileIO) -> io.TextIOWrapper:
    before = sys.stdout or sys.stderr
    encoding = before.encoding if before else "utf-8"
    # Line by line, as processes share them. A sign that the encoding lacks is no error.
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
