"""``astra ingest astra``: registers the spectra and stars of an existing database of SDSS Astra.

Two of its tables are read, in one snapshot and some rows at a time: the combined APOGEE spectra, each with
its source. A spectrum is the product that its file would be, and a value of a source counts like one of an
allStar table (see ``precedence``). Nothing is written there.

Upstream takes parallaxes, proper motions and magnitudes of Gaia from DR3 (its function
``migrate_gaia_dr3_astrometry_and_photometry``). It knows no commissioning spectra.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import peewee
from pydantic import ValidationError

from astra.config import DatabaseSettings, Settings
from astra.database.connection import (
    described,
    is_missing_table,
    is_postgresql,
    one_line,
    open_database,
    sqlite_file,
    translated,
)
from astra.database.sql import all_rows, batches, snapshot
from astra.errors import AstraError, ConfigError, DatabaseUnreachable, UsageError
from astra.hiding import hidden
from astra.ingest import spellings
from astra.ingest.extinction import AUTO, reddening
from astra.ingest.precedence import Values
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import register
from astra.ingest.source_rows import VALUE_COLUMNS
from astra.ingest.values import clean_column
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.spectra.identity import FileName, Product, expected_path, identify

log = logging.getLogger("astra")

#: Upstream's tables.
SPECTRA, SOURCES = "apogee_coadded_spectrum_in_ap_star", "source"
#: Rows in one transaction, and in memory.
BATCH = 2000

_REQUIRED = {
    SPECTRA: ("source_pk", "release", "apred", "obj", "telescope", "field", "healpix"),
    SOURCES: ("pk", "sdss_id"),
}
_PRODUCT = (*_REQUIRED[SPECTRA][1:], "apstar", "prefix")
_MEASURED = tuple(spellings.SPECTRUM)
# What follows from several columns, and columns that it has in no version so far.
_EXTINCTION = ("ebv", "e_ebv", "ebv_flags")
_DERIVED = {*_EXTINCTION, "ebv_origin", "gaia_release"}
_NEWER = {"ruwe", "nu_eff_used_in_astrometry", "pseudocolour", "astrometric_params_solved"}
_STAR = ("sdss_id", "sdss4_apogee_id", *(name for name in VALUE_COLUMNS if name not in _DERIVED))
_OPTIONAL = {SPECTRA: (*_PRODUCT, *_MEASURED, "modified"), SOURCES: (*_STAR, *_EXTINCTION, "modified")}

#: The columns of some rows by their names.
Columns = dict[str, Sequence[Any]]


# > Which database


def upstream_settings(settings: Settings, asked: str | None, schema: str | None = None) -> Settings:
    """The settings that name upstream's database.

    Args:
        settings: Those in force.
        asked: A profile of ``databases`` in the settings, an address, or a SQLite file; ``None`` takes the
            setting ``from_url``.
        schema: The schema of its tables, if it is not that of the profile.

    Raises:
        UsageError: No database is named, there is none of this name, or the schema is not one.
    """
    profiles = settings.databases
    if asked in profiles:
        chosen = profiles[asked]
    elif asked is None and settings.from_url is None:
        known = f" ({', '.join(profiles)})" if profiles else ""
        raise UsageError(
            f"--from is missing: name a profile of `databases:` in astra.yml{known}, or set ASTRA_FROM_URL"
        )
    elif asked is None:
        chosen = DatabaseSettings(url=settings.from_url)
    elif "://" in asked:
        if hidden(asked) != asked:
            log.warning(
                "--from has a password in it, which others see in the list of processes: give it in "
                "~/.pgpass, in a profile of `databases:` in astra.yml, or in ASTRA_FROM_URL"
            )
        chosen = DatabaseSettings(url=asked)
    elif Path(asked).exists():
        chosen = DatabaseSettings(path=asked)
    else:
        known = (
            f"the profiles of `databases:` are {', '.join(profiles)}" if profiles else "there are no profiles"
        )
        # Whatever is not the name of a profile or a file may hold a password.
        shown = asked if re.fullmatch(r"[\w./~+-]*", asked) else "is not understood"
        raise UsageError(f"--from {shown}: no such profile, address or SQLite file; {known}")
    if schema is not None:
        try:
            chosen = DatabaseSettings.model_validate(chosen.model_dump(by_alias=True) | {"schema": schema})
        except ValidationError:
            raise UsageError(f"--schema {schema}: write it with lower-case letters, digits and _") from None
    return settings.model_copy(update={"database": chosen})


def open_upstream(settings: Settings) -> peewee.Database:
    """Connect to the database that :func:`upstream_settings` names.

    Raises:
        ConfigError: The SQLite file does not exist, or is not a database.
        DatabaseUnreachable: There is no server, or it refuses the login.
    """
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        raise ConfigError(f"SDSS Astra's database: no such file: {file}")
    try:
        return open_database(settings)
    except AstraError as error:
        raise type(error)(f"SDSS Astra's database: {error}") from error


def checked_time(text: str | None) -> datetime | None:
    """The time that ``--since`` names.

    Raises:
        UsageError: It is not one, or has a time zone, which upstream's times do not have.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text}: not a time; write it as 2026-03-01 or 2026-03-01T12:30:00"
        ) from None
    if time.tzinfo is not None:
        raise UsageError(
            f"--since {text}: without a time zone, please: the times of SDSS Astra's database have none"
        )
    return time


