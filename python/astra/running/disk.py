"""Tells a lost disk from single files: a million lost files are one fault.

Spectra whose files the system withholds are held back until the files around them were read. When the first
files all fail, or all files of a short run, or many of the latest, the disk is taken for lost, or the right
to read it: nothing is written about those held back, and they stay as they were.
"""

from collections import Counter, deque
from typing import Generic, Protocol, TypeVar

from astra.errors import Interrupted

#: A run may end with so few files, all of them lost, and still be believed.
FEW = 10
FIRST = 100
WINDOW = 200
TOLERATED = WINDOW // 5


class Lost(Protocol):
    """A file that the system withheld."""

    @property
    def kind(self) -> str:
        """What the system said."""


Item = TypeVar("Item", bound=Lost)


class DiskWatch(Generic[Item]):
    """Holds back files that the system withholds until it is clear that the disk is there.

    Args:
        go_on: What to do when the disk is back.
    """

    def __init__(self, go_on: str) -> None:
        self._go_on = go_on
        self._latest: deque[Item | None] = deque()
        self._seen = 0

    def see(self, lost: Item | None) -> Item | None:
        """Take note of one file, in the order in which they were tried.

        Args:
            lost: The file if the system withheld it, else ``None``.

        Returns:
            A file that was held back and can be believed now, if there is one.

        Raises:
            Interrupted: The disk is lost.
        """
        released = self._latest.popleft() if len(self._latest) == WINDOW else None
        self._latest.append(lost)
        self._seen += 1
        failures = len(self._failures())
        if (self._seen == failures == FIRST) or (self._seen >= WINDOW and failures > TOLERATED):
            raise self._lost_disk()
        return released

    def release(self) -> list[Item]:
        """All files that are still held back, when there are no more to try.

        Raises:
            Interrupted: Not one file could be read, and there were more than a few.
        """
        failures = self._failures()
        if FEW <= self._seen == len(failures):
            raise self._lost_disk()
        self._latest.clear()
        return failures

    def _failures(self) -> list[Item]:
        return [each for each in self._latest if each is not None]

    def _lost_disk(self) -> Interrupted:
        failures = self._failures()
        ((reason, _),) = Counter(each.kind for each in failures).most_common(1)
        return Interrupted(
            f"{len(failures)} of the last {len(self._latest)} files cannot be read (most often: {reason}): "
            "is the disk mounted? May this user read it? Nothing was written about them; when they are back, "
            f"{self._go_on}"
        )
