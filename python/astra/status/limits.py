"""The status of a task against limits, for a scheduler that decides on its next step.

Limits on counts are of all results, or of those of each of the last nights at each telescope; limits on
medians are of nights always, that on the rate is of the runs of a night, that on the age of what is pending.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from astra.errors import ConfigError, UsageError, nearest
from astra.status.nights import (
    FEW,
    Median,
    OfNight,
    count_by_night,
    night_of,
    nights_until,
    start_of,
    throughput_by_night,
)
from astra.status.places import Place, count_by_place
from astra.status.text import Found, duration
from astra.tasks.contract import Task

#: The exit code for a broken limit, which is not an error.
LIMIT_BROKEN = 1

#: The counts that can be limited, and the totals of their percentages.
LIMITED = {"no_result": "done", "bad": "done", "pending": "spectra"}

#: Those of them that each night has.
_OF_NIGHTS = {"no_result", "bad"}

#: The nights that are judged if nothing is said: this one, and the last that is over.
NIGHTS = 2

#: The rate of runs that took less time than this [s] is not judged: it is that of their start.
SHORT_S = 60.0

_SECONDS = {"d": 86_400, "h": 3600, "min": 60, "s": 1}


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

    def fault(self, counted: int, base: int) -> str | None:
        """What is wrong with a count of a total, or ``None``."""
        if counted <= (self.most * base / 100 if self.is_percentage else self.most):
            return None
        return f"more than {self.most:g} %" if self.is_percentage else f"more than {self.most:,.0f}"

    def broken_by(self, found: Found) -> str | None:
        """The line for a status that breaks this limit, or ``None``."""
        fault = self.fault(_counted(found, self.name), found[LIMITED[self.name]])
        return fault and f"{found['task']}: {_said(found, self.name)}, {fault}"


@dataclass(frozen=True)
class MedianLimit:
    """The largest or the smallest median allowed.

    Attributes:
        name: The quantity, as the task calls it.
        bound: The limit.
        is_least: Whether it is the smallest one.
    """

    name: str
    bound: float
    is_least: bool = False

    def fault(self, median: float) -> str | None:
        """What is wrong with a median, or ``None``."""
        if self.is_least:
            return f"less than {self.bound:g}" if median < self.bound else None
        return f"more than {self.bound:g}" if median > self.bound else None


@dataclass(frozen=True)
class Limits:
    """All limits of one check.

    Attributes:
        of_all: On counts of all results.
        of_nights: On counts of each night and telescope.
        medians: On medians, likewise.
        min_rate: The lowest throughput of the runs of a night [1/s].
        max_age_s: The largest age of what is pending at a telescope [s].
        nights: How many nights are judged.
    """

    of_all: tuple[Limit, ...] = ()
    of_nights: tuple[Limit, ...] = ()
    medians: tuple[MedianLimit, ...] = ()
    min_rate: float | None = None
    max_age_s: float | None = None
    nights: int = NIGHTS

    def __bool__(self) -> bool:
        return self != Limits(nights=self.nights)

    @classmethod
    def read(
        cls,
        counts: Mapping[str, str | None],
        most: Mapping[str, float],
        least: Mapping[str, float],
        *,
        min_rate: float | None,
        max_age: str | None,
        nights: int | None,
    ) -> Self:
        """The limits of a command line.

        Args:
            counts: Limits such as ``2%`` or ``500`` by the count; ``None`` is no limit.
            most: The largest medians by quantity.
            least: The smallest ones.
            min_rate: The lowest throughput [1/s].
            max_age: An age such as ``36h``.
            nights: How many nights are judged; ``None`` judges counts over all results.

        Raises:
            UsageError: A text is not a limit; or there are nights and nothing that is judged by night.
        """
        of_counts = read_limits(counts)
        by_night = () if nights is None else tuple(each for each in of_counts if each.name in _OF_NIGHTS)
        limits = cls(
            tuple(each for each in of_counts if each not in by_night),
            by_night,
            (
                *(MedianLimit(name, bound) for name, bound in most.items()),
                *(MedianLimit(name, bound, is_least=True) for name, bound in least.items()),
            ),
            min_rate,
            None if max_age is None else _read_age(max_age),
            nights or NIGHTS,
        )
        if nights is not None and not (by_night or limits.medians or min_rate is not None):
            raise UsageError(
                "--nights needs a limit by night: --max-no-result, --max-bad, --max-median, --min-median, "
                "--max-pull or --min-rate"
            )
        return limits

    def refuse_unknown(self, tasks: Iterable[Task]) -> None:
        """Refuse a limit on what none of the tasks watches.

        Raises:
            UsageError: There is one; it says what there is.
        """
        watched = {name for task in tasks for name in task.watched}
        for limit in self.medians:
            if limit.name not in watched:
                there = nearest(limit.name, sorted(watched), "there is")
                raise UsageError(f"no median of {limit.name!r} is watched{there}")


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


def read_medians(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Parse limits such as ``snr=50``.

    Raises:
        UsageError: One is not a name and a number.
    """
    found = {}
    for text in texts:
        parts = re.fullmatch(r"\s*(\w+)\s*=\s*(-?\d+(?:\.\d+)?)\s*", text)
        if not parts:
            raise UsageError(f"{option} {text}: give the name of a quantity and a number, e.g. snr=50")
        found[parts[1]] = float(parts[2])
    return found


