"""Makes a report from the open database: of all stars, or of one."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astra.config import Settings
from astra.database.connection import database
from astra.database.sql import snapshot
from astra.errors import ConfigError, UsageError
from astra.models import AstroNNdist
from astra.models.fields import flags_of
from astra.report.contents import Contents, gather
from astra.report.outliers import has_flag
from astra.report.page import Section, page
from astra.report.sections import errors, overview, population
from astra.report.sections.star import star, template
from astra.report.stars import Detail, Drawing, Star, read_details, read_star
from astra.system.atomic import output_file, refuse_to_replace
from astra.tasks.contract import Task, find_task

TASK = "astronn_dist"

#: Pixels in one point of the spectra of a report that shows many of them.
EVERY = 4

_TITLE = "astra: distances"


@dataclass(frozen=True)
class Made:
    """What was written.

    Attributes:
        flags: How many spectra have each flag of a result.
        weights: Name and sha256 of each set of weights that the results come from.
    """

    output: Path
    bytes: int
    spectra: int
    stars: int
    good: int
    warn: int
    bad: int
    flags: dict[str, int]
    weights: list[dict[str, Any]]
    elapsed: float

    def as_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {"task": TASK} | asdict(self) | {"output": str(self.output)}


def check(task: str, output: Path, *, overwrite: bool) -> None:
    """Refuse what could not be made or written, before the database is read.

    Raises:
        UsageError: There is no report of this task, or the file is there, or there is no folder for it.
        ConfigError: Bokeh is missing.
    """
    found: Task = find_task(task)
    if found.output_model is not AstroNNdist:
        raise UsageError(f"there is no report of task {task}: only of {TASK}")
    refuse_to_replace(output, overwrite=overwrite)
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the report needs Bokeh ({error}): install the extra [report] of astra-distances, or bokeh"
        ) from error


def make_report(output: Path, settings: Settings, *, overwrite: bool = False) -> Made:
    """Write the report of all results, as they are at this moment.

    Args:
        output: Where.
        settings: Where weights and spectra are.
        overwrite: Replace the file that is there.

    Raises:
        UsageError: The file is there already.
        StorageError: The file cannot be written.
    """

    def made() -> tuple[Contents, str]:
        contents = gather()
        return contents, _whole_page(contents, settings)

    return _write(output, made, overwrite)


def make_star_page(output: Path, name: str, settings: Settings, *, overwrite: bool = False) -> Made:
    """Write the page of one star, as it is at this moment.

    Args:
        output: Where.
        name: An sdss_id (digits) or an APOGEE id.
        settings: Where weights and spectra are.
        overwrite: Replace the file that is there.

    Raises:
        UsageError: There is no such star in the database, or the file is there already.
        StorageError: The file cannot be written.
    """

    def made() -> tuple[Contents, str]:
        found = read_star(name)
        contents = gather([detail.summary.spectrum_pk for detail in found.details])
        return contents, _star_page(name, found, contents, settings)

    return _write(output, made, overwrite)


# > The pages as text


def _whole_page(contents: Contents, settings: Settings) -> str:
    head = overview.head(contents)
    if not len(contents.rows):
        return page(_TITLE, head, ())
    keys = [int(contents.rows["spectrum_pk"][outlier.index]) for outlier in contents.outliers]
    details = read_details(keys)
    drawing = Drawing(settings)
    dialogs = [_dialog(contents, detail, drawing) for detail in details]
    return page(_TITLE, head, _sections(contents, details), dialogs=dialogs)


def _sections(contents: Contents, details: list[Detail]) -> Iterator[Section]:
    yield overview.flags(contents)
    yield population.sky(contents)
    yield population.galaxy(contents)
    yield population.luminosity(contents)
    yield population.distances(contents)
    yield errors.stated(contents)
    yield errors.gaia(contents)
    yield errors.repeats(contents)
    yield overview.outliers(contents, details)
    yield overview.weights(contents)


def _dialog(contents: Contents, detail: Detail, drawing: Drawing) -> tuple[str, str, str]:
    key = str(detail.result.task_pk)
    pull = contents.pull_of(detail.summary.spectrum_pk)
    return key, detail.name, star(detail, pull, f"star-{key}", drawing, EVERY)


def _star_page(name: str, found: Star, contents: Contents, settings: Settings) -> str:
    drawing = Drawing(settings)
    title = found.details[0].name if found.details else name
    sections = []
    for detail in found.details:
        key, pull = f"spectrum-{detail.result.task_pk}", contents.pull_of(detail.summary.spectrum_pk)
        sections.append(Section(key, detail.spectrum.product_id, star(detail, pull, key, drawing)))
    if found.details:
        sections.append(overview.weights(contents))
    return page(f"astra: {title}", template().head(title, found, contents.provenance), sections)


# > The file


def _write(output: Path, made: Callable[[], tuple[Contents, str]], overwrite: bool) -> Made:
    """The file is there whole or, if this fails, as it was before; all of it is of one moment."""
    started = time.monotonic()
    with output_file(output, overwrite=overwrite) as stream:
        with snapshot(database):
            contents, text = made()
        stream.write(text.encode())
    return _made(output, contents, started)


def _made(output: Path, contents: Contents, started: float) -> Made:
    rows = contents.rows
    flags = {
        name: _count(has_flag(rows["result_flags"], flag.value))
        for name, flag in flags_of(AstroNNdist, "result_flags").items()
    }
    weights = {(kind.origin.weights_name, kind.origin.weights_sha256) for kind in contents.provenance.kinds}
    return Made(
        output,
        output.stat().st_size,
        len(rows),
        contents.stars,
        *(_count(rows[name]) for name in ("good", "flag_warn", "flag_bad")),
        flags,
        [{"name": name, "sha256": sha256} for name, sha256 in sorted(weights, key=str) if sha256],
        time.monotonic() - started,
    )


def _count(mask: np.ndarray | Sequence[bool]) -> int:
    return int(np.sum(mask))
