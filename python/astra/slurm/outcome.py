"""How the tasks of an array ended -> one exit code, and one sentence."""

import re
import signal
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from astra.errors import SEVERITY, AstraError, ConfigError, Interrupted, worst
from astra.slurm.commands import Record

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
        """The signal that ended it, if one did: of a fault, too, whose spectrum the next run finds."""
        with suppress(ValueError, TypeError):
            found = signal.Signals(self.code - 128)
            return found.name
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
    if end.killed_by:
        return f"killed by {end.killed_by}" + (f" ({state})" if state else "")
    return f"ended with {end.code}" + (f" ({state})" if state else "")


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
