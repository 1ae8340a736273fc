"""Figures as SVG within a page: drawn by matplotlib, coloured by the style sheet of the page.

Colours that the page decides (light or dark) are drawn as stand-ins, which become CSS variables in the SVG.
Clouds of points become pixels, which keeps files small; their colours suit both.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# > Colours

INK, MUTED, LINE, ACCENT, WARN = "#000001", "#000002", "#000003", "#000004", "#000005"
_BY_CLASS = {"rgb": 1, "red_clump": 2, "subgiant": 3, "dwarf": 4, "m_dwarf": 5, "hot": 6}
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", WARN: "warn"}
_VARIABLES |= {f"#00001{number}": f"class-{number}" for number in _BY_CLASS.values()}

#: Of points, which become pixels.
POINT, FLAGGED = "#4a86c8", "#d07438"

#: From too near over right to too far.
DIVERGING = ("#2c6fb3", "#86b0d8", "#bfbfb8", "#e0a276", "#bf4a22")

# > Sizes

WIDTH = 8.6  # inches; a page shows it about half as large again
_DPI = 220  # of clouds of points

_SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.borderaxespad": 0.2,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.3,
    "svg.fonttype": "none",
    "svg.hashsalt": "astra",
}

# What an SVG file has and a page does not want: its head, and names that other figures use as well.
_SUPERFLUOUS = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", re.DOTALL)
_GROUP_NAME = re.compile(r'(?<=<g) id="[^"]*"')
_NAME = re.compile(r'((?: id="|xlink:href="#|url\(#))')


def colour_of(kind: str) -> str:
    """The colour of a class; that of the text for all others."""
    return f"#00001{_BY_CLASS[kind]}" if kind in _BY_CLASS else INK


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib as we need it, whatever its user has set; afterwards all is as it was."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def grid(
    number: int, *, columns: int = 3, height: float = 2.4, **keywords: bool | str
) -> "tuple[Figure, Sequence[Axes]]":
    """A figure of panels in rows, with as many axes as are needed."""
    from matplotlib.figure import Figure

    columns = min(columns, number)
    rows = -(-number // columns)
    figure = Figure(figsize=(WIDTH, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **keywords).ravel()
    for axis in axes[number:]:
        axis.set_axis_off()
    for axis in axes[max(0, number - columns) : number]:
        axis.tick_params(labelbottom=True)
    return figure, axes[:number]


def inline_svg(figure: "Figure", name: str, alt: str) -> str:
    """The figure as an element of a page.

    Args:
        figure: Drawn with the colours of this module.
        name: Unique in the page.
        alt: What it shows, in words.
    """
    from markupsafe import Markup

    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=_DPI, metadata=metadata)
    text = buffer.getvalue()
    box = re.search(r'viewBox="([^"]*)"', text).group(1)
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = _NAME.sub(rf"\g<1>{name}-", _GROUP_NAME.sub("", _SUPERFLUOUS.sub("", text)))
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var(--{variable})")
    lines = (line.strip() for line in text.splitlines())
    return Markup('<svg role="img" aria-label="{}" viewBox="{}">').format(alt, box) + Markup(
        "\n".join(filter(None, lines))
    )


# > What several figures have


def points(axis: "Axes", x: np.ndarray, y: np.ndarray, flagged: np.ndarray | None = None) -> None:
    """A cloud of points; flagged ones in their own colour, beneath."""
    flagged = np.zeros(len(x), bool) if flagged is None else flagged
    # The more points, the less each of them counts.
    thin = 1 / np.sqrt(max(1, len(x)))
    alpha, size = float(np.clip(12 * thin, 0.15, 0.7)), float(np.clip(300 * thin, 4, 12))
    for rows, colour in ((flagged, FLAGGED), (~flagged, POINT)):
        axis.scatter(x[rows], y[rows], s=size, color=colour, alpha=alpha, lw=0, rasterized=True)


def plain_log(axis: "Axes", which: str) -> None:
    """A logarithmic scale with numbers such as 0.05 or 200 on it; ``which`` is ``x`` or ``y``."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ticks = axis.xaxis if which == "x" else axis.yaxis
    if not np.isfinite(ticks.get_minpos()):
        axis.set(**{f"{which}lim": (0.1, 1)})  # nothing positive is shown, from which limits could follow
    axis.set(**{f"{which}scale": "log"})
    ticks.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks.set_minor_locator(NullLocator())


def handles(entries: dict[str, dict[str, str]]) -> "list[Line2D]":
    """What a legend is made of: for each name, the properties of its line."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=name, **properties) for name, properties in entries.items()]


def dot(colour: str) -> dict[str, str]:
    """How a point looks in a legend."""
    return {"marker": "o", "ls": "", "color": colour, "ms": 3.5}
