"""``astra show``."""

from typing import TYPE_CHECKING, Annotated

import typer

from astra.cli.console import AsJson, database_session, examples, say, say_json, say_table

if TYPE_CHECKING:
    from astra.stars.known import Line

EXAMPLES = examples(
    "astra show 2M08511710+1148160",
    "astra show 2m08511710+1148160 'Gaia DR3 604917491425350400'",
    "astra show 2M08511710+1148160 --json",
)

Stars = Annotated[
    list[str],
    typer.Argument(metavar="STAR", help="An sdss_id, an APOGEE id, or a name of 2MASS or Gaia DR3."),
]


def show(stars: Stars, as_json: AsJson = False) -> None:
    """Show all that is known of a star: names, place, photometry, Gaia, spectra with their files, results.

    Names may be in upper or lower case. Flags and reasons are said in words. What is not known is left out.
    Nothing can be changed: the database is opened for reading alone. Exit codes: 0 shown; 2 wrong usage, or
    there is no such star; 69 database not reachable; 78 wrong configuration or schema.
    """
    from astra.database.connection import database
    from astra.database.sql import snapshot
    from astra.stars import known

    with database_session(read_only=True), snapshot(database):
        found = [known.known_of(name) for name in stars]
    if as_json:
        say_json({"stars": found})
        return
    for number, each in enumerate(found):
        say(*([""] if number else []), each["name"])
        _say_lines(known.lines(each))
        if each["is_simulated"]:
            say("", "simulated: there is no such star on the sky")
        elif each["links"]:
            say("", *each["links"].values())


def _say_lines(lines: "list[Line]") -> None:
    from rich.table import Table
    from rich.text import Text

    grid, widest = None, max(len(label) for label, text in lines if text)
    for label, text in [*lines, ("", "")]:
        if not text:
            if grid is not None:
                say_table(grid)
            grid = None
            if label:
                say("", label)
            continue
        if grid is None:
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(justify="right", min_width=widest)
            grid.add_column(overflow="fold")
        grid.add_row(Text(label), Text(text))
