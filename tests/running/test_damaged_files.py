"""Files damaged in a thousand ways: each has one row, and none of them a process on its conscience."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_runs import FakeRuns
from fits_fuzzer import damaged

from astra.ingest.apstar import ingest_apstar
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Spectrum

CLONE = Path(__file__).resolve().parents[2] / "benchmarks" / "clone.py"

# Says at its end how much memory it has had.
MEASURED = """
import atexit
atexit.register(lambda: print(open("/proc/self/status").read(), file=sys.stderr))
"""


@pytest.mark.parametrize("seeds", [range(120), pytest.param(range(1000, 2000), marks=pytest.mark.slow)])
def test_every_damaged_file_has_one_row(db, apstar_files, tmp_path, seeds):
    folder = tmp_path / "files"
    originals = str(apstar_files[0].parent)
    command = [sys.executable, str(CLONE), originals, str(folder), "--count", str(len(seeds))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    files = sorted(folder.glob("*.fits"))
    for path, seed in zip(files, seeds, strict=True):
        path.write_bytes(damaged(path.read_bytes(), seed))

    ingest_apstar([folder])
    runs = FakeRuns(tmp_path, MEASURED)

    assert runs.run("--batch-size", "50") == 0, runs.errors[-3000:]

    paths = [Path(spectrum.path) for spectrum in ApogeeCoaddedSpectrumInApStar.select()]
    assert sorted(paths) == files
    assert AstroNNdist.select().count() == Spectrum.select().count() == len(files)
    failed = AstroNNdist.select().where(AstroNNdist.flag_no_result).count()
    assert 0 < failed < len(files)
    assert max(row.t_elapsed for row in AstroNNdist.select()) < 5
    assert int(re.search(r"VmHWM:\s*(\d+) kB", runs.errors)[1]) < 1_000_000
    assert not re.search("Traceback|died", runs.errors)
