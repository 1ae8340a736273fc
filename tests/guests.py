"""Packages of other people that offer tasks, as an installer would leave them in a folder.

GOOD        a task and its results, in a table that the package has not made
LINES       a task on spectra of its own, with flags, a section of the report and a check for doctor
MIGRATIONS  make the table of GOOD
install()   puts a package where this process finds it
uninstall() takes it away again
make_table()   makes the table of GOOD
"""

import sys
from collections.abc import Mapping
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

LINES = '''
from collections.abc import Iterable, Iterator
from astra import fields, task
from astra.models import FlaggedOutputModel, Source, Spectrum
from astra.models.base import BaseModel

class LineSpectrum(BaseModel):
    """A spectrum of another kind."""
    source = fields.ForeignKeyField(Source, null=True, lazy_load=False, column_name="source_pk")
    spectrum_pk = fields.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    modified = fields.StampField(help_text="When it was changed")

class LineWidth(FlaggedOutputModel):
    """The width of a line in one spectrum."""
    width = fields.FloatField(help_text="Equivalent width of the line [Angstrom]")
    e_width = fields.FloatField(help_text="Error on width [Angstrom]")
    flux = fields.FloatField(help_text="Flux at the bottom of the line [erg/s/cm2/Angstrom]")
    snr = fields.FloatField()
    ripple = fields.FloatField(help_text="Never measured")
    pixels = fields.IntegerField(null=True, help_text="Pixels of the line")
    flag_narrow = FlaggedOutputModel.result_flags.flag(2**0, "Narrower than a pixel")
    flag_shallow = FlaggedOutputModel.result_flags.flag(2**1, "Shallower than <the noise>")
    line_flags = fields.BitField(null=True, help_text="What else is near the line")
    good = fields.BooleanField(null=True, help_text="Whether somebody has looked")
    flag_blended = line_flags.flag(2**0, "Another line is within 1 Angstrom")
    flag_telluric = line_flags.flag(2**3)

    BAD = FlaggedOutputModel.BAD | 2**1
    WARN = 2**0

@task
def line_width(spectra: Iterable[LineSpectrum], *, window: float = 5.0) -> Iterator[LineWidth]:
    """Measure the width of a line in each spectrum.

    Args:
        spectra: Spectra with their sources.
        window: Half of the range that is searched [Angstrom].
    """
    for spectrum in spectra:
        yield LineWidth.from_spectrum(spectrum, width=window / 10, e_width=0.01)

@line_width.reported_by("Width against S/N")
def width_section(rows):
    from astra.report.figures import plot

    canvas = plot("snr", "width [Angstrom]")
    canvas.scatter(rows["snr"], rows["width"], size=4)
    yield f"{(rows['pixels'] > 3).sum()} lines have more than 3 pixels & more."
    yield canvas

@line_width.examined_by
def examine():
    yield "ok", "the list of lines is there"
'''

#: The migrations of GOOD: in its first version it had no column.
MIGRATIONS = {
    "0001_table": """
from astra.models import PipelineOutputModel

def up(migrator, db):
    class GuestResult(PipelineOutputModel):
        class Meta:
            indexes = (PipelineOutputModel.UNIQUE,)

    db.create_tables([GuestResult])
""",
    "0002_pixels": """
from peewee import DoubleField

def up(migrator, db):
    migrator.migrate(migrator.add_column("guest_result", "pixels", DoubleField(null=True)))
""",
}


def install(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    *tasks: str,
    package: str = "guest_package",
    migrations: Mapping[str, str] | None = None,
) -> None:
    """Install a package until the end of the test.

    Args:
        folder: Where; it is made.
        monkeypatch: Undoes it.
        code: Of its only module.
        tasks: Their names, there or not.
        package: The name of that module; with hyphens, the name of the distribution.
        migrations: The code of its migrations by their names; their history is that of ``guest``.
    """
    name = package.replace("_", "-")
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / f"{package}.py").write_text(code)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = "".join(f"{name} = {package}:{name}\n" for name in tasks)
    points = f"[astra.tasks]\n{points}"
    if migrations is not None:
        points += "[astra.migrations]\nguest = guest_migrations\n"
        add_migrations(folder, migrations)
    (information / "entry_points.txt").write_text(points)
    # A module that is there already would be taken for this one.
    monkeypatch.setitem(sys.modules, package, None)
    del sys.modules[package]
    monkeypatch.syspath_prepend(folder)


def add_migrations(folder: Path, migrations: Mapping[str, str]) -> None:
    """Add migrations to a package that has some, as its next version would."""
    for name, code in migrations.items():
        file = folder / "guest_migrations" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)


def uninstall(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what ``install`` has put there; the tables stay."""
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(folder)])


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
        "spectrum_modified TIMESTAMP, source_modified TIMESTAMP, "
        "t_elapsed DOUBLE PRECISION, t_overhead DOUBLE PRECISION, tag TEXT, "
        f"{more}, UNIQUE (spectrum_pk, v_astra_major_minor))"
    )
