"""How long a report takes, how large it is, and how much memory it needs, for so many made-up stars.

    python benchmarks/bench_report.py [--stars 100000] [--spectra FOLDER] [--out build/report]

A tenth of the stars has a second spectrum. The stars lie in a disc about the Sun, with the classes, flags and
parallaxes of a survey; some are close pairs. Without a folder of apStar files no star has a file, so that
nothing is drawn; with one the stars share its files, and those that the report lists are read and drawn with
the default weights. The report is written by `astra report` in a separate process; what is in --out stays
there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from astra.config import load_settings
from astra.database.connection import bound_to, open_database
from astra.ingest.values import A_K_PER_EBV
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum, TaskRun
from astra.pipelines.astronn_dist.weights.files import identify
from astra.pipelines.astronn_dist.weights.library import chosen_weights
from astra.schema.upgrade import upgrade

ROOT = Path(__file__).resolve().parents[1]
PART = 5000


def main() -> None:
    """Read the arguments, fill a database, write the report, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=100_000)
    parser.add_argument("--spectra", type=Path, help="a folder of apStar files")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "report")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = sorted(arguments.spectra.resolve().glob("apStar-*.fits")) if arguments.spectra else []
    database = arguments.out / f"survey-{arguments.stars}-{len(files)}.db"
    os.environ["ASTRA_DATABASE_PATH"] = str(database)
    if not database.exists():
        fill(arguments.stars, files)
    measure(arguments.out / f"report-{arguments.stars}.html")


def measure(output: Path) -> None:
    """Write the report in a separate process, and print the time and the memory that it took."""
    command = [sys.executable, "-m", "astra", "report", "astronn_dist", "--output", str(output)]
    started = time.perf_counter()
    done = subprocess.run([*command, "--overwrite", "--json"], check=True, capture_output=True, text=True)
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = json.loads(done.stdout)
    print(f"spectra            {said['spectra']:>12,}")
    print(f"wall time          {wall:>12.1f} s   (target: < 60 at 100,000)")
    print(f"processor time     {used.ru_utime + used.ru_stime:>12.1f} s")
    print(f"size               {said['bytes'] / 1e6:>12.1f} MB  (target: < 10)")
    print(f"peak memory        {used.ru_maxrss / 1024:>12.0f} MB")


def fill(stars: int, files: list[Path]) -> None:
    """Create a SQLite database of so many stars and their results; the stars share these files in turn."""
    settings = load_settings()
    name, sha256 = identify(chosen_weights(None).path)
    with bound_to(open_database(settings, create=True)) as database:
        upgrade(database, settings)
        with database.atomic():
            model = {"weights_name": name, "weights_sha256": sha256, "seed": 0, "n_draws": 100}
            version = {"version": "0.1.0", "v_astra_major_minor": 1}
            TaskRun.create(pk=1, task="astronn_dist", host="here", pid=1, **version, **model)
            for first in range(0, stars, PART):
                insert(made_up(first, min(PART, stars - first)))
            for turn, file in enumerate(files):
                model = ApogeeCoaddedSpectrumInApStar
                which = model.spectrum_pk % len(files) == turn
                model.update(path=str(file)).where(which).execute()


def made_up(first: int, count: int) -> dict[str, np.ndarray]:
    """Columns of stars as a survey would measure them, numbered from ``first``."""
    rng = np.random.default_rng(first)
    kind = rng.choice(3, count, p=(0.5, 0.25, 0.25))
    bright = rng.exponential(1.8, count)
    m_ks = np.choose(kind, [np.maximum(1.0 - bright, -7), rng.normal(-1.61, 0.15, count), 3 + bright / 2])
    colour = np.choose(kind, [0.62 - 0.06 * (m_ks - 1), 0.62 + 0 * m_ks, 0.36 + 0.1 * (m_ks - 3)])
    radius, turn = rng.gamma(3, np.choose(kind, [1.1, 0.9, 0.08])), rng.uniform(0, 2 * np.pi, count)
    x, y, z = radius * np.cos(turn), radius * np.sin(turn), rng.laplace(0, 0.25, count) * np.sqrt(radius)
    true = 1000 * np.sqrt(x**2 + y**2 + z**2) + 10
    ebv = 0.12 * np.abs(rng.normal(1, 0.5, count)) * np.minimum(true / 1000, 4) * np.exp(-np.abs(z) / 0.3)
    relative = np.clip(rng.lognormal(-2.4, 0.35, count), 0.03, 0.6)
    e_plx = rng.lognormal(-3.3, 0.5, count)
    columns = {
        "pk": first + 1 + np.arange(count),
        "l": np.degrees(np.arctan2(y, x)) % 360,
        "b": np.degrees(np.arcsin(z / np.sqrt(x**2 + y**2 + z**2))),
        "ebv": np.where(rng.random(count) < 0.02, 0.0, ebv),
        "plx": 1000 / true - 0.04 + e_plx * rng.normal(0, 1, count),
        "e_plx": e_plx,
        "m_ks": m_ks,
        "true": true,
        "relative": relative,
        "dist": true * np.exp(relative * rng.normal(0, 1, count)),
        "snr": rng.lognormal(4.6, 0.7, count),
        "colour": colour + rng.normal(0, 0.03, count),
        "no_result": rng.random(count) < 0.002,
        "again": rng.normal(0, 0.04, count),
        "not_clean": rng.choice([0, 1, 4, 128], count, p=[0.85, *[0.05] * 3]),
        "spectrum_flags": rng.choice([0, 1, 4, 16, 512, 1 << 17, 1 << 21], count, p=[0.8, *[0.2 / 6] * 6]),
    }
    # Close pairs are brighter than the network knows, and are put too near.
    columns["dist"] *= np.where(rng.random(count) < 0.03, 0.72, 1.0)
    a_k = A_K_PER_EBV * columns["ebv"]
    columns["k_mag"] = m_ks + 5 * np.log10(true / 10) + a_k
    columns["j_mag"] = columns["k_mag"] + columns["colour"] + 1.5 * a_k
    return columns


