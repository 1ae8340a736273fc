"""``astra ingest allstar``: registers the stars and spectra of a table that lists those of a data release.

There are two kinds of them (see ``precedence``). allStar names the file of each spectrum. mwmAllStar, and the
tables of results that Astra makes, say what the product is instead, and its path follows. The files need not
exist.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import peewee

from astra.errors import UsageError
from astra.ingest import gaia, spellings
from astra.ingest.catalogs.catalog import opened_catalog
from astra.ingest.extinction import Rule, RuleName, reddening, rule_of
from astra.ingest.precedence import Table, Values
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import register
from astra.ingest.tables.fits_tables import FitsTable, fits_tables
from astra.ingest.tables.table_columns import Columns
from astra.ingest.tables.table_files import label, selected
from astra.spectra.identity import INTERNAL, expected_path, identify, name_of, parse_path, stored

log = logging.getLogger("astra")

_PLACE = {"FIELD or HEALPIX": {"field", "healpix"}}
#: The columns of each kind of table: their names in messages, and ours; one of each set.
REQUIRED: Mapping[Table, Mapping[str, set[str]]] = {
    "allStar": {"FILE": {"file_name"}, "APOGEE_ID": {"obj"}} | _PLACE,
    "mwmAllStar": {"OBJ": {"obj"}, "TELESCOPE": {"telescope"}, "APRED": {"apred"}} | _PLACE,
}
#: Rows in one transaction; and batches that are read at once, since astropy looks at every column each time.
BATCH, READ = 2000, 5

_SPECTRUM = spellings.SPECTRUM | {"v_rad": (*spellings.SPECTRUM["v_rad"], spellings.V_RAD_OF_SDSS5)}
_STAR = spellings.STAR | {name: spellings.IDENTIFIERS[name] for name in ("sdss_id", "sdss4_apogee_id")}


def ingest_allstar(
    file: str | Path,
    *,
    spectra_root: str | Path | None = None,
    catalog: str | Path | None = None,
    catalog_hdu: str | None = None,
    columns: Mapping[str, str] | None = None,
    extinction: RuleName = "auto",
    dust_map: str | None = None,
    release: str | None = None,
    hdu: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestCounts:
    """Register spectra and their stars from an allStar or mwmAllStar table.

    Args:
        file: A FITS table of any release, also compressed with gzip.
        spectra_root: The folder of the published spectra, if it is not ``SAS_BASE_DIR``.
        catalog: A table with values for these stars, preferred to those of the allStar table.
        catalog_hdu: The number or the name of the table in that file; ``None`` takes the one that lists the
            stars.
        columns: The names of columns in the catalogue by ours, where it has other names than are known.
        extinction: Where E(B-V) comes from, as in ``extinction.Rule``.
        dust_map: The map in ``dust_maps`` that ``auto`` takes last.
        release: The data release of reductions that do not state a public one.
        hdu: The number or the name of the table in the file; ``None`` takes the first that fits and has rows.
        on_progress: Called with the numbers of rows done and of all rows.

    Raises:
        UsageError: The file is not such a table, or an argument is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    tally, file, rule = Tally(), Path(file), rule_of(extinction, dust_map)
    table, kind = _table(file, hdu)
    if not len(table):
        log.warning("%s: table %s has no rows", file, label(table))
    listed = opened_catalog(catalog, tally, catalog_hdu, columns, rule, option="--catalog-hdu")
    done = 0
    for rows in _pieces(table, kind, file, rule, tally):
        records = [record for row in rows if (record := _record(kind, *row, spectra_root, release))]
        if any(record.path is None for record in records):
            message = "%s: LOCATION_ID, FIELD or HEALPIX is absent in some rows; their files cannot be found"
            tally.warn(message, file)
        if release is None and any(record.product.release == INTERNAL for record in records):
            message = (
                "%s: spectra of release %s, as the table calls them, are looked for in the survey's internal "
                "tree; for the public files give --release with it, e.g. --release dr19"
            )
            tally.warn(message, file, INTERNAL)
        register(records, tally, listed)
        skipped = len(rows) - len(records)
        tally.add(seen=skipped, skipped=skipped)
        done += len(rows)
        if on_progress:
            on_progress(done, len(table))
    if listed is not None:
        listed.count()
    counts = tally.result()
    if counts.skipped:
        log.warning("%s: %d rows name no apStar or asStar file and are left out", file, counts.skipped)
    return counts