# > Its tables


@dataclass(frozen=True)
class Upstream:
    """An open database of upstream, whose tables were looked at.

    Attributes:
        where: Which one it is, for messages.
        columns: Those that are wanted and there, by table.
    """

    database: peewee.Database
    where: str
    columns: Mapping[str, list[str]]

    def query(self, since: datetime | None) -> peewee.Select:
        """All spectra, each with its source; only those of which either was modified since then."""
        tables = {name: peewee.Table(name) for name in self.columns}
        spectra, sources = tables[SPECTRA], tables[SOURCES]
        chosen = [getattr(tables[table].c, name) for table, names in self.columns.items() for name in names]
        joined = spectra.join(sources, peewee.JOIN.LEFT_OUTER, on=spectra.c.source_pk == sources.c.pk)
        query = peewee.Select([joined], chosen)
        if since is not None:
            # As text, which it is on SQLite; PostgreSQL takes it for a time.
            query = query.where((spectra.c.modified >= str(since)) | (sources.c.modified >= str(since)))
        return query

    def count(self, query: peewee.Select) -> int:
        """How many rows a query has."""
        with reading(self.where):
            counted = peewee.Select([query.alias("rows")], [peewee.fn.COUNT(peewee.SQL("*"))])
            ((number,),) = all_rows(self.database, counted)
            return number

    def pieces(self, query: peewee.Select) -> Iterator[tuple[Columns, Columns]]:
        """Some rows at a time: the columns of the spectra, and those of their sources."""
        n_spectra = len(self.columns[SPECTRA])
        with reading(self.where):
            for rows in batches(self.database, query, BATCH):
                columns = list(zip(*rows, strict=True))
                yield (
                    dict(zip(self.columns[SPECTRA], columns[:n_spectra], strict=True)),
                    dict(zip(self.columns[SOURCES], columns[n_spectra:], strict=True)),
                )


