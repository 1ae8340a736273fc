"""All that the database knows of a star: what ``astra show`` says.

Absent values are left out of the lines, and ``None`` in the object for programs.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peewee
from peewee import fn

from astra.errors import AstraError, ConfigError
from astra.models import APOGEE, AstroNNdist, Distance, Source, TaskRun
from astra.models.base import BaseModel, spectra_of
from astra.models.explain import flags_set, why_not_clean
from astra.models.fields import flags_of, kind_of
from astra.models.links import links_of, sexagesimal
from astra.models.pipeline import PipelineOutputModel, is_newest
from astra.schema.packages import check_task
from astra.spectra.identity import SIMULATED_FIELD, absolute
from astra.system.version import version_integer_to_string
from astra.tasks.conditions import measured_fields
from astra.tasks.contract import Task
from astra.tasks.installed import installed_tasks
from astra.tasks.star_names import plainly, sources_by_name, unknown

_NAMES = ("sdss_id", "sdss4_apogee_id", "gaia_dr3_source_id")
_PLACE = ("ra", "dec", "l", "b", "healpix")
_PHOTOMETRY = (
    *("j_mag", "e_j_mag", "h_mag", "e_h_mag", "k_mag", "e_k_mag", "ph_qual", "cc_flg"),
    *("g_mag", "bp_mag", "rp_mag"),
)
_EXTINCTION = ("ebv", "e_ebv", "ebv_origin", "ebv_flags")
_GAIA = ("gaia_release", "plx", "e_plx", "pmra", "e_pmra", "pmde", "e_pmde", "ruwe")
_OTHERS = ("r_med_geo", "r_lo_geo", "r_hi_geo", "r_med_photogeo", "r_lo_photogeo", "r_hi_photogeo")
# Of a spectrum, what its model has of these.
_SPECTRUM = (
    *("product_id", "release", "filetype", "telescope", "field", "obj", "n_visits", "snr"),
    *("v_rad", "e_v_rad", "spectrum_flags"),
)
_GAIA_NAME = re.compile(r"(?:gaia\s*)?(?:e?dr3\s*)?(\d+)", re.IGNORECASE)


def known_of(name: str) -> dict[str, Any]:
    """All that is known of one star.

    Args:
        name: An sdss_id, an APOGEE id, a name of 2MASS or an identifier of Gaia DR3, in any case.

    Returns:
        The object that ``--json`` prints.

    Raises:
        UsageError: There is no such star in the database.
    """
    sources, obj = _found(name)
    own = list(Source.select().where(Source.pk << sources).order_by(Source.pk))
    stars = [_star(each) for each in own]
    rows = list(_spectra(sources, obj))
    results = list(_results([row.spectrum_pk for row in rows]))
    is_simulated = any(getattr(row, "field", None) == SIMULATED_FIELD for row in rows)
    return {
        "asked": name,
        "name": _name_of(stars, rows),
        "is_simulated": is_simulated,
        "stars": stars,
        "spectra": [_spectrum(row, [each for pk, each in results if pk == row.spectrum_pk]) for row in rows],
        "links": {}
        if is_simulated
        else {name: page for each in own for name, page in links_of(each).items()},
    }


# > Which star is meant


def _found(name: str) -> tuple[list[int], str]:
    """The keys of its sources, and the name of its spectra without a source."""
    plain = name.strip()
    for candidate in dict.fromkeys((plain, plainly(plain))):
        if found := sources_by_name([candidate]).get(candidate):
            return found, candidate
    if gaia := _GAIA_NAME.fullmatch(plain):
        number = int(gaia[1]) if len(gaia[1]) < 20 else 0
        rows = Source.select(Source.pk).where(Source.gaia_dr3_source_id == min(number, 2**63 - 1)).tuples()
        if found := [pk for (pk,) in rows]:
            return found, plain
    return _found_in_any_case(plain)


def _found_in_any_case(name: str) -> tuple[list[int], str]:
    """The same, without an index."""
    lowered = name.lower()
    same = fn.LOWER(Source.sdss4_apogee_id) == lowered
    if found := list(Source.select(Source.pk, Source.sdss4_apogee_id).where(same).tuples()):
        return [pk for pk, _ in found], found[0][1]
    for model in APOGEE:
        spectra = list(model.select(model.source, model.obj).where(fn.LOWER(model.obj) == lowered).tuples())
        if spectra:
            return [pk for pk in dict.fromkeys(pk for pk, _ in spectra) if pk is not None], spectra[0][1]
    raise unknown(name)


# > What the database has


def _star(row: Source) -> dict[str, Any]:
    groups = {"photometry": _PHOTOMETRY, "extinction": _EXTINCTION, "gaia": _GAIA, "bailer_jones": _OTHERS}
    return {
        "source_pk": row.pk,
        "names": _plain(row, _NAMES),
        "coordinates": _plain(row, _PLACE),
        **{group: _plain(row, names) for group, names in groups.items()},
        "ebv_flags_set": flags_set(Source, "ebv_flags", row.ebv_flags),
    }


def _spectra(sources: list[int], obj: str) -> Iterator[BaseModel]:
    for key, model in spectra_of(Source):
        mine = key << sources
        if model in APOGEE:
            mine |= key.is_null() & (model.obj == obj)
        yield from model.select().where(mine).order_by(model.spectrum_pk)


def _spectrum(row: BaseModel, results: list[dict[str, Any]]) -> dict[str, Any]:
    model, path = type(row), getattr(row, "path", None)
    try:
        place: Path | None = absolute(path)
    except AstraError:
        place = None
    is_flagged = "spectrum_flags" in model._meta.fields
    return {
        "spectrum_pk": row.spectrum_pk,
        "model": model.__name__,
        **_plain(row, _SPECTRUM),
        "path": str(place or path) if path else None,
        "is_there": place is not None and place.is_file(),
        "flags": flags_set(model, "spectrum_flags", row.spectrum_flags) if is_flagged else {},
        "results": results,
    }


def _results(spectra: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The newest result of each task for each spectrum."""
    for name, task in installed_tasks().items():
        try:
            if not isinstance(task, Task):
                raise task
            check_task(task)
        except ConfigError as error:
            yield from ((pk, {"task": name, "error": str(error)}) for pk in spectra)
            continue
        rows = task.output_model
        for row in rows.select().where(rows.spectrum_pk << list(spectra), is_newest(rows)):
            yield row.spectrum_pk, _result(name, row)


