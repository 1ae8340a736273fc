"""Ctrl-C and SIGTERM: the first asks the work to stop in good order, the second Ctrl-C stops it at once."""

import signal
from types import FrameType, TracebackType
from typing import Self

from astra.database.reconnecting import draining


class StopRequest:
    """A context in which signals are noted; ``reason`` says which came, or is ``None``."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        draining.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        draining.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.reason == "SIGINT":
            raise KeyboardInterrupt
        self.reason = signal.Signals(number).name
        draining.set()
