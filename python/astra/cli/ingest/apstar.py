"""``astra ingest apstar``."""

from dataclasses import dataclass
from pathlib import Path

from astra.cli.console import database_session, examples
from astra.cli.ingest.shared import CatalogArguments, SharedArguments, say_counts
from astra.cli.progress import progress
from astra.system.arguments import argument, option, takes

#: With more, the process that writes is the slower one.
MOST_READERS = 4

EXAMPLES = examples(
    "astra ingest apstar spectra/ --catalog targets.csv",
    "astra ingest apstar spectra/ --catalog stars.txt --column apogee_id=2MASS --column k_mag=MyK",
    "astra ingest apstar spectra/ --catalog mwmAllStar-0.6.0.fits --hdu 2",
    "astra ingest apstar apStar-r8-2M19463571+3919069.fits",
    "astra ingest apstar $SAS_BASE_DIR/sdsswork/mwm/apogee/spectro/redux/1.3/stars --release sdss5",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    paths: list[Path] = argument(metavar="PATH", help="Files, or folders searched for them.")
    table: CatalogArguments = CatalogArguments()
    choices: SharedArguments = SharedArguments()
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@takes(_Arguments)
def apstar(asked: _Arguments) -> None:
    """Register apStar and asStar files, and the photometry and extinction of their stars."""
    from astra.ingest.apstar import ingest_apstar
    from astra.system.processes import cores

    with database_session(), progress("files") as update:
        choices = asked.table.keys() | vars(asked.choices)
        readers = min(cores(), MOST_READERS)
        counts = ingest_apstar(asked.paths, **choices, on_progress=update, processes=readers)
    say_counts(counts, asked.as_json)
