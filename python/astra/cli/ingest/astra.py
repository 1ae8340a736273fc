"""``astra ingest astra``."""

from dataclasses import dataclass

from astra.cli.console import database_session, examples, say, say_json
from astra.cli.ingest.shared import say_counts
from astra.cli.progress import progress
from astra.system.arguments import option, takes

EXAMPLES = examples(
    "astra ingest astra --from survey",
    "astra ingest astra --from survey --since 2026-03-01 --json",
    "astra ingest astra --from postgresql://me@db.example.org/sdss5db --schema astra_080 --dry-run",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    from_: str | None = option(
        "--from",
        metavar="PROFILE|URL",
        help="Profile of databases: in astra.yml, or address, or SQLite file; default: ASTRA_FROM_URL.",
    )
    schema: str | None = option(help="Schema of its tables, if it is not that of the profile.")
    since: str | None = option(
        metavar="TIME", help="Only what was modified since then, by the clock of that database."
    )
    release: str | None = option(
        help="Data release, where the reduction does not tell, if not what that database says."
    )
    dry_run: bool = option(
        "--dry-run", default=False, help="Look at the tables, count their rows, and write nothing."
    )
    as_json: bool = option("--json", default=False, help="Print the counts as one JSON object.")


@takes(_Arguments)
def astra(asked: _Arguments) -> None:
    """Register the sources and APOGEE spectra of an existing SDSS Astra database.

    Nothing is written there; it takes the right to read two tables. What is read again and did not change
    stays unmodified. A password belongs into ~/.pgpass, the profile, or ASTRA_FROM_URL.
    """
    from contextlib import closing

    from astra.ingest.astra_database import (
        checked_time,
        ingest_astra,
        look_at,
        open_upstream,
        upstream_settings,
    )

    since = checked_time(asked.since)
    with database_session() as settings:
        opened = open_upstream(upstream_settings(settings, asked.from_, asked.schema))
        with closing(opened):
            upstream = look_at(opened, incremental=since is not None)
            if asked.dry_run:
                spectra = upstream.count(upstream.query(since))
                if asked.as_json:
                    say_json({"database": upstream.where, "spectra": spectra})
                else:
                    say(f"{upstream.where}: {spectra:,} spectra")
                return
            with progress("spectra") as update:
                done = ingest_astra(upstream, since=since, release=asked.release, on_progress=update)
    if asked.as_json:
        say_json(done.counts.as_dict() | {"modified_until": done.modified_until})
        return
    say_counts(done.counts, as_json=False)
    if done.modified_until:
        say(f"modified until: {done.modified_until}")
