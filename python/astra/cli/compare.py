"""``astra compare``."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astra.cli.console import (
    AsJson,
    absent_as_null,
    database_session,
    examples,
    note,
    say,
    say_json,
    say_table,
)
from astra.cli.tables import number, table, text
from astra.system.arguments import expanded

if TYPE_CHECKING:
    from rich.table import Table

    from astra.modelling.comparison import Compared, Summary

EXAMPLES = examples(
    "astra compare demo/spectra",
    "astra compare demo/spectra --summary",
    "astra compare demo/spectra --json",
)

_QUANTITIES = ("S/N", "true [pc]", "distance [pc]", "off [%]", "off [sigma]")
_SHARES = (
    *("stars", "done", "flagged", "median |off| of all", "median |off|", "median off"),
    *("within 1 sigma", "beyond 3 sigma"),
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `astra simulate` has filled.")]
OnlySummary = Annotated[bool, typer.Option("--summary", help="Only the table of kinds.")]


def compare(folder: Folder, only_summary: OnlySummary = False, as_json: AsJson = False) -> None:
    """Compare the distances of simulated stars in the database with the true ones."""
    from astra.modelling import comparison

    with database_session():
        rows = comparison.compare(expanded(folder))
    kinds = comparison.summarise(rows)
    if as_json:
        content = {"stars": list(map(asdict, rows)), "kinds": list(map(asdict, kinds))}
        say_json(absent_as_null(content), "compare")
        return
    if not only_summary:
        say_table(_stars(rows))
        say("")
    say_table(_kinds(kinds))
    absent = sum(comparison.ABSENT in row.flags for row in rows)
    if absent:
        note(f"{absent:,} of {len(rows):,} stars are not in the database: ingest and run first")


def _stars(rows: "list[Compared]") -> "Table":
    made = table("Distance of each simulated star", ("star", "kind", *_QUANTITIES), (0, 1))
    made.add_column("flags", overflow="fold")
    for row in rows:
        distance = f"{row.dist:,.0f} ± {row.e_dist:,.0f}" if math.isfinite(row.dist) else "-"
        made.add_row(
            text(row.apogee_id),
            text(f"{row.kind} + companion" if row.flux_ratio > 0 else row.kind),
            f"{row.snr:.0f}",
            f"{row.true_dist:,.0f}",
            distance,
            number(100 * row.deviation, "+.0f"),
            number(row.sigmas, "+.1f"),
            text(", ".join(row.flags)),
            style=None if row.good else "dim",
        )
    return made


def _kinds(kinds: "list[Summary]") -> "Table":
    made = table("By kind, of single stars; pairs apart", ("kind", *_SHARES), (0,))
    made.caption = (
        'off: distance / true distance - 1, of the unflagged stars except in "of all"\n'
        "pairs: stars with a companion that no telescope separates; its light makes them look nearer"
    )
    for kind in kinds:
        made.add_row(
            text(kind.kind),
            f"{kind.stars:,}",
            f"{kind.measured:,}",
            number(kind.flagged_share, ".0%"),
            number(kind.scatter_of_all, ".1%"),
            number(kind.scatter, ".1%"),
            number(kind.bias, "+.1%"),
            number(kind.within_1, ".0%"),
            number(kind.beyond_3, ".0%"),
            style="bold" if kind is kinds[-1] else None,
        )
    return made
