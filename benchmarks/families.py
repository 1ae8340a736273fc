"""Measure the isochrones of each family against stars whose luminosity is known without them.

    python benchmarks/families.py --wheel lachesis_grids-0.0.9-py3-none-any.whl [--shared DIR]

A family that misses a target is left out of ``families.LET_IN``. Exit codes: 0 all met, 1 one of those that are
let in misses a target, 2 wrong usage, 78 no data.

- The Sun: Ks of stars with its labels (3.27: Willmer 2018, ApJS 236, 47, with the extrapolation of 2MASS).
- The red clump: the median of the stars of ``CLUMP``; -1.61 in the neighbourhood of the Sun (Hawkins et al.
  2017, MNRAS 471, 722).
- Giants with parallaxes of Hipparcos, and members of clusters: distances from the labels alone, as the
  benchmark of the default model does it. A family without the clump is asked for no clump stars.
- The magnitudes: isochrones that have them, without those that the corrections were fitted to.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks" / "default_model"))

from catalogs import HIPPARCOS_ERRORS, MESZAROS_ERRORS, Labelled, read_hipparcos, read_meszaros  # noqa: E402
from clusters import CLUSTERS  # noqa: E402
from dr12 import CLUMP_LOGG  # noqa: E402
from isochrone_labels import Neighbours, draw_neighbours  # noqa: E402
from table import Line, Section, all_met, printed  # noqa: E402

from astra.errors import AstraError  # noqa: E402
from astra.modelling.simulator.bolometric import BANDS, BolometricCorrections  # noqa: E402
from astra.modelling.simulator.families import FAMILIES, LET_IN, PADOVA, Families, read_families  # noqa: E402
from astra.modelling.simulator.isochrones import COOLEST, Isochrone, padova_isochrones  # noqa: E402
from astra.modelling.simulator.stars import Tracks, classify  # noqa: E402
from astra.modelling.training.evaluate import distance_error  # noqa: E402

SEED = 77
