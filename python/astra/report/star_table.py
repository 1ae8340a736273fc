"""What the page says of each star that a figure shows as a point, and where its own page is."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from astra.models import AstroNNdist, Distance
from astra.models.apogee import ApogeeSpectrum
from astra.models.fields import flags_of
from astra.report.contents import Contents
from astra.report.page import number, share

#: The folder of the pages of single stars, beside the report.
FOLDER = "stars"

#: Of the view, besides what the contents have.
_NAMES = ("spectrum_pk", "task_pk", "sdss4_apogee_id", "obj", "sdss_id", "ra", "dec", "gaia_dr3_source_id")

_AT_ONCE = 500  # keys in a query


def star_table(contents: Contents, *, has_pages: bool = False) -> dict[str, list[Any]]:
    """Columns of texts about all results that are pointed at; only within ``snapshot``.

    Args:
        contents: Of the page, when all of its figures are made.
        has_pages: Whether each star has a page of its own, in ``FOLDER``.
    """
    shown = range(len(contents.rows)) if has_pages else sorted(contents.pointed.shown)
    index = np.array(shown, np.int64)
    known = _names(contents.rows["spectrum_pk"][index].tolist())
    pulls = np.full(len(contents.rows), np.nan)
    pulls[contents.parallaxes.index] = contents.parallaxes.pull
    flags = [*_flags("result_flags", AstroNNdist), *_flags("spectrum_flags", ApogeeSpectrum)]
    described = [
        {"star": place} | _described(contents, place, known[int(contents.rows["spectrum_pk"][place])])
        | {"pull": number(pulls[place], "+.1f"), "flags": _quality(contents, place, flags)}
        for place in index.tolist()
        if int(contents.rows["spectrum_pk"][place]) in known
    ]  # fmt: skip
    if has_pages:
        for each in described:
            each["page"] = address(each["name"]) if each["id"] else ""
    return {name: [each[name] for each in described] for name in described[0]} if described else {}


def address(star: str) -> str:
    """Where the report links the page of a star."""
    return f"{FOLDER}/{quote(file_name(star))}"


def file_name(star: str) -> str:
    """The file of the page of a star, whatever it is called."""
    return f"{quote(star, safe='+')}.html"


def names_and_ids(contents: Contents) -> dict[str, str]:
    """The names of all stars that have an identifier, and what ``read_star`` finds each by."""
    found = _names(contents.rows["spectrum_pk"].tolist()).values()
    return {_name(row): _id(row) for row in found if _id(row)}


def names_of(spectra: list[int]) -> list[str]:
    """What the stars of few spectra are called."""
    found = _names(spectra)
    return [_name(found[key]) for key in spectra]


def _name(row: Mapping[str, Any]) -> str:
    return row["sdss4_apogee_id"] or row["obj"]


def _id(row: Mapping[str, Any]) -> str:
    return str(row["sdss4_apogee_id"] or row["sdss_id"] or "")


def _names(spectra: list[int]) -> Mapping[int, dict[str, Any]]:
    found = {}
    for start in range(0, len(spectra), _AT_ONCE):
        query = Distance.select(*(getattr(Distance, name) for name in _NAMES))
        for row in query.where(Distance.spectrum_pk << spectra[start : start + _AT_ONCE]).dicts():
            found[row["spectrum_pk"]] = row
    return found


def _described(contents: Contents, place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    rows = contents.rows
    dist, error = rows["dist"][place], rows["e_dist"][place]
    # Without Ks the row has the distance for Ks = 0, which means nothing.
    has_distance = rows["k_mag"][place] != 0 and dist > 0
    parallax = f"{number(rows['plx'][place], '.3f')} ± {number(rows['e_plx'][place], '.3f')} mas"
    return {
        "task": row["task_pk"],
        "name": _name(row),
        "id": _id(row),
        "dist": f"{number(dist, ',.0f')} ± {number(error, ',.0f')} pc ({share(error / dist)})"
        if has_distance
        else "–",
        "m_ks": number(rows["m_ks_abs"][place], ".2f"),
        "snr": number(rows["snr"][place], ".0f"),
        "a_k": number(rows["A_k_mag"][place], ".3f"),
        "plx": parallax if np.isfinite(rows["plx"][place]) else "–",
        "place": f"{number(row['ra'], '.5f')}, {number(row['dec'], '+.5f')}",
        "gaia": str(row["gaia_dr3_source_id"] or "–"),
    }


def _flags(column: str, model: type) -> Iterator[tuple[str, int, str]]:
    for name, flag in flags_of(model, column).items():
        yield column, flag.value, name.removeprefix("flag_")


def _quality(contents: Contents, place: int, flags: list[tuple[str, int, str]]) -> str:
    rows = contents.rows
    said = "clean" if rows["clean"][place] else "good, not clean" if rows["good"][place] else "not good"
    named = [name for column, bit, name in flags if rows[column][place] & bit]
    return f"{said}: {', '.join(named)}" if named else said
