"""Makes a report from the open database: of all results, or of one star."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astra.config import Settings
from astra.damage import check_file, damage
from astra.database.connection import database
from astra.database.sql import snapshot
from astra.errors import UsageError
from astra.models import AstroNNdist
from astra.pipelines.astronn_dist import astronn_dist
from astra.report.contents import Contents, TaskContents, gather, gather_results
from astra.report.figures import MOST_POINTS
from astra.report.page import LIBRARY, with_shared_library
from astra.report.results_page import results_page
from astra.report.star_details import read_star
from astra.report.star_page import star_page
from astra.report.star_table import FOLDER, file_name, names_and_ids
from astra.report.task_page import task_page
from astra.schema.packages import check_task
from astra.system.atomic import output_file, refuse_to_replace
from astra.system.extras import require
from astra.system.telling import tell
from astra.tasks.contract import Task
from astra.tasks.installed import find_task


@dataclass(frozen=True)
class Made:
    """What was written.

    Attributes:
        good, clean: How many distances are good, and clean; ``None`` for another task.
        warn, bad: How many results have these summaries of their flags; ``None`` if they have no flags.
        flags: How many spectra have each flag of a result.
        weights: Name and sha256 of each set of weights that the results come from.
        pages: How many pages of single stars were written beside.
    """

    task: str
    output: Path
    bytes: int
    spectra: int
    stars: int
    good: int | None
    clean: int | None
    warn: int | None
    bad: int | None
    flags: dict[str, int]
    weights: list[dict[str, Any]]
    elapsed: float
    pages: int

    def as_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        return asdict(self) | {"output": str(self.output)}


def check(
    name: str,
    output: Path,
    star: str | None = None,
    *,
    overwrite: bool,
    stars: bool = False,
    labels: Path | None = None,
) -> Task:
    """Refuse what could not be made or written, before the database is read.

    Returns:
        The task.

    Raises:
        UsageError: There is no such task, or no page of a star for it; or the file is there, or there is no
            folder for it; or the folder for the pages of the stars is there.
        ConfigError: The task cannot be loaded, or Bokeh is missing.
    """
    task = find_task(name)
    if star is not None and task.output_model is not AstroNNdist:
        raise UsageError(f"--star is for {astronn_dist.name}: leave it out to get all results of {name}")
    for option, given in {"--stars": stars, "--labels": labels}.items():
        if given and (star is not None or task.output_model is not AstroNNdist):
            raise UsageError(f"{option} goes with all results of {astronn_dist.name}: leave it out")
    if labels is not None:
        with damage(lambda why: UsageError(f"--labels {labels}: {why}")):
            check_file(labels)
    refuse_to_replace(output, overwrite=overwrite)
    if stars and not overwrite and folder_of(output).exists():
        raise UsageError(f"{folder_of(output)} exists already: give --overwrite, or another --output")
    require("bokeh", "astra report", "report")
    return task


def folder_of(output: Path) -> Path:
    """Where the pages of the single stars of a report are."""
    return output.parent / FOLDER


def make_report(
    output: Path,
    settings: Settings,
    star: str | None = None,
    *,
    task: Task = astronn_dist,
    overwrite: bool = False,
    stars: bool = False,
    labels: Path | None = None,
) -> Made:
    """Write the report of all results or of one star, as they are at this moment: complete or not at all.

    Args:
        output: The file.
        settings: Where weights and spectra are.
        star: An sdss_id (digits) or an APOGEE id; ``None`` takes all results.
        task: Whose results.
        overwrite: Replace the file that is there.
        stars: Write a page of each star too, in ``FOLDER`` beside the file.
        labels: A table with Teff and log g of the stars.

    Raises:
        UsageError: There is no such star in the database, or the file is there already; or there are too many
            stars for a page of each.
        ConfigError: A table of the task is missing.
        StorageError: The file cannot be written.
    """
    started, pages = time.monotonic(), 0
    check_task(task)
    with output_file(output, overwrite=overwrite) as stream:
        with snapshot(database):
            contents: TaskContents
            if task.output_model is not AstroNNdist:
                contents = gather_results(task)
                tell("drawing the page")
                text = task_page(task, contents)
            elif star is None:
                contents = gather(labels=labels)
                if stars:
                    pages = _write_stars(output, contents, settings)
                tell("drawing the page")
                text = results_page(contents, settings, has_pages=stars)
            else:
                found = read_star(star)
                contents = gather([detail.summary.spectrum_pk for detail in found.details])
                text = star_page(star, found, contents, settings)
        stream.write(text.encode())
    rows = contents.rows
    weights = {(kind.origin.weights_name, kind.origin.weights_sha256) for kind in contents.kinds}
    # A column of another task may be called good as well.
    counts = tuple(
        rows.values[name] if task.output_model is AstroNNdist else None for name in ("good", "clean")
    )
    counts += tuple(rows.values.get(name) for name in ("flag_warn", "flag_bad"))
    return Made(
        task.name,
        output,
        output.stat().st_size,
        len(rows),
        contents.stars,
        *(None if truths is None else int(truths.sum()) for truths in counts),
        {name: count for name, _, count in contents.flags(task.output_model)},
        [{"name": name, "sha256": sha256} for name, sha256 in sorted(weights, key=str) if sha256],
        time.monotonic() - started,
        pages,
    )


def _write_stars(output: Path, contents: Contents, settings: Settings) -> int:
    """Write the page of each star that has an identifier, and the library that they share."""
    if len(contents.rows) > MOST_POINTS:
        raise UsageError(
            f"--stars writes a page of each star, of {MOST_POINTS:,} spectra at most, and here are "
            f"{len(contents.rows):,}: leave it out, and take --star for single ones"
        )
    names = names_and_ids(contents)
    folder = folder_of(output)
    folder.mkdir(exist_ok=True)
    for done, (name, identifier) in enumerate(names.items(), 1):
        found = read_star(identifier)
        those = gather([detail.summary.spectrum_pk for detail in found.details])
        text, library = with_shared_library(star_page(name, found, those, settings))
        for path, content in (folder / file_name(name), text), (folder / LIBRARY, library):
            with output_file(path, overwrite=True) as stream:
                stream.write(content.encode())
        tell("pages of stars", done, len(names))
    return len(names)
