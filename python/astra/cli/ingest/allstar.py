"""``astra ingest allstar``."""

from dataclasses import dataclass
from pathlib import Path

from astra.cli.console import database_session, examples
from astra.cli.ingest.shared import CatalogArguments, SharedArguments, say_counts
from astra.cli.progress import progress
from astra.system.arguments import argument, option, takes

EXAMPLES = examples(
    "astra ingest allstar allStar-dr17-synspec_rev1.fits",
    "astra ingest allstar mwmAllStar-0.6.0.fits.gz --release dr19",
    "astra ingest allstar allStar-1.3-apo25m.fits --catalog mwmAllStar-0.6.0.fits",
    "astra ingest allstar allStar-v603.fits --spectra-root /data/apstar --extinction sfd",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    file: Path = argument(help="An allStar or mwmAllStar table (FITS, also compressed).")
    spectra_root: Path | None = option(help="Folder of the files; default SAS_BASE_DIR.")
    table: CatalogArguments = CatalogArguments()
    catalog_hdu: str | None = option(metavar="N|NAME", help="Which table of the catalogue.")
    choices: SharedArguments = SharedArguments()
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@takes(_Arguments)
def allstar(asked: _Arguments) -> None:
    """Register the sources and spectra of an allStar or mwmAllStar table."""
    from astra.ingest.allstar import ingest_allstar

    with database_session(), progress("rows") as update:
        counts = ingest_allstar(
            asked.file,
            spectra_root=asked.spectra_root,
            **asked.table.keys(),
            catalog_hdu=asked.catalog_hdu,
            **vars(asked.choices),
            on_progress=update,
        )
    say_counts(counts, asked.as_json)
