"""``astra query``."""

import io
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from astra.cli.console import database_session, examples, note, say, say_table
from astra.errors import UsageError
from astra.system.arguments import argument, option, takes

if TYPE_CHECKING:
    from rich.table import Table

    from astra.catalogue.columns import Column
    from astra.catalogue.question import Answer

EXAMPLES = examples(
    "astra query",
    'astra query --where "good and e_dist / dist < 0.1" --order dist',
    'astra query --where "separation(ra, dec, 132.85, 11.81) < 0.5"',
    'astra query --columns "obj, dist, e_dist / dist as relative"',
    'astra query --columns "obj, best_*" --order "snr desc" --limit 5',
    "astra query --where clean --columns all --format csv > clean.csv",
)

# Rows of a table, so that it fits a terminal of 24 lines.
_ROWS = 20
# How long rows are counted that are not shown [s].
_COUNTING_S = 0.5
# Digits of the largest value of a column, and the least after the point, by the unit.
_SIGNIFICANT, _AFTER_POINT = 4, {"mag": 3, "mas": 3, "deg": 5}
_HUGE = 1e7
_NULL = "NULL"


class _Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    FITS = "fits"


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    task: str = argument(default="astronn_dist", help="A task, or the name of its rows: distances.")
    condition: str | None = option("--where", metavar="FILTER", help="Only such rows, in the words of SQL.")
    columns: str | None = option(
        metavar="COLUMNS", help="Columns, what is computed from them, 'all' or e.g. 'best_*'; default: a few."
    )
    order: str | None = option(
        metavar="COLUMNS", help="In which order, e.g. 'dist desc'; default: by spectrum."
    )
    limit: int | None = option(min=0, help=f"At most so many rows; default: {_ROWS} in a table, else all.")
    format: _Format = option(default=_Format.TABLE, help="In which form.")
    as_json: bool = option("--json", default=False, help="The same as --format json.")
    as_csv: bool = option("--csv", default=False, help="The same as --format csv.")
    count: bool = option("--count", default=False, help="Print only how many rows there are.")


@takes(_Arguments)
def query(asked: _Arguments) -> None:
    """Print results, with their stars: the newest row of each spectrum, as the catalogue has them.

    Nothing can be changed: the database is opened for reading alone. Columns are those of the view
    distances, of another task those of its catalogue; --where, --columns and --order take arithmetic and
    functions. CSV and JSON come as they are read, FITS is held in memory. Exit codes: 0 printed; 2 wrong
    usage; 69 database not reachable; 78 wrong configuration or schema.
    """
    chosen = _format_of(asked)
    from astra.catalogue.question import Answer, Question
    from astra.database.connection import database
    from astra.database.sql import snapshot

    is_table = chosen is _Format.TABLE
    limit = _ROWS if is_table and asked.limit is None else asked.limit
    question = Question(asked.task, asked.columns, asked.condition, asked.order, limit)
    question.check()
    with database_session(read_only=True), snapshot(database):
        answer = Answer(question, database)
        if asked.count:
            say(f"{answer.count()[0]}")
            return
        _WRITERS[chosen](answer)


def _format_of(asked: _Arguments) -> _Format:
    said = {_Format.JSON: asked.as_json, _Format.CSV: asked.as_csv}
    said[asked.format] = said.get(asked.format, False) or asked.format is not _Format.TABLE
    chosen = [each for each, is_said in said.items() if is_said]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(f'--format {each}' for each in chosen)}: give one of them")
    if chosen == [_Format.FITS] and sys.stdout.isatty():
        raise UsageError("--format fits writes a binary file: end the line with > FILE.fits")
    return chosen[0] if chosen else _Format.TABLE


# > For programs


def _write_csv(answer: "Answer") -> None:
    from astra.catalogue.formats import write_csv

    write_csv(sys.stdout.buffer, answer)


