"""Of which release Gaia's measurements in a table or a header are.

A source has another number in DR2 than in (E)DR3, and a parallax another zero-point: an identifier counts
only where it is known to be of (E)DR3. Tables of the survey put the name of the release before the names of
the columns, or in a column; the Gaia archive says nothing but the epoch of the positions.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from astra.ingest import spellings
from astra.ingest.spellings import Spellings

# A table joined to another one has a parallax of its own: what is Gaia's says so. The last is the prefix of
# DR16, and of SDSS-V, which says in a column which release it took. The first of two that are there counts.
_PREFIXES = {"GAIADR3_": "dr3", "GAIAEDR3_": "edr3", "GAIA_": "dr2"}
# Epochs of the positions that the releases give.
_EPOCHS = {2015.5: "dr2", 2016.0: "dr3"}
_DR3 = ("dr3", "edr3")
# What the tables of a release have, and no other.
_OF_A_RELEASE = {"FILE", "APOGEE_ID", "STARFLAG"}


class GaiaNames(NamedTuple):
    """How a table calls what Gaia measured.

    Attributes:
        wanted: The spellings by our names, the release among them.
        release: The release that these names are of, where no column says another.
        guessed: Whether identifiers are taken for those of DR3 although nothing says so.
    """

    wanted: Spellings
    release: str | None = None
    guessed: bool = False


def names_in_release(there: Mapping[str, str]) -> GaiaNames:
    """The names in a table of a data release of the survey.

    Args:
        there: As by ``spellings.by_upper_case``.
    """
    found = [_prefixed(prefix, release) for prefix, release in _PREFIXES.items()]
    return max(found, key=lambda each: _count(there, each))


def names_in_catalog(there: Mapping[str, str]) -> GaiaNames:
    """The names in a catalogue of stars.

    Ours go first. In a table of a release they are as in ``names_in_release``; elsewhere those with Gaia's
    name before them go before others, unless the others are more.

    Args:
        there: As by ``spellings.by_upper_case``.
    """
    plain = spellings.GAIA | spellings.GAIA_RELEASE
    says_release = {"gaia_dr3_source_id", "gaia_release", "ref_epoch"} & spellings.among(there, plain).keys()
    ours = GaiaNames(plain, guessed=not says_release)
    if there.get("PLX") in ("plx", "PLX"):
        return ours
    if _OF_A_RELEASE <= there.keys():
        return names_in_release(there)
    # Our own catalogue calls a parallax without its zero-point gaia_parallax.
    is_said = "GAIA_RELEASE" in there
    found = [_prefixed(*each) for each in _PREFIXES.items() if is_said or each[0] != "GAIA_"]
    return max([*found, ours], key=lambda each: _count(there, each))


def settled(values: dict[str, list], release: str | None, *, guessed: bool = False) -> dict[str, list]:
    """The columns of some stars with their release, and no identifiers but those of (E)DR3.

    Args:
        values: By the names of ``spellings.GAIA`` and ``GAIA_RELEASE``, as far as they are there.
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
    unnamed = values.get("source_id", absent)
    named = values.get("gaia_dr3_source_id", absent)
    ids = [
        (number if guessed or release in _DR3 else None) if dr3 is None else dr3
        for dr3, number, release in zip(named, unnamed, releases, strict=True)
    ]
    found = {name: column for name, column in values.items() if name not in ("source_id", "ref_epoch")}
    if "source_id" in values:
        found["gaia_dr3_source_id"] = ids
    if release or {"gaia_release", "ref_epoch"} & values.keys():
        found["gaia_release"] = releases
    return found


def _prefixed(prefix: str, release: str) -> GaiaNames:
    wanted = {name: tuple(prefix + each for each in names) for name, names in spellings.GAIA.items()}
    return GaiaNames(wanted | spellings.GAIA_RELEASE, release)


def _count(there: Mapping[str, str], names: GaiaNames) -> int:
    return len(spellings.among(there, names.wanted).keys() & spellings.GAIA.keys())


def _release(text: str | None) -> str | None:
    """``dr3`` for ``Gaia DR3`` and ``gaia_dr3``; what is no name of a release, as it is."""
    found = re.search(r"e?dr\d+", text.lower()) if text else None
    return found[0] if found else text and text.lower()
