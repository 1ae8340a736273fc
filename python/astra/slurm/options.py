"""What is asked of Slurm: profiles of the settings and the command line, and the array that they give."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from astra.config import SlurmSettings
from astra.errors import UsageError

#: The profile that always applies.
DEFAULT_PROFILE = "default"

#: Where the logs go if nothing else is said, below the current folder.
LOGS = Path("astra-logs")

# Before the end of its time a worker is told to stop; it then finishes what it has in hand.
_LONGEST_NOTICE_S = 120

_DEFAULTS = {"nodes": 1, "procs": 1, "logs": LOGS}


def options_in_force(
    profiles: Mapping[str, SlurmSettings], chosen: str | None, given: Mapping[str, Any]
) -> SlurmSettings:
    """The options: the command line beats the chosen profile, this beats ``default``.

    Args:
        profiles: Those of the settings.
        chosen: Name of a profile.
        given: Options of the command line; ``None`` counts as not given.

    Raises:
        UsageError: There is no such profile, or an option is empty.
    """
    if chosen is not None and chosen not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise UsageError(f"no profile {chosen!r} under 'slurm' in the settings; there are: {known}")
    layers = [profiles[name] for name in (DEFAULT_PROFILE, chosen) if name in profiles]
    values = dict(_DEFAULTS)
    for layer in layers:
        values |= layer.model_dump(exclude_none=True)
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return SlurmSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{name}: {first['msg'].lower()}") from None


@dataclass(frozen=True)
class JobArray:
    """What is submitted.

    Attributes:
        name: Name of the job.
        words: The command line of a worker, after ``astra``, without its limit and its processes.
        options: For Slurm.
        logs: The folder of logs; absolute.
        folder: Where the tasks run.
        limit: At most so many spectra in all tasks together.
    """

    name: str
    words: tuple[str, ...]
    options: SlurmSettings
    logs: Path
    folder: Path
    limit: int | None = None

    @property
    def tasks(self) -> int:
        """How many tasks it has: none has nothing to do."""
        nodes = self.options.nodes
        return nodes if self.limit is None else min(nodes, self.limit)

    @property
    def shares(self) -> tuple[int, int]:
        """The limit of each task, and how many of the first ones take one spectrum more."""
        return divmod(self.limit or 0, self.tasks)


def worker_words(task: str, arguments: Mapping[str, Any], before: str | None) -> tuple[str, ...]:
    """The command line of a worker, after ``astra``.

    Args:
        task: Name of the task.
        arguments: Those of the command, by name.
        before: Which rows are taken again: the same for all workers, so that each is taken once.
    """
    words = ["run", task, *(arguments["what"] or [])]
    for name in ("weights", "seed", "device", "batch_size", "retry", "max_runtime"):
        if arguments[name] is not None:
            words.append(f"--{name.replace('_', '-')}={arguments[name]}")
    words += [f"--{name.replace('_', '-')}" for name in ("overwrite", "allow_mixed") if arguments[name]]
    return (*words, f"--before={before}") if before else tuple(words)


def notice_s(time: str | None) -> int:
    """How many seconds before the end of its time a worker is told to stop.

    Args:
        time: The limit as Slurm takes it: minutes, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M``, ``D-H:M:S``.
    """
    seconds = _seconds(time)
    return _LONGEST_NOTICE_S if seconds is None else max(1, min(_LONGEST_NOTICE_S, seconds // 10))


def _seconds(time: str | None) -> int | None:
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time or "")
    if not found:
        return None
    days, *parts = (int(part) if part else 0 for part in found.groups())
    given = sum(part is not None for part in found.groups()[1:])
    if found[1] or given == 3:
        hours, minutes, seconds = parts
    else:
        hours, minutes, seconds = 0, parts[0], parts[1]
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
