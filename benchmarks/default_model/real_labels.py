"""Spectra simulated from the labels of real stars, against their real luminosities."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from catalogs import (
    APOKASC_ERRORS,
    HIPPARCOS_ERRORS,
    MESZAROS_ERRORS,
    Labelled,
    read_apokasc,
    read_hipparcos,
    read_meszaros,
    relabelled,
)
from clusters import CLUSTERS
from held_out import SNR
from isochrone_labels import Neighbours
from measuring import Measured, Model, measure
from table import Line, Section, finite

from astra.modelling.simulator.sample import CHUNK, Sample, observed
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.simulator.stars import Stars, classify
from astra.modelling.training.evaluate import distance_error

#: The labels are those of the spectrum; nothing is known of companions.
CONDITIONS = replace(
    Conditions(), snr=SNR, label_jitter=(0.0, 0.0, 0.0, 0.0), lost_detector=0.0, companions={}
)

HOW = "real labels, simulated spectra; isochrones: from the same labels"

HIPPARCOS_TARGET, HIPPARCOS_BIAS = 0.14, 0.07

#: Spectra of each star of Hipparcos: with one, noise and masks move the median by 3 % of itself.
OBSERVATIONS = 4
APOKASC_TARGETS = {"rgb": 0.13, "red_clump": 0.08, "unknown": np.inf}


class Compared:
    """A catalogue, the predictions for its simulated spectra, and what isochrones give for its labels."""

    def __init__(self, catalog: Labelled, found: Measured, from_labels: np.ndarray) -> None:
        """
        Args:
            catalog: N stars.
            found: What the model says of them, in the same order.
            from_labels: Absolute Ks magnitudes that isochrones give [mag], shape (N,).
        """
        self.catalog = catalog
        self.found = found
        self.r = found.r
        self.r_labels = distance_error(catalog.fakemag, 10 ** (0.2 * from_labels + 2))

    def lines(self, label: str, rows: np.ndarray, limit: float = np.inf, bias: float = np.inf) -> list[Line]:
        """Of some of its stars: the model's errors, and those of the isochrones."""
        r, r_labels = self.r[rows], self.r_labels[rows]
        size, centre = (np.median(np.abs(r)), np.median(r)) if len(r) else (np.nan, np.nan)
        size_labels, centre_labels = (
            (np.median(np.abs(r_labels)), np.median(r_labels)) if len(r) else (np.nan, np.nan)
        )
        n_stars = len(np.unique(self.catalog.star[rows]))
        spectra = f" in {len(r):,} spectra" if len(r) > n_stars else ""
        note = f"{n_stars:,} stars{spectra}; isochrones {size_labels:.3f}"
        return [
            Line(f"{label}: median |r|", size, high=limit, note=note),
            Line(
                f"{label}: median r",
                centre,
                -bias,
                bias,
                form="+.3f",
                note=f"isochrones {centre_labels:+.3f}",
            ),
        ]


class RealLabels:
    """Observes stars with the labels of a catalogue, and predicts."""

    def __init__(
        self,
        model: Model,
        simulator: Simulator,
        isochrones: Neighbours,
        patterns: np.ndarray,
        seed: int,
        conditions: Conditions = CONDITIONS,
    ) -> None:
        self._model, self._simulator, self._isochrones = model, simulator, isochrones
        self._patterns, self._seed, self._conditions = patterns, seed, conditions

    def as_fitted(self) -> "RealLabels":
        """The same for labels on the scale that the emulator of giants was fitted to, and with it alone."""
        emulator = replace(self._simulator.emulator, giants=self._simulator.emulator.giants.inner)
        simulator = replace(self._simulator, emulator=emulator)
        return RealLabels(
            self._model,
            simulator,
            self._isochrones,
            self._patterns,
            self._seed,
            replace(self._conditions, foreign={}),
        )

    def compare(
        self, name: str, catalog: Labelled, errors: tuple[float, float, float], limit: int | None
    ) -> Compared:
        """Measure a catalogue, or that many stars drawn from it."""
        if limit is not None and len(catalog) > limit:
            rng = np.random.default_rng(self._seed)
            catalog = catalog.take(np.sort(rng.choice(len(catalog), limit, replace=False)))
        stars = stars_with(catalog)
        chunks = self._observed(stars, np.random.default_rng([self._seed, *name.encode()]))
        found = measure(self._model, chunks, len(stars), name)
        return Compared(catalog, found, self._isochrones.abs_ks(catalog.labels, errors))

    def _observed(self, stars: Stars, rng: np.random.Generator) -> Iterator[Sample]:
        for begin in range(0, len(stars), CHUNK):
            part = stars.take(slice(begin, begin + CHUNK))
            yield observed(self._simulator, part, rng, self._conditions, self._patterns)


