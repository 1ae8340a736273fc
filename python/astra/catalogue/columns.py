"""The columns of the catalogue: name, kind, unit, description, UCD, and the field that each comes from.

The words for people are those of the glossary. Two vocabularies of others stand here: the names of the
catalogue that DR19 published, and the UCDs of the Virtual Observatory.
"""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import peewee

from astra.catalogue.options import Names
from astra.models import ApogeeCoaddedSpectrumInApStar as Apogee
from astra.models import Distance, Source, TaskRun
from astra.models.glossary import Glossary

if TYPE_CHECKING:
    from astropy.table import Table


class Kind(enum.Enum):
    """The values of a column, as Arrow calls them; every other format has its own type for each kind."""

    LONG = "int64"
    INT = "int32"
    DOUBLE = "float64"
    LOGICAL = "bool"
    TEXT = "string"
    TIME = "timestamp[us]"  # in UTC


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
_FIRST = """
sdss_id sdss4_apogee_id gaia_dr3_source_id healpix source_pk spectrum_pk product_id release
filetype apred apstar obj telescope field prefix commissioning n_visits snr spectrum_flags v_rad e_v_rad
ra dec l b gaia_release plx e_plx pmra e_pmra pmde e_pmde ruwe
nu_eff_used_in_astrometry pseudocolour astrometric_params_solved g_mag bp_mag rp_mag
j_mag e_j_mag h_mag e_h_mag source_k_mag e_k_mag ph_qual cc_flg source_ebv e_ebv ebv_flags ebv_origin
""".split()
# In `distances`, k_mag, ebv and their errors are the values that were used; there, 0 stands for absent ones.
_OF_THE_SOURCE = {
    "source_k_mag": Source.k_mag,
    "e_k_mag": Source.e_k_mag,
    "source_ebv": Source.ebv,
    "e_ebv": Source.e_ebv,
}
# Where several tables have a column, that of the view is taken, else that of the source.
_FIELDS = Apogee._meta.fields | Source._meta.fields | Distance._meta.fields | _OF_THE_SOURCE

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

#: Names in astraAllStarAstroNNdist-0.6.0.fits by those in the database. The other columns have the same name
#: there, or are not there at all. Source: the data model of SDSS, https://github.com/sdss/datamodel.
PUBLISHED = {
    "source_k_mag": "k_mag",
    "source_ebv": "ebv",
    "l_fakemag": "L_fakemag",
    "e_l_fakemag": "L_fakemag_err",
    "e_model_l_fakemag": "L_fakemag_model_err",
    "dist": "nn_dist",
    "e_dist": "nn_dist_err",
    "e_model_dist": "nn_dist_model_err",
    "e_nn_parallax": "nn_parallax_err",
    "e_model_nn_parallax": "nn_parallax_model_err",
    "plx_zero_point": "gdr3_zeropoint",
    "gaia_parallax": "gdr3_parallax_w_zp",
    "e_gaia_parallax": "gdr3_parallax_err",
    "e_weighted_parallax": "weighted_parallax_err",
    "e_weighted_dist": "weighted_dist_err",
    # Not published; the published k_mag and ebv are those of the source, so these need other names.
    "k_mag": "k_mag_used",
    "ebv": "ebv_used",
}

_DISTANCE = "pos.distance"
_ERROR = "stat.error"
_PARALLAX = "pos.parallax"
_FLAG = "meta.code.qual"
_VERSION = "meta.version"
# Words that the UCD of a value has, and that of its error has not.
_OF_VALUES = ("meta.main", "pos.barycenter", "stat.mean")

