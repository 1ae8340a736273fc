"""Makes a report from the open database: of all stars, or of one."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astra.config import Settings
from astra.errors import ConfigError, StorageError, UsageError
from astra.models import AstroNNdist
from astra.report.outliers import flags_of, has_flag
from astra.report.sections.overview import flag_name
from astra.tasks import Task, find_task

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
        UsageError: There is no report of this task, or the file is there.
        ConfigError: Bokeh is missing.
    """
    found: Task = find_task(task)
    if found.output_model is not AstroNNdist:
        raise UsageError(f"there is no report of task {task}: only of {TASK}")
    if os.path.lexists(output) and not overwrite:
        raise UsageError(f"there is a file {output} already: give --overwrite, or another --output")
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the report needs Bokeh ({error}): install the extra [report], or bokeh"
        ) from error


def make_report(output: Path, settings: Settings) -> Made:
    """Write the report of all results.

    Raises:
        StorageError: The file cannot be written.
    """
    from astra.report.contents import gather
    from astra.report.whole import whole_page

    started = time.monotonic()
    contents = gather()
    _write(output, whole_page(contents, settings, EVERY))
    return _made(output, contents, started)


def make_star_page(output: Path, name: str, settings: Settings) -> Made:
    """Write the page of one star.

    Args:
        output: Where.
        name: An sdss_id (digits) or an APOGEE id.
        settings: Where weights and spectra are.

    Raises:
        UsageError: There is no such star in the database.
        StorageError: The file cannot be written.
    """
    from astra.report.contents import gather
    from astra.report.one_star import star_page
    from astra.report.stars import read_star

    started = time.monotonic()
    star = read_star(name)
    contents = gather([detail.summary.spectrum_pk for detail in star.details])
    _write(output, star_page(name, star, contents, settings))
    return _made(output, contents, started)


def _made(output: Path, contents: Any, started: float) -> Made:
    rows = contents.rows
    flags = {
        flag_name(AstroNNdist, flag): _count(has_flag(rows["result_flags"], flag.value))
        for flag in flags_of(AstroNNdist, "result_flags")
    }
    weights = {(o.weights, o.sha256) for o in contents.provenance.origins if o.sha256}
    return Made(
        output,
        output.stat().st_size,
        len(rows),
        contents.stars,
        *(_count(rows[name]) for name in ("good", "flag_warn", "flag_bad")),
        flags,
        [{"name": name, "sha256": sha256} for name, sha256 in sorted(weights, key=str)],
        time.monotonic() - started,
    )


def _count(mask: np.ndarray | Sequence[bool]) -> int:
    return int(np.sum(mask))


def _write(output: Path, text: str) -> None:
    """The file is there whole or, if this fails, as it was before."""
    beside = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, output)
    except OSError as error:
        raise StorageError(
            f"report {output}: {error.strerror or error}; make room or give another place"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