def _read_age(text: str) -> float:
    parts = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(_SECONDS)})\s*", text)
    if not parts:
        raise UsageError(f"--max-age {text}: give a number and d, h, min or s, e.g. 36h")
    return float(parts[1]) * _SECONDS[parts[2]]


# > All results


def broken(found: Found, limits: Iterable[Limit]) -> list[str]:
    """A line for each limit that a task breaks, or the error that prevents its status."""
    if "error" in found:
        return [found["error"]]
    return [line for limit in limits if (line := limit.broken_by(found))]


def kept(found: Found, limits: Iterable[Limit]) -> str:
    """The line for a task within all limits."""
    return f"{found['task']}: within the limits ({'; '.join(_said(found, each.name) for each in limits)})"


def _counted(found: Found, name: str) -> int:
    return found["flags"].get("flag_no_result", 0) if name == "no_result" else found[name]


def _said(found: Found, name: str) -> str:
    return _share(name, _counted(found, name), found[LIMITED[name]], LIMITED[name])


def _share(name: str, counted: int, base: int, of: str) -> str:
    return f"{name} {counted:,} of {base:,} {of} ({100 * counted / base if base else 0.0:.2f} %)"


# > Nights, runs, and what is pending


@dataclass
class Verdict:
    """What a check of nights, runs and pending spectra finds.

    Attributes:
        broken: A line for each broken limit.
        not_judged: A line for each number that says too little.
        kept: A line for each night and telescope within the limits.
        nights: The numbers of each night and telescope.
        throughput: The rates of the runs of each night.
        oldest_pending: What is pending at each telescope.
    """

    broken: list[str] = field(default_factory=list)
    not_judged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    nights: list[dict[str, Any]] = field(default_factory=list)
    throughput: list[dict[str, Any]] = field(default_factory=list)
    oldest_pending: list[dict[str, Any]] = field(default_factory=list)

    def add(self, subject: str, numbers: Iterable["_Number"]) -> None:
        """Take the verdict on the numbers of one subject, such as a night and telescope."""
        within = []
        for each in numbers:
            if each.too_little:
                self.not_judged.append(f"{subject}: {each.said}, {each.too_little}")
            elif each.fault:
                self.broken.append(f"{subject}: {each.said}, {each.fault}")
            else:
                within.append(each.said)
        if within:
            self.kept.append(f"{subject}: within the limits ({'; '.join(within)})")


@dataclass(frozen=True)
class _Number:
    """One number in words, and what is wrong with it, or why it is not judged."""

    said: str
    fault: str | None
    too_little: str | None = None


