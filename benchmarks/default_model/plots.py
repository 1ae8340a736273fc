"""Plots of what was measured, as PNG files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from held_out import EDGES, LIMITS, TARGETS, curve_of, of_kind  # noqa: E402
from in_bins import MOST_BEYOND, MOST_FLAGGED, NOISY  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import PercentFormatter  # noqa: E402
from mean_spectrum import COVERED, WAVELENGTH, MeanSpectra  # noqa: E402
from measuring import Measured  # noqa: E402
from table import Section  # noqa: E402

from astra.modelling.training.evaluate import ALL, flagged_by_error  # noqa: E402
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE  # noqa: E402
from astra.spectra.grid import CHIPS  # noqa: E402

COLOURS = {"rgb": "tab:red", "red_clump": "tab:orange", "subgiant": "tab:green", "dwarf": "tab:blue"}

# Errors beyond this are drawn at the edge of the plot.
_LARGEST_R = 1.0


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG, and close it."""
    figure.savefig(folder / f"{name}.png", dpi=110)
    plt.close(figure)


def plot_held_out(found: Measured, folder: Path) -> None:
    """Errors, pulls and flags of single held-out stars."""
    single = found.take(found.single)
    _plot_errors(single, folder)
    _plot_pulls(single, folder)
    _plot_flags(single, folder)


def _plot_errors(single: Measured, folder: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharey=True, layout="constrained")
    for axis, kind in zip(axes.flat, TARGETS, strict=True):
        part = of_kind(single, kind)
        magnitude, r = 5 * np.log10(part.fakemag_true) - 10, np.clip(part.r, -_LARGEST_R, _LARGEST_R)
        for rows, style in ((~part.flagged, {"alpha": 0.5}), (part.flagged, {"alpha": 0.25, "marker": "x"})):
            label = f"{'not ' if style.get('marker') is None else ''}flagged ({rows.sum():,})"
            axis.scatter(magnitude[rows], r[rows], s=6, color=COLOURS[kind], label=label, lw=0.6, **style)
        _running_median(axis, magnitude, part.r)
        axis.axhline(0, color="black", lw=0.8)
        axis.invert_xaxis()
        axis.set(title=kind.replace("_", " "), xlabel="true M_Ks [mag]", ylim=(-_LARGEST_R, _LARGEST_R))
        axis.legend(fontsize=8, loc="upper left")
    for axis in axes[:, 0]:
        axis.set_ylabel("r = d / d_true - 1")
    figure.suptitle("Held-out simulated single stars; running median and 16-84 %")
    save(figure, folder, "held_out_errors")


