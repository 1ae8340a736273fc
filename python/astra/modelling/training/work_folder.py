"""The folder in which a training keeps its examples: the format of a row, and errors that name the folder."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from astra.errors import AstraError
from astra.spectra.grid import N_PIXELS

#: A row of flux: float16, with the lowest byte first.
STORED = np.dtype("<f2")
ROW = N_PIXELS * STORED.itemsize


@contextmanager
def explained(work: Path, kind: type[AstraError], remedy: str) -> Iterator[None]:
    """Turn an ``OSError`` into an error of this kind that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        raise kind(f"work folder {work}: {error.strerror or error}; {remedy}") from error


def check_space(folder: Path, number: int, what: str) -> None:
    """Raise an ``OSError`` unless there is room for so many rows of ``what``."""
    free, needed = shutil.disk_usage(folder).free, number * ROW
    if free < needed:
        room = f"{number:,} {what} need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise OSError(errno.ENOSPC, room)
