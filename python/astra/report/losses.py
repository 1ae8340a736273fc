"""The section on what ``good`` and ``clean`` leave out, against what a map or a sample is made by."""

from typing import Any

import numpy as np

from astra.report.contents import Contents
from astra.report.figures import add_shares, embed, log_ticks, plot
from astra.report.page import RESULTS, macros, short
from astra.report.summaries import padded

#: Fewer spectra make no share.
FEWEST_OF_BIN = 25

_MOST_BINS = 16

# An axis of logarithms over more than this factor has fewer labels.
_WIDE = 500


def losses(contents: Contents) -> str:
    """Shares of good and of clean in bins of equal numbers of spectra, as HTML; empty for few."""
    rows = contents.rows
    counts = {"spectra": len(rows), "good": int(rows["good"].sum()), "clean": int(rows["clean"].sum())}
    has_distance = (rows["k_mag"] != 0) & (rows["dist"] > 0)
    quantities = (
        ("m-ks", "M_Ks [mag]", rows["m_ks_abs"], False),
        ("snr", "S/N per pixel", np.where(rows["snr"] > 0, rows["snr"], np.nan), True),
        ("dist", "distance [pc]", np.where(has_distance, rows["dist"], np.nan), True),
        ("a-k", "A_Ks [mag]", rows.extinction, True),
    )
    panels = [panel for quantity in quantities if (panel := _panel(contents, *quantity))]
    return macros(RESULTS).losses(counts, panels) if panels else ""


def _panel(contents: Contents, name: str, label: str, x: np.ndarray, log_x: bool) -> dict[str, Any] | None:
    known = np.isfinite(x)
    number_of_bins = min(int(known.sum()) // FEWEST_OF_BIN, _MOST_BINS)
    if number_of_bins < 2:
        return None
    edges = np.unique(np.quantile(x[known], np.linspace(0, 1, number_of_bins + 1)))
    if len(edges) < 3:
        return None
    # A value that many share, such as no extinction, ends several bins at once.
    place = np.clip(np.searchsorted(edges, x[known], "right") - 1, 0, len(edges) - 2)
    spectra = np.bincount(place, minlength=len(edges) - 1)
    shares = {
        which: np.bincount(place, contents.rows[which][known], len(edges) - 1) / np.maximum(spectra, 1)
        for which in ("good", "clean")
    }
    drawn = np.log10(edges) if log_x else edges
    canvas = plot(label, "share [%]", padded(drawn[0], drawn[-1]), (0, 103), height=300)
    if log_x:
        log_ticks(canvas.xaxis[0], edges[0], edges[-1], (1, 2, 5) if edges[-1] < _WIDE * edges[0] else (1,))
    add_shares(canvas, drawn, [short(edge) for edge in edges], spectra, shares)
    lowest = int(np.argmin(shares["clean"]))
    return {
        "plot": embed(f"losses-{name}", canvas),
        "what": label.partition(" [")[0],
        "lacking": label.partition(" [")[0] + (" above 0" if log_x else ""),
        "absent": int((~known).sum()),
        "lowest": shares["clean"][lowest],
        "highest": shares["clean"].max(),
        "ends": [short(edge) for edge in edges[lowest : lowest + 2]],
    }
