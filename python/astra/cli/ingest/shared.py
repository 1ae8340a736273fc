"""What the commands of ``astra ingest`` share."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, kw_only=True)
class SharedArguments:
    """What a header and a table have in common."""

    hdu: str | None = option(
        metavar="N|NAME", help="Which table of a file with several; default: the one that fits."
    )
    extinction: Extinction = option(
        default=Extinction.AUTO,
        help="Where E(B-V) comes from: auto takes the survey's value (AK_TARG), else RJCE, else SFD.",
    )
    dust_map: str | None = option(
        metavar="NAME", help="With auto: a map of the package dustmaps, taken last, e.g. sfd or planck."
    )
    release: str | None = option(help="Data release, where the reduction does not tell, e.g. sdss5.")


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

    def listed(kind: str, *states: str) -> str:
        return ", ".join(f"{found[f'{kind}_{state}']:,} {state}" for state in states)

    for kind in ("spectra", "sources"):
        say(f"{kind}: {listed(kind, 'new', 'updated', 'unchanged')}")
    if found["unreadable"]:
        say(f"{unreadable}: {found['unreadable']:,}")
    if found["skipped"]:
        say(f"{skipped}: {found['skipped']:,}")
    if any(count for name, count in found.items() if name.startswith("catalog_")):
        say(f"catalogue rows: {listed('catalog', 'matched', 'unmatched', 'duplicate')}")
