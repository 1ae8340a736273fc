"""The status of a task as text: a page for a terminal, a line for a log.

For a scheduler that decides on its next step, the counts are compared with limits.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from astra.errors import UsageError
from astra.models import APOGEE, ApogeeCoaddedSpectrumInApStar
from astra.models.base import BaseModel
from astra.status.overview import DEAD, UNKNOWN

Found = Mapping[str, Any]

_COUNTED = ("spectra", "done", "pending", "withheld", "bad", "warn")

#: What is said of a worker that may not be working.
STATES = {
    DEAD: "; seems dead: the next `astra run` takes over what it had",
    UNKNOWN: "; nobody can tell from here whether it lives",
}

#: The exit code for a broken limit, which is not an error.
LIMIT_BROKEN = 1

#: The counts that can be limited, and the totals of their percentages.
LIMITED = {"no_result": "done", "bad": "done", "pending": "spectra"}


def page(found: Found) -> list[str]:
    """The full status in lines."""
    if "error" in found:
        return [found["error"]]
    return [
        f"{found['task']} (version {found['version']})",
        *(f"  {name:<10} {found[name]:>12,}" for name in _COUNTED),
        *(f"    {name:<24} {count:>12,}" for name, count in found["flags"].items()),
        *(f"    no result: {reason} ({count:,})" for reason, count in found["no_result_reasons"].items()),
        *(f"    withheld: {reason} ({count:,})" for reason, count in found["withheld_reasons"].items()),
        *(f"  {note['text']}" for note in found["notes"] if note["results"]),
        *_in_flight(found),
        *_runs(found),
    ]


def absent(packages: Iterable[str]) -> list[str]:
    """A line for each package that is not installed here."""
    return [f"package {name!r} is not installed here; its tables in the database stay" for name in packages]


def registers(model: type[BaseModel]) -> str:
    """What registers spectra of a model."""
    if model in APOGEE:
        command = "apstar" if model is ApogeeCoaddedSpectrumInApStar else "mwmstar"
        return f"`astra ingest {command}` registers them"
    return f"the package of {model.__module__} registers them"


def line(found: Found) -> str:
    """The counts that change during a run, on one line."""
    moment = f"{found['at']:%Y-%m-%dT%H:%M:%S}Z"
    if "error" in found:
        return f"{moment} {found['error']}"
    parts = [f"{name} {found[name]:,}" for name in ("done", "pending", "bad")]
    parts.append(f"no_result {found['flags'].get('flag_no_result', 0):,}")
    parts.append(_pace(found))
    return f"{moment} {found['task']}: {', '.join(parts)}"


def _pace(found: Found) -> str:
    number = len(found["workers"])
    parts = [f"{found['in_hand']:,} in hand of {number} worker{'' if number == 1 else 's'}"]
    if found["spectra_per_s"] is not None:
        parts.append(f"{found['spectra_per_s']:,.1f} spectra/s")
    if found["seconds_left"]:
        parts.append(f"{duration(found['seconds_left'])} left")
    return ", ".join(parts)


def _in_flight(found: Found) -> Iterator[str]:
    if found["workers"]:
        yield f"  {_pace(found)}"
    for worker in found["workers"]:
        hand = f"{worker['in_hand']:,} in hand"
        if worker["oldest_s"] is not None:
            hand += f", the oldest for {duration(worker['oldest_s'])}"
        place = f"{worker['host']}:{worker['pid']} (run {worker['run_pk']})"
        yield f"    worker {worker['worker_pk']} {place}: {hand}{STATES.get(worker['state'], '')}"
    suspects = found["suspects"]
    if suspects["waiting"] or suspects["in_hand"]:
        waiting, being = f"{suspects['waiting']:,} waiting", f"{suspects['in_hand']:,} in hand"
        yield f"  taken alone, because a worker died that had them: {waiting}, {being}"
    for each in suspects["spectra"]:
        if each["deaths"]:
            yield f"    spectrum {each['spectrum_pk']}: {each['deaths']} of {suspects['most_deaths']} deaths"


def _runs(found: Found) -> Iterator[str]:
    for run in found["runs"]:
        outcome = run["outcome"] or ("running" if run["working"] else "starting, or killed")
        counts = f"{run['measured']:,} measured + {run['no_result']:,} no_result"
        started = f"{run['started']:%Y-%m-%d %H:%M:%S} UTC"
        yield f"  run {run['run_pk']} of {started}, process {run['pid']} on {run['host']}: {outcome}"
        if run["outcome"]:
            yield f"    {counts}, {run['rederived']:,} derived again"


def duration(seconds: float) -> str:
    """A duration in its two largest units: ``3 h 12 min``."""
    left, parts = max(0, round(seconds)), []
    for unit, length in {"d": 86_400, "h": 3600, "min": 60, "s": 1}.items():
        number, left = divmod(left, length)
        parts += [f"{number} {unit}"] if number else []
    return " ".join(parts[:2]) or "0 s"


# > Limits


@dataclass(frozen=True)
class Limit:
    """The largest number or percentage allowed.

    Attributes:
        name: The count, a key of ``LIMITED``.
        most: The largest value.
        is_percentage: Whether it is a percentage.
    """

    name: str
    most: float
    is_percentage: bool

    def broken_by(self, found: Found) -> str | None:
        """The line for a status that breaks this limit, or ``None``."""
        counted, base = _counted(found, self.name), found[LIMITED[self.name]]
        if counted <= (self.most * base / 100 if self.is_percentage else self.most):
            return None
        allowed = f"{self.most:g} %" if self.is_percentage else f"{self.most:,.0f}"
        return f"{found['task']}: {_said(found, self.name)}, more than {allowed}"


def read_limits(texts: Mapping[str, str | None]) -> list[Limit]:
    """Parse limits such as ``2%`` or ``500``.

    Args:
        texts: The limits by the count that they limit; ``None`` is no limit.

    Raises:
        UsageError: One is neither a number nor a percentage.
    """
    limits = []
    for name, text in texts.items():
        if text is None:
            continue
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%|(\d+)", text.strip())
        if not found:
            option = f"--max-{name.replace('_', '-')}"
            raise UsageError(f"{option} {text}: give a number of spectra, e.g. 500, or a percentage, e.g. 2%")
        percentage, number = found.groups()
        limits.append(Limit(name, float(percentage or number), percentage is not None))
    return limits


def broken(found: Found, limits: list[Limit]) -> list[str]:
    """A line for each limit that a task breaks, or the error that prevents its status."""
    if "error" in found:
        return [found["error"]]
    return [line for limit in limits if (line := limit.broken_by(found))]


def kept(found: Found, limits: list[Limit]) -> str:
    """The line for a task within all limits."""
    return f"{found['task']}: within the limits ({'; '.join(_said(found, each.name) for each in limits)})"


def _counted(found: Found, name: str) -> int:
    return found["flags"].get("flag_no_result", 0) if name == "no_result" else found[name]


def _said(found: Found, name: str) -> str:
    counted, of = _counted(found, name), LIMITED[name]
    share = 100 * counted / found[of] if found[of] else 0.0
    return f"{name} {counted:,} of {found[of]:,} {of} ({share:.2f} %)"
