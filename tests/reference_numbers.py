"""The numbers of this minor version: of some spectra that are made here, by several networks, in a text file.

    python tests/reference_numbers.py

writes the file, for a new minor version, or with a new column or model for the present one. It refuses to
change a number of the present one: results of one version are comparable (docs/versions.md). Nothing is drawn
at random, and nothing here is simulated, so that the spectra are the same whatever else changes.
"""

import json
import sys
from pathlib import Path

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.estimating import Model
from astra.pipelines.astronn_dist.network.sampling import network_on
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, load_weights
from astra.pipelines.astronn_dist.weights.library import embedded_models
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.grid import BADPIX, CHIPS, DETECTORS, N_GRID, PERSIST_LOW, SKYLINE
from astra.system.version import V_ASTRA_MAJOR_MINOR

from tolerances import FLOAT32

FILE = Path(__file__).with_name("reference_numbers.json")

#: Models of the package; another default leaves their numbers as they are. The lines of the spectra are those
#: that the first was trained on, on average.
EMBEDDED = ("simulated-5", "simulated-6")

#: What catalogues say of the stars of the spectra; a value of ``None`` is missing, and some are fillers.
STARS = {
    "k_mag": [7.5, 10.0, 12.5, None, 99.0, 9.0, 11.0, 10.5, 8.0, 13.0],
    "e_k_mag": [0.02, 0.03, None, 0.02, 0.02, 0.02, 0.05, 0.02, 0.02, 0.04],
    "ebv": [0.05, 0.8, 0.3, 0.1, 0.2, None, -0.5, 2.0, 0.1, 0.4],
    "e_ebv": [0.01, None, 0.1, 0.02, 0.02, 0.1, 0.1, 0.3, 0.02, 0.05],
    "plx": [2.0, 0.3, -0.1, 1.0, 0.5, 4.0, None, 0.2, 1.5, 0.1],
    "e_plx": [0.03, 0.05, 0.1, 0.05, 0.04, 0.02, None, 0.05, 0.03, 0.02],
    "ra": [10.0, 83.0, 132.8, 200.0, 250.0, 266.4, 300.0, 320.0, 340.0, 355.0],
    "dec": [41.0, -5.0, 11.8, 28.0, 36.0, -29.0, 30.0, -45.0, 60.0, -1.0],
    "g_mag": [10.5, 13.5, 15.5, 12.5, 13.0, 12.0, 14.0, 16.0, 11.0, 17.0],
    "bp_mag": [11.0, 14.2, 16.3, 13.1, 13.6, 12.8, 14.7, None, 11.6, 18.0],
    "rp_mag": [9.9, 12.7, 14.7, 11.8, 12.3, 11.2, 13.3, 14.0, 10.4, 16.1],
    "nu_eff_used_in_astrometry": [1.5, 1.4, None, 1.55, 1.6, 1.45, 1.5, None, 1.5, None],
    "pseudocolour": [None, None, 1.4, None, None, None, None, None, None, None],
    "astrometric_params_solved": [31, 31, 95, 31, 31, 31, 31, 31, 31, 31],
    "gaia_release": ["dr3", "dr3", "Gaia DR3", "edr3", "dr2", "dr3", None, "dr3", "dr3", "dr3"],
    "j_mag": [8.2, 11.1, 12.9, 9.0, 9.5, 9.6, None, 11.9, 8.7, 14.2],
    "h_mag": [7.6, 10.3, 12.6, 8.5, 9.1, 9.1, 11.1, 10.9, 8.1, 13.3],
    "e_j_mag": [0.02, 0.03, 0.05, None, 0.02, 9.99, 0.03, 0.02, 0.02, 0.04],
    "e_h_mag": [0.02, 0.03, 0.05, 0.03, None, 0.02, 0.03, 0.02, 0.02, 0.04],
    "ebv_flags": [2, 16, 8, 9, 8, 2, 16, 32, None, 0],
    "ruwe": [1.0, 1.39, 1.4, None, 1.1, 25.0, 1.0, 0.9, 1.2, 1.0],
    "ph_qual": ["AAA", "AAA", "AAB", "AAA", None, "AAC", "AAA", "DDD", "AAA", ""],
    "cc_flg": ["000", "000", "cc0", "00c", "000", "000", None, "000", "000", "000"],
}
COUNT = len(STARS["k_mag"])

