"""``astra fetch``: brings files of spectra from the survey's archive, and registers them.

Where a file lies in the archive is known of spectra that are registered, as by an allStar table. A name alone
does not say it: until DR17 folders are named after fields, which overlap, and since then files after the
night of the last visit.
"""

import dataclasses
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path

import peewee

from astra.errors import AstraError, ConfigError, Interrupted, UsageError
from astra.ingest.archive import Answer, Outcome, check_installed, download
from astra.ingest.extinction import RuleName, rule_of
from astra.ingest.headers import read_record
from astra.ingest.records import IngestCounts, Tally
from astra.ingest.register import register
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.spectra.identity import published, usable_base_dir
from astra.tasks.star_names import sources_of

log = logging.getLogger("astra")

#: Files that are fetched before one short transaction registers them, and rows that one query reads.
BATCH = 100

_SPECTRA = ApogeeCoaddedSpectrumInApStar
_REMEDY = (
    "`astra ingest allstar FILE` registers those of a release from its allStar table; "
    "or, until DR17, give --release, --telescope and --field"
)


@dataclass(frozen=True)
class Wanted:
    """One file: the star, the data release, and the path relative to ``SAS_BASE_DIR``."""

    star: str
    release: str
    path: str


@dataclass
class FetchReport:
    """What became of the files; ``files`` is the sum of the four counts below it.

    Attributes:
        files: Files that were asked for, as far as the work got.
        there: Files that were there already.
        fetched: Files that were fetched.
        lacking: Files that the archive does not have.
        incomplete: Files that did not arrive whole, and were left out.
        bytes: The size of those fetched.
        ingest: What registering those that are there changed.
        error: What ended the work, or what is left to do.
    """

    files: int = 0
    there: int = 0
    fetched: int = 0
    lacking: int = 0
    incomplete: int = 0
    bytes: int = 0
    ingest: IngestCounts = field(default_factory=IngestCounts)
    error: AstraError | None = None

    def as_dict(self) -> dict[str, object]:
        """The counts by name, and the error as text, or ``None``."""
        return dataclasses.asdict(self) | {"error": None if self.error is None else str(self.error)}


# > Which files


def registered(
    stars: Iterable[str], *, release: str | None = None, telescope: str | None = None
) -> list[Wanted]:
    """The files of registered stars, whether or not they are there.

    Args:
        stars: Names: sdss_id (digits) or APOGEE id.
        release: Only files of this data release.
        telescope: Only files of this telescope.

    Raises:
        UsageError: A star is not registered, or has no such spectrum whose path is known.
    """
    found = []
    for star in stars:
        try:
            sources = sources_of([star])
        except UsageError as error:
            raise UsageError(f"{error}: {_REMEDY}") from None
        rows = _rows(release, telescope).where(_SPECTRA.source << sources)
        files = list(_fetchable(rows.order_by(_SPECTRA.pk)))
        if not files:
            of = " ".join(["", *(f"of {which}" for which in (release, telescope) if which)])
            raise UsageError(f"no spectrum{of} with a path in the archive is registered of {star}: {_REMEDY}")
        found += files
    return list(dict.fromkeys(found))


def missing(*, release: str | None = None, telescope: str | None = None) -> Iterator[Wanted]:
    """The files that are registered and not there, of all stars; arguments as in :func:`registered`.

    Raises:
        ConfigError: ``SAS_BASE_DIR`` is not set.
    """
    base, last = usable_base_dir(), 0
    while rows := list(
        _rows(release, telescope).where(_SPECTRA.pk > last).order_by(_SPECTRA.pk).limit(BATCH)
    ):
        yield from (each for each in _fetchable(rows) if not (base / each.path).is_file())
        last = rows[-1].pk


def of_field(stars: Iterable[str], *, release: str, telescope: str, place: str) -> list[Wanted]:
    """The files of stars that need not be registered, by the folder that they are in.

    Args:
        stars: APOGEE ids.
        release: The data release, DR10 to DR17.
        telescope: ``apo25m``, ``apo1m`` or ``lco25m``.
        place: The name of the folder: FIELD, or until DR14 LOCATION_ID.

    Raises:
        UsageError: A name is not an APOGEE id; there is no such telescope; files of this release are not in
            folders of fields.
    """
    release = release.lower()
    return [Wanted(star, release, published(star, release, telescope, place)) for star in stars]


