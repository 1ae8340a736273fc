"""Which of several values of one star is kept: the rule, in one place.

Every value of a source remembers its origin in ``source.origins``. A value replaces another if its
origin is as strong or stronger, so that the outcome does not depend on the order in which files and
tables arrive. From strong to weak:

1. a catalogue (``--catalog``); of two catalogues, the one that was read last;
2. the newest release;
3. within a release: survey spectra before commissioning, a row of an allStar table before the header
   of a file, then the newest reduction, then the last ``product_id`` in alphabetical order;
4. a value of unknown origin: written by hand, or by ``register_spectra``, which only fills absent ones.

An absent value never replaces one that is there. A label describes another value, and comes and
goes with it: ``ebv_flags`` and ``ebv_origin`` with ``ebv``, ``gaia_release`` with ``plx``. One
exception: a parallax from a catalogue that does not state its release keeps the known release.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from astra.spectra.identity import release_rank

CATALOG = "catalog"
_TABLE = "#allstar"
#: The value that each label describes.
LABELS = {"ebv_flags": "ebv", "ebv_origin": "ebv", "gaia_release": "plx"}
_MOST = "*"

Values = dict[str, Any]
Origins = dict[str, str]


def origin_of(product_id: str, *, table: bool) -> str:
    """The origin of values from the header of a file, or from a row of an allStar table."""
    return product_id + _TABLE if table else product_id


@functools.lru_cache(maxsize=10_000)
def strength(origin: str | None) -> tuple:
    """A key that sorts origins from weak to strong."""
    if origin is None:
        return (0,)
    if origin == CATALOG:
        return (2,)
    product_id, table, _ = origin.partition(_TABLE)
    _, release, apred, *_, kind = product_id.split("/")
    # 1.10 is newer than 1.9: text stands at even places, numbers at odd ones.
    parts = re.split(r"(\d+)", apred)
    reduction = tuple(int(part) if place % 2 else part for place, part in enumerate(parts))
    return (1, release_rank(release), release, kind == "s", bool(table), reduction, product_id)


def merge(values: Values, origins: Origins, new: Mapping[str, Any], origin: str | None) -> None:
    """Take over, in place, the values of an origin that is at least as strong as that of the present ones.

    Args:
        values: The values of one source; absent ones are ``None``.
        origins: Their origins; unknown ones are left out.
        new: Values from ``origin``; absent ones are ``None`` or left out.
        origin: The origin of the new values.
    """
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
        for label in (label for label, labelled in LABELS.items() if labelled == name):
            if label in new or not same:
                _set(values, origins, label, new.get(label), origin)


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
    is_open = origins.get("plx") == CATALOG and values.get("gaia_release") is None
    if is_open and known is not None:
        _set(values, origins, "gaia_release", known, CATALOG)
    return is_open and known is not None


def absorb(values: Values, origins: Origins, others: Values, origins_of_others: Origins) -> None:
    """Take over, in place, the values of another source that is the same star."""
    parts: dict[str | None, Values] = {}
    for name, value in others.items():
        parts.setdefault(origins_of_others.get(name), {})[name] = value
    for origin, part in parts.items():
        merge(values, origins, part, origin)


def encode(origins: Origins) -> str | None:
    """The text of ``source.origins``: JSON that names the most frequent origin once, under ``*``."""
    if not origins:
        return None
    most = min(Counter(origins.values()).items(), key=lambda item: (-item[1], item[0]))[0]
    rest = {name: origin for name, origin in sorted(origins.items()) if origin != most}
    return json.dumps({_MOST: most, **rest}, separators=(",", ":"))


def decode(text: str | None, values: Values) -> Origins:
    """The origins of the values that are not absent."""
    if not text:
        return {}
    stated = json.loads(text)
    return {name: stated.get(name, stated[_MOST]) for name, value in values.items() if value is not None}


def _set(values: Values, origins: Origins, name: str, value: Any, origin: str | None) -> None:
    values[name] = value
    if value is None or origin is None:
        origins.pop(name, None)
    else:
        origins[name] = origin
