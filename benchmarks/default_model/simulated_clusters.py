"""Simulated clusters whose distances are found by the SQL of the documentation."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measuring import Measured, Model, measure
from table import Line, Section

from astra.ingest.values import A_K_PER_EBV
from astra.modelling.simulator.families import Families
from astra.modelling.simulator.sample import Sample, observed
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.simulator.stars import KINDS, Tracks
from astra.modelling.training.evaluate import half_width
from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.results import derive

#: Where the recipe is: the block of SQL below this heading, whose members are those of M67.
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sql.md"
HEADING = "### The members of a cluster, and its distance"

#: Members of a cluster, and the share of these with a companion.
MEMBERS, PAIRS = 30, 0.1

#: Ages [log10 yr] and metallicities [M/H] of the clusters; distances [pc], E(B-V) [mag] and its error, which
#: all members share, and the scatter of Ks [mag].
LOG_AGES, METALLICITIES = (8.8, 10.1), (-1.0, 0.2)
DISTANCES, EBV, E_EBV, E_EBV_PER_EBV, E_KS = (300.0, 10_000.0), (0.0, 0.6), 0.03, 0.1, 0.025

BIAS, WIDTH = 0.02, (0.8, 1.2)

# What the SQL looks for: proper motions [mas/yr] and radial velocity [km/s] of M67.
_PMRA, _PMDE, _V_RAD = -10.97, -2.92, 33.9


@dataclass(frozen=True)
class Cluster:
    """What the members of a simulated cluster have in common."""

    dist: float
    ebv: float
    measured_ebv: float
    e_ebv: float


def cluster_section(model: Model, simulator: Simulator, patterns: np.ndarray, n: int, seed: int) -> Section:
    """Draw clusters, each of the isochrones of one group, and find their distances."""
    rng, sql = np.random.default_rng([seed, 4]), recipe()
    companions = dict.fromkeys(KINDS, PAIRS)
    conditions = replace(Conditions(), companions=companions, warm_companions=PAIRS)
    chunks = _members(simulator, n, rng, conditions, patterns)
    found = measure(model, chunks, n * MEMBERS, f"{n} clusters")
    rows = []
    for number in range(n):
        cluster = _draw(rng)
        part = found.take(slice(number * MEMBERS, (number + 1) * MEMBERS))
        used, dist, e_dist = distance_of(sql, _columns(part, cluster, rng), cluster.e_ebv)
        rows.append((used, dist / cluster.dist - 1, (dist - cluster.dist) / e_dist, e_dist / dist))
    used, r, pull, relative = np.transpose(rows)
    note = f"{np.median(used):.0f} of {MEMBERS} members clean; scatter {half_width(r):.3f}"
    stated = f"median stated error {np.median(relative):.3f}; median pull {np.median(pull):+.2f}"
    lines = [
        Line("distance of clusters: median r", float(np.median(r)), -BIAS, BIAS, "+.3f", note),
        Line("width of the pulls", half_width(pull), *WIDTH, ".2f", stated),
    ]
    return Section(f"{n} simulated clusters of {MEMBERS} members, by the SQL of docs/sql.md", lines)


def recipe() -> str:
    """The SQL of the documentation."""
    text = DOCUMENT.read_text()
    return re.search(r"```sql\n(.*?)```", text[text.index(HEADING) :], re.DOTALL)[1]


def distance_of(sql: str, columns: dict[str, np.ndarray], e_ebv: float) -> tuple[int, float, float]:
    """What a query says of members: how many it used, the distance and its error [pc].

    Args:
        sql: The query.
        columns: Of the view ``distances``, by name; bool as 0 or 1.
        e_ebv: The error of E(B-V) of all members [mag].
    """
    numbers = np.arange(len(columns["clean"]))
    columns = columns | {"source_pk": numbers, "spectrum_pk": numbers}
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE distances ({', '.join(columns)}, primary_spectrum, field)")
    database.execute("CREATE TABLE source (pk, pmra, pmde, e_ebv)")
    database.execute("CREATE TABLE apogee_coadded_spectrum_in_apstar (spectrum_pk, v_rad)")
    marks = ", ".join("?" * len(columns))
    database.executemany(
        f"INSERT INTO distances VALUES ({marks}, 1, 'M67')",  # noqa: S608
        zip(*(column.tolist() for column in columns.values()), strict=True),
    )
    for number in numbers.tolist():
        database.execute("INSERT INTO source VALUES (?, ?, ?, ?)", (number, _PMRA, _PMDE, e_ebv))
        database.execute("INSERT INTO apogee_coadded_spectrum_in_apstar VALUES (?, ?)", (number, _V_RAD))
    return database.execute(sql).fetchone()


def _members(
    simulator: Simulator, n: int, rng: np.random.Generator, conditions: Conditions, patterns: np.ndarray
) -> Iterator[Sample]:
    """The members of each of n clusters."""
    population = simulator.population
    families = population.tracks if isinstance(population, Families) else (population,)
    complete = [tracks for tracks in families if {"rgb", "red_clump", "dwarf"} <= set(tracks.classes)]
    for number in range(n):
        one = _of_one_age(complete[number % len(complete)], rng)
        stars = one.draw(MEMBERS, rng, None)
        yield observed(replace(simulator, population=one), stars, rng, conditions, patterns)


def _of_one_age(tracks: Tracks, rng: np.random.Generator) -> Tracks:
    """The segments of one isochrone."""
    age, metallicity = rng.uniform(*LOG_AGES), rng.uniform(*METALLICITIES)
    columns = ((tracks.stars.log_age, age), (tracks.stars.metallicity, metallicity))
    rows = np.ones(len(tracks.start), bool)
    for column, wanted in columns:
        here = column[tracks.start]
        nearest = here[np.argmin(np.abs(here - wanted))]
        rows &= np.abs(here - nearest) < 1e-3
    return Tracks(tracks.stars, tracks.start[rows], tracks.number[rows])


def _draw(rng: np.random.Generator) -> Cluster:
    dist, ebv = np.exp(rng.uniform(*np.log(DISTANCES))), rng.uniform(*EBV)
    e_ebv = E_EBV + E_EBV_PER_EBV * ebv
    return Cluster(dist, ebv, max(ebv + e_ebv * rng.standard_normal(), 1e-3), e_ebv)


def _columns(found: Measured, cluster: Cluster, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What the view ``distances`` says of the members; their Ks lies within 2MASS's range at any distance."""
    n = len(found)
    k_mag = (5 * np.log10(found.fakemag_true) - 10) + 5 * np.log10(cluster.dist) - 5
    k_mag += A_K_PER_EBV * cluster.ebv + E_KS * rng.standard_normal(n)
    catalogue = {
        "k_mag": k_mag,
        "e_k_mag": np.full(n, E_KS),
        "ebv": np.full(n, cluster.measured_ebv),
        "e_ebv": np.full(n, cluster.e_ebv),
    }
    luminosity = np.stack([found.fakemag, found.e_fakemag, found.e_fakemag])
    derived = derive(luminosity, np.ones(n, bool), Stars.of(catalogue, n), detectors=found.coverage.T)
    return {name: derived[name] for name in ("nn_parallax", "e_nn_parallax")} | {"clean": found.clean}
