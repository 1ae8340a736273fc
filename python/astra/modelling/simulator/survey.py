"""A simulated survey on disk: apStar files, a table of measured magnitudes and parallaxes, and the truth.

apStar-dr17-2M….fits   one spectrum each
targets.csv            photometry, reddening, parallaxes: for ``astra ingest apstar --catalog``
truth.csv              true distances and labels, for ``astra compare``
"""

import csv
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from astra.errors import StorageError, UsageError
from astra.modelling.simulator import MAX_SNR, MIN_SNR, TARGETS, TRUTH
from astra.modelling.simulator.apstar_files import SIMULATED, file_name, render_apstar
from astra.modelling.simulator.observables import Observables, draw_observables
from astra.modelling.simulator.sample import Sample, simulate_chunks
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.spectra.fits_structure import BLOCK

# Bytes of a file on average: a spectrum has six rows.
_BYTES = 1_400_000

_TARGET_COLUMNS = (
    *("sdss_id", "apogee_id", "ra", "dec", "l", "b"),
    *("j_mag", "e_j_mag", "h_mag", "e_h_mag", "k_mag", "e_k_mag"),
    *("ebv", "e_ebv", "ebv_origin", "plx", "e_plx", "ruwe"),
)
_TRUTH_COLUMNS = (
    *("apogee_id", "kind", "dist_pc", "fakemag", "m_ks_abs", "ebv", "teff", "logg", "m_h", "alpha_m", "mass"),
    *("flux_ratio", "separation", "snr"),
)


@dataclass
class Survey:
    """What was written.

    Attributes:
        kinds: Number of stars of each kind.
        ranges: Smallest and largest of ``snr``, ``h_mag`` and ``dist`` [pc].
        size: Bytes of all spectra.
    """

    folder: Path
    kinds: Counter = field(default_factory=Counter)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    size: int = 0

    def add(self, sample: Sample, observables: Observables) -> None:
        """Count the stars of a sample, which are those of ``observables``."""
        self.kinds.update(sample.stars.kind.tolist())
        found = {"snr": sample.snr, "h_mag": observables.h_mag, "dist": observables.dist}
        for name, values in found.items():
            low, high = self.ranges.get(name, (math.inf, -math.inf))
            self.ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))


