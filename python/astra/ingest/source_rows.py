"""The rows of the sources in one batch, found by the identifiers of their spectra.

A star is found by its sdss_id, else by its APOGEE id, also by one that only its spectra have. If the two
disagree, the sdss_id decides:

* one sdss_id with two APOGEE ids is one star, with the first of the names in alphabetical order, or with that
  which a table states besides the names of the spectra;
* one APOGEE id with two sdss_ids is two stars; the first keeps the name.

Both cause a warning. Two sources that are found to be one star are merged.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import peewee

from astra.database.connection import database, moved_on_sql
from astra.ingest import precedence
from astra.ingest.precedence import Origins, Values
from astra.ingest.records import Tally, stored_rows
from astra.ingest.values import BAILER_JONES
from astra.models import Source
from astra.models.base import insert_rows, upsert

#: The sdss_id and the APOGEE id of a star; unknown ones are ``None``.
Ids = tuple[int | None, str | None]

_NO_VALUES = {"pk", "sdss_id", "sdss4_apogee_id", "origins", "created", "modified"}
VALUE_COLUMNS = tuple(name for name in Source._meta.fields if name not in _NO_VALUES)


class Listed(NamedTuple):
    """What a catalogue says of one star: absent values are ``None``, absent columns are left out."""

    sdss_id: int | None
    apogee_id: str | None
    values: Values


@dataclass(eq=False)
class Star:
    """A source in a batch; ``pk`` is ``None`` until it is written."""

    pk: int | None = None
    sdss_id: int | None = None
    apogee_id: str | None = None
    values: Values = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)
    stored: Values | None = None
    merged_into: "Star | None" = None

    def root(self) -> "Star":
        """This star, or the one that it was merged into."""
        return self.merged_into.root() if self.merged_into else self

    def row(self) -> Values:
        """The columns of ``source`` without its key and its times."""
        values = {name: self.values.get(name) for name in VALUE_COLUMNS}
        values["ebv_flags"] = values["ebv_flags"] or 0
        ids = {"sdss_id": self.sdss_id, "sdss4_apogee_id": self.apogee_id}
        return {**ids, **values, "origins": precedence.encode(self.origins)}


class Change(NamedTuple):
    """A source as it will be, and the columns in which it differs from what is stored."""

    star: Star
    row: Values
    columns: set[str]

    def values(self) -> set[str]:
        """The values that differ, without identifiers, labels and provenance."""
        return self.columns & {*VALUE_COLUMNS} - precedence.LABELS.keys()

    def withdrawn(self) -> set[str]:
        """The values that are no longer there."""
        return {name for name in self.values() if self.row[name] is None}


class Stars:
    """The sources of one batch: read first, changed in memory, written once.

    Attributes:
        loaded: The sources that were read, by their keys.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.loaded: dict[int, Star] = {}
        self._found: dict[Star, None] = {}
        self._by_sdss_id: dict[int, Star] = {}
        self._by_name: dict[str, Star] = {}
        self._merged: list[tuple[int, int]] = []

    def load(
        self, ids: Collection[Ids], names_of_spectra: Mapping[str, int], pks: Collection[int] = ()
    ) -> None:
        """Read the sources that have one of these identifiers, or spectra of these names.

        Args:
            ids: The identifiers.
            names_of_spectra: The keys of sources by the APOGEE ids of their spectra.
            pks: The keys of further sources.
        """
        self._read(Source.pk, {*names_of_spectra.values(), *pks})
        self._read(Source.sdss_id, {sdss_id for sdss_id, _ in ids} - self._by_sdss_id.keys())
        known = {star.apogee_id for star in self.loaded.values()}
        self._read(Source.sdss4_apogee_id, {apogee_id for _, apogee_id in ids} - known)
        for name, pk in names_of_spectra.items():
            self._by_name.setdefault(name, self.loaded[pk])

    def known(self, pk: int) -> Star:
        """A source that was read and is found now."""
        star = self.loaded[pk].root()
        self._found[star] = None
        return star

    def find(self, sdss_id: int | None, apogee_id: str | None, observed_as: str | None = None) -> Star | None:
        """The star with these identifiers, a new one if needed; ``None`` without any identifier.

        Args:
            sdss_id: The identifier that decides.
            apogee_id: The name of the star.
            observed_as: Another name, that of its spectrum.
        """
        if sdss_id is None and apogee_id is None:
            return None
        by_id, by_name = self._by_sdss_id.get(sdss_id), self._by_name.get(apogee_id)
        is_other = observed_as not in (None, apogee_id)
        if by_name and by_name is not by_id and None not in (sdss_id, by_name.sdss_id):
            message = "%s has two sdss_ids, %d and %d: taken as two stars; the name stays with the first"
            self._tally.warn(message, apogee_id, by_name.sdss_id, sdss_id)
            by_name = apogee_id = None
        if by_id and by_name and by_id is not by_name:
            self._absorb(by_id, by_name)
        star = by_id or by_name or Star()
        self._found[star] = None
        star.sdss_id = star.sdss_id or sdss_id
        if is_other:
            self._observe(star, observed_as, is_named=apogee_id is not None)
        self._name(star, apogee_id)
        return star

    def take(self, star: Star, listed: Listed, origin: str) -> Star:
        """Give a star the names and the values that a catalogue has.

        Returns:
            The star, or the one that it was found to be.
        """
        sdss_id = star.sdss_id if listed.sdss_id is None else listed.sdss_id
        # This also takes over the values that are stored under its other name.
        self.find(sdss_id, star.apogee_id)
        star = self.find(sdss_id, listed.apogee_id or star.apogee_id) or star
        precedence.merge(star.values, star.origins, listed.values, origin)
        return star

    def keep_release(self, star: Star, known: Values) -> None:
        """Keep the release of Gaia in known values for a parallax from a catalogue that states none."""
        release, plx = known.get("gaia_release"), known.get("plx")
        is_kept = precedence.keep_release(star.values, star.origins, release)
        if is_kept and (plx is None or not math.isclose(plx, star.values["plx"], rel_tol=1e-6)):
            message = (
                "parallaxes of the catalogue, which does not say their release, are taken for those of %s"
            )
            self._tally.warn(message, release)

    def changes(self) -> Iterator[Change]:
        """The sources that were read and found, each with the columns that will change; counts them."""
        for star in dict.fromkeys(star.root() for star in self._found):
            if star.pk is not None:
                row = star.row()
                change = Change(star, row, {name for name in row if row[name] != star.stored[name]})
                self._tally.source(star.pk, updated=bool(change.columns - {"origins"}))
                self._tally.add(values_withdrawn=len(change.withdrawn()))
                yield change

    def write(self) -> list[Change]:
        """Write new and changed sources; afterwards every star that was found has its ``pk``.

        Returns:
            What became of the sources that were read.
        """
        for lost, kept in self._merged:
            self._repoint(lost, kept)
            self._tally.forget_source(lost)
        changes = list(self.changes())
        self._insert([star for star in dict.fromkeys(map(Star.root, self._found)) if star.pk is None])
        changed = [{"pk": change.star.pk, **change.row} for change in changes if change.columns]
        upsert(Source, changed, key=("pk",), uncounted=(*BAILER_JONES, "origins"))
        for star in dict.fromkeys(map(Star.root, self._found)):
            is_limit = bool((star.values.get("ebv_flags") or 0) & Source.flag_ebv_upper_limit.value)
            self._tally.limited(star.pk, is_limit=is_limit)
        return changes

    def _repoint(self, lost: int, kept: int) -> None:
        """Make all rows of one source refer to another, and delete the first."""
        # What was made from either of them was not made from what they are together.
        latest = f"(SELECT MAX(modified) FROM source WHERE pk IN ({lost:d}, {kept:d}))"
        later = peewee.SQL(moved_on_sql(database, latest))
        Source.update({Source.modified: later}).where(Source.pk == kept).execute()
        refusals = self._tally.references.move(lost, kept)
        message = (
            "two sources are one star, but what refers to one of them cannot be given to the other in "
            "table %s: it keeps its source, which stays without identifiers"
        )
        for refused in refusals:
            self._tally.warn(message, refused)
        change = Source.update(sdss_id=None, sdss4_apogee_id=None) if refusals else Source.delete()
        change.where(Source.pk == lost).execute()

    def _insert(self, new: list[Star]) -> None:
        pks: dict[int | str | None, int] = {}
        for pk, *ids in insert_rows(Source, map(Star.row, new), ("pk", "sdss_id", "sdss4_apogee_id")):
            pks |= dict.fromkeys(ids, pk)
        for star in new:
            star.pk = pks[star.sdss_id if star.apogee_id is None else star.apogee_id]
            self._tally.source(star.pk, new=True)

    def _read(self, column: peewee.Field, wanted: set) -> None:
        names = ("pk", "sdss_id", "sdss4_apogee_id", *VALUE_COLUMNS, "origins")
        query = Source.select(*(Source._meta.fields[name] for name in names))
        for row in stored_rows(query, column, wanted):
            pk = row.pop("pk")
            if pk not in self.loaded:
                values = {name: row[name] for name in VALUE_COLUMNS}
                values["ebv_flags"] = values["ebv_flags"] or None
                origins = precedence.decode(row["origins"], values)
                star = Star(pk, row["sdss_id"], row["sdss4_apogee_id"], values, origins, stored=row)
                self.loaded[pk] = star
                self._index(star)

    def _index(self, star: Star) -> None:
        if star.sdss_id is not None:
            self._by_sdss_id[star.sdss_id] = star
        if star.apogee_id is not None:
            self._by_name[star.apogee_id] = star

    def _observe(self, star: Star, name: str, *, is_named: bool) -> None:
        """Let a star be known by the name of a spectrum, which is not its own if it has another."""
        other = self._by_name.setdefault(name, star)
        is_same = None in (other.sdss_id, star.sdss_id)
        for each in (star, other) if is_same else (star,):
            if is_named and each.apogee_id == name:
                each.apogee_id = None
        if other is not star and is_same:
            self._absorb(star, other)

    def _name(self, star: Star, apogee_id: str | None) -> None:
        if apogee_id is not None and not (star.apogee_id and self._by_name.get(apogee_id) is star):
            if star.apogee_id not in (None, apogee_id):
                message = "sdss_id %s has two APOGEE ids, %s and %s: taken as one star"
                self._tally.warn(message, star.sdss_id, *sorted((star.apogee_id, apogee_id)))
            self._by_name[apogee_id] = star
            star.apogee_id = min(star.apogee_id or apogee_id, apogee_id)
        self._index(star)

    def _absorb(self, star: Star, other: Star) -> None:
        precedence.absorb(star.values, star.origins, other.values, other.origins)
        other.merged_into = star
        if star.pk is None:
            star.pk, star.stored = other.pk, other.stored
        elif other.pk is not None:
            self._merged.append((other.pk, star.pk))
        if other.apogee_id is not None:
            self._name(star, other.apogee_id)
        self._by_name.update({name: star for name, known in self._by_name.items() if known is other})
