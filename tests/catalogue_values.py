"""What tests of the catalogue share: the size of their survey, and values as plain Python, however read."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from astra.catalogue.columns import Column, Kind

#: Every third star has two spectra.
STARS, SPECTRA = 120, 160

#: For what the file is like, not the rows: both databases give the same file.
of_sqlite = pytest.mark.parametrize("survey", ["sqlite"], indirect=True)


def from_sql(column: Column, values: Any) -> list:
    """Values that a driver gave."""
    if column.kind is Kind.LOGICAL:
        return [None if value is None else bool(value) for value in values]
    if column.kind is Kind.TIME:
        return moments(values)
    # Neither FITS nor CSV knows a difference between no text and an empty one.
    return [None if value == "" else value for value in values]


def from_array(values: Any) -> list:
    """Values of a column of astropy, masked where they are absent."""
    plain = np.ma.asarray(values).tolist()
    texts = [value.decode() if isinstance(value, bytes) else value for value in plain]
    return [None if value == "" or value != value else value for value in texts]


def moments(values: Any) -> list[str]:
    """Moments that a driver gave, as the catalogue writes them."""
    read = (value if isinstance(value, datetime) else datetime.fromisoformat(value) for value in values)
    return [value.isoformat(timespec="microseconds") for value in read]
