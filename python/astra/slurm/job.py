"""A submitted array: the states of its tasks, how to stop them, and how they ended.

The ends of the tasks add up to one exit code and one sentence.
"""

import logging
import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from astra.errors import SEVERITY, AstraError, ConfigError, Interrupted, worst
from astra.running.ending import StopRequest
from astra.slurm import commands
from astra.slurm.commands import Record
from astra.system.signals import draining

log = logging.getLogger("astra")

# States that no task leaves.
_FINAL = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
}  # fmt: skip

# Between two questions to Slurm [s]: at first often, for short jobs; a long one is not worth the trouble.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_SHARE_OF_TIME = 0.05

# What a shell gives for a program that cannot be started.
_NOT_STARTED = (126, 127)

# What Slurm gives as the signal of a task whose log could not be opened.
_LAUNCH_FAILURE = 53

# Tasks that a message names.
_NAMED = 5

# What is read of the end of a log [bytes].
_TAIL = 8192


@dataclass(frozen=True)
class TaskEnd:
    """How one task of an array ended.

    Attributes:
        task: Its number.
        state: Slurm's word for it; empty if Slurm has forgotten.
        code: What its worker ended with; ``None`` if it was killed, or never began.
    """

    task: int
    state: str
    code: int | None

    @property
    def killed_by(self) -> str | None:
        """The signal that ended it, if one did: also after a crash, whose spectrum the next run finds."""
        with suppress(ValueError, TypeError):
            return signal.Signals(self.code - 128).name
        return None

    def exit_code(self, is_pending: bool) -> int:
        """The exit code that stands for it.

        Args:
            is_pending: Whether there is work left: else nothing is lost by a task that was killed.
        """
        if self.code is None or self.killed_by:
            return Interrupted.exit_code if is_pending else 0
        if self.code in _NOT_STARTED:
            return ConfigError.exit_code
        return self.code if self.code in SEVERITY else AstraError.exit_code


def task_end(task: int, kept: int | None, state: str, record: Record | None) -> TaskEnd:
    """Put together what is known.

    Args:
        task: Number of the task.
        kept: The exit code that its script has kept.
        state: The last state that Slurm gave.
        record: What Slurm has on record.
    """
    state = record.state if record else state
    if kept is not None or record is None:
        return TaskEnd(task, state, kept)
    code, _, number = record.exit_code.partition(":")
    if state == "FAILED" and number == str(_LAUNCH_FAILURE):
        return TaskEnd(task, state, _NOT_STARTED[0])
    if code.isdecimal() and (int(code) or state == "COMPLETED"):
        return TaskEnd(task, state, int(code))
    if state == "FAILED" and number.isdecimal() and int(number):
        return TaskEnd(task, state, 128 + int(number))
    return TaskEnd(task, state, None)


class Job:
    """A job array that was submitted.

    Args:
        number: Its number.
        tasks: How many tasks it has.
        logs: The folder of its logs.
    """

    def __init__(self, number: str, tasks: int, logs: Path) -> None:
        self.number, self._logs = number, logs
        self._states: dict[int, tuple[str, str]] = dict.fromkeys(range(tasks), ("PENDING", "None"))
        self._records: dict[int, Record] = {}
        self._cancelled = self._silent = False

    @property
    def has_ended(self) -> bool:
        """Whether all its tasks have ended, or Slurm has forgotten them."""
        return all(state in _FINAL or not state for state, _ in self._states.values())

    def look(self) -> None:
        """Ask Slurm for the states of the tasks; if it does not answer, the last ones stand."""
        found = commands.states(self.number)
        if (found is None) != self._silent:
            self._silent = found is None
            log.warning("Slurm %s", "does not answer; waiting on" if self._silent else "answers again")
        if found is None:
            return
        for task, (before, _) in self._states.items():
            # Slurm forgets ended tasks after a while: their last state counts.
            if task in found or before not in _FINAL:
                self._states[task] = found.get(task, ("", ""))
        final = {task for task, (state, _) in self._states.items() if state in _FINAL}
        # A task that Slurm has requeued is no longer one that ended.
        self._records = {task: record for task, record in self._records.items() if task in final}
        if news := final - self._records.keys():
            self._records |= commands.records(self.number, news)

    def summary(self) -> str:
        """The number of tasks in each state, and why some of them wait."""
        counts = Counter(state or "gone" for state, _ in self._states.values())
        waiting = [reason for state, reason in self._states.values() if state == "PENDING"]
        reasons = sorted(set(waiting) - {"None", ""})
        parts = [f"{count} {state.lower().replace('_', ' ')}" for state, count in sorted(counts.items())]
        return ", ".join(parts) + (f" (waiting for: {', '.join(reasons)})" if reasons else "")

    def stop(self) -> None:
        """Let running tasks drain, and cancel those that wait; may be repeated."""
        commands.cancel(self.number, "--state=PENDING")
        commands.cancel(self.number, "--batch", "--signal=TERM")

    def cancel(self) -> None:
        """End all tasks at once."""
        self._cancelled = self._cancelled or commands.cancel(self.number)

    def ends(self) -> list[TaskEnd]:
        """How its tasks ended."""
        unknown = [task for task in self._states if self._kept(task) is None and task not in self._records]
        if unknown:
            self._records |= commands.records(self.number, unknown)
        return [
            task_end(task, self._kept(task), state, self._records.get(task))
            for task, (state, _) in sorted(self._states.items())
        ]

    def _kept(self, task: int) -> int | None:
        """The exit code that the script of a task has kept."""
        try:
            text = (self._logs / f"{self.number}_{task}.exit").read_text()
        except (OSError, UnicodeDecodeError):
            return None
        return int(text) if text.strip().isdecimal() else None


