"""What a run is asked to do: from the words of a caller to a request that can be carried out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from astra.database.connection import database, now
from astra.errors import UsageError
from astra.models.base import BaseModel
from astra.tasks.contract import Fill, Task
from astra.tasks.installed import is_named
from astra.tasks.pending import Selection, sources_of

if TYPE_CHECKING:
    from astra.running.arguments import SharedArguments

#: Spectra in one chunk: one transaction, and what a stop has to wait for.
CHUNK = 100

_STAR = re.compile(r"\d+|(2M|AP)[\w.+-]+")


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

    @property
    def replaces_all(self) -> bool:
        """Whether it leaves no older row beside its own."""
        chosen = self.selection
        parts = (self.limit, chosen.sources, chosen.page, chosen.models)
        return chosen.overwrite and all(part is None for part in parts)

    @property
    def how_to_go_on(self) -> str:
        """What to do when it was stopped before its end."""
        if (before := self.selection.before) is None:
            return "run again to go on"
        return f"run again with --before {before.isoformat(timespec='microseconds')} to go on"


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
    if words and not _STAR.fullmatch(words[0]):
        models = (_named_model(task, words.pop(0)),)
    for word in words:
        if not _STAR.fullmatch(word):
            raise UsageError(f"not a star: {word!r}; give an sdss_id (digits) or an APOGEE id (2M… or AP…)")
    return Targets(tuple(words), _read_page(page), _read_time(before), models)


def build_request(task: Task, targets: Targets, shared: "SharedArguments", **rest: Any) -> Request:
    """Look up the stars, and put everything together; needs the database.

    Args:
        task: The task.
        targets: What to run it on.
        shared: How to run it.
        **rest: Further attributes of the request.

    Raises:
        UsageError: A star is not in the database, or the task has no such option or takes no such value.
    """
    options = task.checked(shared.of_task)
    retry = shared.retry is not None
    replaces = retry or shared.overwrite
    if targets.before and not replaces:
        raise UsageError("--before says which rows to take again: give --overwrite or --retry with it")
    # By the clock of the database, as all times in it.
    before = (targets.before or now(database)) if replaces else None
    sources = sources_of(list(targets.stars))
    selection = Selection(task, sources, targets.page, retry, shared.overwrite, before, models=targets.models)
    how = {"chunk": shared.batch_size or CHUNK, "allow_mixed": shared.allow_mixed}
    return Request(selection, options, weights_origin=shared.weights_origin, **how, **rest)


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
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    part, parts = (int(number) for number in found.groups()) if found else (0, 0)
    if not 1 <= part <= parts:
        raise UsageError(f"--page {text}: give I/N with 1 <= I <= N, e.g. 1/4")
    return part, parts


def _read_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--before {text}: give a time (UTC), e.g. 2026-11-23T20:15:00") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
