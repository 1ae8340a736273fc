"""E(B-V) of the stars in a table or a header, by the rule of ``--extinction``.

``auto`` takes the first of these that a star has:

1. the survey's: ``ebv`` with its bits, else AK_TARG, with which the published network was trained;
2. RJCE (Majewski, Zasowski & Nidever 2011, ApJ 739, 25): from its columns, or from H and [4.5];
3. SFD (Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525);
4. a dust map (``dust_maps``).

RJCE takes H - [4.5] of an unreddened giant as known. It is an upper limit where [4.5] saturates, and where
out of the plane it gives more than all of the dust in that direction. SFD is all of the dust: fair out of
the plane, else an upper limit. From 2 to 4, an upper limit counts only where nothing better is known, and of
several the lowest. It is stored with bit 0 of ``ebv_flags``.

A small negative value is a measurement of almost no extinction: it is stored, and counts as 0 in a distance.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from astra.errors import UsageError, nearest
from astra.ingest.dust_maps import EBV_PER_SFD, DustMap
from astra.ingest.records import Tally
from astra.ingest.values import A_K_PER_EBV, RANGES
from astra.models import Source

RuleName = Literal["auto", "ak_targ", "rjce", "sfd", "ak_targ_sfd"]

#: E(B-V) / E(H - [4.5 um]); with A_K = 0.918 E(H - [4.5 um]) this is ``values.A_K_PER_EBV``.
EBV_PER_E_H_45 = 2.61
#: AK_TARG for an SFD value of 1, where SFD is its method.
A_K_PER_SFD = 0.302
#: Out of the plane, where all of the dust is in front of a star of the survey [deg].
HIGH_LATITUDE = 30.0

_LIMIT, _SFD = Source.flag_ebv_upper_limit.value, Source.flag_ebv_from_sfd.value
_GLIMPSE, _ALLWISE = Source.flag_ebv_from_rjce_glimpse.value, Source.flag_ebv_from_rjce_allwise.value
#: The column of the survey that gives E(B-V) where this bit is set.
_COLUMNS = {
    Source.flag_ebv_from_zhang_2023.value: "ebv_zhang_2023",
    Source.flag_ebv_from_edenhofer_2023.value: "ebv_edenhofer_2023",
    _SFD: "ebv_sfd",
    _GLIMPSE: "ebv_rjce_glimpse",
    _ALLWISE: "ebv_rjce_allwise",
    Source.flag_ebv_from_bayestar_2019.value: "ebv_bayestar_2019",
}


class _Band(NamedTuple):
    """One [4.5] magnitude, and the E(B-V) or A_K that the survey made of it.

    Attributes:
        magnitude: The name of the magnitude; that of its error has ``e_`` before it.
        published: The name of the E(B-V) or A_K in the same table, or ``None``.
        colour: H - [4.5] of an unreddened giant [mag].
        brightest: Brighter sources are saturated [mag].
        flag: The bit of ``ebv_flags``.
    """

    magnitude: str
    published: str | None
    colour: float
    brightest: float
    flag: int


# Saturation: the bright limit in the description of the GLIMPSE catalogues, and the
# nominal limit in W2 (AllWISE Explanatory Supplement, II.1).
_IRAC, _WISE = 6.5, 7.0
# In DR17, A_K of the headers follows from these colours to 1e-8; SDSS-V takes 0.08 for both (W2 of unWISE).
_BANDS = (
    _Band("mag4_5", "ebv_rjce_glimpse", 0.08, _IRAC, _GLIMPSE),
    _Band("irac_4_5", None, 0.08, _IRAC, _GLIMPSE),
    _Band("w2_mag", "ebv_rjce_allwise", 0.08, _WISE, _ALLWISE),
    _Band("wise_4_5", "ak_wise", 0.05, _WISE, _ALLWISE),
)
#: The bit of ``ebv_flags``, and the bands that may have been used, by the beginning of the method of AK_TARG.
_METHODS = {
    "RJCE_IRAC": (_GLIMPSE, ("targ_4_5", "irac_4_5")),
    "RJCE_WISE": (_ALLWISE, ("targ_4_5", "wise_4_5")),
    "SFD": (_SFD, ()),
}
_OF_RJCE = {name for band in _BANDS for name in (band.magnitude, band.published) if name}
#: What a table needs for a rule.
_NEEDED = {
    "ak_targ": {"a_k"},
    "rjce": {"a_k", *_OF_RJCE},
    "sfd": {"ebv_sfd", "sfd_ebv"},
    "ak_targ_sfd": {"a_k", "sfd_ebv"},
}
_GIVING = {"ebv"}.union(*_NEEDED.values())


class Rule(NamedTuple):
    """Where E(B-V) comes from: a choice of ``--extinction``, and the map that ``auto`` takes last.

    ``rjce`` takes AK_TARG where its method is RJCE, else RJCE; ``sfd`` takes SFD. ``ak_targ`` takes AK_TARG
    as it is, and ``ak_targ_sfd`` SFD_EBV, as it is, where there is none.
    """

    name: RuleName = "auto"
    dust_map: DustMap | None = None


#: The rule where none is chosen.
AUTO = Rule()


def rule_of(name: str, dust_map: str | None = None) -> Rule:
    """The rule that a user asks for.

    Raises:
        UsageError: No such rule or map, or a map with a rule that takes none.
        ConfigError: The map is not installed.
    """
    known = get_args(RuleName)
    if name not in known:
        raise UsageError(f"unknown extinction: {name!r}{nearest(name, known, 'it is one of')}")
    if dust_map is not None and name != "auto":
        raise UsageError(f"--extinction {name} takes no dust map: leave out --dust-map, or take auto")
    return Rule(name, DustMap(dust_map) if dust_map is not None else None)


def reddening(
    values: Mapping[str, Sequence],
    names: Mapping[str, str],
    rule: Rule,
    tally: Tally | None = None,
    *,
    is_catalog: bool = False,
) -> dict[str, list]:
    """The columns ``ebv``, ``e_ebv``, ``ebv_flags`` and ``ebv_origin`` of some stars.

    Args:
        values: The values by the names of ``spellings.EXTINCTION`` and ``STAR``; absent ones are ``None``.
        names: The names in the table or the header, by the same names.
        rule: Where E(B-V) comes from.
        tally: Warns of bits in another numbering; ``None`` for a header, which has no columns to tell.
        is_catalog: Whether this is a table of ``--catalog``, which gives its ``ebv`` if it has no column for
            the rule.

    Returns:
        Absent values are ``None``, a column of them beside ``ebv`` is left out. No columns if the table has
        none that gives an E(B-V), and there is no map.
    """
    if not values or not (rule.dust_map or names.keys() & _GIVING):
        return {}
    stars = _Stars(values, names)
    if rule.name == "auto":
        on_map = [stars.on(rule.dust_map)] if rule.dust_map else []
        found = [stars.stated(), stars.ak_targ(), *stars.rjce(), *stars.sfd(), *on_map]
    elif is_catalog and not names.keys() & _NEEDED[rule.name]:
        found = [stars.stated()]
    elif rule.name == "rjce":
        found = [stars.ak_targ("RJCE"), *stars.rjce()]
    elif rule.name == "sfd":
        found = [*stars.sfd()]
    else:
        as_it_is = [stars.sfd_as_it_is()] if rule.name == "ak_targ_sfd" else []
        found = [stars.ak_targ(has_error=False), *as_it_is]
    if tally is not None:
        tally.renumbered += stars.renumbered
    return _preferred(found, stars.count)


class _Found(NamedTuple):
    """What one source of E(B-V) gives for N stars.

    Attributes:
        ebv, e_ebv: Shape (N,), NaN where absent [mag].
        flags: Shape (N,), as ``ebv_flags``; -1 where the source states none.
        origins: Shape (N,), texts or ``None``; or one text for all.
        is_final: Whether it counts also where it is an upper limit.
    """

    ebv: np.ndarray
    e_ebv: np.ndarray
    flags: np.ndarray
    origins: np.ndarray | str
    is_final: bool = False


class _Stars:
    """Some stars, and what each source of E(B-V) gives for them.

    Attributes:
        count: The number of stars.
        renumbered: The number of those whose bits were in another numbering.
    """

    def __init__(self, values: Mapping[str, Sequence], names: Mapping[str, str]) -> None:
        self._values, self._names = values, names
        self.count = len(next(iter(values.values())))
        self.renumbered = 0

    def stated(self) -> _Found:
        """The column ``ebv``; its bits say which of the survey's columns it is."""
        stated = self["ebv_flags"]
        flags = self._in_our_numbers(np.where(np.isnan(stated), -1, stated).astype(np.int64))
        origins = self._texts("ebv_origin")
        for flag, column in _COLUMNS.items():
            origins[np.equal(origins, None) & (flags > 0) & (flags & flag > 0)] = column
        return _Found(self["ebv"], self["e_ebv"], flags, origins, is_final=True)

    def ak_targ(self, methods: str = "", *, has_error: bool = True) -> _Found:
        """AK_TARG where its method begins with a text; its error follows from the method."""
        name, given = self._names.get("a_k", "").upper(), self._texts("a_k_method")
        origins = np.array([f"{name} ({method})" if method else name for method in given], object)
        given = given.astype(str)
        flags, error = np.zeros(self.count, np.int64), self._absent
        for start, (flag, magnitudes) in _METHODS.items():
            is_this = np.char.startswith(given, start)
            flags[is_this] = flag
            errors = self._error(*magnitudes) if magnitudes else _error_of_sfd(self["a_k"] / A_K_PER_SFD)
            error = np.where(is_this & has_error, errors, error)
        is_wanted = np.char.startswith(given, methods)
        return _Found(np.where(is_wanted, self["a_k"] / A_K_PER_EBV, np.nan), error, flags, origins)

    def rjce(self) -> Iterator[_Found]:
        """RJCE by the survey, and from H and [4.5], in each band of the table."""
        for band in _BANDS:
            magnitude, error = self[band.magnitude], self._error(band.magnitude)
            is_a_k = band.published == "ak_wise"
            published = self[band.published] / (A_K_PER_EBV if is_a_k else 1)
            if band.published in self._names:
                # The magnitude that the survey took, if it is not given.
                taken = self["h_mag"] - published / EBV_PER_E_H_45 - band.colour
                flags = self._flags_of_rjce(published, _first(magnitude, taken), band)
                origin = self._names[band.published].upper() if is_a_k else band.published
                yield _Found(published, _first(self[f"e_{band.published}"], error), flags, origin)
            if band.magnitude in self._names:
                ebv = EBV_PER_E_H_45 * (self["h_mag"] - magnitude - band.colour)
                flags = self._flags_of_rjce(ebv, magnitude, band)
                origin = f"RJCE (H, {self._names[band.magnitude].upper()})"
                yield _Found(np.where(np.isnan(published), ebv, np.nan), error, flags, origin)

    def sfd(self) -> Iterator[_Found]:
        """SFD, an upper limit but for high latitudes."""
        flags = np.where(self._is_high, _SFD, _SFD | _LIMIT)
        if "ebv_sfd" in self._names:
            ebv = self["ebv_sfd"]
            error = _first(self["e_ebv_sfd"], _error_of_sfd(ebv / EBV_PER_SFD))
            yield _Found(ebv, error, flags, "ebv_sfd")
        if "sfd_ebv" in self._names:
            origin = f"{EBV_PER_SFD} {self._names['sfd_ebv'].upper()}"
            yield _Found(EBV_PER_SFD * self["sfd_ebv"], _error_of_sfd(self["sfd_ebv"]), flags, origin)

    def sfd_as_it_is(self) -> _Found:
        """SFD_EBV without its factor and its limits."""
        flags, name = np.full(self.count, _SFD), self._names.get("sfd_ebv", "").upper()
        return _Found(self["sfd_ebv"], self._absent, flags, name)

    def on(self, dust_map: DustMap) -> _Found:
        """All of the dust on a map, an upper limit but for high latitudes."""
        flags = np.where(self._is_high, dust_map.flag, dust_map.flag | _LIMIT)
        return _Found(dust_map.ebv(*self._galactic), self._absent, flags, dust_map.origin)

    # > Values

    def __getitem__(self, name: str | None) -> np.ndarray:
        """The numbers of a name, NaN where absent."""
        return np.array(self._values[name], float) if name in self._values else self._absent

    def _texts(self, name: str) -> np.ndarray:
        texts = self._values.get(name)
        return np.full(self.count, None) if texts is None else np.array(texts, object)

    @property
    def _absent(self) -> np.ndarray:
        return np.full(self.count, np.nan)

    def _error(self, *magnitudes: str) -> np.ndarray:
        """The error of RJCE, with the first of some [4.5] magnitudes whose error is known."""
        return EBV_PER_E_H_45 * np.hypot(self["e_h_mag"], _first(*(self[f"e_{name}"] for name in magnitudes)))

    def _in_our_numbers(self, flags: np.ndarray) -> np.ndarray:
        """``ebv_flags`` with our bits where newer versions of the survey's code have written theirs.

        Those are 1 to 16 for Zhang to ALLWISE, and 32 for an upper limit. They are taken for theirs where the
        column of a bit with our numbers is not ``ebv``, but that of another method is.
        """
        there = {flag: column for flag, column in _COLUMNS.items() if column in self._names}
        equal = np.zeros(self.count, np.int64)
        for flag, column in there.items():
            equal[np.isclose(self[column], self["ebv"], rtol=1e-6, atol=0)] |= flag
        named, theirs = flags & sum(_COLUMNS), (flags & 31) << 1 | (flags & 32) >> 5
        # Where the table has no column of a method, nothing is known.
        contradicting = named & sum(there) & ~equal > 0
        is_other = (flags > 0) & (equal > 0) & (contradicting | ((named == 0) & (theirs & equal > 0)))
        self.renumbered += int(is_other.sum())
        return np.where(is_other, np.where(theirs & equal > 0, theirs, equal & -equal), flags)

    def _flags_of_rjce(self, ebv: np.ndarray, magnitude: np.ndarray, band: _Band) -> np.ndarray:
        all_dust = _first(self["ebv_sfd"], EBV_PER_SFD * self["sfd_ebv"])
        is_limit = (magnitude < band.brightest) | (self._is_high & (ebv > all_dust))
        return np.where(is_limit, band.flag | _LIMIT, band.flag)

    @functools.cached_property
    def _galactic(self) -> tuple[np.ndarray, np.ndarray]:
        """Galactic longitudes and latitudes [deg]."""
        longitude, latitude, ra, dec = (self[name] for name in ("l", "b", "ra", "dec"))
        lacking = np.isnan(longitude + latitude) & np.isfinite(ra + dec)
        if lacking.any():
            from astropy.coordinates import SkyCoord

            place = SkyCoord(ra[lacking], dec[lacking], unit="deg").galactic
            longitude[lacking] = place.l.deg
            latitude[lacking] = _first(latitude[lacking], place.b.deg)
        return longitude, latitude

    @property
    def _is_high(self) -> np.ndarray:
        return np.abs(self._galactic[1]) > HIGH_LATITUDE


