"""Fills columns of rows that are there, from files or stars; nothing is measured again.

Nobody claims a row for that, and no record of a run is kept: a row says which run made it, and a fill makes
none. Instead each chunk is written on condition that its rows rest on what they rested on when the chunk was
begun, and still lack the columns. So a row that a run, or another fill, has written meanwhile stays as it is.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import peewee

from astra.database.connection import database, is_postgresql, writing
from astra.database.reconnecting import persistent
from astra.database.sql import among
from astra.errors import AstraError, Interrupted, MissingSpectrum, SpectrumError, UsageError
from astra.models.base import BaseModel, update_rows
from astra.models.pipeline import PipelineOutputModel, of_this_version
from astra.models.source import Source
from astra.running.counting import Counting
from astra.running.ending import StopRequest
from astra.running.in_hand import InHand
from astra.running.loop import Job, Told, tell_nobody
from astra.running.request import Request
from astra.running.rows import Chunk, ChunkResult, Tally, read_inputs
from astra.running.runner import Progress, check_paths
from astra.running.runs import Report
from astra.running.supply import DiskWatch, WhyStop
from astra.running.workers import run_chunks
from astra.schema.packages import check_task
from astra.system.arguments import option_name
from astra.system.plugins import raised
from astra.tasks.contract import Fill, Task
from astra.tasks.pending import Selection, stream_keys, unfilled_query
from astra.tasks.withheld import Withheld, noted_among

if TYPE_CHECKING:
    from astra.running.arguments import RunArguments

log = logging.getLogger("astra")

#: Options of `astra run` that say how to measure, or from what, or what to measure again.
_OF_MEASURING = ("overwrite", "retry", "before", "allow_mixed", "ebv_from")

#: By the key of a spectrum, the row and the versions of what it rests on.
Found = dict[int, tuple[Any, ...]]


def refuse_with_fill(asked: "RunArguments") -> None:
    """Refuse what means nothing beside ``--fill``.

    Raises:
        UsageError: An option is given that says how, or what, to measure.
    """
    given = [name for name in _OF_MEASURING if getattr(asked.shared, name)] + list(asked.shared.of_task)
    if asked.job is not None:
        given.append("job")
    if given:
        names = ", ".join(map(option_name, given))
        raise UsageError(f"--fill {asked.fill} measures nothing, so it does not go with {names}")


def carry_out(request: Request, report: Report, stop: StopRequest, on_progress: Progress) -> None:
    """Fill columns of all rows that lack them, within ``reporting``.

    Raises:
        Interrupted: It was stopped before the end, or the disk is lost.
    """
    task, fill = request.selection.task, request.fill
    check_task(task)
    report.fill, report.flag_names = fill.name, tuple(task.output_model.flag_names())
    parts = request.selection.of_each_model()
    report.in_hand = InHand(lambda: on_progress(report))

    def count(most: int | None = None) -> int:
        return sum(unfilled_query(fill, part).limit(most).count() for part in parts)

    if request.count or request.dry_run:
        report.to_do = count()
    if request.dry_run:
        report.end("dry_run", 0)
        return
    if fill.of_spectrum:
        check_paths(unfilled_query(fill, part) for part in parts)
    stop.end_after(request.max_runtime)
    supply, watch = _Supply(request, lambda: stop.reason), DiskWatch(request.how_to_go_on)
    with Counting(task, report, count, request.limit):
        for result in run_chunks(task, supply, Filling(fill.name), request.workers, report.in_hand):
            report.tally.add(result.tally)
            # What it holds back is not asked for again: nothing is written of a file that cannot be read.
            for lost in result.lost:
                watch.see(lost)
            on_progress(report)
    if supply.cut_short:
        raise Interrupted(f"stopped before the end ({supply.cut_short}); {request.how_to_go_on}")
    report.end("done" if supply.any_taken else "nothing_pending", 0)


class _Supply:
    """The rows that lack columns, once each, by the keys of their spectra."""

    def __init__(self, request: Request, why_stop: WhyStop) -> None:
        self._task, self._fill, self._why_stop = request.selection.task, request.fill, why_stop
        find = partial(unfilled_query, self._fill)
        self._chunks = stream_keys(find, request.selection, request.chunk, request.limit)
        self._alone: list[int] = []
        self._tokens = itertools.count()
        self.any_taken, self.cut_short = False, None

    def take(self) -> Chunk | None:
        """The next chunk; ``None`` if there is none, or a reason to stop."""
        alone = bool(self._alone)
        keys = [self._alone.pop(0)] if alone else next(self._chunks, None)
        if keys is None:
            return None
        self.cut_short, self.any_taken = self._why_stop(), True
        return None if self.cut_short else Chunk(keys, next(self._tokens), alone)

    def orphan(self, chunks: list[Chunk]) -> set[int]:
        """Hand out again, one by one, what a dead worker has not filled; one that was alone is given up."""
        keys = {pk for chunk in chunks for pk in chunk.keys}
        left = persistent(lambda: _left_by_the_dead(self._task, self._fill, keys))
        self._alone += sorted(pk for chunk in chunks if not chunk.alone for pk in left & {*chunk.keys})
        return left


def _left_by_the_dead(task: Task, fill: Fill, keys: Collection[int]) -> set[int]:
    # Locked: it waits for what the database still commits for the dead.
    with writing(database):
        return set(_lacking(task, fill, keys, lock=True))


@dataclass(frozen=True)
class Filling(Job):
    """The job of a fill, by the name of that."""

    name: str

    def prepare(self, task: Task) -> None:
        """As in :class:`Job`."""
        task.fill(self.name)

    def work(self, task: Task, chunks: Iterable[Chunk], tell: Told = tell_nobody) -> Iterator[ChunkResult]:
        """As in :class:`Job`."""
        fill = task.fill(self.name)
        return (_filled(task, fill, chunk) for chunk in chunks)

    def recovered(self, task: Task, chunk: Chunk, unwritten: Collection[int]) -> ChunkResult:
        """As in :class:`Job`."""
        left = set(unwritten) & set(chunk.keys)
        given_up = Counter({"its worker died": len(left)} if chunk.alone else {})
        return ChunkResult(chunk, Tally(filled=len(chunk.keys) - len(left), withheld=+given_up), [])


def _filled(task: Task, fill: Fill, chunk: Chunk) -> ChunkResult:
    """Fill the rows of a chunk.

    Raises:
        StorageError: The database refused the rows; none of them was changed.
        AstraError: The task broke the contract of a fill.
    """
    before = persistent(lambda: _lacking(task, fill, chunk.keys))
    moment, spectra = persistent(lambda: read_inputs(task, list(before)))
    if fill.of_spectrum is None:
        values, faults = _derived(task, fill, spectra), {}
    else:
        found = {spectrum.spectrum_pk: _read(task, fill, spectrum) for spectrum in spectra}
        faults = {pk: each for pk, each in found.items() if isinstance(each, SpectrumError)}
        values = {pk: each for pk, each in found.items() if pk not in faults}
    filled = persistent(lambda: _write(task, fill, before, values))
    unread = {pk: Withheld(pk, str(fault), moment) for pk, fault in faults.items()}
    withheld = Counter(each.kind for each in unread.values())
    lost = {pk: unread[pk] for pk, fault in faults.items() if isinstance(fault, MissingSpectrum)}
    # Of those that are lost for long, nobody has to ask whether the disk is there.
    noted = persistent(lambda: noted_among(task, lost)) if lost else set()
    tried = [lost.get(spectrum.spectrum_pk) for spectrum in spectra if spectrum.spectrum_pk not in noted]
    return ChunkResult(chunk, Tally(filled=filled, withheld=withheld), tried)


def _read(task: Task, fill: Fill, spectrum: BaseModel) -> tuple[Any, ...] | SpectrumError:
    """The values of the columns, from the file of a spectrum; or what is wrong with that."""
    try:
        values = tuple(fill.of_spectrum(spectrum))
    except SpectrumError as error:
        log.warning("spectrum %s: %s", spectrum.spectrum_pk, error)
        return error
    except (AstraError, peewee.PeeweeException, MemoryError):
        raise
    except Exception as error:  # whatever a foreign package raises
        raise AstraError(
            f"task {task.name} failed to fill {fill.name} of the spectrum {spectrum.spectrum_pk}: "
            f"{raised(error)}; `astra --debug run {task.name} --fill {fill.name}` shows where"
        ) from error
    if len(values) != len(fill.columns):
        raise AstraError(
            f"task {task.name} gave {len(values)} values for the {len(fill.columns)} columns of {fill.name}"
        )
    return values


def _derived(task: Task, fill: Fill, spectra: list[BaseModel]) -> Found:
    """The values of the columns by the keys of spectra, where the task can derive one that a row lacks."""
    results = task.output_model
    keys = [spectrum.spectrum_pk for spectrum in spectra]
    query = results.select().where(results.spectrum_pk << keys, of_this_version(results))
    rows = persistent(lambda: {row.spectrum_pk: row for row in query.clone()})
    spectra = [spectrum for spectrum in spectra if spectrum.spectrum_pk in rows]
    ordered = [rows[spectrum.spectrum_pk] for spectrum in spectra]
    before = [_known(fill, row) for row in ordered]
    task.rederivation.apply(ordered, [spectrum.source for spectrum in spectra])
    return {
        row.spectrum_pk: tuple(getattr(row, name) for name in fill.columns)
        for row, known in zip(ordered, before, strict=True)
        if _known(fill, row) - known
    }


def _known(fill: Fill, row: PipelineOutputModel) -> set[str]:
    """Those of the columns that have a value in a row."""
    fields = row._meta.fields
    return {name for name in fill.columns if fields[name].db_value(getattr(row, name)) is not None}


def _lacking(task: Task, fill: Fill, keys: Collection[int], *, lock: bool = False) -> Found:
    """Those of the rows of some spectra that lack the columns, locked until the transaction ends if asked."""
    results, found = task.output_model, {}
    for part in Selection(task).of_each_model():
        spectra = part.spectra
        query = unfilled_query(fill, part).where(among(database, spectra.spectrum_pk, keys))
        rests_on = [results.task_pk, results.run_pk, results.inputs_read, results.source_read]
        rests_on += [spectra.modified] if fill.of_spectrum else [spectra.modified, Source.modified]
        query = query.columns(spectra.spectrum_pk, *rests_on).order_by(spectra.spectrum_pk)
        if lock and is_postgresql(database):
            query = query.for_update(of=results)
        found |= {pk: tuple(versions) for pk, *versions in query.tuples()}
    return found


def _write(task: Task, fill: Fill, before: Found, values: Found) -> int:
    """Write the values to the rows that are as they were before; gives how many these are."""
    known = {pk: each for pk, each in values.items() if _says_something(task, fill, each)}
    if not known:
        return 0
    with writing(database):
        now = _lacking(task, fill, known, lock=True)
        unchanged = [pk for pk in known if now.get(pk) == before[pk]]
        rows = [
            {"task_pk": before[pk][0], **dict(zip(fill.columns, known[pk], strict=True))} for pk in unchanged
        ]
        update_rows(task.output_model, rows, key="task_pk")
    if len(rows) < len(known):
        log.info("%d rows were written by others meanwhile, and are left alone", len(known) - len(rows))
    return len(rows)


def _says_something(task: Task, fill: Fill, values: tuple[Any, ...]) -> bool:
    fields = [task.output_model._meta.fields[name] for name in fill.columns]
    return any(each.db_value(value) is not None for each, value in zip(fields, values, strict=True))
