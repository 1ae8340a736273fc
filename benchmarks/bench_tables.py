"""Rows per second of processor time, and memory, of reading a catalogue in pieces, as `astra ingest` does.

    python benchmarks/bench_tables.py [--rows 1100000] [--formats csv,csv.gz,parquet,fits,fits.gz] [--clean]

The table has 20 columns: identifiers, texts and numbers, some of them absent. Each format is read by a
process of its own; its memory is the growth of its peak from the moment when all libraries are loaded. With
--clean, the values are also brought into the form in which they are stored.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
from astropy.io import fits
from pyarrow import csv, parquet

from astra.ingest import spellings
from astra.ingest.records import Tally
from astra.ingest.tables.table_columns import Columns
from astra.ingest.tables.table_files import tables_in

FORMATS = "csv,csv.gz,parquet,fits,fits.gz"
PIECE = 20_000
COLUMNS = (
    *("sdss_id", "apogee_id", "gaia_dr3_source_id", "cc_flg", "ph_qual", "ra", "dec", "j_mag", "e_j_mag"),
    *("h_mag", "e_h_mag", "k_mag", "e_k_mag", "ebv", "e_ebv", "plx", "e_plx", "pmra", "pmde", "ruwe"),
)


def main() -> None:
    """Read the arguments, write each table, and print a line for it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_100_000, help="the number of rows")
    parser.add_argument("--formats", default=FORMATS, help="with commas between them")
    parser.add_argument("--clean", action="store_true", help="clean the values as well")
    arguments = parser.parse_args()
    print(f"{'format':<8} {'file MB':>8} {'open s':>7} {'read s':>7} {'rows/s':>10} {'extra MB':>9}")
    with tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
        for each in arguments.formats.split(","):
            path = Path(folder) / f"table.{each}"
            _in_child(write, path, arguments.rows)
            size = path.stat().st_size / 1e6
            opening, reading, extra = _in_child(read, path, arguments.rows, arguments.clean)
            rate = arguments.rows / (opening + reading)
            measured = f"{opening:>7.1f} {reading:>7.1f} {rate:>10,.0f} {extra:>9.0f}"
            print(f"{each:<8} {size:>8.0f} {measured}", flush=True)
            path.unlink()


def write(path: Path, rows: int) -> None:
    """Write a table in the format that its name says."""
    content = pyarrow.Table.from_batches(_batches(rows))
    if ".csv" in path.suffixes:
        with pyarrow.output_stream(path) as stream:  # which compresses by the name
            csv.write_csv(content, stream)
    elif path.suffix == ".parquet":
        parquet.write_table(content, path)
    else:
        columns = {name: content[name].to_numpy() for name in content.column_names}
        texts = {name: column.astype("S") for name, column in columns.items() if column.dtype == object}
        records = np.rec.fromarrays(list((columns | texts).values()), names=content.column_names)
        fits.BinTableHDU(records).writeto(path)


def read(path: Path, rows: int, clean: bool) -> tuple[float, float, float]:
    """Read a table; return the processor time of opening and of reading it [s], and the memory [MB]."""
    before = _peak()
    started = time.process_time()
    (table,) = tables_in(path)
    opened = time.process_time()
    columns = Columns(path, table.units, spellings.NAMES, Tally())
    count = 0
    for piece in table.pieces(COLUMNS, PIECE):
        count += len(piece["sdss_id"])
        if clean:
            columns.values(piece)
    if count != rows:
        raise SystemExit(f"{path}: {count} rows instead of {rows}")
    return opened - started, time.process_time() - opened, _peak() - before


def _batches(rows: int) -> Iterator[pyarrow.RecordBatch]:
    random = np.random.default_rng(1)
    for start in range(0, rows, PIECE):
        numbers = np.arange(start, min(start + PIECE, rows))
        values = {name: np.round(random.uniform(0, 20, len(numbers)), 5) for name in COLUMNS}
        values["k_mag"][numbers % 50 == 0] = np.nan
        values |= {
            "sdss_id": 50_000_000 + numbers,
            "gaia_dr3_source_id": 5853498713190000000 + numbers,
            "apogee_id": [f"2M{number:08d}+{number:07d}" for number in numbers.tolist()],
            "cc_flg": ["000"] * len(numbers),
            "ph_qual": ["AAA"] * len(numbers),
        }
        yield pyarrow.record_batch(values)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_child(function, *arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


if __name__ == "__main__":
    main()
