"""Stars beyond the emulators, which are there to be flagged; and what flagging them costs K dwarfs."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from held_out import SNR
from measuring import Measured, Model, measure
from table import Line, Section

from astra.modelling.simulator.sample import CHUNK, Sample, observed
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.simulator.stars import M_DWARF, POOREST, Stars
from astra.modelling.training.evaluate import LARGEST_PULL

#: Temperatures of K dwarfs [K], and the share of those of a survey that may be flagged.
K_DWARF, MOST_FLAGGED = (M_DWARF, 5300.0), 0.01

#: Temperatures [K] at which simulated-5, which learnt from no such stars, puts them a third too near.
COOL = (3700.0, 4400.0)


def _is_k_dwarf(stars: Stars) -> np.ndarray:
    warm_enough, cool_enough = stars.teff > K_DWARF[0], stars.teff < K_DWARF[1]
    return (stars.kind == "dwarf") & warm_enough & cool_enough & ~stars.beyond


#: Classes that each group is drawn from, ``None`` as a survey sees them, and which of these stars belong.
GROUPS: dict[str, tuple[dict[str, float] | None, Callable[[Stars], np.ndarray]]] = {
    "still contracting": ({"young": 1.0}, lambda stars: stars.kind == "young"),
    f"still contracting, {COOL[0]:.0f} to {COOL[1]:.0f} K": (
        {"young": 1.0},
        lambda stars: (stars.teff > COOL[0]) & (stars.teff < COOL[1]),
    ),
    f"giants of [Fe/H] < {POOREST:g}": (
        {"rgb": 0.7, "red_clump": 0.3},
        lambda stars: stars.metallicity < POOREST,
    ),
    f"dwarfs and subgiants of [Fe/H] < {POOREST:g}": (
        {"subgiant": 0.5, "dwarf": 0.5},
        lambda stars: stars.metallicity < POOREST,
    ),
    "K dwarfs of a survey": (None, _is_k_dwarf),
    "K dwarfs, as many of each metallicity": ({"dwarf": 1.0}, _is_k_dwarf),
}

# Stars that are drawn to choose from, for one chunk.
_CANDIDATES = 16 * CHUNK


def beyond_section(model: Model, simulator: Simulator, patterns: np.ndarray, n: int, seed: int) -> Section:
    """Draw single stars of each group with whole spectra, and predict."""
    lines = []
    for number, (name, (mix, chosen)) in enumerate(GROUPS.items()):
        conditions = replace(Conditions(), snr=SNR, companions={}, lost_detector=0.0)
        conditions = replace(conditions, natural=True) if mix is None else replace(conditions, mix=mix)
        chunks = itertools.islice(
            _chosen(simulator, seed + number, conditions, patterns, chosen), -(-n // CHUNK)
        )
        found = measure(model, chunks, n, name)
        found = found.take(found.whole)
        high = MOST_FLAGGED if mix is None else np.inf
        lines.append(Line(f"{name}: flagged", found.flagged.mean(), high=high, form=".1%", note=_note(found)))
    return Section(f"beyond the emulators: {n:,} single stars of each group, S/N >= {SNR[0]:.0f}", lines)


def _note(found: Measured) -> str:
    rest = found.take(~found.flagged)
    if not len(rest):
        return "no other"
    wrong = np.mean(np.abs(rest.pull) > LARGEST_PULL)
    return f"the others: median r {np.median(rest.r):+.3f}, |pull| > 3 {wrong:.1%}"


def _chosen(
    simulator: Simulator,
    seed: int,
    conditions: Conditions,
    patterns: np.ndarray,
    chosen: Callable[[Stars], np.ndarray],
) -> Iterator[Sample]:
    """Endless chunks of those stars that are chosen."""
    index, waiting = 0, []
    while True:
        rng = np.random.default_rng([seed, 3, index])
        stars = simulator.population.draw(_CANDIDATES, rng, None if conditions.natural else conditions.mix)
        waiting.append(stars.take(chosen(stars)))
        index += 1
        if sum(map(len, waiting)) >= CHUNK:
            yield observed(simulator, Stars.joined(waiting).take(slice(CHUNK)), rng, conditions, patterns)
            waiting = []
