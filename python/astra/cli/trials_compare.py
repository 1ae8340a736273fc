"""``astra trials compare``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astra.cli.console import AsJson, absent_as_null, database_session, examples, say, say_json, say_table
from astra.cli.progress import stages
from astra.cli.tables import table, text
from astra.system.arguments import expanded

if TYPE_CHECKING:
    from astra.report.paired.wording import Table

EXAMPLES = examples(
    "astra trials compare trial-dust",
    "astra trials compare trial-dust --output dust.html",
    "astra trials compare astronn_dist@trial-dust --json",
)

Name = Annotated[str, typer.Argument(metavar="TRIAL", help="trial-NAME, or TASK@trial-NAME.")]
Output = Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page with plots to this file.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]

# The typographic signs of the page, as terminals and programs know them.
_PLAIN = str.maketrans({"−": "-", "–": "-"})


def compare(
    trial: Name,
    output: Output = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Compare the results of a trial with those of production, spectrum by spectrum.

    After a promotion, production is what it was before. Exit codes: 0 compared; 2 wrong usage, no such trial,
    no spectrum in both, the file is there, or no folder for it; 69 database not reachable; 74 the file cannot
    be written; 78 wrong configuration or schema, or Bokeh is missing (extra [report]).
    """
    from astra.report.paired import comparing, paired_page, wording
    from astra.report.paired.pairs import Tables
    from astra.tasks.trials import production_table
    from astra.trials.overview import look_up

    started = time.monotonic()
    output = output and expanded(output)
    if output:
        comparing.check_page(output, overwrite=overwrite)
    with database_session(), stages():
        task, chosen = look_up(trial)
        promoted = chosen.state == chosen.PROMOTED
        names = (production_table(chosen), chosen.table_name)
        # A promotion has swapped what they hold.
        tables = Tables(*(reversed(names) if promoted else names))
        found = comparing.compare(task, tables, chosen.name, promoted=promoted)
    if output:
        paired_page.write_page(found, output, overwrite=overwrite)
    sentences = [sentence.translate(_PLAIN) for sentence in wording.in_sentences(found)]
    if as_json:
        written = {"output": output and str(output), "elapsed": time.monotonic() - started}
        say_json(absent_as_null({"summary": sentences} | found.as_json() | written), "trials compare")
        return
    say(*sentences)
    for each in wording.tables(found).values():
        say("")
        _say_table(each)
    if output:
        say("", f"written: {output} ({output.stat().st_size / 1e6:.1f} MB)")


def _say_table(content: "Table") -> None:
    made = table(None, content.columns, content.words)
    for row in content.rows:
        made.add_row(*(text(cell.translate(_PLAIN)) for cell in row))
    say(content.caption.translate(_PLAIN))
    say_table(made)
