"""Makes a report from the open database: of all results, or of one star."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astra.config import Settings
from astra.database.connection import database
from astra.database.sql import snapshot
from astra.errors import UsageError
from astra.models import AstroNNdist
from astra.report.contents import gather
from astra.report.page import require_bokeh
from astra.report.results_page import results_page
from astra.report.star_details import read_star
from astra.report.star_page import star_page
from astra.system.atomic import output_file, refuse_to_replace
from astra.tasks.contract import find_task

TASK = "astronn_dist"


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
    if find_task(task).output_model is not AstroNNdist:
        raise UsageError(f"there is no report of task {task}: only of {TASK}")
    refuse_to_replace(output, overwrite=overwrite)
    require_bokeh("the report", "report")


def make_report(
    output: Path, settings: Settings, star: str | None = None, *, overwrite: bool = False
) -> Made:
    """Write the report of all results or of one star, as they are at this moment: complete or not at all.

    Args:
        output: The file.
        settings: Where weights and spectra are.
        star: An sdss_id (digits) or an APOGEE id; ``None`` takes all results.
        overwrite: Replace the file that is there.

    Raises:
        UsageError: There is no such star in the database, or the file is there already.
        StorageError: The file cannot be written.
    """
    started = time.monotonic()
    with output_file(output, overwrite=overwrite) as stream:
        with snapshot(database):
            if star is None:
                contents = gather()
                text = results_page(contents, settings)
            else:
                found = read_star(star)
                contents = gather([detail.summary.spectrum_pk for detail in found.details])
                text = star_page(star, found, contents, settings)
        stream.write(text.encode())
    rows = contents.rows
    weights = {(kind.origin.weights_name, kind.origin.weights_sha256) for kind in contents.kinds}
    return Made(
        output,
        output.stat().st_size,
        len(rows),
        contents.stars,
        *(int(rows[name].sum()) for name in ("good", "flag_warn", "flag_bad")),
        {name: count for name, _, count in contents.flags(AstroNNdist, "result_flags")},
        [{"name": name, "sha256": sha256} for name, sha256 in sorted(weights, key=str) if sha256],
        time.monotonic() - started,
    )
