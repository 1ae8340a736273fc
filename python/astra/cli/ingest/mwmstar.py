"""``astra ingest mwmstar``."""

from dataclasses import dataclass
from pathlib import Path

from astra.cli.console import database_session, examples
from astra.cli.ingest.shared import CatalogArguments, SharedArguments, say_counts
from astra.cli.progress import progress
from astra.system.arguments import argument, option, takes

EXAMPLES = examples(
    "astra ingest mwmstar $MWM_ASTRA/0.6.0/spectra/star",
    "astra ingest mwmstar mwmStar-0.6.0-103020000.fits --catalog targets.csv",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    paths: list[Path] = argument(metavar="PATH", help="Files, or folders searched for them.")
    table: CatalogArguments = CatalogArguments()
    choices: SharedArguments = SharedArguments()
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@takes(_Arguments)
def mwmstar(asked: _Arguments) -> None:
    """Register the combined spectra of APOGEE in mwmStar files, and the photometry of their stars."""
    from astra.ingest.mwmstar import ingest_mwmstar

    with database_session(), progress("files") as update:
        counts = ingest_mwmstar(asked.paths, **asked.table.keys(), **vars(asked.choices), on_progress=update)
    say_counts(
        counts,
        asked.as_json,
        "files that cannot be read",
        "files left out, without a readable spectrum of APOGEE",
    )
