"""Warnings of libraries that concern nobody here."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# The filters of warnings belong to the whole process: two threads that set them aside at once would restore
# them in the wrong order.
_lock = threading.RLock()


@contextmanager
def silenced() -> Iterator[None]:
    """No warnings for the length of this context; other threads wait before theirs."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
