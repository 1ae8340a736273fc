"""What a comparison found, in sentences, and as the cells of tables, for the terminal and for the page."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from astra.models import AstroNNdist
from astra.report.page import number
from astra.report.paired.comparing import Comparison, Listed
from astra.report.paired.differences import FlagDifference
from astra.report.paired.distance_changes import ALL, CHANGED, Agreement, Part, Pulls
from astra.report.summaries import FEWEST

#: Medians and shares of fewer spectra are said to be rough.
FEW = 100

#: A part of the stars whose median changes by less is not named.
_NOTABLE = 0.001


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        words: Indices of the columns that hold words; the others hold numbers.
    """

    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    words: tuple[int, ...] = (0,)


# > In sentences


def in_sentences(found: Comparison) -> list[str]:
    """What changed: spectra, results, distances, columns, flags and the agreement with Gaia."""
    return [*_spectra(found), *_distances(found), _columns(found), _flags(found.flags), *_gaia(found)]


def _spectra(found: Comparison) -> Iterator[str]:
    counts, results = found.counts, found.measured
    if found.promoted:
        yield f"{found.trial} is promoted: what is called production here is what it was before."
    yield f"In production and in the trial, with a row of the same minor version: {spectra(counts.pairs)}."
    for side, kinds in zip(("Production", "Trial"), found.kinds, strict=True):
        yield f"{side}: {_listed([str(kind.origin) for kind in kinds])}."
    left_out = {
        "are in production alone": counts.only_production,
        "are in the trial alone": counts.only_trial,
        "have rows of different minor versions": counts.other_version,
    }
    if any(left_out.values()):
        said = [f"{count:,} {what}" for what, count in left_out.items() if count]
        yield f"Not compared: {_listed(said)}."
    if results.only_production or results.only_trial:
        yield (
            f"{results.only_production:,} have a result in production alone, {results.only_trial:,} in the "
            "trial alone."
        )


def _distances(found: Comparison) -> Iterator[str]:
    if found.distances is None:
        return
    good = found.distances.all
    if not good.n:
        yield "No spectrum has a good distance in both, so that no distances are compared."
        return
    if good.identical == good.n:
        yield f"Good distances in both: {good.n:,}, all of them identical."
        return
    yield (
        f"Of {spectra(good.n)} with a good distance in both, {percent(good.changed)} changed by more than "
        f"{percent(CHANGED, '.0f')}; {good.identical:,} ({percent(good.identical / good.n)}) are identical."
    )
    yield (
        f"The median change is {percent(good.median, '+.2f')}, the scatter {percent(good.scatter, '.2f')}; "
        f"nine of ten lie between {percent(good.p05, '+.1f')} and {percent(good.p95, '+.1f')}."
    )
    yield from _most_shifted(found.distances.parts)
    if good.n < FEW:
        yield f"With only {spectra(good.n)}, medians and shares are rough."


def _most_shifted(parts: Iterable[Part]) -> Iterator[str]:
    """The class, and the other part, with the largest median change."""
    known = [part for part in parts if part.group != ALL and part.n >= FEWEST and abs(part.median) > _NOTABLE]
    classes = [part for part in known if part.group == "class"]
    for what, members in (
        ("Of the classes", classes),
        ("Of all other parts", [each for each in known if each not in classes]),
    ):
        if members:
            part = max(members, key=lambda each: abs(each.median))
            name = part.name if members is classes else f"{part.group} {part.name}"
            yield (
                f"{what}, the median is shifted most for {name}: {percent(part.median, '+.1f')} "
                f"({spectra(part.n)})."
            )


def _columns(found: Comparison) -> str:
    known = [column for column in found.columns if column.n or column.only_production or column.only_trial]
    same = [
        column.name
        for column in known
        if column.identical == column.n and not column.only_production and not column.only_trial
    ]
    if not known:
        return "No column of numbers has a value."
    if len(same) == len(known):
        return "All columns of numbers are identical in every pair."
    return f"Identical in every pair: {', '.join(same) or 'no column of numbers'}."


def _flags(flags: Sequence[FlagDifference]) -> str:
    changed = [flag for flag in flags if flag.only_production or flag.only_trial]
    if not changed:
        return "No flag changes." if flags else "There are no flags."
    said = [f"{flag.name} {flag.only_trial:,} / {flag.only_production:,}" for flag in changed]
    return f"Flags that are set in the trial alone / in production alone: {', '.join(said)}."


def _gaia(found: Comparison) -> Iterator[str]:
    if found.distances is None:
        return
    if not found.distances.agreement:
        yield "No good spectrum has a parallax of Gaia with its zero-point to compare with."
        return
    whole = found.distances.agreement[0]
    one, other = whole.production, whole.trial
    yield (
        f"Against Gaia ({spectra(whole.n)}), from production to the trial: median pull "
        f"{number(one.median, '+.2f')} to {number(other.median, '+.2f')}, width of the pulls "
        f"{number(one.width, '.2f')} to {number(other.width, '.2f')}, beyond 3 {percent(one.beyond_3)} to "
        f"{percent(other.beyond_3)}, beyond 5 {percent(one.beyond_5)} to {percent(other.beyond_5)}."
    )
    if whole.differing:
        yield (
            f"The trial is closer to Gaia's parallax for {percent(whole.closer)} of the {whole.differing:,} "
            f"that differ; if neither were better, it would be 50 ± {percent(whole.e_closer)}."
        )


