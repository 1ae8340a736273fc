"""HTML of a report: sections, tables, and the page around them."""

import html
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from astra.report.pages.style import STYLE

#: A list with more numbers than these is cut short: it is a table in its own right.
LONGEST_LIST = 40


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; empty ones are left out."""

    anchor: str
    title: str
    body: str


def page(title: str, head: str, sections: Iterable[Section], *, before: str = "", after: str = "") -> str:
    """The whole document.

    Args:
        title: Text.
        head: HTML at the top.
        sections: Their titles are text, their bodies HTML.
        before: What else belongs into the head of the document, as HTML.
        after: What else belongs at the end of its body, as HTML.
    """
    shown = [section for section in sections if section.body]
    contents = "".join(f'<li><a href="#{part.anchor}">{escape(part.title)}</a></li>' for part in shown)
    bodies = "\n".join(
        f'<section id="{part.anchor}">\n<h2>{escape(part.title)}</h2>\n{part.body}\n</section>'
        for part in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{before}</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the content</a>\n<main id="content" tabindex="-1">\n'
        f"<header>\n{head}\n</header>\n"
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n{bodies}\n</main>\n{after}</body>\n</html>\n'
    )


def escape(text: Any) -> str:
    """Text for HTML, whoever wrote it; what cannot be printed shows as its code."""
    return html.escape("".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in str(text)))


def paragraph(text: str) -> str:
    """A paragraph of HTML."""
    return f"<p>{text}</p>"


def figure(svg: str, caption: str) -> str:
    """A figure with its caption, which is HTML."""
    return f'<figure><div class="plot">{svg}</div><figcaption>{caption}</figcaption></figure>'


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, words: Container[int] = ()
) -> str:
    """A table: the first column names the row, the others are numbers. Captions and columns are HTML.

    Args:
        caption: Above it.
        columns: Heads of the columns.
        rows: Their cells, as text.
        words: Which columns hold words, which may be broken into lines.
    """
    breadth = "wide" if len(columns) > 3 else "narrow"
    kinds = [' class="words"' if place in words else "" for place in range(len(columns))]
    heads = "".join(
        f'<th scope="col"{kind}>{column}</th>' for kind, column in zip(kinds, columns, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds[1:], row[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="numbers {breadth}"><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(entries: Mapping[str, str]) -> str:
    """A few numbers with their names; both are HTML."""
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries.items())
    return f'<dl class="facts">{items}</dl>'


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


# > What a file says of itself


def details(found: Mapping[str, Any]) -> str:
    """Plain JSON for readers: single values in a table, each group of values in one that opens."""
    groups = {name: value for name, value in found.items() if isinstance(value, Mapping) and value}
    single = [_row(name, value, 0) for name, value in found.items() if name not in groups]
    parts = [_details_table(single)] if single else []
    for name, value in groups.items():
        rows = [row for key, part in value.items() for row in _rows(key, part, 0)]
        parts.append(f"<details><summary>{_words(name)}</summary>{_details_table(rows)}</details>")
    return "\n".join(parts)


def _details_table(rows: Iterable[str]) -> str:
    return f'<div class="scroll"><table class="details"><tbody>{"".join(rows)}</tbody></table></div>'


def _rows(name: Any, value: Any, level: int) -> list[str]:
    if not (isinstance(value, Mapping) and value):
        return [_row(name, value, level)]
    below = [row for key, part in value.items() for row in _rows(key, part, level + 1)]
    return [_row(name, "", level), *below]


def _row(name: Any, value: Any, level: int) -> str:
    indent = f' style="padding-left:{level * 1.4:g}em"' if level else ""
    return f'<tr><th scope="row"{indent}>{_words(name)}</th><td>{escape(_value(value))}</td></tr>'


def _words(name: Any) -> str:
    return escape(str(name).replace("_", " "))


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−") if abs(value) >= 1e-4 or value == 0 else f"{value:.6g}"
    if isinstance(value, Mapping):
        return "none"
    if isinstance(value, list):
        shown = ", ".join(_value(part) for part in value[:LONGEST_LIST])
        return shown + (f", … ({len(value)} in all)" if len(value) > LONGEST_LIST else "") or "none"
    return str(value)
