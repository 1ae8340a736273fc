"""Gaia's measurements of the stars in a table or a header: their names, and their release.

A source has another number in DR2 of Gaia than in (E)DR3, and a parallax another zero-point. So an identifier
counts only if it is known to be of (E)DR3. Tables of the survey name the release in a prefix of the columns
or in a column; those of the Gaia archive state only the epoch of the positions.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from astra.ingest import spellings
from astra.ingest.spellings import Spellings
from astra.ingest.values import GAIA_DR3, gaia_release

# A joined table may have another parallax, so columns of Gaia need a prefix. The last prefix is that of DR16,
# and of SDSS-V, which names the release in a column. Of two prefixes the first counts.
_PREFIXES = {"GAIADR3_": "dr3", "GAIAEDR3_": "edr3", "GAIA_": "dr2"}
# The releases by the epoch of their positions.
_EPOCHS = {2015.5: "dr2", 2016.0: "dr3"}
# VizieR has the release in the name of a column, and a number in Source, which elsewhere may be anything.
_OF_VIZIER = {"DR3NAME": "dr3", "EDR3NAME": "edr3", "DR2NAME": "dr2"}
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


def names_in_release(there: Mapping[str, str]) -> GaiaNames:
    """The names in a table of a data release of the survey.

    Args:
        there: As by ``spellings.by_upper_case``.
    """
    return _most_frequent(there, [_prefixed(there, *each) for each in _PREFIXES.items()])


def names_in_catalog(there: Mapping[str, str]) -> GaiaNames:
    """The names in a catalogue of stars.

    Our own names come first. In a table of a data release the names are as in ``names_in_release``; elsewhere
    names with a prefix of Gaia are preferred, unless there are more without one.

    Args:
        there: As by ``spellings.by_upper_case``.
    """
    plain = spellings.GAIA | spellings.GAIA_RELEASE
    if {"SOURCE", "RA_ICRS"} <= there.keys():
        plain |= {"source_id": (*plain["source_id"], "SOURCE")}
    says_release = {"gaia_dr3_source_id", "gaia_release", "ref_epoch"} & spellings.among(there, plain).keys()
    release = next((release for name, release in _OF_VIZIER.items() if name in there), None)
    ours = GaiaNames(_without_lone_colour(there, plain), release, guessed=not (says_release or release))
    if there.get("PLX") in ("plx", "PLX"):
        return ours
    if _OF_A_RELEASE <= there.keys():
        return names_in_release(there)
    # Our own catalogue calls a parallax without its zero-point gaia_parallax.
    is_said = "GAIA_RELEASE" in there
    prefixes = (each for each in _PREFIXES.items() if is_said or each[0] != "GAIA_")
    found = [_prefixed(there, *each) for each in prefixes]
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
    inner = ("source_id", "ref_epoch", "bp_rp")
    found = {name: column for name, column in values.items() if name not in inner} | _from_colour(values)
    if "source_id" in values:
        named = values.get("gaia_dr3_source_id", absent)
        found["gaia_dr3_source_id"] = [
            (number if guessed or release in GAIA_DR3 else None) if dr3 is None else dr3
            for dr3, number, release in zip(named, values["source_id"], releases, strict=True)
        ]
    if release or {"gaia_release", "ref_epoch"} & values.keys():
        found["gaia_release"] = releases
    return found


def _from_colour(values: Mapping[str, list]) -> dict[str, list]:
    """The BP or RP magnitudes that follow from BP - RP and the other one."""
    there = values.keys() & {"bp_mag", "rp_mag"}
    if "bp_rp" not in values or not there:
        return {}
    absent = [None] * len(values["bp_rp"])
    columns = (values.get(name, absent) for name in ("bp_mag", "rp_mag", "bp_rp"))
    rows = [_with_colour(*row) for row in zip(*columns, strict=True)]
    return {name: [row[place] for row in rows] for place, name in enumerate(("bp_mag", "rp_mag"))}


def _with_colour(
    bp_mag: float | None, rp_mag: float | None, colour: float | None
) -> tuple[float | None, float | None]:
    if colour is None or (bp_mag is None) == (rp_mag is None):
        return bp_mag, rp_mag
    return (rp_mag + colour, rp_mag) if bp_mag is None else (bp_mag, bp_mag - colour)


def _prefixed(there: Mapping[str, str], prefix: str, release: str) -> GaiaNames:
    wanted = {name: tuple(prefix + each for each in names) for name, names in spellings.GAIA.items()}
    return GaiaNames(_without_lone_colour(there, wanted | spellings.GAIA_RELEASE), release)


def _without_lone_colour(there: Mapping[str, str], wanted: Spellings) -> Spellings:
    """The names without that of a colour from which no magnitude follows, so that it counts as not used."""
    is_of_use = spellings.among(there, wanted).keys() & {"bp_mag", "rp_mag"}
    return {name: names for name, names in wanted.items() if is_of_use or name != "bp_rp"}


def _most_frequent(there: Mapping[str, str], candidates: Iterable[GaiaNames]) -> GaiaNames:
    """The candidate with most of the measurements; of several the first."""
    return max(
        candidates, key=lambda each: len(spellings.among(there, each.wanted).keys() & spellings.GAIA.keys())
    )


def _release(text: str | None) -> str | None:
    """``dr3`` for ``Gaia DR3`` and ``gaia_dr3``; a text that names no release stays as it is."""
    return gaia_release(text) or (text and text.lower())
