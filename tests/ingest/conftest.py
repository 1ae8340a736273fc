"""Small files and tables to ingest."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import peewee
import pytest
from astropy.table import Table
from builders import N_PIXELS, write_apstar

from astra.models import ApogeeCoaddedSpectrumInApStar, Source

OBJ = "2M06154934-0100415"
FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".vot": "votable"}


@pytest.fixture
def real_table(shared: Path) -> Path:
    """3,244 rows of a real DR12 table, joined to Hipparcos."""
    path = shared / "data" / "catalogs" / "APOGEE-allStar-v603-Hipparcos.fits.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


@pytest.fixture
def apstar(tmp_path: Path) -> Callable[..., Path]:
    """Writes small apStar files; equal ``level`` means equal pixels."""

    def write(name: str, level: float = 100.0, **header: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cards = {"OBJID": OBJ, **header}
        return write_apstar(path, np.full(N_PIXELS, level), stacked=False, header=cards)

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes small tables, in the format that the suffix says."""

    def write(name: str, rows: list[dict[str, Any]], **options: Any) -> Path:
        path = tmp_path / name
        columns = dict.fromkeys(key for row in rows for key in row)
        content = Table({key: [row.get(key, "") for row in rows] for key in columns}, **options)
        content.write(path, format=FORMATS.get(path.suffix), overwrite=True)
        return path

    return write


@pytest.fixture
def the_spectrum(db: peewee.Database) -> Callable[[], ApogeeCoaddedSpectrumInApStar]:
    """Reads the only spectrum that there is."""
    return lambda: _only(ApogeeCoaddedSpectrumInApStar)


@pytest.fixture
def the_source(db: peewee.Database) -> Callable[[], Source]:
    """Reads the only source that there is."""
    return lambda: _only(Source)


@pytest.fixture
def made_old(db: peewee.Database) -> Callable[[], None]:
    """Sets all times back, so that a change is seen whatever the clock's resolution."""

    def set_back() -> None:
        for model in (Source, ApogeeCoaddedSpectrumInApStar):
            model.update(modified=datetime(2020, 1, 1)).execute()

    return set_back


@pytest.fixture
def modified(db: peewee.Database) -> Callable[[], list[Any]]:
    """Reads when each source and each spectrum was modified."""
    models = (Source, ApogeeCoaddedSpectrumInApStar)
    return lambda: [dict(model.select(model.pk, model.modified).tuples()) for model in models]


def _only(model: type[peewee.Model]) -> Any:
    (row,) = model.select()
    return row
