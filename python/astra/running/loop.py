"""What every worker does: one chunk after the other, each written while the next is computed."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import peewee

from astra.database.connection import database
from astra.database.reconnecting import persistent
from astra.errors import AstraError
from astra.models.pipeline import FlaggedOutputModel, PipelineOutputModel
from astra.running.rows import Chunk, ChunkResult, Tally, read_inputs, with_result, write_claimed
from astra.system.plugins import raised
from astra.tasks.contract import Task
from astra.tasks.withheld import Withheld, noted_among

log = logging.getLogger("astra")

Options = Mapping[str, Any]

#: Told of a chunk, by its token, how many of its spectra are measured.
Told = Callable[[int, int], None]

# They are told so often [s].
_OFTEN_S = 0.2


def tell_nobody(token: int, measured: int) -> None:
    """Nobody wants to know how far a chunk is."""


class Job(Protocol):
    """What workers do with chunks of spectra; it travels to each of them."""

    def prepare(self, task: Task) -> None:
        """Load what the job needs, before the first chunk is asked for."""

    def work(self, task: Task, chunks: Iterable[Chunk], tell: Told = tell_nobody) -> Iterator[ChunkResult]:
        """Do it, and yield what became of each chunk, in order, when it is written."""

    def recovered(self, task: Task, chunk: Chunk, unwritten: Collection[int]) -> ChunkResult:
        """What became of a chunk whose worker died without having written some of it."""


@dataclass(frozen=True)
class Measuring(Job):
    """The job of a run: rows of results.

    Attributes:
        options: Options of the task.
        run_pk: The run.
    """

    options: Options
    run_pk: int | None

    def prepare(self, task: Task) -> None:
        """As in :class:`Job`."""
        task.prepare(**self.options)

    def work(self, task: Task, chunks: Iterable[Chunk], tell: Told = tell_nobody) -> Iterator[ChunkResult]:
        """As in :class:`Job`."""
        return work(task, chunks, self.options, self.run_pk, tell)

    def recovered(self, task: Task, chunk: Chunk, unwritten: Collection[int]) -> ChunkResult:
        """As in :class:`Job`."""
        return recovered(task, chunk, self.run_pk, unwritten)


def work(
    task: Task, chunks: Iterable[Chunk], options: Options, run_pk: int | None, tell: Told = tell_nobody
) -> Iterator[ChunkResult]:
    """Process chunks of spectra, and yield what became of each, in order, when it is written.

    Two chunks are in hand: one that is computed, and one that is written in a thread that has its own
    connection. A chunk that is to be alone is the only one.

    Raises:
        StorageError: The database refused a chunk.
        AstraError: The task broke its contract: one row per spectrum, in order.
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
                rows = measure(task, chunk, options, run_pk, tell)
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


def measure(
    task: Task, chunk: Chunk, options: Options, run_pk: int | None, tell: Told = tell_nobody
) -> list[PipelineOutputModel]:
    """Run a task on some spectra; nothing is written.

    Raises:
        AstraError: The task failed, or broke its contract: one row per spectrum, in order.
        DatabaseUnreachable: The database cannot be read, and did not come back.
    """
    inputs_read, spectra = persistent(lambda: read_inputs(task, chunk.keys))
    rows: list[PipelineOutputModel] = []
    try:
        with _repeated(lambda: tell(chunk.token, len(rows))):
            # One by one, so that it is known how many there are.
            for row in task(spectra, **options):
                rows.append(row)  # noqa: PERF402
    except (AstraError, peewee.PeeweeException, MemoryError):
        raise
    except Exception as error:  # whatever a foreign package raises
        raise AstraError(
            f"task {task.name} failed on the spectra {chunk.keys[0]} to {chunk.keys[-1]}: "
            f"{raised(error)}; `astra --debug run {task.name}` shows where"
        ) from error
    if [row.spectrum_pk for row in rows] != [spectrum.spectrum_pk for spectrum in spectra]:
        raise AstraError(
            f"task {task.name} gave {len(rows)} rows for {len(spectra)} spectra, or in another order"
        )
    for row, spectrum in zip(rows, spectra, strict=True):
        row.run_pk = run_pk
        row.made_from(spectrum, inputs_read)
    return rows


@contextmanager
def _repeated(call: Callable[[], None]) -> Iterator[None]:
    """Call a function now and then, in a thread, and once at the end."""
    over = threading.Event()

    def go() -> None:
        while not over.wait(_OFTEN_S):
            call()

    thread = threading.Thread(target=go, name="astra-telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    call()


def store(task: Task, chunk: Chunk, rows: list[PipelineOutputModel]) -> ChunkResult:
    """Write the rows of a chunk, all but those of files that the system withholds.

    The spectrum of such a file gets a row only if it was noted before, and has no result: a result stays.

    Raises:
        StorageError: The database refused the rows; none of them was kept.
        DatabaseUnreachable: The connection was lost, and the server did not come back.
    """
    tally = Tally()
    withheld = {row.spectrum_pk: _withheld(row) for row in rows if row.file_lost}
    noted_before = persistent(lambda: noted_among(task, withheld)) if withheld else set()
    kept = persistent(lambda: with_result(task, noted_before)) if noted_before else set()
    # A row that cannot say that there is no result would pass for one.
    failed = noted_before - kept if issubclass(task.output_model, FlaggedOutputModel) else set()
    found = [row for row in rows if row.spectrum_pk not in withheld or row.spectrum_pk in failed]
    tries = [withheld[pk] for pk in sorted(noted_before)]
    written = persistent(lambda: write_claimed(task, chunk.token, found, tries))
    for row in found:
        if row.spectrum_pk in written:
            tally.count(row)
    if len(written) < len(found):
        log.warning(
            "%d of %d results were not written: others took over their spectra while the connection was lost",
            len(found) - len(written),
            len(found),
        )
    tally.kept = len(kept)
    tally.withheld.update(each.kind for each in tries)
    lost = [withheld.get(row.spectrum_pk) for row in rows if row.spectrum_pk not in noted_before]
    return ChunkResult(chunk, tally, lost)


def _withheld(row: PipelineOutputModel) -> Withheld:
    reason = getattr(row, "no_result_reason", None) or "its file could not be read"
    return Withheld(row.spectrum_pk, reason, row.inputs_read, row.spectrum_modified)


def recovered(task: Task, chunk: Chunk, run_pk: int | None, unwritten: Collection[int]) -> ChunkResult:
    """What became of a chunk whose worker died: some, or all, may have been written before that."""
    results, tally = task.output_model, Tally()
    keys = set(chunk.keys) - set(unwritten)
    query = results.select().where(results.spectrum_pk << keys, results.run_pk == run_pk)
    for row in query:
        tally.count(row)
    return ChunkResult(chunk, tally, [None] * tally.processed)
