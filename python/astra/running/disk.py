"""Tells a lost disk from bad files: a million missing files are one fault, not a million results.

Rows whose file the file system would not give are held back until the files around them were read.
When the first files all fail, or all files of a short run, or many of the latest, the disk is taken
for lost: the rows held back are never written, and their spectra stay pending.
"""

from collections import deque
from typing import Generic, TypeVar

from astra.errors import Interrupted

#: A run may end with so few files, all of them lost, and still be believed.
FEW = 10
FIRST = 100
WINDOW = 200
TOLERATED = WINDOW // 5

Row = TypeVar("Row")


class DiskWatch(Generic[Row]):
    """Holds back the rows of missing files until it is clear that the disk is there."""

    def __init__(self) -> None:
        self._latest: deque[Row | None] = deque()
        self._seen = 0

    def see(self, lost: Row | None) -> Row | None:
        """Take note of one file, in the order in which they were tried.

        Args:
            lost: The row of the spectrum if the file system withheld its file, else ``None``.

        Returns:
            A row that was held back and can be written now, if there is one.

        Raises:
            Interrupted: The disk is lost.
        """
        released = self._latest.popleft() if len(self._latest) == WINDOW else None
        self._latest.append(lost)
        self._seen += 1
        failures = self._failures()
        if (self._seen == failures == FIRST) or (self._seen >= WINDOW and failures > TOLERATED):
            raise self._lost_disk()
        return released

    def release(self) -> list[Row]:
        """All rows that are still held back, at the orderly end of a run.

        Raises:
            Interrupted: Not one file of the run could be read, and there were more than a few.
        """
        if FEW <= self._seen == self._failures():
            raise self._lost_disk()
        rows = [row for row in self._latest if row is not None]
        self._latest.clear()
        return rows

    def _failures(self) -> int:
        return sum(row is not None for row in self._latest)

    def _lost_disk(self) -> Interrupted:
        return Interrupted(
            f"{self._failures()} of the last {len(self._latest)} files are not there or cannot be read: "
            "is the disk mounted? Their spectra stay pending; run again when it is back"
        )
