"""What a run is asked to do: from the words of a caller to a request that can be carried out."""

import logging
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.database.connection import database, now
from astra.errors import UsageError
from astra.models.base import BaseModel
from astra.running.star_list import STAR, read_stars
from astra.tasks.contract import Fill, Task
from astra.tasks.installed import is_named
from astra.tasks.pending import Selection
from astra.tasks.star_names import sources_by_name, sources_of

if TYPE_CHECKING:
    from astra.running.arguments import SharedArguments
    from astra.tasks.conditions import Condition

log = logging.getLogger("astra")

#: Spectra in one chunk: one transaction, and what a stop has to wait for.
CHUNK = 100

# Stars of a file that a warning names.
_EXAMPLES = 3
_UNITS = {"h": "hours", "d": "days"}


@dataclass(frozen=True)
class Request:
    """One call of ``astra run``.

    Attributes:
        selection: Which spectra of which task.
        options: Options of the task.
        limit: At most this many spectra, rederived or processed.
        chunk: Spectra in one transaction.
        workers: Local processes.
        max_runtime: Begin no chunk after this time [s].
        allow_mixed: Accept rows that other weights made.
        count: Count what is pending before the work begins.
        dry_run: Count, and do nothing.
        fill: Columns to fill, instead of anything else.
        arguments: The arguments of the command, for the record.
        weights_origin: What chose the weights among the options, if the caller knows it better.
        stars_from: The file that names the stars, if one does.
    """

    selection: Selection
    options: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    chunk: int = CHUNK
    workers: int = 1
    max_runtime: float | None = None
    allow_mixed: bool = False
    count: bool = False
    dry_run: bool = False
    fill: Fill | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights_origin: str | None = None
    stars_from: Path | None = None

    @property
    def replaces_all(self) -> bool:
        """Whether it leaves no older row beside its own."""
        return self.selection.overwrite and self.limit is None and not self.selection.is_narrowed

    @property
    def how_to_go_on(self) -> str:
        """What to do when it was stopped before its end."""
        chosen = self.selection
        options = {
            "--where": chosen.condition and shlex.quote(chosen.condition.text),
            "--stars-from": self.stars_from and shlex.quote(str(self.stars_from)),
            "--changed-since": chosen.changed_since and precisely(chosen.changed_since),
            "--before": chosen.before and precisely(chosen.before),
        }
        named = [f"{option} {value}" for option, value in options.items() if value]
        return f"run again {' '.join(['with', *named, ''] if named else [])}to go on"


@dataclass(frozen=True)
class Targets:
    """The words after the task's name, understood but not yet looked up.

    Attributes:
        stars: Names of stars; none means all.
        page: ``(I, N)``, or ``None``.
        before: Rows made before this time (UTC) are replaced; ``None`` means the start of the run.
        models: The model of spectra that was named; ``None`` means all that the task takes.
    """

    stars: tuple[str, ...] = ()
    page: tuple[int, int] | None = None
    before: datetime | None = None
    models: tuple[type[BaseModel], ...] | None = None


def read_targets(
    task: Task, words: Iterable[str] | None, before: str | None, page: str | None = None
) -> Targets:
    """Understand ``[MODEL] [STAR]… --before TIME --page I/N``.

    Raises:
        UsageError: A word is neither a model that the task takes nor a star, or an option cannot be read.
    """
    words, models = list(words or ()), None
    if words and not STAR.fullmatch(words[0]):
        models = (_named_model(task, words.pop(0)),)
    for word in words:
        if not STAR.fullmatch(word):
            raise UsageError(f"not a star: {word!r}; give an sdss_id (digits) or an APOGEE id (2M… or AP…)")
    return Targets(tuple(words), _read_page(page), _read_time("--before", before), models)


