"""The catalogue as Parquet, with units, descriptions and UCDs in three forms.

pyarrow reads them from the metadata of each field. In the metadata of the file, programs that know VOParquet
1.0 (IVOA) read them from a VOTable without rows, and astropy from YAML, with the lengths of texts.
"""

import io
from typing import TYPE_CHECKING, BinaryIO

from astra.catalogue.as_votable import document
from astra.catalogue.columns import Column, Kind, empty_table
from astra.catalogue.table import Table
from astra.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow

# Rows in a group, which is written and read in one piece.
_GROUP = 50_000


def check_installed() -> None:
    """Check that pyarrow is installed.

    Raises:
        ConfigError: It is not.
    """
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise ConfigError("--format parquet needs pyarrow: pip install 'astra-distances[parquet]'")


def write(stream: BinaryIO, table: Table) -> None:
    """Write the file to an empty stream."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([_field(column) for column in table.columns], metadata=_metadata(table))
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        waiting: list[pyarrow.RecordBatch] = []
        for batch in table.batches:
            arrays = [_array(values, field) for values, field in zip(batch, schema, strict=True)]
            waiting.append(pyarrow.record_batch(arrays, schema=schema))
            if sum(map(len, waiting)) >= _GROUP:
                writer.write_table(pyarrow.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pyarrow.Table.from_batches(waiting))


def _metadata(table: Table) -> dict[str, str]:
    from astropy.table.meta import get_yaml_from_table

    metadata = {f"astra.{keyword}": str(value) for keyword, value, _ in table.facts()}
    lengths = {column: str(max(1, width)) for column, width in table.summary.widths.items()}
    for column in table.columns:
        if column.kind is Kind.TEXT:
            metadata[f"table::len::{column.name}"] = lengths[column.key]
    metadata["table_meta_yaml"] = "\n".join(get_yaml_from_table(empty_table(table.columns)))
    content = io.BytesIO()
    document(table, lambda column: lengths[column.key]).to_xml(content)
    metadata["IVOA.VOTable-Parquet.version"] = "1.0"
    metadata["IVOA.VOTable-Parquet.content"] = content.getvalue().decode()
    return metadata


def _array(values: list, field: "pyarrow.Field") -> "pyarrow.Array":
    import pyarrow

    if pyarrow.types.is_timestamp(field.type):
        return pyarrow.array(values, pyarrow.string()).cast(field.type)
    return pyarrow.array(values, field.type)


def _field(column: Column) -> "pyarrow.Field":
    import pyarrow

    types = {
        Kind.LONG: pyarrow.int64(),
        Kind.INT: pyarrow.int32(),
        Kind.DOUBLE: pyarrow.float64(),
        Kind.LOGICAL: pyarrow.bool_(),
        Kind.TEXT: pyarrow.string(),
        Kind.TIME: pyarrow.timestamp("us"),
    }
    known = {"description": column.description, "ucd": column.ucd, "unit": column.unit}
    metadata = {name: value for name, value in known.items() if value}
    return pyarrow.field(column.name, types[column.kind], metadata=metadata)
