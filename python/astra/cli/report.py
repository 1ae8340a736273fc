"""``astra report``."""

import re
from pathlib import Path
from typing import Annotated

import typer

from astra.cli.console import AsJson, database_session, examples, say, say_json
from astra.cli.progress import stages
from astra.system.arguments import expanded

EXAMPLES = examples(
    "astra report astronn_dist",
    "astra report astronn_dist --output distances.html --overwrite",
    "astra report astronn_dist --stars --output pages/index.html",
    "astra report astronn_dist --labels allStar-dr17-synspec_rev1.fits",
    "astra report --star 2M17334253-1654573",
    "astra report astronn_dist --json",
)

_NOT_IN_A_NAME = re.compile(r"[^\w.+-]")

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="The task.")]
Star = Annotated[str | None, typer.Option(metavar="STAR", help="Only this star: an sdss_id or an APOGEE id.")]
Output = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="The file to write; else TASK-report.html, or star-STAR.html."),
]
Stars = Annotated[
    bool, typer.Option("--stars", help="A page of each star too, in stars/ beside the file, linked from it.")
]
Labels = Annotated[
    Path | None,
    typer.Option(metavar="TABLE", help="A table with teff and logg of the stars, for M_Ks against them."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def report(
    task: TaskName = "astronn_dist",
    star: Star = None,
    output: Output = None,
    stars: Stars = False,
    labels: Labels = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write a page with plots of all results, or of one star: one HTML file that needs nothing else.

    Exit codes: 0 written; 2 wrong usage, the file is there, or there is no folder for it; 69 database not
    reachable; 74 the file cannot be written; 78 wrong configuration or schema, or Bokeh is missing (extra
    [report]).
    """
    from astra.report import making
    from astra.tasks.installed import short_name

    task = short_name(task)
    by_default = f"{task}-report.html" if star is None else f"star-{_NOT_IN_A_NAME.sub('_', star)}.html"
    output, labels = expanded(output or Path(by_default)), labels and expanded(labels)
    found = making.check(task, output, star, overwrite=overwrite, stars=stars, labels=labels)
    with database_session() as settings, stages():
        options = {"overwrite": overwrite, "stars": stars, "labels": labels}
        made = making.make_report(output, settings, star, task=found, **options)
    if as_json:
        say_json(made.as_json(), "report")
        return
    counted = {"good": made.good, "clean": made.clean, "warn": made.warn, "bad": made.bad}
    known = [f"{name} {count:,}" for name, count in counted.items() if count is not None]
    say(f"spectra {made.spectra:,}, stars {made.stars:,}" + (f": {', '.join(known)}" if known else ""))
    if stars:
        say(f"pages of stars: {made.pages:,}, in {making.folder_of(made.output)}")
    say(f"written: {made.output} ({made.bytes / 1e6:.1f} MB, {made.elapsed:.1f} s)")
