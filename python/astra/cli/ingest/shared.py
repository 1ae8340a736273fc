"""What the commands of ``astra ingest`` share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.cli.console import say, say_json
from astra.system.arguments import option

if TYPE_CHECKING:
    from astra.ingest.records import IngestCounts


class Extinction(StrEnum):
    """Where the reddening of a star comes from."""

    AUTO = "auto"
    AK_TARG = "ak_targ"
    RJCE = "rjce"
    SFD = "sfd"
    AK_TARG_SFD = "ak_targ_sfd"


HDU = option(metavar="N|NAME", help="Which table of a file with several; default: the one that fits.")
#: Names of the columns of a table, for ``parsed_columns``.
COLUMN = option(
    metavar="OURS=THEIRS", help="A column of the table for one of ours, e.g. k_mag=MyK; repeatable."
)


EXTINCTION = option(
    default=Extinction.AUTO,
    help="Where E(B-V) comes from: auto takes the survey's value (AK_TARG), else RJCE, else SFD.",
)
DUST_MAP = option(
    metavar="NAME", help="With auto: a map of the package dustmaps, taken last, e.g. sfd or planck."
)


@dataclass(frozen=True, kw_only=True)
class SharedArguments:
    """What a header and a table have in common."""

    hdu: str | None = HDU
    extinction: Extinction = EXTINCTION
    dust_map: str | None = DUST_MAP
    release: str | None = option(help="Data release, where the reduction does not tell, e.g. dr19 or sdss5.")


@dataclass(frozen=True, kw_only=True)
class CatalogArguments:
    """A table of stars, and how it names its columns."""

    catalog: Path | None = option(
        help="Table of sources: CSV with any delimiter, ECSV, MRT, FITS, VOTable or Parquet."
    )
    column: list[str] | None = COLUMN

    def keys(self) -> dict[str, Any]:
        """The arguments as the functions of ``astra.ingest`` take them."""
        from astra.ingest.tables.named_columns import parsed_columns

        return {"catalog": self.catalog, "columns": parsed_columns(self.column or ())}


def say_counts(
    counts: "IngestCounts",
    as_json: bool,
    unreadable: str = "files registered from their names alone",
    skipped: str = "rows without a file",
) -> None:
    """Say what an ingest did.

    Args:
        counts: What it did.
        as_json: Print one JSON object.
        unreadable, skipped: What these counts mean.
    """
    found = counts.as_dict()
    if as_json:
        say_json(found)
        return

    for kind in ("spectra", "sources"):
        say(f"{kind}: {_listed(found, kind, 'new', 'updated', 'unchanged')}")
    if found["unreadable"]:
        say(f"{unreadable}: {found['unreadable']:,}")
    if found["skipped"]:
        say(f"{skipped}: {found['skipped']:,}")
    if found["values_withdrawn"]:
        say(f"values withdrawn, which their own source no longer gives: {found['values_withdrawn']:,}")
    if any(count for name, count in found.items() if name.startswith("catalog_")):
        say_catalog_counts(found)


def say_catalog_counts(found: Mapping[str, int]) -> None:
    """Say what became of the rows of a catalogue."""
    say(f"catalogue rows: {_listed(found, 'catalog', 'matched', 'unmatched', 'duplicate')}")


def _listed(found: Mapping[str, int], kind: str, *states: str) -> str:
    return ", ".join(f"{found[f'{kind}_{state}']:,} {state}" for state in states)