def insert(columns: dict[str, np.ndarray]) -> None:
    """Write stars, their spectra and results."""
    stars = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]
    copied = ("pk", "l", "b", "ebv", "plx", "e_plx", "k_mag", "j_mag")
    in_parts(Source, [{n: s[n] for n in copied} | {"sdss_id": s["pk"], "ruwe": 1.0} for s in stars])
    spectra = [(star, repeat) for star in stars for repeat in range(1 + (star["pk"] % 10 == 0))]
    keys = [2 * star["pk"] + repeat for star, repeat in spectra]
    in_parts(Spectrum, [{"pk": key} for key in keys])
    in_parts(ApogeeCoaddedSpectrumInApStar, list(map(a_spectrum, spectra, keys)))
    in_parts(AstroNNdist, list(map(a_result, spectra, keys)))


def a_spectrum(spectrum: tuple[dict, int], key: int) -> dict[str, Any]:
    """The row of a spectrum, which is a star and the number of its earlier spectra."""
    star, repeat = spectrum
    return {
        "source": star["pk"],
        "spectrum_pk": key,
        "product_id": f"apstar/dr17/dr17/apo25m/field/{key}/ap/s",
        "release": "dr17",
        "apred": "dr17",
        "obj": f"2M{key:08d}+0000000",
        "field": f"{3 * round(star['l'] / 3):03d}{3 * round(star['b'] / 3):+03d}",
        "reduction": str(repeat),
        "telescope": "lco25m" if star["pk"] % 3 == 0 else "apo25m",
        "snr": star["snr"] * (1 - 0.3 * repeat),
        "spectrum_flags": star["spectrum_flags"],
        "path": f"/nowhere/{key}.fits",
    }


def a_result(spectrum: tuple[dict, int], key: int) -> dict[str, Any]:
    """The row of its result, as the task would write it."""
    star, repeat = spectrum
    if star["no_result"]:
        reason = f"not there: /nowhere/{key}.fits"
        return {"source_pk": star["pk"], "spectrum_pk": key, "run_pk": 1, "result_flags": 2048} | {
            "no_result_reason": reason
        }
    a_k = A_K_PER_EBV * star["ebv"]
    dist = star["dist"] * (1 + star["again"] * repeat)
    fakemag = 10 ** (0.2 * (star["k_mag"] - a_k) + 3) / dist
    shares = {"": star["relative"], "model_": star["relative"] / 3}
    errors = {f"e_{name}L_fakemag": fakemag * value for name, value in shares.items()}
    errors |= {f"e_{name}dist": dist * value for name, value in shares.items()}
    flags = (star["relative"] >= 0.2) + 4 * (star["ebv"] == 0)
    flags = {"result_flags": flags, "not_clean": star["not_clean"], "not_checked": 0}
    known = {"k_mag": star["k_mag"], "ebv": star["ebv"], "A_k_mag": a_k, "L_fakemag": fakemag, "dist": dist}
    return {"source_pk": star["pk"], "spectrum_pk": key, "run_pk": 1} | flags | known | errors


def in_parts(model: Any, rows: list[dict[str, Any]]) -> None:
    """Write rows, a few hundred with each statement."""
    for start in range(0, len(rows), 400):
        model.insert_many(rows[start : start + 400]).execute()


if __name__ == "__main__":
    main()
