"""Results of single stars in words: for a terminal, for Python's prompt and for notebooks."""

import html
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from astra.stars.star_distance import StarDistance

#: What stands for a value that is absent.
ABSENT = "–"
#: The headings of ``row``.
HEADINGS = ("star", "dist pc", "16-84 %", "M_Ks", "A_K", "Gaia pc", "pull", "use pc", "")

# Stars in a representation, and rows of a table in a notebook.
_NAMED, _ROWS = 4, 20


def parsecs(dist: Any) -> str:
    """A distance in whole parsecs, of a near star in tenths."""
    dist = _plain(dist)
    return f"{dist:,.{0 if dist >= 100 else 1}f}" if math.isfinite(dist) else ABSENT


def number(value: Any, form: str, unit: str = "") -> str:
    """A number, or the sign for one that is absent."""
    value = _plain(value)
    return f"{value:{form}}{unit and ' '}{unit}" if math.isfinite(value) else ABSENT


def name_of(star: "StarDistance") -> str:
    """What one star is called: its APOGEE id, else the name of its spectrum."""
    return star.sdss4_apogee_id or star.identity


def distance_of(star: "StarDistance") -> str:
    """The distance of one star from its spectrum, with its range."""
    if star.no_result_reason:
        return f"none: {star.no_result_reason}"
    if star.flag_missing_photometry:
        return "none: there is no Ks magnitude"
    return _with_range(star.dist, star.dist_lo, star.dist_hi)


def lines_of(star: "StarDistance") -> list[tuple[str, str]]:
    """What is known of one star, each with its label."""
    lines = [
        ("distance", distance_of(star)),
        ("M_Ks", _with_error(star.m_ks_abs, star.e_m_ks_abs, ".2f", "mag")),
        ("Ks, A_K", f"{number(star.k_mag, '.3f')}, {number(star.A_k_mag, '.3f')} mag"),
    ]
    if math.isfinite(_plain(star.gaia_parallax)):
        lines.append(("Gaia", _of_gaia(star)))
    lines.append(("to use", _to_use(star)))
    lines.append(("quality", fitness(star)))
    if not star.no_result_reason:  # else the others only follow from it
        lines += [("", f"not clean: {reason}") for reason in star.why_not_clean]
        lines += [("flag", f"{name}: {meaning}") for name, meaning in star.flags.items()]
    return lines


def row(star: "StarDistance") -> tuple[str, ...]:
    """One star on a line of a table, below ``HEADINGS``."""
    return (
        name_of(star),
        ABSENT if star.flag_missing_photometry else parsecs(star.dist),
        ABSENT
        if star.flag_missing_photometry or math.isnan(_plain(star.dist_lo))
        else f"{parsecs(star.dist_lo)}-{parsecs(star.dist_hi)}",
        number(star.m_ks_abs, "+.2f"),
        number(star.A_k_mag, ".3f"),
        parsecs(_inverted(star.gaia_parallax)),
        number(star.parallax_pull, "+.1f"),
        parsecs(star.best_dist),
        "clean" if star.clean else "good" if star.good else "bad",
    )


def remarks(stars: "StarDistance") -> list[tuple[str, str]]:
    """Below a table of rows: of how many stars something is wrong (of one, of which), and what."""
    who: dict[str, list[str]] = {}
    for star in stars:
        others = [*star.flags.values(), *star.why_not_clean]  # which only follow where there is no result
        for reason in [star.no_result_reason] if star.no_result_reason else dict.fromkeys(others):
            who.setdefault(reason, []).append(name_of(star))
    return [
        (names[0] if len(names) == 1 else f"{len(names):,} stars", reason) for reason, names in who.items()
    ]


def representation(stars: "StarDistance") -> str:
    """Two lines: who and how far, then flags in words."""
    if stars.isscalar:
        words = "; ".join([fitness(stars), *stars.flags.values()])
        luminosity = number(stars.m_ks_abs, ".2f", "mag")
        return f"<StarDistance {name_of(stars)}: {distance_of(stars)}, M_Ks {luminosity}\n {words}>"
    shown = ", ".join(row(star)[1] for star in stars[:_NAMED])
    more = ", …" if len(stars) > _NAMED else ""
    flags = Counter(meaning for each in stars.flags for meaning in each.values())
    often = [f"{meaning} ({count:,})" for meaning, count in flags.most_common()]
    counts = f"{int(stars.good.sum()):,} good, {int(stars.clean.sum()):,} clean"
    return f"<StarDistance of {len(stars):,} stars: {shown}{more} pc\n {'; '.join([counts, *often])}>"


def as_html(stars: "StarDistance") -> str:
    """The same as a table: of one star line by line, of several a row for each."""
    if stars.isscalar:
        body = "".join(_html_row("th", label, text) for label, text in lines_of(stars))
        return f"<table><caption>{html.escape(name_of(stars))}</caption><tbody>{body}</tbody></table>"
    head = "<tr>" + "".join(f"<th>{html.escape(each)}</th>" for each in HEADINGS) + "</tr>"
    body = "".join(_html_row("td", *row(star)) for star in stars[:_ROWS])
    rest = f"<p>and {len(stars) - _ROWS:,} more: <code>.to_table()</code></p>" if len(stars) > _ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{rest}"


def _html_row(first: str, *texts: str) -> str:
    cells = [(first, texts[0]), *(("td", text) for text in texts[1:])]
    return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for tag, text in cells) + "</tr>"


def _plain(value: Any) -> float:
    return float(getattr(value, "value", value))


def _inverted(parallax: Any) -> float:
    parallax = _plain(parallax)
    return 1000 / parallax if parallax > 0 else np.nan


def _with_range(dist: Any, low: Any, high: Any) -> str:
    if parsecs(dist) == ABSENT:
        return ABSENT
    return f"{parsecs(dist)} pc" + ("" if parsecs(low) == ABSENT else f" ({parsecs(low)} to {parsecs(high)})")


def _with_error(value: Any, error: Any, form: str, unit: str) -> str:
    if number(value, form) == ABSENT:
        return ABSENT
    return f"{number(value, form)} ± {number(error, form)} {unit}"


def _of_gaia(star: "StarDistance") -> str:
    parallax = _with_error(star.gaia_parallax, star.e_gaia_parallax, ".4f", "mas")
    origin = star.plx_zero_point_origin
    zero = f"zero-point from {origin}" if origin else "zero-point not known"
    pull = f", pull {number(star.parallax_pull, '+.1f')}"
    return f"{parallax}, {zero}{'' if math.isnan(_plain(star.parallax_pull)) else pull}"


def _to_use(star: "StarDistance") -> str:
    if star.best_dist_from:
        dist = _with_range(star.best_dist, star.best_dist_lo, star.best_dist_hi)
        return f"{dist}, from: {star.best_dist_from}"
    if star.no_result_reason:
        return "no distance"
    contradict = abs(_plain(star.parallax_pull)) > 5 and not star.flag_bad
    return "no distance: " + ("spectrum and Gaia contradict each other" if contradict else "see the flags")


def fitness(star: "StarDistance") -> str:
    """Whether a result is good and clean, in words."""
    if star.flag_bad:
        return "bad: discard it"
    if not star.good:
        return "not good"
    return "good and clean" if star.clean else "good, not clean"