def look_at(database: peewee.Database, *, incremental: bool = False) -> Upstream:
    """Find upstream's tables, and those of their columns that are of use here.

    Args:
        database: The open database.
        incremental: Whether it takes the times of the last changes.

    Raises:
        ConfigError: A table, a column that it takes, or the right to read is missing.
        UsageError: The database is one of this package.
    """
    with reading("SDSS Astra's database"):
        where, schema = described(database), _schema(database)
        if database.table_exists(ApogeeCoaddedSpectrumInApStar._meta.table_name):
            raise UsageError(
                f"{where}: not of SDSS Astra, but of this package: ingest its spectra from where it has them"
            )
        columns = {}
        for table, required in _REQUIRED.items():
            there = _columns(database, schema, table)
            required = (*required, "modified") if incremental else required
            if lacking := [name for name in required if name not in there]:
                raise ConfigError(
                    f"{where}: table {schema}{table} has no column {', '.join(lacking)}; the tables of "
                    "SDSS Astra 0.8 are known"
                )
            wanted = dict.fromkeys((*required, *_OPTIONAL[table]))
            others = _of_extinction(there).values() if table == SOURCES else ()
            columns[table] = [name for name in dict.fromkeys((*wanted, *others)) if name in there]
            if absent := [name for name in wanted if name not in there and name not in _NEWER]:
                log.warning("%s: table %s%s has no column %s", where, schema, table, ", ".join(absent))
    return Upstream(database, where, columns)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Name upstream's database in errors of reading it.

    Raises:
        DatabaseUnreachable: The connection was lost.
        StorageError: The database refused to read.
    """
    try:
        yield
    except peewee.PeeweeException as error:
        known = translated(error, "refused to read")
        raise type(known)(f"{where}: {known}") from error


def _schema(database: peewee.Database) -> str:
    """What stands before the names of tables in messages."""
    if not is_postgresql(database):
        return ""
    ((schema,),) = database.execute_sql("SELECT current_setting('search_path')").fetchall()
    return f"{schema}."


def _columns(database: peewee.Database, schema: str, table: str) -> list[str]:
    try:
        return [name for name, *_ in database.execute_sql(f"SELECT * FROM {table} LIMIT 0").description]
    except peewee.DatabaseError as error:
        if isinstance(translated(error), DatabaseUnreachable):
            raise
        detail = f"no table {schema}{table}" if is_missing_table(error) else one_line(error)
        remedy = f"it takes a login that may read {SPECTRA} and {SOURCES}, as SDSS Astra has made them"
        if others := _schemas(database):
            remedy = f"they are in {', '.join(others)}: name one with --schema"
        raise ConfigError(f"SDSS Astra's database: {detail}; {remedy}") from error


def _schemas(database: peewee.Database) -> list[str]:
    """The other schemas in which this login sees the tables."""
    if not is_postgresql(database):
        return []
    query = (
        "SELECT nspname FROM pg_class JOIN pg_namespace AS there ON there.oid = relnamespace "
        "WHERE relname IN (%s, %s) AND relkind IN ('r', 'p', 'f') "
        "AND nspname <> current_setting('search_path') AND has_schema_privilege(there.oid, 'USAGE') "
        "GROUP BY nspname HAVING count(*) = 2 ORDER BY nspname"
    )
    return [schema for (schema,) in database.execute_sql(query, (SPECTRA, SOURCES)).fetchall()]


# > Its rows


def product_of(facts: Values, release: str | None = None) -> Product | None:
    """The product that a row of upstream is: that of its file.

    Args:
        facts: The columns that identify it; absent ones are ``None`` or left out.
        release: As for :func:`ingest_astra`.

    Returns:
        The product; ``None`` if the row does not say which.
    """
    obj, apred, telescope = (facts[name] for name in ("obj", "apred", "telescope"))
    if obj is None or apred is None:
        return None
    prefix = facts.get("prefix")
    if prefix not in ("ap", "as"):
        prefix = "as" if telescope == "lco25m" else "ap"
    name = FileName(
        prefix=prefix,
        commissioning=False,
        apred=apred,
        apstar=facts.get("apstar") or "stars",
        telescope=telescope or "",
        obj=obj,
        last_night="",
        place="",
    )
    return identify(name, facts, release=release or facts["release"], what=obj)


class Done(NamedTuple):
    """What an ingest did; ``modified_until`` is when the last of the rows was modified, for the next one."""

    counts: IngestCounts
    modified_until: str | None


def ingest_astra(
    upstream: Upstream,
    *,
    since: datetime | None = None,
    release: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Done:
    """Register all spectra and their stars, or those that were modified since then.

    Args:
        upstream: Upstream's database; another one than that of the models.
        since: A time by the clock of upstream, without a time zone.
        release: The data release of reductions that do not state it, if not what upstream says.
        on_progress: Called with the numbers of rows done and of all rows.

    Raises:
        UsageError: The release is not one.
        StorageError: A database refused to read or to write; the batches before it are kept.
        DatabaseUnreachable: A connection was lost; the batches before it are kept.
    """
    tally, done, latest = Tally(), 0, str(since or "")
    query = upstream.query(since)
    with snapshot(upstream.database):
        total = upstream.count(query) if on_progress else 0
        for spectra, sources in upstream.pieces(query):
            records = list(_records(spectra, sources, release, tally))
            if any(record.path is None for record in records):
                message = "%s: HEALPix pixel or field is absent in some rows; their files cannot be found"
                tally.warn(message, upstream.where)
            register(records, tally)
            n_rows = len(spectra["obj"])
            tally.add(seen=n_rows - len(records), skipped=n_rows - len(records))
            latest = max([latest, *_times(spectra), *_times(sources)])
            done += n_rows
            if on_progress:
                on_progress(done, total)
    counts = tally.result()
    if counts.skipped:
        log.warning("%s: %d spectra without obj or apred are left out", upstream.where, counts.skipped)
    return Done(counts, latest or None)


def _times(columns: Columns) -> Iterator[str]:
    return (str(time) for time in columns.get("modified", ()) if time is not None)


def _records(spectra: Columns, sources: Columns, release: str | None, tally: Tally) -> Iterator[Record]:
    rows = zip(
        _rows(_cleaned(spectra, {name: name for name in _PRODUCT})),
        _rows(_cleaned(spectra, {name: name for name in _MEASURED})),
        _rows(_stars(sources, tally)),
        sources["pk"],
        strict=True,
    )
    for facts, spectrum, star, pk in rows:
        product = product_of(facts, release)
        if product is None:
            continue
        # Without a source nothing is said of the star, not even that a value is absent.
        star = star if pk is not None else {}
        if any(star.get(name) is not None for name in spellings.GAIA):
            star["gaia_release"] = "dr3"
        sdss_id, name = (star.pop(each, None) for each in ("sdss_id", "sdss4_apogee_id"))
        yield Record(product, expected_path(product), sdss_id, star, spectrum, table="astra", name=name)


def _stars(sources: Columns, tally: Tally) -> Columns:
    """The values of the sources; E(B-V) is upstream's own, or follows from its other columns."""
    names = _of_extinction(sources)
    stars = _cleaned(sources, {name: name for name in _STAR})
    return stars | reddening(stars | _cleaned(sources, names), names, AUTO, tally)


def _of_extinction(there: Iterable[str]) -> dict[str, str]:
    """The columns that E(B-V) follows from, by our names."""
    return spellings.among(spellings.by_upper_case(there), spellings.EXTINCTION)


def _cleaned(columns: Columns, wanted: Mapping[str, str]) -> Columns:
    """Columns by our names, absent values as ``None``; absent columns are left out."""
    return {name: clean_column(name, columns[each]) for name, each in wanted.items() if each in columns}


def _rows(columns: Columns) -> list[Values]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
