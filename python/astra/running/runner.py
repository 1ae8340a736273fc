"""Runs a task on what is pending, and says what was done in one report for every way it can end."""

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from astra.database.connection import database, now
from astra.database.reconnecting import persistent
from astra.errors import AstraError, ConfigError, Interrupted
from astra.models.pipeline import TaskRun, TaskWorker
from astra.running import runs, workers
from astra.running.chunk import Tally
from astra.running.claims import Claims
from astra.running.disk import DiskWatch
from astra.running.ending import Ending, StopRequest, reporting
from astra.running.request import Request
from astra.running.rows import rederive, write_claimed
from astra.running.supply import ClaimedSupply
from astra.spectra.identity import check_base_dir
from astra.system.version import V_ASTRA
from astra.tasks.contract import Provenance, check_tables
from astra.tasks.pending import (
    Selection,
    anything_pending,
    count_pending,
    pending_query,
    stale_query,
    stream_keys,
)
from astra.tasks.withheld import Withheld

log = logging.getLogger("astra")


@dataclass
class Report(Ending):
    """How a run went: what it did, and how it ended.

    ``to_do`` is what was pending at the start, where it was counted.
    """

    task: str
    provenance: Provenance = field(default_factory=Provenance)
    tally: Tally = field(default_factory=Tally)
    run_pk: int | None = None
    to_do: int | None = None
    flag_names: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        tally = self.tally
        rate = tally.processed / self.elapsed_s if self.elapsed_s > 0 else 0.0
        left = None if self.to_do is None else max(0, self.to_do - tally.done)
        return {
            "task": self.task,
            "v_astra": V_ASTRA,
            "run_pk": self.run_pk,
            "processed": tally.processed,
            "measured": tally.measured,
            "rederived": tally.rederived,
            "no_result": tally.no_result,
            "flags": {name: tally.flags[name] for name in self.flag_names},
            "bad": tally.bad,
            "warn": tally.warn,
            "withheld": tally.withheld.total(),
            "withheld_reasons": dict(tally.withheld.most_common()),
            "kept": tally.kept,
            "pending": left,
            "elapsed_s": round(self.elapsed_s, 3),
            "spectra_per_s": round(rate, 3),
            "weights": {
                name: getattr(self.provenance, f"weights_{name}") for name in ("name", "sha256", "range")
            },
            "seed": self.provenance.seed,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "error": self.error,
        }


Progress = Callable[[Report], None]


def run(request: Request, report: Report, on_progress: Progress = lambda report: None) -> None:
    """Run a task on what is pending, and fill in the report, however it ends.

    Args:
        request: What to do.
        report: Where the counts and the outcome go.
        on_progress: Called after every chunk.

    Raises:
        Exception: An internal error; the report is complete all the same.
    """
    with reporting(report) as stop:
        carry_out(request, report, stop, on_progress)


def carry_out(request: Request, report: Report, stop: StopRequest, on_progress: Progress) -> None:
    """Run a task on what is pending, within ``reporting``."""
    _Run(request, report, stop, on_progress).go()


def refuse_to_mix(request: Request, provenance: Provenance) -> None:
    """Stop before numbers of this provenance would stand beside others, as far as they would stay.

    Raises:
        ConfigError: There are such rows; it says which.
    """
    before = request.selection.before if request.replaces_all else None
    if not (request.allow_mixed or (request.replaces_all and before is None)):
        runs.refuse_to_mix(request.selection.task, provenance, before)


def how_to_go_on(selection: Selection) -> str:
    """What to do when a run of this selection was stopped before its end."""
    if selection.before is None:
        return "run again to go on"
    return f"run again with --before {selection.before.isoformat(timespec='microseconds')} to go on"


@dataclass(frozen=True)
class _HeldBack:
    """A spectrum whose file was withheld, and the token with which it is claimed."""

    token: int
    withheld: Withheld

    @property
    def kind(self) -> str:
        """What the system said."""
        return self.withheld.kind


