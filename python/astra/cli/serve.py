"""``astra serve``."""

from typing import Annotated

import typer

from astra.cli.console import database_session, examples, note, say
from astra.cli.progress import progress
from astra.system.extras import require

EXAMPLES = examples(
    "astra serve",
    "astra serve --open",
    "astra serve --port 9000",
    "astra serve --copy",
)

Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="The port; 0 takes a free one. Default: 8001, or a free one."),
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
Copied = Annotated[
    bool, typer.Option("--copy", help="Serve a copy of a SQLite file too: quicker from 20,000 spectra on.")
]


def serve(port: Port = None, opened: Open = False, copied: Copied = False) -> None:
    """Show all tables in the browser: rows, filters, counts, and the queries of the documentation.

    The pages are those of datasette, for this machine alone (127.0.0.1), and change nothing. A SQLite file
    is shown as it is now, also while a run writes to it. Of PostgreSQL, a copy is made first, in a temporary
    file that is removed at the end. Ctrl-C ends it. Exit codes: 0 ended; 2 wrong usage, or the port is
    taken; 69 database not reachable; 74 the copy cannot be written; 78 wrong configuration or schema, or
    datasette is missing (extra [serve]).
    """
    require("datasette", "astra serve", "serve")
    from astra.database.connection import database
    from astra.serve import serving

    def ready(address: str) -> None:
        say(address)
        note("Ctrl-C ends it")

    with serving.ended_by_signals(), database_session():
        with serving.prepared(database, lambda: progress("rows copied"), copied=copied) as served:
            if (made := served.copy) is not None:
                database.close()
                size = f"{made.rows:,} rows, {made.bytes / 1e6:,.1f} MB in {made.elapsed_s:.1f} s"
                note(f"copied at {made.moment:%Y-%m-%d %H:%M:%S} UTC: {size}; it is removed at the end")
                if made.left_out:
                    note(f"left out, for this login may not read them: {', '.join(made.left_out)}")
            serving.serve(served, port, ready, opened=opened)
