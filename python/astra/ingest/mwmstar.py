"""``astra ingest mwmstar``: registers the spectra and stars of mwmStar files.

A file has one star, and at most one combined spectrum of APOGEE from each telescope. One that cannot be read
says by its name which star it is of, but not which spectra it holds: it is counted, and registered when it is
ingested again.
"""

import functools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from astra.errors import SpectrumError, UnreadableSpectrum
from astra.ingest.extinction import Rule, RuleName, rule_of
from astra.ingest.files import FileKind, ingest_files
from astra.ingest.headers import KNOWN, cards_of, check_texts, star_of
from astra.ingest.precedence import Values
from astra.ingest.records import IngestCounts, Record, Tally, stored_rows
from astra.ingest.register import Spectra
from astra.ingest.values import clean
from astra.models import ApogeeCombinedSpectrum
from astra.spectra.identity import MwmProduct, release_of, stored
from astra.spectra.mwmstar import MwmStarFile, Row

log = logging.getLogger("astra")

#: The data release of each published version of Astra.
RELEASES = {"0.6.0": "dr19", "0.8.1": "dr20"}

_NAME = re.compile(r"mwmStar-(?P<v_astra>[^-]+)-(?P<sdss_id>\d+)\.fits(?:\.gz)?")
_PRODUCT = ("v_astra", "telescope", "apred", "obj", "healpix")
_MEASURED = ("n_visits", "n_good_visits", "n_good_rvs", "snr", "spectrum_flags", "v_rad", "e_v_rad")
_BLANK = dict.fromkeys(("source", "spectrum_pk", "path", "pixels_digest", *_MEASURED)) | {"spectrum_flags": 0}


def ingest_mwmstar(
    paths: str | Path | Iterable[str | Path],
    *,
    catalog: str | Path | None = None,
    hdu: str | None = None,
    columns: Mapping[str, str] | None = None,
    extinction: RuleName = "auto",
    dust_map: str | None = None,
    release: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestCounts:
    """Register spectra and their stars from mwmStar files.

    Args:
        paths: One or several files, or folders to search with all folders in them.
        catalog: A table with values for the stars of these files, preferred to those in the headers.
        hdu: The number or the name of the table in that file; ``None`` takes the one that lists the stars.
        columns, extinction, dust_map: As of ``ingest_apstar``.
        release: The data release of versions of Astra that were not published.
        on_progress: Called with the numbers of files done and of all files.

    Returns:
        The counts; ``skipped`` are files without a spectrum of APOGEE, and those that cannot be read, which
        are ``unreadable`` too.

    Raises:
        UsageError: A path, the catalogue or the release is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    tally, rule = Tally(), rule_of(extinction, dust_map)
    read = functools.partial(_records, tally=tally, extinction=rule, release=release)
    return ingest_files(MWMSTAR, paths, read, catalog, hdu, columns, rule, on_progress, tally)


def _records(path: Path, tally: Tally, extinction: Rule, release: str | None) -> list[Record]:
    """The spectra of one file; those whose pixels cannot be read without a digest."""
    # A database holds text; the name of a file can have bytes that are not.
    text = str(path).encode("utf-8", "backslashreplace").decode()
    name = _NAME.fullmatch(path.name)
    try:
        with MwmStarFile.opened(path) as file:
            cards, rows = cards_of(file.header(KNOWN), text), file.rows()
            for row in rows:
                check_texts(row.facts, text)
                _check_version(clean("v_astra", row.facts.get("v_astra")), name["v_astra"], text)
    except SpectrumError as error:
        log.warning("not registered: %s", error)
        tally.add(seen=1, skipped=1, unreadable=1)
        return []
    if not rows:
        tally.add(seen=1, skipped=1)
    # Astra takes all that it has of Gaia from DR3.
    star = star_of(cards, extinction, gaia_release="dr3")
    sdss_id = star.pop("sdss_id") or int(name["sdss_id"])
    named = clean("sdss4_apogee_id", cards.get("APOGEEID"))
    found = []
    for row in rows:
        facts = {key: clean(key, row.facts.get(key)) for key in _PRODUCT}
        v_astra = facts["v_astra"] or name["v_astra"]
        product = MwmProduct(
            release=release_of(v_astra, release, text, RELEASES),
            v_astra=v_astra,
            telescope=facts["telescope"] or "",
            healpix=star["healpix"] if facts["healpix"] is None else facts["healpix"],
            sdss_id=sdss_id,
            apred=facts["apred"] or "",
            obj=facts["obj"] or named or "",
        )
        spectrum = {key: clean(key, row.facts.get(key)) for key in _MEASURED}
        values = dict(star), spectrum, _digest(row)
        found.append(Record(product, stored(Path(text)), sdss_id, *values, name=named))
    return found


def _check_version(stated: str | None, named: str, what: str) -> None:
    if stated not in (None, named, *RELEASES):
        raise UnreadableSpectrum(f"damaged: its version is {stated!r}, and {named} in its name: {what}")


def _digest(row: Row) -> str | None:
    try:
        return row.combined().digest()
    except SpectrumError as error:
        log.warning("registered without its pixels: %s", error)
        return None


class CombinedSpectra(Spectra):
    """The rows of all spectra of the objects in a batch, by identity, and by their places in files."""

    model = ApogeeCombinedSpectrum

    def __init__(self, records: Iterable[Record], tally: Tally) -> None:
        self._tally, self._taken = tally, {}
        self._rows: dict[str, Values] = {}
        identities = {record.product.product_id for record in records}
        objects = {record.product.obj for record in records} - {""}
        model, kept = self.model, ("pk", "created", "modified")
        query = model.select(*(each for each in model._meta.sorted_fields if each.name not in kept))
        for column, wanted in ((model.product_id, identities), (model.obj, objects)):
            for row in stored_rows(query, column, wanted):
                self._rows.setdefault(row["product_id"], row)
        self._by_place = {_place(row): row for row in self._rows.values()}

    def take(self, record: Record) -> Values:
        """The row of a record; later changes of it by the caller are written too.

        A spectrum in the place of a file where another one was is that one, with another identity.
        """
        product = record.product.columns()
        product_id = product["product_id"]
        before, here = self._rows.get(product_id), self._by_place.get(_place(product | {"path": record.path}))
        if before is None and here is not None:
            before = self._replaced(here, None, product_id)
        known = {name: value for name, value in record.spectrum.items() if value is not None}
        row = dict(before or _BLANK) | product | known | {"path": record.path}
        row["pixels_digest"] = record.digest or row["pixels_digest"]
        self._taken[product_id] = before, row
        return row


def _place(row: Values) -> tuple[Any, ...]:
    return row["path"], row["telescope"], row["apred"]


def _first(names: Iterable[str]) -> Iterator[str]:
    """Of a file and the same one compressed, the first."""
    chosen = {name.removesuffix(".gz"): name for name in sorted(names, reverse=True) if _NAME.fullmatch(name)}
    return iter(sorted(chosen.values()))


#: Files of combined spectra that Astra makes for each star.
MWMSTAR = FileKind(
    ("mwmStar",),
    lambda path: _NAME.fullmatch(PurePath(path).name) is not None,
    re.compile("mwmVisit|(ap|as)Visit", re.IGNORECASE),
    _first,
    CombinedSpectra,
)
