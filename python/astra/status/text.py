"""The status of a task as text: a page for a terminal, a line for a log."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from astra.models import APOGEE, ApogeeCoaddedSpectrumInApStar
from astra.models.base import BaseModel
from astra.status.overview import DEAD, UNKNOWN
from astra.system.pace import duration

Found = Mapping[str, Any]

_COUNTED = ("spectra", "done", "pending", "withheld", "bad", "warn")

#: What is said of a worker that may not be working.
STATES = {
    DEAD: "; seems dead: the next `astra run` takes over what it had",
    UNKNOWN: "; nobody can tell from here whether it lives",
}


def page(found: Found) -> list[str]:
    """The full status in lines."""
    if "error" in found:
        return [found["error"]]
    return [
        f"{found['task']} (version {found['version']})",
        *([f"  {_pace(found)}"] if found["workers"] else []),
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
