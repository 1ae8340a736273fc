"""Examples from simulated stars, kept on disk: after a kill, only what is missing is simulated."""

import hashlib
import json
import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import astra
from astra.errors import AstraError, StorageError
from astra.modelling.simulator.masks import COVERED
from astra.modelling.simulator.sample import CHUNK, NO_PATTERNS, Sample, simulate_chunk
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.training.examples import Examples, Progress
from astra.modelling.training.work_folder import ROW, STORED, check_space, explained
from astra.spectra.grid import N_PIXELS
from astra.spectra.rectify import FILL, MASKED_BITS, rectify
from astra.system.atomic import replaced
from astra.system.processes import cores, die_with, shared_cores

# Rows of the bank of masks: enough that no two epochs look alike, few enough to stay in memory.
LARGEST_BANK = 40_000


@dataclass(frozen=True)
class Recipe:
    """A set of simulated examples: with the simulator, it decides every number."""

    n: int
    """How many stars; rounded up to whole chunks."""

    seed: int
    """Sets with different seeds have no star in common."""

    conditions: Conditions
    """How they are observed. Without noise, examples get fresh noise and another mask at each use."""


def simulated_examples(
    simulator: Simulator,
    recipe: Recipe,
    work: Path,
    *,
    patterns: np.ndarray = NO_PATTERNS,
    on_progress: Progress = lambda done, total: None,
) -> Examples:
    """Simulate examples, or read what an earlier call with the same arguments left in ``work``.

    Args:
        simulator: Where stars and spectra come from.
        recipe: How many, which, and how they are observed.
        work: Folder that keeps them, 15 kB for each star.
        patterns: Masks of real spectra, shape (M, 8575).
        on_progress: Called with the number of stars done and their total. If it raises, what is done stays.

    Raises:
        StorageError: The folder cannot be written, or the disk is full.
        AstraError: A process that simulates was killed.
    """
    folder = work / f"simulated-{_fingerprint(simulator, recipe, patterns)}"
    n_chunks = -(-recipe.n // CHUNK)
    with explained(work, StorageError, "make room or name another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        missing = [index for index in range(n_chunks) if not (folder / f"{index}.npz").exists()]
        check_space(folder, len(missing) * CHUNK, "stars")
        with _workers(len(missing), simulator, recipe, patterns) as pool:
            chunks = pool.map(_chunk, missing)
            for done, (index, rows, labels) in enumerate(chunks, n_chunks - len(missing) + 1):
                _save(folder, index, rows, labels)
                on_progress(done * CHUNK, n_chunks * CHUNK)
        return _gathered(folder, n_chunks)


def rectified(sample: Sample, *, masked: bool) -> np.ndarray:
    """Rectified flux minus 1 of a sample, float16 of shape (N, 7514); with or without its masks."""
    flags = sample.pixel_flags if masked else sample.pixel_flags & ~MASKED_BITS
    flux, _ = rectify(sample.flux, sample.e_flux, flags)
    return (flux - FILL).astype(np.float16)


def mask_rows(flags: np.ndarray) -> np.ndarray:
    """Which pixels are replaced, packed, uint8 of shape (N, 940)."""
    return np.packbits((flags[:, COVERED] & MASKED_BITS) > 0, axis=1)


# > Worker processes

_context: tuple[Simulator, Recipe, np.ndarray] | None = None


@contextmanager
def _workers(
    n_chunks: int, simulator: Simulator, recipe: Recipe, patterns: np.ndarray
) -> Iterator[ProcessPoolExecutor]:
    """A process for each core or chunk, whichever are fewer, with one compute thread."""
    context = multiprocessing.get_context("spawn")
    with shared_cores(cores()):
        count = max(1, min(cores(), n_chunks))
        pool = ProcessPoolExecutor(count, context, _begin, (os.getpid(), simulator, recipe, patterns))
        try:
            yield pool
        except BrokenProcessPool as error:
            raise AstraError("a process that simulates died; run again: what is done is kept") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int, simulator: Simulator, recipe: Recipe, patterns: np.ndarray) -> None:
    global _context
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    _context = simulator, recipe, patterns


def _chunk(index: int) -> tuple[int, np.ndarray, dict[str, np.ndarray]]:
    simulator, recipe, patterns = _context
    sample = simulate_chunk(simulator, recipe.seed, index, recipe.conditions, patterns)
    fresh = not recipe.conditions.noise
    labels = {
        "fakemag": sample.fakemag.astype(np.float32),
        "kind": sample.stars.kind,
        "snr": sample.snr.astype(np.float32),
        "noise": (fresh / sample.snr).astype(np.float32),
    }
    if fresh:
        labels["masks"] = mask_rows(sample.pixel_flags)
    return index, rectified(sample, masked=not fresh), labels


# > Files


# What the numbers of the examples come from, besides the arguments; below the package.
_SOURCES = (
    *(f"modelling/simulator/{name}.py" for name in ("compact", "emulators", "masks", "noise", "observe")),
    *(f"modelling/simulator/{name}.py" for name in ("observables", "published")),
    *(f"modelling/simulator/{name}.py" for name in ("sample", "selection", "stars")),
    *(f"spectra/{name}.py" for name in ("grid", "rectify")),
    "modelling/training/simulated.py",
)


def digest_of(simulator: Simulator, patterns: np.ndarray) -> str:
    """sha256 of the isochrones, the emulators and the masks of a simulation."""
    digest = hashlib.sha256(pickle.dumps(simulator, protocol=4))
    digest.update(np.ascontiguousarray(patterns))
    return digest.hexdigest()


def _fingerprint(simulator: Simulator, recipe: Recipe, patterns: np.ndarray) -> str:
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    digest.update(digest_of(simulator, patterns).encode())
    package = Path(astra.__file__).parent
    for name in _SOURCES:
        digest.update((package / name).read_bytes())
    return digest.hexdigest()[:16]


def _save(folder: Path, index: int, rows: np.ndarray, labels: dict[str, np.ndarray]) -> None:
    """Write a chunk: its flux, then its labels, whose file says that the chunk is there."""
    (folder / "flux").touch()
    with (folder / "flux").open("r+b") as file:
        file.seek(index * CHUNK * ROW)
        file.write(rows.astype(STORED).tobytes())
        file.flush()
        os.fsync(file.fileno())
    with replaced(folder / f"{index}.npz", part=folder / f"{index}.partial") as file:
        np.savez(file, **labels)


def _gathered(folder: Path, n_chunks: int) -> Examples:
    parts = []
    for index in range(n_chunks):
        with np.load(folder / f"{index}.npz") as file:
            parts.append(dict(file))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if "masks" in columns:
        columns["masks"] = columns["masks"][:LARGEST_BANK]
    n = len(columns["fakemag"])
    flux = np.memmap(folder / "flux", STORED, "r", shape=(n, N_PIXELS))
    return Examples(flux=flux, e_fakemag=np.zeros(n, np.float32), star=np.arange(n), **columns)
