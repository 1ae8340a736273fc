"""Makes a report from the open database: of all stars, or of one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.config import Settings
from astra.database.connection import database
from astra.database.snapshot import snapshot
from astra.errors import ConfigError, UsageError
from astra.models import AstroNNdist
from astra.models.fields import flags_of
from astra.report.outliers import has_flag
from astra.system.atomic import refuse_to_replace, whole_file
from astra.tasks.contract import Task
from astra.tasks.registry import find_task

if TYPE_CHECKING:
    from astra.report.contents import Contents

TASK = "astronn_dist"

#: Pixels in one point of the spectra of a report that shows many of them.
EVERY = 4


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
    from astra.report.contents import gather
    from astra.report.whole import whole_page

    def page() -> "tuple[Contents, str]":
        contents = gather()
        return contents, whole_page(contents, settings, EVERY)

    return _write(output, page, overwrite)


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
    from astra.report.contents import gather
    from astra.report.one_star import star_page
    from astra.report.stars import read_star

    def page() -> "tuple[Contents, str]":
        star = read_star(name)
        contents = gather([detail.summary.spectrum_pk for detail in star.details])
        return contents, star_page(name, star, contents, settings)

    return _write(output, page, overwrite)


def _write(output: Path, page: "Callable[[], tuple[Contents, str]]", overwrite: bool) -> Made:
    """The file is there whole or, if this fails, as it was before; all of it is of one moment."""
    started = time.monotonic()
    with whole_file(output, overwrite=overwrite) as stream:
        with snapshot(database):
            contents, text = page()
        stream.write(text.encode())
    return _made(output, contents, started)


def _made(output: Path, contents: "Contents", started: float) -> Made:
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
