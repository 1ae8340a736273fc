"""The chunks that workers have, and how far they are with them."""

from collections.abc import Callable, Iterator

from astra.running.rows import Chunk


class InHand:
    """The chunks that were handed out and have not come back.

    Args:
        on_change: Called when a worker gets a chunk, and when more of one is measured.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._chunks: dict[int, tuple[int, int]] = {}

    @property
    def measured(self) -> int:
        """How many of their spectra the task has dealt with, of which nothing may be written yet."""
        return sum(done for _, done in tuple(self._chunks.values()))

    def taking(self, take: Callable[[], Chunk | None]) -> Iterator[Chunk]:
        """The chunks that are taken one after the other, until there are no more."""
        for chunk in iter(take, None):
            self.take(chunk)
            yield chunk

    def take(self, chunk: Chunk) -> None:
        """A worker gets this chunk."""
        self._chunks[chunk.token] = len(chunk.keys), 0
        self._on_change()

    def measure(self, token: int, done: int) -> None:
        """Of the chunk with this token, so many spectra are measured."""
        self._chunks[token] = self._chunks[token][0], done
        self._on_change()

    def give_back(self, chunk: Chunk) -> None:
        """It is known what became of this chunk."""
        self._chunks.pop(chunk.token, None)

    def in_words(self, rate: float | None) -> str:
        """What has to be finished before a run can stop.

        Args:
            rate: Spectra per second of all workers together, where it is known.
        """
        chunks = tuple(self._chunks.values())
        if not chunks:
            return "nothing is in hand"
        spectra = sum(size for size, _ in chunks)
        which = "the chunk" if len(chunks) == 1 else f"the {len(chunks)} chunks"
        said = f"finishes {which} of {spectra:,} spectra in hand"
        left = [size - done for size, done in chunks if size > done]
        if rate is None:
            return said
        # The workers that still measure share the rate.
        seconds = max(left, default=0) * len(left) / rate
        return f"{said}, about {max(1, round(seconds))} s"
