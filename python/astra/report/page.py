"""HTML pages in one file that loads nothing: the document, its colours, and how numbers are written.

All markup is in Jinja2 templates, which escape every value. ``page.html`` has the document and the macros
that several pages use; each kind of page has a template with one macro per section. Python calls macros.
"""

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from astra.system.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.environment import TemplateModule

#: Templates of the report of all results and of the page of a star.
RESULTS, STAR = "astra.report/results.html", "astra.report/star.html"

#: Variables of the style sheet: on a light screen and on paper, on a dark screen.
_COLOURS = {
    "page": ("#fdfdfc", "#14181c"),
    "ink": ("#1b2127", "#e3e7ea"),
    "muted": ("#5c6771", "#99a3ad"),
    "line": ("#dde1e4", "#333b43"),
    "panel": ("#f4f5f5", "#1b2026"),
    "accent": ("#2c6cb0", "#74aceb"),
    "warn": ("#b4531a", "#eb9a62"),
    "point": ("#4a86c8", "#4a86c8"),
    "flagged": ("#d07438", "#d07438"),
    "class-1": ("#c23b3b", "#ec7b7b"),
    "class-2": ("#b87708", "#e8a94a"),
    "class-3": ("#1f8556", "#5fc08f"),
    "class-4": ("#2c6cb0", "#74aceb"),
    "class-5": ("#7d4fb8", "#b793e6"),
    "class-6": ("#12818f", "#5cc3cf"),
    "class-7": ("#a8457e", "#e58fc0"),
}

#: Palettes likewise, as colours to interpolate between. Cells with many stars are dark on a light screen and
#: bright on a dark one; errors go from too near to too far.
_PALETTES = {
    "density": (
        ("#cfe0ef", "#93bbdd", "#5690c6", "#3369a8", "#3b4192", "#2b1a55"),
        ("#24405c", "#2f6593", "#3f8dbb", "#5fb5c4", "#a5d8b0", "#f6f0a9"),
    ),
    "errors": (("#2c6fb3", "#86b0d8", "#bfbfb8", "#e0a276", "#bf4a22"),) * 2,
}
_STEPS_OF_PALETTE = 48


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; sections with an empty body are left out.

    Attributes:
        body: HTML, made by a template.
    """

    anchor: str
    title: str
    body: str


def page(
    title: str,
    head: str,
    sections: Iterable[Section],
    *,
    dialogs: Iterable[tuple[str, str, str]] = (),
    stars: Mapping[str, list[Any]] | None = None,
    without_script: str = "The text and the tables do not.",
) -> str:
    """The HTML document.

    Args:
        title: Text.
        head: HTML at the top.
        sections: In their order.
        dialogs: What opens over the page: the key of the buttons that open it, its title, and its HTML.
        stars: Columns of the table of stars that points are of, if any can be hovered and clicked.
        without_script: What a browser without JavaScript says after "The figures need JavaScript".
    """
    from markupsafe import Markup

    scripts = {_digest(script): Markup(script) for script in (_bokeh(), _read("astra.report/page.js"))}
    style = Markup(_read("astra.report/page.css"))
    shown = [section for section in sections if section.body]
    parts = (title, head, shown, dialogs, stars or {}, without_script, style, scripts)
    return macros("astra.report/page.html").page(*parts)


#: The file of Bokeh's script that many pages in one folder share.
LIBRARY = "bokeh.js"


def with_shared_library(text: str) -> tuple[str, str]:
    """Take Bokeh's script out of a page, which asks for it in ``LIBRARY`` beside it instead.

    Returns:
        The page, and the script.
    """
    bokeh = _bokeh()
    text = str(text).replace(f"<script>{bokeh}</script>", f'<script src="{LIBRARY}"></script>')
    # 'self' is the folder on a server; a page that is opened as a file has no origin, only a scheme.
    return text.replace("script-src ", "script-src 'self' file: ", 1), bokeh


@cache
def _bokeh() -> str:
    from bokeh.resources import Resources

    return Resources(mode="inline", components=["bokeh"]).js_raw[0]


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def macros(template: str) -> "TemplateModule":
    """The macros of a template, each of which returns HTML.

    Args:
        template: Package and file, as in ``astra.report/results.html``.
    """
    return _templates().get_template(template).module


@cache
def colours(*, dark: bool = False) -> dict[str, str]:
    """The variables of the style sheet; a palette is a list of colours with commas."""
    from bokeh.palettes import interp_palette

    plain = {name: pair[dark] for name, pair in _COLOURS.items()}
    palettes = {name: interp_palette(pair[dark], _STEPS_OF_PALETTE) for name, pair in _PALETTES.items()}
    return plain | {name: ",".join(palette) for name, palette in palettes.items()}


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    found = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "share": share, "thousands": "{:,}".format}
    found.globals["colours"] = colours
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return found


def _read(name: str) -> str:
    package, _, file = name.partition("/")
    return files(package).joinpath(file).read_text(encoding="utf-8")


def _seen(value: Any) -> Any:
    """Text with the codes of characters that cannot be seen; HTML is returned as it is."""
    return value if hasattr(value, "__html__") else printable(value)


# > Numbers


def number(value: float | None, form: str = ".3f") -> str:
    """A number with a typographic minus sign; a dash for ``None``, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:{form}}"
    return f"{0.0:{form}}" if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def share(value: float) -> str:
    """A fraction in per cent."""
    return f"{number(100 * value, '.1f')} %" if math.isfinite(value) else "–"


def short(value: float) -> str:
    """A number with three digits, and without an exponent."""
    return number(float(f"{value:.3g}"), ",.9g")
