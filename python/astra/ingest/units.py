"""The units of our columns, and numbers brought into them from those that a table states."""

import functools
from typing import Any

from astra.errors import UsageError

_MAGNITUDES = ("j_mag", "h_mag", "k_mag", "g_mag", "bp_mag", "rp_mag", "ebv")
#: The unit of each number that has one.
UNITS = {
    **dict.fromkeys(("ra", "dec", "l", "b"), "deg"),
    **dict.fromkeys((*_MAGNITUDES, *(f"e_{name}" for name in ("j_mag", "h_mag", "k_mag", "ebv"))), "mag"),
    **dict.fromkeys(("a_k", "sfd_ebv"), "mag"),
    **dict.fromkeys(("plx", "e_plx"), "mas"),
    **dict.fromkeys(("pmra", "e_pmra", "pmde", "e_pmde"), "mas/yr"),
    **dict.fromkeys(("nu_eff_used_in_astrometry", "pseudocolour"), "1/um"),
    **dict.fromkeys(("v_rad", "e_v_rad"), "km/s"),
}
_NO_UNIT = {"", "-", "--", "---", "none", "null", "unknown", "[-]"}


class UnknownUnit(ValueError):
    """Nobody can tell what a unit means."""


def factor(name: str, stated: Any) -> float:
    """What the numbers of a column are to be multiplied with to be in our unit.

    Args:
        name: The column in our tables.
        stated: The unit that the table states, as text or as a unit of astropy; ``None`` if it states none.

    Raises:
        UsageError: It is the unit of something else.
        UnknownUnit: The unit is not known.
    """
    expected = UNITS.get(name)
    text = "" if stated is None else str(stated).strip()
    if expected is None or text.lower() in _NO_UNIT:
        return 1.0
    return _factor(text, expected)


@functools.cache
def _factor(text: str, expected: str) -> float:
    from astropy import units

    unit = _parsed(text)
    if unit is None:
        raise UnknownUnit(text)
    try:
        # To astropy a magnitude is -0.4 dex; a reddening in dex is something else.
        if expected == "mag" and "mag" not in unit.to_string():
            raise units.UnitConversionError(text)
        # To 15 digits: 1000, where the arithmetic of units gives 999.9999999999999.
        return float(f"{unit.to(units.Unit(expected)):.15g}")
    except (units.UnitConversionError, TypeError) as error:
        raise UsageError(f"its unit {text} cannot be converted to {expected}") from error


def _parsed(text: str) -> Any:
    """The unit of astropy; ``None`` if it knows no such unit. Tables of the survey say "degrees"."""
    from astropy import units

    for word in (text, text.removesuffix("s")):
        for syntax in (None, "fits"):
            unit = units.Unit(word, format=syntax, parse_strict="silent")
            if not isinstance(unit, units.UnrecognizedUnit):
                return unit
    return None
