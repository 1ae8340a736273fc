"""Files damaged in a thousand ways: each has one row, and none of them a process on its conscience."""

import re
from pathlib import Path

import numpy as np
import pytest
from builders import N_PIXELS, write_mwmstar
from clone import with_objid
from fake_runs import FakeRuns
from fits_fuzzer import TILINGS, damaged, tiled

from astra.ingest.apstar import ingest_apstar
from astra.ingest.mwmstar import ingest_mwmstar
from astra.models import (
    ApogeeCoaddedSpectrumInApStar,
    ApogeeCombinedSpectrum,
    AstroNNdist,
    Spectrum,
    TaskWithheld,
)

# A number that nothing else in a file of pixels is.
SDSS_ID = 123_456_789_012

# Says at its end how much memory it has had.
MEASURED = """
import atexit
atexit.register(lambda: print(open("/proc/self/status").read(), file=sys.stderr))
"""


def _originals(paths):
    """Sound files, not too large: in turn one as it is and one that is compressed in tiles."""
    plain = [path.read_bytes() for path in sorted(paths, key=lambda path: path.stat().st_size)[:3]]
    compressed = [tiled(plain[number % 3], **tiling) for number, tiling in enumerate(TILINGS)]
    return [content for pair in zip(plain * len(compressed), compressed * 3, strict=True) for content in pair]


def _damage(originals, folder, seeds):
    """Write a damaged file of another star for each seed."""
    folder.mkdir()
    files = []
    for seed in seeds:
        # A right ascension of 24 h or more belongs to no real star.
        obj = f"2M{24_000_000 + seed:08d}+0000000"
        files.append(folder / f"apStar-r6-{obj}.fits")
        files[-1].write_bytes(damaged(with_objid(originals[seed % len(originals)], obj), seed))
    return files


@pytest.mark.parametrize("seeds", [range(120), pytest.param(range(1000, 6000), marks=pytest.mark.slow)])
def test_every_damaged_file_has_one_row(db, apstars, tmp_path, seeds):
    files = _damage(_originals(apstars), tmp_path / "files", seeds)

    ingest_apstar([tmp_path / "files"])
    runs = FakeRuns(tmp_path, MEASURED)

    assert runs.run("--batch-size", "50", timeout=3600) == 0, runs.errors[-3000:]

    paths = [Path(spectrum.path) for spectrum in ApogeeCoaddedSpectrumInApStar.select()]
    assert sorted(paths) == files
    assert AstroNNdist.select().count() == Spectrum.select().count() == len(files)
    failed = AstroNNdist.select().where(AstroNNdist.flag_no_result).count()
    assert 0 < failed < len(files)
    _check(runs)


@pytest.mark.slow
def test_every_spectrum_of_a_damaged_mwmstar_file_that_is_found_has_one_row(db, tmp_path):
    """A damaged file does not say which spectra it holds, so that not each has one."""
    folder, seeds = tmp_path / "files", range(2000)
    originals = [_mwmstar(tmp_path / "original.fits", 100.0 + number) for number in range(7)]
    folder.mkdir()
    for seed in seeds:
        content = _of_another_star(originals[seed % 7], SDSS_ID + seed + 1)
        (folder / f"mwmStar-0.6.0-{SDSS_ID + seed + 1}.fits").write_bytes(damaged(content, seed))

    counts = ingest_mwmstar(folder)
    runs = FakeRuns(tmp_path, MEASURED)

    assert runs.run("--batch-size", "50", timeout=3600) == 0, runs.errors[-3000:]
    assert counts.seen >= len(seeds)
    assert 0 < counts.unreadable < len(seeds)
    assert AstroNNdist.select().count() == ApogeeCombinedSpectrum.select().count() == counts.spectra_new
    _check(runs)


def _mwmstar(path, flux):
    """A file with two spectra of one star."""
    # Not the same pixels everywhere: the mask of one is 0.
    row = {"sdss_id": SDSS_ID, "flux": np.full(N_PIXELS, flux)}
    write_mwmstar(path, row, row | {"telescope": "lco25m"}, header={"SDSS_ID": SDSS_ID})
    return path.read_bytes()


def _of_another_star(content, sdss_id):
    """The same file, with the identity of its star in header and table replaced."""
    for old, new in (
        (f"{SDSS_ID:>20}".encode(), f"{sdss_id:>20}".encode()),
        (SDSS_ID.to_bytes(8), sdss_id.to_bytes(8)),
    ):
        assert old in content
        content = content.replace(old, new)
    return content


def _check(runs):
    assert TaskWithheld.select().count() == 0
    # By the clock on the wall, on a machine that may have other work: a file that is a trap takes hours.
    assert max(row.t_elapsed for row in AstroNNdist.select()) < 60
    assert int(re.search(r"VmHWM:\s*(\d+) kB", runs.errors)[1]) < 1_000_000
    assert not re.search("Traceback|died", runs.errors)
