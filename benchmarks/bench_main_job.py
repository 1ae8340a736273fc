"""Spectra per second and peak memory of the main job, and where the time goes.

    python benchmarks/bench_main_job.py [--count 2000] [--workers 1] [--shared ../shared]

Clones real files (see clone.py), registers them in a new SQLite database and runs ``astra run`` on
them as a process of its own. Then the stages of one chunk after the other are timed in this process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clone import clone

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str) -> tuple[str, float, float]:
    """Run one astra command; gives its stdout, its wall time [s] and its peak memory [MB]."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "astra", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    elapsed = time.perf_counter() - started
    # The largest of all children so far: a command with less memory than one before it shows that one's.
    return done.stdout, elapsed, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def stages(weights: Path, count: int) -> dict[str, float]:
    """Seconds per spectrum in each stage of the task, over the first ``count`` spectra."""
    import numpy as np

    from astra.config import load_settings
    from astra.database import open_database
    from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
    from astra.models.base import bound_to
    from astra.pending import with_sources
    from astra.pipelines.astronn_dist import astronn_dist
    from astra.pipelines.astronn_dist.network import ApogeeDistBCNN
    from astra.pipelines.astronn_dist.rectify import rectify
    from astra.pipelines.astronn_dist.sampling import sample
    from astra.pipelines.astronn_dist.weights import load_weights
    from astra.running.chunk import write

    network = ApogeeDistBCNN.from_weights(load_weights(weights))
    spent = dict.fromkeys(("selecting", "reading", "rectifying", "sampling", "writing"), 0.0)

    def timed(stage, function, *arguments, **options):
        started = time.perf_counter()
        result = function(*arguments, **options)
        spent[stage] += time.perf_counter() - started
        return result

    with bound_to(open_database(load_settings())):
        query = with_sources(ApogeeCoaddedSpectrumInApStar).order_by(
            ApogeeCoaddedSpectrumInApStar.spectrum_pk
        )
        for start in range(0, count, 100):
            spectra = timed("selecting", list, query.limit(min(100, count - start)).offset(start))
            pixels = timed("reading", lambda chunk: [spectrum.read() for spectrum in chunk], spectra)
            arrays = [
                np.stack([getattr(p, name) for p in pixels]) for name in ("flux", "e_flux", "pixel_flags")
            ]
            flux, _ = timed("rectifying", rectify, *arrays)
            names = [spectrum.product_id for spectrum in spectra]
            timed("sampling", sample, network, flux, names)
            rows = [
                {"spectrum_pk": s.spectrum_pk, "v_astra": 99_000_000, "L_fakemag": 1.0, "result_flags": 0}
                for s in spectra
            ]
            timed("writing", write, astronn_dist, rows)
        AstroNNdist.delete().where(AstroNNdist.v_astra == 99_000_000).execute()
    return {stage: seconds / count for stage, seconds in spent.items()}


def main() -> None:
    """Read the arguments, measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="spectra")
    parser.add_argument("--workers", type=int, default=1, help="local processes")
    parser.add_argument("--shared", type=Path, default=os.environ.get("ASTRA_SHARED", ROOT.parent / "shared"))
    arguments = parser.parse_args()
    data, weights = arguments.shared / "data" / "apstar", arguments.shared / "reference"
    weights = weights / "astroNN_dist_model_parameter.pt"
    with tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
        files = Path(folder, "files")
        files.mkdir()
        clone(sorted(data.glob("apStar-*.fits")), files, arguments.count)
        os.environ["ASTRA_DATABASE_PATH"] = str(Path(folder, "bench.db"))
        run("init")
        _, ingesting, _ = run("ingest", "apstar", str(files))
        options = ["--weights", str(weights), "--workers", str(arguments.workers), "--json"]
        out, elapsed, memory = run("run", "astronn_dist", *options)
        report = json.loads(out)
        print(f"ingest apstar   {arguments.count / ingesting:8.1f} files/s")
        print(f"astra run       {report['processed'] / elapsed:8.1f} spectra/s, start-up included")
        print(f"                {report['spectra_per_s']:8.1f} spectra/s, by its own clock")
        print(f"peak memory     {memory:8.0f} MB, of the largest process")
        found = stages(weights, min(arguments.count, 400))
        total = sum(found.values())
        for stage, seconds in found.items():
            print(f"{stage:<15} {1000 * seconds:8.2f} ms/spectrum {100 * seconds / total:5.1f} %")


if __name__ == "__main__":
    main()