def build_request(task: Task, targets: Targets, shared: "SharedArguments", **rest: Any) -> Request:
    """Look up the stars, and put everything together; needs the database.

    Args:
        task: The task.
        targets: What to run it on.
        shared: How to run it.
        **rest: Further attributes of the request.

    Raises:
        UsageError: A star is not in the database, or none of a file is; or the task has no such option or
            takes no such value; or the condition is not valid.
    """
    options = task.checked(shared.of_task)
    retry = shared.retry is not None
    replaces = retry or shared.overwrite
    if targets.before and not replaces:
        raise UsageError("--before says which rows to take again: give --overwrite or --retry with it")
    # By the clock of the database, as all times in it.
    before = (targets.before or now(database)) if replaces else None
    selection = Selection(
        task,
        _sources(targets.stars, shared.stars_from),
        targets.page,
        retry,
        shared.overwrite,
        before,
        models=targets.models,
        condition=_condition(task, shared.where, on_rows=replaces or rest.get("fill") is not None),
        changed_since=_read_moment("--changed-since", shared.changed_since),
    )
    how = {"chunk": shared.batch_size or CHUNK, "allow_mixed": shared.allow_mixed}
    how |= {"weights_origin": shared.weights_origin, "stars_from": shared.stars_from}
    return Request(selection, options, **how, **rest)


def precisely(moment: datetime) -> str:
    """A time as options take it, with all its digits."""
    return moment.isoformat(timespec="microseconds")


def _condition(task: Task, text: str | None, *, on_rows: bool) -> "Condition | None":
    if text is None:
        return None
    from astra.tasks.conditions import Condition  # which loads a parser

    return Condition(task, text, on_rows=on_rows)


def _sources(named: tuple[str, ...], path: Path | None) -> tuple[int, ...] | None:
    """The sources of the stars that are named, and of those that a file lists.

    Raises:
        UsageError: A star that is named is not in the database, or none of those in the file is.
    """
    sources = sources_of(named)
    if path is None:
        return sources
    stars = read_stars(path)
    found = sources_by_name(name for star in stars for name in star)
    known = [next((found[name] for name in star if name in found), None) for star in stars]
    unknown = [" ".join(star) for star, keys in zip(stars, known, strict=True) if keys is None]
    if unknown:
        examples = ", ".join(unknown[:_EXAMPLES]) + (", …" if unknown[_EXAMPLES:] else "")
        said = f"{path}: {len(unknown):,} of {len(stars):,} stars are not in the database ({examples})"
        if len(unknown) == len(stars):
            raise UsageError(f"--stars-from {said}; ingest their spectra first")
        log.warning("%s; the others are taken", said)
    return tuple(dict.fromkeys([*(sources or ()), *(pk for keys in known for pk in keys or ())]))


def _named_model(task: Task, name: str) -> type[BaseModel]:
    for model in task.spectrum_models:
        if is_named(model, name):
            return model
    wanted = " or ".join(model.__name__ for model in task.spectrum_models)
    if "visit" in name.lower():
        raise UsageError(f"task {task.name} works on combined spectra ({wanted}), not on visits ({name})")
    raise UsageError(f"{name!r} is neither a model that task {task.name} takes ({wanted}) nor a star")


def _read_page(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,18})/(\d{1,18})", text)
    part, parts = (int(number) for number in found.groups()) if found else (0, 0)
    if not 1 <= part <= parts:
        raise UsageError(f"--page {text}: give I/N with 1 <= I <= N, e.g. 1/4")
    return part, parts


def _read_moment(option: str, text: str | None) -> datetime | None:
    """A time (UTC), or one that so many hours or days have passed since, by the clock of the database."""
    if text is not None and (found := re.fullmatch(r"(\d{1,6})([hd])", text.strip())):
        number, unit = found.groups()
        try:
            return now(database) - timedelta(**{_UNITS[unit]: int(number)})
        except OverflowError:
            raise UsageError(f"{option} {text}: that is before all times") from None
    return _read_time(option, text, ", or 24h or 7d for the last hours or days")


def _read_time(option: str, text: str | None, more: str = "") -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text}: give a time (UTC), e.g. 2026-11-23T20:15:00{more}") from None