def _running_median(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    order = [part for part in np.array_split(np.argsort(x), 12) if len(part) >= 5]
    if not order:
        return
    middles = [np.median(x[part]) for part in order]
    low, middle, high = np.transpose([np.nanquantile(y[part], (0.16, 0.5, 0.84)) for part in order])
    axis.plot(middles, middle, color="black", lw=1.5)
    axis.fill_between(middles, low, high, color="black", alpha=0.15, lw=0)


def _plot_pulls(single: Measured, folder: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
    bins = np.linspace(-5, 5, 51)
    normal = np.exp(-0.5 * bins**2) / np.sqrt(2 * np.pi)
    for axis, kind in zip(axes.flat, TARGETS, strict=True):
        pull = np.clip(of_kind(single, kind).pull, bins[0], bins[-1])
        axis.hist(pull, bins, density=True, color=COLOURS[kind], alpha=0.6)
        axis.plot(bins, normal, color="black", label="standard normal")
        axis.set(title=kind.replace("_", " "), xlabel="(fakemag - true) / e_fakemag")
        axis.legend(fontsize=8)
    figure.suptitle("Pulls of held-out simulated single stars")
    save(figure, folder, "held_out_pulls")


def _plot_flags(single: Measured, folder: Path) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    labels = [f"{low:g}-{high:g}" for low, high in zip(EDGES[:-2], EDGES[1:-1], strict=True)]
    labels.append(f"> {EDGES[-2]:g}")
    for kind in (*TARGETS, ALL):
        part, colour = of_kind(single, kind), COLOURS.get(kind, "black")
        name = kind.replace("_", " ")
        left.plot(labels, flagged_by_error(part.r, part.flagged, EDGES), "o-", color=colour, label=name)
        kept, median = curve_of(single, kind)
        middle.plot(LIMITS, kept, "o-", color=colour, label=name)
        right.plot(kept, median, "o-", color=colour, label=name)
    left.set(xlabel="|r|", ylabel="share flagged", ylim=(-0.02, 1.02), title="flags follow the error")
    left.tick_params("x", rotation=45)
    middle.axvline(UNRELIABLE, color="grey", ls=":", label="the flag")
    middle.set(xlabel="limit on e_fakemag / fakemag", ylabel="share kept", ylim=(-0.02, 1.02), xscale="log")
    right.set(xlabel="share kept", ylabel="median |r| of these", title="what a stricter limit buys")
    left.legend(fontsize=8)
    middle.legend(fontsize=8)
    save(figure, folder, "held_out_flags")


def plot_trade_off(sections: Sequence[Section], folder: Path) -> None:
    """What larger or smaller errors would do to the flags at low S/N, and to the wings of what is kept."""
    shown = [each for each in sections if "trade_off" in each.details and each.lines[0].target]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharex=True, layout="constrained")
    for section in shown:
        points = [each for each in section.details["trade_off"] if each["outliers"] is not None]
        name = section.title.partition(":")[0]
        flagged = [point["flagged"] for point in points]
        for axis, wings in zip(axes, ("outliers", "outliers_with_pairs"), strict=True):
            shares = [point[wings] for point in points]
            axis.plot(flagged, shares, "o-", label=name)
            for point, *place in zip(points, flagged, shares, strict=True):
                axis.annotate(f"{point['scale']:g}", place, xytext=(4, 4), textcoords="offset points")
    for axis, title, limit in zip(axes, ("single stars", "with pairs"), MOST_BEYOND, strict=True):
        axis.axhline(limit, color="grey", ls=":")
        axis.axvline(MOST_FLAGGED, color="grey", ls=":", label="targets")
        axis.set(title=title, xlabel=f"share flagged at S/N {NOISY[0]:g} to {NOISY[1]:g}", ylim=(0, None))
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes[0].set_ylabel("share with |pull| > 3 of what is not flagged")
    axes[0].legend(fontsize=8)
    figure.suptitle("If all stated errors were multiplied with the number beside a point")
    save(figure, folder, "trade_off")


def plot_comparison(
    name: str, true: np.ndarray, r: np.ndarray, r_labels: np.ndarray, group: np.ndarray, folder: Path
) -> None:
    """A catalogue: errors of the model and of isochrones from the same labels.

    Args:
        name: Of the catalogue.
        true: Pseudo-luminosities [mas], shape (N,).
        r: Errors of the model.
        r_labels: Errors of the isochrones.
        group: Names of the stars' groups.
        folder: Where the plot goes.
    """
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    magnitude = 5 * np.log10(true) - 10
    for axis, errors, title in (
        (axes[0], r, "model"),
        (axes[1], r_labels, "isochrones from the same labels"),
    ):
        for number, which in enumerate(np.unique(group)):
            rows = group == which
            label = f"{which.replace('_', ' ')} ({rows.sum():,}): |r| {np.median(np.abs(errors[rows])):.3f}"
            clipped = np.clip(errors[rows], -_LARGEST_R, _LARGEST_R)
            axis.scatter(magnitude[rows], clipped, s=7, alpha=0.5, color=f"C{number}", label=label)
        _running_median(axis, magnitude, errors)
        axis.axhline(0, color="black", lw=0.8)
        axis.invert_xaxis()
        axis.set(title=title, xlabel="M_Ks from the catalogue [mag]", ylim=(-_LARGEST_R, _LARGEST_R))
        axis.legend(fontsize=8)
    axes[0].set_ylabel("r = d / d_catalogue - 1")
    figure.suptitle(f"{name}: spectra simulated from real labels")
    save(figure, folder, name.lower())


def plot_clusters(medians: dict[str, tuple[int, float, float]], folder: Path) -> None:
    """Medians per cluster, as bars."""
    figure, axis = plt.subplots(figsize=(12, 4.5), layout="constrained")
    place = np.arange(len(medians))
    counts, model, labels = np.transpose(list(medians.values()))
    axis.bar(place - 0.2, model, 0.4, label="model")
    axis.bar(place + 0.2, labels, 0.4, label="isochrones from the same labels", color="lightgrey")
    axis.axhline(0, color="black", lw=0.8)
    names = [f"{name}\n({count:.0f})" for name, count in zip(medians, counts, strict=True)]
    axis.set_xticks(place, names, fontsize=8)
    axis.set(ylabel="median of d / d_published - 1", title="Members of clusters")
    axis.legend()
    save(figure, folder, "clusters")


def plot_mean(spectra: MeanSpectra, folder: Path) -> None:
    """The fitted mean and the published one, detector by detector."""
    figure, axes = plt.subplots(6, 1, figsize=(14, 13), height_ratios=[2, 1] * 3, layout="constrained")
    difference = spectra.mixture - spectra.published
    for number, chip in enumerate(CHIPS):
        upper, lower = axes[2 * number], axes[2 * number + 1]
        x = WAVELENGTH[chip]
        upper.plot(x, spectra.published[chip], color="black", lw=0.8, label="published")
        upper.plot(x, spectra.mixture[chip], color="tab:red", lw=0.6, label="simulated")
        lower.plot(x, difference[chip], color="tab:blue", lw=0.6)
        lower.plot(x, spectra.smooth[chip], color="tab:orange", lw=1.2)
        edges = ~COVERED[chip]
        for axis in (upper, lower):
            axis.fill_between(
                x, 0, 1, where=edges, transform=axis.get_xaxis_transform(), color="grey", alpha=0.2
            )
            axis.set_xlim(x[0], x[-1])
        lower.set(ylim=(-0.08, 0.08), ylabel="difference")
        lower.axhline(0, color="black", lw=0.6)
    axes[0].legend(loc="lower right", ncols=2)
    axes[0].set_title("Mean of rectified spectra; grey: pixels that only the coarse grid covers")
    axes[-1].set_xlabel("vacuum wavelength [Angstrom]")
    save(figure, folder, "mean_spectrum")
