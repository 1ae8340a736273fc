"""``astra create``: writes the catalogue from the database to a file or to standard output."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import peewee

import astra
from astra.catalogue import as_fits, formats
from astra.catalogue.columns import columns, left_out, rows_of
from astra.catalogue.options import ENDINGS, STDOUT, Format, Names, formats_of, is_compressed
from astra.catalogue.product import find_product, product_of
from astra.catalogue.query import Rows, refuse_mixture
from astra.catalogue.sink import sink
from astra.catalogue.table import Batch, Table, flag_bits, values
from astra.database.connection import database as configured
from astra.database.sql import batches, snapshot
from astra.errors import AstraError, Interrupted, UsageError
from astra.models import Distance
from astra.models.filters import Filter
from astra.running.ending import StopRequest
from astra.schema.packages import check_task
from astra.system.atomic import refuse_to_replace
from astra.system.extras import require
from astra.tasks.contract import Task

_WRITERS = {
    Format.FITS: as_fits.write,
    Format.PARQUET: formats.write_parquet,
    Format.VOTABLE: formats.write_votable,
    Format.ECSV: formats.write_ecsv,
    Format.CSV: formats.write_csv,
}
# Not for a terminal.
_BINARY = (Format.FITS, Format.PARQUET)
log = logging.getLogger("astra")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The catalogue to write.

    Attributes:
        product: Its name, or that of the task whose results it has.
        output: The file, compressed if its name ends in ``.gz``, or ``-`` for standard output; ``None`` names
            it after the catalogue and the version, in the current folder.
        format: Its format; ``None`` takes the one that its name stands for, on standard output CSV, and FITS
            where it has no name.
        names: Whose names the columns have.
        mixed: Whether to accept results of different weights, seeds, draws, precisions, options or versions.
        condition: The condition on the rows; ``None`` takes all.
        overwrite: Whether to replace an existing file.
    """

    product: str = "astronn_dist"
    output: Path | None = None
    format: Format | None = None
    names: Names = Names.ASTRA
    mixed: bool = False
    condition: str | None = None
    overwrite: bool = False

    @cached_property
    def task(self) -> Task:
        """The task whose results it has.

        Raises:
            UsageError: There is no such product.
            ConfigError: The package that offers the task is broken.
        """
        return find_product(self.product)

    @property
    def path(self) -> Path:
        """The file."""
        return self.output or Path(f"{product_of(self.task)}-{astra.__version__}.{self.written_as.extension}")

    @property
    def to_stdout(self) -> bool:
        """Whether it goes to standard output."""
        return self.output == STDOUT

    @property
    def written_as(self) -> Format:
        """The format that it is written in.

        Raises:
            UsageError: The name of the file stands for another format, or for none.
        """
        if self.output is None or self.to_stdout:
            return self.format or (Format.CSV if self.to_stdout else Format.FITS)
        said = formats_of(self.output)
        if self.format is None and not said:
            known = ", ".join(ENDINGS)
            raise UsageError(
                f"--output {self.output}: its ending stands for no format; known are {known}, and these with "
                ".gz; or give --format"
            )
        if self.format and said and self.format not in said:
            raise UsageError(
                f"{self.output} is the name of a {said[0]} file, not of {self.format}: change --output or "
                "--format"
            )
        return self.format or said[0]

    @cached_property
    def wanted(self) -> Filter | None:
        """The parsed condition.

        Raises:
            UsageError: The condition is not valid.
        """
        # A condition can choose from a mixture by columns that the file does not have.
        known = columns(self.task, self.names, mixed=True)
        return None if self.condition is None else Filter(self.condition, known)

    def check(self) -> None:
        """Check the request before any work.

        Raises:
            UsageError: There is no such product, or none with these names; the file exists, its folder does
                not, its name stands for another format or for none, standard output is a terminal that the
                format is not for, or the condition is not valid.
            ConfigError: The task is broken, or a package that the format needs is not installed.
        """
        if self.names is Names.DR19 and rows_of(self.task) is not Distance:
            raise UsageError(
                f"--names dr19: DR19 has no names for the results of {self.task.name}; leave it out"
            )
        if not self.to_stdout:
            refuse_to_replace(self.path, overwrite=self.overwrite)
        elif sys.stdout.isatty() and self.written_as in _BINARY:
            raise UsageError(
                f"{self.written_as} is not for a terminal: send it to a program or a file, or give "
                "--format csv"
            )
        if self.written_as is Format.PARQUET:
            if is_compressed(self.path):
                raise UsageError(f"{self.path}: Parquet is compressed already: leave out .gz")
            require("pyarrow", "--format parquet", "parquet")
        _ = self.wanted


