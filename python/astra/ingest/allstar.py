"""``astra ingest allstar``: registers the stars and spectra of an allStar table.

A row counts like a header of its release (see ``precedence``). The files of the spectra need not exist.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from astra.errors import UsageError
from astra.ingest import gaia, spellings
from astra.ingest.extinction import Rule, RuleName, reddening, rule_of
from astra.ingest.precedence import Values
from astra.ingest.records import IngestCounts, Record, Tally
from astra.ingest.register import register
from astra.ingest.table_columns import Columns
from astra.ingest.table_files import FitsTable, fits_tables, label, selected
from astra.spectra.identity import expected_path, identify, parse_path, stored

log = logging.getLogger("astra")

#: The columns that a table must have: their names in messages, and ours; one of each set.
REQUIRED = {"FILE": {"file_name"}, "APOGEE_ID": {"obj"}, "FIELD or HEALPIX": {"field", "healpix"}}
#: Rows in one transaction, and in memory.
BATCH = 2000

_SPECTRUM = spellings.SPECTRUM | {"v_rad": (*spellings.SPECTRUM["v_rad"], spellings.V_RAD_OF_SDSS5)}
_STAR = spellings.STAR | {"sdss_id": spellings.IDENTIFIERS["sdss_id"]}


def ingest_allstar(
    file: str | Path,
    *,
    spectra_root: str | Path | None = None,
    extinction: RuleName = "auto",
    dust_map: str | None = None,
    release: str | None = None,
    hdu: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestCounts:
    """Register spectra and their stars from an allStar table.

    Args:
        file: A FITS table of any release, also compressed with gzip.
        spectra_root: The folder of the published spectra, if it is not ``SAS_BASE_DIR``.
        extinction: Where E(B-V) comes from, as in ``extinction.Rule``.
        dust_map: The map in ``dust_maps`` that ``auto`` takes last.
        release: The data release of reductions that do not state it.
        hdu: The number or the name of the table in the file; ``None`` takes the first that fits and has rows.
        on_progress: Called with the numbers of rows done and of all rows.

    Raises:
        UsageError: The file is not an allStar table, or an argument is not usable.
        StorageError: The database refused a write; the batches before it are kept.
        DatabaseUnreachable: The connection was lost; the batches before it are kept.
    """
    tally, file, rule = Tally(), Path(file), rule_of(extinction, dust_map)
    table = _table(file, hdu)
    done = 0
    for rows in _pieces(table, file, rule, tally):
        records = [record for row in rows if (record := _record(*row, spectra_root, release)) is not None]
        if any(record.path is None for record in records):
            message = "%s: LOCATION_ID, FIELD or HEALPIX is absent in some rows; their files cannot be found"
            tally.warn(message, file)
        register(records, tally)
        skipped = len(rows) - len(records)
        tally.add(seen=skipped, skipped=skipped)
        done += len(rows)
        if on_progress:
            on_progress(done, len(table))
    counts = tally.result()
    if counts.skipped:
        log.warning("%s: %d rows name no apStar or asStar file and are left out", file, counts.skipped)
    return counts


def _table(file: Path, hdu: str | None) -> FitsTable:
    tables = selected(fits_tables(file), hdu, file)
    fitting = sorted((table for table in tables if not _lacking(table)), key=lambda table: not len(table))
    if not fitting:
        lacks = f"missing columns: {', '.join(_lacking(tables[0]))}" if tables else "no table in it"
        raise UsageError(f"not an allStar table: {file} ({lacks})")
    if len(fitting) > 1:
        others = ", ".join(label(table) for table in fitting[1:])
        log.info("%s: table %s is taken, not %s; --hdu takes another", file, label(fitting[0]), others)
    return fitting[0]


def _lacking(table: FitsTable) -> list[str]:
    """The required columns that a table lacks."""
    there = spellings.among(spellings.by_upper_case(table.units), spellings.PRODUCT)
    return [text for text, names in REQUIRED.items() if not names & there.keys()]


def _pieces(
    table: FitsTable, file: Path, rule: Rule, tally: Tally
) -> Iterator[list[tuple[Values, Values, Values]]]:
    """The rows of a table in pieces: the values of the product, the star and the spectrum by our names."""
    of_gaia = gaia.names_in_release(spellings.by_upper_case(table.units))
    groups = (spellings.PRODUCT, _SPECTRUM, _STAR, spellings.EXTINCTION, of_gaia.wanted)
    wanted = {name: names for group in groups for name, names in group.items()}
    columns = Columns(file, table.units, wanted, tally)
    for piece in table.pieces(columns.needed, BATCH):
        columns.warn(piece)
        values = columns.values(piece)
        product, spectrum, star, extinction, measured = (
            {name: values[name] for name in group if name in values} for group in groups
        )
        star |= reddening(star | extinction, columns.names, rule)
        star |= gaia.with_release(measured, of_gaia.release)
        yield [
            tuple({name: column[row] for name, column in part.items()} for part in (product, star, spectrum))
            for row in range(len(values["file_name"]))
        ]


def _record(
    facts: Values, star: Values, spectrum: Values, root: str | Path | None, release: str | None
) -> Record | None:
    file_name = facts["file_name"] or ""
    name = parse_path(file_name)
    if name is None:
        return None
    product = identify(name, facts, release=release, what=file_name)
    path = expected_path(product)
    if root is not None and product.sas_path is not None:
        path = stored(Path(root, product.sas_path))
    return Record(product, path, star.pop("sdss_id", None), star, spectrum, from_table=True)