def _result(task: str, row: PipelineOutputModel) -> dict[str, Any]:
    model, run = type(row), TaskRun.get_or_none(TaskRun.pk == row.run_pk)
    flags = {name: flag.help_text or "" for name, flag in model.counted_flags().items() if getattr(row, name)}
    result = {
        "task": task,
        "version": version_integer_to_string(row.v_astra),
        "run_pk": row.run_pk,
        "weights_name": run and run.weights_name,
        "modified": row.modified,
        "no_result_reason": getattr(row, "no_result_reason", None),
        "flags": flags,
    }
    columns = {flag.field.name for flag in flags_of(model).values()} | {"no_result_reason"}
    fields = [each for each in measured_fields(model) if kind_of(each) and each.name not in columns]
    if model is not AstroNNdist:
        values = {each.column_name: _absent(getattr(row, each.name)) for each in fields}
        return result | {"values": values, "units": _units(fields)}
    seen = Distance.get(Distance.spectrum_pk == row.spectrum_pk)
    fields += [Distance.m_ks_abs, Distance.e_m_ks_abs]
    values = {each.column_name: _absent(getattr(seen, each.name)) for each in fields}
    fit = {name: getattr(seen, name) for name in ("good", "clean", "primary_spectrum")}
    reasons = why_not_clean(row.result_flags, row.not_clean, seen.spectrum_flags, seen.release)
    return result | fit | {"why_not_clean": reasons, "values": values, "units": _units(fields)}