def _write_json(answer: "Answer") -> None:
    """One list, an object on each line."""
    names, before = [column.name for column in answer.columns], "["
    for batch in answer.batches:
        rows = (dict(zip(names, row, strict=True)) for row in zip(*batch, strict=True))
        lines = (json.dumps(row, allow_nan=False) for row in rows)
        sys.stdout.write(before + ",\n ".join(lines))
        before = ",\n "
    sys.stdout.write(f"{'[' if before == '[' else ''}]\n")


def _write_fits(answer: "Answer") -> None:
    from astra.catalogue.question import table_of

    # Not into the pipe itself: astropy wants to know where in the file it is.
    written = io.BytesIO()
    table_of(answer).write(written, format="fits")
    sys.stdout.buffer.write(written.getbuffer())


# > For people


def _show(answer: "Answer") -> None:
    rows = [row for batch in answer.batches for row in zip(*batch, strict=True)]
    if rows:
        made = _as_table(answer.columns, rows)
        if sys.stdout.isatty() and _width(made) > _columns_of_terminal():
            _show_records(answer.columns, rows)
        else:
            say_table(made)
    found, is_all = answer.count(_COUNTING_S)
    found = max(found, len(rows))
    if not found and is_all:
        note("no row meets the condition" if answer.is_narrowed else "there is no row")
    elif not is_all:
        note(f"{len(rows):,} of more than {found:,} rows; --count counts them all")
    elif found > len(rows):
        note(f"{len(rows):,} of {found:,} rows; --limit shows more")
    else:
        note(f"{found:,} {'row' if found == 1 else 'rows'}")


def _as_table(columns: "tuple[Column, ...]", rows: list[tuple]) -> "Table":
    from rich.text import Text

    from astra.cli.tables import table
    from astra.models.fields import Kind

    words = [
        place for place, column in enumerate(columns) if column.kind in (Kind.TEXT, Kind.LOGICAL, Kind.TIME)
    ]
    heads = [f"{column.name}\n{column.unit or ''}" for column in columns]
    if not any(column.unit for column in columns):
        heads = [column.name for column in columns]
    made = table(None, heads, words)
    made.padding = (0, 1, 0, 0)
    shown = [_cells(found, column) for found, column in zip(zip(*rows, strict=True), columns, strict=True)]
    for row in zip(*shown, strict=True):
        made.add_row(*(Text(cell, "dim" if cell == _NULL else "") for cell in row))
    return made


def _show_records(columns: "tuple[Column, ...]", rows: list[tuple]) -> None:
    """A line for each value: what is too wide for a table."""
    widest = max(len(column.name) for column in columns)
    for number, row in enumerate(rows, start=1):
        say(*([] if number == 1 else [""]), f"row {number:,}")
        for value, column in zip(row, columns, strict=True):
            unit = f" {column.unit}" if column.unit and value is not None else ""
            say(f"  {column.name:<{widest}}  {_cells([value], column)[0]}{unit}")


def _cells(values: Sequence[Any], column: "Column") -> list[str]:
    """The values of one column, floats with the same number of digits after the point."""
    largest = max((abs(value) for value in values if isinstance(value, float)), default=0.0)
    before_point = math.floor(math.log10(largest)) + 1 if largest else 1
    digits = max(_SIGNIFICANT - max(before_point, 1), _AFTER_POINT.get(column.unit or "", 0))
    return [_cell(value, digits) for value in values]


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return str(value)
    if value and not 10**-digits <= abs(value) < _HUGE:
        return f"{value:.2g}"
    return f"{value:.{digits}f}"


def _width(made: "Table") -> int:
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=10_000)
    return Measurement.get(console, console.options, made).maximum


def _columns_of_terminal() -> int:
    from rich.console import Console

    return Console().width


_WRITERS = {
    _Format.TABLE: _show,
    _Format.CSV: _write_csv,
    _Format.JSON: _write_json,
    _Format.FITS: _write_fits,
}