def stars_with(catalog: Labelled) -> Stars:
    """Stars with these labels and luminosities; the rest is unknown, and does not show in their spectra."""
    teff, logg, metallicity, alpha = catalog.labels.T
    unknown = np.full(len(catalog), np.nan)
    is_clump = catalog.group == "red_clump"
    return Stars(
        teff=teff,
        logg=logg,
        metallicity=metallicity,
        alpha=alpha,
        mass=unknown,
        log_age=unknown,
        abs_j=unknown,
        abs_h=unknown,
        abs_ks=5 * np.log10(catalog.fakemag) - 10,
        kind=classify(teff, logg, is_clump),
    )


def label_sections(
    measurer: RealLabels, isochrones: Neighbours, data: Path, limit: int | None
) -> tuple[list[Section], dict[str, Compared]]:
    """All three catalogues; and what was compared, for the plots.

    Args:
        measurer: What observes and predicts.
        isochrones: For the bolometric corrections of the stars with seismic radii.
        data: Folder of public data.
        limit: Most stars of a catalogue; ``None`` takes all.
    """
    folder = data / "catalogs"
    apokasc = read_apokasc(folder, isochrones)
    hipparcos = read_hipparcos(folder)
    observed_again = hipparcos.take(np.repeat(np.arange(len(hipparcos)), OBSERVATIONS))
    catalogs = {
        "Hipparcos": (observed_again, HIPPARCOS_ERRORS),
        "APOKASC": (apokasc, APOKASC_ERRORS),
        "clusters": (read_meszaros(folder), MESZAROS_ERRORS),
    }
    compared = {
        name: measurer.compare(name, catalog, errors, limit) for name, (catalog, errors) in catalogs.items()
    }
    fitted = relabelled(apokasc, data / "spectra_models" / "cannon_giants")
    name = "APOKASC, emulator's labels"
    compared[name] = measurer.as_fitted().compare(name, fitted, APOKASC_ERRORS, limit)
    sections = [
        _hipparcos(compared["Hipparcos"]),
        _apokasc(compared["APOKASC"], compared[name]),
        _clusters(compared["clusters"]),
    ]
    return sections, compared


def _hipparcos(found: Compared) -> Section:
    everyone = np.ones(len(found.catalog), bool)
    lines = found.lines("all", everyone, HIPPARCOS_TARGET, HIPPARCOS_BIAS)
    for group in ("good Ks", "saturated Ks"):
        lines += found.lines(group, found.catalog.group == group)
    return Section(f"giants with parallaxes of Hipparcos: {HOW}", lines)


def _apokasc(found: Compared, as_fitted: Compared) -> Section:
    lines = []
    for group, limit in APOKASC_TARGETS.items():
        lines += found.lines(group.replace("_", " "), found.catalog.group == group, limit)
    for group in ("rgb", "red_clump"):
        label = f"{group.replace('_', ' ')}, labels of the emulator's fit"
        lines += as_fitted.lines(label, as_fitted.catalog.group == group)
    return Section(f"giants with seismic radii (APOKASC): {HOW}", lines)


def _clusters(found: Compared) -> Section:
    medians = cluster_medians(found)
    lines = [
        Line(f"{name}: median r", median, form="+.3f", note=f"{count} stars; isochrones {isochrones:+.3f}")
        for name, (count, median, isochrones) in medians.items()
    ]
    for label, is_globular in (("globular", True), ("open", False)):
        values = [row[1] for name, row in medians.items() if CLUSTERS[name].is_globular == is_globular]
        if values:
            lines.append(
                Line(f"{len(values)} {label} clusters: median of these", np.median(values), form="+.3f")
            )
    details = {
        name: {"n": count, "median_r": finite(median), "isochrones": finite(isochrones)}
        for name, (count, median, isochrones) in medians.items()
    }
    return Section(f"members of clusters: {HOW}", lines, {"clusters": details})


def cluster_medians(found: Compared) -> dict[str, tuple[int, float, float]]:
    """Of each cluster: stars, median r of the model, median r of the isochrones."""
    medians = {}
    for name in CLUSTERS:
        rows = found.catalog.group == name
        if rows.any():
            medians[name] = (
                int(rows.sum()), float(np.median(found.r[rows])), float(np.median(found.r_labels[rows]))
            )  # fmt: skip
    return medians