def _rows(release: str | None, telescope: str | None) -> peewee.ModelSelect:
    query = _SPECTRA.select(_SPECTRA.pk, _SPECTRA.obj, _SPECTRA.release, _SPECTRA.path)
    for column, value in ((_SPECTRA.release, release), (_SPECTRA.telescope, telescope)):
        if value is not None:
            query = query.where(column == value.lower())
    return query


def _fetchable(rows: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[Wanted]:
    for row in rows:
        if not row.path or Path(row.path).is_absolute():
            log.warning(
                "%s: left out, its path is not below SAS_BASE_DIR: %s", row.obj, row.path or "unknown"
            )
        else:
            yield Wanted(row.obj, row.release, row.path)


# > Fetching them


def fetch(
    wanted: Iterable[Wanted],
    *,
    limit: int | None = None,
    archive: str | None = None,
    extinction: RuleName = "auto",
    on_progress: Callable[[int], None] | None = None,
) -> FetchReport:
    """Fetch the files that are missing or incomplete, and register all that are there then.

    Args:
        wanted: The files.
        limit: Stop when this many are there.
        archive: Another address of the archive, before ``/sas``; ``None`` takes the survey's.
        extinction: Where E(B-V) comes from, as in ``ingest_apstar``.
        on_progress: Called with the number of files done.

    Returns:
        The counts, also if an error of the archive or of a disk ended the work: in ``error``.

    Raises:
        UsageError: ``archive`` is not an address, or ``extinction`` is not one of its choices.
        ConfigError: ``SAS_BASE_DIR`` is not usable, or sdss-access is not installed.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    check_installed()
    base, rule = usable_base_dir(), rule_of(extinction)
    archive = None if archive is None else _address(archive)
    if not base.is_dir():
        raise ConfigError(f"SAS_BASE_DIR is not a folder: {base}; make it, or mount its disk")
    report, tally = FetchReport(), Tally()
    files = iter(wanted)
    while report.error is None and (batch := list(islice(files, _room(report, limit)))):
        arrived: list[Wanted] = []
        try:
            for each in _downloaded(batch, base, archive, report):
                arrived.append(each)
                if on_progress:
                    on_progress(report.files)
        except AstraError as error:
            report.error = error
        finally:
            # Also after Ctrl-C: --missing would not take them again.
            records = [
                read_record(base / each.path, release=each.release, extinction=rule) for each in arrived
            ]
            register(records, tally)
    report.ingest = tally.result()
    report.error = report.error or _left_to_do(report)
    return report


def _room(report: FetchReport, limit: int | None) -> int:
    """How many files to try next; those that the archive lacks do not count, or no others would ever come."""
    return BATCH if limit is None else min(BATCH, limit - report.fetched - report.there)


def _downloaded(
    batch: Iterable[Wanted], base: Path, archive: str | None, report: FetchReport
) -> Iterator[Wanted]:
    """The files of a batch that are there now, as they come."""
    for release, part in groupby(sorted(batch, key=attrgetter("release")), attrgetter("release")):
        by_path = {each.path: each for each in part}
        for answer in download([*by_path], base=base, release=release, archive=archive):
            if _counted(answer, by_path[answer.path].star, report):
                yield by_path[answer.path]


def _address(text: str) -> str:
    """The address of an archive, without ``/sas``."""
    if not re.match("https?://[^/]", text):
        raise UsageError(f"--archive {text}: give an address that begins with https://")
    return text.rstrip("/").removesuffix("/sas")


def _counted(answer: Answer, star: str, report: FetchReport) -> bool:
    """Count an answer, and say whether the file is there now."""
    report.files += 1
    report.bytes += answer.size
    setattr(report, answer.outcome.value, getattr(report, answer.outcome.value) + 1)
    if answer.outcome == Outcome.LACKING:
        log.warning("%s: not in the archive (%s): %s", star, answer.reason, answer.address)
    elif answer.outcome == Outcome.INCOMPLETE:
        log.warning("%s: did not arrive whole (%s): %s", star, answer.reason, answer.address)
    elif answer.reason:
        log.warning("%s: the file is kept as it is, %s: %s", star, answer.reason, answer.path)
    return answer.outcome in (Outcome.THERE, Outcome.FETCHED)


def _left_to_do(report: FetchReport) -> AstraError | None:
    if report.incomplete:
        return Interrupted(f"files that did not arrive whole: {report.incomplete:,}; run again to fetch them")
    if report.lacking and report.lacking == report.files:
        return UsageError(f"the archive has none of the files: {report.lacking:,}")
    return None