#: How deep the lines of each are, beside those of the mean spectrum of the training, and their S/N.
DEPTH = (1.0, 1.3, 0.7, 1.1, 0.9, 0.5, 1.6, 1.05, 1.0, 0.95)
SNR = (300.0, 100.0, 40.0, 200.0, 150.0, 80.0, 60.0, 15.0, 100.0, 120.0)


def spectra(mean: np.ndarray) -> list[CombinedSpectrum | None]:
    """Spectra with continuum, lines, noise and masked pixels; the last but one has no usable pixel."""
    pixel, found = np.arange(N_GRID), []
    for number, (depth, snr) in enumerate(zip(DEPTH, SNR, strict=True)):
        lines = np.ones(N_GRID)
        for chip, (begin, end) in zip(CHIPS, DETECTORS, strict=True):
            lines[begin:end] = 1 - depth * (1 - mean[chip])
        continuum = 1000 * (1 + 0.2 * np.sin(pixel / (2000 + 100 * number)))
        flux = continuum * (lines + np.sin(pixel * (1.7 + 0.1 * number)) / snr)
        e_flux, flags = continuum / snr, np.zeros(N_GRID, np.int32)
        flags[500 + 30 * number :: 211] = 1 << BADPIX
        flags[600 + 30 * number :: 307] = 1 << PERSIST_LOW
        flags[700 : 700 + 20 * number] |= 1 << SKYLINE
        flux[1000 + number], e_flux[2000 + number], e_flux[4000:4020] = np.nan, np.inf, np.inf
        found.append(CombinedSpectrum(flux, e_flux, flags))
    found[-2] = CombinedSpectrum(found[-2].flux, np.full(N_GRID, np.inf), found[-2].pixel_flags)
    found[3] = None
    return found


def small_weights() -> Weights:
    """A network of small numbers without a table of validity."""
    tensors = {
        name: (0.05 * np.sin(1.3 * np.arange(np.prod(shape)) ** 1.5 + order))
        .astype(np.float32)
        .reshape(shape)
        for order, (name, shape) in enumerate(SHAPES.items())
    }
    tensors["input_mean"] += 1
    tensors |= {"labels_std": np.array([30], np.float32), "dense_var.bias": np.array([-6], np.float32)}
    return Weights("small", "", tensors)


def computed() -> dict[str, dict[str, list]]:
    """The columns of all results, by network: numbers and texts, ``None`` where there is none, and flags."""
    embedded = [load_weights(embedded_models()[name]) for name in EMBEDDED]
    pixels, names = spectra(embedded[0].tensors["input_mean"]), [f"star {n}" for n in range(COUNT)]
    found = {}
    for weights in (*embedded, small_weights()):
        model = Model(network_on("cpu", weights), weights.validity, weights.missing, weights.calibration)
        columns = model.estimate(pixels, names, Stars.of(STARS, COUNT))
        found[weights.name] = {name: _plain(values) for name, values in sorted(columns.items())}
    return found


def _plain(values: np.ndarray) -> list:
    if values.dtype in (bool, object):
        return values.tolist()
    return [float(f"{value:.10g}") if np.isfinite(value) else None for value in values.tolist()]


def differences(recorded: dict, found: dict) -> list[str]:
    """What is not as it was recorded, a line for each column."""
    return [
        f"{model}, {name}: {before} became {found.get(model, {}).get(name)}"
        for model, columns in recorded.items()
        for name, before in columns.items()
        if not _same(before, found.get(model, {}).get(name, []))
    ]


def _same(before: list, after: list) -> bool:
    return len(before) == len(after) and all(
        one == other
        if isinstance(one, bool | str) or None in (one, other)
        else abs(one - other) <= FLOAT32 * abs(one)
        for one, other in zip(before, after, strict=True)
    )


def main(file: Path = FILE) -> int:
    """Write the file."""
    recorded, found = json.loads(file.read_text()) if file.exists() else {}, computed()
    if recorded.get("version") == V_ASTRA_MAJOR_MINOR:
        changed = differences(recorded["numbers"], found)
        if changed:
            said = "numbers change with a new minor version alone, see docs/versions.md"
            sys.stderr.write("\n".join([*changed, said, ""]))
            return 1
    content = {"version": V_ASTRA_MAJOR_MINOR, "numbers": found}
    file.write_text(json.dumps(content, indent=1).replace("\n    ", " ").replace("\n   ]", " ]") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
