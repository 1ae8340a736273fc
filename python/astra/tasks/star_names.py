"""Stars by the names that people give them: sdss_ids, APOGEE ids, designations of 2MASS, in any case."""

import re
from collections.abc import Collection, Iterable, Iterator

import peewee
from peewee import fn

from astra.database.sql import among
from astra.errors import UsageError
from astra.models import APOGEE
from astra.models.source import Source

#: A designation of 2MASS; an APOGEE id is the same digits after ``2M``.
DESIGNATION = re.compile(r"(?:(?:2mass\s*)?j)?(\d{8}[+-]\d{7})", re.IGNORECASE)

_LARGEST_SDSS_ID, _MOST_DIGITS = 2**63 - 1, 19
# Characters that names which are nearly right have in common with it at their beginning.
_ALIKE = range(12, 3, -2)


def sources_of(stars: Collection[str]) -> tuple[int, ...] | None:
    """The sources of some stars, also of those whose names only spectra carry.

    Returns:
        Their primary keys; ``None`` for no names at all.

    Raises:
        UsageError: A star is not in the database.
    """
    if not stars:
        return None
    found = sources_by_name(stars)
    for star in stars:
        if star not in found:
            raise unknown(star)
    return tuple(dict.fromkeys(pk for star in stars for pk in found[star]))


def sources_by_name(stars: Iterable[str]) -> dict[str, list[int]]:
    """The sources of any number of stars, by their names as in ``sources_of``; without those not there.

    What is not there as it is written is looked for in capitals, and a designation of 2MASS as an APOGEE id.
    """
    names = set(stars)
    found = _by_exact_name(names)
    if others := {name: plain for name in names - found.keys() if (plain := plainly(name)) != name}:
        there = _by_exact_name(set(others.values()))
        found |= {name: there[plain] for name, plain in others.items() if plain in there}
    return found


def plainly(name: str) -> str:
    """A name as the survey writes it, e.g. ``2M00000068+5710233`` for ``2MASS J00000068+5710233``."""
    designation = DESIGNATION.fullmatch(name.strip())
    return f"2M{designation[1]}" if designation else name.strip().upper()


def unknown(name: str) -> UsageError:
    """The error that says that a star is not there, and which names are nearly the same."""
    close = _alike(name.strip().lower())
    meant = f"did you mean {' or '.join(close)}?" if close else "ingest its spectra first"
    return UsageError(f"no star {name} in the database; {meant}")


def _alike(name: str) -> list[str]:
    """Names that begin in the same way."""
    for length in _ALIKE:
        begins = fn.SUBSTR(fn.LOWER(Source.sdss4_apogee_id), 1, length) == name[:length]
        query = Source.select(Source.sdss4_apogee_id).where(begins).order_by(Source.sdss4_apogee_id)
        if len(name) >= length and (found := [each for (each,) in query.limit(3).tuples()]):
            return found
    return []


def _by_exact_name(names: set[str]) -> dict[str, list[int]]:
    texts = {name for name in names if not name.isdecimal()}
    # SQLite raises on a number that no column can hold, and Python on one of thousands of digits.
    short = (name for name in names - texts if len(name) <= _MOST_DIGITS)
    numbers = {name: int(name) for name in short if int(name) <= _LARGEST_SDSS_ID}
    keys = dict(_named(Source.sdss_id, Source.pk, set(numbers.values())))
    found = {name: [keys[number]] for name, number in numbers.items() if number in keys}
    found |= {name: [pk] for name, pk in _named(Source.sdss4_apogee_id, Source.pk, texts)}
    # A star with two names is stored under one of them.
    others: dict[str, dict[int, None]] = {}
    for spectra in APOGEE:
        for name, pk in sorted(_named(spectra.obj, spectra.source, texts - found.keys())):
            others.setdefault(name, {})[pk] = None
    return found | {name: list(pks) for name, pks in others.items()}


def _named(name: peewee.Field, key: peewee.Field, names: Collection) -> Iterator[tuple]:
    """Each of some names that a table has, with the key of its source."""
    if not names:
        return iter(())
    database = name.model._meta.database
    query = name.model.select(name, key).where(among(database, name, names), key.is_null(False))
    return query.tuples().iterator()
