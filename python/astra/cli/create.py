"""``astra create``."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from astra.catalogue.options import STDOUT, Format, Names
from astra.cli.console import database_session, examples, finish, note, quality, say, say_json
from astra.cli.progress import progress
from astra.errors import UsageError
from astra.system.arguments import argument, option, specified, takes

if TYPE_CHECKING:
    from astra.catalogue.create import Created

EXAMPLES = examples(
    "astra create astraAllStarAstroNNdist",
    "astra create astraAllStarAstroNNdist --output good.fits "
    '--where "good and primary_spectrum and dist < 5000"',
    "astra create astraAllStarAstroNNdist --format parquet --names dr19 --overwrite",
    "astra create astronn_dist --format csv",
    "astra create astronn_dist --output - --where good | head",
)


@dataclass(frozen=True, kw_only=True)
class _RequestArguments:
    """What the catalogue is to hold, as :class:`astra.catalogue.create.Request` has it."""

    output: Path | None = option(
        metavar="PATH",
        help="The file, or - for standard output; default: PRODUCT-VERSION.FORMAT, in this folder.",
    )
    format: Format | None = option(
        help="In which form; default: as the name of --output ends; csv for -; without --output fits. "
        "Parquet needs astra-distances[parquet].",
    )
    names: Names = option(
        default=Names.ASTRA,
        help="Columns called as in SQL, or as DR19 published them; FITS then has its two tables.",
    )
    condition: str | None = option("--where", metavar="FILTER", help="Only such rows, in the words of SQL.")
    mixed: bool = option("--mixed", default=False, help="Accept results of different weights or versions.")
    overwrite: bool = option("--overwrite", default=False, help="Replace the file.")


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    product: str = argument(help="The catalogue, e.g. astraAllStarAstroNNdist, or its task.")
    request: _RequestArguments = _RequestArguments()
    as_json: bool = option("--json", default=False, help="Print one JSON object.")


@takes(_Arguments)
def create(asked: _Arguments) -> None:
    """Write the catalogue: one row for each spectrum with a result row, at one moment of the database.

    There is one for each installed task, named after the model of its results: astraAllStarAstroNNdist is
    that of astronn_dist. The file is there as a whole or not at all; standard output ends early if something
    fails. Exit codes: 0 written, 2 wrong usage, 69 database not reachable, 74 the disk is full or refuses the
    file, 75 stopped before the end, 78 wrong configuration or schema, what is wrong with the task, or a
    mixture of weights without --mixed, 130 stopped at once by a second Ctrl-C.
    """
    from astra.running.ending import Ending, reporting

    ending, made = Ending(), None
    with reporting(ending, note) as stop:
        left = "" if asked.request.output == STDOUT else ", and leaves no file"
        stop.waits_for = lambda: f"ends with the rows in hand{left}"
        from astra.catalogue.create import Request
        from astra.catalogue.create import create as write
        from astra.database.connection import database

        request = Request(product=asked.product, **specified(asked.request))
        request.check()
        if request.to_stdout and asked.as_json:
            raise UsageError("--json and --output - both write to standard output: leave out one of them")
        # A terminal that shows the rows has no place for a bar.
        is_shown = request.to_stdout and sys.stdout.isatty()
        bar = nullcontext(lambda done, total: None) if is_shown else progress("rows")
        with database_session(), bar as update:
            made = write(request, database, stop, update)
    if made is None:
        finish("create", ending)
    elif asked.as_json:
        say_json(made.as_dict(), "create")
    else:
        _say(made, filtered=asked.request.condition is not None)


def _say(made: "Created", *, filtered: bool) -> None:
    found = made.as_dict()
    # On standard output are the rows.
    tell = note if made.path == STDOUT else say
    rows = f"{found['spectra']:,} spectra of {found['stars']:,} stars, {found['columns']} columns"
    tell(f"{'standard output' if made.path == STDOUT else made.path}: {rows}")
    counts = [f"{name} {found[name]:,}" for name in ("good", "clean") if found[name] is not None]
    counts += [] if found["bad"] is None else [quality(found)]
    if counts:
        tell(", ".join(counts))
    note(f"{found['bytes'] / 1e6:,.1f} MB in {found['elapsed_s']:.1f} s")
    if found["format"] == Format.FITS and made.table.names is Names.DR19:
        note('the rows are in HDU 2, "APOGEE"; HDU 1, "BOSS", has none')
    if found["mixed"]:
        note("results of different weights, options or versions; the columns from weights_name on say which")
    if not found["spectra"]:
        note("no row meets the filter" if filtered else "there is no such row: the tables are empty")
