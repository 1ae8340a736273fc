"""E(B-V) and its origin, from the columns of an allStar table or the cards of a header.

``auto`` takes AK_TARG, the A_K of the target selection with which the published network was trained, or
SFD_EBV where there is none. A small negative AK_TARG is a measurement of almost no extinction: it is stored,
and counts as 0 in a distance. The dust map would give the extinction through all of the Galaxy instead.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from astra.errors import UsageError
from astra.models import Source
from astra.spectra.photometry import A_K_PER_EBV

Preference = Literal["auto", "ak_targ", "sfd"]
_COLUMNS = ("ebv", "ebv_flags", "ebv_origin")
_METHODS = (
    ("RJCE_IRAC", Source.flag_ebv_from_rjce_glimpse.value),
    ("RJCE_WISE", Source.flag_ebv_from_rjce_allwise.value),
    ("SFD", Source.flag_ebv_from_sfd.value),
)


def checked_preference(preference: str) -> Preference:
    """The preference, if it is valid.

    Raises:
        UsageError: No such preference.
    """
    if preference not in get_args(Preference):
        raise UsageError(
            f"unknown extinction: {preference!r}; it is one of {', '.join(get_args(Preference))}"
        )
    return preference


def reddening(
    values: Mapping[str, list], names: Mapping[str, str], preference: Preference
) -> dict[str, list]:
    """The columns ``ebv``, ``ebv_flags`` and ``ebv_origin`` of some stars.

    Args:
        values: The values by the names of ``spellings.TARGETING``; absent ones are ``None``.
        names: The names in the table or the header, by the same names.
        preference: Which of AK_TARG and SFD_EBV to take.
    """
    if not values:
        return {}
    absent = [None] * len(next(iter(values.values())))
    columns = (values.get(name, absent) for name in ("a_k", "a_k_method", "sfd_ebv"))
    found = []
    for targeting, method, map_value in zip(*columns, strict=True):
        if targeting is not None and preference != "sfd":
            origin = names["a_k"].upper() + (f" ({method})" if method else "")
            found.append((targeting / A_K_PER_EBV, _flag(method), origin))
        elif map_value is not None and preference != "ak_targ":
            found.append((map_value, Source.flag_ebv_from_sfd.value, names["sfd_ebv"].upper()))
        else:
            found.append((None, None, None))
    return {name: [row[place] for row in found] for place, name in enumerate(_COLUMNS)}


def _flag(method: str | None) -> int:
    return next((flag for start, flag in _METHODS if (method or "").startswith(start)), 0)