#: UCDs (UCD1+, controlled vocabulary, https://www.ivoa.net/documents/UCD1+/) by the name of the column in the
#: database, without the flags of one bit each and most errors (see ``ucd_of``).
UCDS = {
    # > Identifiers
    "sdss_id": "meta.id;meta.main",
    "sdss4_apogee_id": "meta.id",
    "gaia_dr3_source_id": "meta.id.cross",
    "healpix": "pos.healpix",
    "source_pk": "meta.id.assoc",
    "spectrum_pk": "meta.id",
    "product_id": "meta.id;meta.dataset",
    # > Data product
    "release": f"{_VERSION};meta.dataset",
    "filetype": "meta.code.class",
    "apred": f"{_VERSION};meta.software",
    "apstar": f"{_VERSION};meta.software",
    "obj": "meta.id",
    "telescope": "instr.tel",
    "field": "meta.id;obs.field",
    "prefix": "meta.code",
    "commissioning": _FLAG,
    "n_visits": "meta.number;obs",
    "snr": "stat.snr",
    "spectrum_flags": _FLAG,
    "v_rad": "spect.dopplerVeloc;pos.barycenter",
    # > Astrometry
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "l": "pos.galactic.lon",
    "b": "pos.galactic.lat",
    "gaia_release": f"{_VERSION};meta.table",
    "plx": _PARALLAX,
    "pmra": "pos.pm;pos.eq.ra",
    "pmde": "pos.pm;pos.eq.dec",
    "ruwe": "stat.error;pos",
    "nu_eff_used_in_astrometry": "em.wavenumber",
    "pseudocolour": "em.wavenumber",
    "astrometric_params_solved": "meta.number",
    # > Photometry
    "g_mag": "phot.mag;em.opt",
    "bp_mag": "phot.mag;em.opt.B",
    "rp_mag": "phot.mag;em.opt.R",
    "j_mag": "phot.mag;em.IR.J",
    "h_mag": "phot.mag;em.IR.H",
    "k_mag": "phot.mag;em.IR.K",
    "source_k_mag": "phot.mag;em.IR.K",
    "ph_qual": _FLAG,
    "cc_flg": _FLAG,
    # > Extinction
    "ebv": "phot.color.excess",
    "source_ebv": "phot.color.excess",
    "ebv_flags": "meta.code",
    "ebv_origin": "meta.ref",
    "a_k_mag": "phys.absorption;em.IR.K",
    # > Luminosity
    "l_fakemag": "phys.luminosity;em.IR.K",
    "m_ks_abs": "phys.magAbs;em.IR.K",
    # > Distance
    "dist": f"{_DISTANCE};meta.main",
    "e_dist_full": f"{_ERROR};{_DISTANCE}",
    "dist_lo": f"{_DISTANCE};stat.min",
    "dist_hi": f"{_DISTANCE};stat.max",
    "nn_parallax": _PARALLAX,
    "plx_zero_point": f"arith.zp;{_PARALLAX}",
    "gaia_parallax": _PARALLAX,
    "weighted_parallax": f"{_PARALLAX};stat.mean",
    "weighted_dist": f"{_DISTANCE};stat.mean",
    # > Quality
    "result_flags": _FLAG,
    "no_result_reason": "meta.note",
    "primary_spectrum": "meta.code",
    "good": _FLAG,
    # > Provenance
    "task_pk": "meta.record",
    "run_pk": "meta.id.assoc",
    "v_astra": f"{_VERSION};meta.software",
    "created": "time.creation",
    "modified": "time.processing",
    "tag": "meta.note",
    "weights_name": "meta.id;meta.modelled",
    "weights_sha256": "meta.checksum;meta.modelled",
    "seed": "meta.number",
    "n_draws": "meta.number",
    "precision": "meta.code",
    "options": "meta.note",
}


@cache
def columns(names: Names = Names.ASTRA, *, mixed: bool = False) -> tuple[Column, ...]:
    """The columns in the order of the file.

    Args:
        names: Whose names they have.
        mixed: Whether to add the weights, seed, precision and options of each row.
    """
    fields = {key: _FIELDS[key] for key in _FIRST}
    for field in Distance._meta.sorted_fields:
        if field.column_name != "v_astra_major_minor":  # it follows from v_astra
            fields.setdefault(field.column_name, field)
    if mixed:
        fields |= {name: TaskRun._meta.fields[name] for name in TaskRun.IDENTITY}
    published = PUBLISHED if names is Names.DR19 else {}
    return tuple(_column(key, field, published.get(key, key)) for key, field in fields.items())


def empty_table(columns: Sequence[Column]) -> "Table":
    """A table of astropy without rows, with the types, units, descriptions and UCDs of the columns."""
    from astropy import table

    empty = table.Table()
    for column in columns:
        empty[column.name] = table.Column(
            dtype="str" if column.kind in (Kind.TEXT, Kind.TIME) else column.kind.value,
            unit=column.unit,
            description=column.description,
            meta={"ucd": column.ucd},
        )
    return empty


def _column(key: str, field: peewee.Field, name: str) -> Column:
    help_text = getattr(Glossary, key) if key in _OF_THE_SOURCE else field.help_text
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


def ucd_of(name: str) -> str:
    """The UCD of a column.

    Args:
        name: Its name in the database.

    Raises:
        KeyError: The column has none yet: add it above.
    """
    if name.startswith("flag_"):
        return _FLAG
    if name in UCDS:
        return UCDS[name]
    value = UCDS[name.removeprefix("e_").removeprefix("model_")]
    return ";".join([_ERROR, *(word for word in value.split(";") if word not in _OF_VALUES)])
