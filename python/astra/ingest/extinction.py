"""E(B-V) from the columns of an allStar table, and where it comes from.

``auto`` takes A_K as the targets were chosen with it, AK_TARG, where there is one: the published network
was trained with it. Else it takes SFD_EBV. A small negative AK_TARG is a measurement of next to no
extinction; it is stored as it is, and counts as none in a distance. The dust map would put the column
of the whole Galaxy in its place.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from astra.errors import UsageError
from astra.ingest.values import clean_column
from astra.models import Source
from astra.photometry import A_K_PER_EBV

Preference = Literal["auto", "ak_targ", "sfd"]
COLUMNS = ("AK_TARG", "AK_TARG_METHOD", "SFD_EBV")

_METHODS = (
    ("RJCE_IRAC", Source.flag_ebv_from_rjce_glimpse.value),
    ("RJCE_WISE", Source.flag_ebv_from_rjce_allwise.value),
    ("SFD", Source.flag_ebv_from_sfd.value),
)


def checked_preference(preference: str) -> Preference:
    """The preference itself.

    Raises:
        UsageError: There is no such preference.
    """
    if preference not in get_args(Preference):
        raise UsageError(
            f"unknown extinction: {preference!r}; it is one of {', '.join(get_args(Preference))}"
        )
    return preference


def reddening(piece: Mapping[str, np.ndarray], preference: Preference, size: int) -> dict[str, list]:
    """The columns ``ebv``, ``ebv_flags`` and ``ebv_origin`` of some rows.

    Args:
        piece: Those of ``COLUMNS`` that the table has.
        preference: Which column to take.
        size: The number of rows.
    """
    absent = [None] * size
    a_k = clean_column("a_k", piece["AK_TARG"]) if "AK_TARG" in piece else absent
    methods = clean_column("method", piece["AK_TARG_METHOD"]) if "AK_TARG_METHOD" in piece else absent
    sfd = clean_column("ebv", piece["SFD_EBV"]) if "SFD_EBV" in piece else absent
    found = []
    for targeting, method, map_value in zip(a_k, methods, sfd, strict=True):
        if targeting is not None and preference != "sfd":
            found.append(
                (targeting / A_K_PER_EBV, _flag(method), f"AK_TARG ({method})" if method else "AK_TARG")
            )
        elif map_value is not None and preference != "ak_targ":
            found.append((map_value, Source.flag_ebv_from_sfd.value, "SFD_EBV"))
        else:
            found.append((None, None, None))
    ebv, flags, origins = map(list, zip(*found, strict=True))
    return {"ebv": ebv, "ebv_flags": flags, "ebv_origin": origins}


def _flag(method: str | None) -> int:
    return next((flag for start, flag in _METHODS if (method or "").startswith(start)), 0)
