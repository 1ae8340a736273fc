"""HTML pages in one file that asks nothing of the network: the results' report and that of a training.

Markup stands in templates (Jinja2, which escapes all that is put in): ``page.html`` is around every page,
``parts.html`` has what several show, and each page has a template with a macro for each of its sections.
"""

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from astra.report.colours import DARK, LIGHT

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.environment import TemplateModule


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; empty ones are left out.

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
    dialogs: Sequence[tuple[str, str, str]] = (),
) -> str:
    """The whole document.

    Args:
        title: Text.
        head: HTML at the top.
        sections: In their order.
        dialogs: What opens over the page: the key of the buttons that open it, its title, and its HTML.
    """
    from markupsafe import Markup

    scripts = [Markup(_bokeh()), Markup(_read("astra.report/page.js"))]
    return (
        _templates()
        .get_template("astra.report/page.html")
        .render(
            title=title,
            head=head,
            sections=[section for section in sections if section.body.strip()],
            dialogs=dialogs,
            scripts=scripts,
            hashes=[_digest(script) for script in scripts],
            light=LIGHT,
            dark=DARK,
        )
    )


def macros(template: str) -> "TemplateModule":
    """The macros of a template, each of which gives HTML.

    Args:
        template: Package and file, as in ``astra.report/results.html``.
    """
    return _templates().get_template(template).module


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    found = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "share": share, "thousands": "{:,}".format}
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return found


def _read(name: str) -> str:
    package, _, file = name.partition("/")
    return files(package).joinpath(file).read_text(encoding="utf-8")


def _printable(value: Any) -> Any:
    """Text in which signs that cannot be printed show as their codes; HTML is left alone."""
    if hasattr(value, "__html__"):
        return value
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in str(value))


def _bokeh() -> str:
    from bokeh.resources import Resources

    return Resources(mode="inline", components=["bokeh"]).js_raw[0]


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# > Numbers


def number(value: float | None, form: str = ".3f") -> str:
    """A number with a minus sign of the right length; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:{form}}"
    return f"{0.0:{form}}" if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def share(value: float) -> str:
    """A share in per cent."""
    return f"{number(100 * value, '.1f')} %" if math.isfinite(value) else "–"
