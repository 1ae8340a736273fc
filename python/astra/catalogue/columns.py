"""The columns of the catalogue: name, kind, unit, description, UCD, and the field that each comes from.

The words for people are those of the glossary. Two vocabularies of others stand here: the names of the
catalogue that DR19 published, and the UCDs of the Virtual Observatory.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import peewee
from peewee import fn

from astra.catalogue.options import Names
from astra.ingest.values import EXACT_ZERO_POINTS
from astra.models import AstroNNdist, Distance, PipelineOutputModel, Source, TaskRun, filters
from astra.models.base import BaseModel
from astra.models.fields import Kind, kind_of
from astra.models.glossary import Glossary
from astra.system.processes import silenced
from astra.tasks.conditions import PROVENANCE, measured_fields, qualified, summarized_flags
from astra.tasks.contract import Task

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True)
class Column(filters.Column):
    """One column; its name is that in the file, its key that in the query.

    Attributes:
        unit: As ``astropy.units`` writes it, or ``None``.
        description: Its meaning in words, without the unit.
        ucd: Its meaning for programs (UCD1+).
        nullable: Whether a value can be absent.
        node: The field that the values come from; of a flag, a condition on it.
    """

    unit: str | None
    description: str
    ucd: str
    nullable: bool
    node: peewee.ColumnBase = field(compare=False)


# The first columns of the file; the others of `distances` follow in the order of that view. Of another task,
# those of the source come first.
_FIRST = """
sdss_id sdss4_apogee_id gaia_dr3_source_id healpix source_pk spectrum_pk product_id release
filetype apred apstar obj telescope field prefix commissioning n_visits snr spectrum_flags v_rad e_v_rad
ra dec l b gaia_release plx e_plx pmra e_pmra pmde e_pmde ruwe
nu_eff_used_in_astrometry pseudocolour astrometric_params_solved g_mag bp_mag rp_mag
r_med_geo r_lo_geo r_hi_geo r_med_photogeo r_lo_photogeo r_hi_photogeo
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
_FIELDS = Source._meta.fields | Distance._meta.fields | _OF_THE_SOURCE

_UNIT = re.compile(r" \[([^\[\]]*)\]$")
# Columns of spectra that are there already, or that are for programs.
_INTERNAL = {"source", "source_pk", "spectrum_pk", "created", "modified", "path", "pixels_digest"}

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
    "e_weighted_parallax": "weighted_parallax_err",
    "e_weighted_dist": "weighted_dist_err",
    # Not published; the published k_mag and ebv are those of the source, so these need other names.
    "k_mag": "k_mag_used",
    "ebv": "ebv_used",
}