def judge(tasks: Iterable[Task], limits: Limits, moment: datetime) -> Verdict:
    """Compare nights, runs and what is pending with the limits on them.

    Args:
        tasks: The tasks.
        limits: The limits.
        moment: Now, by the clock of the database.
    """
    verdict = Verdict()
    for task in tasks:
        if limits.of_nights or any(each.name in task.watched for each in limits.medians):
            try:
                _judge_nights(verdict, task, limits, moment)
            except ConfigError as error:  # of what the task watches
                verdict.broken.append(str(error))
        if limits.min_rate is not None:
            _judge_runs(verdict, task, limits, moment)
        if limits.max_age_s is not None:
            _judge_age(verdict, task, limits.max_age_s, moment)
    return verdict


def _judge_nights(verdict: Verdict, task: Task, limits: Limits, moment: datetime) -> None:
    nights = nights_until(moment, limits.nights)
    found = count_by_night(task, nights, ("telescope",))
    if not found:
        verdict.not_judged.append(f"{task.key}: no results since {_when(start_of(nights[0]))}")
    for each in found:
        numbers = asdict(each)
        verdict.nights.append({"task": task.key} | numbers.pop("place") | numbers)
        where = f"{task.key}, night of {each.night}, {_named(each.place['telescope'])}"
        verdict.add(where, _numbers(each, limits))


def _numbers(found: OfNight, limits: Limits) -> Iterator[_Number]:
    for limit in limits.of_nights:
        counted = getattr(found, limit.name)
        said = _share(limit.name, counted, found.results, "results")
        judged = not limit.is_percentage or found.results >= FEW
        yield _Number(said, limit.fault(counted, found.results), None if judged else _too_few())
    for limit in limits.medians:
        if (median := found.medians.get(limit.name)) is not None:
            yield _number_of(limit, median)


def _number_of(limit: MedianLimit, median: Median) -> _Number:
    if median.results < FEW:
        return _Number(f"median {limit.name} of {median.results:,} results", None, _too_few())
    said = f"median {limit.name} {median.value:.3g} of {median.results:,} results"
    return _Number(said, limit.fault(median.value))


def _too_few() -> str:
    return f"fewer than {FEW}: not judged"


def _judge_runs(verdict: Verdict, task: Task, limits: Limits, moment: datetime) -> None:
    nights = nights_until(moment, limits.nights)
    by_night = throughput_by_night(task, nights)
    if not by_night:
        verdict.not_judged.append(f"{task.key}: no runs since {_when(start_of(nights[0]))}")
    for night, found in by_night.items():
        rate = {"spectra": found.spectra, "seconds": found.seconds, "spectra_per_s": found.per_s}
        verdict.throughput.append({"task": task.key, "night": night} | rate)
        said = f"{found.per_s:.3g} spectra/s of runs ({found.spectra:,} in {duration(found.seconds)})"
        fault = f"less than {limits.min_rate:g}" if found.per_s < limits.min_rate else None
        short = f"less than {duration(SHORT_S)}: not judged" if found.seconds < SHORT_S else None
        verdict.add(f"{task.key}, night of {night}", [_Number(said, fault, short)])


def _judge_age(verdict: Verdict, task: Task, most_s: float, moment: datetime) -> None:
    waiting = _by_telescope(count_by_place(task))
    if not waiting:
        verdict.kept.append(f"{task.key}: within the limits (nothing is pending)")
    for telescope, places in waiting.items():
        since = min(place.since for place in places)
        pending, age_s = sum(place.pending for place in places), (moment - since).total_seconds()
        verdict.oldest_pending.append(
            {"task": task.key, "telescope": telescope, "pending": pending, "since": since, "age_s": age_s}
        )
        said = (
            f"the oldest of {pending:,} pending spectra waits for {duration(age_s)}, since {_when(since)} "
            f"(night of {night_of(since)})"
        )
        fault = f"more than {duration(most_s)}" if age_s > most_s else None
        verdict.add(f"{task.key}, {_named(telescope)}", [_Number(said, fault)])


def _by_telescope(places: Iterable[Place]) -> dict[str, list[Place]]:
    """The places where anything is pending."""
    found: dict[str, list[Place]] = {}
    for place in places:
        if place.pending:
            found.setdefault(place.telescope, []).append(place)
    return found


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _named(telescope: str) -> str:
    return telescope or "no telescope"
