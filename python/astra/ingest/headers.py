"""The product, the star and its extinction from the header of an apStar or asStar file.

The cards are those of the survey from DR10 to SDSS-V; each release spells some differently.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.errors import SpectrumError, UnreadableSpectrum, UsageError
from astra.ingest import spellings
from astra.ingest.extinction import AUTO, Rule, reddening
from astra.ingest.gaia import with_release
from astra.ingest.precedence import Values
from astra.ingest.records import Record
from astra.ingest.values import MAX_TEXT, clean, inexact
from astra.spectra.apstar import ApStarFile
from astra.spectra.identity import RELEASES, FileName, identify, parse_path, stored

if TYPE_CHECKING:
    from astropy.io.fits import Header

log = logging.getLogger("astra")

_STAR = spellings.STAR | {"sdss_id": spellings.IDENTIFIERS["sdss_id"]}
_GAIA = spellings.GAIA | spellings.GAIA_RELEASE
_PRODUCT = {name: among for name, among in spellings.PRODUCT.items() if name != "file_name"}
_REDUCTION = ("APRED", "V_APRED")
_GROUPS = (_STAR, _GAIA, _PRODUCT, spellings.SPECTRUM, spellings.EXTINCTION)
#: The keywords of all cards that matter here.
KNOWN = {keyword for group in _GROUPS for keywords in group.values() for keyword in keywords}
KNOWN |= {spellings.V_RAD_OF_SDSS5, *_REDUCTION, *spellings.IDENTIFIERS["apogee_id"]}


def read_record(path: str | Path, *, release: str | None = None, extinction: Rule = AUTO) -> Record:
    """Describe a file by its header and its pixels, or by its name if the header cannot be read.

    Args:
        path: A file with the name of an apStar or asStar file.
        release: The data release of reductions that do not state it.
        extinction: Where E(B-V) comes from.

    Raises:
        UsageError: The reduction belongs to no known release, and ``release`` is ``None``.
    """
    try:
        with ApStarFile.opened(path) as file:
            record = described(path, file.header(KNOWN), release=release, extinction=extinction)
            try:
                record.digest = file.combined().digest()
            except SpectrumError as error:
                log.warning("registered without its pixels: %s", error)
            return record
    except SpectrumError as error:
        log.warning("registered from its name only: %s", error)
    return record_of_name(path, release=release)


def record_of_name(path: str | Path, *, release: str | None = None) -> Record:
    """Describe a file by its name alone, otherwise as :func:`read_record`."""
    text, name = _named(path)
    return Record(identify(name, {}, release=release, what=text), stored(Path(text)), readable=False)


def described(
    path: str | Path, header: "Header", *, release: str | None = None, extinction: Rule = AUTO
) -> Record:
    """Describe a file by its header alone, otherwise as :func:`read_record`."""
    text, name = _named(path)
    cards = cards_of(header, text)
    facts = _values(cards, _PRODUCT)
    reductions = (clean("apred", cards.get(keyword)) for keyword in _REDUCTION)
    facts["apred"] = next((known for known in reductions if known in RELEASES), None)
    product = identify(name, facts, release=release, what=text)
    star = star_of(cards, extinction)
    is_of_sdss5 = not cards.keys() & {*spellings.SPECTRUM["v_rad"]}
    v_rad = {"v_rad": (spellings.V_RAD_OF_SDSS5,)} if is_of_sdss5 else {}
    spectrum = _values(cards, spellings.SPECTRUM | v_rad)
    disagreement = name.disagreement(product)
    sdss_id = star.pop("sdss_id")
    return Record(product, stored(Path(text)), sdss_id, star, spectrum, disagreement=disagreement)


def cards_of(header: "Header", path: str) -> Values:
    """The cards that are known here, by their keywords; ``None`` where one has no value.

    Raises:
        UnreadableSpectrum: The text of one is longer than any that the survey writes.
    """
    cards = {keyword: _card(header, keyword) for keyword in KNOWN.intersection(header)}
    check_texts(cards, path)
    _warn_of_lost_digits(cards, path)
    return cards


def check_texts(values: Values, what: str) -> None:
    """Refuse a file with a text that is too long, before it is in a batch with others.

    Raises:
        UnreadableSpectrum: A text has more than ``MAX_TEXT`` characters.
    """
    for name, value in values.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise UnreadableSpectrum(
                f"damaged: {name} has {len(value):,} characters, more than {MAX_TEXT}: {what}"
            )


def star_of(cards: Values, extinction: Rule, gaia_release: str | None = None) -> Values:
    """The star and its ``sdss_id`` from the cards of a header.

    Args:
        cards: As by ``cards_of``.
        extinction: Where E(B-V) comes from.
        gaia_release: The release of Gaia's measurements, where no card states it.
    """
    star = _values(cards, _STAR)
    # A header is like one row of a table.
    row = {column: [value] for column, value in (star | _values(cards, spellings.EXTINCTION)).items()}
    names = spellings.among({keyword: keyword for keyword in cards}, spellings.EXTINCTION)
    measured = {column: [value] for column, value in _values(cards, _GAIA).items()}
    columns = with_release(measured, gaia_release) | reddening(row, names, extinction)
    return star | {column: value for column, (value,) in columns.items()}


def _named(path: str | Path) -> tuple[str, FileName]:
    """The path as a text, and the facts in its name."""
    # A database holds text; the name of a file can have bytes that are not.
    text = str(path).encode("utf-8", "backslashreplace").decode()
    name = parse_path(text)
    if name is None:
        raise UsageError(f"not named like an apStar or asStar file: {text}")
    return text, name


def _card(header: "Header", keyword: str) -> Any:
    from astropy.io.fits.card import Undefined
    from astropy.io.fits.verify import VerifyError

    try:
        value = header[keyword]
    except (VerifyError, ValueError):
        # A card that cannot be read counts as absent.
        return None
    return None if isinstance(value, Undefined) else value


def _warn_of_lost_digits(cards: Values, path: str) -> None:
    for name, keywords in (_STAR | _GAIA).items():
        for keyword in keywords:
            if keyword in cards and (lossy := inexact(name, [cards[keyword]])):
                message = "%s: %s is not written as an integer and counts as absent: %s"
                log.warning(message, path, keyword, lossy[0])


def _values(cards: Values, wanted: spellings.Spellings) -> Values:
    """The values by our names; of several cards the first with a value counts."""
    found = {}
    for name, keywords in wanted.items():
        values = (clean(name, cards[keyword]) for keyword in keywords if keyword in cards)
        found[name] = next((value for value in values if value is not None), None)
    return found
