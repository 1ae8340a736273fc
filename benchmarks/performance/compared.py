"""An earlier commit and this checkout, in turn on one machine: the figures that were asked for."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline import Survey, astra

ROOT = Path(__file__).resolve().parents[2]

# Sampling and the stages of a spectrum, as a commit itself measures them.
STAGES = """
import json, sys
from pathlib import Path
benchmarks, shared = Path(sys.argv[1], "benchmarks"), Path(sys.argv[2])
sys.path[:0] = [str(benchmarks / "performance"), str(benchmarks)]
import importlib.util
spec = importlib.util.spec_from_file_location("performance", benchmarks / "performance" / "__main__.py")
performance = importlib.util.module_from_spec(spec)
spec.loader.exec_module(performance)
table = performance.Table()
upstream = performance.one_by_one(table, sorted((shared / "data" / "apstar").glob("apStar-*.fits")))
found = {line.what: line.value for line in table.lines} | {"upstream": upstream}
Path(sys.argv[3]).write_text(json.dumps(found))
"""
COMPILED, FLOOR = "compiled (one thread)", "floor: 386 MFLOP at that speed"

#: Of each row: its name (in ms where it does not say otherwise), its value for a commit, the figure asked.
ROWS: tuple[tuple[str, Callable[[dict[str, float]], float], str], ...] = (
    ("sampling, one thread / float32 floor", lambda found: found["sampling"] / found["floor"], "<= 1.25"),
    ("reading a file", lambda found: found["reading"], "<= 0.4"),
    ("distance from the training", lambda found: found["distance from the training"], "<= 0.15"),
    ("in no stage", lambda found: found["cpu, 2"] - found["sum"], "<= 0.6"),
    ("a spectrum more, 1 worker / floor", lambda found: found["cpu, 1"] / found["floor"], "<= 1.6"),
    ("a spectrum more, 2 workers / floor", lambda found: found["cpu, 2"] / found["floor"], "<= 1.6"),
    (
        "end to end / upstream's way",
        lambda found: found["speed"] * found["upstream"],
        ">= 22 (AMD), 26 (Intel)",
    ),
    ("ingest apstar, files/s", lambda found: found["ingest"], ">= 600"),
    ("start to the first result, s", lambda found: found["start"], "<= 1.2"),
    ("  2 workers, s", lambda found: found["start, 2"], "<= 2.0"),
    ("  nothing compiled before astra init, s", lambda found: found["start, new"], "<= 3"),
)


@dataclass(frozen=True)
class Version:
    """A checkout, whose commands are those of the block ``with version.in_use()``."""

    name: str
    root: Path
    library: Path
    """The folder of its package."""

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Commands of astra are those of this checkout."""
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = str(self.library)
        try:
            yield
        finally:
            os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Version]:
    """An earlier commit, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="astra-bench-") as folder:
        root = Path(folder, "tree")
        git = ["git", "-C", str(ROOT)]
        if subprocess.run([*git, "cat-file", "-e", commit], stderr=subprocess.DEVNULL).returncode:
            raise SystemExit(f"there is no commit {commit} here: take a whole clone, or --before ''")
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(root), commit], check=True)
        try:
            # Installed, because a package is found by what is installed with it, such as its tasks.
            library, pip = Path(folder, "library"), [sys.executable, "-m", "pip", "install", "--quiet"]
            options = ["--no-deps", "--no-build-isolation", "--target", str(library)]
            subprocess.run([*pip, *options, str(root)], check=True)
            yield Version(commit, root, library)
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(root)], check=True)


def measure(commit: str, shared: Path, files: int, rounds: int) -> None:
    """Print what the commit takes, and what this checkout takes, beside what was asked for.

    Args:
        commit: The earlier one.
        shared: The folder of real spectra.
        files: How many files are read; the cost of a spectrum is that of nine tenths of them.
        rounds: How often each is measured; the medians count.
    """
    originals = sorted((shared / "data" / "apstar").glob("apStar-*.fits"))
    with ExitStack() as stack:
        versions = [stack.enter_context(checkout(commit)), Version("now", ROOT, ROOT / "python")]
        surveys = {}
        found: dict[str, list[dict[str, float]]] = {version.name: [] for version in versions}
        for version in versions:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="astra-bench-"))
            with version.in_use():
                surveys[version.name] = Survey(Path(folder), originals, files)
        for _ in range(rounds):
            for version in versions:
                with version.in_use():
                    numbers = _stages(version, shared) | _runs(surveys[version.name])
                    found[version.name].append(numbers | _starts(surveys[version.name]))
    print(f"\n{_processor()}, {os.cpu_count()} cores; {files:,} files, medians of {rounds}")
    print(f"  {'milliseconds, unless said otherwise':<44} {commit:>10} {'now':>10}   asked")
    for what, value, asked in ROWS:
        cells = [statistics.median(map(value, found[version.name])) for version in versions]
        print(f"  {what:<44} {cells[0]:>10.3g} {cells[1]:>10.3g}   {asked}", flush=True)


def _stages(version: Version, shared: Path) -> dict[str, float]:
    with tempfile.NamedTemporaryFile() as file:
        command = [sys.executable, "-c", STAGES, str(version.root), str(shared), file.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = json.loads(Path(file.name).read_text())
    return lines | {"floor": lines[FLOOR], "sampling": lines[COMPILED]}


def _runs(survey: Survey) -> dict[str, float]:
    numbers = {"ingest": survey.files / survey.ingested.wall}
    os.environ["ASTRA_DATABASE_PATH"], few = str(survey.path), survey.files // 10
    for workers in "1", "2":
        small, large = (
            survey.run("--workers", workers, "--limit", str(size)) for size in (few, survey.files)
        )
        numbers[f"cpu, {workers}"] = 1e3 * (large.cpu - small.cpu) / (survey.files - few)
    return numbers | {"speed": survey.files / large.wall}


def _starts(survey: Survey) -> dict[str, float]:
    several = ("--workers", "2")
    numbers = {
        "start": survey.run("--limit", "1").wall,
        "start, 2": survey.run("--limit", "1", *several).wall,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        try:
            astra("init")
            return numbers | {"start, new": survey.run("--limit", "1").wall}
        finally:
            del os.environ["NUMBA_CACHE_DIR"]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if "model name" in line), "unknown processor")