#: Names there that mean Gaia DR3, likewise. Such a column stands beside ours, and holds its values where the
#: zero-point is exact: neither a parallax of DR2 nor an estimated zero-point.
OF_GAIA_DR3 = {
    "plx_zero_point": "gdr3_zeropoint",
    "gaia_parallax": "gdr3_parallax_w_zp",
    "e_gaia_parallax": "gdr3_parallax_err",
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
    **dict.fromkeys(("r_med_geo", "r_med_photogeo"), f"{_DISTANCE};stat.median"),
    **dict.fromkeys(("r_lo_geo", "r_lo_photogeo"), f"{_DISTANCE};stat.min"),
    **dict.fromkeys(("r_hi_geo", "r_hi_photogeo"), f"{_DISTANCE};stat.max"),
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
    "plx_zero_point_origin": "meta.code",
    "parallax_pull": "stat.fit.residual",
    "gaia_parallax": _PARALLAX,
    "weighted_parallax": f"{_PARALLAX};stat.mean",
    "weighted_dist": f"{_DISTANCE};stat.mean",
    # > The distance to use
    "best_dist": _DISTANCE,
    "best_dist_lo": f"{_DISTANCE};stat.min",
    "best_dist_hi": f"{_DISTANCE};stat.max",
    "best_dist_from": "meta.code",
    # > Coverage
    **dict.fromkeys(("coverage", "coverage_blue", "coverage_green", "coverage_red"), "stat.filling"),
    # > Quality
    "result_flags": _FLAG,
    "no_result_reason": "meta.note",
    "primary_spectrum": "meta.code",
    "good": _FLAG,
    **dict.fromkeys(("not_clean", "not_checked", "gaia_checked", "clean"), _FLAG),
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


def rows_of(task: Task) -> type[BaseModel]:
    """The model of the rows: the results of the task, of ``astronn_dist`` the view ``distances``."""
    return Distance if task.output_model is AstroNNdist else task.output_model


@cache
def columns(task: Task, names: Names = Names.ASTRA, *, mixed: bool = False) -> tuple[Column, ...]:
    """The columns in the order of the file.

    A column of the results keeps its name. One of another table is called after that table as well where its
    name is taken: ``source_k_mag``, ``spectrum_healpix``, ``run_seed``. They are named in this order.

    Args:
        task: The task whose results they are.
        names: Whose names they have.
        mixed: Whether to add the weights, seed, precision and options of each row.
    """
    found = _of_distances() if rows_of(task) is Distance else _of_results(task)
    shown = found if mixed else found[: -len(TaskRun.IDENTITY)]
    return tuple(shown) if names is Names.ASTRA else tuple(_as_published(shown))


def _as_published(found: Iterable[Column]) -> Iterator[Column]:
    """The columns with the names of DR19."""
    is_exact = fn.COALESCE(Distance.plx_zero_point_origin, EXACT_ZERO_POINTS[0]) << EXACT_ZERO_POINTS
    for column in found:
        yield replace(column, name=PUBLISHED.get(column.key, column.key))
        if name := OF_GAIA_DR3.get(column.key):
            # A version that did not say what a zero-point is made from made none but exact ones.
            is_of_dr3 = Distance.plx_zero_point.is_null(False) & is_exact
            node = peewee.Case(None, [(is_of_dr3, column.node)], None)
            text = f"{column.description}; of Gaia DR3 alone, and with an exact zero-point"
            yield replace(column, name=name, key=name, description=text, node=node)


def identity(task: Task) -> tuple[Column, ...]:
    """The columns that ``mixed`` adds: what the numbers of a row depend on."""
    return columns(task, mixed=True)[-len(TaskRun.IDENTITY) :]


def left_out(task: Task) -> list[str]:
    """The columns of spectra and results that no format can hold, as JSON and bytes."""
    return [
        each.column_name
        for each in (*_observed(task), *measured_fields(task.output_model))
        if not kind_of(each)
    ]


def empty_table(columns: Sequence[Column]) -> "Table":
    """A table of astropy without rows, with the types, units, descriptions and UCDs of the columns."""
    from astropy import table

    empty = table.Table()
    for column in columns:
        empty[column.name] = table.Column(
            dtype="str" if column.kind in (Kind.TEXT, Kind.TIME) else column.kind.value,
            unit=column.unit,
            description=column.description,
            meta={"ucd": column.ucd} if column.ucd else None,
        )
    return empty


def _of_distances() -> list[Column]:
    fields = {key: _FIELDS[key] for key in _FIRST}
    for each in Distance._meta.sorted_fields:
        if each.column_name != "v_astra_major_minor":  # it follows from v_astra
            fields.setdefault(each.column_name, each)
    fields |= {name: TaskRun._meta.fields[name] for name in TaskRun.IDENTITY}
    return [_column(key, each) for key, each in fields.items()]


def _of_results(task: Task) -> list[Column]:
    results, of_source = task.output_model._meta.columns, Source._meta.columns | _OF_THE_SOURCE
    flags = _flags(task.output_model)
    taken = {key.lower() for key in (*results, *flags)}

    def named(table: str, fields: Iterable[peewee.Field]) -> Iterator[Column]:
        return (_column(key, each) for key, each in qualified(table, fields, taken))

    return [
        *named("source", (of_source[key] for key in _FIRST if key in of_source)),
        *(_column(key, results[key]) for key in ("source_pk", "spectrum_pk")),
        *named("spectrum", filter(kind_of, _observed(task))),
        *(_column(each.column_name, each) for each in filter(kind_of, measured_fields(task.output_model))),
        *flags.values(),
        *(_column(key, results[key]) for key in PROVENANCE),
        *named("run", (TaskRun._meta.fields[name] for name in TaskRun.IDENTITY)),
    ]


def _observed(task: Task) -> Iterator[peewee.Field]:
    """What the tables of spectra, all that the task takes, say of a spectrum."""
    first, *others = task.spectrum_models
    for each in first._meta.sorted_fields:
        has_all = all(each.column_name in model._meta.columns for model in others)
        if has_all and not each.primary_key and _INTERNAL.isdisjoint((each.name, each.column_name)):
            yield each


def _flags(results: type[PipelineOutputModel]) -> dict[str, Column]:
    """A logical column for each flag, and for what several of them make."""
    return {
        name: Column(name, name, Kind.LOGICAL, None, text, _FLAG, nullable=False, node=node)
        for name, (node, text) in summarized_flags(results).items()
    }


def _column(key: str, field: peewee.Field) -> Column:
    help_text = getattr(Glossary, key) if _OF_THE_SOURCE.get(key) is field else field.help_text or ""
    has_known_meaning = _has_known_meaning(field)
    unit = found[1] if (found := _UNIT.search(help_text)) else None
    if unit and not (has_known_meaning or _is_unit(unit)):
        unit = None
    return Column(
        name=key,
        key=key,
        kind=kind_of(field),
        unit=unit,
        description=_UNIT.sub("", help_text) if unit else help_text,
        ucd=ucd_of(field.column_name) if has_known_meaning else "",
        # A spectrum may have no source, a result no run.
        nullable=field.null or field.model in (Source, TaskRun),
        node=field,
    )


def _has_known_meaning(field: peewee.Field) -> bool:
    """Whether a field means what its name means in this package."""
    is_ours = field.model.__module__.startswith("astra.")
    return is_ours or (field.help_text or "") == getattr(Glossary, field.name, None)


def _is_unit(text: str) -> bool:
    """Whether FITS and VOTable know a unit, which they must to have it apart from the description."""
    from astropy import units

    try:
        with silenced():  # astropy warns of units that these formats advise against, such as Angstrom
            return all(units.Unit(text).to_string(each) for each in ("fits", "vounit"))
    except (ValueError, TypeError):
        return False


def ucd_of(name: str) -> str:
    """The UCD of a column by its name in the database; empty where none is known."""
    if name.startswith("flag_"):
        return _FLAG
    if name in UCDS or not name.startswith("e_"):
        return UCDS.get(name, "")
    value = UCDS.get(name.removeprefix("e_").removeprefix("model_"))
    return value and ";".join([_ERROR, *(word for word in value.split(";") if word not in _OF_VALUES)]) or ""
