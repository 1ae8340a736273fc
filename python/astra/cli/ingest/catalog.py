"""``astra ingest catalog``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.cli.console import database_session, examples, say, say_json, say_table
from astra.cli.ingest.shared import COLUMN, DUST_MAP, EXTINCTION, HDU, Extinction, say_catalog_counts
from astra.cli.progress import progress
from astra.system.arguments import argument, option, takes

if TYPE_CHECKING:
    from astra.ingest.catalog_alone import CatalogReport

EXAMPLES = examples(
    "astra ingest catalog targets.csv --dry-run",
    "astra ingest catalog mwmAllStar-0.6.0.fits --hdu 2",
    "astra ingest catalog stars.csv --column apogee_id=STAR --column k_mag=MyK",
    "astra ingest catalog photometry.parquet --match-radius 1 --epoch 2016",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    table: Path = argument(help="Table of stars.")
    hdu: str | None = HDU
    column: list[str] | None = COLUMN
    extinction: Extinction = EXTINCTION
    dust_map: str | None = DUST_MAP
    match_radius: float | None = option(
        metavar="ARCSEC", help="Find the sources of rows without an identifier by position."
    )
    epoch: float | None = option(
        metavar="YEAR", help="Epoch of the positions, where the table does not state it, e.g. 2016."
    )
    dry_run: bool = option(default=False, help="Show what would change, and write nothing.")
    as_json: bool = option("--json", default=False, help="Print the report as one JSON object.")


@takes(_Arguments)
def catalog(asked: _Arguments) -> None:
    """Take values of the sources that are there from a table of stars, without their spectra."""
    from astra.ingest.catalog_alone import ingest_catalog
    from astra.ingest.tables.named_columns import parsed_columns

    with database_session(), progress("rows") as update:
        report = ingest_catalog(
            asked.table,
            hdu=asked.hdu,
            columns=parsed_columns(asked.column or ()),
            extinction=asked.extinction,
            dust_map=asked.dust_map,
            match_radius=asked.match_radius,
            epoch=asked.epoch,
            dry_run=asked.dry_run,
            on_progress=update,
        )
    if asked.as_json:
        say_json(report.as_dict(), "ingest catalog")
        return
    if asked.dry_run:
        _say_columns(report)
    _say(report)


def _say_columns(report: "CatalogReport") -> None:
    from rich.table import Table

    say(f"table {report.table} of the file")
    table = Table("column", "taken for", "unit", "conversion", "values", box=None)
    for use in report.columns:
        conversion = "" if use.factor == 1 else f"× {use.factor:g}"
        table.add_row(use.column, use.name, use.unit or "", conversion, f"{use.values:,}")
    say_table(table)


def _say(report: "CatalogReport") -> None:
    found = report.as_dict()
    updated, unchanged, values = (
        f"{found[name]:,}" for name in ("sources_updated", "sources_unchanged", "values_changed")
    )
    if report.dry_run:
        say(f"would change: {values} values of {updated} sources; {unchanged} sources stay unchanged")
        for each in report.examples:
            say(f"  {each.star}: {each.name} {_text(each.old)} → {_text(each.new)}")
    else:
        say(f"sources: {updated} updated, {unchanged} unchanged; values changed: {values}")
    say_catalog_counts(found)
    if report.matched_by:
        say(f"matched by {', '.join(f'{name}: {count:,}' for name, count in report.matched_by.items())}")
    if found["values_withdrawn"]:
        remedy = "the catalogue no longer has them; ingest the files again for those of the headers"
        say(f"{found['values_withdrawn']:,} values withdrawn: {remedy}")


def _text(value: Any) -> str:
    return "none" if value is None else str(value)
