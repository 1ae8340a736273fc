"""``astra fetch``."""

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from astra.cli.console import database_session, examples, say, say_json
from astra.cli.ingest.shared import Extinction, say_counts
from astra.cli.progress import progress
from astra.errors import UsageError
from astra.system.arguments import argument, option, takes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astra.ingest.fetching import FetchReport, Wanted

EXAMPLES = examples(
    "astra fetch 2M06154934-0100415",
    "astra fetch 2M06154934-0100415 --release dr17",
    "astra fetch --missing --release dr17 --limit 1000",
    "astra fetch 2M19463571+3919069 --release dr17 --telescope apo25m --field K06_078+16",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    stars: list[str] | None = argument(default=None, metavar="STAR", help="Stars: sdss_id or APOGEE id.")
    missing: bool = option("--missing", default=False, help="All files that are registered and not there.")
    limit: int | None = option(min=1, help="With --missing: stop when this many files have come.")
    release: str | None = option(help="Only files of this data release, e.g. dr17.")
    telescope: str | None = option(help="Only files of this telescope: apo25m, apo1m or lco25m.")
    field: str | None = option(
        help="For a star that is not registered, until DR17: its FIELD, until DR14 its LOCATION_ID."
    )
    archive: str | None = option(
        metavar="URL", help="A mirror of the archive: the part of its addresses before /sas."
    )
    extinction: Extinction = option(
        default=Extinction.AUTO, help="Where E(B-V) comes from, as in `astra ingest apstar`."
    )
    dry_run: bool = option("--dry-run", default=False, help="List the files that are not there; fetch none.")
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@takes(_Arguments)
def fetch(asked: _Arguments) -> None:
    """Fetch apStar files from the archive of the survey, and register them.

    They come to where the archive has them, below SAS_BASE_DIR. Which files those of a star are is known of
    stars that are registered, as by `astra ingest allstar`. A file is fetched if it is not there, or shorter
    than in the archive. Exit codes: 0 at least one file is there now, or nothing was missing; 2 wrong usage,
    an unknown star, or the archive has none of the files; 69 the archive or the database cannot be reached;
    74 a file or a row cannot be written; 75 some files did not arrive whole: run again; 78 wrong
    configuration, or no login for what is not public.
    """
    from astra.ingest.fetching import fetch as fetch_files

    _check(asked)
    with database_session():
        wanted = _wanted(asked)
        if asked.dry_run:
            _say_missing(islice(wanted, asked.limit), asked.as_json)
            return
        # How many are missing is known only when all disks were asked.
        total = len(wanted) if isinstance(wanted, list) else asked.limit
        with progress("files") as update:
            report = fetch_files(
                wanted,
                limit=asked.limit,
                archive=asked.archive,
                extinction=asked.extinction,
                on_progress=lambda done: update(done, total),
            )
    _say_done(report, asked.as_json)
    if report.error is not None:
        raise report.error


def _check(asked: _Arguments) -> None:
    if bool(asked.stars) == asked.missing:
        raise UsageError("give stars, or --missing for all files that are registered and not there")
    if asked.limit is not None and not asked.missing:
        raise UsageError("--limit is for --missing: a star has few files")
    if asked.field is not None and (asked.missing or not (asked.release and asked.telescope)):
        raise UsageError("--field is for stars that are named, with --release and --telescope")


def _wanted(asked: _Arguments) -> "Iterable[Wanted]":
    from astra.ingest.fetching import missing, of_field, registered

    if asked.missing:
        return missing(release=asked.release, telescope=asked.telescope)
    if asked.field is not None:
        return of_field(asked.stars, release=asked.release, telescope=asked.telescope, place=asked.field)
    return registered(asked.stars, release=asked.release, telescope=asked.telescope)


def _say_missing(wanted: "Iterable[Wanted]", as_json: bool) -> None:
    from astra.spectra.identity import usable_base_dir

    base = usable_base_dir()
    paths = [each.path for each in wanted if not (base / each.path).is_file()]
    if as_json:
        say_json({"missing": paths})
    else:
        say(*paths, f"files that are not there: {len(paths):,}")


def _say_done(report: "FetchReport", as_json: bool) -> None:
    if as_json:
        say_json(report.as_dict())
        return
    if not report.files:
        say("no file was fetched" if report.error else "nothing is missing")
        return
    parts = f"{report.fetched:,} fetched ({report.bytes / 1e6:.1f} MB), {report.there:,} there already"
    say(f"files: {parts}, {report.lacking:,} not in the archive, {report.incomplete:,} incomplete")
    if report.ingest.seen:
        say_counts(report.ingest, as_json=False)
