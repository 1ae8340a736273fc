"""The catalogue as Parquet: units, descriptions and UCDs are in the metadata of each field."""

from typing import TYPE_CHECKING, BinaryIO

from astra.catalogue.columns import Column, Kind
from astra.catalogue.table import Table
from astra.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow

# Rows of a group: what a reader takes at once, and what is in memory at once.
_GROUP = 50_000


def check_installed() -> None:
    """Stop before the work where pyarrow is not there.

    Raises:
        ConfigError: It is not.
    """
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise ConfigError("--format parquet needs pyarrow: pip install 'astra[parquet]'")


def write(stream: BinaryIO, table: Table) -> None:
    """Write the file.

    Args:
        stream: Empty.
        table: The catalogue.
    """
    import pyarrow
    from pyarrow import parquet

    facts = {f"astra.{keyword}": str(value) for keyword, value, _ in table.facts()}
    schema = pyarrow.schema([_field(column) for column in table.columns], metadata=facts)
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        waiting: list[pyarrow.RecordBatch] = []
        for batch in table.batches:
            arrays = [pyarrow.array(values, field.type) for values, field in zip(batch, schema, strict=True)]
            waiting.append(pyarrow.record_batch(arrays, schema=schema))
            if sum(map(len, waiting)) >= _GROUP:
                writer.write_table(pyarrow.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pyarrow.Table.from_batches(waiting))


def _field(column: Column) -> "pyarrow.Field":
    import pyarrow

    types = {
        Kind.LONG: pyarrow.int64(),
        Kind.INT: pyarrow.int32(),
        Kind.DOUBLE: pyarrow.float64(),
        Kind.LOGICAL: pyarrow.bool_(),
    }
    known = {"description": column.description, "ucd": column.ucd, "unit": column.unit}
    metadata = {name: value for name, value in known.items() if value}
    return pyarrow.field(column.name, types.get(column.kind, pyarrow.string()), metadata=metadata)