def _table(file: Path, hdu: str | None) -> tuple[FitsTable, Table]:
    tables = selected(fits_tables(file), hdu, file)
    fitting = [(table, kind) for table in tables for kind in REQUIRED if not _lacking(table, kind)]
    if not fitting:
        raise UsageError(_refusal(file, tables))
    fitting.sort(key=lambda each: not len(each[0]))
    others = ", ".join(label(table) for table, _ in fitting[1:] if table is not fitting[0][0])
    if others:
        log.info("%s: table %s is taken, not %s; --hdu takes another", file, label(fitting[0][0]), others)
    return fitting[0]


def _lacking(table: FitsTable, kind: Table) -> list[str]:
    """The required columns that a table lacks."""
    groups = spellings.PRODUCT | spellings.UNNAMED
    there = spellings.among(spellings.by_upper_case(table.units), groups)
    return [text for text, names in REQUIRED[kind].items() if not names & there.keys()]


def _refusal(file: Path, tables: list[FitsTable]) -> str:
    if not tables:
        return f"not an allStar table: {file} (no table in it)"
    there = {name for table in tables for name in spellings.by_upper_case(table.units)}
    if "SDSS_ID" in there and "FILE" not in there:
        lacks = ", ".join(_lacking(tables[-1], "mwmAllStar"))
        return f"no spectra in {file} (missing columns: {lacks}); for its stars: astra ingest catalog {file}"
    return f"not an allStar table: {file} (missing columns: {', '.join(_lacking(tables[0], 'allStar'))})"


def _pieces(
    table: FitsTable, kind: Table, file: Path, rule: Rule, tally: Tally
) -> Iterator[list[tuple[Values, Values, Values]]]:
    """The rows of a table in pieces: the values of the product, the star and the spectrum by our names."""
    of_gaia = gaia.names_in_release(spellings.by_upper_case(table.units))
    product = spellings.PRODUCT | (spellings.UNNAMED if kind == "mwmAllStar" else {})
    groups = (product, _SPECTRUM, _STAR, spellings.EXTINCTION, of_gaia.wanted)
    wanted = {name: names for group in groups for name, names in group.items()}
    columns = Columns(file, table.units, wanted, tally)
    for piece in table.pieces(columns.needed, READ * BATCH):
        values = columns.values(piece)
        columns.examine(piece, values)
        facts, spectrum, star, extinction, measured = (
            {name: values[name] for name in group if name in values} for group in groups
        )
        star |= reddening(star | extinction, columns.names, rule, tally)
        star |= gaia.with_release(measured, of_gaia.release)
        parts = (_rows(part, len(values["obj"])) for part in (facts, star, spectrum))
        yield from map(list, peewee.chunked(zip(*parts, strict=True), BATCH))
    columns.warn()


def _rows(columns: Mapping[str, list], count: int) -> Iterator[Values]:
    """The rows of some columns."""
    if not columns:
        return ({} for _ in range(count))
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _record(
    kind: Table, facts: Values, star: Values, spectrum: Values, root: str | Path | None, release: str | None
) -> Record | None:
    name = name_of(facts) if kind == "mwmAllStar" else parse_path(facts["file_name"] or "")
    if name is None:
        return None
    product = identify(name, facts, release=release, what=facts.get("file_name") or name.obj)
    path = expected_path(product)
    if root is not None and product.sas_path is not None:
        path = stored(Path(root, product.sas_path))
    ids = [star.pop(each, None) for each in ("sdss_id", "sdss4_apogee_id")]
    return Record(product, path, ids[0], star, spectrum, table=kind, name=ids[1])
