"""Tables in Parquet files, read in pieces."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astra.damage import check_yaml, importing
from astra.ingest.tables.table import Table, check_unique, read_errors
from astra.system.extras import require

if TYPE_CHECKING:
    import pyarrow

PARQUET_MAGIC = b"PAR1"
# Bytes that are read at a time, of each column.
_BUFFER = 1 << 16


class ParquetTable(Table):
    """The table of a Parquet file."""

    def __init__(self, path: Path) -> None:
        """Read what the file says of itself.

        Raises:
            ConfigError: The package pyarrow is missing.
            UsageError: The file cannot be read, or is damaged.
        """
        require("pyarrow", str(path), "parquet", "save it as CSV")
        with importing("pyarrow"):
            from pyarrow import parquet

        self._path = path
        with read_errors(path):
            # Buffered, without reading ahead: a group of rows may be as large as the file.
            options = {"buffer_size": _BUFFER, "pre_buffer": False, "page_checksum_verification": True}
            self._file = parquet.ParquetFile(path, **options)
            schema = self._file.schema_arrow
            self.units = {field.name: _unit(field) for field in schema if _is_scalar(field.type)}
            self.units |= _units_of_astropy(schema.metadata or {}, self.units)

    def __len__(self) -> int:
        return self._file.metadata.num_rows

    def pieces(self, columns: Collection[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
        check_unique(self._path, columns, self._file.schema_arrow.names)
        with read_errors(self._path):
            for batch in self._file.iter_batches(rows, columns=list(columns)):
                yield {name: _values(batch.column(name)) for name in columns}


def _is_scalar(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_scalar(kind.value_type)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return is_text or is_number or types.is_boolean(kind) or types.is_binary(kind)


def _unit(field: "pyarrow.Field") -> str | None:
    """The unit in the metadata of a column, where our own catalogue has it."""
    unit = (field.metadata or {}).get(b"unit")
    return None if unit is None else unit.decode("utf-8", "replace")


def _units_of_astropy(metadata: Mapping[bytes, bytes], there: Collection[str]) -> dict[str, str]:
    """The units in the metadata of a file that astropy has written."""
    text = metadata.get(b"table_meta_yaml")
    if text is None:
        return {}
    from astropy.table.meta import get_header_from_yaml

    check_yaml(text.decode())
    described = get_header_from_yaml(text.decode().splitlines())["datatype"]
    return {each["name"]: str(each["unit"]) for each in described if each["name"] in there and "unit" in each}


def _values(column: "pyarrow.Array") -> np.ndarray:
    """The values of a column; absent numbers are masked, so that integers stay integers."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_decimal(column.type):
        # As text it keeps all its digits.
        column = column.cast(pyarrow.string())
    if not column.null_count or not (types.is_integer(column.type) or types.is_boolean(column.type)):
        return column.to_numpy(zero_copy_only=False)
    absent = column.is_null().to_numpy(zero_copy_only=False)
    filled = column.fill_null(False if types.is_boolean(column.type) else 0)
    return np.ma.array(filled.to_numpy(zero_copy_only=False), mask=absent)
