"""How fast the pipeline is, how much memory it takes, and where the time goes: one table.

    python benchmarks/performance [--full] [--before COMMIT] [--shared ../shared] [--out build/performance]

First an earlier commit and this checkout in turn, beside the figures that are asked for. Then, in a few
minutes: sampling against the reference and against the floor of its arithmetic, the stages of a spectrum,
whole runs against workers and size, start-up, and the database at 1.1 million spectra. With ``--full``,
10,000 different files and 100,000 spectra, which take much longer, and 16 GB of disk.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

# Before numpy is imported: all but upstream's way is measured on one core.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import compared  # noqa: E402
import database  # noqa: E402
import plots  # noqa: E402
import sampling  # noqa: E402
import stages  # noqa: E402
from pipeline import Survey, astra  # noqa: E402
from table import Table  # noqa: E402

from astra.config import load_settings  # noqa: E402
from astra.pipelines.astronn_dist.weights.files import load_weights  # noqa: E402
from astra.pipelines.astronn_dist.weights.library import find_weights  # noqa: E402

SPECTRA = 1_100_000
#: Before the steps of speed that docs/performance.md describes.
BEFORE = "859a313"


def main() -> None:
    """Read the arguments, measure, print the table, and draw cost against size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "performance", help="table and plot")
    parser.add_argument("--full", action="store_true", help="10,000 files and 100,000 spectra")
    parser.add_argument("--before", default=BEFORE, help="a commit to compare with; '' stands for none")
    parser.add_argument("--workers", type=int, default=2, help="local processes of the runs (default 2)")
    arguments = parser.parse_args()
    originals = sorted((arguments.shared / "data" / "apstar").glob("apStar-*.fits"))
    if not originals:
        parser.error(f"no apStar files in {arguments.shared}/data/apstar; name the folder with --shared")
    if arguments.before:
        files, rounds = (10_000, 3) if arguments.full else (1_000, 1)
        compared.measure(arguments.before, arguments.shared, files, rounds)
    table = Table()
    upstream = one_by_one(table, originals)
    with tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
        survey = Survey(Path(folder), originals, 10_000 if arguments.full else 1_000)
        start_up(table, originals)
        cost = whole_runs(table, survey, upstream, arguments.workers, full=arguments.full)
    database.measure(table, SPECTRA)
    table.save(arguments.out / "table.json")
    plots.cost(cost, arguments.out / "cost.svg")
    print(f"\n{arguments.out / 'table.json'}, {arguments.out / 'cost.svg'}")


def one_by_one(table: Table, originals: list[Path]) -> float:
    """Measure sampling, then all stages; return the seconds of a spectrum as upstream runs it."""
    weights = load_weights(find_weights(None, load_settings()).path)
    pixels = stages.read(originals)
    draw = sampling.measure(table, weights, stages.rectified(pixels))
    return draw + stages.measure(table, weights, originals)


def start_up(table: Table, originals: list[Path]) -> None:
    """Measure commands that have little to do; the first run has to compile."""
    one = ("run", "astronn_dist", "--limit", "1")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        for what, arguments in (
            ("astra --help", ("--help",)),
            ("run of one spectrum, nothing compiled", one),
            ("run of one spectrum", one),
            ("run of one spectrum, --workers 2", (*one, "--workers", "2")),
            ("astra distance, one file", ("distance", str(originals[0]))),
            (f"astra distance, {len(originals)} files", ("distance", *map(str, originals))),
        ):
            table.add("Start-up", what, astra(*arguments).wall, "s")
        del os.environ["NUMBA_CACHE_DIR"]


def whole_runs(
    table: Table, survey: Survey, upstream: float, workers: int, *, full: bool
) -> list[tuple[int, float, float]]:
    """Measure runs of 1, 2, ... workers, then of growing size; return size, wall and processor seconds."""
    files = survey.files
    table.add("Workers", "ingest apstar", files / survey.ingested.wall, "files/s")
    for count in range(1, workers + 1):
        speed = 1000 / survey.run("--workers", str(count), "--limit", "1000").wall
        table.add("Workers", f"1,000 spectra, {count} of them, start-up included", speed, "spectra/s")
    cost = []
    for size in (100, 1000, 10_000, *([100_000] if full else [])):
        survey.grow(size)
        done = survey.run("--workers", str(workers), "--limit", str(size))
        cost.append((size, done.wall, done.cpu))
        table.add("Size", f"{size:,} spectra, {workers} workers", done.wall, "s")
        table.add("Size", "  processor time of each", 1e3 * done.cpu / size, "ms")
        table.add("Size", "  memory of its largest process", done.memory, "MB", "< 600")
        table.add("Size", "  open files of all its processes", done.descriptors, "")
        table.add("Size", "  threads of all its processes", done.threads, "")
        if size == 10_000:
            speed = size / done.wall
            table.add("Size", "  speed, start-up included", speed, "spectra/s")
            table.add("Size", "  as upstream runs it, one by one", 1 / upstream, "spectra/s")
            table.add("Size", "  ratio", speed * upstream, "times", ">= 18")
    return cost


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s")
