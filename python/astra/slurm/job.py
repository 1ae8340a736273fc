"""A submitted array: how its tasks are, how they ended, how they are stopped."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from astra.database.reconnecting import draining
from astra.running.ending import StopRequest
from astra.slurm import commands
from astra.slurm.outcome import TaskEnd, task_end

log = logging.getLogger("astra")

# States that no task leaves again.
_FINAL = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
}  # fmt: skip

# Between two questions to Slurm [s]: at first often, for short jobs; a long one is not worth the trouble.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_SHARE_OF_TIME = 0.05


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
        self._records: dict[int, commands.Record] = {}
        self._cancelled = False
        self._silent = False

    @property
    def has_ended(self) -> bool:
        """Whether all its tasks have."""
        return all(state in _FINAL or not state for state, _ in self._states.values())

    def look(self) -> None:
        """Ask Slurm how the tasks are; if it does not answer, they are as they were."""
        found = commands.states(self.number)
        if (found is None) != self._silent:
            self._silent = found is None
            log.warning("Slurm %s", "does not answer; waiting on" if self._silent else "answers again")
        if found is None:
            return
        for task, (before, _) in self._states.items():
            # Slurm forgets ended tasks after a while: its last word counts.
            if task in found or before not in _FINAL:
                self._states[task] = found.get(task, ("", ""))
        final = {task for task, (state, _) in self._states.items() if state in _FINAL}
        # A task that Slurm starts again is no longer one that ended.
        self._records = {task: record for task, record in self._records.items() if task in final}
        if news := final - self._records.keys():
            self._records |= commands.records(self.number, news)

    def summary(self) -> str:
        """How many tasks are in which state, and why some do not begin."""
        counts = Counter(state or "gone" for state, _ in self._states.values())
        waiting = [reason for state, reason in self._states.values() if state == "PENDING"]
        reasons = sorted(set(waiting) - {"None", ""})
        parts = [f"{count} {state.lower().replace('_', ' ')}" for state, count in sorted(counts.items())]
        return ", ".join(parts) + (f" (waiting for: {', '.join(reasons)})" if reasons else "")

    def stop(self) -> None:
        """Let the tasks that run finish what they have in hand, and the others not begin; may be repeated."""
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
    begun, at_once = time.monotonic(), False
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
            pause = (time.monotonic() - begun) * _SHARE_OF_TIME
            _sleep(min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, pause)), stop)
        except KeyboardInterrupt:
            if at_once:
                raise
            at_once = True


def _sleep(seconds: float, stop: StopRequest) -> None:
    # The first signal sets the event, and ends the pause; after it, pauses are short.
    if stop.reason:
        time.sleep(2 * _SHORTEST_PAUSE_S)
    else:
        draining.wait(seconds)
