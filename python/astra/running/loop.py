"""What every worker does: one chunk after the other, each written while the next is computed."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from astra.database.connection import database
from astra.running.chunk import Chunk, ChunkResult, measure, store
from astra.tasks.contract import Task


def work(
    task: Task, chunks: Iterable[Chunk], options: Mapping[str, Any], run_pk: int | None
) -> Iterator[ChunkResult]:
    """Process chunks of spectra, and yield what became of each, in order, when it is written.

    Two chunks are in hand: one that is computed, and one that is written in a thread with a connection of
    its own. A chunk that is to be alone is the only one.

    Raises:
        StorageError: The database refused a chunk.
        AstraError: The task broke its contract of one row per spectrum, in order.
    """
    in_hand: list[Future[ChunkResult]] = []

    def written() -> Iterator[ChunkResult]:
        while in_hand:
            # Interrupted while it waits, it leaves the chunk in hand.
            wait(in_hand)
            yield in_hand.pop().result()

    with ThreadPoolExecutor(1, "astra-writer") as writer:
        try:
            for chunk in chunks:
                if chunk.alone:
                    yield from written()
                rows = measure(task, chunk, options, run_pk)
                yield from written()
                in_hand.append(writer.submit(store, task, chunk, rows))
                if chunk.alone:
                    yield from written()
            yield from written()
        except (Exception, KeyboardInterrupt):
            # What is written counts, whatever became of the next.
            yield from written()
            raise
        finally:
            writer.submit(database.close)
