"""Columns that a user names for ours, as ``--column k_mag=MyK``; they go before all spellings."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from astra.errors import UsageError, nearest
from astra.ingest import spellings
from astra.ingest.tables.table import Table

# Columns in a message.
_LISTED = 5


def parsed_columns(texts: Iterable[str]) -> dict[str, str]:
    """The columns of a table by our names.

    Args:
        texts: As the option ``--column`` takes them, e.g. ``k_mag=MyK``.

    Raises:
        UsageError: A text has another form, or two name a column for the same of ours.
    """
    pairs = []
    for text in texts:
        ours, is_given, theirs = (part.strip() for part in text.partition("="))
        if not (ours and is_given and theirs):
            raise UsageError(f"--column {text}: write it as OURS=THEIRS, e.g. k_mag=MyK")
        pairs.append((ours, theirs))
    for ours, count in Counter(ours for ours, _ in pairs).items():
        if count > 1:
            given = " and ".join(theirs for name, theirs in pairs if name == ours)
            raise UsageError(f"--column {ours} is given more than once, for {given}: leave one")
    return dict(pairs)


def checked_columns(columns: Mapping[str, str]) -> Mapping[str, str]:
    """The columns of a table by our names, if these names are ours.

    Raises:
        UsageError: A name is not ours, or one column is named for two of ours.
    """
    for ours in columns:
        if ours not in spellings.NAMES:
            meant = nearest(ours, spellings.NAMES)
            raise UsageError(f"--column {ours}={columns[ours]}: no column {ours} of ours{meant}")
    for theirs, count in Counter(columns.values()).items():
        if count > 1:
            named = " and ".join(ours for ours, other in columns.items() if other == theirs)
            raise UsageError(f"--column names {theirs} for both {named}: leave one")
    return columns


def found_columns(
    columns: Mapping[str, str], tables: Sequence[Table], path: Path
) -> list[tuple[Table, dict[str, str]]]:
    """The tables that have all of these columns, each with the columns as it spells them.

    Capitals do not matter where a name is clear without them.

    Args:
        columns: The columns by our names, as from ``checked_columns``.
        tables: The tables of one file.
        path: The file, for messages.

    Raises:
        UsageError: No table has all of them.
    """
    found = []
    for table in tables:
        spelled = {ours: _spelled(theirs, table) for ours, theirs in columns.items()}
        if None not in spelled.values():
            found.append((table, spelled))
    if tables and not found:
        fewest = min(tables, key=lambda table: len(_lacking(columns, table)))
        ours = _lacking(columns, fewest)[0]
        theirs, there = columns[ours], {name.lower(): name for name in fewest.units}
        alike = difflib.get_close_matches(theirs.lower(), there, n=3, cutoff=0.6)
        listed = [there[name] for name in alike] or list(fewest.units)[:_LISTED]
        more = ", …" if not alike and len(there) > _LISTED else ""
        said = f"the nearest are {', '.join(listed)}" if alike else f"it has {', '.join(listed)}{more}"
        raise UsageError(f"--column {ours}={theirs}: {path} has no such column; {said}")
    return found


def _lacking(columns: Mapping[str, str], table: Table) -> list[str]:
    return [ours for ours, theirs in columns.items() if _spelled(theirs, table) is None]


def _spelled(name: str, table: Table) -> str | None:
    if name in table.units:
        return name
    alike = [each for each in table.units if each.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None
