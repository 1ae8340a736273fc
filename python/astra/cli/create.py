"""``astra create``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astra.catalogue.options import Format, Names
from astra.cli.command import AsJson, database_session, finish
from astra.cli.console import note, progress, say, say_json
from astra.errors import UsageError

if TYPE_CHECKING:
    from astra.catalogue.create import Created

EXAMPLES = """Examples:

  astra create astraAllStarAstroNNdist

  astra create astraAllStarAstroNNdist --output good.fits --where "good and primary_spectrum and dist < 5000"

  astra create astraAllStarAstroNNdist --format parquet --names dr19 --overwrite
"""

_PRODUCTS = ("astraAllStarAstroNNdist",)


Product = Annotated[str, typer.Argument(help="What to create: astraAllStarAstroNNdist.")]
Output = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="The file; default: PRODUCT-VERSION.FORMAT, in this folder."),
]
FormatOf = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="In which form; default: as the name of --output ends, else fits. "
        "Parquet needs astra-distances[parquet].",
    ),
]
ColumnNames = Annotated[Names, typer.Option(help="Columns called as in SQL, or as DR19 published them.")]
Where = Annotated[str | None, typer.Option(metavar="FILTER", help="Only such rows, in the words of SQL.")]
Mixed = Annotated[bool, typer.Option("--mixed", help="Accept results of different weights or versions.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file.")]


def create(
    product: Product,
    output: Output = None,
    file_format: FormatOf = None,
    names: ColumnNames = Names.ASTRA,
    where: Where = None,
    mixed: Mixed = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write the catalogue: one row for each spectrum with a result row, at one moment of the database.

    The file is there as a whole or not at all. Exit codes: 0 written, 2 wrong usage, 69 database not
    reachable, 74 the disk is full or refuses the file, 75 stopped before the end, 78 wrong configuration
    or schema, or a mixture of weights without --mixed, 130 stopped at once by a second Ctrl-C.
    """
    from astra.running.ending import Ending, reporting

    if product.lower() not in [each.lower() for each in _PRODUCTS]:
        raise UsageError(f"there is no product {product}; there is {', '.join(_PRODUCTS)}")
    ending, made = Ending(), None
    with reporting(ending) as stop:
        from astra.catalogue.create import Request
        from astra.catalogue.create import create as write
        from astra.database.connection import database

        request = Request(
            output=output,
            format=file_format or (output and Format.of(output)) or Format.FITS,
            names=names,
            condition=where,
            mixed=mixed,
            overwrite=overwrite,
        )
        request.check()
        with database_session(), progress("rows") as update:
            made = write(request, database, stop, update)
    if made is None:
        raise typer.Exit(finish("create", ending))
    if as_json:
        say_json(made.as_dict())
    else:
        _say(made, filtered=where is not None)


def _say(made: "Created", *, filtered: bool) -> None:
    found = made.as_dict()
    rows = f"{found['spectra']:,} spectra of {found['stars']:,} stars, {found['columns']} columns"
    say(f"{found['path']}: {rows}")
    flags = ", ".join(f"{name} {count:,}" for name, count in found["flags"].items() if count)
    say(
        f"good {found['good']:,}, bad {found['bad']:,}, warn {found['warn']:,}"
        + (f"; {flags}" if flags else "")
    )
    note(f"{found['bytes'] / 1e6:,.1f} MB in {found['elapsed_s']:.1f} s")
    if found["format"] == Format.FITS:
        note('the rows are in HDU 2, "APOGEE"; HDU 1, "BOSS", has none')
    if found["mixed"]:
        note("results of different weights or versions; the columns from weights_name on say which")
    if not found["spectra"]:
        note("no row meets the filter" if filtered else "there is no such row: the tables are empty")
