"""The origin of E(B-V), and the release of Gaia's measurements, of the stars in a table or a header.

A source has another number in DR2 of Gaia than in (E)DR3, and a parallax another zero-point. So an identifier
counts only if it is known to be of (E)DR3. Tables of the survey name the release in a prefix of the columns
or in a column; those of the Gaia archive state only the epoch of the positions.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from astra.errors import UsageError
from astra.ingest import spellings
from astra.ingest.spellings import Spellings
from astra.ingest.values import A_K_PER_EBV, GAIA_DR3, gaia_release
from astra.models import Source

Preference = Literal["auto", "ak_targ", "sfd"]
_EBV_COLUMNS = ("ebv", "ebv_flags", "ebv_origin")
_METHODS = (
    ("RJCE_IRAC", Source.flag_ebv_from_rjce_glimpse.value),
    ("RJCE_WISE", Source.flag_ebv_from_rjce_allwise.value),
    ("SFD", Source.flag_ebv_from_sfd.value),
)
# A joined table may have another parallax, so columns of Gaia need a prefix. The last prefix is that of DR16,
# and of SDSS-V, which names the release in a column. Of two prefixes the first counts.
_PREFIXES = {"GAIADR3_": "dr3", "GAIAEDR3_": "edr3", "GAIA_": "dr2"}
# The releases by the epoch of their positions.
_EPOCHS = {2015.5: "dr2", 2016.0: "dr3"}
# Columns that only the tables that Astra publishes have together: what they have of Gaia is of DR3.
_OF_ASTRA = {"SDSS_ID", "GAIA_DR2_SOURCE_ID", "GAIA_DR3_SOURCE_ID"}
# Columns that only the tables of a data release have together.
_OF_A_RELEASE = {"FILE", "APOGEE_ID", "STARFLAG"}


class GaiaNames(NamedTuple):
    """The names that a table has for the measurements of Gaia.

    Attributes:
        wanted: The spellings by our names, including that of the release.
        release: The release of these names, unless a column states another.
        guessed: Whether identifiers count as those of DR3 although the table does not state it.
    """

    wanted: Spellings
    release: str | None = None
    guessed: bool = False


# > Extinction


def checked_preference(preference: str) -> Preference:
    """The preference, if it is valid.

    Raises:
        UsageError: No such preference.
    """
    known = get_args(Preference)
    if preference not in known:
        raise UsageError(f"unknown extinction: {preference!r}; it is one of {', '.join(known)}")
    return preference


def reddening(
    values: Mapping[str, list], names: Mapping[str, str], preference: Preference
) -> dict[str, list]:
    """The columns ``ebv``, ``ebv_flags`` and ``ebv_origin`` of some stars.

    ``auto`` takes AK_TARG, the A_K of the target selection with which the published network was trained, or
    SFD_EBV where there is none. A small negative AK_TARG is a measurement of almost no extinction: it is
    stored, and counts as 0 in a distance. SFD_EBV is the extinction through all of the Galaxy instead.

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
            flag = next((flag for start, flag in _METHODS if (method or "").startswith(start)), 0)
            found.append((targeting / A_K_PER_EBV, flag, origin))
        elif map_value is not None and preference != "ak_targ":
            found.append((map_value, Source.flag_ebv_from_sfd.value, names["sfd_ebv"].upper()))
        else:
            found.append((None, None, None))
    return {name: [row[place] for row in found] for place, name in enumerate(_EBV_COLUMNS)}


# > Gaia


def names_in_release(there: Mapping[str, str]) -> GaiaNames:
    """The names in a table of a data release of the survey.

    Those that name no files are made by Astra, from Gaia DR3.

    Args:
        there: As by ``spellings.by_upper_case``.
    """
    if "FILE" not in there:
        return GaiaNames(spellings.GAIA | spellings.GAIA_RELEASE, "dr3")
    return _most_frequent(there, itertools.starmap(_prefixed, _PREFIXES.items()))


def names_in_catalog(there: Mapping[str, str]) -> GaiaNames:
    """The names in a catalogue of stars.

    Our own names come first. In a table of a data release the names are as in ``names_in_release``; elsewhere
    names with a prefix of Gaia are preferred, unless there are more without one.

    Args:
        there: As by ``spellings.by_upper_case``.
    """
    plain = spellings.GAIA | spellings.GAIA_RELEASE
    says_release = {"gaia_dr3_source_id", "gaia_release", "ref_epoch"} & spellings.among(there, plain).keys()
    ours = GaiaNames(plain, "dr3" if _OF_ASTRA <= there.keys() else None, guessed=not says_release)
    if there.get("PLX") in ("plx", "PLX"):
        return ours
    if _OF_A_RELEASE <= there.keys():
        return names_in_release(there)
    # Our own catalogue calls a parallax without its zero-point gaia_parallax.
    is_said = "GAIA_RELEASE" in there
    found = [_prefixed(*each) for each in _PREFIXES.items() if is_said or each[0] != "GAIA_"]
    return _most_frequent(there, [*found, ours])


def with_release(values: dict[str, list], release: str | None, *, guessed: bool = False) -> dict[str, list]:
    """The columns of some stars with their release, and only identifiers of (E)DR3.

    Args:
        values: The values by the names of ``spellings.GAIA`` and ``GAIA_RELEASE``.
        release: As in ``GaiaNames``.
        guessed: As in ``GaiaNames``.
    """
    names = spellings.GAIA.keys() & values.keys()
    if not names:
        return {name: values[name] for name in ("gaia_dr3_source_id",) if name in values}
    measured = list(zip(*(values[name] for name in names), strict=True))
    absent = [None] * len(measured)
    stated, epochs = values.get("gaia_release", absent), values.get("ref_epoch", absent)
    releases = [
        (_release(text) or _EPOCHS.get(epoch) or release) if any(each is not None for each in row) else None
        for row, text, epoch in zip(measured, stated, epochs, strict=True)
    ]
    found = {name: column for name, column in values.items() if name not in ("source_id", "ref_epoch")}
    if "source_id" in values:
        named = values.get("gaia_dr3_source_id", absent)
        found["gaia_dr3_source_id"] = [
            (number if guessed or release in GAIA_DR3 else None) if dr3 is None else dr3
            for dr3, number, release in zip(named, values["source_id"], releases, strict=True)
        ]
    if release or {"gaia_release", "ref_epoch"} & values.keys():
        found["gaia_release"] = releases
    return found


def _prefixed(prefix: str, release: str) -> GaiaNames:
    wanted = {name: tuple(prefix + each for each in names) for name, names in spellings.GAIA.items()}
    return GaiaNames(wanted | spellings.GAIA_RELEASE, release)


def _most_frequent(there: Mapping[str, str], candidates: Iterable[GaiaNames]) -> GaiaNames:
    """The candidate with most of the measurements; of several the first."""
    return max(
        candidates, key=lambda each: len(spellings.among(there, each.wanted).keys() & spellings.GAIA.keys())
    )


def _release(text: str | None) -> str | None:
    """``dr3`` for ``Gaia DR3`` and ``gaia_dr3``; a text that names no release stays as it is."""
    return gaia_release(text) or (text and text.lower())