class _Run:
    """One run: checks, then derives again, then processes what is pending, then what was withheld."""

    def __init__(self, request: Request, report: Report, stop: StopRequest, on_progress: Progress) -> None:
        self.request, self.report, self.stop, self.on_progress = request, report, stop, on_progress
        self.task = request.selection.task
        self.deadline = None if request.max_runtime is None else report.started + request.max_runtime
        self.watch: DiskWatch[_HeldBack] = DiskWatch(how_to_go_on(request.selection))
        self.cut_short: str | None = None

    def go(self) -> None:
        request, report = self.request, self.report
        check_tables(self.task)
        self.began = now(database)
        report.flag_names = tuple(self.task.output_model.flag_names())
        if request.count or request.dry_run:
            report.to_do = count_pending(request.selection)
        if request.dry_run:
            report.end("dry_run", 0)
            return
        report.provenance = self.task.identify(**request.options)
        refuse_to_mix(request, report.provenance)
        if not anything_pending(request.selection) and not pending_query(self._withheld()).exists():
            self._sweep()
            report.end("nothing_pending", 0)
        else:
            self._check_paths()
            # Workers prepare themselves, all at the same time.
            (self.task.check if request.workers > 1 else self.task.prepare)(**request.options)
            self._recorded()

    def _withheld(self) -> Selection:
        """What is tried again when all else is done."""
        return self.request.selection.withheld(now(database), self.began)

    def _sweep(self) -> None:
        if TaskWorker.select().where(TaskWorker.task == self.task.name).exists():
            Claims(self.request.selection, None).sweep()

    def _recorded(self) -> None:
        runs.announce(self.report.provenance)
        record = persistent(lambda: runs.begin(self.task, self.report.provenance, self.request.arguments))
        self.report.run_pk = record.pk
        try:
            self._rederive()
            self._process(record)
            if self.cut_short:
                on = how_to_go_on(self.request.selection)
                raise Interrupted(f"stopped before the end ({self.cut_short}); {on}")
            self.report.end("done", 0)
        except BaseException as error:
            interrupted = isinstance(error, (Interrupted, KeyboardInterrupt))
            self._end_record(record, "stopped" if interrupted else "failed")
            raise
        self._end_record(record, "done")

    def _end_record(self, record: TaskRun, outcome: str) -> None:
        tally = self.report.tally
        counts = {name: getattr(tally, name) for name in ("processed", "measured", "rederived", "no_result")}
        try:
            if outcome == "failed":
                runs.end(record, counts, outcome)
            else:
                persistent(lambda: runs.end(record, counts, outcome))
        except AstraError as error:
            # The reason of the failure itself says more than the record that could not be closed.
            if outcome == "done":
                raise
            log.warning("run %s could not be closed in task_run: %s", record.pk, error)

    def _check_paths(self) -> None:
        """Relative paths need their base; looked for only where the base does not stand."""
        try:
            check_base_dir()
        except ConfigError:
            path = getattr(self.task.spectrum_model, "path", None)
            if path is not None:
                is_relative = path.is_null(False) & ~path.startswith("/")
                selections = (self.request.selection, self._withheld())
                if any(pending_query(each).where(is_relative).exists() for each in selections):
                    raise

    def _rederive(self) -> None:
        left = self.request.limit
        for keys in stream_keys(stale_query, self.request.selection, self.request.chunk, left):
            self.cut_short = self._reason_to_stop()
            if self.cut_short:
                return
            self.report.tally.add(persistent(lambda keys=keys: rederive(self.task, keys)))
            self.on_progress(self.report)

    def _process(self, record: TaskRun) -> None:
        if self.cut_short:
            return
        with Claims(self.request.selection, record.pk) as claims:
            try:
                self.cut_short = self._hand_out(claims, record)
                selection = persistent(self._withheld)
                if not self.cut_short and persistent(lambda: pending_query(selection).exists()):
                    claims.turn_to(selection)
                    # Stopped in the midst of these, a run has done all the same what was pending.
                    self._hand_out(claims, record)
            finally:
                self.report.tally.add(claims.quarantined)
        self._say_what_is_kept()

    def _say_what_is_kept(self) -> None:
        tally, selection = self.report.tally, self.request.selection
        if tally.kept:
            ((reason, _),) = tally.withheld.most_common(1)
            log.warning(
                "earlier results kept: %d, because their files cannot be read (most often: %s); %s",
                tally.kept,
                reason,
                how_to_go_on(selection) if selection.overwrite else "every run tries them again",
            )

    def _hand_out(self, claims: Claims, record: TaskRun) -> str | None:
        """Process what can be claimed; gives the reason why something is left, if there is one."""
        supply = ClaimedSupply(claims, self.request, self._reason_to_stop, self.report.tally.done)
        options, count = self.request.options, self.request.workers
        for result in workers.run_chunks(self.task, supply, options, record.pk, count):
            self.report.tally.add(result.tally)
            supply.note(result)
            held_back = [each and _HeldBack(result.chunk.token, each) for each in result.lost]
            released = [self.watch.see(each) for each in held_back]
            self._note([each for each in released if each is not None])
            self.on_progress(self.report)
        if not supply.cut_short:
            self._note(self.watch.release())
        return supply.cut_short

    def _note(self, held_back: list[_HeldBack]) -> None:
        for token, group in itertools.groupby(held_back, key=lambda each: each.token):
            tries = [each.withheld for each in group]
            persistent(lambda token=token, tries=tries: write_claimed(self.task, token, [], tries))

    def _reason_to_stop(self) -> str | None:
        if self.stop.reason:
            return self.stop.reason
        over = self.deadline is not None and time.monotonic() > self.deadline
        return f"--max-runtime {self.request.max_runtime:g} s" if over else None