def wait_for(job: Job, stop: StopRequest, on_look: Callable[[], None]) -> bool:
    """Wait until all tasks of a job have ended; Ctrl-C stops them, a second one cancels them.

    Args:
        job: The job.
        stop: What the signals ask for.
        on_look: Called after each look at the job.

    Returns:
        Whether they were cancelled by a second Ctrl-C.
    """
    started, at_once = time.monotonic(), False
    while True:
        try:
            if at_once:
                job.cancel()
            elif stop.reason:
                # Repeated, for tasks that began meanwhile.
                job.stop()
            job.look()
            on_look()
            if job.has_ended:
                return at_once
            if stop.reason:
                # Short: the first signal has set the event that ends a longer pause.
                time.sleep(2 * _SHORTEST_PAUSE_S)
            else:
                pause = (time.monotonic() - started) * _SHARE_OF_TIME
                draining.wait(min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, pause)))
        except KeyboardInterrupt:
            if at_once:
                raise
            at_once = True


def exit_code_of(ends: Collection[TaskEnd], is_pending: bool) -> int:
    """The exit code of the array: the first of 78, 70, 74, 69, 75, 0 that one of its tasks has."""
    return worst(end.exit_code(is_pending) for end in ends)


def sentence(job: str, ends: Collection[TaskEnd], is_pending: bool, logs: Path) -> str:
    """What happened to the tasks that decided the exit code; of each kind the first speaks for all."""
    decisive = exit_code_of(ends, is_pending)
    kinds: dict[str, list[TaskEnd]] = defaultdict(list)
    for end in ends:
        if end.exit_code(is_pending) == decisive:
            kinds[_said(end)].append(end)
    parts = []
    for said, group in kinds.items():
        numbers = ", ".join(str(end.task) for end in group[:_NAMED]) + (", …" if group[_NAMED:] else "")
        word = "tasks" if len(group) > 1 else "task"
        by_itself = group[0].code is not None and not group[0].killed_by
        line = last_error(logs / f"{job}_{group[0].task}.log") if by_itself else None
        parts.append(f"{word} {numbers} {said}" + (f" ({line})" if line else ""))
    return f"job {job}: {'; '.join(parts)}"


def _said(end: TaskEnd) -> str:
    if end.code in _NOT_STARTED:
        return "could not start: are python and the folder of logs there on all machines?"
    state = "" if end.state in ("COMPLETED", "FAILED") else end.state
    if end.code is None:
        return f"did not end by itself ({state or 'Slurm does not say why'})"
    said = f"killed by {end.killed_by}" if end.killed_by else f"ended with {end.code}"
    return said + (f" ({state})" if state else "")


def last_error(log_file: Path) -> str | None:
    """The last line of error in a log, without its beginning."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    found = [re.sub(r"^astra: error: ", "", line) for line in lines if line.startswith("astra: error: ")]
    return found[-1] if found else None
