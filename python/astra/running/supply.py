"""The chunks that a run hands out to its workers and takes back, within its limits, while the disk is there.

A million lost files are one fault. Spectra whose files the system withholds are held back until the files
around them were read. When the first files all fail, or all files of a short run, or many of the latest, the
disk is taken for lost, or the right to read it: nothing is written about those held back, and they stay as
they were.
"""

import itertools
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from astra.database.reconnecting import persistent
from astra.errors import Interrupted
from astra.running.claims import Claims, new_token
from astra.running.request import Request
from astra.running.rows import Chunk, ChunkResult, write_claimed
from astra.system.signals import draining
from astra.tasks.withheld import Withheld

#: A run may end with so few files, all of them lost, and still be believed.
FEW = 10
FIRST = 100
WINDOW = 200
TOLERATED = WINDOW // 5

#: The pause between two looks whether a worker in doubt is alive [s].
_LOOK_AGAIN_S = 1.0

WhyStop = Callable[[], str | None]


class DiskWatch:
    """Holds back files that the system withholds until it is clear that the disk is there.

    Each has a ``kind``: what the system said.

    Args:
        go_on: What the operator does when the disk is back.
    """

    def __init__(self, go_on: str) -> None:
        self._go_on = go_on
        self._latest: deque[Any] = deque()
        self._seen = 0

    def see(self, lost: Any) -> Any:
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
        failures = self._failures()
        if self._seen == len(failures) == FIRST or (self._seen >= WINDOW and len(failures) > TOLERATED):
            raise self._lost_disk(failures)
        return released

    def release(self) -> list[Any]:
        """All files that are still held back, when there are no more to try.

        Raises:
            Interrupted: Not one file could be read, and there were more than a few.
        """
        failures = self._failures()
        if FEW <= self._seen == len(failures):
            raise self._lost_disk(failures)
        self._latest.clear()
        return failures

    def _failures(self) -> list[Any]:
        return [each for each in self._latest if each is not None]

    def _lost_disk(self, failures: list[Any]) -> Interrupted:
        ((reason, _),) = Counter(each.kind for each in failures).most_common(1)
        return Interrupted(
            f"{len(failures)} of the last {len(self._latest)} files cannot be read (most often: {reason}): "
            "is the disk mounted? May this user read it? Nothing was written about them; when they are back, "
            f"{self._go_on}"
        )


@dataclass(frozen=True)
class _HeldBack(Withheld):
    """One try to read a file that the system withheld, and the token with which its spectrum is claimed."""

    token: int = field(kw_only=True)


class Supply:
    """The chunks of a run.

    Args:
        claims: The claims of this run.
        request: How much may be handed out, and in which parts.
        watch: Holds back what the system withholds.
        why_stop: Gives the reason to start no more chunks, or ``None``.
        done: The number of spectra that the run has dealt with already.
    """

    def __init__(
        self, claims: Claims, request: Request, watch: DiskWatch, why_stop: WhyStop, done: int
    ) -> None:
        self._claims, self._request, self._watch = claims, request, watch
        self._why_stop, self._handed_out = why_stop, done
        self.cut_short: str | None = None

    def take(self) -> Chunk | None:
        """A chunk that no other worker holds; ``None`` if there is nothing to do."""
        while (count := self._allowed()) > 0:
            if reason := self._why_stop():
                self.cut_short = reason if persistent(self._claims.anything_left) else None
                return None
            # One token for all attempts.
            chunk = persistent(partial(self._claims.take, count, new_token()))
            if chunk is not None:
                self._handed_out += len(chunk.keys)
                return chunk
            if not persistent(self._claims.in_doubt):
                return None
            draining.wait(_LOOK_AGAIN_S)
        return None

    def orphan(self, chunks: list[Chunk]) -> set[int]:
        """Orphan the chunks of a worker that died; gives the spectra whose results it has not written."""
        return persistent(lambda: self._claims.orphan(chunks))

    def take_back(self, result: ChunkResult) -> None:
        """Take note of the result of a chunk; spectra that others took over do not count as handed out.

        Raises:
            Interrupted: The disk is lost.
        """
        self._claims.finished(result.chunk)
        held_back = [lost.spectrum_pk for lost in result.lost if lost is not None]
        self._handed_out -= len(result.chunk.keys) - result.tally.done - len(held_back)
        if held_back:
            persistent(lambda: self._claims.hold_back(held_back))
        token = result.chunk.token
        seen = [self._watch.see(lost and _HeldBack(**vars(lost), token=token)) for lost in result.lost]
        self._note([each for each in seen if each is not None])

    def end(self) -> None:
        """Note what is still held back, unless the run was cut short.

        Raises:
            Interrupted: The disk is lost.
        """
        if not self.cut_short:
            self._note(self._watch.release())

    def _note(self, held_back: list[_HeldBack]) -> None:
        task = self._request.selection.task
        for token, group in itertools.groupby(held_back, key=lambda each: each.token):
            persistent(partial(write_claimed, task, token, [], list(group)))

    def _allowed(self) -> int:
        limit = math.inf if self._request.limit is None else self._request.limit
        return min(self._request.chunk, limit - self._handed_out - self._claims.quarantined.done)
