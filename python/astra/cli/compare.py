"""``astra compare``."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import AsJson, database_session, examples, note, say, say_json, say_table
from astra.system.arguments import expanded

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

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
        say_json({"stars": [_as_json(row) for row in rows], "kinds": [_as_json(kind) for kind in kinds]})
        return
    if not only_summary:
        say_table(_stars(rows))
        say("")
    say_table(_kinds(kinds))
    absent = sum(comparison.ABSENT in row.flags for row in rows)
    if absent:
        note(f"{absent:,} of {len(rows):,} stars are not in the database: ingest and run first")


def _as_json(row: "Compared | Summary") -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in dataclasses.asdict(row).items()
    }


def _stars(rows: "list[Compared]") -> "Table":
    table = _table("Distance of each simulated star", ("star", "kind"), _QUANTITIES)
    table.add_column("flags", overflow="fold")
    for row in rows:
        distance = f"{row.dist:,.0f} ± {row.e_dist:,.0f}" if math.isfinite(row.dist) else "-"
        table.add_row(
            _text(row.apogee_id),
            _text(f"{row.kind} + companion" if row.flux_ratio > 0 else row.kind),
            f"{row.snr:.0f}",
            f"{row.true_dist:,.0f}",
            distance,
            _number(100 * row.deviation, "+.0f"),
            _number(row.sigmas, "+.1f"),
            _text(", ".join(row.flags)),
            style=None if row.good else "dim",
        )
    return table


def _kinds(kinds: "list[Summary]") -> "Table":
    table = _table("By kind, of single stars; pairs apart", ("kind",), _SHARES)
    table.caption = (
        'off: distance / true distance - 1, of the unflagged stars except in "of all"\n'
        "pairs: stars with a companion that no telescope separates; its light makes them look nearer"
    )
    for kind in kinds:
        table.add_row(
            _text(kind.kind),
            f"{kind.stars:,}",
            f"{kind.measured:,}",
            _number(kind.flagged_share, ".0%"),
            _number(kind.scatter_of_all, ".1%"),
            _number(kind.scatter, ".1%"),
            _number(kind.bias, "+.1%"),
            _number(kind.within_1, ".0%"),
            _number(kind.beyond_3, ".0%"),
            style="bold" if kind is kinds[-1] else None,
        )
    return table


def _table(title: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for heading in words:
        table.add_column(_text(heading), no_wrap=True)
    for heading in numbers:
        table.add_column(_text(heading), justify="right")
    return table


def _text(content: str) -> "Text":
    """Text as it is: rich would take a unit in brackets for a colour."""
    from rich.text import Text

    return Text(content)


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"
