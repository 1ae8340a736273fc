"""The page: sections, figures, scripts and styles in one file that asks nothing of the network."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from astra.report.figures import Figures
from astra.report.pages.markup import Section, escape, page
from astra.report.pages.style import themed
from astra.report.palettes import DENSITY_DARK, DENSITY_LIGHT

#: Data may stand in the page, but nothing is loaded from elsewhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"

_TOGGLE = (
    '<button type="button" id="theme" hidden>Dark</button>'
    "<noscript><p><strong>The figures need JavaScript.</strong> Their numbers are said below each of them."
    "</p></noscript>"
)


def assemble(
    title: str, head: str, sections: Iterable[Section], figures: Figures, dialogs: Sequence[str] = ()
) -> str:
    """The whole document.

    Args:
        title: Text.
        head: HTML at the top.
        sections: In their order.
        figures: All that were placed in the sections and the dialogs.
        dialogs: What opens over the page, as HTML.
    """
    scripts = [_bokeh(), _own("page.js")]
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"{_POLICY}; script-src {hashes}"
    before = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{_colours()}{_own('report.css')}</style>\n"
    )
    after = "".join(dialogs) + figures.scripts() + "".join(f"<script>{each}</script>\n" for each in scripts)
    return page(title, _TOGGLE + head, sections, before=before, after=after)


def dialog(key: str, title: str, body: str) -> str:
    """What opens over the page when its button is pressed.

    Args:
        key: Of the buttons that open it.
        title: Text.
        body: HTML.
    """
    return (
        f'<dialog id="star-{key}" aria-labelledby="name-{key}"><div class="bar"><h2 id="name-{key}">'
        f'{escape(title)}</h2><button type="button" class="close">Close</button></div>{body}</dialog>\n'
    )


def _colours() -> str:
    light, dark = ({"density": ",".join(palette)} for palette in (DENSITY_LIGHT, DENSITY_DARK))
    return themed(light, dark)


def _own(name: str) -> str:
    return files("astra.report").joinpath(name).read_text(encoding="utf-8")


def _bokeh() -> str:
    from bokeh.resources import Resources

    return Resources(mode="inline", components=["bokeh"]).js_raw[0]


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
