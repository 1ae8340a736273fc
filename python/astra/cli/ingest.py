"""``astra ingest``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astra.cli.command import database_session
from astra.cli.console import progress, say, say_json

if TYPE_CHECKING:
    from astra.ingest.records import IngestCounts

app = typer.Typer(help="Register sources and spectra.", rich_markup_mode=None)

EXAMPLES_APSTAR = """Examples:

  astra ingest apstar spectra/ --catalog targets.csv

  astra ingest apstar spectra/ --catalog mwmAllStar-0.6.0.fits --hdu 2

  astra ingest apstar apStar-r8-2M19463571+3919069.fits

  astra ingest apstar $SAS_BASE_DIR/sdsswork/mwm/apogee/spectro/redux/1.3/stars --release sdss5
"""
EXAMPLES_ALLSTAR = """Examples:

  astra ingest allstar allStar-dr17-synspec_rev1.fits

  astra ingest allstar allStar-v603.fits --spectra-root /data/apstar --extinction sfd
"""


class Extinction(StrEnum):
    """Which reddening of a header or an allStar table to take."""

    AUTO = "auto"
    AK_TARG = "ak_targ"
    SFD = "sfd"


AsJson = Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")]
Hdu = Annotated[
    str | None,
    typer.Option(metavar="N|NAME", help="Which table of a file with several; default: the one that fits."),
]
ExtinctionFrom = Annotated[
    Extinction, typer.Option(help="Where E(B-V) comes from: auto takes A_K of the targeting, else SFD_EBV.")
]
Release = Annotated[
    str | None, typer.Option(help="Data release, where the reduction does not tell, e.g. sdss5.")
]


@app.command(epilog=EXAMPLES_APSTAR)
def apstar(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files, or folders searched for them.")],
    catalog: Annotated[
        Path | None, typer.Option(help="Table of sources: CSV, ECSV, FITS or VOTable.")
    ] = None,
    hdu: Hdu = None,
    extinction: ExtinctionFrom = Extinction.AUTO,
    release: Release = None,
    as_json: AsJson = False,
) -> None:
    """Register apStar and asStar files, and the photometry and extinction of their stars."""
    from astra.ingest.apstar import ingest_apstar

    with database_session(), progress("files") as update:
        counts = ingest_apstar(
            paths,
            catalog=catalog,
            hdu=hdu,
            extinction=extinction.value,
            release=release,
            on_progress=update,
        )
    _say(counts, as_json)


@app.command(epilog=EXAMPLES_ALLSTAR)
def allstar(
    file: Annotated[Path, typer.Argument(help="An allStar table (FITS, also compressed).")],
    spectra_root: Annotated[
        Path | None, typer.Option(help="Folder of the files; default SAS_BASE_DIR.")
    ] = None,
    hdu: Hdu = None,
    extinction: ExtinctionFrom = Extinction.AUTO,
    release: Release = None,
    as_json: AsJson = False,
) -> None:
    """Register the sources and spectra of an allStar table."""
    from astra.ingest.allstar import ingest_allstar

    with database_session(), progress("rows") as update:
        counts = ingest_allstar(
            file,
            spectra_root=spectra_root,
            hdu=hdu,
            extinction=extinction.value,
            release=release,
            on_progress=update,
        )
    _say(counts, as_json)


def _say(counts: "IngestCounts", as_json: bool) -> None:
    found = counts.as_dict()
    if as_json:
        say_json(found)
        return
    for kind in ("spectra", "sources"):
        new, updated, unchanged = (found[f"{kind}_{state}"] for state in ("new", "updated", "unchanged"))
        say(f"{kind}: {new:,} new, {updated:,} updated, {unchanged:,} unchanged")
    for name, what in (
        ("unreadable", "files registered from their names alone"),
        ("skipped", "rows without a file"),
    ):
        if found[name]:
            say(f"{what}: {found[name]:,}")
    matched, unmatched, duplicate = (
        found[f"catalog_{state}"] for state in ("matched", "unmatched", "duplicate")
    )
    if matched + unmatched + duplicate:
        say(f"catalogue rows: {matched:,} matched, {unmatched:,} unmatched, {duplicate:,} duplicate")
