"""The tasks of the packages of examples/: what a test has to know of each."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builders import write_apstar

from astra.cli import main


@dataclass(frozen=True)
class Guest:
    """A task of an example package.

    Attributes:
        task: Its name.
        package: Of its package, and of the history of its tables.
        register: Writes so many files into a folder and registers them; gives their paths.
        other: Words for another value of an option that changes numbers.
        recorded: The options of a run with these words, as its record has them.
        changed: What a run says that would mix them with others.
        shown: Some of what `astra tasks show` says of columns, flags and options.
        measured: Columns of its results that have a value wherever there is a result.
    """

    task: str
    package: str
    register: Callable[[Path, int], list[Path]]
    other: tuple[str, ...]
    recorded: str
    changed: str
    shown: tuple[str, ...]
    measured: tuple[str, ...]


def _register_apstars(folder: Path, count: int) -> list[Path]:
    paths = [write_apstar(folder / f"apStar-dr17-{number}.fits") for number in range(count)]
    assert main(["ingest", "apstar", str(folder)]) == 0
    return paths


def _register_specs(folder: Path, count: int) -> list[Path]:
    simulate, ingest = (importlib.import_module(f"boss_d4000.{name}") for name in ("simulate", "ingest"))
    paths = [simulate.write_spec(folder, number) for number in range(1, count + 1)]
    assert ingest.ingest([folder])["new"] == count
    return paths


TEMPLATE_SNR = Guest(
    task="template_snr",
    package="template_snr",
    register=_register_apstars,
    other=("--max-shift", "200"),
    recorded='{"max_shift": 200.0}',
    changed="rows of template_snr in this version come from --max-shift 300.0, this run would use 200.0",
    shown=(
        "results template_snr",
        "v_shift Velocity of the peak",
        "flag_peak_at_edge bit 1 [flag_bad]: The peak is at an end of the searched range",
        "--max-shift The largest shift to either side",
    ),
    measured=("ccf_snr", "ccf_height", "v_shift"),
)
D4000 = Guest(
    task="d4000",
    package="boss_d4000",
    register=_register_specs,
    other=("--definition", "broad"),
    recorded='{"definition": "broad", "min_coverage": 0.9}',
    changed="rows of d4000 in this version come from --definition narrow, this run would use broad",
    shown=(
        "spectra BossSpectrum",
        "e_d4000 Error on d4000",
        "flag_not_covered bit 1 [flag_bad]: Less of a band was measured than --min-coverage",
        "--definition The bands: narrow (Balogh et al. 1999) or broad (Bruzual 1983).",
    ),
    measured=("d4000", "e_d4000", "coverage"),
)
GUESTS = (TEMPLATE_SNR, D4000)
