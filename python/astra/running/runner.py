"""Runs a task on what is pending, and says what was done in one report for every way it can end."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import peewee

from astra.database.connection import database, now
from astra.database.reconnecting import persistent
from astra.errors import AstraError, ConfigError, Interrupted, StoppedWaiting
from astra.models.pipeline import TaskRun, TaskWorker
from astra.running import runs, workers
from astra.running.claims import Claims
from astra.running.counting import Counting
from astra.running.ending import StopRequest, reporting
from astra.running.going_on import settle
from astra.running.in_hand import InHand
from astra.running.loop import Measuring
from astra.running.others import wait_for_others
from astra.running.request import Request
from astra.running.rows import rederive
from astra.running.runs import Report
from astra.running.supply import DiskWatch, Supply
from astra.schema.packages import check_task
from astra.spectra.identity import check_base_dir
from astra.tasks import pending
from astra.tasks.contract import Provenance
from astra.tasks.trials import refuse_promoted

log = logging.getLogger("astra")

Progress = Callable[[Report], None]


def run(request: Request, report: Report, on_progress: Progress = lambda report: None) -> None:
    """Run a task on what is pending, and fill in the report, however it ends.

    Args:
        request: What to do.
        report: Where the counts and the outcome go.
        on_progress: Called before and after every chunk, and when more of one is measured.

    Raises:
        Exception: An internal error; the report is complete all the same.
    """
    with reporting(report) as stop:
        carry_out(request, report, stop, on_progress)


def carry_out(request: Request, report: Report, stop: StopRequest, on_progress: Progress) -> None:
    """Run a task on what is pending, within ``reporting``."""
    stop.end_after(request.max_runtime)
    try:
        _Run(request, report, stop, on_progress).go()
    except StoppedWaiting as error:
        raise StoppedWaiting(error.what, request.how_to_go_on) from error


def refuse_to_mix(request: Request, provenance: Provenance) -> None:
    """Stop before numbers of this provenance would stand beside others, as far as they would stay.

    Raises:
        ConfigError: There are such rows; it says which.
    """
    before = request.selection.before if request.replaces_all else None
    if not (request.allow_mixed or (request.replaces_all and before is None)):
        runs.refuse_to_mix(request.selection.task, provenance, before)


def check_paths(queries: Iterable[peewee.ModelSelect]) -> None:
    """Refuse relative paths if ``SAS_BASE_DIR`` cannot be used; only then are they searched for.

    Args:
        queries: Of the spectra whose files are to be read.
    """
    try:
        check_base_dir()
    except ConfigError:
        for query in queries:
            path = query.model._meta.fields.get("path")
            if path is None:
                continue
            is_relative = path.is_null(False) & ~path.startswith("/")
            if query.where(is_relative).exists():
                raise


class _Run:
    """One run: checks, then rederives rows, then processes what is pending, then what was withheld."""

    def __init__(self, request: Request, report: Report, stop: StopRequest, on_progress: Progress) -> None:
        self.request, self.report, self.stop, self.on_progress = request, report, stop, on_progress
        self.task = request.selection.task
        self.watch = DiskWatch(request.how_to_go_on)
        self.cut_short: str | None = None
        report.in_hand = InHand(lambda: on_progress(report))

    def go(self) -> None:
        request, report = self.request, self.report
        check_task(self.task)
        self.began = now(database)
        report.flag_names = tuple(self.task.output_model.flag_names())
        if request.count or request.dry_run:
            report.to_do = pending.count_pending(request.selection)
        settled = settle(self.task, request.options)
        request = self.request = replace(request, options=settled.options)
        provenance = settled.provenance
        if request.weights_origin is not None:
            provenance = replace(provenance, weights_origin=request.weights_origin)
        if settled.note:
            log.info(settled.note)
        if not request.dry_run:
            report.provenance = provenance
        refuse_to_mix(request, provenance)
        if request.dry_run:
            report.end("dry_run", 0)
            return
        if not pending.anything_pending(request.selection) and not pending.anything_to_process(
            self._withheld()
        ):
            if TaskWorker.select().where(TaskWorker.task == self.task.key).exists():
                Claims(request.selection, None).sweep()
            report.end("nothing_pending", 0)
        else:
            selections = (self.request.selection, self._withheld())
            check_paths(pending.pending_query(part) for each in selections for part in each.of_each_model())
            # Workers prepare themselves, all at the same time.
            (self.task.check if request.workers > 1 else self.task.prepare)(**request.options)
            self._recorded()

    def _withheld(self) -> pending.Selection:
        """The spectra of withheld files, which are retried at the end."""
        return self.request.selection.withheld(now(database), self.began)

    def _recorded(self) -> None:
        runs.announce(self.report.provenance)
        begin = partial(runs.begin, self.task, self.report.provenance, self.request.arguments)
        # Around the whole record, so that it is known whose it is whenever this process is killed.
        with Claims(self.request.selection, None, self._check_again) as claims:
            record = persistent(lambda: claims.record(begin))
            self.report.run_pk = record.pk
            try:
                self._work(claims, record.pk)
                if self.cut_short:
                    reason = f"stopped before the end ({self.cut_short})"
                    raise Interrupted(f"{reason}; {self.request.how_to_go_on}")
                self.report.end("done", 0)
            except BaseException as error:
                interrupted = isinstance(error, (Interrupted, KeyboardInterrupt))
                self._end_record(record, "stopped" if interrupted else "failed")
                raise
            self._end_record(record, "done")

    def _end_record(self, record: TaskRun, outcome: str) -> None:
        try:
            if outcome == "failed":
                runs.end(record, self.report.tally, outcome)
            else:
                persistent(lambda: runs.end(record, self.report.tally, outcome))
        except AstraError as error:
            # The reason of the failure itself says more than the record that could not be closed.
            if outcome == "done":
                raise
            log.warning("run %s could not be closed in task_run: %s", record.pk, error)

    def _rederive(self) -> None:
        request = self.request
        for keys in pending.stream_keys(pending.stale_query, request.selection, request.chunk, request.limit):
            self.cut_short = self.stop.reason
            if self.cut_short:
                return
            self.report.tally.add(persistent(lambda keys=keys: rederive(self.task, keys)))
            self.on_progress(self.report)

    def _work(self, claims: Claims, run_pk: int) -> None:
        tally, selection = self.report.tally, self.request.selection
        count = partial(pending.count_pending, selection)
        with Counting(self.task, self.report, count, self.request.limit):
            try:
                self._rederive()
                if not self.cut_short:
                    self._process(claims, run_pk)
            finally:
                tally.add(claims.quarantined)
        if tally.kept:
            ((reason, _),) = tally.withheld.most_common(1)
            kept = f"earlier results kept: {tally.kept}, because their files cannot be read"
            then = self.request.how_to_go_on if selection.overwrite else "every run tries them again"
            log.warning("%s (most often: %s); %s", kept, reason, then)

    def _check_again(self) -> None:
        """A trial may have been promoted, or rolled back, before others could see this worker."""
        refuse_promoted(self.task)
        refuse_to_mix(self.request, self.report.provenance)

    def _process(self, claims: Claims, run_pk: int) -> None:
        self.cut_short = self._hand_out(claims, run_pk)
        while not self.cut_short and claims.elsewhere and not self._limit_reached(claims):
            self.cut_short = wait_for_others(claims, lambda: self.stop.reason)
            self.cut_short = self.cut_short or self._hand_out(claims, run_pk)
        withheld = persistent(self._withheld)
        if not self.cut_short and persistent(lambda: pending.anything_to_process(withheld)):
            claims.turn_to(withheld)
            # A run that is stopped during these has still done all that was pending.
            self._hand_out(claims, run_pk)

    def _hand_out(self, claims: Claims, run_pk: int) -> str | None:
        """Process what can be claimed; gives the reason why something is left, if there is one."""
        request, report = self.request, self.report
        supply = Supply(claims, request, self.watch, lambda: self.stop.reason, report.tally.done)
        job = Measuring(dict(request.options), run_pk)
        for result in workers.run_chunks(self.task, supply, job, request.workers, report.in_hand):
            report.tally.add(result.tally)
            supply.take_back(result)
            self.on_progress(report)
        supply.end()
        return supply.cut_short

    def _limit_reached(self, claims: Claims) -> bool:
        limit = self.request.limit
        return limit is not None and self.report.tally.done + claims.quarantined.done >= limit
