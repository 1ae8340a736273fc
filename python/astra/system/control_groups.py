"""What the control groups of Linux let this process use: time of the cores, memory.

A container, a unit of systemd or a job of Slurm is a group, and may use no more than any of the groups that
it is in. Version 2 has one tree of them, version 1 one for each kind of limit; a machine may have both.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: Where Linux says of a process which groups it is in, and where their trees are mounted.
PROCESS = Path("/proc/self")

# How mountinfo writes a space in a name.
_OCTAL = re.compile(r"\\([0-7]{3})")


def cpu_quota(process: Path = PROCESS) -> float | None:
    """How many cores this process has time for; ``None`` if that is not limited."""
    return min(_quotas(process), default=None)


def memory_limit(process: Path = PROCESS) -> int | None:
    """How much memory this process and the others of its groups may have [bytes]; ``None``: not limited."""
    # Version 1 has a number close to 2**63 where there is no limit.
    limits = (_number(folder / "memory.max") for folder in _groups("", process))
    former = (_number(folder / "memory.limit_in_bytes") for folder in _groups("memory", process))
    found = [int(limit) for limit in (*limits, *former) if limit is not None and limit < 2**60]
    return min(found, default=None)


def _quotas(process: Path) -> Iterator[float]:
    for folder in _groups("", process):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        yield from _cores(quota, period)
    for folder in _groups("cpu", process):
        yield from _cores(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _cores(quota: str, period: str) -> Iterator[float]:
    # Without a limit the quota is "max" or -1.
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        yield int(quota) / int(period)


def _groups(controller: str, process: Path) -> Iterator[Path]:
    """The folder of the group of this process, and of each that it is in.

    Args:
        controller: Of version 1; empty: version 2.
        process: Where Linux describes this process.
    """
    kinds = ("cgroup", controller) if controller else ("cgroup2", "")
    path = _path(controller, process)
    for line in _text(process / "mountinfo").splitlines() if path else ():
        mounted, _, file_system = line.partition(" - ")
        root, place = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), each) for each in mounted.split()[3:5])
        # What is mounted may have no name.
        kind, _, options = file_system.split(" ", 2)
        if kind == kinds[0] and kinds[1] in ("", *options.split(",")):
            # A container sees no group above its own, and may be told the path that this has on the host.
            inside = path.is_relative_to(root) and ".." not in path.parts
            below = path.relative_to(root) if inside else PurePosixPath()
            inner = Path(place, below)
            yield from (inner, *inner.parents[: len(below.parts)])


def _path(controller: str, process: Path) -> PurePosixPath | None:
    for line in _text(process / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return PurePosixPath(path)
    return None


def _number(file: Path) -> float | None:
    text = _text(file)
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
