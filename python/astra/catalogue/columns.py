"""The columns of the catalogue: name, kind, unit, description, UCD, and the field that each comes from."""

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import peewee

from astra.catalogue.options import Names
from astra.catalogue.vocabularies import PUBLISHED, ucd_of
from astra.models import ApogeeCoaddedSpectrumInApStar as Apogee
from astra.models import Distance, Source, TaskRun
from astra.models.glossary import Glossary

if TYPE_CHECKING:
    from astropy.table import Table


class Kind(enum.Enum):
    """The values of a column; each format has its own type for each kind."""

    LONG = "an integer of 8 bytes"
    INT = "an integer of 4 bytes"
    DOUBLE = "a float of 8 bytes"
    LOGICAL = "true or false"
    TEXT = "text"
    TIME = "a moment in UTC"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Its name in the file.
        key: Its name in the query, which is that of the database.
        kind: The kind of its values.
        unit: As ``astropy.units`` writes it, or ``None``.
        description: Its meaning in words, without the unit.
        ucd: Its meaning for programs (UCD1+).
        nullable: Whether a value can be absent.
        field: The field that the values come from.
    """

    name: str
    key: str
    kind: Kind
    unit: str | None
    description: str
    ucd: str
    nullable: bool
    field: peewee.Field


# The first columns of the file; the others of `distances` follow in the order of that view.
_FIRST = (
    (Distance, "sdss_id sdss4_apogee_id gaia_dr3_source_id"),
    (Source, "healpix"),
    (Distance, "source_pk spectrum_pk product_id release"),
    (Apogee, "filetype apred apstar obj"),
    (Distance, "telescope field"),
    (Apogee, "prefix commissioning n_visits"),
    (Distance, "snr spectrum_flags"),
    (Apogee, "v_rad e_v_rad"),
    (Distance, "ra dec l b gaia_release plx e_plx"),
    (Source, "pmra e_pmra pmde e_pmde"),
    (Distance, "ruwe"),
    (Source, "nu_eff_used_in_astrometry pseudocolour astrometric_params_solved g_mag bp_mag rp_mag"),
    (Source, "j_mag e_j_mag h_mag e_h_mag k_mag e_k_mag"),
    (Distance, "ph_qual cc_flg"),
    (Source, "ebv e_ebv"),
    (Distance, "ebv_flags"),
    (Source, "ebv_origin"),
)
# The columns of this name in `distances` hold the values that were used, with 0 for absent ones.
_OF_THE_SOURCE = {"k_mag": "source_k_mag", "ebv": "source_ebv"}
# Follows from v_astra.
_LEFT_OUT = {"v_astra_major_minor"}

_KINDS = (
    (peewee.BooleanField, Kind.LOGICAL),
    (peewee.DateTimeField, Kind.TIME),
    (peewee.DoubleField, Kind.DOUBLE),
    (peewee.TextField, Kind.TEXT),
    # Flags are as wide in every table as in the widest.
    ((peewee.BigIntegerField, peewee.BigAutoField, peewee.ForeignKeyField, peewee.BitField), Kind.LONG),
    (peewee.IntegerField, Kind.INT),
)
_UNIT = re.compile(r" \[[^\[\]]*\]$")


@cache
def columns(names: Names = Names.ASTRA, *, mixed: bool = False) -> tuple[Column, ...]:
    """The columns in the order of the file.

    Args:
        names: Whose names they have.
        mixed: Whether to add the weights, seed and precision of each row.
    """
    published = PUBLISHED if names is Names.DR19 else {}
    return tuple(_column(key, field, published.get(key, key)) for key, field in _fields(mixed))


def empty_table(columns: Sequence[Column]) -> "Table":
    """A table of astropy without rows, with the types, units, descriptions and UCDs of the columns."""
    from astropy.table import Column as AstropyColumn
    from astropy.table import Table

    types = {Kind.LONG: "int64", Kind.INT: "int32", Kind.DOUBLE: "float64", Kind.LOGICAL: "bool"}
    return Table(
        [
            AstropyColumn(
                [],
                column.name,
                types.get(column.kind, "str"),
                unit=column.unit,
                description=column.description,
                meta={"ucd": column.ucd},
            )
            for column in columns
        ]
    )


def _fields(mixed: bool) -> Iterator[tuple[str, peewee.Field]]:
    seen = set(_LEFT_OUT)
    for model, names in _FIRST:
        for name in names.split():
            key = _OF_THE_SOURCE.get(name, name) if model is Source else name
            seen.add(key)
            yield key, model._meta.fields[name]
    for field in Distance._meta.sorted_fields:
        if field.column_name not in seen:
            yield field.column_name, field
    if mixed:
        for name in TaskRun.IDENTITY:
            yield name, TaskRun._meta.fields[name]


def _column(key: str, field: peewee.Field, name: str) -> Column:
    help_text = getattr(Glossary, key) if key in _OF_THE_SOURCE.values() else field.help_text
    return Column(
        name=name,
        key=key,
        kind=next(kind for types, kind in _KINDS if isinstance(field, types)),
        unit=field.unit,
        description=_UNIT.sub("", help_text),
        ucd=ucd_of(key),
        # A spectrum may have no source, a result no run.
        nullable=field.null or field.model in (Source, TaskRun),
        field=field,
    )
