"""Which of several values of one star is kept: the rule, in one place.

Every value of a source remembers its origin in ``source.origins``. A value replaces another if its
origin is as strong or stronger, so that the outcome does not depend on the order in which files and
tables arrive. From strong to weak:

1. a catalogue (``--catalog``); of two catalogues, the one that was read last;
2. the newest release;
3. within a release: survey spectra before commissioning; the source of the spectrum in a database of SDSS
   Astra before a row of mwmAllStar, which is made from one, before a row of allStar, which has what the
   targeting knew, before the header of a file; then the newest reduction, then the last ``product_id`` in
   alphabetical order;
4. a value of unknown origin: written by hand, or by ``register_spectra``, which only fills absent ones.

A value is withdrawn when its own origin is read again and no longer has it: a catalogue is known by the name
of its file. The absent value of another origin erases nothing. What a weaker origin had for a withdrawn value
is not kept, so it comes when that origin is read again.

A label describes another value, and comes and goes with it: ``e_ebv``, ``ebv_flags`` and ``ebv_origin`` with
``ebv``, ``e_plx`` and ``gaia_release`` with ``plx``, the percentiles of a distance with its median. One
exception: a parallax from a catalogue that does not state its release keeps the known release.
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

from astra.spectra.identity import release_rank

#: The kinds of tables that list spectra: those of a release, and a database of SDSS Astra.
Table = Literal["allStar", "mwmAllStar", "astra"]

_CATALOG = "catalog"
# What stands behind the product_id, from weak to strong: the header of a file has nothing there.
_MARKS = ("", "#allstar", "#mwmallstar", "#astra")
#: The value that each label describes.
LABELS = {
    **dict.fromkeys(("e_ebv", "ebv_flags", "ebv_origin"), "ebv"),
    **dict.fromkeys(("e_plx", "gaia_release"), "plx"),
    **dict.fromkeys(("r_lo_geo", "r_hi_geo"), "r_med_geo"),
    **dict.fromkeys(("r_lo_photogeo", "r_hi_photogeo"), "r_med_photogeo"),
}
_LABELS_OF = {about: [label for label, each in LABELS.items() if each == about] for about in LABELS.values()}
# In texts of the first form: the most frequent origin; the mark of what may be from there or from a hand.
_MOST, _PERHAPS = "*", "~"

Values = dict[str, Any]
Origins = dict[str, str]


def origin_of(product_id: str, *, table: Table | None) -> str:
    """The origin of values from the header of a file, or from a row of a table."""
    return f"{product_id}#{table.lower()}" if table else product_id


def origin_of_catalog(file: str | PurePath) -> str:
    """The origin of values from a catalogue; two files of one name are taken for two versions of it."""
    return f"{_CATALOG}:{PurePath(file).name}"


def is_of_catalog(origin: str | None) -> bool:
    """Whether values of this origin are from a catalogue; older ones do not tell from which."""
    return origin is not None and origin.partition(":")[0] == _CATALOG


@functools.lru_cache(maxsize=10_000)
def strength(origin: str | None) -> tuple:
    """A key that sorts origins from weak to strong."""
    if origin is None:
        return (0,)
    origin = origin.removesuffix(_PERHAPS)
    if is_of_catalog(origin):
        return (2,)
    rank = max(rank for rank, mark in enumerate(_MARKS) if origin.endswith(mark))
    product_id = origin.removesuffix(_MARKS[rank])
    _, release, apred, *_, kind = product_id.split("/")
    # 1.10 is newer than 1.9: text stands at even places, numbers at odd ones.
    parts = re.split(r"(\d+)", apred)
    reduction = tuple(int(part) if place % 2 else part for place, part in enumerate(parts))
    return (1, release_rank(release), release, kind == "s", rank, reduction, product_id)


def merge(values: Values, origins: Origins, new: Mapping[str, Any], origin: str | None) -> None:
    """Take over, in place, the values of an origin that is at least as strong as that of the present ones.

    Args:
        values: The values of one source; absent ones are ``None``.
        origins: Their origins; unknown ones are left out.
        new: Values from ``origin``. A ``None`` withdraws the value that it gave earlier; what is left out
            stays as it is.
        origin: The origin of the new values.
    """
    withdrawn = {name for name, value in new.items() if value is None and origin is not None}
    for name in withdrawn - LABELS.keys():
        if values.get(name) is not None and origins.get(name) == origin:
            for each in (name, *_LABELS_OF.get(name, ())):
                _set(values, origins, each, None, None)
    new = {name: value for name, value in new.items() if value is not None}
    for name, value in new.items():
        about = LABELS.get(name)
        if about and (about in new or values.get(about) is not None):
            continue
        there = values.get(name) is not None
        if there and strength(origin) < strength(origins.get(name)):
            continue
        same = there and origins.get(name) == origin and values[name] == value
        _set(values, origins, name, value, origin)
        for label in _LABELS_OF.get(name, ()):
            # One of another origin beside the same value was written by hand.
            if label in new or not same or origins.get(label) == origin:
                _set(values, origins, label, new.get(label), origin)


def joined(first: Values, second: Values) -> Values:
    """The values in two rows of one origin: those of the first that has one, each with its own labels."""
    there = {name for name, value in first.items() if value is not None}
    filling = {name for name in second if not {name, LABELS.get(name)} & there}
    return first | {name: second[name] for name in filling}


def fill(values: Values, origins: Origins, new: Mapping[str, Any]) -> None:
    """Take over, in place, values of unknown origin that are absent so far, each with its labels.

    Args:
        values: The values of one source; absent ones are ``None``.
        origins: Their origins; unknown ones are left out.
        new: The new values; absent ones are ``None`` or left out.
    """
    lacking = {name for name, value in new.items() if value is not None and values.get(name) is None}
    taken = {name: value for name, value in new.items() if {name, LABELS.get(name)} & lacking}
    merge(values, origins, taken, None)


def keep_release(values: Values, origins: Origins, known: str | None) -> bool:
    """Keep, in place, a known release of Gaia for a parallax from a catalogue that states none.

    Returns:
        Whether a release was kept.
    """
    origin = origins.get("plx")
    is_open = is_of_catalog(origin) and values.get("gaia_release") is None
    if is_open and known is not None:
        _set(values, origins, "gaia_release", known, origin)
    return is_open and known is not None


def absorb(values: Values, origins: Origins, others: Values, origins_of_others: Origins) -> None:
    """Take over, in place, the values of another source that is the same star."""
    parts: dict[str | None, Values] = {}
    for name, value in others.items():
        parts.setdefault(origins_of_others.get(name), {})[name] = value
    for origin, part in parts.items():
        merge(values, origins, part, origin)


def encode(origins: Origins) -> str | None:
    """The text of ``source.origins``: JSON with the names of the values by their origin."""
    names: dict[str, list[str]] = {}
    for name, origin in sorted(origins.items()):
        names.setdefault(origin, []).append(name)
    listed = {origin: " ".join(of_origin) for origin, of_origin in sorted(names.items())}
    return json.dumps(listed, separators=(",", ":")) if listed else None


def decode(text: str | None, values: Values) -> Origins:
    """The origins of the values that are not absent; unknown ones are left out."""
    if not text:
        return {}
    stated = json.loads(text)
    there = [name for name, value in values.items() if value is not None]
    if _MOST in stated:
        return {name: stated.get(name) or _implied(name, stated[_MOST], values) for name in there}
    of_names = {name: origin for origin, names in stated.items() for name in names.split()}
    return {name: of_names[name] for name in there if name in of_names}


def _implied(name: str, origin: str, values: Values) -> str:
    """The origin of a value that a text of the first form does not name.

    That form gives the most frequent origin once for all values, so also for one that was written by hand;
    but none by hand has an ``ebv_origin``.
    """
    is_of_ebv = "ebv" in (name, LABELS.get(name)) and values.get("ebv_origin") is not None
    return origin if is_of_ebv else origin + _PERHAPS


def _set(values: Values, origins: Origins, name: str, value: Any, origin: str | None) -> None:
    values[name] = value
    if value is None or origin is None:
        origins.pop(name, None)
    else:
        origins[name] = origin
