"""Which rows of a table of stars belong to which sources: by identifiers, else by position.

Only rows without any identifier are found by position, and only if that is asked for.
"""

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astra.ingest.catalogs.catalog import EXAMPLES, Identifiers, StarColumns, ids_as_text
from astra.ingest.catalogs.islands import Islands
from astra.ingest.catalogs.known_sources import KnownSources, keys_of_rows
from astra.ingest.catalogs.positions import EPOCH_OF_2MASS, LATEST_EPOCH, Pairs, Sky

log = logging.getLogger("astra")


@dataclass(frozen=True)
class Match:
    """The rows of a table that are linked with sources.

    Attributes:
        columns: The columns of the table.
        islands: The rows and their sources.
        repeated: Rows of a star after its first one, of stars that are not among the sources.
        examples: The identifiers in some rows.
        sky: The comparison of positions, and what it found.
    """

    columns: StarColumns
    islands: Islands
    repeated: int
    examples: list[str]
    sky: tuple[Sky, Pairs] | None


def match(
    columns: StarColumns,
    sources: KnownSources,
    rows: int,
    sky: Sky | None,
    on_piece: Callable[[dict[str, np.ndarray]], Any],
) -> Match:
    """Read the identifiers and positions of a table, and find the rows that are linked with sources.

    Args:
        columns: The columns of the table.
        sources: The sources.
        rows: Rows that are in memory at a time.
        sky: Where the sources are, if rows are to be found by position.
        on_piece: Called with each piece that was read.
    """
    parts: list[list[np.ndarray]] = []
    examples: list[str] = []
    start = 0
    for piece in columns.table.pieces(columns.needed, rows):
        ids = columns.identifiers(piece, examine=True)
        keys = keys_of_rows(ids)
        parts.append(keys)
        if len(examples) < EXAMPLES:
            examples += _examples(ids, EXAMPLES - len(examples))
        if sky is not None:
            positions = columns.positions(piece)
            alone = ~np.logical_or.reduce(keys) & np.isfinite(positions.ra) & np.isfinite(positions.dec)
            sky.compare(start + np.flatnonzero(alone), positions.at(alone))
        start += len(keys[0])
        on_piece(piece)
    none = [np.zeros(0, np.int64)] * len(sources.keys)
    keys = [np.concatenate(of_kind) for of_kind in zip(none, *parts, strict=True)]
    pairs = None if sky is None else sky.pairs()
    islands = Islands(keys, sources, pairs)
    repeated = _repeated([np.delete(numbers, islands.rows) for numbers in keys])
    return Match(columns, islands, repeated, examples, None if sky is None else (sky, pairs))


def warn_of_positions(sky: Sky, pairs: Pairs, path: Path) -> None:
    """Say which positions could be those of several stars, and how far stars may have moved."""
    if pairs.near_two_sources or pairs.near_two_rows:
        message = (
            "%s: by position, %d rows are near more than one source, and %d sources near more than one row: "
            "the nearest counts; %d that are equally near are not used"
        )
        log.warning(message, path, pairs.near_two_sources, pairs.near_two_rows, pairs.equally_near)
    undated = sky.undated_sources()
    if not sky.rows or not (sky.undated_rows or undated):
        return
    unknown = [f"{sky.undated_rows} of {sky.rows} rows (--epoch states it)"] if sky.undated_rows else []
    unknown += [f"{undated} sources"] if undated else []
    median, beyond, moving = sky.shift(LATEST_EPOCH - EPOCH_OF_2MASS)
    moved = (
        f"from {EPOCH_OF_2MASS:.0f} to {LATEST_EPOCH:.0f} a star moves by {median:.2g} arcsec in the median, "
        f"and {beyond} of {moving} by more than the radius"
        if moving
        else "no proper motion is known, so it is not known how many have left the radius"
    )
    log.warning("%s: the epoch of the positions of %s is not known: %s", path, " and ".join(unknown), moved)


def _examples(ids: Identifiers, count: int) -> list[str]:
    return [ids_as_text(*row) for row in itertools.islice(zip(*ids, strict=True), count)]


def _repeated(keys: Sequence[np.ndarray]) -> int:
    """The number of rows whose first identifier an earlier row has."""
    count, lacking = 0, np.ones(len(keys[0]), bool)
    for numbers in keys:
        mine = numbers[lacking & (numbers != 0)]
        count += len(mine) - len(np.unique(mine))
        lacking &= numbers == 0
    return count
