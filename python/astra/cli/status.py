"""``astra status``."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import AsJson, database_session, examples, note, say, say_as_is, say_json
from astra.cli.progress import redrawing
from astra.system.streams import stdout_lost

if TYPE_CHECKING:
    from astra.errors import ConfigError
    from astra.status.limits import Limits
    from astra.tasks.contract import Task

EXAMPLES = examples(
    "astra status",
    "astra status astronn_dist --json",
    "astra status astronn_dist --watch --every 30",
    "astra status astronn_dist --check --max-no-result 2% --max-pending 0",
    "astra status astronn_dist --why 2M17334253-1654573",
    "astra status astronn_dist --check --nights 3 --max-bad 30% --max-pull 2 --max-age 36h",
    "astra status --metrics /var/lib/node_exporter/textfile/astra.prom",
)

Watch = Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")]
Every = Annotated[float, typer.Option(min=0.1, metavar="S", help="Seconds between two looks of --watch.")]
Check = Annotated[bool, typer.Option("--check", help="Compare with the limits; exit 1 if one is broken.")]
Why = Annotated[
    str | None, typer.Option(metavar="STAR", help="Explain the state of each spectrum of a star.")
]
MaxNoResult = Annotated[str | None, typer.Option(metavar="N|P%", help="Limit: no_result, of what is done.")]
MaxBad = Annotated[str | None, typer.Option(metavar="N|P%", help="Limit: flag_bad, of what is done.")]
MaxPending = Annotated[str | None, typer.Option(metavar="N|P%", help="Limit: pending, of all spectra.")]
MaxPull = Annotated[float | None, typer.Option(min=0, metavar="X", help="The same as --max-median pull=X.")]
MaxMedian = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=X", help="Limit: a median over a night; may be given several times."),
]
MinMedian = Annotated[list[str] | None, typer.Option(metavar="NAME=X", help="Limit: the same, from below.")]
MinRate = Annotated[
    float | None, typer.Option(min=0, metavar="X", help="Limit: spectra/s of runs, from below.")
]
MaxAge = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Limit: age of what is pending, e.g. 36h or 2d."),
]
Nights = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=3650,
        metavar="N",
        help="Judge each of the last N nights (noon to noon UTC) and telescope, no_result and bad too; "
        "without it, medians and rates are of the last two.",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Write metrics for Prometheus; - for stdout."),
]


def status(
    task: Annotated[str | None, typer.Argument(help="Only this task, or TASK@trial-NAME.")] = None,
    as_json: AsJson = False,
    watch: Watch = False,
    every: Every = 10.0,
    check: Check = False,
    why: Why = None,
    max_no_result: MaxNoResult = None,
    max_bad: MaxBad = None,
    max_pending: MaxPending = None,
    max_pull: MaxPull = None,
    max_median: MaxMedian = None,
    min_median: MinMedian = None,
    min_rate: MinRate = None,
    max_age: MaxAge = None,
    nights: Nights = None,
    metrics: Metrics = None,
) -> None:
    """Show what is pending, done and flagged, how fast it goes, and the last runs.

    A task that cannot be loaded, or whose table is missing, is one line among the others; named as TASK, it
    is an error. A package that has tables here and is not installed is one line as well. A limit is a number
    of spectra (500) or a percentage (2%). --check prints one line for each that is broken, and one for each
    task that cannot be counted: name the task if others do not matter. Of a night with fewer than 20 results
    it says so, and judges no percentage and no median. --why says of each spectrum of a star (by sdss_id or
    APOGEE id) what a run would do with it, why, and what its row is made from. Exit codes: 0 shown, or within
    the limits, or --watch ended by Ctrl-C; 1 a limit is broken, or a task cannot be counted; 2 wrong usage,
    or no such star; 69 database not reachable; 74 the file of --metrics cannot be written; 78 wrong
    configuration or schema, or what is wrong with TASK.
    """
    from astra.database.connection import database
    from astra.database.waiting import in_the_way
    from astra.errors import ConfigError, UsageError
    from astra.schema.packages import absent_packages
    from astra.status.limits import Limits, read_medians
    from astra.status.overview import status_of, status_of_all
    from astra.status.text import absent
    from astra.tasks.installed import find_task, installed_tasks, without_effect
    from astra.tasks.trials import entered, trial_name

    pull = {} if max_pull is None else {"pull": max_pull}
    limits = Limits.read(
        {"no_result": max_no_result, "bad": max_bad, "pending": max_pending},
        read_medians("--max-median", max_median or []) | pull,
        read_medians("--min-median", min_median or []),
        min_rate=min_rate,
        max_age=max_age,
        nights=nights,
    )
    if check != bool(limits):
        raise UsageError("--check needs a limit, and a limit needs --check, e.g. --check --max-no-result 2%")
    if check and watch:
        raise UsageError("--check looks once, --watch again and again: give one of them")
    if why is not None and (check or watch or metrics is not None):
        raise UsageError("--why explains one star: give it without --check, --watch and --metrics")
    if metrics is not None and (check or watch or as_json):
        raise UsageError("--metrics is written alone: give it without --check, --watch and --json")
    plain, _, trial = (task or "").partition("@")
    if metrics is not None and trial:
        raise UsageError("--metrics is of production: give the task without a trial")
    named, tasks = (find_task(plain), {}) if task else (None, installed_tasks())
    loaded = (
        each for each in (tasks.values() if named is None else [named]) if not isinstance(each, ConfigError)
    )
    limits.refuse_unknown(loaded)
    if metrics is not None:
        _write_metrics(tasks if named is None else {named.name: named}, metrics, must_work=named is not None)
        return

    def look() -> list[dict[str, Any]]:
        return status_of_all(tasks) if named is None else [status_of(named)]

    with database_session(), entered(named, trial_name(trial)) if trial else nullcontext(named) as named:
        chosen = tasks if named is None else {named.key: named}
        if why is not None:
            _explain(named, tasks, why, as_json)
            return
        if watch:
            _watch(look, every, as_json)
            return
        found, others, locks = look(), absent_packages(database), in_the_way(database)
        if check:
            usable = [chosen[each["task"]] for each in found if "error" not in each]
            raise typer.Exit(_checked(found, usable, limits, as_json))
    if as_json:
        say_json({"tasks": found, "packages_not_installed": others, "locks": locks}, "status")
    else:
        say(*_page(found), *locks, *([] if task else [*absent(others), *without_effect()]))


def _explain(named: Any, tasks: Mapping[str, Any], star: str, as_json: bool) -> None:
    from astra.status.why import paragraphs, why, why_of_all

    found = why_of_all(tasks, star) if named is None else [why(named, star)]
    if as_json:
        say_json({"tasks": found}, "status --why")
    else:
        say(*(line for each in found for line in paragraphs(each)))


def _write_metrics(tasks: "dict[str, Task | ConfigError]", file: str, *, must_work: bool) -> None:
    from astra.schema.packages import check_task
    from astra.status.metrics import exposition
    from astra.system.atomic import output_file, refuse_to_replace

    path = None if file == "-" else Path(file)
    if path is not None:
        refuse_to_replace(path, overwrite=True, option="--metrics")
    with database_session():
        if must_work:
            for each in tasks.values():
                check_task(each)
        content = exposition(tasks)
    if path is None:
        say_as_is(content.decode().rstrip("\n"))
        return
    with output_file(path, overwrite=True, option="--metrics") as stream:
        stream.write(content)


def _page(found: list[dict[str, Any]]) -> list[str]:
    from astra.status.text import page

    return [line for each in found for line in page(each)]


def _watch(look: Callable[[], list[dict[str, Any]]], every: float, as_json: bool) -> None:
    from astra.status.text import line

    # As with `watch`, Ctrl-C is how one ends it.
    with suppress(KeyboardInterrupt), redrawing() as show:
        for found in _looks(look, every):
            if stdout_lost():
                return
            if as_json:
                say_json({"tasks": found}, "status")
            else:
                # At the top: a page that is longer than the screen is cut at its end.
                show([f"every {every:g} s; Ctrl-C ends it", *_page(found)], [line(each) for each in found])


def _looks(look: Callable[[], list[dict[str, Any]]], every: float) -> Iterator[list[dict[str, Any]]]:
    """What is seen each time, from a thread: so Ctrl-C need not wait for the answer to a query."""
    from astra.database.reconnecting import persistent

    seen: Queue[list[dict[str, Any]] | BaseException] = Queue()

    def go() -> None:
        try:
            while True:
                seen.put(persistent(look))
                time.sleep(every)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            seen.put(error)

    threading.Thread(target=go, name="astra-looking", daemon=True).start()
    while True:
        found = seen.get()
        if isinstance(found, BaseException):
            raise found
        yield found


def _checked(found: list[dict[str, Any]], usable: "list[Task]", limits: "Limits", as_json: bool) -> int:
    from astra.database.connection import database, now
    from astra.status.limits import LIMIT_BROKEN, broken, judge, kept

    verdict = judge(usable, limits, now(database))
    lines = [line for each in found for line in broken(each, limits.of_all)] + verdict.broken
    if as_json:
        say_json({"tasks": found} | asdict(verdict) | {"broken": lines}, "status")
        return LIMIT_BROKEN if lines else 0
    if lines:
        say(*lines)
    elif limits.of_all:
        note(*(kept(each, limits.of_all) for each in found))
    for said in (*verdict.not_judged, *([] if lines else verdict.kept)):
        note(said)
    return LIMIT_BROKEN if lines else 0
