"""Packages of other people that offer tasks, as an installer would leave them in a folder.

GOOD        a task and its results, in a table that the package has not made
install()   puts a package where this process finds it
make_table()   makes the table of GOOD
"""

import sys
from pathlib import Path

import peewee
import pytest

from astra.database.connection import is_postgresql

GOOD = '''
from collections.abc import Iterable, Iterator
from astra import task
from astra.fields import FloatField
from astra.models import ApogeeCoaddedSpectrumInApStar, PipelineOutputModel

class GuestResult(PipelineOutputModel):
    """A result without any flag, in a table of its own."""
    pixels = FloatField(help_text="Number of something")

    class Meta:
        indexes = (PipelineOutputModel.UNIQUE,)

@task
def count_pixels(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[GuestResult]:
    for spectrum in spectra:
        yield GuestResult.from_spectrum(spectrum, pixels=float(spectrum.pk))
'''


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *tasks: str) -> None:
    """Install a package ``guest_package`` until the end of the test.

    Args:
        folder: Where; it is made.
        code: Of its only module.
        tasks: Their names, there or not.
    """
    information = folder / "guest_package-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "guest_package.py").write_text(code)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-package\nVersion: 1.0\n")
    points = "".join(f"{name} = guest_package:{name}\n" for name in tasks)
    (information / "entry_points.txt").write_text(f"[astra.tasks]\n{points}")
    # A module that is there already would be taken for this one.
    monkeypatch.setitem(sys.modules, "guest_package", None)
    del sys.modules["guest_package"]
    monkeypatch.syspath_prepend(folder)


def make_table(database: peewee.Database, more: str = "pixels DOUBLE PRECISION") -> None:
    """Make the table of the results of ``GOOD``, as its package would by a migration of its own."""
    moment = "timezone('utc', clock_timestamp())"
    if not is_postgresql(database):
        moment = "(strftime('%Y-%m-%d %H:%M:%f000'))"
    key = "BIGSERIAL" if is_postgresql(database) else "INTEGER"
    database.execute_sql(
        f"CREATE TABLE guest_result (task_pk {key} PRIMARY KEY, "
        "source_pk BIGINT, spectrum_pk BIGINT NOT NULL, run_pk BIGINT, v_astra INTEGER NOT NULL, "
        "v_astra_major_minor BIGINT GENERATED ALWAYS AS (v_astra / 1000) STORED, "
        f"created TIMESTAMP NOT NULL DEFAULT {moment}, modified TIMESTAMP NOT NULL DEFAULT {moment}, "
        "inputs_read TIMESTAMP, source_read TIMESTAMP, "
        "t_elapsed DOUBLE PRECISION, t_overhead DOUBLE PRECISION, tag TEXT, "
        f"{more}, UNIQUE (spectrum_pk, v_astra_major_minor))"
    )
