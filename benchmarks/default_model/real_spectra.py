"""The real spectra beside the project, by the commands that a user gives."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from astropy.table import Table
from measuring import Model
from table import Line, Section, finite

from astra.errors import AstraError

M_GIANT, M_KS = "2M17334253-1654573", (-8.0, -4.0)
N_DWARFS = 15

# Rows of eclipsing binaries whose distance is known from elsewhere.
N_BINARIES = 4
LARGEST_ERROR = 3.0

#: Seeds of the dropout: a target is met only if it is met with each of them, not by chance.
SEEDS = range(10)

QUERY = """
    SELECT sdss4_apogee_id, release, dist, e_dist, m_ks_abs, l_fakemag, e_l_fakemag, flag_fakemag_unreliable
    FROM distances
"""


def real_section(model: Model, apstar: Path) -> Section:
    """Ingest the files, run the task with each of ``SEEDS``, and compare.

    Raises:
        AstraError: A command failed.
    """
    with tempfile.TemporaryDirectory(prefix="astra-validate-") as folder:
        rows = _run(model, apstar, Path(folder))
    targets = Table.read(apstar / "targets.csv")
    for row in rows:
        matches = (targets["apogee_id"] == row["sdss4_apogee_id"]) & (targets["release"] == row["release"])
        row |= {name: _number(targets[matches][0][name]) for name in ("plx", "reference_distance_pc")}
        row["kind"] = str(targets[matches][0]["kind"])
    lines = [*_giant(rows), *_dwarfs(rows), *_binaries(rows)]
    return Section(
        "real spectra: astra ingest apstar, astra run", lines, {"rows": [_plain(row) for row in rows]}
    )


def _run(model: Model, apstar: Path, folder: Path) -> list[dict]:
    database = folder / "astra.db"
    # The settings of the user must not change the results; the rest of the environment stays.
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASTRA_", "MWM_", "SAS_"))
    }
    environment = kept | {"ASTRA_DATABASE_PATH": str(database), "ASTRA_CONFIG": str(folder / "astra.yml")}
    (folder / "astra.yml").touch()
    _astra(["init"], environment)
    catalog = str(apstar.resolve() / "targets.csv")
    _astra(["ingest", "apstar", str(apstar.resolve()), "--catalog", catalog], environment)
    rows = []
    for seed in SEEDS:
        weights = ["--weights", str(model.path.resolve()), "--seed", str(seed), "--overwrite"]
        _astra(["run", "astronn_dist", *weights], environment)
        with closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row
            rows += [dict(row) | {"seed": seed} for row in connection.execute(QUERY)]
    return rows


def _astra(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "astra", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AstraError(f"astra {' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-300:]}")


def _giant(rows: list[dict]) -> list[Line]:
    giants = [row for row in rows if row["sdss4_apogee_id"] == M_GIANT]
    farthest = max((_value(row["m_ks_abs"]) for row in giants), key=lambda value: abs(value - sum(M_KS) / 2))
    note = f"the farthest of {len(giants)} seeds; flagged in {_flagged(giants)}"
    return [Line(f"M giant {M_GIANT}: M_Ks [mag]", farthest, *M_KS, form="+.2f", note=note)]


def _dwarfs(rows: list[dict]) -> list[Line]:
    dwarfs = [row for row in rows if row["kind"] == "M or L dwarf"]
    fewest = min(_flagged(row for row in dwarfs if row["seed"] == seed) for seed in SEEDS)
    closest = min(_value(row["e_l_fakemag"]) / _value(row["l_fakemag"]) for row in dwarfs)
    note = f"the fewest of {len(SEEDS)} seeds; the smallest relative error is {closest:.2f}"
    return [Line("M and L dwarfs flagged", fewest, low=N_DWARFS, form=".0f", note=note)]


def _binaries(rows: list[dict]) -> list[Line]:
    known: dict[str, list[dict]] = {}
    for row in rows:
        if row["kind"] == "Kepler eclipsing binary" and np.isfinite(_distance(row)):
            known.setdefault(f"{row['sdss4_apogee_id']} ({row['release']})", []).append(row)
    if len(known) != N_BINARIES:
        raise AstraError(f"{len(known)} eclipsing binaries have a reference distance, not {N_BINARIES}")
    wrong = sum(_is_wrong(row) for found in known.values() for row in found)
    label = "eclipsing binaries not flagged, wrong by > 3 e_dist"
    note = f"of {N_BINARIES} spectra, {len(SEEDS)} seeds each"
    lines = [Line(label, wrong, high=0, form=".0f", note=note)]
    return lines + [_binary(name, found) for name, found in sorted(known.items())]


def _binary(name: str, rows: list[dict]) -> Line:
    dist, error = (np.median([_value(row[column]) for row in rows]) for column in ("dist", "e_dist"))
    reference = _distance(rows[0])
    flagged = f"flagged in {_flagged(rows)} of {len(rows)}"
    smallest = min(_value(row["e_l_fakemag"]) / _value(row["l_fakemag"]) for row in rows)
    note = (
        f"{dist:.0f} +- {error:.0f} pc, reference {reference:.0f} pc, {flagged}, least error {smallest:.1%}"
    )
    return Line(f"{name}: d / d_ref - 1", dist / reference - 1, form="+.2f", note=note)


def _is_wrong(row: dict) -> bool:
    """A row without a number that is not flagged would be wrong as well."""
    pull = (_value(row["dist"]) - _distance(row)) / _value(row["e_dist"])
    return not row["flag_fakemag_unreliable"] and not abs(pull) <= LARGEST_ERROR


def _flagged(rows: Iterable[dict]) -> int:
    return sum(bool(row["flag_fakemag_unreliable"]) for row in rows)


def _distance(row: dict) -> float:
    """Distance from elsewhere [pc]; NaN if there is none."""
    if np.isfinite(row["reference_distance_pc"]):
        return row["reference_distance_pc"]
    return 1000 / row["plx"]


def _value(number: float | None) -> float:
    return np.nan if number is None else float(number)


def _number(cell: object) -> float:
    return np.nan if np.ma.is_masked(cell) else float(cell)


def _plain(row: dict) -> dict:
    return {name: finite(value) if isinstance(value, float) else value for name, value in row.items()}
