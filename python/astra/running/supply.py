"""What a run hands out to its workers: what can be claimed, within its limits."""

from collections.abc import Callable

from astra.database.reconnecting import draining, persistent
from astra.running.chunk import Chunk, ChunkResult
from astra.running.claims import Claims, new_token
from astra.running.request import Request

#: How long until it is looked again whether a worker is back [s].
_LOOK_AGAIN_S = 1.0


class ClaimedSupply:
    """As in :class:`~astra.running.workers.Supply`.

    Args:
        claims: What this run has in hand.
        request: How much may be handed out, and in which parts.
        reason_to_stop: Why nothing more is to be begun, if there is a reason.
        done: Spectra that the run has dealt with already.
    """

    def __init__(
        self, claims: Claims, request: Request, reason_to_stop: Callable[[], str | None], done: int
    ) -> None:
        self._claims, self._request, self._reason_to_stop = claims, request, reason_to_stop
        self._handed_out = done
        self.cut_short: str | None = None

    def take(self) -> Chunk | None:
        """As in :class:`~astra.running.workers.Supply`."""
        while (count := self._allowed()) > 0:
            if reason := self._reason_to_stop():
                self.cut_short = reason if persistent(self._claims.anything_left) else None
                return None
            token = new_token()
            chunk = persistent(lambda count=count, token=token: self._claims.take(count, token))
            if chunk is not None:
                self._handed_out += len(chunk.keys)
                return chunk
            if not persistent(self._claims.in_doubt):
                return None
            draining.wait(_LOOK_AGAIN_S)
        return None

    def orphan(self, chunks: list[Chunk]) -> set[int]:
        """As in :class:`~astra.running.workers.Supply`."""
        return persistent(lambda: self._claims.orphan(chunks))

    def note(self, result: ChunkResult) -> None:
        """Take note of what became of a chunk: what others have taken over does not count as handed out."""
        self._claims.finished(result.chunk)
        held_back = [lost.spectrum_pk for lost in result.lost if lost is not None]
        self._handed_out -= len(result.chunk.keys) - result.tally.done - len(held_back)
        if held_back:
            persistent(lambda: self._claims.hold_back(held_back))

    def _allowed(self) -> int:
        chunk, limit = self._request.chunk, self._request.limit
        if limit is None:
            return chunk
        return min(chunk, limit - self._handed_out - self._claims.quarantined.done)
