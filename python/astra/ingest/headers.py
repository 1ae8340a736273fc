"""The product, the star and its extinction from the header of an apStar or asStar file.

The cards are those of the survey from DR10 to SDSS-V; each release spells some differently.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.errors import SpectrumError, UsageError
from astra.ingest import gaia, spellings
from astra.ingest.extinction import Preference, reddening
from astra.ingest.records import Record
from astra.ingest.values import clean, inexact
from astra.spectra.apstar import ApStarFile, opened
from astra.spectra.identity import RELEASES, FileName, identify, parse_path
from astra.spectra.location import stored

if TYPE_CHECKING:
    from astropy.io.fits import Header

log = logging.getLogger("astra")

#: The cards of a header that we use, by keyword.
Cards = dict[str, Any]

_STAR = spellings.STAR | {"sdss_id": spellings.IDENTIFIERS["sdss_id"]}
_GAIA = spellings.GAIA | spellings.GAIA_RELEASE
_PRODUCT = {name: among for name, among in spellings.PRODUCT.items() if name != "file_name"}
_REDUCTION = ("APRED", "V_APRED")
_KNOWN = {
    keyword
    for group in (_STAR, _GAIA, _PRODUCT, spellings.SPECTRUM, spellings.TARGETING)
    for keywords in group.values()
    for keyword in keywords
} | {spellings.V_RAD_OF_SDSS5, *_REDUCTION}


def read_record(path: str | Path, *, release: str | None = None, extinction: Preference = "auto") -> Record:
    """Describe a file by its header and its pixels, or by its name if the header cannot be read.

    Args:
        path: A file with the name of an apStar or asStar file.
        release: The data release of reductions that do not state it.
        extinction: Where E(B-V) comes from, as in ``reddening``.

    Raises:
        UsageError: The reduction belongs to no known release, and ``release`` is ``None``.
    """
    text, name = _named(path)
    try:
        with opened(path) as file:
            record = _described(text, name, file.header(), release, extinction)
            record.digest = _digest(file)
            return record
    except SpectrumError as error:
        log.warning("registered from its name only: %s", error)
    product = identify(name, {}, release=release, what=text)
    apogee_id = clean("sdss4_apogee_id", product.obj)
    return Record(product, stored(Path(text)), apogee_id=apogee_id, readable=False)


def described(
    path: str | Path, header: "Header", *, release: str | None = None, extinction: Preference = "auto"
) -> Record:
    """Describe a file by its header alone; for the rest, as :func:`read_record`."""
    return _described(*_named(path), header, release, extinction)


def _described(
    text: str, name: FileName, header: "Header", release: str | None, extinction: Preference
) -> Record:
    cards = _cards(header)
    _warn_of_lost_digits(cards, text)
    facts = _values(cards, _PRODUCT)
    reductions = (_value(cards, "apred", (keyword,)) for keyword in _REDUCTION)
    facts["apred"] = next((known for known in reductions if known in RELEASES), None)
    product = identify(name, facts, release=release, what=text)
    star = _values(cards, _STAR) | _measured_by_gaia(cards) | _extinction(cards, extinction)
    return Record(
        product,
        stored(Path(text)),
        star.pop("sdss_id"),
        clean("sdss4_apogee_id", product.obj),
        star,
        _spectrum(cards),
        disagreement=name.disagreement(product),
    )


def _named(path: str | Path) -> tuple[str, FileName]:
    """The path as a text, and the facts in its name."""
    # A database holds text; the name of a file can have bytes that are not.
    text = str(path).encode("utf-8", "backslashreplace").decode()
    name = parse_path(text)
    if name is None:
        raise UsageError(f"not named like an apStar or asStar file: {text}")
    return text, name


def _digest(file: ApStarFile) -> str | None:
    try:
        return file.combined().digest()
    except SpectrumError as error:
        log.warning("registered without its pixels: %s", error)
        return None


def _cards(header: "Header") -> Cards:
    return {keyword: _card(header, keyword) for keyword in _KNOWN.intersection(header)}


def _card(header: "Header", keyword: str) -> Any:
    from astropy.io.fits.card import Undefined
    from astropy.io.fits.verify import VerifyError

    try:
        value = header[keyword]
    except (VerifyError, ValueError):
        # A card that cannot be read counts as absent.
        return None
    return None if isinstance(value, Undefined) else value


def _warn_of_lost_digits(cards: Cards, path: str) -> None:
    for name, keywords in (_STAR | _GAIA).items():
        for keyword in keywords:
            if lossy := inexact(name, [cards.get(keyword)]):
                message = "%s: %s is not written as an integer and counts as absent: %s"
                log.warning(message, path, keyword, lossy[0])


def _values(cards: Cards, wanted: spellings.Spellings) -> dict[str, Any]:
    return {name: _value(cards, name, keywords) for name, keywords in wanted.items()}


def _value(cards: Cards, name: str, keywords: Iterable[str]) -> Any:
    values = (clean(name, cards.get(keyword)) for keyword in keywords)
    return next((value for value in values if value is not None), None)


def _spectrum(cards: Cards) -> dict[str, Any]:
    values = _values(cards, spellings.SPECTRUM)
    if not cards.keys() & {*spellings.SPECTRUM["v_rad"]}:
        values["v_rad"] = _value(cards, "v_rad", (spellings.V_RAD_OF_SDSS5,))
    return values


def _measured_by_gaia(cards: Cards) -> dict[str, Any]:
    return _single(gaia.with_release(_in_lists(_values(cards, _GAIA)), None))


def _extinction(cards: Cards, preference: Preference) -> dict[str, Any]:
    names = spellings.among({keyword: keyword for keyword in cards}, spellings.TARGETING)
    return _single(reddening(_in_lists(_values(cards, spellings.TARGETING)), names, preference))


def _in_lists(values: Mapping[str, Any]) -> dict[str, list]:
    return {name: [value] for name, value in values.items()}


def _single(lists: Mapping[str, list]) -> dict[str, Any]:
    return {name: value for name, (value,) in lists.items()}
