"""``astra distance``."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.cli.console import examples, note, say, say_json, say_table
from astra.cli.progress import progress
from astra.damage import check_file, damage
from astra.errors import UsageError
from astra.system.arguments import argument, option, option_name, specified, takes
from astra.system.printable import in_a_spreadsheet

if TYPE_CHECKING:
    from astra.stars.star_distance import StarDistance

EXAMPLES = examples(
    "astra distance apStar-dr17-2M06154934-0100415.fits",
    "astra distance apStar-dr17-2M06154934-0100415.fits --ebv 0.35 --e-ebv 0.05",
    "astra distance apStar-*.fits --catalog targets.csv",
    "astra distance apStar-*.fits --catalog targets.csv --csv > distances.csv",
)


class _Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


_Release = StrEnum("_Release", "DR1 DR2 EDR3 DR3 DR4")


@dataclass(frozen=True, kw_only=True)
class _Star:
    """What is known of one star, as ``astra.distance`` takes it."""

    k_mag: float | None = option(help="2MASS Ks [mag], in place of that in the header.")
    e_k_mag: float | None = option(help="Error of --k-mag [mag].")
    ebv: float | None = option(help="Reddening E(B-V) [mag].")
    e_ebv: float | None = option(help="Error of --ebv [mag].")
    a_k: float | None = option(help="Extinction in Ks [mag], in place of --ebv.")
    e_a_k: float | None = option(help="Error of --a-k [mag].")
    plx: float | None = option(help="Parallax of Gaia as published [mas].")
    e_plx: float | None = option(help="Error of --plx [mas].")
    gaia_release: _Release | None = option(help="The release of Gaia that --plx is from.")
    ruwe: float | None = option(help="RUWE of Gaia, which says whether its astrometry is fit.")
    g_mag: float | None = option(help="G of Gaia [mag], for the zero-point of the parallax.")
    bp_mag: float | None = option(help="BP of Gaia [mag], for the same.")
    rp_mag: float | None = option(help="RP of Gaia [mag], for the same.")


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    files: list[Path] = argument(metavar="FILE", help="apStar or asStar files, named as in the survey.")
    star: _Star = _Star()
    catalog: Path | None = option(
        metavar="TABLE", help="A table of stars, whose values go before those of the headers."
    )
    release: str | None = option(help="The data release, where the files do not imply it, e.g. dr19.")
    weights: str | None = option(metavar="W", help="A path or a name; default: as for astra run.")
    seed: int = option(default=0, min=0, max=2**63 - 1, help="Seed of the dropout masks.")
    n_draws: int = option("--n-draws", default=100, min=2, help="Monte Carlo dropout draws per spectrum.")
    device: _Device = option(default=_Device.AUTO, help="Where the network runs.")
    as_json: bool = option("--json", default=False, help="Print one JSON object.")
    as_csv: bool = option("--csv", default=False, help="Print a table of all columns as CSV.")


@takes(_Arguments)
def distance(asked: _Arguments) -> None:
    """Print the distances of the stars of some files.

    No database is needed, and nothing is written. The numbers are those of `astra run`. Magnitudes,
    extinction and Gaia come from the header of a file, --catalog, or for one file from options; the last that
    has a value counts. A file that cannot be read has a line that says why. Exit codes: 0 printed; 2 wrong
    usage, or a file is not there or not named as in the survey; 78 the weights cannot be used.
    """
    _check(asked)
    from astra.system.processes import check_memory

    check_memory()
    from astra.stars.direct import How, distances_of_files
    from astra.stars.files import Files
    from astra.stars.inputs import star_values

    try:
        values = star_values(specified(asked.star), 1)
    except TypeError as error:
        raise UsageError(str(error)) from None
    how = How(seed=asked.seed, weights=asked.weights, n_draws=asked.n_draws, device=asked.device)
    with progress("stars") as update:
        found = distances_of_files(Files(asked.files, values, asked.catalog, asked.release), how, update)
    if asked.as_json:
        say_json(_content(asked.files, found))
    elif asked.as_csv:
        table = _table(asked.files, found)
        for name in (name for name in table.colnames if table[name].dtype.kind == "U"):
            table[name] = [in_a_spreadsheet(value) for value in table[name]]
        table.write(sys.stdout, format="ascii.csv")
    else:
        _say(found)


def _check(asked: _Arguments) -> None:
    if asked.as_json and asked.as_csv:
        raise UsageError("--json and --csv: give one of them")
    if len(asked.files) > 1 and (given := specified(asked.star)):
        option = option_name(next(iter(given)))
        raise UsageError(f"{option} is of one star, and there are {len(asked.files)} files: give --catalog")
    _check_values(specified(asked.star))
    for file in asked.files:
        _check_file(file)


def _check_file(file: Path) -> None:
    with damage(lambda why: UsageError(f"cannot read {file}: {why}")):
        check_file(file)


def _check_values(given: dict[str, Any]) -> None:
    """Refuse what would count as absent in a header or a table: whoever types a value means it."""
    from astra.ingest.values import A_K_PER_EBV, RANGES, clean

    for name, value in given.items():
        column, scale = ("e_ebv", A_K_PER_EBV) if name == "e_a_k" else (name, 1.0)
        if column in RANGES and clean(column, value / scale) is None:
            low, high = (scale * limit for limit in RANGES[column])
            raise UsageError(
                f"{option_name(name)} {value:g} counts as absent: give a number between {low:g} and {high:g}"
            )
    if len({"plx", "e_plx"} & given.keys()) == 1:
        raise UsageError("--plx and --e-plx: give both, since a parallax counts by its error")


def _say(found: "StarDistance") -> None:
    from rich.table import Table
    from rich.text import Text

    from astra.stars import text

    if len(found) == 1:
        say(text.name_of(found[0]))
        lines = Table.grid(padding=(0, 2, 0, 0))
        lines.add_column(justify="right")
        for line in text.lines_of(found[0]):
            lines.add_row(*map(Text, line))
        say_table(lines)
    else:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in text.HEADINGS:
            is_text = heading in ("star", "")
            table.add_column(Text(heading), justify="left" if is_text else "right", no_wrap=True)
        for star in found:
            table.add_row(*map(Text, text.row(star)))
        say_table(table)
        remarks = Table.grid(padding=(0, 2, 0, 0))
        for who, remark in text.remarks(found):
            remarks.add_row(Text(who), Text(remark))
        say_table(remarks)
    note(f"weights {found.meta['weights']}, seed {found.meta['seed']}; errors are one standard deviation")


def _content(files: list[Path], found: "StarDistance") -> dict[str, Any]:
    """The object that ``--json`` prints."""
    from astra.cli.console import absent_as_null

    table, words = _table(files, found), zip(found.flags, found.why_not_clean, strict=True)
    rows = [
        {name: _plain(row[name]) for name in table.colnames} | {"flags": flags, "why_not_clean": reasons}
        for row, (flags, reasons) in zip(table, words, strict=True)
    ]
    said = dict(found.meta)
    weights = {"name": said.pop("weights"), "sha256": said.pop("weights_sha256")}
    return {"weights": weights} | said | {"results": absent_as_null(rows)}


def _table(files: list[Path], found: "StarDistance") -> Any:
    from astropy.table import Table

    table = Table(found.to_table())
    table.add_column([str(file) for file in files], name="file", index=0)
    return table


def _plain(value: Any) -> Any:
    """A value of a table as Python has it; ``None`` where it is masked."""
    import numpy as np

    if value is np.ma.masked:
        return None
    return value.item() if isinstance(value, np.generic) else value
