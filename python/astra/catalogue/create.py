"""``astra create``: writes the catalogue from the database to a file."""

import logging
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
from astra.catalogue.options import Format, Names
from astra.catalogue.product import find_product, product_of
from astra.catalogue.query import Rows, refuse_mixture
from astra.catalogue.table import Batch, Table, flag_bits, values
from astra.database.connection import database as configured
from astra.database.sql import batches, snapshot
from astra.errors import AstraError, Interrupted, UsageError
from astra.models import Distance
from astra.models.filters import Filter
from astra.running.ending import StopRequest
from astra.schema.packages import check_task
from astra.system.atomic import output_file, refuse_to_replace
from astra.system.extras import require
from astra.tasks.contract import Task

_WRITERS = {
    Format.FITS: as_fits.write,
    Format.PARQUET: formats.write_parquet,
    Format.VOTABLE: formats.write_votable,
    Format.ECSV: formats.write_ecsv,
    Format.CSV: formats.write_csv,
}
log = logging.getLogger("astra")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The catalogue to write.

    Attributes:
        product: Its name, or that of the task whose results it has.
        output: The file; ``None`` names it after the catalogue and the version, in the current folder.
        format: Its format.
        names: Whose names the columns have.
        mixed: Whether to accept results of different weights, seeds, draws, precisions, options or versions.
        condition: The condition on the rows; ``None`` takes all.
        overwrite: Whether to replace an existing file.
    """

    product: str = "astronn_dist"
    output: Path | None = None
    format: Format = Format.FITS
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
        return self.output or Path(f"{product_of(self.task)}-{astra.__version__}.{self.format.extension}")

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
                not, its name stands for another format, or the condition is not valid.
            ConfigError: The task is broken, or a package that the format needs is not installed.
        """
        if self.names is Names.DR19 and rows_of(self.task) is not Distance:
            raise UsageError(
                f"--names dr19: DR19 has no names for the results of {self.task.name}; leave it out"
            )
        said = Format.of(self.path)
        if said not in (None, self.format):
            raise UsageError(
                f"{self.path} is the name of a {said} file, not of {self.format}: change --output or --format"
            )
        refuse_to_replace(self.path, overwrite=self.overwrite)
        _ = self.wanted
        if self.format is Format.PARQUET:
            require("pyarrow", "--format parquet", "parquet")


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
    with output_file(request.path, overwrite=request.overwrite) as stream, snapshot(database):
        rows = Rows(database, task, chosen, request.wanted)
        origins = rows.origins()
        if not request.mixed:
            refuse_mixture(origins)
        summary = rows.summary()
        read = _read(rows, summary.rows, stop, on_progress)
        table = Table(task, chosen, summary, origins, request.names, request.condition or "", read)
        _WRITERS[request.format](stream, table)
    size = request.path.stat().st_size
    return Created(request.path, request.format, size, table, time.monotonic() - started)


def _read(
    rows: Rows, total: int, stop: StopRequest | None, on_progress: Callable[[int, int], None]
) -> Iterator[Batch]:
    done = 0
    for batch in batches(rows.database, rows.select()):
        if stop and stop.reason:
            raise Interrupted(
                f"stopped by {stop.reason} after {done:,} of {total:,} rows; nothing was written"
            )
        yield values(batch, rows.columns)
        done += len(batch)
        on_progress(done, total)
    if done != total:
        raise AstraError(
            f"the database gave {done:,} rows where it had counted {total:,}; nothing was written"
        )