@dataclass(frozen=True)
class Created:
    """The catalogue that was written."""

    path: Path
    format: Format
    bytes: int
    table: Table
    elapsed_s: float

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        summary, origin = self.table.summary, self.table.origin
        true = summary.true
        return {
            "path": str(self.path),
            "format": self.format.value,
            "bytes": self.bytes,
            "columns": len(self.table.columns),
            "spectra": summary.rows,
            "stars": summary.stars,
            "good": true["good"] if rows_of(self.table.task) is Distance else None,
            "clean": true["clean"] if rows_of(self.table.task) is Distance else None,
            "bad": true.get("flag_bad"),
            "warn": true.get("flag_warn"),
            "flags": {name: true[name] for name in flag_bits(self.table.task)},
            "date": self.table.date,
            "mixed": self.table.mixed,
            "weights": {
                "name": origin and origin.weights_name,
                "sha256": origin and origin.weights_sha256,
            },
            "elapsed_s": round(self.elapsed_s, 3),
        }


def create(
    request: Request,
    database: peewee.Database = configured,
    stop: StopRequest | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Created:
    """Write the catalogue of the results at one moment.

    Args:
        request: The catalogue to write.
        database: The database; by default the configured one.
        stop: A request to stop, checked after every batch.
        on_progress: Called with the numbers of rows written and of all rows.

    Raises:
        UsageError: The request is not valid.
        ConfigError: Results of different weights would mix, a package or a table is missing, or the task is
            broken.
        StorageError: The disk is full, or the folder cannot be written.
        Interrupted: A stop was requested; nothing was written.
    """
    started = time.monotonic()
    request.check()
    task = request.task
    check_task(task)
    if lost := left_out(task):
        log.warning(
            "task %s: no format can hold these columns, which are left out: %s", task.name, ", ".join(lost)
        )
    chosen = columns(task, request.names, mixed=request.mixed)
    with sink(request.path, overwrite=request.overwrite) as stream, snapshot(database):
        rows = Rows(database, task, chosen, request.wanted)
        origins = rows.origins()
        if not request.mixed:
            refuse_mixture(origins)
        summary = rows.summary()
        left = "what was written ends early" if request.to_stdout else "nothing was written"
        read = _read(rows, summary.rows, left, stop, on_progress)
        table = Table(task, chosen, summary, origins, request.names, request.condition or "", read)
        _WRITERS[request.written_as](stream, table)
    size = stream.length if request.to_stdout else request.path.stat().st_size
    return Created(request.path, request.written_as, size, table, time.monotonic() - started)


def _read(
    rows: Rows, total: int, left: str, stop: StopRequest | None, on_progress: Callable[[int, int], None]
) -> Iterator[Batch]:
    """The batches of rows; ``left`` says what a failure leaves behind."""
    done = 0
    for batch in batches(rows.database, rows.select()):
        if stop and stop.reason:
            raise Interrupted(f"stopped by {stop.reason} after {done:,} of {total:,} rows; {left}")
        yield values(batch, rows.columns)
        done += len(batch)
        on_progress(done, total)
    if done != total:
        raise AstraError(f"the database gave {done:,} rows where it had counted {total:,}; {left}")
