"""Cost against size."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")

from matplotlib import pyplot as plt  # noqa: E402


def cost(points: list[tuple[int, float, float]], path: Path) -> None:
    """Draw wall and processor seconds of runs against their number of spectra.

    Args:
        points: Spectra, wall time [s], processor time [s].
        path: The SVG file.
    """
    sizes, walls, cpus = zip(*points, strict=True)
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    # A straight line through the smallest and the largest run: its slope is the cost of one spectrum.
    slope = (walls[-1] - walls[0]) / (sizes[-1] - sizes[0])
    start = walls[0] - slope * sizes[0]
    smooth = np.geomspace(sizes[0], sizes[-1], 100)
    label = f"{start:.1f} s + {1e3 * slope:.1f} ms each"
    axes.loglog(smooth, start + slope * smooth, color="0.7", label=label)
    axes.loglog(sizes, walls, "o", color="C0", label="wall time")
    axes.loglog(sizes, cpus, "s", color="C1", markerfacecolor="none", label="processor time, all processes")
    axes.set_xlabel("spectra")
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
