"""What the header of an apStar or asStar file says about its product and its star.

Extinction stays out: headers of some releases hold the A_K that targets were chosen with, others do
not, and E(B-V) comes from a catalogue or an allStar table.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from astra.errors import SpectrumError, UsageError
from astra.ingest import spellings
from astra.ingest.records import Record
from astra.ingest.values import clean
from astra.products.apstar import read_combined, read_header
from astra.products.identity import RELEASES, identify, parse_path
from astra.products.location import stored

log = logging.getLogger("astra")

_STAR = spellings.STAR | {"gaia_dr3_source_id": ("GAIADR3", "GAIA_DR3")}
# VRAD is no velocity of the star here, but the shift that is left in the spectrum.
_SPECTRUM = spellings.SPECTRUM | {"v_rad": ("VHELIO", "VHBARY")}
_PRODUCT = spellings.PRODUCT | {"obj": ("OBJID",), "telescope": ("TELESCOP",), "location_id": ("LOCID",)}


def read_record(path: str | Path, *, release: str | None = None) -> Record:
    """Describe a file by its header, or by its name if the header cannot be read.

    Args:
        path: The file; its name is that of an apStar or asStar file.
        release: The data release of reductions that do not tell it themselves.

    Raises:
        UsageError: The reduction belongs to no known release, and none is given.
    """
    # A database holds text, and the name of a file need not be any.
    text = str(path).encode("utf-8", "backslashreplace").decode()
    name = parse_path(text)
    if name is None:
        raise UsageError(f"not named like an apStar or asStar file: {text}")
    place = stored(Path(text))
    try:
        header = read_header(path)
    except SpectrumError as error:
        log.warning("registered from its name only: %s", error)
        product = identify(name, {}, release=release, what=text)
        return Record(product, place, apogee_id=clean("sdss4_apogee_id", product.obj), readable=False)
    facts = _values(header, _PRODUCT)
    facts["apred"] = next((known for known in _reductions(header) if known in RELEASES), None)
    product = identify(name, facts, release=release, what=text)
    star, spectrum = _values(header, _STAR), _values(header, _SPECTRUM)
    apogee_id = clean("sdss4_apogee_id", product.obj)
    return Record(product, place, star.pop("sdss_id"), apogee_id, star, spectrum, _digest(path))


def _digest(path: str | Path) -> str | None:
    try:
        return read_combined(path).digest()
    except SpectrumError as error:
        log.warning("registered without its pixels: %s", error)
        return None


def _reductions(header: Any) -> Iterable[str | None]:
    return (_value(header, "apred", (keyword,)) for keyword in ("APRED", "V_APRED"))


def _values(header: Any, keywords: spellings.Spellings) -> dict[str, Any]:
    return {name: _value(header, name, among) for name, among in keywords.items()}


def _value(header: Any, name: str, keywords: Iterable[str]) -> Any:
    values = (clean(name, _card(header, keyword)) for keyword in keywords)
    return next((value for value in values if value is not None), None)


def _card(header: Any, keyword: str) -> Any:
    from astropy.io.fits.card import Undefined
    from astropy.io.fits.verify import VerifyError

    try:
        value = header.get(keyword)
    except (VerifyError, ValueError):
        # A card that no FITS library can read says nothing.
        return None
    return None if isinstance(value, Undefined) else value
