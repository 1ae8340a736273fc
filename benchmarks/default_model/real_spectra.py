"""The real spectra beside the project, by the commands that a user gives."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.table import Table
from measuring import Model
from table import Line, Section, finite

from astra.errors import AstraError

M_GIANT, M_KS = "2M17334253-1654573", (-8.0, -4.0)
N_DWARFS = 15
LARGEST_ERROR = 3.0

QUERY = """
    SELECT sdss4_apogee_id, release, dist, e_dist, m_ks_abs, l_fakemag, e_l_fakemag, flag_fakemag_unreliable
    FROM distances
"""


def real_section(model: Model, apstar: Path) -> Section:
    """Ingest the files, run the task, and compare.

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
    # Nothing of the settings of whoever runs this, but for where modules are.
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASTRA_", "MWM_", "SAS_"))
    }
    environment = kept | {"ASTRA_DATABASE_PATH": str(database), "ASTRA_CONFIG": str(folder / "astra.yml")}
    (folder / "astra.yml").touch()
    for command in (
        ["init"],
        ["ingest", "apstar", str(apstar.resolve()), "--catalog", str(apstar.resolve() / "targets.csv")],
        ["run", "astronn_dist", "--weights", str(model.path.resolve())],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "astra", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AstraError(
                f"astra {' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-300:]}"
            )
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(QUERY)]
    connection.close()
    return rows


def _giant(rows: list[dict]) -> list[Line]:
    [giant] = [row for row in rows if row["sdss4_apogee_id"] == M_GIANT]
    note = "flagged" if giant["flag_fakemag_unreliable"] else "not flagged"
    return [Line(f"M giant {M_GIANT}: M_Ks [mag]", _value(giant["m_ks_abs"]), *M_KS, form="+.2f", note=note)]


def _dwarfs(rows: list[dict]) -> list[Line]:
    dwarfs = [row for row in rows if row["kind"] == "M or L dwarf"]
    flagged = [row for row in dwarfs if row["flag_fakemag_unreliable"]]
    closest = min(_value(row["e_l_fakemag"]) / _value(row["l_fakemag"]) for row in dwarfs)
    note = f"of {len(dwarfs)}; the smallest relative error is {closest:.2f}"
    return [Line("M and L dwarfs flagged", len(flagged), low=N_DWARFS, form=".0f", note=note)]


def _binaries(rows: list[dict]) -> list[Line]:
    lines, wrong, checked = [], 0, 0
    for row in sorted(rows, key=lambda row: row["sdss4_apogee_id"]):
        if row["kind"] != "Kepler eclipsing binary":
            continue
        is_flagged = bool(row["flag_fakemag_unreliable"])
        reference = _distance(row)
        pull = (_value(row["dist"]) - reference) / _value(row["e_dist"])
        if not np.isfinite(reference):
            continue
        checked += 1
        # A row without a number that is not flagged would be wrong as well.
        wrong += not is_flagged and not abs(pull) <= LARGEST_ERROR
        found = f"{_value(row['dist']):.0f} +- {_value(row['e_dist']):.0f} pc"
        note = f"{found}, reference {reference:.0f} pc, {'flagged' if is_flagged else 'not flagged'}"
        label = f"{row['sdss4_apogee_id']} ({row['release']}): d / d_ref - 1"
        lines.append(Line(label, _value(row["dist"]) / reference - 1, form="+.2f", note=note))
    label = "eclipsing binaries not flagged, wrong by > 3 e_dist"
    return [Line(label, wrong, high=0, form=".0f", note=f"of {checked} rows with a reference"), *lines]


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
    return json.loads(
        json.dumps(
            {name: finite(value) if isinstance(value, float) else value for name, value in row.items()}
        )
    )