def write_survey(
    folder: Path,
    simulator: Simulator,
    n: int,
    *,
    seed: int = 0,
    min_snr: float = MIN_SNR,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Simulate stars and write what a survey would have of them, a few hundred at a time.

    Args:
        folder: Where to write; it is created if it does not exist.
        simulator: Where stars and their spectra come from.
        n: How many stars.
        seed: The same seed gives the same files, also when more of them are written.
        min_snr: Smallest signal-to-noise ratio per pixel.
        overwrite: Whether to write into a folder that is not empty. The files of an earlier simulation in it
            are removed; all others stay.
        on_progress: Called with the number of stars done and of all stars.

    Raises:
        UsageError: A number is out of range, or the folder cannot be used.
        StorageError: The disk is full, or cannot be written.
    """
    _check_numbers(n, seed, min_snr)
    _prepare(folder, n, overwrite=overwrite)
    survey = Survey(folder)
    tables = _table(folder / TARGETS, _TARGET_COLUMNS), _table(folder / TRUTH, _TRUTH_COLUMNS)
    with _refusals(folder), tables[0] as targets, tables[1] as truth:
        for sample, observables in _chunks(simulator, n, seed, min_snr):
            targets(_target_rows(observables))
            truth(_truth_rows(sample, observables))
            for index, number in enumerate(observables.number.tolist()):
                survey.size += _write(folder, sample, observables, index, seed)
                if on_progress:
                    on_progress(number + 1, n)
            survey.add(sample, observables)
    return survey


def _check_numbers(n: int, seed: int, min_snr: float) -> None:
    if n < 1:
        raise UsageError(f"cannot simulate {n} stars: give at least 1")
    if seed < 0:
        raise UsageError(f"a seed of {seed}: give 0 or more")
    if not 0 < min_snr < MAX_SNR:
        raise UsageError(f"a smallest S/N of {min_snr:g}: give more than 0 and less than {MAX_SNR:g}")


def _prepare(folder: Path, n: int, *, overwrite: bool) -> None:
    """Create the folder, or remove an earlier simulation from it; check that there is room."""
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"not a folder: {folder}; give another place")
        if folder.is_dir() and any(folder.iterdir()):
            if not overwrite:
                raise UsageError(f"not empty: {folder}; give another folder, or --overwrite")
            _remove_earlier(folder)
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UsageError(
            f"cannot use the folder {folder}: {error.strerror}; give one that you may write in"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write in the folder {folder}: permission denied; give another one")
    if n * _BYTES > free:
        needed = f"{n:,} stars take about {n * _BYTES / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free"
        raise StorageError(f"no room in {folder}: {needed}; simulate fewer (--n), or elsewhere")


def _remove_earlier(folder: Path) -> None:
    """Remove the spectra of an earlier simulation; refuse to replace tables that come from elsewhere.

    Raises:
        UsageError: There is a table of other columns.
    """
    for name, columns in ((TARGETS, _TARGET_COLUMNS), (TRUTH, _TRUTH_COLUMNS)):
        table, header = folder / name, (",".join(columns) + "\n").encode()
        if table.exists() and not _begins(table, len(header)).startswith(header):
            raise UsageError(
                f"{table} does not come from a simulation and would be lost; give another folder"
            )
    for path in folder.glob(file_name("2M*")):
        start = _begins(path, BLOCK)
        # An empty one is what a full disk leaves.
        if SIMULATED in start or not start:
            path.unlink()


def _begins(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _chunks(simulator: Simulator, n: int, seed: int, min_snr: float) -> Iterator[tuple[Sample, Observables]]:
    """The stars in their order, ``n`` in all."""
    first = 0
    for sample in simulate_chunks(simulator, n, seed, Conditions(snr=(min_snr, MAX_SNR))):
        stars, numbers = sample.stars, np.arange(first, first + len(sample))
        companion = sample.abs_ks - stars.abs_ks  # in J and H, a companion is taken to be of the same colour
        absolute = (stars.abs_j + companion, stars.abs_h + companion, sample.abs_ks)
        observables = draw_observables(absolute, sample.snr, sample.flux_ratio > 0, numbers, seed=seed)
        wanted = slice(n - first)
        yield sample.take(wanted), observables.take(wanted)
        first += len(sample)


def _write(folder: Path, sample: Sample, observables: Observables, index: int, seed: int) -> int:
    """Write the file of one star, and return its size in bytes."""
    apogee_id = str(observables.apogee_id[index])
    content = render_apstar(sample, observables, index, seed=seed)
    try:
        with (folder / file_name(apogee_id)).open("xb") as file:
            return file.write(content)
    except FileExistsError as error:
        raise UsageError(
            f"there is a file of {apogee_id} in {folder} already; give another folder, or another --seed"
        ) from error


def _target_rows(observables: Observables) -> Iterable[tuple]:
    columns = {name: values.tolist() for name, values in vars(observables).items()}
    columns["ebv_origin"] = ["simulated"] * len(observables)
    return zip(*(columns[name] for name in _TARGET_COLUMNS), strict=True)


def _truth_rows(sample: Sample, observables: Observables) -> Iterator[tuple[str, ...]]:
    """Rows in the order of ``_TRUTH_COLUMNS``."""
    stars = sample.stars
    numbers = (
        *(observables.dist, sample.fakemag, sample.abs_ks, observables.true_ebv),
        *(stars.teff, stars.logg, stars.metallicity, stars.alpha, stars.mass),
        *(sample.flux_ratio, sample.separation, sample.snr),
    )
    for apogee_id, kind, *row in zip(observables.apogee_id, stars.kind, *numbers, strict=True):
        yield apogee_id, kind, *(f"{value:.8g}" for value in row)


@contextmanager
def _table(path: Path, columns: tuple[str, ...]) -> Iterator[Callable[[Iterable[tuple]], None]]:
    """A CSV file that is written some rows at a time.

    Yields:
        A function that writes rows; each goes to the operating system at once.
    """
    with path.open("w", buffering=1, newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        yield writer.writerows


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` of writing into one line that names the place and the remedy."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise StorageError(
            f"cannot write {place}: {error.strerror or error}; make room or give another folder, "
            "and run again with --overwrite"
        ) from error
