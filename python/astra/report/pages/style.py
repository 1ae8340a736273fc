"""The style sheet of a report, for light and for dark screens, and for paper."""

from collections.abc import Mapping

#: Colours on a light screen, and on paper.
LIGHT = {
    "page": "#fdfdfc",
    "ink": "#1b2127",
    "muted": "#5c6771",
    "line": "#dde1e4",
    "panel": "#f4f5f5",
    "accent": "#2c6cb0",
    "warn": "#b4531a",
    "class-1": "#c23b3b",
    "class-2": "#b87708",
    "class-3": "#1f8556",
    "class-4": "#2c6cb0",
    "class-5": "#7d4fb8",
    "class-6": "#12818f",
}

#: The same on a dark one.
DARK = {
    "page": "#14181c",
    "ink": "#e3e7ea",
    "muted": "#99a3ad",
    "line": "#333b43",
    "panel": "#1b2026",
    "accent": "#74aceb",
    "warn": "#eb9a62",
    "class-1": "#ec7b7b",
    "class-2": "#e8a94a",
    "class-3": "#5fc08f",
    "class-4": "#74aceb",
    "class-5": "#b793e6",
    "class-6": "#5cc3cf",
}


def themed(light: Mapping[str, str], dark: Mapping[str, str]) -> str:
    """Variables of a style sheet: dark where the screen is, or where ``data-theme`` of the page says so."""
    bright, dim = (
        "".join(f"--{name}: {value}; " for name, value in colours.items()) for colours in (light, dark)
    )
    return (
        f":root {{ {bright}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dim}}} }}\n"
        f"@media screen {{ :root[data-theme=dark] {{ {dim}}} }}\n"
    )


STYLE = (
    themed(LIGHT, DARK)
    + """:root { color-scheme: light dark; }
:root[data-theme=light] { color-scheme: light; }
:root[data-theme=dark] { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .6rem; overflow-wrap: anywhere; }
section { margin-top: 2.75rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0 .9rem; max-width: 46rem; }
.kicker { color: var(--muted); margin: 0 0 .2rem; font-size: .9rem; }
code, pre { font: .86em/1.5 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
pre { background: var(--panel); padding: .8rem 1rem; border-radius: 4px; overflow-x: auto; }
a { color: var(--accent); overflow-wrap: anywhere; }
.skip { position: absolute; left: -100vw; top: .5rem; z-index: 2; padding: .4rem .8rem;
  background: var(--page); }
.skip:focus { left: .5rem; }
main:focus { outline: none; }
nav ol { columns: 2; column-gap: 2rem; margin: 1.25rem 0 0; padding-left: 1.3rem; font-size: .93rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem 1.5rem;
  margin: 1.25rem 0; }
.facts dt { color: var(--muted); font-size: .82rem; line-height: 1.35; }
.facts dd { margin: .1rem 0 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.scroll, .plot { overflow-x: auto; }
figure { margin: 1rem 0 1.5rem; }
figcaption { color: var(--muted); font-size: .88rem; line-height: 1.45; max-width: 46rem; margin-top: .4rem; }
figure svg { display: block; width: 100%; min-width: 38rem; height: auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure svg text { font-family: inherit !important; }
table { border-collapse: collapse; font-size: .88rem; margin: .75rem 0 1rem; }
caption { text-align: left; color: var(--muted); padding-bottom: .5rem; max-width: min(46rem, 100vw - 2rem); }
.wide { width: 100%; }
.numbers { font-variant-numeric: tabular-nums; }
.numbers th, .numbers td { text-align: right; padding: .3rem .5rem; vertical-align: bottom;
  white-space: nowrap; }
.numbers th:first-child { text-align: left; padding-left: 0; }
.numbers .words { text-align: left; white-space: normal; min-width: 11rem; }
.narrow td { padding-left: 2rem; }
sub, sup { line-height: 0; }
.numbers thead th { color: var(--muted); font-weight: 500; line-height: 1.25; }
.numbers tbody th, .details th { font-weight: 500; }
.numbers tbody tr, .details tr { border-top: 1px solid var(--line); }
.numbers tbody tr:last-child { border-bottom: 1px solid var(--line); }
.details th { text-align: left; vertical-align: top; padding: .25rem 1.5rem .25rem 0; color: var(--muted); }
.details td { padding: .25rem 0; overflow-wrap: anywhere; }
summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 40rem) { nav ol { columns: 1; } main { padding-top: 1.5rem; } }
@media print { body { font-size: 10pt; } nav { display: none; } figure { break-inside: avoid; } }
"""
)