def spectra(count: int) -> str:
    """A number of spectra."""
    return "1 spectrum" if count == 1 else f"{count:,} spectra"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def percent(value: float, form: str = ".1f") -> str:
    """A fraction in per cent; a dash for NaN."""
    return f"{number(100 * value, form)} %" if math.isfinite(value) else "–"


# > As tables


def tables(found: Comparison) -> dict[str, Table]:
    """All tables that have rows, by what they are about."""
    made = {"flags": _flag_table(found.flags), "columns": _column_table(found)}
    if found.distances is not None:
        made |= {
            "parts": _part_table(found.distances.parts),
            "gaia": _gaia_table(found.distances.agreement),
            "largest": _largest_table(found.largest),
        }
    return {name: table for name, table in made.items() if table.rows}


def _part_table(parts: Sequence[Part]) -> Table:
    heads = ("by", "part", "spectra", "identical", "median", "scatter", "5 %", "95 %", "> 1 %", "> 3 sigma")
    rows = [
        (
            *(part.name, f"{part.n:,}", f"{part.identical:,}"),
            *(percent(part.median, "+.2f"), percent(part.scatter, ".2f")),
            *(percent(part.p05, "+.1f"), percent(part.p95, "+.1f")),
            *(percent(part.changed), percent(part.beyond_3)),
        )
        for part in parts
    ]
    caption = (
        "Change of the distance, trial / production - 1, of spectra that are good in both, except where it "
        "is said. Class, M_Ks [mag], A_Ks [mag] and place [deg] are those of production. Scatter: 1.4826 "
        "median absolute deviations. 5 %, 95 %: percentiles. > 1 %: share that changed by more. > 3 sigma: "
        "by more than three times the model errors of both together."
    )
    return Table(caption, heads, _grouped(parts, rows), (0, 1))


def _gaia_table(parts: Sequence[Agreement]) -> Table:
    pulls = ("median", "width", "> 3", "> 5")
    heads = ("by", "part", "spectra", *pulls, *(f"trial: {name}" for name in pulls), "closer")
    rows = [
        (part.name, f"{part.n:,}", *_pull_cells(part.production), *_pull_cells(part.trial), _closer(part))
        for part in parts
    ]
    caption = (
        "Pulls of the spectroscopic parallax against Gaia's, of production and then of the trial. Closer: "
        "share of the differing ones whose parallax of the trial is closer to Gaia's, and the error of 50 % "
        "for so many."
    )
    return Table(caption, heads, _grouped(parts, rows), (0, 1))


def _pull_cells(pulls: Pulls) -> tuple[str, ...]:
    return (
        *(number(pulls.median, "+.2f"), number(pulls.width, ".2f")),
        *(percent(pulls.beyond_3), percent(pulls.beyond_5)),
    )


def _closer(part: Agreement) -> str:
    return f"{percent(part.closer)} ± {number(100 * part.e_closer, '.1f')}" if part.differing else "–"


def _grouped(parts: Sequence[Part | Agreement], rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows, with the name of its group before the first of each."""
    groups = [part.group for part in parts]
    firsts = [place == 0 or groups[place - 1] != group for place, group in enumerate(groups)]
    return [(group if first else "", *row) for group, first, row in zip(groups, firsts, rows, strict=True)]


def _flag_table(flags: Sequence[FlagDifference]) -> Table:
    heads = ("flag", "only in production", "only in the trial", "in both", "meaning")
    rows = [
        (flag.name, f"{flag.only_production:,}", f"{flag.only_trial:,}", f"{flag.both:,}", flag.meaning)
        for flag in flags
        if flag.only_production or flag.only_trial or flag.both
    ]
    return Table("Spectra with each flag; flags that none has are left out", heads, rows, (0, 4))


def _column_table(found: Comparison) -> Table:
    heads = (
        *("column", "both", "identical", "only production", "only trial"),
        *("median", "5 %", "95 %", "largest", "of spectrum", "unit"),
    )
    rows = [
        (
            *(column.name, f"{column.n:,}", f"{column.identical:,}"),
            *(f"{column.only_production:,}", f"{column.only_trial:,}"),
            *(difference(each) for each in (column.median, column.p05, column.p95, column.largest)),
            *(str(column.spectrum_pk) if column.largest else "", column.unit or ""),
        )
        for column in found.columns
        if column.n or column.only_production or column.only_trial
    ]
    caption = (
        "Difference of each column, trial - production, in its unit; columns without a value are left out. "
        "Only: a value (not NULL) in one row alone."
    )
    return Table(caption, heads, rows, (0, 10))


def difference(value: float) -> str:
    """A signed number of four digits; 0 is 0."""
    return number(value, "+.4g") if value else "0"


def _largest_table(rows: Sequence[Listed]) -> Table:
    heads = (
        "star",
        "spectrum",
        "S/N",
        "production [pc]",
        "trial [pc]",
        "change",
        "flags",
        "flags of the trial",
    )
    cells = [
        (
            *(row.star, str(row.spectrum_pk), number(row.snr, ".0f")),
            *(
                number(row.dist_production, ",.0f"),
                number(row.dist_trial, ",.0f"),
                percent(row.change, "+.1f"),
            ),
            *(flag_words(row.flags_production), flag_words(row.flags_trial)),
        )
        for row in rows
    ]
    return Table(
        "Largest changes of the distance, of spectra that are good in one set at least",
        heads,
        cells,
        (0, 6, 7),
    )


def flag_words(flags: int) -> str:
    """The names of the flags of a distance, without their prefix; a dash without any."""
    named = AstroNNdist.counted_flags().items()
    return ", ".join(name.removeprefix("flag_") for name, flag in named if flags & flag.value) or "–"
