"""``astra ingest``."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from astra.cli.console import database_session, examples, progress, say, say_json
from astra.system.arguments import argument, option, takes

if TYPE_CHECKING:
    from astra.ingest.records import IngestCounts

app = typer.Typer(help="Register sources and spectra.", rich_markup_mode=None)

EXAMPLES_APSTAR = examples(
    "astra ingest apstar spectra/ --catalog targets.csv",
    "astra ingest apstar spectra/ --catalog mwmAllStar-0.6.0.fits --hdu 2",
    "astra ingest apstar apStar-r8-2M19463571+3919069.fits",
    "astra ingest apstar $SAS_BASE_DIR/sdsswork/mwm/apogee/spectro/redux/1.3/stars --release sdss5",
)
EXAMPLES_ALLSTAR = examples(
    "astra ingest allstar allStar-dr17-synspec_rev1.fits",
    "astra ingest allstar allStar-v603.fits --spectra-root /data/apstar --extinction sfd",
)


class Extinction(StrEnum):
    """Which reddening of a header or an allStar table to take."""

    AUTO = "auto"
    AK_TARG = "ak_targ"
    SFD = "sfd"


@dataclass(frozen=True, kw_only=True)
class _SharedArguments:
    """What a header and a table have in common."""

    hdu: str | None = option(
        metavar="N|NAME", help="Which table of a file with several; default: the one that fits."
    )
    extinction: Extinction = option(
        default=Extinction.AUTO,
        help="Where E(B-V) comes from: auto takes A_K of the targeting, else SFD_EBV.",
    )
    release: str | None = option(help="Data release, where the reduction does not tell, e.g. sdss5.")


@dataclass(frozen=True, kw_only=True)
class _ApstarArguments:
    paths: list[Path] = argument(metavar="PATH", help="Files, or folders searched for them.")
    catalog: Path | None = option(help="Table of sources: CSV, ECSV, FITS or VOTable.")
    choices: _SharedArguments = _SharedArguments()
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@dataclass(frozen=True, kw_only=True)
class _AllstarArguments:
    file: Path = argument(help="An allStar table (FITS, also compressed).")
    spectra_root: Path | None = option(help="Folder of the files; default SAS_BASE_DIR.")
    choices: _SharedArguments = _SharedArguments()
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@app.command(epilog=EXAMPLES_APSTAR)
@takes(_ApstarArguments)
def apstar(asked: _ApstarArguments) -> None:
    """Register apStar and asStar files, and the photometry and extinction of their stars."""
    from astra.ingest.apstar import ingest_apstar

    with database_session(), progress("files") as update:
        counts = ingest_apstar(asked.paths, catalog=asked.catalog, **vars(asked.choices), on_progress=update)
    _say(counts, asked.as_json)


@app.command(epilog=EXAMPLES_ALLSTAR)
@takes(_AllstarArguments)
def allstar(asked: _AllstarArguments) -> None:
    """Register the sources and spectra of an allStar table."""
    from astra.ingest.allstar import ingest_allstar

    with database_session(), progress("rows") as update:
        counts = ingest_allstar(
            asked.file, spectra_root=asked.spectra_root, **vars(asked.choices), on_progress=update
        )
    _say(counts, asked.as_json)


def _say(counts: "IngestCounts", as_json: bool) -> None:
    found = counts.as_dict()
    if as_json:
        say_json(found)
        return

    def listed(kind: str, *states: str) -> str:
        return ", ".join(f"{found[f'{kind}_{state}']:,} {state}" for state in states)

    for kind in ("spectra", "sources"):
        say(f"{kind}: {listed(kind, 'new', 'updated', 'unchanged')}")
    if found["unreadable"]:
        say(f"files registered from their names alone: {found['unreadable']:,}")
    if found["skipped"]:
        say(f"rows without a file: {found['skipped']:,}")
    if any(count for name, count in found.items() if name.startswith("catalog_")):
        say(f"catalogue rows: {listed('catalog', 'matched', 'unmatched', 'duplicate')}")
