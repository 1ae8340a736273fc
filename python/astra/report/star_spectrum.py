"""Figures of one spectrum: a row for each detector on one scale, with errors, gaps and the names of lines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.report.figures import FONT, coloured, embed, plot
from astra.report.star_details import Pixels
from astra.spectra.grid import CHIPS, LOG_WAVELENGTH_STEP
from astra.spectra.lines import LINES, Line

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

#: The detectors, in the order of their wavelengths.
NAMES = ("blue", "green", "red")

#: Colours of the kinds of lines: variables of the style sheet.
KINDS = {"hydrogen": "accent", "atom": "muted", "molecule": "class-2", "interstellar": "class-5"}

#: Fewest Angstrom between two names of lines: on any screen, and on a wide one.
_APART, _APART_WIDE = 26.0, 8.0

_ROW, _ONE = 236, 250  # pixels
_LEFT = 74  # where the frames begin, so that rows are aligned
_SHOWN = (0.03, 99.9)  # percentiles of the values that the axes hold: the cores of deep lines are some pixels
_MARGIN = 4.0  # Angstrom beside the first and the last pixel

# Half a pixel, relative to its wavelength.
_HALF = 0.5 * np.log(10) * LOG_WAVELENGTH_STEP

#: What the script of the page hides on a narrow screen.
_WIDE_ONLY = "wide-only"


@dataclass(frozen=True)
class Steps:
    """Bins of pixels of one detector, arrays of shape (bins,); those without a measurement are left out.

    Attributes:
        left, right: Their ends [Angstrom].
        value, error: Means of the pixels that can be used.
    """

    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    error: np.ndarray

    @property
    def follows(self) -> np.ndarray:
        """Whether a bin begins where the one before it ends; shape (bins - 1,)."""
        return self.left[1:] - self.right[:-1] < 0.5 * (self.right[:-1] - self.left[:-1])

    def line(self) -> tuple[np.ndarray, np.ndarray]:
        """A step in each bin; NaN in a gap, where nothing is drawn."""
        x, y = np.stack([self.left, self.right], axis=1), np.stack([self.value] * 2, axis=1)
        ends = 2 * np.flatnonzero(~self.follows) + 2
        return np.insert(x.ravel(), ends, np.nan), np.insert(y.ravel(), ends, np.nan)

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Value ± error: one outline around each run of bins, with NaN between them."""
        runs = np.split(np.arange(len(self.value)), np.flatnonzero(~self.follows) + 1)
        xs, ys = [], []
        for run in runs if len(self.value) else ():
            x = np.stack([self.left[run], self.right[run]], axis=1).ravel()
            low, high = (np.repeat((self.value + sign * self.error)[run], 2) for sign in (-1, 1))
            xs += [x, x[::-1], [np.nan]]
            ys += [high, low[::-1], [np.nan]]
        return np.concatenate([*xs, []]), np.concatenate([*ys, []])


def steps_of(pixels: Pixels, chip: slice, value: np.ndarray, error: np.ndarray, every: int = 1) -> Steps:
    """Some of the pixels of one detector.

    Args:
        pixels: The spectrum.
        chip: The detector.
        value, error: Shape (7514,).
        every: Pixels in a bin; what is left over at the end of the detector is left out.
    """
    count = (chip.stop - chip.start) // every
    wavelength, used, value, error = (
        array[chip][: count * every].reshape(count, every)
        for array in (pixels.wavelength, pixels.measured, value, error)
    )
    numbers = used.sum(axis=1)
    shown = numbers > 0
    wavelength, used, numbers = wavelength[shown], used[shown], numbers[shown]
    mean = np.where(used, value[shown], 0).sum(axis=1) / numbers
    of_mean = np.sqrt(np.where(used, error[shown] ** 2, 0).sum(axis=1)) / numbers
    return Steps(wavelength[:, 0] * (1 - _HALF), wavelength[:, -1] * (1 + _HALF), mean, of_mean)


def masked_runs(pixels: Pixels, chip: slice) -> tuple[np.ndarray, np.ndarray]:
    """First and last wavelength of each run of pixels of a detector that cannot be used [Angstrom]."""
    lost = np.concatenate([[False], ~pixels.measured[chip], [False]])
    change = np.flatnonzero(lost[1:] != lost[:-1])
    first, last = change[::2], change[1::2] - 1
    wavelength = pixels.wavelength[chip]
    return wavelength[first] * (1 - _HALF), wavelength[last] * (1 + _HALF)


# > The figures


def rows(pixels: Pixels, key: str, every: int = 1) -> dict[str, Any]:
    """The spectrum divided by its continuum: a figure for each detector, all with the same scales.

    Returns:
        ``plots`` (three figures) and what is said of them.
    """
    shown = [steps_of(pixels, chip, pixels.rectified, pixels.e_rectified, every) for chip in CHIPS]
    low, high, outside = _ends([part.value for part in shown], include=1.0)
    widest = max(np.ptp(pixels.wavelength[chip]) for chip in CHIPS) + 2 * _MARGIN
    plots = []
    for name, chip, part in zip(NAMES, CHIPS, shown, strict=True):
        start = pixels.wavelength[chip][0] - _MARGIN
        canvas = plot(
            f"vacuum wavelength [Å], {name} detector",
            "flux / continuum",
            (float(start), float(start + widest)),
            (low, high + 0.36 * (high - low)),  # room for the names of lines
            height=_ROW,
        )
        canvas.min_border_left = _LEFT
        _draw(canvas, pixels, chip, part, "accent")
        _name_lines(canvas, pixels, chip)
        plots.append(embed(f"{key}-{name}", canvas))
    return {
        "plots": plots,
        "median": np.median(pixels.rectified[pixels.measured]),
        "noise": np.median(pixels.e_rectified[pixels.measured]),
        "used": {name: pixels.measured[chip].mean() for name, chip in zip(NAMES, CHIPS, strict=True)},
        "outside": outside,
    }