def _units(fields: Iterable[peewee.Field]) -> dict[str, str]:
    return {each.column_name: each.unit for each in fields if getattr(each, "unit", None)}


def _plain(row: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    return {name: _absent(getattr(row, name)) for name in names if hasattr(row, name)}


def _absent(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _name_of(stars: list[dict[str, Any]], rows: list[BaseModel]) -> str:
    named = [star["names"]["sdss4_apogee_id"] or star["names"]["sdss_id"] for star in stars]
    named += [getattr(row, "obj", None) for row in rows]
    return str(next(filter(None, named), "a star without a name"))


# > As text

#: A line is a label and a text; without a text, the label is a heading.
Line = tuple[str, str]


def lines(found: Mapping[str, Any]) -> list[Line]:
    """What is known, line by line, the absent left out."""
    said: list[Line] = []
    for star in found["stars"]:
        said += _of_star(star)
    if not found["stars"]:
        said.append(("star", "the table of stars has none: its spectra stand alone"))
    if not found["spectra"]:
        said.append(("spectra", "none is registered"))
    for spectrum in found["spectra"]:
        said += _of_spectrum(spectrum)
    return said


def _of_star(star: Mapping[str, Any]) -> Iterator[Line]:
    names, place, phot, gaia = star["names"], star["coordinates"], star["photometry"], star["gaia"]
    identifiers = (("sdss_id", names["sdss_id"]), ("Gaia DR3", names["gaia_dr3_source_id"]))
    if known := [f"{label} {value}" for label, value in identifiers if value is not None]:
        yield "names", ", ".join(known)
    if place["ra"] is not None and place["dec"] is not None:
        yield (
            "position",
            f"{_sexagesimal(place['ra'], place['dec'])} = {place['ra']:.5f} {place['dec']:+.5f} deg",
        )
    if place["l"] is not None and place["b"] is not None:
        yield "Galaxy", f"l, b = {place['l']:.4f} {place['b']:+.4f} deg"
    bands = [_value(phot, f"{band.lower()}_mag", ".3f", band) for band in ("J", "H", "K")]
    if known := list(filter(None, bands)):
        codes = ((name, phot[name]) for name in ("ph_qual", "cc_flg"))
        quality = "".join(f", {name} {code}" for name, code in codes if code)
        yield "2MASS", f"{', '.join(known)} mag{quality}".replace("K ", "Ks ")
    optical = [_value(phot, f"{band.lower()}_mag", ".3f", band) for band in ("G", "BP", "RP")]
    if known := list(filter(None, optical)):
        yield "Gaia", f"{', '.join(known)} mag"
    yield "extinction", _of_extinction(star)
    if gaia["plx"] is not None:
        release = f" ({gaia['gaia_release'].upper()})" if gaia["gaia_release"] else ""
        ruwe = "" if gaia["ruwe"] is None else f", RUWE {gaia['ruwe']:.3f}"
        yield "parallax", f"{_value(gaia, 'plx', '.4f', '')} mas{release}{ruwe}"
    if gaia["pmra"] is not None and gaia["pmde"] is not None:
        motion = ", ".join(_value(gaia, name, ".3f", "") for name in ("pmra", "pmde"))
        yield "motion", f"{motion} mas/yr"
    theirs = star["bailer_jones"]
    for kind, words in (("geo", "geometric"), ("photogeo", "photogeometric")):
        middle, low, high = (theirs[f"r_{part}_{kind}"] for part in ("med", "lo", "hi"))
        if middle is not None:
            ends = "" if None in (low, high) else f" ({low:,.0f} to {high:,.0f})"
            yield "Bailer-Jones", f"{middle:,.0f} pc{ends}, {words}"


def _of_extinction(star: Mapping[str, Any]) -> str:
    values = star["extinction"]
    if values["ebv"] is None:
        return "not known"
    meanings = [text.removeprefix("E(B-V) ").removeprefix("is ") for text in star["ebv_flags_set"].values()]
    origin = meanings or [f"from {values['ebv_origin']}"] * bool(values["ebv_origin"])
    return ", ".join([f"{_value(values, 'ebv', '.3f', 'E(B-V)')} mag", *origin])


def _of_spectrum(spectrum: Mapping[str, Any]) -> Iterator[Line]:
    snr, visits, name = (spectrum.get(key) for key in ("snr", "n_visits", "product_id"))
    yield f"spectrum {name or spectrum['spectrum_pk']}", ""
    facts = [spectrum.get("telescope"), spectrum.get("release")]
    facts += [f"field {spectrum['field']}" if spectrum.get("field") else ""]
    facts += ["" if snr is None else f"S/N {snr:.0f}"]
    facts += ["" if visits is None else f"{visits} {'visit' if visits == 1 else 'visits'}"]
    velocity = _value(spectrum, "v_rad", ".2f", "v_rad") if spectrum.get("v_rad") is not None else ""
    facts += [velocity and f"{velocity} km/s"]
    if known := [str(fact) for fact in facts if fact]:
        yield "", ", ".join(known)
    if path := spectrum["path"]:
        yield "file", path if spectrum["is_there"] else f"{path} (not there)"
    yield from (("flag", f"{name}: {meaning}") for name, meaning in spectrum["flags"].items())
    if not spectrum["results"]:
        yield "", "no result: astra run measures it"
    for result in spectrum["results"]:
        yield from _of_result(result)


def _of_result(result: Mapping[str, Any]) -> Iterator[Line]:
    if "error" in result:
        yield result["task"], result["error"]
        return
    weights = f", weights {result['weights_name']}" if result["weights_name"] else ""
    yield result["task"], f"version {result['version']}{weights}, {result['modified']:%Y-%m-%d %H:%M} UTC"
    if "clean" in result:
        yield from _of_distance(result)
        return
    if result["no_result_reason"]:
        yield "no result", result["no_result_reason"]
    for name, value in result["values"].items():
        if value is not None and not name.startswith("e_"):
            unit = result["units"].get(name, "")
            yield name, f"{_value(result['values'], name, '.5g', '')} {unit}".rstrip()
    yield from (("flag", f"{name}: {meaning}") for name, meaning in result["flags"].items())


def _of_distance(result: Mapping[str, Any]) -> Iterator[Line]:
    """In the words of `astra distance`."""
    from astra.stars.text import lines_of

    names = {name.lower(): name for name in AstroNNdist._meta.fields}
    values = {
        names.get(name, name): math.nan if value is None and name not in _TEXTS else value
        for name, value in result["values"].items()
    }
    flags = {name: name in result["flags"] for name in AstroNNdist.flag_names()}
    flags["flag_bad"] = any(
        AstroNNdist.counted_flags()[name].value & AstroNNdist.BAD for name in result["flags"]
    )
    own = {name: result[name] for name in ("no_result_reason", "good", "clean", "why_not_clean")}
    yield from lines_of(SimpleNamespace(**values, **flags, **own, flags=result["flags"]))
    if not result["primary_spectrum"]:
        yield "", "not the best spectrum of its star"


_TEXTS = {"plx_zero_point_origin", "best_dist_from"}


def _value(values: Mapping[str, Any], name: str, form: str, label: str) -> str:
    """A value with its error, after its label; empty where there is none."""
    value, error = values.get(name), values.get(f"e_{name}")
    if value is None:
        return ""
    if not isinstance(value, float):
        form = ""
    shown = f"{value:{form}}" + ("" if error is None else f" ± {error:{form}}")
    return f"{label} {shown}".strip()


def _sexagesimal(ra: float, dec: float) -> str:
    """Hours and degrees, with minutes and seconds, as others read them."""
    hours, degrees = sexagesimal(ra % 360 / 15, 2), sexagesimal(abs(dec), 1)
    sign = "-" if dec < 0 else "+"
    return "{:02d}:{:02d}:{} ".format(*hours) + sign + "{:02d}:{:02d}:{}".format(*degrees)