def _first(*arrays: np.ndarray) -> np.ndarray:
    """The first number of each star that is not NaN."""
    return functools.reduce(lambda first, other: np.where(np.isnan(first), other, first), arrays)


def _error_of_sfd(ebv: np.ndarray) -> np.ndarray:
    """The error of SFD as SDSS-V publishes it, from the values of the map."""
    return np.hypot(0.01, 0.1 * ebv)


def _preferred(found: Sequence[_Found], count: int) -> dict[str, list]:
    """The first value of each star that is not an upper limit, else the lowest limit."""
    low, high = RANGES["ebv"]
    ebv, e_ebv = np.full((2, count), np.nan)
    flags, origins = np.full(count, -1), np.full(count, None)
    # First what is not a limit, then the limits.
    for is_last in (False, True):
        lacking = np.isnan(ebv)
        for each in found:
            is_better = lacking & ~(each.ebv >= ebv) if is_last else np.isnan(ebv)
            if not is_last and not each.is_final:
                is_better &= each.flags & _LIMIT == 0
            taken = is_better & (each.ebv > low) & (each.ebv < high)
            ebv[taken], e_ebv[taken], flags[taken] = each.ebv[taken], each.e_ebv[taken], each.flags[taken]
            origins[taken] = each.origins if isinstance(each.origins, str) else each.origins[taken]
    columns = {
        "e_ebv": np.where(e_ebv > 0, e_ebv, None),
        "ebv_flags": np.where(flags >= 0, flags, None),
        "ebv_origin": origins,
    }
    labels = {name: column.tolist() for name, column in columns.items() if (column != None).any()}  # noqa: E711
    return {"ebv": np.where(np.isnan(ebv), None, ebv).tolist(), **labels}