def whole(pixels: Pixels, key: str, every: int) -> dict[str, Any]:
    """The flux of all detectors on one axis: a figure, and what is said of it."""
    shown = [steps_of(pixels, chip, pixels.flux, pixels.e_flux, every) for chip in CHIPS]
    low, high, outside = _ends([part.value for part in shown])
    x_range = (float(pixels.wavelength[0]) - 5 * _MARGIN, float(pixels.wavelength[-1]) + 5 * _MARGIN)
    label = "flux [10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹]"
    canvas = plot("vacuum wavelength [Å]", label, x_range, (low, high), height=_ONE)
    canvas.min_border_left = _LEFT
    for chip, part in zip(CHIPS, shown, strict=True):
        _draw(canvas, pixels, chip, part, "ink")
    numbers = {"median": np.median(pixels.flux[pixels.measured]), "outside": outside, "every": every}
    return {"plot": embed(f"{key}-flux", canvas)} | numbers


def _ends(values: list[np.ndarray], include: float | None = None) -> tuple[float, float, int]:
    """Ends of an axis with nearly all values, and how many lie outside."""
    every = np.concatenate(values)
    low, high = np.percentile(every, _SHOWN)
    if include is not None:
        low, high = min(low, include), max(high, include)
    margin = 0.08 * (high - low) or 0.5
    low, high = float(low - margin), float(high + margin)
    return low, high, int(((every < low) | (every > high)).sum())


def _draw(canvas: "Figure", pixels: Pixels, chip: slice, part: Steps, colour: str) -> None:
    from bokeh.models import HoverTool

    left, right = masked_runs(pixels, chip)
    strips = canvas.vstrip(x0=_short(left), x1=_short(right), line_color=None, fill_alpha=0.13)
    coloured(strips.glyph, fill="muted")
    band = canvas.patch(*map(_short, part.band()), line_color=None, fill_alpha=0.3)
    coloured(band.glyph, fill=colour)
    line = canvas.line(*map(_short, part.line()), line_width=1)
    coloured(line.glyph, line=colour)
    tooltips = [("wavelength", "@x{0.00} Å"), (canvas.yaxis.axis_label.split(" [")[0], "@y{0.000}")]
    canvas.add_tools(HoverTool(renderers=[line], tooltips=tooltips, line_policy="nearest", visible=False))


def _short(values: np.ndarray) -> np.ndarray:
    """Half as long in the page; 1e-3 Angstrom at most get lost."""
    return np.asarray(values, np.float32)


# > Lines


def _name_lines(canvas: "Figure", pixels: Pixels, chip: slice) -> None:
    from bokeh.core.properties import value
    from bokeh.models import ColumnDataSource, HoverTool, LabelSet

    first, last = pixels.wavelength[chip][[0, -1]]
    lines = [line for line in LINES if first <= line.wavelength <= last]
    rules = []
    for kind, colour in KINDS.items():
        chosen = [line for line in lines if line.kind == kind]
        source = {
            "x": [line.wavelength for line in chosen],
            "name": [line.name for line in chosen],
            "kind": [line.kind for line in chosen],
            "source": [line.source for line in chosen],
        }
        rule = canvas.vspan(x="x", source=ColumnDataSource(source), line_dash=[2, 3], line_alpha=0.75)
        coloured(rule.glyph, line=colour)
        rules.append(rule)
    tooltips = [("line", "@name (@kind)"), ("wavelength", "@x{0.00} Å, from @source")]
    canvas.add_tools(HoverTool(renderers=rules, tooltips=tooltips, visible=False))
    always, on_wide = names_with_room(lines)
    for chosen, tags in (always, []), (on_wide, [_WIDE_ONLY]):
        source = {"x": [line.wavelength for line in chosen], "text": [line.name for line in chosen]}
        labels = LabelSet(
            x="x",
            y=_ROW - 52,
            y_units="screen",
            text="text",
            source=ColumnDataSource(source),
            angle=np.pi / 2,
            text_align="right",
            text_baseline="middle",
            text_font=value(FONT),
            text_font_size="11px",
            tags=tags,
        )
        coloured(labels, text="ink", background_fill="page")
        canvas.add_layout(labels)


def names_with_room(lines: list[Line]) -> tuple[list[Line], list[Line]]:
    """The lines whose names have room on any screen, and those that have on a wide one besides.

    Strong lines come first, then those of hydrogen and the interstellar band.
    """
    ranked = sorted(lines, key=lambda line: (not line.strong, line.kind == "atom", line.wavelength))
    chosen: tuple[list[Line], list[Line]] = [], []
    for level, apart in enumerate((_APART, _APART_WIDE)):
        for line in ranked:
            taken = [other.wavelength for part in chosen for other in part]
            if all(abs(line.wavelength - other) >= apart for other in taken):
                chosen[level].append(line)
    return chosen
