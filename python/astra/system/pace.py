"""How fast something goes, and how long it will still take, from how far it was at which times."""

import itertools
import math
from collections import deque

# So many of the latest updates are looked at, and none within so many seconds of the one before: half a
# minute at least. At the beginning this time is a share of what has passed.
_UPDATES = 60
_APART_S, _APART_SHARE = 0.5, 0.05

# A pause is idle if nine of ten are shorter than a quarter of it, by what was done in each.
_USUAL, _FAR_LONGER = 0.9, 4.0


class Pace:
    """The rate at which work goes on, without its pauses, and the time left.

    It is told how much is done, and from that alone it knows. Time before the first update belongs to the
    set-up, and a pause far longer than usual to a disk, a server or whoever halted the process: neither is
    counted.

    Args:
        parallel: How many work at the same time. If they keep step, all finish together and then none for
            long, so that only as many updates as there are workers say something together.
    """

    def __init__(self, parallel: int = 1) -> None:
        self.done, self.total = 0, None
        self._parallel = parallel
        self._began: float | None = None
        self._points: deque[tuple[float, int]] = deque(maxlen=_UPDATES * parallel + 1)
        self._counted: tuple[float, int] | None = None
        self._by_others = 0.0

    def update(self, at: float, done: int, total: int | None = None) -> None:
        """Take note of how far it is.

        Args:
            at: The time [s], by any clock that never goes back.
            done: What is done.
            total: Of how much, if that is known. If it has changed, others have taken some, or added some.
        """
        self._count(at, total)
        if self._began is None:
            self._began = at
        if done < self.done:
            self._points = deque(((t, min(n, done)) for t, n in self._points), self._points.maxlen)
        if done != self.done or not self._points:
            if len(self._points) > 1 and at - self._points[-2][0] < self._apart(at):
                self._points.pop()
            self._points.append((at, done))
        self.done = done

    def _apart(self, at: float) -> float:
        return min(_APART_S, _APART_SHARE * (at - self._began)) / self._parallel

    def _count(self, at: float, total: int | None) -> None:
        if total is None or total == self.total:
            return
        if self._counted is not None:
            since, before = self._counted
            self._by_others = max(0.0, (before - total) / (at - since)) if at > since else 0.0
        self.total, self._counted = total, (at, total)

    @property
    def has_begun(self) -> bool:
        """Whether it was told anything."""
        return self._began is not None

    @property
    def rate(self) -> float | None:
        """What is done per second; ``None`` before that is known."""
        spans = self._working()
        seconds, done = sum(s for s, _ in spans), sum(n for _, n in spans)
        return done / seconds if done and seconds > 0 else None

    def _working(self) -> list[tuple[float, int]]:
        """The latest spans in which something was done: how long each was [s], and what was done in it."""
        points = list(self._points)
        if not points:
            return []
        ends = points[:: -self._parallel][::-1]
        if len(ends) == 1:
            ends = [points[0], points[-1]]
        elif len(ends) > 3 and ends[0][0] == self._began:
            # In the first span is the set-up.
            ends.pop(0)
        spans = [(b - a, n - m) for (a, m), (b, n) in itertools.pairwise(ends)]
        if len(spans) > 2:
            each = sorted(s / n if n > 0 else math.inf for s, n in spans)
            usual = each[min(len(each) - 2, math.floor(_USUAL * len(each)))]
            spans = [(s, n) for s, n in spans if s <= _FAR_LONGER * usual * n]
        return spans

    def seconds_left(self, at: float) -> float | None:
        """The time to the end [s], at a time; ``None`` before that is known."""
        rate = self.rate
        if self.total is None or rate is None:
            return None
        taken = self._by_others * (at - self._counted[0])
        left = max(0.0, self.total - self.done - taken) / (rate + self._by_others)
        # What was begun since the last update is on its way, but for how long is not known for ever.
        usual = max(s for s, _ in self._working())
        return max(0.0, left - min(at - self._points[-1][0], usual))


def duration(seconds: float) -> str:
    """A duration in its two largest units: ``3 h 12 min``."""
    left, parts = max(0, round(seconds)), []
    for unit, length in {"d": 86_400, "h": 3600, "min": 60, "s": 1}.items():
        number, left = divmod(left, length)
        parts += [f"{number} {unit}"] if number else []
    return " ".join(parts[:2]) or "0 s"


def about(seconds: float) -> str:
    """A duration that is not known exactly: ``3 h 12 min``, but ``28 min``."""
    words = duration(seconds).split()
    return " ".join(words[:2] if int(words[0]) >= 10 else words)
